"""A table of WebSocket routes: an ASGI application, a route of Starlette, and what other routers include."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack
from weakref import WeakSet

from starlette.applications import Starlette
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Receive, Scope, Send

from wsroute.dependencies.callables import show
from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import Location, RouterError
from wsroute.routing.attachment import attach
from wsroute.routing.endpoint import UninjectedRouter
from wsroute.routing.entries import Entry
from wsroute.routing.layers import (
    Dependencies,
    ExceptionHandlers,
    Layer,
    Level,
    MessageLevel,
    Reject,
    fold,
    layer_above,
)
from wsroute.routing.lifespans import DEADLINE, check_deadline, outermost_first
from wsroute.routing.listeners import function_listener
from wsroute.routing.origins import Origins
from wsroute.routing.paths import check_is_text
from wsroute.routing.route import APIWebSocketRoute
from wsroute.routing.standalone import Lifespan, no_lifespan
from wsroute.routing.table import RouteTable

if TYPE_CHECKING:
    from wsroute.messages.listener import HandlerT, StreamT
    from wsroute.routing.limits import MaxConnections

EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])


class WebSocketRouter(RouteTable, WebSocketRoute):
    """Collects WebSocket routes under one prefix, with dependencies that all of them share.

    It is an ASGI application by itself, and a route: `Starlette(routes=[..., router])`. In a Starlette or FastAPI
    application, `router.attach(app)` is the way.

    Args:
        prefix: What is put before the path of each route; it may hold parameters.
        routes: Routes to start with: of wsroute, of Starlette, mounts.
        dependencies: Dependencies that run before those of each route, for their effect; or what is provided by name to
            everything below; or both. As in `APIWebSocketRoute`.
        middleware: ASGI middleware around the connections of each route, outside of its own.
        permissions: What is asked before the permissions of each route.
        interceptors: What runs around the connections of each route, outside of its own.
        exception_handlers: Handlers for each route, asked after its own.
        name: What is put before the names of the routes below, with a colon: `"outer:inner"`.
        dependency_overrides_provider: An object with a mapping `dependency_overrides`. The router is one itself.
        lifespan: What runs around the life of the application: a function that takes the application and returns an
            asynchronous context manager, which may give a mapping of state, as in Starlette.
        reject: How connections are refused, as in `APIWebSocketRoute`.
        close_timeout: How long a frame that ends a connection may take, as in `APIWebSocketRoute`.
        send_timeout: How long any frame may take, as in `APIWebSocketRoute`.
        allowed_origins: The pages that may open a connection, as in `APIWebSocketRoute`.
        max_connections: How many may be open at once on all routes together, as in `APIWebSocketRoute`.
        options: How listeners below take messages, where they do not say so themselves: see `listener`.

    Attributes:
        dependency_overrides: Replacements for dependencies of the routes in this router: `{dependency: replacement}`.

    Raises:
        DependencyError: The prefix does not fit before a path, or a dependency cannot work.
        RouterError: Something in `routes` is no route, or is none of wsroute, though the router adds something to it.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        routes: Sequence[BaseRoute] | None = None,
        dependencies: Dependencies | None = None,
        middleware: Sequence[Any] | None = None,
        permissions: Sequence[Any] | None = None,
        interceptors: Sequence[Any] | None = None,
        exception_handlers: ExceptionHandlers | None = None,
        name: str | None = None,
        dependency_overrides_provider: Any | None = None,
        lifespan: Lifespan | None = None,
        reject: Reject | None = None,
        close_timeout: float | None = None,
        send_timeout: float | None = None,
        allowed_origins: Origins | None = None,
        max_connections: MaxConnections | None = None,
        **options: Unpack[MessageLevel],
    ) -> None:
        super().__init__(lifespan or no_lifespan)
        self.dependency_overrides: dict[Any, Callable[..., Any]] = {}
        layer = layer_above(
            Location(chain=(f"WebSocketRouter({prefix!r})",)),
            path=prefix,
            dependencies=dependencies,
            middleware=middleware,
            permissions=permissions,
            interceptors=interceptors,
            exception_handlers=exception_handlers,
            dependency_overrides_provider=dependency_overrides_provider,
            reject=reject,
            close_timeout=close_timeout,
            send_timeout=send_timeout,
            allowed_origins=allowed_origins,
            max_connections=max_connections,
            names=LocalNames(sys._getframe(1)),
            name=name,
            **options,
        )
        # The router is an override provider itself, and nearer than the one that it is given.
        self._layer = layer._replace(providers=(self, *layer.providers))
        self.prefix = prefix
        self.name = name  # type: ignore[assignment]  # a router without a name adds none
        self.dependencies = layer.dependencies
        self._policy = fold([layer]).policy
        # Where FastAPI makes a route of its own from what looks like one, it refuses whatever comes.
        self.path = "/{path:path}"
        self.endpoint = UninjectedRouter(f"WebSocketRouter({prefix!r})")
        self._entries: list[Entry] = []
        self._parents: WeakSet[WebSocketRouter] = WeakSet()
        self._routes: tuple[BaseRoute, ...] | None = None
        for route in routes or ():
            self.add_route(route)

    def __repr__(self) -> str:
        return f"WebSocketRouter({self.prefix!r})"

    # Routers that look alike are two.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    # Declaring

    def websocket(
        self,
        path: str,
        *,
        name: str | None = None,
        dependencies: Dependencies | None = None,
        middleware: Sequence[Any] | None = None,
        permissions: Sequence[Any] | None = None,
        interceptors: Sequence[Any] | None = None,
        exception_handlers: ExceptionHandlers | None = None,
        reject: Reject | None = None,
        close_timeout: float | None = None,
        send_timeout: float | None = None,
        allowed_origins: Origins | None = None,
        max_connections: MaxConnections | None = None,
        **options: Unpack[MessageLevel],
    ) -> Callable[[EndpointT], EndpointT]:
        """Declare the decorated function, or subclass of `WebSocketListener`, as the endpoint of a path.

        What is decorated stays as it is.

        Args:
            path: The path below the prefix.
            name: The name for `url_path_for`. Default: the name of the function.
            dependencies, middleware, permissions, interceptors, exception_handlers, reject, close_timeout,
                send_timeout, allowed_origins, max_connections: For this route, as in `APIWebSocketRoute`.
            options: Of a listener, how it takes messages: see `listener`.
        """

        # Without parentheses, the decorator gets the function instead.
        check_is_text(path, Location(chain=("@router.websocket",)))

        def declare(endpoint: EndpointT) -> EndpointT:
            self.add_api_websocket_route(
                path,
                endpoint,
                name=name,
                dependencies=dependencies,
                middleware=middleware,
                permissions=permissions,
                interceptors=interceptors,
                exception_handlers=exception_handlers,
                reject=reject,
                close_timeout=close_timeout,
                send_timeout=send_timeout,
                allowed_origins=allowed_origins,
                max_connections=max_connections,
                **options,
            )
            return endpoint

        return declare

    def listener(
        self, path: str, *, name: str | None = None, discriminator: str = "type", **level: Unpack[Level]
    ) -> Callable[[HandlerT], HandlerT]:
        """Declare the decorated function as what is called for each message of a connection.

        The connection is accepted when the dependencies that live as long as it are resolved. Messages are handled one
        at a time: each is validated as the type that the function declares, those with `scope="message"` are resolved,
        the function is called, they are closed, and what the function returned is sent; `None` sends nothing. The
        function itself stays as it is.

        Args:
            path: The path below the prefix.
            name: The name for `url_path_for`. Default: the name of the function.
            discriminator: The field by which a message says which of several types it is. Default `"type"`.
            level: As in `APIWebSocketRoute`; and for the messages, with times in seconds:
                `max_message_size`, the bytes of a message, by default 65,536; a larger one ends the connection with
                1009. `first_message_timeout` and `idle_timeout`, how long the listener waits for the first and for
                each further message; then it ends with 1008; by default there is no limit. `on_invalid`, what an
                invalid message does: `"error"`, the default, sends an error frame, and `"close"` closes with 1007, or
                with 1003 if the frame was of the wrong kind. `max_invalid`, how many of them in a row close the
                connection in any case, by default 10. `cancel_on_disconnect`, whether the function is cancelled when
                the client leaves while it runs, by default not; `read_ahead`, how many messages are read to see that,
                by default 1. `max_rate`, how many messages may come in how many seconds, as in `(100, 60)`: one too
                many is answered with an error frame, and the next one, if it comes too soon as well, ends the
                connection with 1008; by default there is no limit.

        Raises:
            DependencyError: The declaration cannot work.
            RouterError: An option has a value that it cannot have.
        """
        check_is_text(path, Location(chain=("@router.listener",)))

        def declare(handler: HandlerT) -> HandlerT:
            listener = function_listener(handler, path, discriminator=discriminator)
            self._add(APIWebSocketRoute(path, listener, name=name, **level), (self._layer,))
            return handler

        return declare

    def stream(self, path: str, *, name: str | None = None, **level: Unpack[Level]) -> Callable[[StreamT], StreamT]:
        """Declare the decorated asynchronous generator function as what is sent on a connection.

        The connection is accepted when the dependencies are resolved. Each item is sent, until there are no more, which
        closes with 1000, or until the client leaves, which cancels the generator. What the client sends is discarded.

        Args:
            path: The path below the prefix.
            name: The name for `url_path_for`. Default: the name of the function.
            level: As in `APIWebSocketRoute`.

        Raises:
            DependencyError: The declaration cannot work.
        """
        check_is_text(path, Location(chain=("@router.stream",)))

        def declare(stream: StreamT) -> StreamT:
            listener = function_listener(stream, path, is_stream=True)
            self._add(APIWebSocketRoute(path, listener, name=name, **level), (self._layer,))
            return stream

        return declare

    def add_api_websocket_route(
        self, path: str, endpoint: Callable[..., Any], *, name: str | None = None, **level: Unpack[Level]
    ) -> None:
        """Declare the endpoint of a path.

        Args:
            path, name, level: As in `websocket`.
            endpoint: The endpoint.
        """
        self._add(APIWebSocketRoute(path, endpoint, name=name, **level), (self._layer,))

    def add_route(self, route: BaseRoute) -> None:
        """Add a route that exists already: a gateway, a route of wsroute or of Starlette, a mount, another router.

        Args:
            route: The route, as in `WebSocketRouter(routes=[...])`.

        Raises:
            RouterError: It is no route, or is none of wsroute, though the router adds something to what is in it.
        """
        if isinstance(route, WebSocketRouter):
            self.include_router(route)
        elif isinstance(route, BaseRoute):
            self._add(route, (self._layer,))
        else:
            raise RouterError(
                f"{show(route)} is no route. Mount a handler, a view or a function with "
                "WebSocketGateway(path, handler=...)."
            )

    def include_router(
        self,
        router: WebSocketRouter,
        *,
        prefix: str = "",
        dependencies: Dependencies | None = None,
        middleware: Sequence[Any] | None = None,
        permissions: Sequence[Any] | None = None,
        interceptors: Sequence[Any] | None = None,
        exception_handlers: ExceptionHandlers | None = None,
        allowed_origins: Origins | None = None,
        max_connections: MaxConnections | None = None,
    ) -> None:
        """Take over the routes of another router, also those that it gets later.

        Args:
            router: The other router. It may be included many times, and in many routers.
            prefix: What is put before its own prefix.
            dependencies, middleware, permissions, interceptors, exception_handlers, allowed_origins, max_connections: A
                level between the two routers, as in `APIWebSocketRoute`.

        Raises:
            RouterError: The other router includes this one, or is this one.
            InvalidPathError: The prefix does not fit before a path, or repeats a parameter.
        """
        if not isinstance(router, WebSocketRouter):
            raise RouterError(
                f"include_router() got {show(router)}. It takes a WebSocketRouter; add_route() takes gateways and "
                "single routes. Routers of Starlette and FastAPI belong into the application that this router is "
                "attached to."
            )
        if any(table is self for table in outermost_first((router,))):
            raise RouterError(
                "include_router() got this router itself, or one that includes it, so that its routes would have no "
                "end. Include each router in an outer one."
            )
        location = Location(chain=(f"include_router(prefix={prefix!r})",))
        inclusion = layer_above(
            location,
            path=prefix,
            dependencies=dependencies,
            middleware=middleware,
            permissions=permissions,
            interceptors=interceptors,
            exception_handlers=exception_handlers,
            allowed_origins=allowed_origins,
            max_connections=max_connections,
            names=LocalNames(sys._getframe(1)),
        )
        self._include(router, (self._layer, inclusion))

    def _include(self, router: WebSocketRouter, layers: tuple[Layer, ...]) -> None:
        self._add(router, layers)
        router._parents.add(self)

    def _add(self, source: BaseRoute, layers: tuple[Layer, ...]) -> None:
        entry = Entry(source, layers)
        entry.effective()  # what cannot be below these levels is reported here
        self._entries.append(entry)
        self._changed()

    def _changed(self) -> None:
        self._routes = None
        self._forget()
        for parent in self._parents:
            parent._changed()

    # Looking

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """The effective routes, with their whole paths and all that the levels above them add."""
        if self._routes is None:
            self._routes = tuple(route for entry in self._entries for route in entry.effective())
        return self._routes

    # Serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as the ASGI application, or below a `Mount`."""
        scope.setdefault("router", self)
        await super().__call__(scope, receive, send)

    def included(self) -> list[RouteTable]:
        """The routers and gateways that this one includes, in order."""
        return [entry.source for entry in self._entries if isinstance(entry.source, RouteTable)]

    async def drain(self, deadline: float = DEADLINE) -> None:
        """End all connections of the routes, since the server is about to stop.

        New ones are refused with 503, until a lifespan of the router starts again. Who waits for its client, or sends
        a stream, is closed with 1012 at once; who handles a message is closed when that is handled; who has not been
        accepted yet is refused. What is left at the deadline is cancelled. Returns when everything that belonged to the
        connections is closed; what does not end within 5 seconds of its cancellation is logged.

        It is called when a lifespan of the router ends, and may be called before: when the server is told to stop, by
        `attach(app, drain_on_sigterm=True)`, or by hand.

        Args:
            deadline: How long, in seconds, the connections may take. Default 20.

        Raises:
            RouterError: The deadline is no time.
        """
        from wsroute.routing.draining import EVERY_APPLICATION, drain_routes, refuse_all

        check_deadline(deadline)
        refuse_all(self._effective())
        await drain_routes(lambda route: route.is_below(self._layer), deadline, EVERY_APPLICATION)

    def _effective(self) -> Iterator[APIWebSocketRoute]:
        """All routes below this router, also those that they have become below others."""
        for router in (self, *self._ancestors()):
            for route in router.routes:
                if isinstance(route, APIWebSocketRoute) and route.is_below(self._layer):
                    yield route

    def _ancestors(self) -> Iterator[WebSocketRouter]:
        """The routers that include this one, or include one that does."""
        for parent in self._parents:
            yield parent
            yield from parent._ancestors()

    def attach(
        self, app: Starlette, *, prefix: str = "", drain_on_sigterm: bool = False, drain_deadline: float = DEADLINE
    ) -> None:
        """Plug the routes into an application of Starlette or FastAPI; a second time changes nothing.

        The application's overrides, exception handlers, state and, in FastAPI, dependencies apply to the routes; the
        lifespan of the router runs inside the application's own. Routes that are added to the router later appear.

        Args:
            app: The application.
            prefix: What is put before all paths; it may hold parameters. A router may be attached below several
                prefixes; its lifespan runs once.
            drain_on_sigterm: Whether the connections are drained when the process gets SIGTERM, before the server
                stops: see `drain`. Only a server in the main thread is told.
            drain_deadline: How long, in seconds, the connections may take then, and when the lifespan ends. Of several
                routers in one application, the longest time counts for all. Default 20.

        Raises:
            RouterError: It is no such application, or it has started already; or the deadline is no time.
            DependencyError: A declaration cannot work, or the prefix does not fit before a path.
        """
        attach(self, app, prefix, self._below, self.drain if drain_on_sigterm else None, drain_deadline)

    def _below(self, prefix: str) -> WebSocketRouter:
        outer = WebSocketRouter()
        location = Location(chain=(f"attach(prefix={prefix!r})",))
        outer._include(self, (layer_above(location, path=prefix, names=LocalNames()),))
        return outer
