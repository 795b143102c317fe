"""Streams: how they end, and that they see when their client leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.asgi import Peer
from tests.messages.talking import Client, talking
from wsroute import BackgroundTasks, Depends, WebSocket, WebSocketRouter

pytestmark = pytest.mark.anyio


async def test_a_stream_that_ends_closes() -> None:
    router = WebSocketRouter()

    @router.stream("/")
    async def stream() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    peer = Peer()
    await peer.serve(router)
    assert peer.frames == ["0", "1", "2"] and peer.closed == (1000, "")


async def test_a_client_that_leaves_ends_a_stream_whatever_it_has_sent() -> None:
    router = WebSocketRouter()
    log, entered = [], anyio.Event()

    async def session() -> AsyncIterator[None]:
        yield
        await checkpoint()
        log.append("session closed")

    @router.stream("/")
    async def stream(session: Annotated[None, Depends(session)], tasks: BackgroundTasks) -> AsyncIterator[int]:
        tasks.add_task(log.append, "background")
        try:
            yield 1
            entered.set()
            await anyio.sleep_forever()
        finally:
            log.append("stream closed")

    peer = Peer().say("discarded", b"discarded", *["x" * 100_000] * 10)
    async with talking(router, peer):
        await entered.wait()
        peer.leave(1001)
    assert peer.frames == ["1"] and peer.closed is None
    assert log == ["stream closed", "background", "session closed"]


async def test_a_stream_that_fails_ends_as_its_exception_says() -> None:
    router = WebSocketRouter()

    @router.stream("/")
    async def stream() -> AsyncIterator[int]:
        yield 1
        raise LookupError

    peer = Peer()
    with pytest.raises(LookupError):
        await peer.serve(router)
    assert peer.frames == ["1"] and peer.closed == (1011, "Internal Server Error")


async def test_an_exception_handler_takes_what_a_stream_raises_and_it_ends() -> None:
    handled: list[Exception] = []
    router = WebSocketRouter(exception_handlers={LookupError: lambda websocket, exc: handled.append(exc)})

    @router.stream("/")
    async def stream() -> AsyncIterator[int]:
        yield 1
        raise LookupError

    peer = Peer()
    await peer.serve(router)
    assert len(handled) == 1 and peer.closed == (1011, "Internal Server Error")


async def test_a_stream_whose_send_finds_the_client_gone_ends_quietly() -> None:
    router = WebSocketRouter()
    closed = []

    @router.stream("/")
    async def stream(websocket: WebSocket) -> AsyncIterator[int]:
        try:
            yield 1
            websocket.scope["fail"](OSError("gone"))
            while True:
                yield 2
        finally:
            closed.append(True)

    peer = Peer()
    peer.scope["fail"] = peer.fail
    await peer.serve(router)
    assert peer.frames == ["1"] and closed == [True]


async def test_a_stream_may_close_the_connection_itself() -> None:
    router = WebSocketRouter()

    @router.stream("/")
    async def stream(websocket: WebSocket) -> AsyncIterator[int]:
        yield 1
        await websocket.close(4000, "enough")

    peer = Peer()
    await peer.serve(router)
    assert peer.frames == ["1"] and peer.closed == (4000, "enough")


async def test_whoever_ends_the_connection_a_stream_is_cancelled_then() -> None:
    router = WebSocketRouter()
    client = Client()
    closed = []

    @router.stream("/")
    async def stream(websocket: WebSocket) -> AsyncIterator[int]:
        yield 1
        client.say("on its way already")
        await websocket.close(4000)
        try:
            await anyio.sleep_forever()
        finally:
            closed.append(True)

    await client.serve(router)
    assert client.closed == (4000, "") and closed == [True]
