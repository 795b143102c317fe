"""One route: an endpoint with everything it needs, as a route of Starlette."""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.routing import Match, WebSocketRoute
from starlette.types import Receive, Scope, Send

from wsroute.dependencies.analysis import Analysis, Overrides, Undecided
from wsroute.dependencies.callables import describe, identity, short_name, show
from wsroute.dependencies.models import Dependant
from wsroute.dependencies.plan import Plan
from wsroute.dependencies.signature import LocalNames
from wsroute.dependencies.solver import Solver, visible_overrides
from wsroute.exceptions import EndpointError, Location, UninjectedEndpointError
from wsroute.routing.index import decided_by_path_regex
from wsroute.routing.layers import Layer, Reject, fold, in_order
from wsroute.routing.paths import check_not_empty, compile_route_path, route_path
from wsroute.routing.standalone import serve_alone
from wsroute.wire.policy import Policy
from wsroute.wire.runtime import RUNTIME
from wsroute.wire.session import session
from wsroute.wire.socket import Socket, socket_class


class APIWebSocketRoute(WebSocketRoute):
    """A WebSocket route whose endpoint declares in its signature what it needs.

    It is used in `Starlette(routes=[...])`, in the routes of a FastAPI application's router, in a `WebSocketRouter`, or
    alone as an ASGI application.

    Args:
        path: The path, with parameters as in Starlette: `/rooms/{room_id}`, `/items/{item_id:int}`.
        endpoint: A coroutine function, or another callable that returns a coroutine.
        name: The name for `url_path_for`. Default: the name of the endpoint.
        dependencies: Dependencies that run before those of the endpoint, for their effect: `[Depends(require_user)]`.
        dependency_overrides_provider: An object with a mapping `dependency_overrides`, such as a FastAPI application.
            The routers above the route, and the application in the scope, are asked as well.
        reject: How a connection is refused before it was accepted. `"denial"`, the default, sends an HTTP response
            with status and body; `"close"` sends a close code, of which clients see a bare 403; `"accept"` accepts
            and closes at once, so that a browser's script can read the code.
        close_timeout: How long, in seconds, each frame that wsroute sends to end a connection may take; a peer that
            stopped reading would block it for ever. Default 5.

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
        endpoint: Callable[..., Any],
        *,
        name: str | None = None,
        dependencies: Sequence[Any] | None = None,
        dependency_overrides_provider: Any | None = None,
        reject: Reject | None = None,
        close_timeout: float | None = None,
    ) -> None:
        if not callable(endpoint):
            raise EndpointError(
                Location(path),
                problem=f"the endpoint {show(endpoint)} cannot be called",
                expected="a coroutine function",
                remedy="hand over the function itself",
            )
        providers = () if dependency_overrides_provider is None else (dependency_overrides_provider,)
        listed = in_order(dependencies, Location(path, (describe(endpoint),)))
        names = LocalNames(sys._getframe(1))
        layer = Layer(path, listed, providers, reject, close_timeout, names)
        self._set_up(endpoint, short_name(endpoint) if name is None else name, (layer,))
        self._declared = self._declare(names)

    def _set_up(
        self, endpoint: Callable[..., Any], name: str, layers: tuple[Layer, ...], like: APIWebSocketRoute | None = None
    ) -> None:
        folded = fold(layers)
        self._layers = layers
        self._call = endpoint
        self._names = folded.names
        self._location = Location(folded.path, (describe(endpoint),))
        self._providers = folded.providers
        self._policy = folded.policy
        self._bound: Solver | None = None
        self.path = folded.path
        self.name = name
        self.endpoint = InjectedEndpoint(endpoint)
        self.dependencies = list(folded.dependencies)
        self.app = self._serve
        if like is not None and like.path == folded.path:
            compiled = (like.path_regex, like.path_format, like.param_convertors)
        else:
            compiled = compile_route_path(folded.path, self._location)
        self.path_regex, self.path_format, self.param_convertors = compiled

    def _declare(self, names: LocalNames) -> Dependant | None:
        """Report whatever no outer level can cure; the tree, if none of them can change it."""
        try:
            return Analysis(self.path, names, final=False).endpoint(self._call, self.dependencies)
        except Undecided:
            return None
        finally:
            names.release()

    def below(self, *layers: Layer) -> APIWebSocketRoute:
        """The same declaration below further levels, as a route of its own.

        Args:
            layers: The levels, outermost first.
        """
        route = object.__new__(type(self))
        route._set_up(self._call, self.name, (*layers, *self._layers), self)
        # The tree stays what it is where nothing has changed that it depends on.
        same = route.path == self.path and not any(layer.dependencies for layer in layers)
        route._declared = self._declared if same else None
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

    def bind(self) -> Solver:
        """Decide everything that the levels above may decide; later calls return what the first one has decided.

        Raises:
            DependencyError: The declaration cannot work.
        """
        if self._bound is None:
            check_not_empty(self.path, self._location)
            self._bound = Solver(self._analyse, RUNTIME, self._declared)
        return self._bound

    def _analyse(self, overrides: Overrides | None) -> Dependant:
        return Analysis(self.path, self._names, overrides).endpoint(self._call, self.dependencies)

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
        return Match.FULL, {"endpoint": self._call, "path_params": path_params, "route": self}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as the ASGI application."""
        await serve_alone(self, scope, receive, send, lifespan=self._lifespan, policy=self._policy)

    @asynccontextmanager
    async def _lifespan(self, app: Any) -> AsyncIterator[None]:
        # A server does not start with a route that cannot work.
        self.bind()
        yield

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection that has been matched."""
        await self.app(scope, receive, send)

    def _serve(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        solver = self._bound or self.bind()
        overrides = visible_overrides(self._providers, scope.get("app"))
        program = solver.select(overrides) if overrides else solver.program
        websocket = socket_class(program.websocket_class)(scope, receive, send)
        return session(websocket, program.run, self._policy)


class InjectedEndpoint:
    """Stands for an endpoint in `route.endpoint`: compares and hashes like it, and does not let itself be called.

    A framework that rebuilds a route from its endpoint would call the endpoint without its dependencies. It calls this
    object instead, as an ASGI application, and the connection is refused.

    Args:
        endpoint: The endpoint.
    """

    def __init__(self, endpoint: Callable[..., Any]) -> None:
        functools.update_wrapper(self, endpoint)
        self.__wrapped__ = endpoint

    def __eq__(self, other: object) -> bool:
        other = other.__wrapped__ if isinstance(other, InjectedEndpoint) else other
        return bool(self.__wrapped__ == other)

    def __hash__(self) -> int:
        return hash(identity(self.__wrapped__))

    def __repr__(self) -> str:
        return f"<{describe(self.__wrapped__)}, injected by wsroute>"

    async def __call__(self, *args: Any, **kwargs: Any) -> None:
        error = UninjectedEndpointError(describe(self.__wrapped__))
        if kwargs or len(args) != 3 or not isinstance(args[0], dict) or args[0].get("type") != "websocket":
            raise error
        await session(Socket(*args), functools.partial(_refuse, error), Policy())


async def _refuse(error: Exception, websocket: Socket) -> None:
    raise error
