"""How long a listener waits for messages."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from tests.asgi import Peer
from tests.messages.talking import Client, talking
from wsroute import WebSocketListener, WebSocketRouter, on

pytestmark = pytest.mark.anyio

#: Long for a computer, and short for a test that waits for its end, in seconds.
SHORT = 0.05
#: Longer than a test takes.
LONG = 60

read_ahead_or_not = pytest.mark.parametrize("ahead", [{}, {"cancel_on_disconnect": True}], ids=["", "reading ahead"])


def listening(**options: Any) -> tuple[WebSocketRouter, list[str]]:
    """A listener, and what happens to it. It takes the time that a message says before it answers."""
    router = WebSocketRouter()
    log: list[str] = []

    @router.websocket("/", **options)
    class Room(WebSocketListener):
        @on
        async def hear(self, message: str) -> str:
            await anyio.sleep(float(message))
            return message

        async def on_disconnect(self, code: int, reason: str) -> None:
            log.append(f"{code} {reason}".strip())

    return router, log


@read_ahead_or_not
@pytest.mark.parametrize("name", ["first_message_timeout", "idle_timeout"])
async def test_no_first_message(ahead: dict[str, bool], name: str) -> None:
    router, log = listening(**{name: SHORT}, **ahead)
    peer = Peer()
    await peer.serve(router)
    assert peer.closed == (1008, "No message within 0.05 s")
    assert log == ["1008 No message within 0.05 s"]


@read_ahead_or_not
async def test_no_further_message(ahead: dict[str, bool]) -> None:
    router, log = listening(idle_timeout=SHORT, first_message_timeout=LONG, **ahead)
    peer = Peer().say("0", "0")
    await peer.serve(router)
    assert peer.frames == ["0", "0"] and peer.closed == (1008, "No message within 0.05 s")
    assert log == ["1008 No message within 0.05 s"]


@read_ahead_or_not
async def test_the_first_message_alone_may_have_a_limit(ahead: dict[str, bool]) -> None:
    router, log = listening(first_message_timeout=SHORT, **ahead)
    peer = Peer().say("0")
    async with talking(router, peer):
        await anyio.sleep(2 * SHORT)
    assert peer.frames == ["0"] and peer.closed is None and log == ["1000"]


@read_ahead_or_not
async def test_the_first_message_may_have_no_limit_where_others_have(ahead: dict[str, bool]) -> None:
    router, _ = listening(first_message_timeout=float("inf"), idle_timeout=SHORT, **ahead)
    peer = Peer()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.serve, router)
        await anyio.sleep(2 * SHORT)
        assert peer.closed is None
        peer.say("0")
    assert peer.frames == ["0"] and peer.closed == (1008, "No message within 0.05 s")


@read_ahead_or_not
async def test_the_time_that_a_handler_takes_does_not_count(ahead: dict[str, bool]) -> None:
    router, log = listening(idle_timeout=SHORT, **ahead)
    peer = Client()
    peer.say("0.15", "0")
    async with talking(router, peer):
        await peer.got(2)
    assert peer.frames == ["0.15", "0"]
    assert peer.closed is None and log == ["1000"]


@read_ahead_or_not
async def test_the_time_that_on_connect_takes_does_not_count(ahead: dict[str, bool]) -> None:
    router = WebSocketRouter()

    @router.websocket("/", first_message_timeout=SHORT, **ahead)  # type: ignore[arg-type]  # of two forms
    class Room(WebSocketListener):
        async def on_connect(self) -> str:
            await anyio.sleep(3 * SHORT)
            return "welcome"

        @on
        async def hear(self, message: str) -> str:
            return message

    peer = Client()
    peer.say("x")
    async with talking(router, peer):
        await peer.got(2)
    assert peer.frames == ["welcome", "x"] and peer.closed is None


@read_ahead_or_not
async def test_an_invalid_message_is_a_message(ahead: dict[str, bool]) -> None:
    router, _ = listening(first_message_timeout=SHORT, idle_timeout=LONG, **ahead)
    peer = Peer().say(b"x")
    async with talking(router, peer):
        await anyio.sleep(2 * SHORT)
    assert len(peer.frames) == 1 and peer.closed is None


async def test_an_exception_handler_takes_the_end_by_its_code() -> None:
    async def close(websocket: Any, exc: Exception) -> None:
        await websocket.close(4000, "asleep?")

    inner, _ = listening(idle_timeout=SHORT)
    router = WebSocketRouter(exception_handlers={1008: close})
    router.include_router(inner)
    peer = Peer()
    await peer.serve(router)
    assert peer.closed == (4000, "asleep?")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@read_ahead_or_not
async def test_no_task_is_left_behind(ahead: dict[str, bool]) -> None:
    before = asyncio.all_tasks()
    router, _ = listening(idle_timeout=SHORT, **ahead)
    for peer in (Peer(), Peer().say("0"), Peer().say("0").leave(), Peer().leave()):
        await peer.serve(router)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_waiting_makes_no_task() -> None:
    # A limit is a timer, which is all that it may cost.
    router, _ = listening(idle_timeout=LONG, first_message_timeout=LONG)
    peer = Client()
    peer.say("0")
    async with talking(router, peer):
        await peer.got(1)
        assert len(asyncio.all_tasks()) == 3  # this test's own, pytest's, and the connection
