"""What generated code calls for permissions and interceptors."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocketDisconnect

from wsroute import InterceptorError, PermissionAnswerError, SwallowedExceptionError
from wsroute.dependencies.levels import CallNext, forbidden, granted

pytestmark = pytest.mark.anyio


# --- Answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [True, False, 1, 0, "yes", "", None, [0], []])
def test_an_answer_is_whether_it_is_true(answer: Any) -> None:
    assert granted(answer, "P") is bool(answer)


def test_a_coroutine_is_no_answer_and_is_closed() -> None:
    async def later() -> bool:
        return True

    coroutine: Any = later()
    with pytest.raises(PermissionAnswerError) as raised:
        granted(coroutine, "module.P.has_permission")
    assert coroutine.cr_frame is None
    assert raised.value.permission == "module.P.has_permission"
    assert str(raised.value) == (
        "module.P.has_permission returned an awaitable or a generator for an answer, which would count as yes whatever "
        "comes of it, so the connection was refused. Declare has_permission with async def, and await what it calls."
    )


def test_a_generator_is_no_answer() -> None:
    def one_by_one() -> Iterator[bool]:
        yield False

    async def one_by_one_later() -> AsyncIterator[bool]:
        yield False

    for answer in (one_by_one(), one_by_one_later()):
        with pytest.raises(PermissionAnswerError):
            granted(answer, "P")


def test_anything_that_can_be_awaited_is_no_answer() -> None:
    class Awaitable:
        def __await__(self) -> Iterator[None]:
            raise AssertionError("awaited")

    with pytest.raises(PermissionAnswerError):
        granted(Awaitable(), "P")


@pytest.mark.parametrize(
    ("permission", "detail"), [(type("P", (), {"message": {"a": 1}}), {"a": 1}), (object(), "Forbidden")]
)
def test_a_denial_is_403_with_the_message(permission: Any, detail: Any) -> None:
    error = forbidden(permission)
    assert type(error) is HTTPException
    assert (error.status_code, error.detail, error.headers) == (403, detail, None)


# --- call_next -------------------------------------------------------------------------------------------------------


class Rest:
    """The rest of a connection, which raises what it is told to."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure
        self.runs = 0

    async def __call__(self) -> None:
        self.runs += 1
        await anyio.lowlevel.checkpoint()
        if self.failure is not None:
            raise self.failure


Intercept = Callable[[CallNext], Coroutine[Any, Any, None]]


async def intercepted(rest: Rest, intercept: Intercept) -> CallNext:
    async with CallNext(rest, "I.intercept") as call_next:
        await intercept(call_next)
    return call_next


async def calling(call_next: CallNext) -> None:
    await call_next()


async def test_it_runs_the_rest() -> None:
    rest = Rest()
    call_next = await intercepted(rest, calling)
    assert (call_next.called, rest.runs) == (True, 1)


async def test_it_may_not_be_called() -> None:
    async def nothing(call_next: CallNext) -> None: ...

    rest = Rest()
    call_next = await intercepted(rest, nothing)
    assert (call_next.called, rest.runs) == (False, 0)


@pytest.mark.parametrize("failure", [ValueError(), WebSocketDisconnect(1001)])
async def test_what_the_rest_raises_comes_out(failure: Exception) -> None:
    with pytest.raises(type(failure)) as raised:
        await intercepted(Rest(failure), calling)
    assert raised.value is failure


@pytest.mark.parametrize("failure", [None, ValueError()])
async def test_a_second_call_is_an_error_and_runs_nothing(failure: Exception | None) -> None:
    async def twice(call_next: CallNext) -> None:
        try:
            await call_next()
        except ValueError:
            pass
        await call_next()

    rest = Rest(failure)
    with pytest.raises(InterceptorError, match=r"I\.intercept called call_next\(\) a second time"):
        await intercepted(rest, twice)
    assert rest.runs == 1


async def swallowing(call_next: CallNext) -> None:
    try:
        await call_next()
    except Exception:
        pass


async def test_swallowing_is_an_error_with_what_was_swallowed_as_its_cause() -> None:
    failure = ValueError()
    with pytest.raises(SwallowedExceptionError) as raised:
        await intercepted(Rest(failure), swallowing)
    assert raised.value.__cause__ is failure
    assert (raised.value.endpoint, raised.value.interceptor) == (None, "I.intercept")


async def test_what_was_swallowed_is_not_kept_alive() -> None:
    class Marked(ValueError): ...

    alive: list[weakref.ref[Marked]] = []

    async def rest() -> None:
        error = Marked()
        alive.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    gc.disable()
    try:
        with suppress(SwallowedExceptionError):
            async with CallNext(rest, "I.intercept") as call_next:
                await swallowing(call_next)
        assert alive[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "failure", [WebSocketDisconnect(1001), ExceptionGroup("", [WebSocketDisconnect(1001), WebSocketDisconnect(1006)])]
)
async def test_the_peers_leaving_may_be_swallowed(failure: Exception) -> None:
    call_next = await intercepted(Rest(failure), swallowing)
    assert call_next.called


async def test_another_exception_may_take_the_place() -> None:
    async def replacing(call_next: CallNext) -> None:
        try:
            await call_next()
        except ValueError as error:
            raise KeyError from error

    with pytest.raises(KeyError):
        await intercepted(Rest(ValueError()), replacing)


async def test_returning_while_the_rest_runs_is_an_error() -> None:
    async with anyio.create_task_group() as tasks:

        async def leaving(call_next: CallNext) -> None:
            tasks.start_soon(call_next.__call__)
            while not call_next.called:
                await anyio.lowlevel.checkpoint()

        async def forever() -> None:
            await anyio.sleep_forever()

        with pytest.raises(InterceptorError, match=r"I\.intercept returned while the rest of the connection still ran"):
            async with CallNext(forever, "I.intercept") as call_next:
                await leaving(call_next)
        tasks.cancel_scope.cancel()


async def test_a_task_that_has_finished_in_time_is_no_error() -> None:
    rest = Rest()

    async def beside(call_next: CallNext) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call_next.__call__)

    call_next = await intercepted(rest, beside)
    assert (call_next.called, rest.runs) == (True, 1)


async def test_a_cancellation_takes_precedence_over_a_swallowed_exception() -> None:
    async def cancelled(call_next: CallNext) -> None:
        try:
            await call_next()
        except ValueError:
            scope.cancel()

    with anyio.CancelScope() as scope:
        await intercepted(Rest(ValueError()), cancelled)
        raise AssertionError("went on")
    assert scope.cancelled_caught


async def test_what_an_interceptor_raises_after_a_return_comes_out() -> None:
    async def failing(call_next: CallNext) -> None:
        await call_next()
        raise KeyError

    with pytest.raises(KeyError):
        await intercepted(Rest(), failing)
