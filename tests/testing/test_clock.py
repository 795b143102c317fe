"""Time that a test puts forward: deadlines of the application fire in their order, and those of the kit do not."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint
from trio.testing import MockClock

from wsroute import WebSocket, WebSocketRouter
from wsroute.testing import DeadlinePassed, clock, connect, fake_clock

pytestmark = pytest.mark.anyio

LONG = 3600.0
SHORT = 0.05

router = WebSocketRouter()


@router.websocket("/idle")
async def idle(websocket: WebSocket, seconds: float) -> None:
    """Closes a connection on which nothing has come for a while."""
    await websocket.accept()
    while True:
        with anyio.move_on_after(seconds) as scope:
            text = await websocket.receive_text()
            await websocket.send_text(text)
        if scope.cancelled_caught:
            await websocket.close(1008, "Idle")
            return


@router.websocket("/ticks")
async def ticks(websocket: WebSocket) -> None:
    """Sends how much time has passed, each minute."""
    await websocket.accept()
    begin = anyio.current_time()
    for _ in range(3):
        await anyio.sleep(60)
        await websocket.send_text(f"{anyio.current_time() - begin:.0f}")


async def test_an_idle_timeout_comes_when_the_test_wants_it_to() -> None:
    async with fake_clock() as time, connect(router, f"/idle?seconds={LONG}") as ws:
        await time.advance(LONG - 1)
        await ws.send_text("still here")
        assert await ws.receive_text() == "still here"
        await time.advance(LONG - 1)
        await ws.send_text("and here")
        assert await ws.receive_text() == "and here"
        await time.advance(LONG)
        await ws.expect_close(1008, "Idle")


async def test_time_stops_at_each_deadline_on_the_way() -> None:
    async with fake_clock() as time, connect(router, "/ticks") as ws:
        await time.advance(200)
        assert [frame async for frame in ws] == ["60", "120", "180"]


async def test_deadlines_fire_in_their_order() -> None:
    fired: list[float] = []

    async def wait(seconds: float) -> None:
        await anyio.sleep(seconds)
        fired.append(seconds)

    async with fake_clock() as time, anyio.create_task_group() as tasks:
        for seconds in (30.0, 10.0, 20.0, 10.5, 1000.0):
            tasks.start_soon(wait, seconds)
        await time.advance(29)
        assert fired == [10, 10.5, 20]
        await time.advance(1)
        assert fired == [10, 10.5, 20, 30]
        tasks.cancel_scope.cancel()


async def test_a_deadline_that_was_there_before_the_clock_fires_too() -> None:
    fired: list[bool] = []

    async def wait() -> None:
        await anyio.sleep(LONG)
        fired.append(True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await checkpoint()
        async with fake_clock() as time:
            await time.advance(LONG)
            assert fired


async def test_deadlines_of_the_kit_go_by_real_time() -> None:
    async with fake_clock() as time, connect(router, f"/idle?seconds={LONG}", deadline=5) as ws:

        async def advance() -> None:
            await time.advance(LONG / 2)
            await ws.send_text("hi")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(advance)
            assert await ws.receive_text() == "hi"

        begin = monotonic()
        with pytest.raises(DeadlinePassed):
            await ws.receive(deadline=SHORT)
        assert SHORT <= monotonic() - begin < 2


async def test_time_does_not_go_back() -> None:
    async with fake_clock() as time:
        with pytest.raises(ValueError, match=r"advance\(\) got -1; time does not go back"):
            await time.advance(-1)
        before = anyio.current_time()
        await time.advance(LONG)
    assert anyio.current_time() >= before + LONG


async def test_clocks_may_be_nested_and_opened_again() -> None:
    async with fake_clock() as outer:
        async with fake_clock() as inner:
            before = anyio.current_time()
            await inner.advance(LONG)
            await outer.advance(LONG)
            assert 2 * LONG <= anyio.current_time() - before < 2 * LONG + 60
    async with fake_clock() as time:
        await time.advance(LONG)
        assert 3 * LONG <= anyio.current_time() - before < 3 * LONG + 60


async def test_an_application_that_polls_does_not_make_time_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "IN_STEPS", 0.0)

    async def poll() -> None:
        while True:  # noqa: ASYNC110  # polling is what it is about
            await anyio.sleep(1e-9)

    async with fake_clock() as time, anyio.create_task_group() as tasks:
        tasks.start_soon(poll)
        before = anyio.current_time()
        await time.advance(LONG)
        assert anyio.current_time() >= before + LONG
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_closed_clock_keeps_no_deadlines() -> None:
    loop = asyncio.get_running_loop()
    async with fake_clock() as time:
        loop.call_later(LONG, lambda: None)
    loop.call_later(LONG, lambda: None)
    assert isinstance(time, clock._AsyncioClock)
    assert time._timers == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_event_loop_that_cannot_be_changed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loop:
        __slots__ = ()

        time = staticmethod(monotonic)
        call_at: Any = None

    monkeypatch.setattr(asyncio, "get_running_loop", Loop)
    with pytest.raises(RuntimeError, match=r"the clock of \S+Loop cannot be put forward; run the test on"):
        clock._clock()


def test_a_mock_clock_of_trio_is_used_as_it_is() -> None:
    mock = MockClock()

    async def main() -> None:
        async with fake_clock() as time, connect(router, f"/idle?seconds={LONG}") as ws:
            before = mock.current_time()
            await time.advance(LONG / 2)
            assert mock.current_time() == before + LONG / 2
            await time.advance(LONG / 2)
            await ws.expect_close(1008)

    trio.run(main, clock=mock)


def test_a_clock_that_stands_still_does_not_hang_the_kit() -> None:
    async def main() -> None:
        async with connect(router, f"/idle?seconds={LONG}", deadline=SHORT) as ws:
            with pytest.raises(DeadlinePassed):
                await ws.receive()
            await ws.send_text("hi")
            assert await ws.receive_text() == "hi"

    trio.run(main, clock=MockClock())


def test_a_clock_that_jumps_by_itself_does_not_make_the_kit_late() -> None:
    async def main() -> None:
        async with connect(router, f"/idle?seconds={LONG}") as ws:
            await ws.expect_close(1008)

    trio.run(main, clock=MockClock(autojump_threshold=0))
