"""The phases of one connection through everything that levels can add, for each way in which it can end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Annotated

import anyio
import pytest
from anyio.abc import TaskGroup, TaskStatus
from anyio.lowlevel import checkpoint
from starlette.middleware import Middleware

from tests.levels.recording import Problem, Recorder, RecordingMiddleware
from wsroute import (
    BackgroundTasks,
    BaseInterceptor,
    BasePermission,
    Depends,
    WebSocket,
    WebSocketGateway,
    WebSocketRouter,
    websocket,
)
from wsroute.testing import Peer

pytestmark = pytest.mark.anyio

recorder = Recorder()


class Around(BaseInterceptor):
    def __init__(self, level: str) -> None:
        self._level = level

    async def intercept(self, websocket: WebSocket, call_next: Callable[[], Awaitable[None]]) -> None:
        with recorder.around(f"interceptor {self._level}"):
            await call_next()


class Asked(BasePermission):
    def __init__(self, level: str) -> None:
        self._level = level

    async def has_permission(self, websocket: WebSocket, route: object) -> bool:
        recorder.log.append(f"permission {self._level}")
        return websocket.query_params.get("denied_by") != self._level


async def of_the_connection() -> AsyncIterator[None]:
    with recorder.around("dependency of the connection"):
        try:
            yield
        finally:
            await checkpoint()  # which a cancellation would interrupt


async def of_the_function() -> AsyncIterator[None]:
    with recorder.around("dependency of the function"):
        try:
            yield
        finally:
            await checkpoint()


async def waiting_task(*, task_status: TaskStatus[None]) -> None:
    recorder.log.append("task in")
    task_status.started()
    try:
        await anyio.sleep_forever()
    finally:
        recorder.log.append("task out")


async def in_the_background() -> None:
    recorder.log.append("background in")
    await checkpoint()
    recorder.log.append("background out")


async def take(websocket: WebSocket, error: Exception) -> None:
    recorder.log.append(f"exception handler: {type(error).__name__}")


@websocket("/{ends}", interceptors=[Around("handler")], permissions=[Asked("handler")])
async def handler(
    websocket: WebSocket,
    ends: str,
    connection: Annotated[None, Depends(of_the_connection)],
    function: Annotated[None, Depends(of_the_function, scope="function")],
    tasks: TaskGroup,
    background: BackgroundTasks,
) -> None:
    recorder.log.append("endpoint in")
    background.add_task(in_the_background)
    await tasks.start(waiting_task)
    if ends != "unaccepted":
        await websocket.accept()
    if ends == "waiting":
        recorder.waiting.set()
    if ends in ("waiting", "left"):
        await websocket.receive_text()
    if ends == "raising":
        raise Problem
    recorder.log.append("endpoint out")


gateway = WebSocketGateway(
    handler=handler,
    middleware=[Middleware(RecordingMiddleware, recorder, "gateway")],
    interceptors=[Around("gateway")],
    permissions=[Asked("gateway")],
)
router = WebSocketRouter(
    routes=[gateway],
    middleware=[Middleware(RecordingMiddleware, recorder, "router")],
    interceptors=[Around("router")],
    permissions=[Asked("router")],
    exception_handlers={Problem: take},
)

GUARDED = [
    "middleware router in",
    "middleware gateway in",
    "interceptor router in",
    "interceptor gateway in",
    "interceptor handler in",
    "permission router",
    "permission gateway",
]
CALLED = [
    *GUARDED,
    "permission handler",
    "dependency of the connection in",
    "dependency of the function in",
    "endpoint in",
    "task in",
]
LEFT = ["middleware gateway out", "middleware router out"]


async def test_the_endpoint_returns() -> None:
    assert await recorder.serve(router, Peer("/returning")) == [
        *CALLED,
        "accepted",
        "endpoint out",
        "task out",
        "dependency of the function out",
        "closed 1000",
        "background in",
        "background out",
        "dependency of the connection out",
        "interceptor handler out",
        "interceptor gateway out",
        "interceptor router out",
        *LEFT,
    ]


async def test_the_endpoint_returns_without_an_accept() -> None:
    assert await recorder.serve(router, Peer("/unaccepted")) == [
        *CALLED,
        "endpoint out",
        "task out",
        "dependency of the function out",
        "refused 403",
        "background in",
        "background out",
        "dependency of the connection out",
        "interceptor handler out",
        "interceptor gateway out",
        "interceptor router out",
        *LEFT,
    ]


async def test_the_endpoint_raises() -> None:
    assert await recorder.serve(router, Peer("/raising")) == [
        *CALLED,
        "accepted",
        "task out",
        "dependency of the function out: Problem",
        "dependency of the connection out: Problem",
        "interceptor handler out: Problem",
        "interceptor gateway out: Problem",
        "interceptor router out: Problem",
        "exception handler: Problem",
        "closed 1011",
        *LEFT,
    ]


async def test_a_permission_refuses() -> None:
    assert await recorder.serve(router, Peer("/returning?denied_by=gateway")) == [
        *GUARDED,
        "interceptor handler out: HTTPException",
        "interceptor gateway out: HTTPException",
        "interceptor router out: HTTPException",
        "refused 403",
        *LEFT,
    ]


async def test_the_client_leaves() -> None:
    assert await recorder.serve(router, Peer("/left").leave(1001)) == [
        *CALLED,
        "accepted",
        "task out",
        "dependency of the function out: WebSocketDisconnect",
        "background in",
        "background out",
        "dependency of the connection out: WebSocketDisconnect",
        "interceptor handler out: WebSocketDisconnect",
        "interceptor gateway out: WebSocketDisconnect",
        "interceptor router out: WebSocketDisconnect",
        *LEFT,
    ]


@pytest.mark.parametrize(
    ("anyio_backend", "native"),
    [("asyncio", False), ("asyncio", True), ("trio", False)],
    ids=["asyncio-scope", "asyncio-task", "trio-scope"],
)
async def test_the_connection_is_cancelled(native: bool) -> None:
    recorder.waiting = anyio.Event()
    if native:
        task = asyncio.create_task(recorder.serve(router, Peer("/waiting")))
        await recorder.waiting.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
    else:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recorder.serve, router, Peer("/waiting"))
            await recorder.waiting.wait()
            tasks.cancel_scope.cancel()

    assert recorder.log == [
        *CALLED,
        "accepted",
        "task out",
        "dependency of the function out: Cancellation",
        "dependency of the connection out: Cancellation",
        "interceptor handler out: Cancellation",
        "interceptor gateway out: Cancellation",
        "interceptor router out: Cancellation",
        "closed 1001",
        "middleware gateway out: Cancellation",
        "middleware router out: Cancellation",
        "cancelled",
    ]
