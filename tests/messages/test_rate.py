"""How many messages may come in a time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.asgi import Peer
from tests.messages.talking import errors_of, talk
from wsroute import RouterError, WebSocket, WebSocketRouter
from wsroute.messages import rate

pytestmark = pytest.mark.anyio

LIMITED: tuple[str, list[tuple[list[str | int], str]]] = ("rate_limited", [([], "rate_limited")])


class Clock:
    """The time, which passes when a message says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate, "current_time", clock)
    return clock


def listening(clock: Clock, **options: Any) -> WebSocketRouter:
    """A listener for which as many seconds pass as each message says, after it was handled."""
    router = WebSocketRouter()

    @router.listener("/", **options)
    async def listener(message: str) -> str:
        clock.now += float(message)
        return message

    return router


async def test_so_many_messages_may_come_at_once(clock: Clock) -> None:
    peer = await talk(listening(clock, max_rate=(3, 60)), *["0"] * 3)
    assert peer.frames == ["0"] * 3 and peer.closed is None


async def test_one_too_many_is_told_and_the_next_one_closes(clock: Clock) -> None:
    peer = await talk(listening(clock, max_rate=(3, 60)), *["0"] * 6, leave=False)
    assert peer.frames[:3] == ["0"] * 3 and len(peer.frames) == 4
    assert errors_of(peer.frames[3]) == LIMITED
    assert "At most 3 messages in 60 s" in str(peer.frames[3])
    assert peer.closed == (1008, "Too many messages")


async def test_with_time_more_may_come(clock: Clock) -> None:
    # One each 20 s: the first three at once, then as time passes.
    peer = await talk(listening(clock, max_rate=(3, 60)), "0", "0", "20", "20", "20", "0")
    assert peer.frames == ["0", "0", "20", "20", "20", "0"] and peer.closed is None


async def test_no_more_are_saved_than_may_come_at_once(clock: Clock) -> None:
    peer = await talk(listening(clock, max_rate=(2, 10)), "1000", "0", "0", "0")
    assert peer.frames[:3] == ["1000", "0", "0"]
    assert [errors_of(frame) for frame in peer.frames[3:]] == [LIMITED]


async def test_who_waits_after_the_first_warning_goes_on(clock: Clock) -> None:
    router = WebSocketRouter(max_rate=(1, 10))

    @router.listener("/")
    async def listener(message: str, websocket: WebSocket) -> str:
        return message

    peer = Peer().say("a", "b", "c").leave()
    receive = peer.receive

    async def receive_later() -> Any:
        message = await receive()
        if message.get("text") == "c":
            clock.now += 10
        return message

    peer.receive = receive_later  # type: ignore[method-assign]  # to let time pass before a message
    await peer.serve(router)
    assert peer.frames[0] == "a" and errors_of(peer.frames[1]) == LIMITED and peer.frames[2:] == ["c"]


async def test_invalid_messages_count(clock: Clock) -> None:
    peer = await talk(listening(clock, max_rate=(2, 10)), b"", b"", "0")
    assert [errors_of(frame)[0] for frame in peer.frames] == ["wrong_frame", "wrong_frame", "rate_limited"]


async def test_each_connection_is_counted_alone(clock: Clock) -> None:
    router = listening(clock, max_rate=(1, 10))
    assert (await talk(router, "0")).frames == (await talk(router, "0")).frames == ["0"]


@pytest.mark.parametrize("value", [3, (3,), (0, 10), (3, 0), (3, "60"), (True, 10), [3, 60], (3, 60, 1), (-1, -1)])
def test_a_rate_that_cannot_be(value: Any) -> None:
    with pytest.raises(RouterError) as caught:
        WebSocketRouter(max_rate=value)
    assert str(caught.value) == (
        f"max_rate={value!r} cannot be. It is a pair of a number of messages, from 1, and of seconds: (100, 60)."
    )
