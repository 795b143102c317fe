"""Closing: in order, shielded, with the right exception; and the tasks of an endpoint before everything else."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from types import AsyncGeneratorType
from typing import Any, NoReturn

import anyio
import pytest
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from starlette.websockets import WebSocketDisconnect

from wsroute.dependencies.concurrency import InlineContext, ThreadedContext
from wsroute.dependencies.exits import EndpointTasks, Exits, is_disconnect, only_leaf
from wsroute.exceptions import SwallowedExceptionError

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "asyncio-always-shielded", "trio"])
def anyio_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """On asyncio, dependencies have shields only if they need them; all has to be the same if they always have."""
    backend: str = request.param.removesuffix("-always-shielded")
    if backend != request.param:
        monkeypatch.setattr("wsroute.dependencies.shields._states_of_tasks", lambda: None)
    return backend


class Leaving(WebSocketDisconnect):
    """An exception with a name, which may be swallowed."""

    def __init__(self, name: str) -> None:
        super().__init__(1001)
        self.name = name


def in_except(name: str, first: BaseException, error: BaseException) -> NoReturn:
    raise Leaving(name)


def from_it(name: str, first: BaseException, error: BaseException) -> NoReturn:
    raise Leaving(name) from error


def from_none(name: str, first: BaseException, error: BaseException) -> NoReturn:
    raise Leaving(name) from None


def the_first_again(name: str, first: BaseException, error: BaseException) -> NoReturn:
    raise first


def its_context(name: str, first: BaseException, error: BaseException) -> NoReturn:
    raise error.__context__ or error


def swallow(name: str, first: BaseException, error: BaseException) -> None:
    """The dependency goes on as if nothing had happened."""


#: What a dependency does about an exception while it handles it.
REACTIONS = (in_except, from_it, from_none, the_first_again, its_context, swallow)

Generator = Callable[[str, BaseException], Any]


def reacting(reaction: Callable[[str, BaseException, BaseException], None]) -> Generator:
    def generator(name: str, first: BaseException) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            reaction(name, first, error)

    return generator


def failing_in_finally(name: str, first: BaseException) -> Iterator[None]:
    try:
        yield
    finally:
        raise Leaving(name)


def failing_after_except(name: str, first: BaseException) -> Iterator[None]:
    with suppress(BaseException):
        yield
    raise Leaving(name)


def the_first_after_except(name: str, first: BaseException) -> Iterator[None]:
    with suppress(BaseException):
        yield
    raise first


def failing_twice(name: str, first: BaseException) -> Iterator[None]:
    with suppress(BaseException):
        yield
    try:
        raise Leaving(f"{name} at first")
    except Leaving:
        raise Leaving(name)  # noqa: B904  # the context is what is tested


def passing(name: str, first: BaseException) -> Iterator[None]:
    yield


GENERATORS: tuple[Generator, ...] = (
    *map(reacting, REACTIONS),
    failing_in_finally,
    failing_after_except,
    the_first_after_except,
    failing_twice,
    passing,
)


def asynchronous(generator: Generator) -> Generator:
    """The same as an asynchronous generator."""

    async def steps(name: str, first: BaseException) -> AsyncIterator[None]:
        with contextmanager(generator)(name, first):
            yield

    return steps


async def nested(managers: list[Any], ending: BaseException | None) -> None:
    """What Python does."""
    if managers:
        outermost = managers[0]
        manager = asynccontextmanager(lambda: outermost)() if isinstance(outermost, AsyncGeneratorType) else outermost
        async with manager:
            await nested(managers[1:], ending)
    elif ending is not None:
        raise ending


async def with_exits(managers: list[Any], ending: BaseException | None) -> None:
    async with Exits("endpoint") as exits:
        for manager in managers:
            if isinstance(manager, AsyncGeneratorType):
                await exits.start(manager)
            elif isinstance(manager, (InlineContext, ThreadedContext)):
                await exits.hold(manager)
            else:
                await exits.open(manager)
        if ending is not None:
            raise ending


async def history(running: Awaitable[None]) -> list[tuple[str, str | None, bool]]:
    """What was raised, and the chain of what it came from: name, name of the cause, whether its context is hidden."""
    try:
        await running
    except Leaving as error:
        found: list[tuple[str, str | None, bool]] = []
        link: BaseException | None = error
        while link is not None:
            assert isinstance(link, Leaving)
            cause = link.__cause__.name if isinstance(link.__cause__, Leaving) else None
            found.append((link.name, cause, link.__suppress_context__))
            assert len(found) < 10, "a cycle"
            link = link.__context__
        return found
    return []


def in_place(generator: Generator, *args: Any) -> Any:
    return InlineContext(contextmanager(generator)(*args))


#: How a generator becomes something that `Exits` opens.
FORMS: dict[str, Callable[..., Any]] = {
    "async generator": lambda generator, *args: asynchronous(generator)(*args),
    "async context manager": lambda generator, *args: asynccontextmanager(asynchronous(generator))(*args),
    "inline": in_place,
    "threaded": lambda generator, *args: ThreadedContext(contextmanager(generator)(*args)),
}
#: Those of threads are fewer, for the time that they take. And trio raises what a thread has raised once more, so that
#: of an exception's own context, before the one that it was given, nothing is left.
COMBINATIONS = {
    form: list(
        itertools.product(GENERATORS, repeat=3)
        if form != "threaded"
        else itertools.product([generator for generator in GENERATORS if generator is not failing_twice], repeat=2)
    )
    for form in FORMS
}


@pytest.mark.parametrize("fails", [True, False], ids=["after an exception", "after a return"])
@pytest.mark.parametrize("form", FORMS)
async def test_exceptions_are_chained_as_by_nested_with_statements(form: str, fails: bool) -> None:
    for generators in COMBINATIONS[form]:
        histories = []
        for run, build in ((nested, in_place), (with_exits, FORMS[form])):
            first = Leaving("first")
            managers = [build(generator, str(number), first) for number, generator in enumerate(generators)]
            histories.append(await history(run(managers, first if fails else None)))
        assert histories[1] == histories[0], generators


async def test_three_threads_chain_their_exceptions() -> None:
    first = Leaving("first")
    managers = [ThreadedContext(contextmanager(reacting(in_except))(name, first)) for name in "abc"]

    found = await history(with_exits(managers, first))

    assert [name for name, *_ in found] == ["a", "b", "c", "first"]


class Log(list[str]):
    """What generators write down."""

    async def dependency(self, name: str) -> AsyncIterator[str]:
        """Writes down how it is closed, after a pause that a cancellation would cut."""
        try:
            yield name
        except BaseException as error:
            await checkpoint()
            self.append(f"{name} saw {'a cancellation' if is_cancellation(error) else type(error).__name__}")
            raise
        await checkpoint()
        self.append(f"{name} closed")

    async def swallowing(self) -> AsyncIterator[None]:
        """Makes exceptions disappear."""
        with suppress(BaseException):
            yield


def is_cancellation(error: BaseException) -> bool:
    return isinstance(error, anyio.get_cancelled_exc_class())


def generator_of(made: Any) -> AsyncGeneratorType[Any, None]:
    assert isinstance(made, AsyncGeneratorType)
    return made


async def yields_twice() -> AsyncIterator[None]:
    yield
    yield


async def yields_never() -> AsyncIterator[None]:
    if yields_never is None:
        yield


async def test_a_generator_that_yields_twice_is_an_error_that_those_further_out_see() -> None:
    log = Log()

    with pytest.raises(RuntimeError, match="yields_twice yielded a second time"):
        async with Exits("endpoint") as exits:
            await exits.start(generator_of(log.dependency("outer")))
            await exits.start(generator_of(yields_twice()))

    assert log == ["outer saw RuntimeError"]


async def test_a_generator_that_never_yields_is_an_error() -> None:
    log = Log()

    with pytest.raises(RuntimeError, match="yields_never did not yield"):
        async with Exits("endpoint") as exits:
            await exits.start(generator_of(log.dependency("outer")))
            await exits.start(generator_of(yields_never()))

    assert log == ["outer saw RuntimeError"]


async def test_a_swallowed_exception_is_an_error_that_names_the_endpoint() -> None:
    log = Log()
    swallowed = ValueError()

    with pytest.raises(SwallowedExceptionError, match=r"a dependency of app\.endpoint swallowed") as caught:
        async with Exits("app.endpoint") as exits:
            await exits.start(generator_of(log.dependency("outer")))
            await exits.start(generator_of(log.swallowing()))
            raise swallowed

    assert caught.value.__cause__ is swallowed
    assert log == ["outer saw SwallowedExceptionError"]


@pytest.mark.parametrize(
    "disconnect",
    [WebSocketDisconnect(1001), ExceptionGroup("tasks", [WebSocketDisconnect(), ExceptionGroup("", [Leaving("x")])])],
)
async def test_a_disconnect_may_be_swallowed(disconnect: Exception) -> None:
    log = Log()

    async with Exits("endpoint") as exits:
        await exits.start(generator_of(log.dependency("outer")))
        await exits.start(generator_of(log.swallowing()))
        raise disconnect

    assert log == ["outer closed"]


async def test_a_context_manager_may_raise_what_it_is_given_once_more() -> None:
    class Manager(AbstractAsyncContextManager[None]):
        async def __aexit__(self, kind: object, exception: BaseException | None, traceback: object) -> None:
            assert exception is not None
            raise exception

    log = Log()
    error = ValueError()

    with pytest.raises(ValueError) as caught:
        async with Exits("endpoint") as exits:
            await exits.start(generator_of(log.dependency("outer")))
            await exits.open(Manager())
            raise error

    assert caught.value is error
    assert error.__context__ is None
    assert log == ["outer saw ValueError"]


async def test_an_exception_that_is_false_is_still_an_exception() -> None:
    class Empty(Exception):
        def __len__(self) -> int:
            return 0

    log = Log()

    with pytest.raises(Empty):
        async with Exits("endpoint") as exits:
            await exits.start(generator_of(log.dependency("outer")))
            await exits.open(asynccontextmanager(log.dependency)("inner"))
            raise Empty

    assert log == ["inner saw Empty", "outer saw Empty"]


async def test_closing_is_shielded_from_the_cancellation_that_began_it() -> None:
    log = Log()

    with anyio.CancelScope() as scope:
        async with Exits("endpoint") as exits:
            await exits.start(generator_of(log.dependency("outer")))
            await exits.start(generator_of(log.dependency("inner")))
            scope.cancel()
            await checkpoint()

    assert scope.cancelled_caught
    assert log == ["inner saw a cancellation", "outer saw a cancellation"]


async def test_a_cancellation_that_comes_while_closing_takes_effect_afterwards() -> None:
    log = Log()

    async def cancelling(scope: anyio.CancelScope) -> AsyncIterator[None]:
        yield
        scope.cancel()
        await checkpoint()
        log.append("cancelled and closed")

    with anyio.CancelScope() as scope:
        async with Exits("endpoint") as outer:
            await outer.start(generator_of(log.dependency("outer")))
            async with Exits("endpoint") as inner:
                await inner.start(generator_of(log.dependency("inner")))
                await inner.start(generator_of(cancelling(scope)))
            log.append("not reached")

    assert scope.cancelled_caught
    assert log == ["cancelled and closed", "inner closed", "outer saw a cancellation"]


async def test_a_task_group_of_a_dependency_does_not_eat_the_cancellation() -> None:
    log = Log()

    async def with_tasks() -> AsyncIterator[TaskGroup]:
        async with anyio.create_task_group() as tasks:
            yield tasks
            log.append("not reached")

    with anyio.CancelScope() as scope:
        async with Exits("endpoint") as exits:
            await exits.start(generator_of(log.dependency("outer")))
            tasks = await exits.start(generator_of(with_tasks()))
            await exits.start(generator_of(log.dependency("inner")))
            tasks.start_soon(anyio.sleep_forever)
            scope.cancel()
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert log == ["inner saw a cancellation", "outer saw a cancellation"]


async def test_a_failing_task_of_a_dependency_ends_the_endpoint() -> None:
    log = Log()

    async def with_tasks() -> AsyncIterator[TaskGroup]:
        async with anyio.create_task_group() as tasks:
            yield tasks

    async def fail() -> None:
        raise ValueError

    with pytest.raises(ExceptionGroup) as caught:
        async with Exits("endpoint") as exits:
            await exits.start(generator_of(log.dependency("outer")))
            tasks = await exits.start(generator_of(with_tasks()))
            await exits.start(generator_of(log.dependency("inner")))
            tasks.start_soon(fail)
            await anyio.sleep_forever()

    assert isinstance(only_leaf(caught.value), ValueError)
    assert log == ["inner saw a cancellation", "outer saw ExceptionGroup"]


async def test_a_cancel_scope_of_a_dependency_works_across_its_yield() -> None:
    log = Log()

    async def limited() -> AsyncIterator[anyio.CancelScope]:
        with anyio.CancelScope() as scope:
            yield scope
        if scope.cancelled_caught:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        async with Exits("endpoint") as exits:
            await exits.start(generator_of(log.dependency("outer")))
            limit = await exits.start(generator_of(limited()))
            await exits.start(generator_of(log.dependency("inner")))
            limit.cancel()
            await anyio.sleep_forever()

    assert log == ["inner saw a cancellation", "outer saw TimeoutError"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_native_cancellation_that_cuts_a_clean_up_does_not_keep_the_others_from_closing() -> None:
    log = Log()
    begun = anyio.Event()

    async def hanging() -> AsyncIterator[None]:
        yield
        begun.set()
        await anyio.sleep_forever()

    async def connection() -> None:
        async with Exits("endpoint") as exits:
            await exits.start(generator_of(log.dependency("outer")))
            await exits.start(generator_of(hanging()))

    task = asyncio.create_task(connection())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert log == ["outer saw a cancellation"]


# The tasks of an endpoint


async def test_tasks_end_with_the_endpoint_and_before_anything_closes() -> None:
    log = Log()
    started = anyio.Event()

    async def task() -> None:
        try:
            started.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await checkpoint()
            log.append("task over")

    async with Exits("endpoint") as exits:
        await exits.start(generator_of(log.dependency("outer")))
        async with EndpointTasks() as tasks:
            tasks.start_soon(task)
            await started.wait()
        log.append("endpoint over")

    assert log == ["task over", "endpoint over", "outer closed"]


async def fail_with(error: BaseException) -> None:
    raise error


async def test_the_exception_of_the_endpoint_is_raised_as_itself() -> None:
    context = KeyError()
    error = ValueError()
    error.__context__ = context

    with pytest.raises(ValueError) as caught:
        async with EndpointTasks() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            raise error

    assert caught.value is error
    assert error.__context__ is context


async def test_the_exception_of_a_single_task_is_raised_as_if_the_endpoint_had_raised_it() -> None:
    error = ValueError()
    cause = error.__cause__ = KeyError()
    context = error.__context__ = IndexError()

    with pytest.raises(ValueError) as caught:
        async with EndpointTasks() as tasks:
            tasks.start_soon(fail_with, error)
            await anyio.sleep_forever()

    assert caught.value is error
    assert (error.__cause__, error.__context__) == (cause, context)


async def test_several_exceptions_are_raised_as_a_group() -> None:
    async def fail_when_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise KeyError

    with pytest.raises(ExceptionGroup) as caught:
        async with EndpointTasks() as tasks:
            tasks.start_soon(fail_when_cancelled)
            await checkpoint()
            raise ValueError

    assert {type(error) for error in caught.value.exceptions} == {KeyError, ValueError}


async def test_a_task_group_inside_of_the_endpoints_own_is_looked_through() -> None:
    async def nested_failure() -> None:
        async with anyio.create_task_group() as inner:
            inner.start_soon(fail_with, WebSocketDisconnect(1001))

    with pytest.raises(WebSocketDisconnect):
        async with EndpointTasks() as tasks:
            tasks.start_soon(nested_failure)
            await anyio.sleep_forever()


async def test_a_cancellation_goes_through_the_tasks() -> None:
    log = Log()

    with anyio.CancelScope() as scope:
        async with Exits("endpoint") as exits:
            await exits.start(generator_of(log.dependency("outer")))
            async with EndpointTasks() as tasks:
                tasks.start_soon(anyio.sleep_forever)
                scope.cancel()
                await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert log == ["outer saw a cancellation"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_native_cancellation_goes_through_the_tasks() -> None:
    log = Log()
    begun = anyio.Event()

    async def connection() -> None:
        async with Exits("endpoint") as exits:
            await exits.start(generator_of(log.dependency("outer")))
            async with EndpointTasks() as tasks:
                tasks.start_soon(anyio.sleep_forever)
                begun.set()
                await anyio.sleep_forever()

    task = asyncio.create_task(connection())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert log == ["outer saw a cancellation"]


def test_only_leaf() -> None:
    leaf = ValueError()
    pair = ExceptionGroup("", [leaf, KeyError()])

    assert only_leaf(leaf) is leaf
    assert only_leaf(ExceptionGroup("", [ExceptionGroup("", [leaf])])) is leaf
    assert only_leaf(pair) is pair
    assert only_leaf(outer := ExceptionGroup("", [pair])) is outer


def test_is_disconnect() -> None:
    disconnect = WebSocketDisconnect()

    assert is_disconnect(disconnect)
    assert is_disconnect(ExceptionGroup("", [disconnect, ExceptionGroup("", [disconnect])]))
    assert not is_disconnect(ExceptionGroup("", [disconnect, ValueError()]))
    assert not is_disconnect(ValueError())


async def test_what_is_open_can_be_named_from_outside() -> None:
    async def session() -> AsyncIterator[None]:
        yield

    @contextmanager
    def lock() -> Iterator[None]:
        yield

    @asynccontextmanager
    async def pool() -> AsyncIterator[None]:
        yield

    class Plain(AbstractAsyncContextManager[None]):
        async def __aexit__(self, *details: object) -> None: ...

    here = "test_what_is_open_can_be_named_from_outside.<locals>"
    async with Exits("endpoint") as exits:
        assert exits.still_open() == []
        await exits.start(session())  # type: ignore[arg-type]  # an async generator is written as an iterator
        await exits.hold(ThreadedContext(lock()))
        await exits.hold(InlineContext(lock()))
        await exits.open(pool())
        await exits.open(Plain())
        names = [f"{here}.session", f"{here}.lock", f"{here}.lock", f"{here}.pool", f"{__name__}.{here}.Plain instance"]
        assert exits.still_open() == names
    assert exits.still_open() == []
