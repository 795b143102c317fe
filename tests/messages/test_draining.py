"""Conversations when the server stops: what is handled is handled to its end, if it comes in time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio.lowlevel
import pytest

from tests.messages.talking import Client
from wsroute import Depends, WebSocketListener, WebSocketRouter, on
from wsroute.wire.endings import RESTART

pytestmark = pytest.mark.anyio

END = (RESTART.code, RESTART.reason)
#: Longer than a test takes, and so short that its end would be seen, in seconds.
LONG, SHORT = 1.5, 0.05

read_ahead_or_not = pytest.mark.parametrize("ahead", [{}, {"cancel_on_disconnect": True}], ids=["", "reading ahead"])


class Application:
    """A listener that waits where a message says so, and a stream."""

    def __init__(self, **options: Any) -> None:
        self.log: list[str] = []
        self.entered, self.go_on = anyio.Event(), anyio.Event()
        self.router = WebSocketRouter()

        async def session() -> AsyncIterator[None]:
            try:
                yield
            finally:
                await anyio.lowlevel.checkpoint()
                self.log.append("closed")

        @self.router.websocket("/", **options)
        class Room(WebSocketListener):
            @on
            async def hear(room, message: str, session: Annotated[None, Depends(session, scope="message")]) -> str:
                if message == "wait":
                    self.entered.set()
                    await self.go_on.wait()
                return message

            async def on_disconnect(room, code: int, reason: str) -> None:
                self.log.append(f"{code} {reason}".strip())


@read_ahead_or_not
async def test_a_listener_that_waits_for_its_client_ends_at_once(ahead: dict[str, bool]) -> None:
    application, client = Application(**ahead), Client()
    client.say("x")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.serve, application.router)
        await client.got(1)
        await anyio.wait_all_tasks_blocked()
        await application.router.drain(LONG)
        assert client.closed == END
    assert application.log == ["closed", f"{END[0]} {END[1]}".strip()]


@read_ahead_or_not
async def test_a_message_that_is_handled_is_answered(ahead: dict[str, bool]) -> None:
    application, client = Application(**ahead), Client()
    client.say("wait")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.serve, application.router)
        await application.entered.wait()
        tasks.start_soon(application.router.drain, LONG)
        await anyio.wait_all_tasks_blocked()
        assert client.closed is None
        application.go_on.set()
    assert client.frames == ["wait"] and client.closed == END
    assert application.log == ["closed", f"{END[0]} {END[1]}".strip()]


@pytest.mark.parametrize("read_ahead", [1, 2, 3])
async def test_what_comes_meanwhile_does_not_disturb_what_is_handled(read_ahead: int) -> None:
    application, client = Application(cancel_on_disconnect=True, read_ahead=read_ahead), Client()
    client.say("wait")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.serve, application.router)
        await application.entered.wait()
        tasks.start_soon(application.router.drain, LONG)
        await anyio.wait_all_tasks_blocked()
        client.say("never handled", "nor this")
        await anyio.wait_all_tasks_blocked()
        assert client.closed is None
        application.go_on.set()
    assert client.frames == ["wait"] and client.closed == END


@read_ahead_or_not
async def test_what_is_not_handled_in_time_is_cancelled_and_told_of_the_same_end(ahead: dict[str, bool]) -> None:
    application, client = Application(**ahead), Client()
    client.say("wait")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.serve, application.router)
        await application.entered.wait()
        await application.router.drain(SHORT)
    assert client.frames == [] and client.closed == END
    assert application.log == ["closed", f"{END[0]} {END[1]}".strip()]


async def test_a_stream_is_cancelled_when_the_time_is_over() -> None:
    router = WebSocketRouter()
    client, closed = Client(), []

    @router.stream("/")
    async def stream() -> AsyncIterator[str]:
        try:
            yield "first"
            await anyio.sleep_forever()
        finally:
            closed.append(True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.serve, router)
        await client.got(1)
        await router.drain(SHORT)
    assert client.closed == END and closed == [True]
