"""What generated code calls of a connection, and resolving dependencies outside of a route."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Any

from starlette.responses import Response
from starlette.websockets import WebSocket

from wsroute.dependencies.analysis import Analysis
from wsroute.dependencies.callables import describe
from wsroute.dependencies.lifetimes import check_outlives_messages
from wsroute.dependencies.markers import DependsMarker
from wsroute.dependencies.models import Dependant
from wsroute.dependencies.nodes import Overrides
from wsroute.dependencies.runtime import Runtime
from wsroute.dependencies.solver import Solver, visible_overrides
from wsroute.exceptions import InvalidParameterError, Location
from wsroute.wire.handshake import request_view
from wsroute.wire.session import finish, run_background
from wsroute.wire.socket import Socket


def handshake_response(websocket: WebSocket) -> Response:
    """The response whose headers and cookies go out with the accept, or with the refusal.

    A WebSocket that is not one of a route, as `solve_dependencies` may be given, sends nothing of it.
    """
    if not isinstance(websocket, Socket):
        return Response()
    if websocket.handshake_response is None:
        websocket.handshake_response = Response()
    return websocket.handshake_response


RUNTIME = Runtime(
    request_view=request_view,
    handshake_response=handshake_response,
    finish=finish,
    run_background=run_background,
)


@asynccontextmanager
async def solve_dependencies(
    websocket: WebSocket, dependant: Dependant, *, dependency_overrides_provider: Any | None = None
) -> AsyncIterator[dict[str, Any]]:
    """Resolve the dependencies of a callable, as a route would, without calling it.

    Args:
        websocket: The connection.
        dependant: The tree, from `get_dependant`.
        dependency_overrides_provider: An object with a mapping `dependency_overrides`.

    Returns:
        An asynchronous context manager: inside of it, the arguments for `dependant.call` by name; at its end, all
        dependencies with `yield` are closed.

    Raises:
        WebSocketRequestValidationError: The handshake does not carry what is declared.
        DependencyError: An override cannot work, or the tree is that of a listener, of something that lives for one
            message, or of a route whose levels add something.
    """
    if dependant.effects or dependant.interceptors or dependant.permissions or dependant.conversation:
        # They would be left out, and a permission that is left out is no permission.
        raise InvalidParameterError(
            dependant.location,
            problem="the tree is that of a route, and what its levels run belongs to the route's own connections",
            expected="the tree of a callable alone",
            remedy="write get_dependant(path=..., call=...), or let the route serve the connection",
        )
    check_outlives_messages(
        dependant,
        what=f"{describe(dependant.call)} is resolved outside of a listener, and",
        remedy="let a listener resolve it",
    )
    program = _solver_of(dependant).select(visible_overrides((), dependency_overrides_provider))
    async with program.solve(websocket) as values:
        yield values


@lru_cache
def _solver_of(dependant: Dependant) -> Solver:
    return Solver(partial(_rebuild, dependant.call, dependant.path or "/"), RUNTIME, dependant)


def _rebuild(call: Callable[..., Any], path: str, overrides: Overrides | None) -> Dependant:
    return Analysis(path, overrides=overrides).dependency(DependsMarker(call), None, Location(path))
