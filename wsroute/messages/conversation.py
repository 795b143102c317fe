"""How a conversation begins and ends, whatever it consists of in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from anyio import CancelScope
from starlette.websockets import WebSocketState

from wsroute.wire.endings import GOING_AWAY, NORMAL_CLOSURE, RESTART, ending_of, essence, is_departure
from wsroute.wire.frames import sendable_reason
from wsroute.wire.socket import Socket

OnDisconnect: TypeAlias = Callable[[int, str], Awaitable[None]]


@asynccontextmanager
async def accepted(websocket: Socket, on_disconnect: OnDisconnect | None) -> AsyncIterator[None]:
    """Accept a connection, unless a dependency has, and tell when it has ended: once, whatever happens.

    Args:
        websocket: The WebSocket.
        on_disconnect: What is told the code and the reason; it is shielded from cancellation.
    """
    if websocket.application_state is WebSocketState.CONNECTING:
        await websocket.accept()
    ending: BaseException | None = None
    try:
        yield
    except BaseException as exc:
        ending = exc
        raise
    finally:
        if on_disconnect is not None:
            websocket.is_closing = True
            with CancelScope(shield=True):
                await on_disconnect(*_end_of(websocket, ending))
        del ending


def _end_of(websocket: Socket, ending: BaseException | None) -> tuple[int, str]:
    """The code and the reason with which a connection has ended, or is about to."""
    if websocket.end is not None:
        return websocket.end
    if ending is None:
        return NORMAL_CLOSURE, ""
    if not isinstance(ending, Exception):
        found = RESTART if websocket.is_cut_off else GOING_AWAY
        return found.code, found.reason
    exc = essence(ending, ended=websocket.ended)
    if is_departure(exc, ended=websocket.ended):
        # Of another connection, which the application has handed on: this one ends as if it had returned.
        return NORMAL_CLOSURE, ""
    found = ending_of(exc)
    return found.code, sendable_reason(found.reason)
