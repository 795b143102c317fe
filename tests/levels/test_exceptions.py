"""The way of an exception: out of the dependencies, through the interceptors, to one exception handler."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

import anyio
import pytest
from starlette.middleware import Middleware

from tests.levels.recording import Fault, Problem, Recorder, RecordingMiddleware
from wsroute import (
    APIWebSocketRoute,
    BaseInterceptor,
    BasePermission,
    DenyAll,
    Depends,
    HTTPException,
    SwallowedExceptionError,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    WebSocketRouter,
)
from wsroute.testing import Peer
from wsroute.wire.socket import StateError

pytestmark = pytest.mark.anyio

CallNext = Callable[[], Awaitable[None]]
Run = Callable[[WebSocket, CallNext], Awaitable[None]]


class Intercepting(BaseInterceptor):
    """An interceptor that is a function."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def intercept(self, websocket: WebSocket, call_next: CallNext) -> None:
        await self._run(websocket, call_next)


def intercepted(endpoint: Any, *interceptors: Run, **level: Any) -> APIWebSocketRoute:
    """A route with interceptors, outermost first."""
    return APIWebSocketRoute("/", endpoint, interceptors=[Intercepting(run) for run in interceptors], **level)


async def accepting(websocket: WebSocket) -> None:
    await websocket.accept()


async def raising(websocket: WebSocket) -> None:
    await websocket.accept()
    raise Problem


async def test_an_exception_passes_dependencies_and_interceptors_and_is_looked_up_once() -> None:
    recorder = Recorder()

    def generator(name: str) -> Callable[[], AsyncIterator[None]]:
        async def dependency() -> AsyncIterator[None]:
            with recorder.around(f"dependency {name}"):
                yield

        return dependency

    def around(name: str) -> Intercepting:
        async def run(websocket: WebSocket, call_next: CallNext) -> None:
            with recorder.around(f"interceptor {name}"):
                await call_next()

        return Intercepting(run)

    async def take(websocket: WebSocket, error: Exception) -> None:
        recorder.log.append(f"handler: {type(error).__name__}")

    async def endpoint(
        first: Annotated[None, Depends(generator("first"))],
        second: Annotated[None, Depends(generator("second"))],
        short: Annotated[None, Depends(generator("short"), scope="function")],
    ) -> None:
        recorder.log.append("endpoint")
        raise Problem

    router = WebSocketRouter(
        interceptors=[around("one"), around("two")],
        exception_handlers={Problem: take},
        middleware=[Middleware(RecordingMiddleware, recorder, "of the router")],
        routes=[
            APIWebSocketRoute("/", endpoint, interceptors=[around("three")], exception_handlers={LookupError: take})
        ],
    )
    log = await recorder.serve(router, Peer())
    assert log[log.index("endpoint") :] == [
        "endpoint",
        "dependency short out: Problem",
        "dependency second out: Problem",
        "dependency first out: Problem",
        "interceptor three out: Problem",
        "interceptor two out: Problem",
        "interceptor one out: Problem",
        "handler: Problem",
        "refused 500",
        "middleware of the router out",
    ]


async def test_an_interceptor_replaces_an_exception() -> None:
    log: list[str] = []

    async def replace(websocket: WebSocket, call_next: CallNext) -> None:
        try:
            await call_next()
        except Problem as error:
            raise LookupError from error

    async def see(websocket: WebSocket, call_next: CallNext) -> None:
        try:
            await call_next()
        except Exception as error:
            log.append(f"seen {type(error).__name__}, from {type(error.__cause__).__name__}")
            raise

    async def take(websocket: WebSocket, error: Exception) -> None:
        log.append(f"handler {type(error).__name__}")

    await Peer().serve(intercepted(raising, see, replace, see, exception_handlers={Problem: take, LookupError: take}))
    assert log == ["seen Problem, from NoneType", "seen LookupError, from Problem", "handler LookupError"]


@pytest.mark.parametrize("accept", [False, True], ids=["before the accept", "after it"])
@pytest.mark.parametrize(
    ("replacement", "status", "close"),
    [
        (HTTPException(404, "no such room"), 404, (1008, "no such room")),
        (WebSocketException(4001, "why"), 403, (4001, "why")),
    ],
    ids=repr,
)
async def test_what_takes_the_place_of_an_exception_says_how_the_connection_ends(
    replacement: Exception, status: int, close: tuple[int, str], accept: bool
) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        if accept:
            await websocket.accept()
        raise Problem

    async def replace(websocket: WebSocket, call_next: CallNext) -> None:
        with suppress(Problem):
            await call_next()
        raise replacement

    peer = Peer()
    await peer.serve(intercepted(endpoint, replace))
    if accept:
        assert peer.closed == close
    else:
        assert peer.denial is not None and peer.denial.status == status


async def test_an_interceptor_may_say_something_before_an_exception_ends_the_connection() -> None:
    async def explain(websocket: WebSocket, call_next: CallNext) -> None:
        try:
            await call_next()
        except Problem:
            await websocket.send_text("sorry")
            await websocket.close(4000, "its own")
            raise

    handled: list[Exception] = []

    async def take(websocket: WebSocket, error: Exception) -> None:
        handled.append(error)

    peer = Peer()
    await peer.serve(intercepted(raising, explain, exception_handlers={Problem: take}))
    assert (peer.frames, peer.closed, len(handled)) == (["sorry"], (4000, "its own"), 1)


async def swallow(websocket: WebSocket, call_next: CallNext) -> None:
    with suppress(Exception):
        await call_next()


async def test_an_interceptor_that_swallows_an_exception_is_a_bug() -> None:
    seen: list[type[Exception]] = []

    async def see(websocket: WebSocket, call_next: CallNext) -> None:
        try:
            await call_next()
        except Exception as error:
            seen.append(type(error))
            raise

    peer = Peer()
    with pytest.raises(SwallowedExceptionError, match=r"Intercepting\.intercept swallowed an exception") as raised:
        await peer.serve(intercepted(raising, see, swallow))
    assert isinstance(raised.value.__cause__, Problem)
    assert peer.closed == (1011, "Internal Server Error")
    assert seen == [SwallowedExceptionError]


async def test_an_interceptor_that_swallows_a_denial_opens_no_door() -> None:
    calls: list[object] = []

    async def endpoint(websocket: WebSocket) -> None:
        calls.append(websocket)

    peer = Peer()
    with pytest.raises(SwallowedExceptionError):
        await peer.serve(intercepted(endpoint, swallow, permissions=[DenyAll]))
    assert calls == []
    assert peer.denial is not None and peer.denial.status == 500


async def test_a_handler_may_take_what_comes_of_swallowing() -> None:
    async def close(websocket: WebSocket, error: SwallowedExceptionError) -> None:
        await websocket.close(4000)

    peer = Peer()
    await peer.serve(intercepted(raising, swallow, exception_handlers={SwallowedExceptionError: close}))
    assert peer.closed == (4000, "")


async def test_an_interceptor_may_swallow_that_the_client_has_left() -> None:
    log: list[str] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    async def outer(websocket: WebSocket, call_next: CallNext) -> None:
        await call_next()
        log.append("returned")

    async def take(websocket: WebSocket, error: Exception) -> None:
        log.append("handled")

    await (
        Peer()
        .leave()
        .serve(intercepted(endpoint, outer, swallow, exception_handlers={WebSocketDisconnect: take, Exception: take}))
    )
    assert log == ["returned"]


async def test_an_interceptor_that_swallows_a_cancellation_does_not_stop_it() -> None:
    recorder = Recorder()
    recorder.waiting = anyio.Event()

    async def swallow_everything(websocket: WebSocket, call_next: CallNext) -> None:
        with suppress(BaseException):
            await call_next()
        recorder.log.append("swallowed")

    async def see(websocket: WebSocket, call_next: CallNext) -> None:
        with recorder.around("interceptor"):
            await call_next()

    app = intercepted(recorder.endpoint, see, swallow_everything)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(recorder.serve, app, Peer(), Fault("endpoint", "waits accepted"))
        await recorder.waiting.wait()
        tasks.cancel_scope.cancel()
    assert recorder.log == [
        "interceptor in",
        "endpoint",
        "accepted",
        "swallowed",
        "interceptor out: Cancellation",
        "closed 1001",
        "cancelled",
    ]


@pytest.mark.parametrize("error", [Problem(), HTTPException(404), WebSocketDisconnect(1001)], ids=repr)
async def test_a_task_group_around_the_rest_changes_nothing(error: Exception) -> None:
    log: list[object] = []

    async def endpoint(websocket: WebSocket) -> None:
        raise error

    async def together(websocket: WebSocket, call_next: CallNext) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            await call_next()

    async def apart(websocket: WebSocket, call_next: CallNext) -> None:
        async def rest() -> None:
            await call_next()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rest)

    async def take(websocket: WebSocket, error: Exception) -> None:
        log.append(error)

    for run in (together, apart):
        log.clear()
        await Peer().serve(intercepted(endpoint, run, exception_handlers={type(error): take}))
        assert log == [error]


async def test_a_denial_in_a_task_group_is_one() -> None:
    class Members(DenyAll):
        message = "Members only"

    async def together(websocket: WebSocket, call_next: CallNext) -> None:
        async with anyio.create_task_group():
            await call_next()

    peer = Peer()
    await peer.serve(intercepted(accepting, together, permissions=[Members]))
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.json()) == (403, {"detail": "Members only"})


async def test_a_time_limit_around_the_rest_ends_the_connection_as_it_says() -> None:
    async def limited(websocket: WebSocket, call_next: CallNext) -> None:
        try:
            with anyio.fail_after(0):
                await call_next()
        except TimeoutError:
            raise WebSocketException(4008, "too slow") from None

    async def cut(websocket: WebSocket, call_next: CallNext) -> None:
        with anyio.move_on_after(0):
            await call_next()

    async def accept(websocket: WebSocket, call_next: CallNext) -> None:
        await websocket.accept()
        await call_next()

    peer = Peer()
    await peer.serve(intercepted(waiting_for_ever, accept, limited))
    assert peer.closed == (4008, "too slow")

    peer = Peer()
    with pytest.raises(SwallowedExceptionError):
        await peer.serve(intercepted(waiting_for_ever, accept, cut))
    assert peer.closed == (1011, "Internal Server Error")


async def waiting_for_ever() -> None:
    await anyio.sleep_forever()


# After the end


async def test_what_fails_before_the_close_is_said_by_it_and_what_fails_after_it_is_not() -> None:
    async def failing() -> AsyncIterator[None]:
        yield
        raise HTTPException(404, "gone")

    async def short(websocket: WebSocket, value: Annotated[None, Depends(failing, scope="function")]) -> None:
        await websocket.accept()

    async def long(websocket: WebSocket, value: Annotated[None, Depends(failing)]) -> None:
        await websocket.accept()

    async def late(websocket: WebSocket, call_next: CallNext) -> None:
        await call_next()
        raise HTTPException(404, "gone")

    for app, close in (
        (intercepted(short), (1008, "gone")),
        (intercepted(long), (1000, "")),
        (intercepted(accepting, late), (1000, "")),
    ):
        peer = Peer()
        await peer.serve(app)
        assert peer.closed == close


async def not_accepting() -> None: ...


async def closing(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close(4000)


async def receiving(websocket: WebSocket) -> None:
    await websocket.accept()
    with suppress(WebSocketDisconnect):
        await websocket.receive_text()


async def left(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()


@pytest.mark.parametrize("endpoint", [accepting, not_accepting, closing, receiving, left])
@pytest.mark.parametrize("middleware", [[], [Middleware(RecordingMiddleware, Recorder(), "")]], ids=["bare", "behind"])
async def test_after_the_end_an_interceptor_cannot_send(
    endpoint: Any, middleware: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[type[Exception]] = []

    async def late(websocket: WebSocket, call_next: CallNext) -> None:
        with suppress(WebSocketDisconnect):
            await call_next()
        await websocket.close(4999)
        for send in (websocket.accept, partial(websocket.send_text, "late"), partial(websocket.send_json, {})):
            try:
                await send()
            except Exception as error:
                raised.append(type(error))
        await websocket.close(4999)
        await websocket.send_text("late")

    async def seeing(websocket: WebSocket, call_next: CallNext) -> None:
        await call_next()

    peer, without = Peer().leave(1001), Peer().leave(1001)
    await peer.serve(intercepted(endpoint, seeing, late, middleware=middleware))
    await without.serve(intercepted(endpoint, middleware=middleware))
    assert peer.sent == without.sent
    assert raised == [WebSocketDisconnect if endpoint in (receiving, left) else StateError] * 3
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize("endpoint", [receiving, left])
async def test_sending_to_a_client_that_has_left_is_a_disconnect_with_its_code(endpoint: Any) -> None:
    codes: list[int] = []

    async def late(websocket: WebSocket, call_next: CallNext) -> None:
        with suppress(WebSocketDisconnect):
            await call_next()
        try:
            await websocket.send_text("late")
        except WebSocketDisconnect as error:
            codes.append(error.code)
            raise

    await Peer().leave(4321).serve(intercepted(endpoint, late))
    assert codes == [4321]


async def test_permissions_and_dependencies_of_a_connection_that_an_interceptor_has_closed_do_not_run() -> None:
    log: list[str] = []

    class Asked(BasePermission):
        async def has_permission(self, websocket: WebSocket, route: object) -> bool:
            log.append("permission")
            return True

    async def dependency() -> None:
        log.append("dependency")

    async def close(websocket: WebSocket, call_next: CallNext) -> None:
        await websocket.accept()
        await websocket.close(4000)
        await call_next()
        log.append("returned")

    async def inner(websocket: WebSocket, call_next: CallNext) -> None:
        log.append("inner")

    peer = Peer()
    await peer.serve(intercepted(accepting, close, inner, permissions=[Asked], dependencies=[Depends(dependency)]))
    assert log == ["returned"]
    assert peer.closed == (4000, "")
