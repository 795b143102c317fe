"""What generated code needs at run time: worker threads, and limits of how many connections use a declaration.

anyio loads limiters and semaphores when somebody first asks for them. Nobody does here before a connection comes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

import anyio
from anyio import CancelScope, get_cancelled_exc_class, to_thread
from anyio.lowlevel import RunVar

from wsroute.dependencies.callables import Form
from wsroute.params import ConcurrencyLimit

_semaphores: RunVar[WeakKeyDictionary[ConcurrencyLimit, anyio.Semaphore]] = RunVar("wsroute_semaphores")


class _ThreadCall:
    """One call in a worker thread that nobody leaves behind.

    A cancelled scope waits for the thread. A native cancellation of an asyncio task does not: the thread would go on
    with dependencies that are being closed, and what it opens would be lost.

    Args:
        function: What to call.
    """

    __slots__ = ("_done", "_function", "_lock", "succeeded")

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._done = False
        #: Whether the function was called and returned.
        self.succeeded = False

    async def run(self) -> Any:
        """Call the function, unless the task is cancelled before the thread begins."""
        try:
            [value] = await to_thread.run_sync(self)
            return value
        except BaseException:
            if self._lock.acquire(blocking=False):
                self._done = True
                self._lock.release()
            await self._finish()
            raise

    async def run_anyway(self) -> Any:
        """Call the function, even if the task is cancelled before the thread begins."""
        try:
            with CancelScope(shield=True):
                # A limiter of its own: with all threads of the pool waiting for what this one gives back, nobody
                # would go on.
                [value] = await to_thread.run_sync(self, limiter=anyio.CapacityLimiter(1))
                return value
        except BaseException:
            await self._finish()
            raise

    def __call__(self) -> list[Any]:
        with self._lock:  # who comes second waits for the first
            if self._done:
                return []
            try:
                # In a list, since trio does not let a coroutine out of a thread.
                value = [self._function()]
                self.succeeded = True
                return value
            finally:
                self._done = True

    async def _finish(self) -> None:
        while not self._done:
            with suppress(get_cancelled_exc_class()), CancelScope(shield=True):
                await to_thread.run_sync(self, limiter=anyio.CapacityLimiter(1))


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a worker thread, and wait for its end, whatever is cancelled in the meantime."""
    return await _ThreadCall(partial(function, *args)).run()


class ThreadedContext:
    """A synchronous context manager, entered and left in worker threads.

    Args:
        manager: The context manager.
    """

    __slots__ = ("_manager",)

    def __init__(self, manager: AbstractContextManager[Any]) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        entering = _ThreadCall(self._manager.__enter__)
        try:
            return await entering.run()
        except BaseException as error:
            if entering.succeeded:  # but nobody gets the value, and so nobody else closes it
                await self.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        closing = _ThreadCall(partial(self._manager.__exit__, kind, exception, traceback))
        closed: bool | None = await closing.run_anyway()
        return closed


class InlineContext:
    """A synchronous context manager, entered and left in place.

    Args:
        manager: The context manager.
    """

    __slots__ = ("_manager",)

    def __init__(self, manager: AbstractContextManager[Any]) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        return self._manager.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._manager.__exit__(kind, exception, traceback)


def limiter_of(limit: Any) -> Callable[[], anyio.Semaphore]:
    """A function that gives the semaphore of one declaration in the running event loop.

    Args:
        limit: Ours, or FastAPI's own object, so that HTTP routes and sockets share one limit.
    """
    if not isinstance(limit, ConcurrencyLimit):
        get_semaphore: Callable[[], anyio.Semaphore] = limit.get_semaphore
        return get_semaphore

    def semaphore() -> anyio.Semaphore:
        semaphores = _semaphores.get(None)
        if semaphores is None:
            semaphores = WeakKeyDictionary()
            _semaphores.set(semaphores)
        if limit not in semaphores:
            semaphores[limit] = anyio.Semaphore(limit.size)
        return semaphores[limit]

    return semaphore


def context_factory(call: Callable[..., Any], form: Form, *, threaded: bool) -> Callable[..., Any]:
    """What makes the asynchronous context manager of a dependency with `yield`.

    Args:
        call: The dependency.
        form: What calling it gives.
        threaded: Whether it runs in worker threads.
    """
    if form is Form.ASYNC_CONTEXT_MANAGER:
        return call
    if form is Form.ASYNC_GENERATOR:
        return asynccontextmanager(call)
    manager = call if form is Form.CONTEXT_MANAGER else contextmanager(call)
    adapter = ThreadedContext if threaded else InlineContext
    return lambda *args, **kwargs: adapter(manager(*args, **kwargs))
