"""How the connections of a router end when its server stops."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import anyio

from wsroute.routing.route import APIWebSocketRoute
from wsroute.wire.connections import open_connections
from wsroute.wire.draining import drain
from wsroute.wire.endings import restarting
from wsroute.wire.socket import Socket

EVERY_APPLICATION: Any = object()


def refuse_all(routes: Iterable[APIWebSocketRoute]) -> None:
    """Refuse all further connections of some routes, with 503."""
    for route in routes:
        route.refuse(restarting)


async def drain_routes(is_meant: Callable[[APIWebSocketRoute], bool], deadline: float, app: Any) -> None:
    """End all connections of some routes.

    Args:
        is_meant: Whether a route is one of them.
        deadline: How long, in seconds, they may take.
        app: The application whose connections are meant, or `EVERY_APPLICATION`; `None` is one, too: a router that is
            served alone.
    """

    def is_one(websocket: Socket) -> bool:
        route = websocket.scope.get("route")
        is_of_route = isinstance(route, APIWebSocketRoute) and is_meant(route)
        return is_of_route and (app is EVERY_APPLICATION or websocket.scope.get("app") is app)

    await drain(open_connections(is_one), deadline)


@asynccontextmanager
async def before_sigterm(action: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run something when SIGTERM comes, before whoever would have got it gets it. A second one is passed on at once.

    A server stops to serve when it gets the signal: uvicorn closes all connections with 1012 then, whatever is handled
    on them, and only after that ends the lifespan.

    Args:
        action: What is run.
    """
    if threading.current_thread() is not threading.main_thread():
        # Python hands signals to the main thread only. A server in another one is not stopped by them.
        yield
        return
    previous = signal.getsignal(signal.SIGTERM)
    if previous is None:
        # Whoever takes the signal outside of Python can neither be asked to wait nor be put back afterwards.
        yield
        return
    came = anyio.Event()
    wake = _waker(came)
    has_come = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal has_come
        if has_come:
            _pass_on(previous, number, frame)
        else:
            has_come = True  # here, since the event loop may be busy when the second one comes
            wake()

    async def wait_for_it() -> None:
        await came.wait()
        try:
            await action()
        finally:
            _pass_on(previous, signal.SIGTERM, None)

    signal.signal(signal.SIGTERM, on_signal)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_for_it)
            yield
            tasks.cancel_scope.cancel()
    finally:
        if signal.getsignal(signal.SIGTERM) is on_signal:
            signal.signal(signal.SIGTERM, previous)


def _pass_on(handler: Any, number: int, frame: FrameType | None) -> None:
    if callable(handler):
        handler(number, frame)
    elif handler != signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _waker(event: anyio.Event) -> Callable[[], object]:
    """What sets an event from inside of a signal handler, while the event loop may be asleep."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        token = sys.modules["trio"].lowlevel.current_trio_token()
        return lambda: token.run_sync_soon(event.set)
    return lambda: loop.call_soon_threadsafe(event.set)
