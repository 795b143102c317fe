"""Worker threads that nobody leaves behind, and limits."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from anyio import from_thread, to_thread
from anyio.lowlevel import checkpoint

from wsroute.dependencies.concurrency import InlineContext, ThreadedContext, in_thread, limiter_of
from wsroute.params import ConcurrencyLimit

pytestmark = pytest.mark.anyio

natively = pytest.mark.parametrize("anyio_backend", ["asyncio"])


class Gate:
    """Where a worker thread stops until it is let through."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._opened = threading.Event()

    def stop(self) -> None:
        """Wait, in a worker thread."""
        self._entered.set()
        assert self._opened.wait(10)

    async def reached(self) -> None:
        """Wait until a thread has stopped here."""
        await to_thread.run_sync(self._entered.wait, limiter=anyio.CapacityLimiter(1))

    def open(self) -> None:
        """Let the thread go on."""
        self._opened.set()


class Resource:
    """A synchronous dependency that stops on its way in or out."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.entering = Gate()
        self.leaving = Gate()

    @contextmanager
    def held(self) -> Iterator[str]:
        """The dependency."""
        self.entering.stop()
        self.log.append("opened")
        try:
            yield "value"
        except BaseException as error:
            self.log.append(f"closed with {type(error).__name__}")
            raise
        else:
            self.leaving.stop()
            self.log.append("closed")


async def settle() -> None:
    """Let everything happen that can happen now."""
    for _ in range(10):
        await checkpoint()


async def test_a_function_gets_its_arguments_and_runs_in_another_thread() -> None:
    assert await in_thread(lambda *args: (args, threading.get_ident()), 1, 2) != ((1, 2), threading.get_ident())
    assert await in_thread(lambda *args: args, 1, 2) == (1, 2)


async def test_a_coroutine_that_a_function_returns_comes_out_of_the_thread() -> None:
    async def later() -> str:
        return "later"

    coroutine = await in_thread(lambda: later())  # trio itself takes this for a mistake
    assert await coroutine == "later"


async def test_a_function_raises_its_exception_in_the_task() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


@natively
async def test_a_native_cancellation_waits_for_the_thread() -> None:
    gate, log = Gate(), list[str]()

    async def connection() -> None:
        try:
            await in_thread(gate.stop)
        finally:
            log.append("over")

    task = asyncio.create_task(connection())
    await gate.reached()
    for _ in range(3):
        task.cancel()
        await settle()
    assert log == []
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert log == ["over"]


@natively
async def test_a_native_cancellation_before_the_thread_begins_keeps_it_from_beginning() -> None:
    log: list[str] = []
    limiter = to_thread.current_default_thread_limiter()
    limiter.total_tokens = 1
    gate = Gate()
    busy = asyncio.create_task(in_thread(gate.stop))
    await gate.reached()

    task = asyncio.create_task(in_thread(log.append, "called"))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open()
    await busy

    assert log == []


@natively
async def test_what_a_thread_opens_for_a_cancelled_task_is_closed() -> None:
    resource = Resource()
    task = asyncio.create_task(ThreadedContext(resource.held()).__aenter__())
    await resource.entering.reached()

    task.cancel()
    await settle()
    assert not task.done()
    resource.entering.open()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert resource.log == ["opened", "closed with CancelledError"]


@natively
async def test_a_set_up_that_fails_for_a_cancelled_task_is_not_closed() -> None:
    gate, log = Gate(), list[str]()

    @contextmanager
    def failing() -> Iterator[None]:
        gate.stop()
        log.append("fails")
        raise ValueError
        yield

    task = asyncio.create_task(ThreadedContext(failing()).__aenter__())
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert log == ["fails"]


@natively
async def test_a_task_cancelled_by_what_it_opens_closes_it() -> None:
    """The thread is done before the task hears of it, and is cancelled in between."""
    log: list[str] = []

    async def connection() -> None:
        task = asyncio.current_task()
        assert task is not None

        @contextmanager
        def cancelling() -> Iterator[None]:
            from_thread.run_sync(task.cancel)
            log.append("opened")
            try:
                yield
            finally:
                log.append("closed")

        await ThreadedContext(cancelling()).__aenter__()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(connection())

    assert log == ["opened", "closed"]


@natively
async def test_a_native_cancellation_waits_for_a_thread_that_closes() -> None:
    resource = Resource()
    resource.entering.open()
    context = ThreadedContext(resource.held())
    assert await context.__aenter__() == "value"

    task = asyncio.create_task(context.__aexit__(None, None, None))
    await resource.leaving.reached()
    task.cancel()
    await settle()
    assert not task.done()
    resource.leaving.open()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert resource.log == ["opened", "closed"]


@natively
async def test_a_native_cancellation_before_a_thread_closes_does_not_keep_it_from_closing() -> None:
    resource = Resource()
    resource.entering.open()
    resource.leaving.open()
    context = ThreadedContext(resource.held())
    await context.__aenter__()

    task = asyncio.create_task(context.__aexit__(None, None, None))
    await checkpoint()  # the task has begun, and has not got to its thread yet
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert resource.log == ["opened", "closed"]


async def test_a_cancelled_scope_waits_for_what_a_thread_opens() -> None:
    resource = Resource()
    context = ThreadedContext(resource.held())

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(context.__aenter__)
            await resource.entering.reached()
            scope.cancel()
            resource.entering.open()

    assert resource.log == ["opened"], "it has been handed over, and so is the caller's to close"


async def test_a_thread_closes_while_all_threads_of_the_pool_wait() -> None:
    limiter = to_thread.current_default_thread_limiter()
    limiter.total_tokens = 1
    resource, gate = Resource(), Gate()
    resource.entering.open()
    resource.leaving.open()
    context = ThreadedContext(resource.held())
    await context.__aenter__()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(in_thread, gate.stop)
        await gate.reached()
        assert limiter.available_tokens == 0
        await context.__aexit__(None, None, None)
        gate.open()

    assert resource.log == ["opened", "closed"]


@pytest.mark.parametrize("adapter", [ThreadedContext, InlineContext])
async def test_a_synchronous_context_manager_sees_and_may_swallow_the_exception(adapter: Callable[..., Any]) -> None:
    seen: list[BaseException] = []

    @contextmanager
    def swallowing() -> Iterator[str]:
        try:
            yield "value"
        except ValueError as error:
            seen.append(error)

    context = adapter(swallowing())
    assert await context.__aenter__() == "value"
    error = ValueError()

    assert await context.__aexit__(ValueError, error, None)
    assert seen == [error]


async def test_inline_runs_in_the_task() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    @contextmanager
    def setting() -> Iterator[int]:
        token = variable.set("set")
        yield threading.get_ident()
        variable.reset(token)

    context = InlineContext(setting())
    assert await context.__aenter__() == threading.get_ident()
    assert variable.get() == "set"
    await context.__aexit__(None, None, None)
    assert variable.get() == "unset"


# Limits


async def test_a_limit_is_one_semaphore_for_each_declaration() -> None:
    one, other = ConcurrencyLimit(2), ConcurrencyLimit(2)

    assert limiter_of(one)() is limiter_of(one)()
    assert limiter_of(one)() is not limiter_of(other)()
    assert limiter_of(one)().value == 2


def test_a_limit_is_one_semaphore_for_each_event_loop() -> None:
    limit = limiter_of(ConcurrencyLimit(1))

    async def take_it() -> Any:
        semaphore = limit()
        await semaphore.acquire()
        return semaphore

    assert anyio.run(take_it) is not anyio.run(take_it)


async def test_a_limit_of_fastapi_is_shared_with_its_http_routes() -> None:
    semaphore = anyio.Semaphore(1)

    class Shared:
        def get_semaphore(self) -> anyio.Semaphore:
            return semaphore

    assert limiter_of(Shared())() is semaphore


async def test_no_more_than_the_limit_at_once() -> None:
    limit, running, most = ConcurrencyLimit(2), 0, 0

    async def connection() -> None:
        nonlocal running, most
        async with limiter_of(limit)():
            running += 1
            most = max(most, running)
            await settle()
            running -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(connection)

    assert most == 2
