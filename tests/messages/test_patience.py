"""How long a listener waits: for each message anew, and not while it handles one."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

import anyio
import pytest
from anyio import CancelScope, current_effective_deadline, current_time
from anyio.lowlevel import checkpoint
from starlette.exceptions import WebSocketException
from starlette.types import Message

from tests.asgi import Peer
from wsroute import Depends, WebSocketListener, WebSocketRouter, on
from wsroute.messages.patience import Patience, Receive

pytestmark = pytest.mark.anyio

#: Long for a computer, and short for a test that waits for its end.
SHORT = 0.05
LONG = 60.0


class Text:
    """What a server gives: one message after the other, each after something of its own has happened."""

    def __init__(self, *before: Callable[[], Awaitable[object]]) -> None:
        self._before = deque(before)

    async def receive(self) -> Message:
        await self._before.popleft()()
        return {"type": "websocket.receive", "text": str(len(self._before))}


async def listen_to(patience: Patience, messages: int, handle: Callable[[], Awaitable[object]] = checkpoint) -> None:
    """A listener that begins as often as it is told to, and takes so many messages in all."""
    taken = 0

    async def listen(receive: Receive) -> None:
        nonlocal taken
        while taken < messages:
            await receive()
            await handle()
            taken += 1

    await patience.listen(listen)


async def test_a_client_that_says_nothing_is_closed() -> None:
    router = WebSocketRouter()

    @router.listener("/", idle_timeout=SHORT)
    async def echo(message: str) -> str:
        return message

    peer = Peer().say("a", "b")
    await peer.serve(router)

    assert peer.frames == ["a", "b"]
    assert peer.closed == (1008, "No message within 0.05 s")


async def test_the_first_message_may_have_a_limit_of_its_own() -> None:
    router = WebSocketRouter()

    @router.listener("/", first_message_timeout=SHORT, idle_timeout=LONG)
    async def echo(message: str) -> str:
        return message

    peer = Peer()
    await peer.serve(router)

    assert peer.closed == (1008, "No message within 0.05 s")


async def test_after_the_first_message_its_limit_is_over() -> None:
    limits: list[float] = []

    async def note() -> None:
        limits.append(current_effective_deadline() - current_time())

    await listen_to(Patience(Text(note, note, note).receive, LONG, 2 * LONG), 3)

    assert limits == pytest.approx([LONG, 2 * LONG, 2 * LONG], abs=5)


async def test_each_message_has_the_whole_limit() -> None:
    deadlines: list[float] = []

    async def note() -> None:
        deadlines.append(current_effective_deadline())
        now = current_time()
        while current_time() == now:
            await checkpoint()

    await listen_to(Patience(Text(note, note).receive, LONG, LONG), 2)

    assert deadlines[0] < deadlines[1]


async def test_there_is_no_limit_while_a_message_is_handled() -> None:
    async def handle() -> None:
        assert current_effective_deadline() == float("inf")

    await listen_to(Patience(Text(checkpoint, checkpoint).receive, LONG, LONG), 2, handle)


async def test_a_handler_may_take_longer_than_the_limit() -> None:
    closed: list[str] = []
    router = WebSocketRouter()

    async def session() -> AsyncIterator[str]:
        yield "session"
        await checkpoint()
        closed.append("session")

    @router.websocket("/")
    class Slow(WebSocketListener):
        idle_timeout = SHORT

        @on
        async def say(self, message: str, db: Annotated[str, Depends(session, scope="message")]) -> str:
            await anyio.sleep(2 * SHORT)
            return f"{message} {db}"

    peer = Peer().say("a", "b")
    await peer.serve(router)

    assert peer.frames == ["a session", "b session"]
    assert closed == ["session", "session"]


async def test_a_message_that_came_before_the_clock_was_looked_at_is_handled() -> None:
    handled: list[float] = []

    async def pause() -> None:
        # As when the whole process has stood still: the limit is over, and yet there is a message.
        with CancelScope(shield=True):
            await anyio.sleep(2 * SHORT)

    async def handle() -> None:
        await checkpoint()
        handled.append(current_effective_deadline())

    await listen_to(Patience(Text(pause, checkpoint, pause, pause).receive, SHORT, SHORT), 4, handle)

    assert handled == [float("inf")] * 4


async def test_after_such_a_message_the_limit_holds_as_before() -> None:
    async def pause() -> None:
        with CancelScope(shield=True):
            await anyio.sleep(2 * SHORT)

    with pytest.raises(WebSocketException) as caught:
        await listen_to(Patience(Text(pause, anyio.sleep_forever).receive, SHORT, SHORT), 2)

    assert (caught.value.code, caught.value.reason) == (1008, "No message within 0.05 s")


async def test_whoever_cancels_the_connection_cancels_the_waiting() -> None:
    async def leave() -> None:
        outer.cancel()
        await checkpoint()

    with CancelScope() as outer:
        await listen_to(Patience(Text(leave).receive, LONG, LONG), 1)

    assert outer.cancelled_caught
