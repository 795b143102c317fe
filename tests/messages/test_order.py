"""One message after the other: what is read when, how big it may be, and who waits for whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.types import Message

from tests.asgi import Peer
from tests.messages.talking import errors_of, talk, talking
from wsroute import Depends, WebSocketListener, WebSocketRouter, on

pytestmark = pytest.mark.anyio


class Counting(Peer):
    """A peer that counts what is read: the handshake is the first.

    Attributes:
        received: How many messages were handed out.
        asked: How many were asked for.
    """

    received = 0
    asked = 0

    async def receive(self) -> Message:
        self.asked += 1
        message = await super().receive()
        self.received += 1
        return message


class Gate:
    """A listener whose handler waits in front of a gate, and says what it got."""

    def __init__(self, **options: Any) -> None:
        self.entered: list[str] = []
        self.router = WebSocketRouter()
        self._open = anyio.Semaphore(0)

        @self.router.listener("/", **options)
        async def listener(message: str) -> str:
            self.entered.append(message)
            await self._open.acquire()
            return message

    def let(self, count: int) -> None:
        """Let so many handlers through."""
        for _ in range(count):
            self._open.release()


async def turns() -> None:
    """Let everything that can run do so."""
    await anyio.wait_all_tasks_blocked()


async def test_replies_come_in_the_order_of_messages() -> None:
    router = WebSocketRouter()

    @router.listener("/")
    async def listener(message: str) -> str:
        for _ in range(10 - int(message)):  # the first takes longest
            await checkpoint()
        return message

    frames = [str(number) for number in range(10)]
    assert (await talk(router, *frames)).frames == frames


async def test_nothing_is_read_before_the_message_before_it_was_handled() -> None:
    gate = Gate()
    peer = Counting()
    peer.say("a", "b", "c")
    async with talking(gate.router, peer):
        for number, name in enumerate("abc", 1):
            await turns()
            # The handshake, and the messages up to the one that is handled.
            assert (peer.received, peer.asked) == (1 + number, 1 + number)
            assert gate.entered[-1] == name and len(gate.entered) == number
            gate.let(1)
    assert peer.frames == ["a", "b", "c"]


@pytest.mark.parametrize("read_ahead", [1, 2, 5])
async def test_so_many_messages_are_read_ahead_and_no_more(read_ahead: int) -> None:
    gate = Gate(cancel_on_disconnect=True, read_ahead=read_ahead)
    frames = [str(number) for number in range(20)]
    peer = Counting()
    peer.say(*frames)
    async with talking(gate.router, peer):
        for handled in range(1, 5):
            await turns()
            assert gate.entered == frames[:handled]
            assert (peer.received, peer.asked) == (1 + handled + read_ahead, 1 + handled + read_ahead)
            gate.let(1)
        gate.let(20)
        await turns()
        assert peer.frames == frames


async def test_replies_come_in_that_order_if_messages_are_read_ahead() -> None:
    router = WebSocketRouter()
    done = anyio.Event()

    @router.listener("/", cancel_on_disconnect=True, read_ahead=3)
    async def listener(message: str) -> str:
        for _ in range(10 - int(message)):
            await checkpoint()
        if message == "9":
            done.set()
        return message

    frames = [str(number) for number in range(10)]
    peer = Peer().say(*frames)
    async with talking(router, peer):
        await done.wait()
        await turns()
    assert peer.frames == frames


async def test_a_slow_handler_holds_up_its_own_connection_alone() -> None:
    gate = Gate()
    slow, fast = Peer().say("slow", "next"), Peer()
    async with talking(gate.router, slow), talking(gate.router, fast):
        await turns()
        assert gate.entered == ["slow"]
        for number in range(5):
            fast.say(str(number))
            await turns()
        assert gate.entered == ["slow", "0"]  # the gate is shut for both, and each waits at it on its own
        gate.let(10)
    assert slow.frames == ["slow", "next"]
    assert fast.frames == ["0", "1", "2", "3", "4"]


async def test_a_handler_that_yields_holds_up_the_next_message() -> None:
    router = WebSocketRouter()

    @router.listener("/")
    async def listener(message: str) -> AsyncIterator[str]:
        for number in range(3):
            await checkpoint()
            yield f"{message}{number}"

    assert (await talk(router, "a", "b")).frames == ["a0", "a1", "a2", "b0", "b1", "b2"]


async def test_on_connect_comes_before_the_first_message_is_read() -> None:
    peer = Counting()
    peer.say("a").leave()
    read = []

    class Room(WebSocketListener):
        async def on_connect(self) -> str:
            await turns_of_its_own()
            read.append(peer.asked)
            return "welcome"

        @on
        async def hear(self, message: str) -> str:
            return message

    async def turns_of_its_own() -> None:
        for _ in range(5):
            await checkpoint()

    router = WebSocketRouter()
    router.websocket("/")(Room)
    await peer.serve(router)
    assert read == [1] and peer.frames == ["welcome", "a"]


async def test_nothing_is_read_before_the_dependencies_of_the_connection() -> None:
    peer = Counting()
    peer.say("a").leave()
    asked = []

    async def session() -> None:
        asked.append((peer.asked, peer.accepted))

    router = WebSocketRouter()

    @router.listener("/")
    async def listener(message: str, session: Annotated[None, Depends(session)]) -> str:
        return message

    await peer.serve(router)
    assert asked == [(0, None)] and peer.frames == ["a"]


# Sizes


def echo(kind: Any = str, **options: Any) -> WebSocketRouter:
    router = WebSocketRouter()

    async def listener(message: Any) -> Any:
        return len(message)

    listener.__annotations__.update({"message": kind, "return": int})
    router.listener("/", **options)(listener)
    return router


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        (str, "x" * 65_536),
        (str, "é" * 32_768),
        (str, "€" * 21_845 + "x"),
        (str, "𝄞" * 16_384),
        (bytes, b"x" * 65_536),
    ],
    ids=["ascii", "two bytes", "three bytes", "four bytes", "binary"],
)
async def test_a_message_may_have_64_kib_and_no_byte_more(kind: Any, frame: Any) -> None:
    peer = await talk(echo(kind), frame)
    assert peer.frames == [str(len(frame))]
    more = b"x" if kind is bytes else "x"
    peer = await talk(echo(kind), frame, frame + more, frame)
    assert peer.frames == [str(len(frame))]
    assert peer.closed == (1009, "Message too big")


@pytest.mark.parametrize(("limit", "fits", "does_not"), [(1, "x", "é"), (4, "𝄞", "𝄞x"), (10.5, "x" * 10, "x" * 11)])
async def test_the_limit_can_be_any(limit: float, fits: str, does_not: str) -> None:
    peer = await talk(echo(max_message_size=limit), fits, does_not)
    assert peer.frames == [str(len(fits))] and peer.closed == (1009, "Message too big")


async def test_half_a_character_counts_as_three_bytes() -> None:
    assert (await talk(echo(max_message_size=3), "\ud800")).frames == ["1"]
    assert (await talk(echo(max_message_size=2), "\ud800")).closed == (1009, "Message too big")


async def test_there_may_be_no_limit() -> None:
    assert (await talk(echo(max_message_size=float("inf")), "x" * 1_000_000)).frames == ["1000000"]


@pytest.mark.parametrize(("kind", "frame"), [(str, b"x" * 65_537), (bytes, "€" * 21_846)], ids=["binary", "text"])
async def test_a_frame_of_the_wrong_kind_may_have_no_more(kind: Any, frame: Any) -> None:
    peer = await talk(echo(kind), frame[:-1], frame, leave=False)
    assert [errors_of(told)[0] for told in peer.frames] == ["wrong_frame"]
    assert peer.closed == (1009, "Message too big")


async def test_a_message_that_is_too_big_is_not_looked_at() -> None:
    peer = await talk(echo(dict[str, Any], max_message_size=10), "x" * 10, "x" * 11)
    assert [errors_of(frame)[0] for frame in peer.frames] == ["invalid_json"]
    assert peer.closed == (1009, "Message too big")
