"""How connections end together when the server stops: those that wait for their clients at once, others when they have
handled what they are handling, and all of them in time.
"""

from __future__ import annotations

import asyncio
from typing import Any

import anyio

from wsroute.wire.connections import all_ended, open_connections
from wsroute.wire.endings import RESTART
from wsroute.wire.session import session
from wsroute.wire.socket import Socket


async def drain(websockets: set[Socket], deadline: float) -> None:
    """End connections with 1012, and wait until everything that belongs to them is closed.

    Args:
        websockets: The connections.
        deadline: After so many seconds, those that are left are cancelled.
    """
    with anyio.move_on_after(deadline):
        async with anyio.create_task_group() as tasks:
            for websocket in websockets:
                websocket.end_when_idle(RESTART.code, RESTART.reason)
                if websocket.is_idle:
                    tasks.start_soon(_close, websocket)
            await all_ended(websockets)
            tasks.cancel_scope.cancel()
    left = open_connections(websockets.__contains__)
    for websocket in left:
        _cut_off(websocket)
    # What is cancelled still closes what it has opened, which nobody may cut short.
    await all_ended(left)


async def _close(websocket: Socket) -> None:
    """Close a connection that is idle; what a client does not take in time is not waited for."""
    with anyio.move_on_after(websocket.ending_policy.close_timeout):
        await websocket.close(RESTART.code, RESTART.reason)


def _cut_off(websocket: Socket) -> None:
    canceller = websocket.canceller or _task_of(websocket)
    if canceller is not None:
        websocket.canceller = canceller
        websocket.is_cut_off = True
        canceller.cancel()


def _task_of(websocket: Socket) -> asyncio.Task[Any] | None:
    """The task of asyncio that runs a connection: the one that is in its session.

    It is looked for now, since to ask for it at the beginning of each connection would cost all of them more than this
    costs the few that do not end in time.
    """
    return next((task for task in asyncio.all_tasks() if _is_in_session(task.get_coro(), websocket)), None)


def _is_in_session(coroutine: Any, websocket: Socket) -> bool:
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and frame.f_code is session.__code__ and frame.f_locals.get("websocket") is websocket:
            return True
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return False
