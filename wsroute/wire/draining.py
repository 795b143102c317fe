"""How connections end together when the server stops: those that wait for their clients at once, others when they have
handled what they are handling, and all of them in time.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple

import anyio

from wsroute.dependencies.exits import Exits, Items
from wsroute.wire.connections import all_ended, open_connections
from wsroute.wire.endings import RESTART, restarting
from wsroute.wire.session import run_background, session
from wsroute.wire.socket import Socket

#: How long, in seconds, what is cancelled at the deadline may take to close what it has opened.
CLEAN_UP = 5.0

#: What runs when a connection is ending by itself, and has to come to its end.
_CLOSING: frozenset[CodeType] = frozenset({Exits.__aexit__.__code__, Items.__aexit__.__code__, run_background.__code__})

logger = logging.getLogger("wsroute")


async def drain(websockets: set[Socket], deadline: float) -> None:
    """End connections with 1012, and wait until everything that belongs to them is closed.

    The connection whose own endpoint calls this ends as well, and is not waited for: its endpoint waits for this.

    Args:
        websockets: The connections, of this event loop.
        deadline: After so many seconds, those that are left are cancelled.
    """
    others = websockets - _callers()
    with anyio.move_on_after(deadline):
        async with anyio.create_task_group() as tasks:
            for websocket in websockets:
                websocket.end_when_idle(RESTART.code, RESTART.reason, restarting())
                if websocket.is_idle:
                    tasks.start_soon(_close, websocket)
            await all_ended(others)
            tasks.cancel_scope.cancel()
    left = open_connections(others.__contains__)
    if not left:
        return
    _cut_off(left)
    with anyio.move_on_after(CLEAN_UP):
        await all_ended(left)
        return
    paths = sorted({websocket.scope["path"] for websocket in open_connections(left.__contains__)})
    logger.error("connections have not ended, though they were cancelled %s s ago: %s", CLEAN_UP, ", ".join(paths))


async def _close(websocket: Socket) -> None:
    """Close a connection that is idle, and see to it that its endpoint learns of that.

    A client may not take the close, and there are servers that do not tell the application of its own.
    """
    try:
        with anyio.move_on_after(websocket.ending_policy.close_timeout):
            if not websocket.is_idle:  # it has got a message in the meantime
                return
            await websocket.close(RESTART.code, RESTART.reason)
            await anyio.sleep_forever()
    except Exception:
        logger.exception("a connection could not be ended as it should")
    if websocket.is_waiting:
        _cut_off({websocket})


def _cut_off(websockets: set[Socket]) -> None:
    """Cancel connections, each once, unless they are ending by themselves already."""
    running = _running_in_asyncio()
    for websocket in websockets:
        found = running.get(websocket)
        if websocket.canceller is None and found is not None and not (found.is_closing or websocket.is_closing):
            websocket.canceller = found.task
        if websocket.canceller is not None and not websocket.is_cut_off:
            websocket.is_cut_off = True
            websocket.canceller.cancel()


class _Running(NamedTuple):
    """A connection as it runs in asyncio.

    Attributes:
        task: The task.
        is_closing: Whether it closes what it has opened. `Task.cancel()`, which no shield keeps out, would cut that
            short.
    """

    task: asyncio.Task[Any]
    is_closing: bool


def _callers() -> set[Socket]:
    """The connections whose sessions are running this."""
    callers = set()
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code is session.__code__:
            callers.add(frame.f_locals["websocket"])
        frame = frame.f_back
    return callers


def _running_in_asyncio() -> dict[Socket, _Running]:
    """The connections that run in asyncio: in tasks that are in a session.

    They are looked for now, since to ask for its task at the beginning of each connection would cost all of them more
    than this costs the few that do not end in time. On trio, each has a cancel scope.
    """
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        return {}
    running = {}
    for task in tasks:
        frames = list(_frames(task.get_coro()))
        is_closing = any(frame.f_code in _CLOSING for frame in frames)
        for frame in frames:
            if frame.f_code is session.__code__:
                running[frame.f_locals["websocket"]] = _Running(task, is_closing)
    return running


def _frames(coroutine: Any) -> Iterator[FrameType]:
    """The frames of a coroutine that is suspended, and of what it waits for."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None:
            yield frame
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
