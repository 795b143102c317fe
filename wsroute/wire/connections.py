"""Which connections are open."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident

import anyio

from wsroute.wire.socket import Socket

#: Everything that a session runs, with the thread whose event loop runs it: each session enters itself.
OPEN: dict[Socket, int] = {}
#: Those that somebody waits for, with what is set when all of them have ended: all of one event loop, so that it is
#: its own thread that sets it.
_awaited: list[tuple[set[Socket], anyio.Event]] = []


def ended(websocket: Socket) -> None:
    """A session has ended a connection, and everything that belonged to it is closed."""
    OPEN.pop(websocket, None)
    if _awaited:
        for left, none_left in tuple(_awaited):
            left.discard(websocket)
            if not left:
                none_left.set()


def open_connections(is_meant: Callable[[Socket], bool]) -> set[Socket]:
    """Those that are open in the event loop of this thread.

    Args:
        is_meant: Whether a connection is one of those that are asked for.
    """
    here = get_ident()
    return {websocket for websocket, thread in OPEN.copy().items() if thread == here and is_meant(websocket)}


async def all_ended(websockets: set[Socket]) -> None:
    """Wait until all of these connections have ended."""
    waited_for = ({websocket for websocket in websockets if websocket in OPEN}, anyio.Event())
    left, none_left = waited_for
    if left:
        _awaited.append(waited_for)
        try:
            await none_left.wait()
        finally:
            _awaited.remove(waited_for)
