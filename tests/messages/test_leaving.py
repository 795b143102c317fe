"""A client that leaves while its message is handled: without a word from the listener, and with cancellation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.asgi import Peer
from tests.messages.talking import Client, talking
from wsroute import BackgroundTasks, Depends, HTTPException, WebSocket, WebSocketListener, WebSocketRouter, on

pytestmark = pytest.mark.anyio


class Recorded:
    """A listener class that writes down what happens to it.

    Attributes:
        log: What has happened.
        entered: Set when its handler has begun.
        go_on: What the handler waits for.
        router: It, as an application.
    """

    def __init__(self, **options: Any) -> None:
        self.log: list[str] = []
        self.entered, self.go_on = anyio.Event(), anyio.Event()
        self.router = WebSocketRouter()

        @asynccontextmanager
        async def noted(name: str) -> AsyncIterator[None]:
            try:
                yield
            except BaseException as error:
                self.log.append(f"{name}: {'cancelled' if not isinstance(error, Exception) else type(error).__name__}")
                await checkpoint()  # which a cancellation would interrupt
                self.log.append(f"{name} closed")
                raise
            self.log.append(f"{name} closed")

        async def session() -> AsyncIterator[None]:
            async with noted("session"):
                yield

        async def of_message() -> AsyncIterator[None]:
            async with noted("message"):
                yield

        recorded = self

        @self.router.websocket("/", dependencies=[Depends(session)], **options)
        class Room(WebSocketListener):
            async def on_connect(self, websocket: WebSocket) -> None:
                if "wait" in websocket.query_params:
                    recorded.entered.set()
                    await anyio.sleep_forever()

            @on
            async def hear(
                self,
                message: str,
                tasks: BackgroundTasks,
                dependency: Annotated[None, Depends(of_message, scope="message")],
            ) -> str:
                tasks.add_task(recorded.log.append, "background")
                recorded.entered.set()
                await recorded.go_on.wait()
                recorded.log.append("handled")
                return message

            async def on_disconnect(self, code: int, reason: str) -> None:
                recorded.log.append(f"disconnected {code} {reason}".strip())

        @self.router.listener("/yields", dependencies=[Depends(session)], **options)
        async def listener(message: str) -> AsyncIterator[str]:
            async with noted("generator"):
                yield "first"
                recorded.entered.set()
                await recorded.go_on.wait()
                yield "second"


async def test_without_cancel_on_disconnect_the_handler_finishes() -> None:
    recorded = Recorded()
    peer = Peer().say("x")
    async with talking(recorded.router, peer):
        await recorded.entered.wait()
        peer.leave(4321, "bye")
        await anyio.wait_all_tasks_blocked()
        assert recorded.log == []
        recorded.go_on.set()
    assert peer.frames == ["x"]  # the server has not told yet that nobody gets it
    assert recorded.log == ["handled", "message closed", "background", "disconnected 4321 bye", "session closed"]


async def test_with_it_the_handler_is_cancelled_and_its_dependencies_close_in_peace() -> None:
    recorded = Recorded(cancel_on_disconnect=True)
    peer = Peer().say("x")
    async with talking(recorded.router, peer):
        await recorded.entered.wait()
        peer.leave(4321, "bye")
    assert peer.frames == [] and peer.closed is None
    assert recorded.log == ["message: cancelled", "message closed", "disconnected 4321 bye", "session closed"]


async def test_a_generator_that_is_a_handler_is_closed() -> None:
    recorded = Recorded(cancel_on_disconnect=True)
    peer = Peer("/yields").say("x")
    async with talking(recorded.router, peer):
        await recorded.entered.wait()
        peer.leave()
    assert peer.frames == ["first"]
    assert recorded.log == ["generator: cancelled", "session closed"]


async def test_a_generator_that_waits_to_be_asked_is_closed_shielded() -> None:
    log, stuck = [], anyio.Event()
    router = WebSocketRouter()

    @router.listener("/", cancel_on_disconnect=True)
    async def listener(message: str) -> AsyncIterator[str]:
        try:
            yield "first"
        finally:
            await checkpoint()
            log.append("closed")

    peer = Peer().say("x")
    send = peer.send

    async def stall(message: Any) -> None:
        await send(message)
        if message["type"] == "websocket.send":
            stuck.set()
            await anyio.sleep_forever()

    peer.send = stall  # type: ignore[method-assign]  # a client that does not take what it is sent
    async with talking(router, peer):
        await stuck.wait()
        peer.leave()
    assert log == ["closed"]


async def test_on_connect_is_cancelled() -> None:
    recorded = Recorded(cancel_on_disconnect=True)
    peer = Peer("/?wait")
    async with talking(recorded.router, peer):
        await recorded.entered.wait()
        peer.leave(4321)
    assert recorded.log == ["disconnected 4321", "session closed"]


async def test_a_disconnect_behind_more_than_is_read_ahead_is_seen_later() -> None:
    recorded = Recorded(cancel_on_disconnect=True)
    peer = Peer().say("x", "y")
    async with talking(recorded.router, peer):
        await recorded.entered.wait()
        peer.leave(4321)
        await anyio.wait_all_tasks_blocked()
        assert recorded.log == []
        recorded.go_on.set()
    assert peer.frames[0] == "x"
    assert recorded.log[:3] == ["handled", "message closed", "background"]
    assert recorded.log[-2:] == ["disconnected 4321", "session closed"]


async def test_a_disconnect_behind_no_more_than_that_is_seen_at_once() -> None:
    recorded = Recorded(cancel_on_disconnect=True, read_ahead=2)
    peer = Peer().say("x", "y")
    async with talking(recorded.router, peer):
        await recorded.entered.wait()
        peer.leave(4321)
    assert recorded.log == ["message: cancelled", "message closed", "disconnected 4321", "session closed"]


async def test_a_handler_that_fails_while_it_is_cancelled_is_a_bug() -> None:
    entered = anyio.Event()
    router = WebSocketRouter()

    @router.listener("/", cancel_on_disconnect=True)
    async def listener(message: str) -> None:
        entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            raise LookupError

    peer = Peer().say("x")
    with pytest.raises(ExceptionGroup) as caught:
        async with talking(router, peer):
            await entered.wait()
            peer.leave()
    assert caught.group_contains(LookupError)
    assert peer.closed is None


async def test_a_message_that_was_read_ahead_is_forgotten_when_a_handler_closes() -> None:
    router = WebSocketRouter()

    @router.listener("/", cancel_on_disconnect=True)
    async def listener(message: str, websocket: WebSocket) -> None:
        await anyio.wait_all_tasks_blocked()  # so that the next one is read
        await websocket.close(4000)

    client = Client()
    client.say("x", "read ahead", "not read")
    await client.serve(router)
    assert client.closed == (4000, "")


async def test_a_message_that_was_read_ahead_is_forgotten_when_a_handler_fails() -> None:
    router = WebSocketRouter()

    @router.listener("/", cancel_on_disconnect=True)
    async def listener(message: str) -> None:
        await anyio.wait_all_tasks_blocked()
        raise HTTPException(400, "no")

    client = Client()
    client.say("x", "read ahead", "not read")
    await client.serve(router)
    assert client.closed == (1008, "no")


async def test_whoever_ends_the_connection_a_handler_is_cancelled_then() -> None:
    router = WebSocketRouter()
    client = Client()
    closed = []

    @router.listener("/", cancel_on_disconnect=True, read_ahead=3)
    async def listener(message: str, websocket: WebSocket) -> None:
        client.say("on its way already")
        await websocket.close(4000)
        try:
            await anyio.sleep_forever()
        finally:
            closed.append(message)

    client.say("x")
    await client.serve(router)
    assert client.closed == (4000, "") and closed == ["x"]
