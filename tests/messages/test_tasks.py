"""Task groups of conversations: the connection's, and gone before anything that lives as long closes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.abc import TaskGroup, TaskStatus

from tests.asgi import Peer
from tests.messages.talking import Said, Say, said, say, talk, talking
from wsroute import (
    Depends,
    InvalidParameterError,
    WebSocket,
    WebSocketException,
    WebSocketListener,
    WebSocketRouter,
    on,
)

pytestmark = pytest.mark.anyio


def recording(log: list[str]) -> WebSocketRouter:
    """A listener whose handlers start tasks, and what writes down when all of them end."""
    router = WebSocketRouter()

    async def session() -> AsyncIterator[None]:
        yield
        log.append("connection closed")

    async def work(name: str, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        try:
            await anyio.sleep_forever()
        finally:
            log.append(f"{name} cancelled")

    @router.websocket("/", dependencies=[Depends(session)])
    class Room(WebSocketListener):
        async def on_connect(self, tasks: TaskGroup) -> None:
            await tasks.start(work, "task of on_connect")

        @on
        async def say(self, message: Say, tasks: TaskGroup) -> Said:
            await tasks.start(work, f"task of {message.text}")
            return Said(text=message.text)

        async def on_disconnect(self) -> None:
            log.append("on_disconnect")

    return router


async def test_tasks_outlive_the_message_and_end_before_the_connection() -> None:
    log: list[str] = []
    peer = await talk(recording(log), say("a"), say("b"))
    assert peer.frames == [said("a"), said("b")]
    tasks, rest = log[:3], log[3:]
    assert sorted(tasks) == ["task of a cancelled", "task of b cancelled", "task of on_connect cancelled"]
    assert rest == ["on_disconnect", "connection closed"]


async def test_a_task_sends_while_messages_are_handled() -> None:
    router = WebSocketRouter()
    ticked = anyio.Event()

    async def tick(websocket: WebSocket) -> None:
        await websocket.send_text("tick")
        ticked.set()

    @router.listener("/")
    async def listener(message: Say, websocket: WebSocket, tasks: TaskGroup) -> Said:
        tasks.start_soon(tick, websocket)
        await ticked.wait()
        return Said(text=message.text)

    assert (await talk(router, say("a"))).frames == ["tick", said("a")]


@pytest.mark.parametrize("cancel_on_disconnect", [False, True])
async def test_a_task_that_fails_ends_the_connection_as_if_the_endpoint_had_raised(cancel_on_disconnect: bool) -> None:
    router = WebSocketRouter()
    log = []

    async def session() -> AsyncIterator[None]:
        try:
            yield
        except WebSocketException as error:
            log.append(f"{error.code} {error.reason}")
            raise

    async def fail() -> None:
        raise WebSocketException(4000, "why")

    @router.listener("/", dependencies=[Depends(session)], cancel_on_disconnect=cancel_on_disconnect)
    async def listener(message: Say, tasks: TaskGroup) -> Said:
        tasks.start_soon(fail)
        return Said(text=message.text)

    peer = await talk(router, say("a"), leave=False)
    assert peer.frames == [said("a")]
    assert peer.closed == (4000, "why")
    assert log == ["4000 why"]


async def test_a_handler_of_exceptions_takes_what_a_task_raised_and_the_connection_ends() -> None:
    handled = []
    router = WebSocketRouter(exception_handlers={LookupError: lambda websocket, exc: handled.append(exc)})

    async def fail() -> None:
        raise LookupError

    @router.listener("/")
    async def listener(message: Say, tasks: TaskGroup) -> None:
        tasks.start_soon(fail)

    peer = await talk(router, say("a"), leave=False)
    assert peer.closed == (1011, "Internal Server Error")
    assert len(handled) == 1


async def test_several_failures_are_raised_together() -> None:
    router = WebSocketRouter()

    async def fail() -> None:
        raise LookupError

    async def fail_when_cancelled(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError

    @router.listener("/")
    async def listener(message: Say, tasks: TaskGroup) -> None:
        await tasks.start(fail_when_cancelled)
        tasks.start_soon(fail)

    peer = Peer().say(say("a"))
    with pytest.raises(ExceptionGroup) as caught:
        await peer.serve(router)
    assert [type(error) for error in caught.value.exceptions] == [LookupError, LookupError]
    assert peer.closed == (1011, "Internal Server Error")


async def test_the_tasks_of_a_stream_end_before_its_connection() -> None:
    router = WebSocketRouter()
    log: list[str] = []

    async def session() -> AsyncIterator[None]:
        yield
        log.append("connection closed")

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            log.append("task cancelled")

    @router.stream("/", dependencies=[Depends(session)])
    async def stream(tasks: TaskGroup) -> AsyncIterator[str]:
        tasks.start_soon(work)
        yield "first"
        log.append("stream ended")

    peer = await talk(router, leave=False)
    assert peer.frames == ["first"] and peer.closed == (1000, "")
    assert log == ["stream ended", "task cancelled", "connection closed"]


async def test_a_client_that_leaves_ends_the_tasks_of_a_stream() -> None:
    router = WebSocketRouter()
    started, ended = anyio.Event(), anyio.Event()

    async def work() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    @router.stream("/")
    async def stream(tasks: TaskGroup) -> AsyncIterator[str]:
        tasks.start_soon(work)
        await anyio.sleep_forever()
        yield "never"

    async with talking(router, Peer()):
        await started.wait()
    assert ended.is_set()


def test_on_disconnect_gets_no_task_group() -> None:
    class Room(WebSocketListener):
        @on
        async def say(self, message: Say) -> None: ...

        async def on_disconnect(self, tasks: TaskGroup) -> None: ...

    with pytest.raises(InvalidParameterError) as caught:
        WebSocketRouter().websocket("/")(Room)
    assert "on_disconnect asks for a TaskGroup, and the connection's tasks have ended with it" in str(caught.value)
