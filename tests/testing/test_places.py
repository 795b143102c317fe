"""Where a coroutine is suspended: in the innermost line of the user's code, through whatever awaits it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
import pytest

from wsroute import APIWebSocketRoute, Depends, WebSocket
from wsroute.testing import connect
from wsroute.testing.backends import current_backend
from wsroute.testing.places import frames_of, place_of, waiting_when_cancelled

pytestmark = pytest.mark.anyio


async def wait() -> None:
    await anyio.sleep_forever()


class Waiting:
    def __await__(self) -> Generator[Any, Any, None]:
        return (yield from wait().__await__())


async def items() -> AsyncIterator[int]:
    yield 1
    await wait()


async def through_an_awaitable() -> None:
    await Waiting()


async def through_an_async_generator() -> None:
    async for _ in items():
        pass


async def through_anext_with_a_default() -> None:
    generator = items()
    await anext(generator)
    await anext(generator, None)


async def through_the_end_of_an_async_generator() -> None:
    @asynccontextmanager
    async def manager() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await wait()

    async with manager():
        raise ValueError


async def through_a_task_group() -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await wait()


async def suspended(start: Callable[[], Any], look: Callable[[Any], Any]) -> Any:
    """What is seen of a coroutine once it waits for good."""
    coroutine = start()

    async def run() -> None:
        try:
            await coroutine
        except BaseException:
            pass

    cancel = current_backend().spawn(run)
    await anyio.wait_all_tasks_blocked()
    found = look(coroutine)
    cancel()
    await anyio.wait_all_tasks_blocked()
    return found


@pytest.mark.parametrize(
    "start",
    [
        wait,
        through_an_awaitable,
        through_an_async_generator,
        through_anext_with_a_default,
        through_the_end_of_an_async_generator,
        through_a_task_group,
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # trio has a word on generators that nobody has finished
async def test_the_innermost_line_of_the_users_code_is_found(start: Callable[[], Any]) -> None:
    place = await suspended(start, place_of)
    assert (place.function, place.source) == ("wait", "await anyio.sleep_forever()")
    assert str(place) == f"wait at tests/testing/test_places.py:{place.line}\n    await anyio.sleep_forever()"


async def test_a_coroutine_of_libraries_alone_has_a_place_too() -> None:
    place = await suspended(anyio.sleep_forever, place_of)
    assert place is not None


async def test_a_coroutine_that_has_not_begun_is_at_its_beginning() -> None:
    coroutine = wait()
    place = place_of(coroutine)
    coroutine.close()
    assert place is not None and place.function == "wait"


@pytest.mark.parametrize("finished", [None, object()])
async def test_what_does_not_run_has_no_place(finished: object) -> None:
    assert place_of(finished) is None
    assert list(frames_of(finished)) == []


async def test_where_a_cancellation_was_raised_is_where_the_coroutine_waited() -> None:
    with anyio.move_on_after(0), pytest.raises(anyio.get_cancelled_exc_class()) as cancellation:
        await through_an_awaitable()
    waits = waiting_when_cancelled(cancellation.value, wait)
    assert waits is not None
    assert waits.startswith("in wait at tests/testing/test_places.py:")


async def async_session() -> AsyncIterator[str]:
    yield "session"


def sync_session() -> Iterator[str]:
    yield "session"


def inline_session() -> Iterator[str]:
    yield "session"


@asynccontextmanager
async def managed_session() -> AsyncIterator[str]:
    yield "session"


async def endpoint(
    websocket: WebSocket,
    first: Annotated[str, Depends(async_session)],
    second: Annotated[str, Depends(sync_session)],
    third: Annotated[str, Depends(inline_session, threadpool=False)],
    fourth: Annotated[str, Depends(managed_session)],
) -> None:
    await websocket.accept()
    await websocket.receive()


async def test_open_dependencies_are_named_in_the_order_in_which_they_were_opened() -> None:
    async with connect(APIWebSocketRoute("/", endpoint)) as ws:
        names = "async_session, sync_session, inline_session, managed_session"
        assert ws._running.whereabouts()[1:] == [f"open dependencies: {names}"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_of_asyncio_is_found_with_its_context() -> None:
    task = asyncio.create_task(wait(), name="waiting")
    found = {stray.name for _, stray in current_backend().tasks()}
    assert "waiting" in found
    task.cancel()
