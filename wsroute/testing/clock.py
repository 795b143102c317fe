"""Time that a test puts forward: what an application waits for happens at once, in order.

Only the time of the event loop is another one (`anyio.current_time()`, and with it `anyio.sleep`, `move_on_after` and
`fail_after`, `asyncio.timeout` and so on). `time.time()` and `time.monotonic()` are not.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from time import monotonic
from types import TracebackType
from typing import Any

from anyio.lowlevel import checkpoint

from wsroute.testing.backends import in_trio

#: How often everybody gets to run after each step of the clock.
TURNS = 20
#: How long the clock goes from one deadline to the next, in seconds of real time; then it jumps. An application that
#: polls has a new deadline after each step, however small the steps are.
IN_STEPS = 2.0


class Clock(ABC):
    """What `fake_clock` gives."""

    async def advance(self, seconds: float) -> None:
        """Let time pass.

        It stops at each deadline on the way, in order, and lets run what that has woken up: the clock is at 10 when
        what waits for 10 goes on.

        Args:
            seconds: How much time passes.
        """
        if seconds < 0:
            raise ValueError(f"advance() got {seconds!r}; time does not go back")
        await self._settle()
        left = seconds
        end = monotonic() + IN_STEPS
        while (step := self._next_deadline()) is not None and step <= left and monotonic() < end:
            self._shift(step)
            left -= step
            await self._settle()
        self._shift(left)
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(TURNS):
            await checkpoint()

    def begin(self) -> None:  # noqa: B027  # most clocks have nothing to do
        """From now on, it may be put forward."""

    def end(self) -> None:  # noqa: B027  # most clocks have nothing to do
        """It is not put forward any more."""

    @abstractmethod
    def _next_deadline(self) -> float | None:
        """The seconds to the next deadline; None if nothing waits for one."""

    @abstractmethod
    def _shift(self, seconds: float) -> None:
        """Put the clock forward."""


class fake_clock:
    """A clock that the test puts forward: `async with fake_clock() as clock: await clock.advance(30)`.

    Open it before the connections whose deadlines it is for. It puts the clock of the event loop forward, which goes on
    by itself all the same; afterwards the time stays where it is. The deadlines of the kit itself go by real time. A
    `trio.testing.MockClock` is used as it is.

    Raises:
        RuntimeError: The clock of this event loop cannot be put forward, as that of uvloop.
    """

    async def __aenter__(self) -> Clock:
        self._clock = _clock()
        self._clock.begin()
        return self._clock

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._clock.end()


def _clock() -> Clock:
    if in_trio():
        return _TrioClock()
    loop = asyncio.get_running_loop()
    known: Clock | None = getattr(loop, _KEY, None)
    return known or _AsyncioClock(loop)


#: Under which name an event loop keeps its clock, so that it is changed once.
_KEY = "_wsroute_clock"


class _AsyncioClock(Clock):
    """Puts forward what `loop.time()` gives, and remembers the deadlines that are made from then on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._offset = 0.0
        self._users = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._time = loop.time
        call_at: Callable[..., asyncio.TimerHandle] = loop.call_at

        def remember(when: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            timer = call_at(when, *args, **kwargs)
            if self._users:
                heappush(self._timers, (when, id(timer), timer))
            return timer

        try:
            for name, value in (("time", self._now), ("call_at", remember), (_KEY, self)):
                setattr(loop, name, value)
        except AttributeError:
            kind = f"{type(loop).__module__}.{type(loop).__qualname__}"
            raise RuntimeError(
                f"the clock of {kind} cannot be put forward; run the test on asyncio's own event loop"
            ) from None

    def begin(self) -> None:
        self._users += 1

    def end(self) -> None:
        self._users -= 1
        if not self._users:
            self._timers.clear()

    def _now(self) -> float:
        return self._time() + self._offset

    def _next_deadline(self) -> float | None:
        now = self._now()
        while self._timers and (self._timers[0][0] <= now or self._timers[0][2].cancelled()):
            heappop(self._timers)
        return self._timers[0][0] - now if self._timers else None

    def _shift(self, seconds: float) -> None:
        self._offset += seconds


class _TrioClock(Clock):
    """Puts forward the clock of the run."""

    def __init__(self) -> None:
        from trio import lowlevel

        self._statistics = lowlevel.current_statistics
        self._clock: Any = lowlevel.current_clock()

    def _next_deadline(self) -> float | None:
        seconds = self._statistics().seconds_to_next_deadline
        return None if seconds == inf else max(seconds, 0.0)

    def _shift(self, seconds: float) -> None:
        if hasattr(self._clock, "jump"):
            self._clock.jump(seconds)
        else:
            # It is frozen, so that nobody does this by mistake.
            object.__setattr__(self._clock, "offset", self._clock.offset + seconds)
