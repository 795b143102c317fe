"""What lives for one message: with fifty connections that stay open, no more of it than messages being handled."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.messages.talking import Client, talking
from tests.server import IMPLEMENTATIONS, LONG, Server, WebSocketImplementation, tolerant
from wsroute import Depends, WebSocketRouter

CONNECTIONS = 50
MESSAGES = 20


class Sessions:
    """Counts sessions that are open, and messages that are being handled.

    Attributes:
        opened: How many sessions there have been.
        open: How many are open.
        handling: How many messages are being handled.
        most_open, most_handling: The most of each at one time.
        exceeded: How often there were more sessions than messages.
    """

    def __init__(self) -> None:
        self.opened = self.open = self.handling = self.most_open = self.most_handling = self.exceeded = 0
        self._lock = threading.Lock()
        self.router = WebSocketRouter()

        async def session() -> AsyncIterator[str]:
            self._count(opened=1)
            await checkpoint()
            yield "session"
            await checkpoint()
            self._count(opened=-1)

        def session_in_a_thread() -> Iterator[str]:
            self._count(opened=1)
            yield "session"
            self._count(opened=-1)

        for path, dependency in (("/async", session), ("/thread", session_in_a_thread)):
            self._declare(path, dependency)

    def _declare(self, path: str, session: Any) -> None:
        async def before() -> AsyncIterator[None]:
            self._count(handled=1)
            yield
            self._count(handled=-1)

        @self.router.listener(path)
        async def listener(
            message: str,
            before: Annotated[None, Depends(before, scope="message")],
            session: Annotated[str, Depends(session, scope="message")],
            same: Annotated[str, Depends(session, scope="message")],
        ) -> str:
            await checkpoint()
            return message

    def _count(self, *, opened: int = 0, handled: int = 0) -> None:
        with self._lock:
            self.opened += max(opened, 0)
            self.open += opened
            self.handling += handled
            self.most_open = max(self.most_open, self.open)
            self.most_handling = max(self.most_handling, self.handling)
            self.exceeded += self.open > self.handling

    def check(self) -> None:
        """They were as many as they may be, and all of them are closed."""
        assert self.opened == CONNECTIONS * MESSAGES
        assert self.exceeded == 0
        assert self.open == self.handling == 0
        assert 1 <= self.most_open <= self.most_handling <= CONNECTIONS


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/async", "/thread"])
async def test_in_process(path: str) -> None:
    sessions = Sessions()
    clients = [Client(path) for _ in range(CONNECTIONS)]
    idle = 0

    async def converse(client: Client) -> None:
        nonlocal idle
        async with talking(sessions.router, client):
            for number in range(MESSAGES):
                client.say(str(number))
                await client.got(number + 1)
            idle += 1
            if idle == CONNECTIONS:
                # All of them are still connected, and nobody says anything.
                assert sessions.open == sessions.handling == 0
                everybody_is_idle.set()
            await everybody_is_idle.wait()

    everybody_is_idle = anyio.Event()
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as tasks:
            for client in clients:
                tasks.start_soon(converse, client)
    sessions.check()
    assert all(client.frames == [str(number) for number in range(MESSAGES)] for client in clients)


@tolerant
@pytest.mark.parametrize("ws", IMPLEMENTATIONS)
def test_on_a_real_server(ws: WebSocketImplementation) -> None:
    sessions = Sessions()
    idle = threading.Barrier(CONNECTIONS, timeout=LONG)

    def converse(_: int) -> None:
        with server.connect("/async") as client:
            for number in range(MESSAGES):
                client.send(str(number))
                assert client.recv(LONG) == str(number)
            idle.wait()
            assert sessions.open == 0
            idle.wait()

    with Server(sessions.router, ws).running() as server, ThreadPoolExecutor(CONNECTIONS) as pool:
        assert list(pool.map(converse, range(CONNECTIONS))) == [None] * CONNECTIONS
        assert not [record for record in server.settled() if record.levelname != "INFO"]
    sessions.check()
