"""A router or a route as the ASGI application: what an application around it would otherwise do."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from wsroute.exceptions import RouterError
from wsroute.wire.policy import Policy
from wsroute.wire.session import session
from wsroute.wire.socket import Socket

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


async def serve_alone(
    route: BaseRoute, scope: Scope, receive: Receive, send: Send, *, lifespan: Lifespan, policy: Policy
) -> None:
    """Serve whatever a server asks of an ASGI application.

    Args:
        route: The router or route.
        scope, receive, send: As in the ASGI specification.
        lifespan: What runs around the life of the application.
        policy: How a connection to an unknown path is refused.
    """
    if scope["type"] == "lifespan":
        await _run_lifespan(lifespan, scope, receive, send)
        return
    match, child_scope = route.matches(scope)
    if match is not Match.NONE:
        scope.update(child_scope)
        await route.handle(scope, receive, send)
    elif scope["type"] == "http":
        await _answer_http(route, scope, receive, send)
    else:
        await session(Socket(scope, receive, send), _not_found, policy)


async def _not_found(websocket: Socket) -> None:
    raise HTTPException(404)


async def _answer_http(route: BaseRoute, scope: Scope, receive: Receive, send: Send) -> None:
    match, _ = route.matches({**scope, "type": "websocket"})
    if match is Match.NONE:
        response = PlainTextResponse("Not Found", 404)
    else:
        # RFC 9110, section 15.5.22: the response names what to upgrade to.
        response = PlainTextResponse("Upgrade Required", 426, {"Connection": "Upgrade", "Upgrade": "websocket"})
    await response(scope, receive, send)


async def _run_lifespan(lifespan: Lifespan, scope: Scope, receive: Receive, send: Send) -> None:
    """The lifespan protocol (ASGI spec, "Lifespan Protocol")."""
    phase = "startup"
    await receive()
    try:
        async with lifespan(scope.get("app")) as state:
            if state:
                _share(state, scope)
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()
    except BaseException:
        await send({"type": f"lifespan.{phase}.failed", "message": traceback.format_exc()})
        raise
    await send({"type": "lifespan.shutdown.complete"})


def _share(state: Mapping[str, Any], scope: Scope) -> None:
    if "state" not in scope:
        raise RouterError("the lifespan gives state, and the server does not take any: it has no lifespan state.")
    scope["state"].update(state)


@asynccontextmanager
async def no_lifespan(app: Any) -> AsyncIterator[None]:
    """Nothing happens around the life of the application."""
    yield
