"""Which connections are open."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from wsroute.wire.socket import Socket

#: Everything that a session runs.
_open: set[Socket] = set()
#: Set when a connection has ended, for those that wait for that.
_watchers: set[anyio.Event] = set()

#: A session begins to run a connection. Without a function around it, since it happens for each.
opened: Callable[[Socket], None] = _open.add


def ended(websocket: Socket) -> None:
    """A session has ended a connection, and everything that belonged to it is closed."""
    _open.discard(websocket)
    if _watchers:
        for event in tuple(_watchers):
            event.set()


def open_connections(is_meant: Callable[[Socket], bool]) -> set[Socket]:
    """Those that are open.

    Args:
        is_meant: Whether a connection is one of those that are asked for.
    """
    return {websocket for websocket in tuple(_open) if is_meant(websocket)}


async def all_ended(websockets: set[Socket]) -> None:
    """Wait until all of these connections have ended."""
    while websockets & _open:
        event = anyio.Event()
        _watchers.add(event)
        try:
            await event.wait()
        finally:
            _watchers.discard(event)
