"""A table of WebSocket routes: an ASGI application, a route of Starlette, and what other routers include."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from weakref import WeakSet

from starlette.applications import Starlette
from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from wsroute.dependencies.callables import show
from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import Location, RouterError
from wsroute.routing.index import PathIndex
from wsroute.routing.layers import Layer, Reject, fold, layer_above
from wsroute.routing.paths import route_path
from wsroute.routing.route import APIWebSocketRoute
from wsroute.routing.standalone import Lifespan, no_lifespan, serve_alone

EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])


class _Entry:
    """What a router holds: a route, or another router; and the routes that this gives below the router's own level.

    The effective routes are kept while their declarations are, so that adding a route does not undo the binding of all
    others.
    """

    def __init__(self, source: BaseRoute | WebSocketRouter, layers: tuple[Layer, ...]) -> None:
        self.source = source
        self._layers = layers
        # By identity, as routes are equal that look alike; the declaration is kept with what was made of it.
        self._made: dict[int, tuple[APIWebSocketRoute, APIWebSocketRoute]] = {}

    def effective(self) -> list[BaseRoute]:
        """The routes, with all paths and dependencies of the levels above them."""
        routes = self.source.routes if isinstance(self.source, WebSocketRouter) else (self.source,)
        return [self._below(route) for route in routes]

    def _below(self, route: BaseRoute) -> BaseRoute:
        if not isinstance(route, APIWebSocketRoute):
            self._check_foreign(route)
            return route
        if id(route) not in self._made:
            self._made[id(route)] = (route, route.below(*self._layers))
        return self._made[id(route)][1]

    def _check_foreign(self, route: BaseRoute) -> None:
        if not any(layer.path or layer.dependencies for layer in self._layers):
            return
        raise RouterError(
            f"{show(route)} is no route of wsroute, so the prefix and the dependencies of the router above it would "
            "not apply to it. Give it its whole path and put it into a router without prefix and dependencies, or "
            "into the application itself."
        )


class WebSocketRouter(BaseRoute):
    """Collects WebSocket routes under one prefix, with dependencies that all of them share.

    It is an ASGI application by itself, and a route: `Starlette(routes=[..., router])`. In a Starlette or FastAPI
    application, `router.attach(app)` is the way.

    Args:
        prefix: What is put before the path of each route; it may hold parameters.
        routes: Routes to start with: of wsroute, of Starlette, mounts.
        dependencies: Dependencies that run before those of each route, for their effect.
        dependency_overrides_provider: An object with a mapping `dependency_overrides`. The router is one itself.
        lifespan: What runs around the life of the application: a function that takes the application and returns an
            asynchronous context manager, which may give a mapping of state, as in Starlette.
        reject: How connections are refused, as in `APIWebSocketRoute`.
        close_timeout: How long a frame that ends a connection may take, as in `APIWebSocketRoute`.

    Attributes:
        dependency_overrides: Replacements for dependencies of the routes in this router: `{dependency: replacement}`.

    Raises:
        DependencyError: The prefix does not fit before a path, or a dependency cannot work.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        routes: Sequence[BaseRoute] | None = None,
        dependencies: Sequence[Any] | None = None,
        dependency_overrides_provider: Any | None = None,
        lifespan: Lifespan | None = None,
        reject: Reject | None = None,
        close_timeout: float | None = None,
    ) -> None:
        self.dependency_overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        provider = dependency_overrides_provider
        self._layer = layer_above(
            prefix,
            dependencies,
            LocalNames(sys._getframe(1)),
            Location(chain=(f"WebSocketRouter({prefix!r})",)),
            providers=(self,) if provider is None else (self, provider),
            reject=reject,
            close_timeout=close_timeout,
        )
        self.prefix = prefix
        self.dependencies = self._layer.dependencies
        self._policy = fold([self._layer]).policy
        self._lifespan = lifespan or no_lifespan
        self._entries: list[_Entry] = []
        self._parents: WeakSet[WebSocketRouter] = WeakSet()
        self._routes: tuple[BaseRoute, ...] | None = None
        self._index: PathIndex | None = None
        self._checked = False
        for route in routes or ():
            if isinstance(route, WebSocketRouter):
                self.include_router(route)
            else:
                self._add(route, (self._layer,))

    if not TYPE_CHECKING:  # pragma: no branch  # for a type checker, it would make any attribute right

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"{name!r} is no attribute of a WebSocketRouter. If FastAPI's include_router() has asked for it: plug "
                "the router in with router.attach(app).",
                name=name,
                obj=self,
            )

    # Declaring

    def websocket(
        self,
        path: str,
        *,
        name: str | None = None,
        dependencies: Sequence[Any] | None = None,
        reject: Reject | None = None,
        close_timeout: float | None = None,
    ) -> Callable[[EndpointT], EndpointT]:
        """Declare the decorated function as the endpoint of a path; the function itself stays as it is.

        Args:
            path: The path below the prefix.
            name: The name for `url_path_for`. Default: the name of the function.
            dependencies: Dependencies that run before those of the endpoint, for their effect.
            reject: How connections are refused, as in `APIWebSocketRoute`.
        close_timeout: How long a frame that ends a connection may take, as in `APIWebSocketRoute`.
        """

        def declare(endpoint: EndpointT) -> EndpointT:
            self.add_api_websocket_route(
                path, endpoint, name=name, dependencies=dependencies, reject=reject, close_timeout=close_timeout
            )
            return endpoint

        return declare

    def add_api_websocket_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        name: str | None = None,
        dependencies: Sequence[Any] | None = None,
        reject: Reject | None = None,
        close_timeout: float | None = None,
    ) -> None:
        """Declare the endpoint of a path; arguments as in `websocket`."""
        route = APIWebSocketRoute(
            path, endpoint, name=name, dependencies=dependencies, reject=reject, close_timeout=close_timeout
        )
        self._add(route, (self._layer,))

    def include_router(
        self, router: WebSocketRouter, *, prefix: str = "", dependencies: Sequence[Any] | None = None
    ) -> None:
        """Take over the routes of another router, also those that it gets later.

        Args:
            router: The other router. It may be included many times, and in many routers.
            prefix: What is put before its own prefix.
            dependencies: Dependencies that run before its own, and after this router's.

        Raises:
            RouterError: The other router includes this one, or is this one.
            InvalidPathError: The prefix does not fit before a path, or repeats a parameter.
        """
        if not isinstance(router, WebSocketRouter):
            raise RouterError(
                f"include_router() got {show(router)}. It takes a WebSocketRouter; routes and routers of Starlette "
                "and FastAPI belong into the application that this router is attached to."
            )
        if self in router._included():
            raise RouterError(
                "include_router() got this router itself, or one that includes it, so that its routes would have no "
                "end. Include each router in an outer one."
            )
        location = Location(chain=(f"include_router(prefix={prefix!r})",))
        inclusion = layer_above(prefix, dependencies, LocalNames(sys._getframe(1)), location)
        self._add(router, (self._layer, inclusion))
        router._parents.add(self)

    def _add(self, source: BaseRoute, layers: tuple[Layer, ...]) -> None:
        entry = _Entry(source, layers)
        entry.effective()  # what cannot be below these levels is reported here
        self._entries.append(entry)
        self._changed()

    def _changed(self) -> None:
        self._routes = self._index = None
        self._checked = False
        for parent in self._parents:
            parent._changed()

    # Looking

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """The effective routes, with their whole paths and all that the levels above them add."""
        if self._routes is None:
            self._routes = tuple(route for entry in self._entries for route in entry.effective())
        return self._routes

    def check(self) -> None:
        """Decide everything about every route.

        Raises:
            DependencyError: A declaration cannot work.
        """
        for route in self.routes:
            if isinstance(route, APIWebSocketRoute):
                route.bind()
        self._checked = True

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path of the first route of a name, with its parameters filled in.

        Raises:
            NoMatchFound: No route has this name and exactly these parameters.
        """
        for route in self.routes:
            try:
                return route.url_path_for(name, **path_params)
            except NoMatchFound:
                continue
        raise NoMatchFound(name, path_params)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether one of the routes is the one for a connection; the first that matches, in order of declaration.

        Mounts and other routes of Starlette may be the ones for an HTTP request, too.
        """
        is_socket = scope["type"] == "websocket"
        if is_socket and not self._checked:
            self.check()
        if self._index is None:
            self._index = PathIndex(self.routes)
        path = route_path(scope)
        partial: tuple[Match, Scope] = Match.NONE, {}
        for route in self._index.candidates(path):
            if type(route) is not APIWebSocketRoute:  # a subclass may have matches() of its own
                match, child_scope = route.matches(scope)
                child_scope = {"route": route, **child_scope}
            elif is_socket:
                match, child_scope = route.match_path(path, scope)
            else:
                continue
            if match is Match.FULL:
                return match, child_scope
            if match is Match.PARTIAL and partial[0] is Match.NONE:
                partial = match, child_scope
        return partial

    # Serving

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection that has been matched."""
        route = scope.get("route")
        if route is self or not isinstance(route, BaseRoute):
            # Whatever matched has not handed on which route it was.
            await self(scope, receive, send)
            return
        await route.handle(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as the ASGI application, or below a `Mount`."""
        scope.setdefault("router", self)
        await serve_alone(self, scope, receive, send, lifespan=self.lifespan, policy=self._policy)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[dict[str, Any]]:
        """What runs around the life of the application, those of included routers inside.

        A server does not start with a declaration that cannot work.

        Args:
            app: The application.
        """
        self.check()
        state: dict[str, Any] = {}
        async with AsyncExitStack() as stack:
            for router in self._included():
                # The outer router's state has the last word.
                inner: Mapping[str, Any] | None = await stack.enter_async_context(router._lifespan(app))
                state = {**(inner or {}), **state}
            yield state

    def _included(self) -> list[WebSocketRouter]:
        """This router and all that it includes, each once, and none before one that includes it."""
        finished: list[WebSocketRouter] = []

        def visit(router: WebSocketRouter) -> None:
            for entry in reversed(router._entries):
                if isinstance(entry.source, WebSocketRouter) and entry.source not in finished:
                    visit(entry.source)
            finished.append(router)

        visit(self)
        return finished[::-1]

    def attach(self, app: Starlette) -> None:
        """Plug the routes into an application of Starlette or FastAPI; a second time changes nothing.

        The application's overrides, exception handlers and state apply to the routes; the lifespan of the router runs
        inside the application's own. Routes that are added to the router later appear.

        Args:
            app: The application.

        Raises:
            RouterError: It is no such application, or it has started already.
            DependencyError: A declaration cannot work.
        """
        if not isinstance(app, Starlette):
            raise RouterError(
                f"attach() got {show(app)}. It takes an application of Starlette or FastAPI, not one of its routers; "
                "any other ASGI application can mount this router, which is an ASGI application itself."
            )
        if any(route is self for route in app.router.routes):
            return
        if app.middleware_stack is not None:
            raise RouterError(
                "attach() came when the application had started already, too late for its lifespan to run the "
                "router's. Call it where the application is made."
            )
        self.check()
        app.router.routes.append(self)
        outer = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[Any]:
            async with outer(app) as outer_state, self.lifespan(app) as state:
                yield {**state, **(outer_state or {})} or None

        app.router.lifespan_context = lifespan
