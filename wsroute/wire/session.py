"""One connection from its first message to its end: whatever happens, the client is told, once and legally.

What it is told stands in `wsroute.wire.endings`; this module decides when, and sends it.
"""

from __future__ import annotations

import logging
from asyncio import Task, get_running_loop
from collections.abc import Awaitable, Callable
from functools import partial
from sys import modules
from threading import get_ident

import anyio
from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect, WebSocketState

from wsroute.wire.connections import OPEN, ended
from wsroute.wire.endings import FAILED, GOING_AWAY, REFUSED, RESTART, Ending, ending_of, essence, is_departure
from wsroute.wire.handlers import call_handler, find_handler
from wsroute.wire.handshake import can_deny, denial
from wsroute.wire.policy import Policy
from wsroute.wire.socket import Socket, StateError

__all__ = ["Policy", "finish", "run_background", "session"]

#: How long, in seconds, a frame that ends a connection may take if there is no more time.
CUT_OFF_TIMEOUT = 1.0

# Looked up for every connection.
_CONNECTED = WebSocketState.CONNECTED
_DISCONNECTED = WebSocketState.DISCONNECTED

logger = logging.getLogger("wsroute")


async def session(websocket: Socket, run: Callable[[Socket], Awaitable[None]], policy: Policy) -> None:
    """Run a connection, and end it if nothing else did.

    Args:
        websocket: The WebSocket of the connection.
        run: What the connection is for. It may call `finish()` itself if it has clean-up to do after the end.
        policy: How the route wants its connections to end.

    Raises:
        Exception: What `run` raised, if no handler took it and it is a bug, so that the server logs it.
    """
    if "trio" in modules and websocket.canceller is None and not _runs_in_asyncio():
        # Of asyncio's tasks, the one that runs this can be found when it has to be cancelled.
        with anyio.CancelScope() as websocket.canceller:
            await session(websocket, run, policy)
        return
    if not websocket.has_inner_session:
        OPEN[websocket] = get_ident()
    websocket.ending_policy = policy
    if policy.send_timeout is not None:
        run = partial(_run_while_sends_are_taken, run, policy.send_timeout)
    try:
        try:
            await run(websocket)
        except Exception as exc:
            if await _settle(websocket, exc):
                raise
        else:
            if websocket.client_state is not _DISCONNECTED or websocket.application_state is not _CONNECTED:
                await finish(websocket)
    except (Exception, GeneratorExit):
        raise
    except BaseException:
        if websocket.is_cut_off:
            await _end(websocket, RESTART)
        elif websocket.application_state is _CONNECTED:
            await _end(websocket, GOING_AWAY)
        if not _was_cut_off_alone(websocket):
            raise
    finally:
        ended(websocket)


def _runs_in_asyncio() -> bool:
    try:
        get_running_loop()
    except RuntimeError:
        return False
    return True


def _was_cut_off_alone(websocket: Socket) -> bool:
    """Whether a cancellation of asyncio was nothing but what has cut the connection off: then it ends here."""
    task = websocket.canceller
    return isinstance(task, Task) and websocket.is_cut_off and task.uncancel() == 0


async def _run_while_sends_are_taken(run: Callable[[Socket], Awaitable[None]], limit: float, websocket: Socket) -> None:
    """Run a connection as long as its peer takes what it is sent; a peer that does not is taken for one that left.

    Raises:
        WebSocketDisconnect: It was somebody else's send that the peer did not take.
    """
    with anyio.CancelScope() as scope:
        websocket.limit_sends(limit, scope.cancel)
        await run(websocket)
        return
    raise WebSocketDisconnect(1006)


async def finish(websocket: Socket) -> None:
    """End a connection that has done what it was for: close 1000, or a refusal if it was never accepted."""
    if websocket.application_state is not _CONNECTED:
        await _end(websocket, REFUSED)
    elif not websocket.ended:
        await _attempt(_in_time(websocket, websocket.close()))


async def run_background(tasks: BackgroundTask) -> None:
    """Run the background tasks of a connection; a cancellation of the connection waits for them."""
    with anyio.CancelScope(shield=True):
        await tasks()


async def _settle(websocket: Socket, exc: Exception) -> bool:
    """End a connection after an exception, and tell whether that is a bug that has to be raised on."""
    exc = essence(exc, ended=websocket.ended)
    raise_on = await _handle(websocket, exc)
    if not raise_on:
        # An exception object that is raised again and again would keep the frames of all connections that it ended.
        exc.__traceback__ = None
    return raise_on


async def _handle(websocket: Socket, exc: Exception) -> bool:
    handler = None
    was_asked_about = exc is websocket.asked_about
    websocket.asked_about = None  # its traceback has this socket in it
    if not was_asked_about and not (websocket.ended and (isinstance(exc, StateError) or websocket.has_inner_session)):
        handler = find_handler(websocket.ending_policy.handlers, websocket.scope, exc)
    if handler is None:
        return await _end_after(websocket, exc) and _can_be_raised_on(websocket, exc)
    try:
        response = await call_handler(handler, websocket, exc)
    except Exception as raised:
        if await _end_after(websocket, essence(raised, ended=websocket.ended)) and _can_be_raised_on(websocket, raised):
            raise
        return False
    if isinstance(response, Response) and _takes_denials(websocket):
        await _attempt(_deny(websocket, response))
    await _end_after(websocket, exc)
    return False


def _can_be_raised_on(websocket: Socket, exc: Exception) -> bool:
    """Whether a bug reaches the server's log by being raised on; else it is logged here.

    It does not where the application has a handler for it: Starlette would call that for a connection that has ended.
    """
    if find_handler((), websocket.scope, exc) is None:
        return True
    logger.error("%s: an exception when the connection had ended", websocket.scope["path"], exc_info=exc)
    return False


async def _end_after(websocket: Socket, exc: Exception) -> bool:
    """End a connection as an exception says, and tell whether that is a bug."""
    if is_departure(exc, ended=websocket.ended):
        await finish(websocket)
        return False
    ending = ending_of(exc)
    await _end(websocket, ending)
    return ending is FAILED


async def _end(websocket: Socket, ending: Ending) -> None:
    """End what is still open. Only a cancellation comes out of it: it must not take the place of what happened."""
    if websocket.application_state is WebSocketState.CONNECTING:
        if _takes_denials(websocket):
            await _attempt(_refuse(websocket, ending))
        elif websocket.ending_policy.reject == "accept":
            websocket.is_draining = False  # it is refused already, and with what is to be told
            await _attempt(_in_time(websocket, websocket.accept()))
    if websocket.application_state is WebSocketState.RESPONSE:
        await _attempt(_in_time(websocket, websocket.send({"type": "websocket.http.response.body", "body": b""})))
    elif websocket.application_state is not _DISCONNECTED:
        await _attempt(_in_time(websocket, websocket.close(ending.code, ending.reason)))


async def _attempt(end: Awaitable[None]) -> None:
    try:
        await end
    except WebSocketDisconnect:
        pass
    except Exception:
        logger.exception("a connection could not be ended as it should")


def _takes_denials(websocket: Socket) -> bool:
    return (
        websocket.application_state is WebSocketState.CONNECTING
        and websocket.ending_policy.reject == "denial"
        and can_deny(websocket)
    )


async def _refuse(websocket: Socket, ending: Ending) -> None:
    await _deny(websocket, denial(ending.status, ending.content, ending.headers))


async def _deny(websocket: Socket, response: Response) -> None:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        # Older versions of Starlette know of denials in Response itself, but not in its subclasses.
        messages.append({**message, "type": "websocket." + message["type"].removeprefix("websocket.")})
        if "body" not in message or message.get("more_body", False):
            return
        # All at once: uvicorn's `websockets` drops what of a denial comes after the application has waited.
        for part in messages:
            await _in_time(websocket, websocket.send(part))

    await response(websocket.scope, websocket.receive, send)


async def _in_time(websocket: Socket, frame: Awaitable[None]) -> None:
    """Send a frame whatever is being cancelled, but only for as long as the route allows.

    A peer that stopped reading blocks whoever sends to it, for ever.

    Raises:
        WebSocketDisconnect: The time is over; the connection counts as ended.
    """
    limit = websocket.ending_policy.close_timeout
    if websocket.is_cut_off:
        limit = min(limit, CUT_OFF_TIMEOUT)
    with anyio.move_on_after(limit, shield=True):
        await frame
        return
    websocket.application_state = _DISCONNECTED
    logger.warning("%s: the peer did not take the end of the connection within %s s", websocket.scope["path"], limit)
    raise WebSocketDisconnect(1006)
