"""One route: an endpoint with everything it needs, as a route of Starlette."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack, cast

from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from wsroute.dependencies.analysis import Analysis, Undecided
from wsroute.dependencies.application import application_values
from wsroute.dependencies.callables import describe, short_name
from wsroute.dependencies.models import Dependant
from wsroute.dependencies.nodes import Given, Overrides
from wsroute.dependencies.plan import Plan
from wsroute.dependencies.signature import LocalNames
from wsroute.dependencies.solver import Solver
from wsroute.exceptions import AnnotationError, Location
from wsroute.routing.applications import BelowApplications, dependencies_of
from wsroute.routing.endpoint import InjectedEndpoint, check_endpoint
from wsroute.routing.index import decided_by_path_regex
from wsroute.routing.interceptors import methods_of
from wsroute.routing.layers import (
    Dependencies,
    ExceptionHandlers,
    Layer,
    MessageLevel,
    Reject,
    check_layer,
    fold,
    read_layer,
)
from wsroute.routing.listeners import (
    analysis_of_listeners,
    check_options_fit,
    codec_of,
    layers_of,
    read_listener,
    speaking,
)
from wsroute.routing.middleware import wrapped
from wsroute.routing.origins import Origins
from wsroute.routing.paths import CompiledPath, check_not_empty, compile_route_path, route_path
from wsroute.routing.permissions import instances_of
from wsroute.routing.serving import ServingRoute
from wsroute.routing.standalone import serve_alone
from wsroute.wire.runtime import RUNTIME
from wsroute.wire.socket import socket_class

if TYPE_CHECKING:
    from wsroute.dependencies.conversations import Listener
    from wsroute.messages.codec import Codec
    from wsroute.routing.limits import MaxConnections

# Looked up for every connection; of an enumeration, that is slow before Python 3.12.
_FULL = Match.FULL


class APIWebSocketRoute(ServingRoute):
    """A WebSocket route whose endpoint declares in its signature what it needs.

    It is used in `Starlette(routes=[...])`, in the routes of a FastAPI application's router, in a `WebSocketRouter`, or
    alone as an ASGI application.

    Args:
        path: The path, with parameters as in Starlette: `/rooms/{room_id}`, `/items/{item_id:int}`.
        endpoint: A coroutine function, or another callable that returns a coroutine; or a subclass of
            `WebSocketListener`.
        name: The name for `url_path_for`. Default: the name of the endpoint.
        dependencies: Dependencies that run before those of the endpoint, for their effect: `[Depends(require_user)]`;
            or what is provided by name: `{"user": Inject(current_user)}`; or a sequence of both.
        dependency_overrides_provider: An object with a mapping `dependency_overrides`, such as a FastAPI application.
            The routers above the route, and the application in the scope, are asked as well.
        middleware: ASGI middleware around its connections: classes, or `Middleware(...)` of Starlette.
        permissions: What is asked before the dependencies: see `BasePermission`.
        interceptors: What runs around permissions, dependencies and endpoint: see `BaseInterceptor`.
        exception_handlers: Handlers `handler(websocket, exc)` by class of the exception, HTTP status or close code.
        reject: How a connection is refused before it was accepted. `"denial"`, the default, sends an HTTP response
            with status and body; `"close"` sends a close code, of which clients see a bare 403; `"accept"` accepts
            and closes at once, so that a browser's script can read the code.
        close_timeout: How long, in seconds, each frame that wsroute sends to end a connection may take; a peer that
            stopped reading would block it for ever. Default 5.
        send_timeout: How long, in seconds, the client may take for each frame that it is sent; one that takes longer
            counts as gone, and the connection ends for the application. Default: no limit.
        allowed_origins: The pages that may open a connection: `"same-origin"`, the default, for those that come from
            where the connection goes to; a list of origins, `["https://app.example", "same-origin"]`; or `"*"`. Others
            are refused with 403 before anything else runs. Who sends no Origin is no browser, and may.
        max_connections: How many connections may be open at once: a number, or `ConnectionLimit(5, key=...)` for each
            user or address, or a list of both. Others are refused with 503 or 429. Default: no limit.
        options: Of a listener, how it takes messages; see `WebSocketRouter.listener`.

    Attributes:
        path, endpoint, name, dependencies, path_regex, path_format, param_convertors, app: As in Starlette and FastAPI.
        dependant: The tree of what the endpoint needs.
        plan: What happens on a connection, in order; `plan.explain()` prints it.
        source: The source of the function that does it.

    Raises:
        DependencyError: The declaration cannot work. What an outer level may still cure is reported when the route is
            bound: when its router is attached, started or checked, or when the first connection is matched.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any] | Listener,
        *,
        name: str | None = None,
        dependencies: Dependencies | None = None,
        dependency_overrides_provider: Any | None = None,
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
    ) -> None:
        listener = read_listener(endpoint)
        call = cast("Callable[..., Any]", endpoint) if listener is None else listener.subject
        check_endpoint(call, path)
        location = Location(path, (describe(call),))
        if options:
            check_options_fit(listener, options, location)
        layer = read_layer(
            location,
            path=path,
            dependencies=dependencies,
            dependency_overrides_provider=dependency_overrides_provider,
            middleware=middleware,
            permissions=permissions,
            interceptors=interceptors,
            exception_handlers=exception_handlers,
            reject=reject,
            close_timeout=close_timeout,
            send_timeout=send_timeout,
            allowed_origins=allowed_origins,
            max_connections=max_connections,
            names=LocalNames(sys._getframe(1)),
            **options,
        )
        layers = (layer, *layers_of(listener, layer.names, layer.options))
        self._set_up(call, short_name(call) if name is None else name, layers, listener=listener)
        try:
            for level in layers:
                if level.provides or level.has_guards:
                    check_layer(level, location, effects=False)
            self.declare()
        finally:
            layer.names.release()

    @classmethod
    def folded(
        cls,
        endpoint: Callable[..., Any],
        name: str,
        layers: tuple[Layer, ...],
        given: tuple[Given, ...] = (),
        listener: Listener | None = None,
    ) -> APIWebSocketRoute:
        """A route of declarations that have been read and checked.

        Args:
            endpoint: The endpoint.
            name: Its own name.
            layers: The levels above it, and its own, outermost first.
            given: What the first parameters of the endpoint get.
            listener: What the endpoint consists of, if it is a listener.
        """
        route = object.__new__(cls)
        route._set_up(endpoint, name, layers, given, listener)
        return route

    def _set_up(
        self,
        endpoint: Callable[..., Any],
        name: str,
        layers: tuple[Layer, ...],
        given: tuple[Given, ...] = (),
        listener: Listener | None = None,
        like: APIWebSocketRoute | None = None,
    ) -> None:
        folded = fold(layers)
        self._layers = layers
        self._folded = folded
        self._call = endpoint
        self._given = given
        self._listener = listener
        self._codec: Codec | None = None
        self._own_name = name
        same = like if like is not None and like.path == folded.path else None
        self._location: Location = same._location if same else Location(folded.path, (describe(endpoint),))
        self._providers = folded.providers
        self._policy = folded.policy
        self._declared: Dependant | None = None
        self._bound: Solver | None = None
        self.path = folded.path
        self.name = f"{folded.name}:{name}" if folded.name else name
        self.endpoint = InjectedEndpoint(endpoint) if like is None else like.endpoint
        self.dependencies = list(folded.dependencies)
        self._choose_app()
        self._compiled_path: CompiledPath = (
            same._compiled_path if same else compile_route_path(folded.path, self._location)
        )
        self.path_format, self.param_convertors = self._compiled_path.format, self._compiled_path.convertors

    @property
    def path_regex(self) -> re.Pattern[str]:  # type: ignore[override]  # nobody is to put another one there
        """What decides whether a path is one of this route."""
        return self._compiled_path.regex

    def declare(self) -> None:
        """Report whatever no outer level can cure, and keep the tree, if none of them can change it.

        Raises:
            DependencyError: The declaration cannot work.
        """
        try:
            tree = self._analyse((), (), None, final=False)
        except Undecided:
            return
        try:
            self._codec = codec_of(tree.conversation)
        except AnnotationError:
            return  # a model may name what is defined later
        if not (self._folded.interceptors or self._folded.permissions):
            self._declared = tree

    def is_below(self, layer: Layer) -> bool:
        """Whether a level is one of those above it."""
        return any(one is layer for one in self._layers)

    def below(self, *layers: Layer) -> APIWebSocketRoute:
        """The same declaration below further levels, as a route of its own.

        Args:
            layers: The levels, outermost first.
        """
        route = object.__new__(type(self))
        route._set_up(self._call, self._own_name, (*layers, *self._layers), self._given, self._listener, self)
        # The tree stays what it is where nothing has changed that it depends on.
        if route.path == self.path and not any(layer.changes_tree for layer in layers):
            route._declared, route._codec = self._declared, self._codec
        return route

    def within(self, application: Any) -> APIWebSocketRoute:
        """This route as an application serves it: below what `FastAPI(dependencies=[...])` says.

        Args:
            application: The application.

        Raises:
            DependencyError: These dependencies cannot work before it.
        """
        dependencies = dependencies_of(application)
        if not dependencies:
            return self
        if self._below_applications is None:
            self._below_applications = BelowApplications(self._variant)
        within: APIWebSocketRoute = self._below_applications.get(dependencies)
        return within

    def _variant(self, layer: Layer) -> APIWebSocketRoute:
        route = self.below(layer)
        route.refuse(self._refusal)
        return route

    @property
    def dependant(self) -> Dependant:
        """The tree of what the endpoint needs. Binds the route."""
        return self.bind().program.dependant

    @property
    def plan(self) -> Plan:
        """What happens on a connection, without overrides. Binds the route."""
        return self.bind().program.plan

    @property
    def source(self) -> str:
        """The source of the function that does it. Binds the route."""
        return self.bind().program.source

    @property
    def override_providers(self) -> tuple[Any, ...]:
        """The objects whose `dependency_overrides` a connection passes, nearest first; the application's comes last."""
        return self._providers

    @override_providers.setter
    def override_providers(self, providers: tuple[Any, ...]) -> None:
        self._providers = providers

    @property
    def provided_names(self) -> tuple[str, ...]:
        """The names by which its levels provide dependencies."""
        return tuple(self._folded.provides.names())

    def bind(self) -> Solver:
        """Decide everything that the levels above may decide; later calls return what the first one has decided.

        Raises:
            DependencyError: The declaration cannot work.
        """
        if self._bound is None:
            check_not_empty(self.path, self._location)
            # Instances of its own: nothing that they keep is shared with another route.
            interceptors = methods_of(self._folded.interceptors)
            permissions = instances_of(self._folded.permissions)
            build = partial(self._analyse, interceptors, permissions)
            tree = self._declared or build(None)
            runtime = speaking(RUNTIME, tree.conversation, self._codec, self._folded.options)
            solver = Solver(build, runtime, tree)
            self._stack = wrapped(self._serve_inside, self._folded.middleware)
            self._socket_class = socket_class(solver.program.websocket_class)
            if self._folded.middleware:
                # Who relays to another session leaves it to that one to handle errors, and sees every frame itself.
                self._outer_policy = self._policy._replace(handlers=())
                self._policy = self._policy._replace(send_timeout=None)
            self._bound = solver
        return self._bound

    def _analyse(
        self,
        interceptors: tuple[Any, ...],
        permissions: tuple[Any, ...],
        overrides: Overrides | None,
        *,
        final: bool = True,
    ) -> Dependant:
        folded = self._folded
        arguments = self.path, folded.names, overrides, final, folded.provides
        effects = folded.dependencies
        if self._listener is not None:
            return analysis_of_listeners()(*arguments).listener(
                self._listener, effects, interceptors=interceptors, permissions=permissions
            )
        return Analysis(*arguments).endpoint(
            self._call, effects, given=self._given, interceptors=interceptors, permissions=permissions
        )

    @decided_by_path_regex
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether this route is the one for a connection.

        Args:
            scope: The scope of a connection.

        Returns:
            `Match.FULL` and what to update the scope with: `endpoint` (the function), `path_params`, and `route` (this
            route); or `Match.NONE` and nothing.

        Raises:
            DependencyError: It is the first call, and the declaration cannot work.
        """
        if scope["type"] != "websocket":
            return Match.NONE, {}
        if self._bound is None:
            self.bind()
        return self.match_path(route_path(scope), scope)

    def match_path(self, path: str, scope: Scope) -> tuple[Match, Scope]:
        """The same for a path that has been read from the scope of a WebSocket already."""
        path_params = {**scope["path_params"]} if "path_params" in scope else {}
        if self.param_convertors or path != self.path:
            match = self.path_regex.match(path)
            if match is None:
                return Match.NONE, {}
            try:
                for name, convertor in self.param_convertors.items():
                    path_params[name] = convertor.convert(match[name])
            except ValueError:
                # What a convertor cannot convert, such as a number of more digits than Python reads, is no such path.
                return Match.NONE, {}
        return _FULL, {"endpoint": self._call, "path_params": path_params, "route": self}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as the ASGI application."""
        await serve_alone(self, scope, receive, send, lifespan=self._lifespan, policy=self._policy)

    @asynccontextmanager
    async def _lifespan(self, app: Any) -> AsyncIterator[dict[str, Any]]:
        async with application_values((self.within(app).dependant,)) as state:
            yield state
