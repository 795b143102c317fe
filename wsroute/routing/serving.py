"""How a route serves its connections: who is let in, behind which middleware, and by which program."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from functools import partial
from typing import Any, NoReturn, Self, TypeAlias

from starlette.exceptions import HTTPException
from starlette.routing import Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from wsroute.dependencies.solver import Solver, visible_overrides
from wsroute.routing.applications import BelowApplications
from wsroute.routing.layers import Folded
from wsroute.routing.origins import refuse_origin
from wsroute.wire.policy import Policy
from wsroute.wire.session import session
from wsroute.wire.socket import Socket, socket_class

_Serve: TypeAlias = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]


class ServingRoute(WebSocketRoute):
    """A route, as far as it serves.

    A connection comes in by `app`, which is chosen when the route is made: so what a route does not have, such as
    limits, costs its connections nothing.
    """

    _below_applications: BelowApplications | None = None
    # What refuses all connections, while they are refused.
    _refusal: Callable[[], HTTPException] | None = None
    _folded: Folded
    _providers: tuple[Any, ...]
    _policy: Policy
    # Decided when the route is bound.
    _bound: Solver | None
    _outer_policy: Policy
    _stack: ASGIApp
    _socket_class: type[Socket]

    @abstractmethod
    def bind(self) -> Solver:
        """Decide everything that the levels above may decide."""

    @abstractmethod
    def within(self, application: Any) -> Self:
        """This route as an application serves it."""

    def _choose_app(self) -> None:
        """Choose how a connection comes in."""
        folded = self._folded
        # No more than one of them is kept beside `app`: each bound method is an object of its own.
        self._allowed_app: _Serve = self._serve_counted if folded.limits else self._inner_app()
        self.app = self._allowed_app if folded.origins.every else self._serve_allowed

    def _inner_app(self) -> _Serve:
        return self._serve_behind if self._folded.middleware else self._serve

    def handle(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve a connection that has been matched."""
        # Without `async`, as every coroutine on the way has its part in every message.
        app = scope.get("app")
        # Most applications have Starlette's own router, which knows of no dependencies.
        route = self if type(getattr(app, "router", None)) is Router else self.within(app)
        return route.app(scope, receive, send)  # type: ignore[return-value]  # an ASGI application is a coroutine function

    def _serve_allowed(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve who may open a connection, and refuse a page that may not, before anything of the levels runs."""
        for name, _ in scope["headers"]:
            if name == b"origin" and not self._folded.origins.allows(scope):
                break
        else:  # most are no browsers, or come from where they go to
            return self._allowed_app(scope, receive, send)
        return self._refuse_with(refuse_origin, scope, receive, send)

    async def _serve_counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as many connections as all levels allow."""
        with ExitStack() as held:
            try:
                for limit in self._folded.limits:
                    held.enter_context(limit.held(scope))
            except HTTPException as error:
                refusal = error
            else:
                await self._inner_app()(scope, receive, send)
                return
        # Who is refused counts nowhere any more while it is told so.
        await self._refuse_with(refusing(lambda: refusal), scope, receive, send)

    def refuse(self, make_error: Callable[[], HTTPException] | None) -> None:
        """Refuse all connections from now on, also those that are in the middleware of a level.

        Args:
            make_error: Makes what one is refused with; `None` to serve them again.
        """
        self._refusal = make_error
        if make_error is None:
            self._choose_app()
        else:
            self.app = partial(self._refuse_with, refusing(make_error))
        if self._below_applications is not None:
            for route in self._below_applications.routes():
                route.refuse(make_error)

    def _refuse_with(
        self, refuse: Callable[[Socket], Awaitable[NoReturn]], scope: Scope, receive: Receive, send: Send
    ) -> Coroutine[Any, Any, None]:
        """Refuse a connection before anything of the levels runs."""
        return session(Socket(scope, receive, send), refuse, self._policy._replace(handlers=()))

    def _serve(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        solver = self._bound or self.bind()
        scope["route"] = self  # which whoever has matched it need not have handed on
        overrides = visible_overrides(self._providers, scope.get("app"))
        if not overrides:  # as in all applications but those that are tested
            return session(self._socket_class(scope, receive, send), solver.program.run, self._policy)
        program = solver.select(overrides)
        websocket = socket_class(program.websocket_class)(scope, receive, send)
        return session(websocket, program.run, self._policy)

    async def _serve_behind(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve behind the middleware of all levels, in a session that ends what middleware leaves open."""
        self.bind()
        websocket = Socket(scope, receive, send)
        websocket.has_inner_session = True
        await session(websocket, self._run_middleware, self._outer_policy)

    def _serve_inside(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve what has come through the middleware, unless all are refused since it went in."""
        serve = self._serve if self._refusal is None else self.app
        return serve(scope, receive, send)  # type: ignore[return-value]  # as in handle()

    async def _run_middleware(self, websocket: Socket) -> None:
        await self._stack(websocket.scope, websocket.receive, websocket.send)


def refusing(make_error: Callable[[], HTTPException]) -> Callable[[Socket], Awaitable[NoReturn]]:
    """What refuses connections.

    Args:
        make_error: Makes the error that does; a new one for each, since an error keeps what it went through.
    """

    async def refuse(websocket: Socket) -> NoReturn:
        raise make_error()

    return refuse
