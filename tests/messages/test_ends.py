"""How conversations end: who is told what, once, and in which order."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import anyio
import pytest
from anyio.abc import TaskGroup
from starlette.types import Message

from tests.asgi import Peer
from tests.messages.endings import does, functional, log, router, serve
from tests.messages.talking import said, say
from wsroute import (
    HTTPException,
    WebSocket,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def nothing_has_happened() -> None:
    log.clear()


FAILURES = [
    ("raises", "1011 Internal Server Error", "Problem", True),
    ("raises_in_a_group", "1008 none", "HTTPException", False),
    ("not_found", "1008 none", "HTTPException", False),
    ("unavailable", "1011 Service Unavailable", "HTTPException", False),
    ("by_code", f"4000 {'€' * 41}", "WebSocketException", False),
    ("invalid_handshake", "1008 Invalid handshake parameters", "WebSocketRequestValidationError", False),
    ("fails_in_a_task", "1011 Internal Server Error", "Problem", True),
    ("refuses_in_a_task", "4002 task", "WebSocketException", False),
]


@pytest.mark.parametrize(("name", "end", "exception", "is_raised"), FAILURES)
async def test_on_disconnect_is_told_of_the_end_that_an_exception_brings(
    name: str, end: str, exception: str, is_raised: bool
) -> None:
    of_message = {"raises_in_a_group": "ExceptionGroup"}.get(name, "cancelled" if "task" in name else exception)
    assert await serve(Peer().say(say(name))) == [
        "made",
        f"message closed: {of_message}",
        f"disconnected {end}",
        "told",
        f"function closed: {exception}",
        f"connection closed: {exception}",
        "interceptor out",
        f"closed {end}",
        *([f"raised {exception}"] if is_raised else []),
    ]


@pytest.mark.parametrize(("name", "end", "exception", "is_raised"), FAILURES)
async def test_on_disconnect_is_told_of_an_end_before_the_first_message(
    name: str, end: str, exception: str, is_raised: bool
) -> None:
    peer = Peer(f"/?on_connect={name}")
    told = await serve(peer)
    assert [what for what in told if "connected" in what] == [f"disconnected {end}"]
    assert told[-1] == (f"raised {exception}" if is_raised else f"closed {end}")
    assert peer.accepted and peer.frames == []


async def test_the_client_leaves() -> None:
    assert await serve(Peer().say(say("x")).leave(4321, "bye")) == [
        "made",
        "message closed",
        "disconnected 4321 bye",
        "told",
        "function closed",
        "background",
        "connection closed",
        "interceptor out",
    ]


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1012])
async def test_the_code_that_the_server_tells_is_handed_on(code: int) -> None:
    assert f"disconnected {code}" in await serve(Peer().leave(code))


async def test_a_server_may_leave_code_and_reason_out() -> None:
    assert "disconnected 1005" in await serve(Peer().deliver({"type": "websocket.disconnect"}))


async def test_a_handler_closes() -> None:
    peer = Peer().say(say("closes"), say("never read"))
    assert await serve(peer) == [
        "made",
        "closed 4001 enough",
        "message closed",
        "disconnected 4001 enough",
        "told",
        "function closed",
        "background",
        "connection closed",
        "interceptor out",
    ]
    assert peer.frames == [said("welcome")]


async def test_on_connect_closes() -> None:
    peer = Peer("/?on_connect=closes").say(say("never read"))
    assert [what for what in await serve(peer) if "connected" in what] == ["disconnected 4001 enough"]
    assert peer.closed == (4001, "enough") and peer.frames == []


async def test_the_client_leaves_another_connection() -> None:
    told = await serve(Peer().say(say("another_has_left")))
    assert "disconnected 1000" in told and "closed 1000" in told


async def test_there_are_too_many_invalid_messages() -> None:
    assert await serve(Peer().say("", "")) == [
        "made",
        "disconnected 1007 Invalid message",
        "told",
        "function closed: WebSocketPayloadValidationError",
        "connection closed: WebSocketPayloadValidationError",
        "interceptor out",
        "closed 1007 Invalid message",
    ]


async def test_a_message_is_too_big() -> None:
    told = await serve(Peer().say(say("x" * 70_000)))
    assert "disconnected 1009 Message too big" in told and "closed 1009 Message too big" in told


async def test_a_reply_cannot_be_sent() -> None:
    peer = Peer("/?on_connect=waits_for_the_failure").say(say("x"))

    @does
    async def waits_for_the_failure(websocket: WebSocket, tasks: TaskGroup) -> None:
        peer.fail(OSError("gone"))

    assert await serve(peer) == [
        "made",
        "message closed",
        "disconnected 1006",
        "told",
        "function closed: WebSocketDisconnect",
        "background",
        "connection closed: WebSocketDisconnect",
        "interceptor out",
    ]


async def test_on_disconnect_is_not_called_for_a_connection_that_was_refused() -> None:
    async def refuse() -> None:
        raise HTTPException(401)

    router.dependency_overrides[functional] = refuse
    try:
        assert await serve(Peer()) == ["connection closed: HTTPException", "interceptor out"]
    finally:
        router.dependency_overrides.clear()


async def test_on_disconnect_is_not_called_if_the_client_left_before_the_accept() -> None:
    peer = Peer()
    peer.fail(OSError("gone"))
    told = await serve(peer)
    assert told[0] == "made" and not [what for what in told if "disconnected" in what]


@pytest.mark.parametrize(
    ("anyio_backend", "native"),
    [("asyncio", False), ("asyncio", True), ("trio", False)],
    ids=["asyncio-scope", "asyncio-task", "trio-scope"],
)
@pytest.mark.parametrize("where", ["on_connect", "handler", "listening"])
async def test_the_connection_is_cancelled(native: bool, where: str) -> None:
    waiting = anyio.Event()
    peer = Peer("/?on_connect=waits" if where == "on_connect" else "/", scope={"waits": waiting.set})
    if where == "handler":
        peer.say(say("waits"))
    if where == "listening":
        receive = peer.receive

        async def receive_and_tell() -> Message:
            if peer.frames:
                waiting.set()
            return await receive()

        peer.receive = receive_and_tell  # type: ignore[method-assign]  # to see when it is listened to
    if native:
        task = asyncio.create_task(serve(peer))
        await waiting.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
    else:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, peer)
            await waiting.wait()
            tasks.cancel_scope.cancel()
    assert log == [
        "made",
        *(["message closed: cancelled"] if where == "handler" else []),
        "disconnected 1001",
        "told",
        "function closed: cancelled",
        "connection closed: cancelled",
        "interceptor out",
        "closed 1001",
    ]
