"""Several routes as one: found by their paths, and served as a route of Starlette or as an ASGI application."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from wsroute.routing.index import candidates_in
from wsroute.routing.lifespans import running
from wsroute.routing.paths import route_path
from wsroute.routing.route import APIWebSocketRoute
from wsroute.routing.standalone import Lifespan, no_lifespan, serve_alone
from wsroute.wire.policy import Policy

# Looked up for every connection; of an enumeration, that is slow before Python 3.12.
_FULL = Match.FULL


class RouteTable(BaseRoute):
    """What holds routes: a route that matches what one of them matches.

    Args:
        lifespan: What runs around the life of the application, for this table alone.
    """

    _policy: Policy

    def __init__(self, lifespan: Lifespan = no_lifespan) -> None:
        self.own_lifespan = lifespan
        self._forget()

    if not TYPE_CHECKING:  # pragma: no branch  # for a type checker, it would make any attribute right

        def __getattr__(self, name: str) -> NoReturn:
            kind = type(self).__name__
            raise AttributeError(
                f"{name!r} is no attribute of a {kind}. If FastAPI's include_router() has asked for it: plug a router "
                "in with router.attach(app), and put a gateway into WebSocketRouter(routes=[gateway]).",
                name=name,
                obj=self,
            )

    def _forget(self) -> None:
        """The routes have changed."""
        self._candidates: Callable[[str], Sequence[BaseRoute]] | None = None
        self._checked = False

    @property
    @abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """The effective routes, with their whole paths and all that the levels above them add."""

    def included(self) -> Iterable[RouteTable]:
        """The tables that this one includes, in order."""
        return ()

    def lifespan(self, app: Any) -> AbstractAsyncContextManager[Any]:
        """What runs around the life of the application, of this table and of those that it includes.

        A server does not start with a declaration that cannot work.

        Args:
            app: The application.
        """
        return running((self,), app)

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
        candidates = self._candidates
        if candidates is None:
            candidates = self._candidates = candidates_in(self.routes)
        path = route_path(scope)
        partial: tuple[Match, Scope] | None = None
        for route in candidates(path):
            if type(route) is not APIWebSocketRoute:  # a subclass may have matches() of its own
                match, child_scope = route.matches(scope)
                child_scope = {"route": route, **child_scope}
            elif is_socket:
                match, child_scope = route.match_path(path, scope)
            else:
                continue
            if match is _FULL:
                return match, child_scope
            if match is Match.PARTIAL and partial is None:
                partial = match, child_scope
        return partial or (Match.NONE, {})

    # Serving

    def handle(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve a connection that has been matched."""
        # Without `async`, as every coroutine on the way has its part in every message.
        route = scope.get("route")
        if route is self or not isinstance(route, BaseRoute):
            # Whatever matched has not handed on which route it was.
            return self(scope, receive, send)
        return route.handle(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as the ASGI application."""
        await serve_alone(self, scope, receive, send, lifespan=self.lifespan, policy=self._policy)
