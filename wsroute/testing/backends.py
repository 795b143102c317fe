"""The little that the kit needs of an event loop: tasks of its own, and waits that end by the time on the wall.

No cancel scope and no nursery is open across a `yield` of the kit, so that its context managers may be entered in one
task and left in another, as fixtures are. Nothing is around the application, as nothing is on a server: what it finds
out about its own cancel scopes is what it would find out there.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context, ContextVar, copy_context
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import trio

#: What a task belongs to: tasks inherit it from the task that started them.
_owner: ContextVar[object] = ContextVar("wsroute_testing_owner", default=None)


class Stray(NamedTuple):
    """A task that an application has started.

    Attributes:
        name: Its name.
        coroutine: What it runs.
        cancel: Cancels it; trio has no way to do that from outside.
    """

    name: str
    coroutine: Any
    cancel: Callable[[], object] | None


class Bell(ABC):
    """Wakes whoever waits for something to change."""

    @abstractmethod
    def ring(self) -> None:
        """Wake all who wait."""

    @abstractmethod
    async def wait(self, seconds: float | None = None) -> bool:
        """Wait for the next ring.

        Args:
            seconds: How long, in real time: a clock that a test has put forward changes nothing. None: for ever.

        Returns:
            Whether it rang.
        """


class Backend(ABC):
    """One kind of event loop."""

    @abstractmethod
    def bell(self) -> Bell:
        """A new bell."""

    @abstractmethod
    def spawn(self, run: Callable[[], Awaitable[None]]) -> Callable[[], object]:
        """Run something in a task of its own, and return what cancels it.

        Args:
            run: What to run. It has to keep its exceptions to itself.
        """

    @abstractmethod
    def tasks(self) -> Iterator[tuple[Context, Stray]]:
        """All tasks but the current one, with their contexts."""

    def strays(self, owner: object) -> list[Stray]:
        """The tasks that belong to something."""
        return [stray for context, stray in self.tasks() if context.get(_owner) is owner]


def current_backend() -> Backend:
    """That of the event loop which is running.

    Raises:
        RuntimeError: None is.
    """
    if in_trio():
        return _TRIO
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("no event loop is running: use connect_sync() in a test that is not async") from None
    return _ASYNCIO


def in_trio() -> bool:
    """Whether trio runs the current task. It is not imported for that."""
    try:
        sys.modules["trio"].lowlevel.current_task()
    except (KeyError, RuntimeError):
        return False
    return True


def belong_to(owner: object) -> None:
    """From here on, this task and those that it starts belong to something."""
    _owner.set(owner)


class _AsyncioBell(Bell):
    """One timer serves many waits: most of them end long before it, so that none of them has to make one."""

    __slots__ = ("_due", "_loop", "_timer", "_waiting")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[asyncio.Future[bool], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf

    def ring(self) -> None:
        if self._waiting:
            for future in self._waiting:
                _answer(future, True)
            self._waiting.clear()

    async def wait(self, seconds: float | None = None) -> bool:
        future: asyncio.Future[bool] = self._loop.create_future()
        end = self._waiting[future] = inf if seconds is None else monotonic() + seconds
        if end < self._due:
            self._watch(end)
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    def _watch(self, end: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = end
        self._timer = self._loop.call_later(end - monotonic(), self._look)

    def _look(self) -> None:
        """The timer goes by the time of the event loop, which a test may have put forward; so see what is due."""
        self._timer, self._due = None, inf
        now = monotonic()
        for future, end in self._waiting.items():
            if end <= now:
                _answer(future, False)
        if (end := min((end for end in self._waiting.values() if end > now), default=inf)) < inf:
            self._watch(end)


def _answer(future: asyncio.Future[bool], answer: bool) -> None:
    if not future.done():
        future.set_result(answer)


class _Asyncio(Backend):
    def bell(self) -> Bell:
        return _AsyncioBell()

    def spawn(self, run: Callable[[], Awaitable[None]]) -> Callable[[], object]:
        async def main() -> None:
            await run()

        task = asyncio.get_running_loop().create_task(main())
        # The event loop does not keep its tasks alive, and nobody else may.
        _alive.add(task)
        task.add_done_callback(_alive.discard)
        return task.cancel

    def tasks(self) -> Iterator[tuple[Context, Stray]]:
        current = asyncio.current_task()
        for task in asyncio.all_tasks():
            if task is not current:
                yield _context_of(task), Stray(task.get_name(), task.get_coro(), task.cancel)


_alive: set[asyncio.Task[None]] = set()


def _context_of(task: asyncio.Task[Any]) -> Context:
    if sys.version_info >= (3, 12):  # pragma: no cover  # one of the two, by the version
        return task.get_context()
    # The first of what a task refers to; before 3.12 it does not tell it in another way.
    return next(item for item in gc.get_referents(task) if isinstance(item, Context))


class _TrioBell(Bell):
    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: trio.Event | None = None

    def ring(self) -> None:
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self, seconds: float | None = None) -> bool:
        import trio

        if self._event is None:
            self._event = trio.Event()
        event = self._event
        if seconds is None:
            await event.wait()
        elif type(trio.lowlevel.current_clock()).__name__ == "SystemClock":
            end = monotonic() + seconds
            while not event.is_set() and (left := end - monotonic()) > 0:
                with trio.move_on_after(left):
                    await event.wait()
        else:
            await _wait_in_real_time(event, seconds)
        return event.is_set()


async def _wait_in_real_time(event: trio.Event, seconds: float) -> None:
    """Wait where the time of the event loop stands still, or runs ahead: a thread knows what time it is."""
    import trio

    token = trio.lowlevel.current_trio_token()
    with trio.CancelScope() as scope:
        timer = threading.Timer(seconds, token.run_sync_soon, (scope.cancel,))
        timer.daemon = True
        timer.start()
        try:
            await event.wait()
        finally:
            timer.cancel()


class _Trio(Backend):
    def bell(self) -> Bell:
        return _TrioBell()

    def spawn(self, run: Callable[[], Awaitable[None]]) -> Callable[[], object]:
        import trio

        scope = trio.CancelScope()

        async def main() -> None:
            with scope:
                await run()

        trio.lowlevel.spawn_system_task(main, context=copy_context())
        return scope.cancel

    def tasks(self) -> Iterator[tuple[Context, Stray]]:
        import trio

        root = trio.lowlevel.current_root_task()
        waiting = [] if root is None else [root]
        while waiting:
            task = waiting.pop()
            for nursery in task.child_nurseries:
                waiting += nursery.child_tasks
            if task is not trio.lowlevel.current_task():
                yield task.context, Stray(task.name, task.coro, None)


_ASYNCIO = _Asyncio()
_TRIO = _Trio()
