"""How many messages may come in a time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from math import inf, nan
from typing import Any

import anyio
import pytest

from tests.messages.talking import errors_of, talk
from wsroute import InvalidParameterError, RouterError, WebSocket, WebSocketListener, WebSocketRouter, on
from wsroute.messages import rate
from wsroute.testing import Peer

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


@pytest.mark.parametrize("cancel_on_disconnect", [False, True])
async def test_who_slows_down_again_and_again_goes_on(clock: Clock, cancel_on_disconnect: bool) -> None:
    router = WebSocketRouter(max_rate=(1, 10), cancel_on_disconnect=cancel_on_disconnect)

    @router.listener("/")
    async def listener(message: str) -> str:
        return message

    peer = Peer()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.serve, router)
        for _ in range(4):
            clock.now += 10
            for frame in ("heard", "too soon"):
                peer.say(frame)
                await anyio.wait_all_tasks_blocked()
        peer.leave()
    assert [frame if frame == "heard" else errors_of(frame) for frame in peer.frames] == ["heard", LIMITED] * 4
    assert peer.closed is None


async def test_a_message_that_is_too_big_counts_first(clock: Clock) -> None:
    peer = await talk(listening(clock, max_rate=(1, 10), max_message_size=1), "0", "00", "0", leave=False)
    assert [errors_of(frame) for frame in peer.frames[1:]] == [LIMITED]
    assert peer.closed == (1008, "Too many messages")


async def test_the_close_of_a_route_that_closes_at_invalid_messages_comes_after_the_warning_too(clock: Clock) -> None:
    peer = await talk(listening(clock, max_rate=(1, 10), on_invalid="close"), "0", "0", "0", leave=False)
    assert [errors_of(frame) for frame in peer.frames[1:]] == [LIMITED]
    assert peer.closed == (1008, "Too many messages")


# Levels


def told(peer: Peer) -> str:
    """What the first error frame says of the limit."""
    [frame] = [str(frame) for frame in peer.frames if "rate_limited" in str(frame)]
    [found] = json.loads(frame)["detail"]
    return str(found["msg"])


async def test_the_nearest_level_that_says_so_decides(clock: Clock) -> None:
    outer, inner = WebSocketRouter(max_rate=(1, 10)), WebSocketRouter("/inner", max_rate=(2, 20))

    class Shared(WebSocketListener):
        max_rate = (4, 40)

        @on
        async def say(self, message: str) -> None: ...

    async def listener(message: str) -> None: ...

    outer.listener("/")(listener)
    inner.listener("/")(listener)
    inner.listener("/route", max_rate=(3, 30))(listener)
    inner.websocket("/class")(Shared)
    inner.websocket("/both", max_rate=(5, 50))(Shared)
    outer.include_router(inner)

    found = {
        path: told(await talk(outer, *["0"] * messages, target=path))
        for path, messages in {"/": 2, "/inner/": 3, "/inner/route": 4, "/inner/class": 5, "/inner/both": 6}.items()
    }
    assert found == {
        "/": "At most 1 message in 10 s",
        "/inner/": "At most 2 messages in 20 s",
        "/inner/route": "At most 3 messages in 30 s",
        "/inner/class": "At most 4 messages in 40 s",
        "/inner/both": "At most 5 messages in 50 s",
    }


async def test_one_route_may_have_no_limit_below_a_router_that_has_one(clock: Clock) -> None:
    router = WebSocketRouter(max_rate=(1, 10))

    @router.listener("/", max_rate=(inf, 1))
    async def listener(message: str) -> str:
        return message

    assert (await talk(router, *["0"] * 100)).frames == ["0"] * 100


def test_who_takes_no_messages_can_limit_none() -> None:
    async def endpoint(websocket: WebSocket) -> None: ...

    async def stream() -> AsyncIterator[str]:
        yield ""

    router = WebSocketRouter()
    for declare, subject, what in (
        (router.websocket("/", max_rate=(1, 1)), endpoint, "an endpoint, which reads its messages itself"),
        (router.stream("/", max_rate=(1, 1)), stream, "a stream, which takes no messages"),
    ):
        name = f"{__name__}.{test_who_takes_no_messages_can_limit_none.__name__}.<locals>.{subject.__name__}"
        with pytest.raises(InvalidParameterError) as caught:
            declare(subject)
        assert str(caught.value) == (
            f"max_rate= is about the messages of a listener, and {name} is {what}\n"
            "  route '/'\n"
            f"  {name}\n"
            "  expected: max_rate= at a listener, or at a router for the listeners below it\n"
            "  remedy: remove max_rate=, or declare a listener: @router.listener(path)"
        )


@pytest.mark.parametrize(
    "value",
    [
        *(3, (3,), (0, 10), (3, 0), (3, "60"), (True, 10), [3, 60], (3, 60, 1), (-1, -1)),
        *((3, inf), (nan, 10), (3, nan), "36", {3: 60}),
    ],
)
def test_a_rate_that_cannot_be(value: Any) -> None:
    with pytest.raises(RouterError) as caught:
        WebSocketRouter(max_rate=value)
    assert str(caught.value) == (
        f"max_rate={value!r} cannot be. It is a pair of a number of messages, from 1, and of seconds: (100, 60)."
    )
