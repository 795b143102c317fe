"""How a conversation begins and ends, whatever it consists of in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, TypeAlias

from anyio import CancelScope, move_on_after
from anyio.abc import TaskGroup
from starlette.websockets import WebSocketState

from wsroute.dependencies.exits import EndpointTasks
from wsroute.wire.endings import GOING_AWAY, NORMAL_CLOSURE, RESTART, ending_of, essence, is_departure
from wsroute.wire.frames import sendable_reason
from wsroute.wire.socket import Socket

#: What is known of the end of a peer that is gone (RFC 6455, section 7.1.5), and has sent no close that was read.
_LOST = (1006, "")
#: How long, in seconds, a server may take to tell that a peer is gone which it has let a send know of.
_SOON = 0.1

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
                await _read_end(websocket)
                await on_disconnect(*_end_of(websocket, ending))
        del ending


def running(tasks: TaskGroup | None) -> AbstractAsyncContextManager[Any]:
    """The tasks of the handlers, which end with the conversation.

    Args:
        tasks: The task group, which has not begun, if there is one.
    """
    return nullcontext() if tasks is None else EndpointTasks(tasks)


async def _read_end(websocket: Socket) -> None:
    """Read how the peer has left, if it was a send that has found it gone, which knows no code and no reason."""
    if not websocket.ended or websocket.client_state is not WebSocketState.CONNECTED or websocket.end != _LOST:
        return
    with move_on_after(_SOON):
        while websocket.client_state is WebSocketState.CONNECTED:
            await websocket.receive()


def _end_of(websocket: Socket, ending: BaseException | None) -> tuple[int, str]:
    """The code and the reason with which a connection has ended, or is about to."""
    if websocket.end is not None:
        return websocket.end
    if ending is not None and not isinstance(ending, Exception):
        found = RESTART if websocket.is_cut_off else GOING_AWAY
        return found.code, found.reason
    exc = None if ending is None else essence(ending, ended=websocket.ended)
    if exc is None or is_departure(exc, ended=websocket.ended):
        # Of another connection, which the application has handed on: this one ends as if it had returned.
        return NORMAL_CLOSURE, ""
    found = ending_of(exc)
    return found.code, sendable_reason(found.reason)
