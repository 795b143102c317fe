"""Reading on while a message is handled: who reads when, how far, and what a client's leaving does."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio import get_current_task, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint
from starlette.types import Message

from wsroute import WebSocket, WebSocketListener, WebSocketRouter, on
from wsroute.messages.ahead import Ahead
from wsroute.testing import Peer
from wsroute.wire.socket import Socket

pytestmark = pytest.mark.anyio


class Read(Peer):
    """A peer that notes which task reads, and fails if two do at a time.

    Attributes:
        readers: The task that has read each message.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[int] = []
        self._is_read = False

    async def receive(self) -> Message:
        assert not self._is_read, "two tasks read at a time"
        self._is_read = True
        try:
            message = await super().receive()
        finally:
            self._is_read = False
        self.readers.append(get_current_task().id)
        return message

    async def until(self, messages: int) -> None:
        """Wait until so many messages were read; the connect is one of them."""
        while len(self.readers) < messages:
            await checkpoint()


async def tell(peer: Peer, listener: type[WebSocketListener]) -> None:
    router = WebSocketRouter()
    router.websocket("/")(listener)
    await peer.serve(router)


async def test_a_handler_that_waits_is_cancelled_when_the_client_leaves() -> None:
    told: list[Any] = []
    peer = Read()
    peer.say("a")

    class Waiting(WebSocketListener):
        cancel_on_disconnect = True

        @on
        async def say(self, message: str) -> None:
            peer.leave(4000, "bye")
            try:
                await anyio.sleep_forever()
            finally:
                told.append("cancelled")

        async def on_disconnect(self, code: int, reason: str) -> None:
            told.append((code, reason))

    await tell(peer, Waiting)

    assert told == ["cancelled", (4000, "bye")]


async def test_a_welcome_that_waits_is_cancelled_when_the_client_leaves() -> None:
    told: list[str] = []

    class Welcoming(WebSocketListener):
        cancel_on_disconnect = True

        async def on_connect(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                told.append("cancelled")

        @on
        async def say(self, message: str) -> None: ...

    await tell(Peer().leave(), Welcoming)

    assert told == ["cancelled"]


async def test_the_listener_reads_itself_while_no_handler_waits() -> None:
    peer = Read()
    peer.say("a", "b", "c").leave()

    class Echo(WebSocketListener):
        cancel_on_disconnect = True

        @on
        async def say(self, message: str) -> str:
            return message

    await tell(peer, Echo)

    assert peer.frames == ["a", "b", "c"]
    assert len(set(peer.readers)) == 1


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_no_more_is_read_ahead_than_is_said_and_all_of_it_is_handled_in_its_order(most: int) -> None:
    texts = [str(number) for number in range(6)]
    peer = Read()
    peer.say(*texts)
    ahead: list[int] = []

    class Slow(WebSocketListener):
        cancel_on_disconnect = True
        read_ahead = most

        @on
        async def say(self, message: str) -> str:
            for _ in range(10):
                await checkpoint()
            # What was read, without the connect, those before, and this one.
            ahead.append(len(peer.readers) - 2 - texts.index(message))
            if message == texts[-1]:
                peer.leave()
                await anyio.sleep_forever()
            return message

    await tell(peer, Slow)

    assert peer.frames == texts[:-1]
    assert ahead == [min(most, 5 - number) for number in range(6)]


async def test_a_client_that_leaves_behind_more_than_is_read_ahead_is_seen_to_leave_later() -> None:
    told: list[str] = []
    peer = Read()
    peer.say("a", "b").leave()

    class Slow(WebSocketListener):
        cancel_on_disconnect = True

        @on
        async def say(self, message: str) -> None:
            try:
                await peer.until(3)
                for _ in range(10):
                    await checkpoint()
                told.append(f"{message} handled")
            except anyio.get_cancelled_exc_class():
                told.append(f"{message} cancelled")
                raise

    await tell(peer, Slow)

    assert told == ["a handled", "b cancelled"]


async def test_messages_that_were_read_ahead_are_not_handled_once_the_client_has_left() -> None:
    told: list[str] = []
    peer = Read()
    peer.say("a", "b").leave()

    class Slow(WebSocketListener):
        cancel_on_disconnect = True
        read_ahead = 2

        @on
        async def say(self, message: str) -> None:
            told.append(message)
            await anyio.sleep_forever()

    await tell(peer, Slow)

    assert told == ["a"]


async def test_the_task_does_not_read_while_the_listener_does() -> None:
    peer = Read()

    class Echo(WebSocketListener):
        cancel_on_disconnect = True

        @on
        async def say(self, message: str) -> str:
            return message

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tell, peer, Echo)
        for text in ("a", "b"):
            # The listener waits, and whatever the task was told while it handled a message, it has heard.
            await wait_all_tasks_blocked()
            peer.say(text)
        await wait_all_tasks_blocked()
        peer.leave()

    assert peer.frames == ["a", "b"]
    assert len(set(peer.readers[2:])) == 1


async def test_the_listener_reads_itself_again_after_the_task_has() -> None:
    peer = Read()
    peer.say("a", "b", "c").leave()

    class FirstWaits(WebSocketListener):
        cancel_on_disconnect = True

        @on
        async def say(self, message: str) -> str:
            if message == "a":
                await peer.until(3)
            return message

    await tell(peer, FirstWaits)

    assert peer.frames == ["a", "b", "c"]


async def test_a_listener_that_waits_for_the_task_gets_what_it_reads() -> None:
    peer = Read()
    peer.say("a")

    class Slow(WebSocketListener):
        cancel_on_disconnect = True

        @on
        async def say(self, message: str) -> str:
            for _ in range(10):
                await checkpoint()
            return message

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tell, peer, Slow)
        # Each reply is sent while the task already waits for the next message.
        for number, text in enumerate(("b", "c")):
            while len(peer.frames) <= number:
                await checkpoint()
            peer.say(text)
        while len(peer.frames) < 3:
            await checkpoint()
        peer.leave()

    assert peer.frames == ["a", "b", "c"]
    listener, *others = peer.readers
    assert others[0] == listener
    assert listener not in others[1:]


async def test_a_client_that_leaves_while_nothing_is_handled_cancels_nothing() -> None:
    peer = Read()
    websocket = Socket(peer.scope, peer.receive, peer.send)
    await websocket.accept()

    async with anyio.create_task_group() as tasks:
        ahead = Ahead(websocket, 1, tasks.cancel_scope)
        tasks.start_soon(ahead.watch)
        await wait_all_tasks_blocked()
        tasks.start_soon(leave, peer)
        message = await ahead.receive()
        readers, is_cancelled = [*peer.readers, get_current_task().id], tasks.cancel_scope.cancel_called

    assert message["type"] == "websocket.disconnect"
    assert readers[-2] != readers[-1]
    assert not is_cancelled


async def leave(peer: Peer) -> None:
    peer.leave()


async def test_a_failure_of_the_server_while_a_handler_waits_ends_the_connection() -> None:
    class Broken(Read):
        async def receive(self) -> Message:
            if len(self.readers) == 2:
                raise LookupError("the server is broken")
            return await super().receive()

    class Waiting(WebSocketListener):
        cancel_on_disconnect = True

        @on
        async def say(self, message: str) -> None:
            await anyio.sleep_forever()

    peer = Broken().say("a")
    with pytest.raises(LookupError):
        await tell(peer, Waiting)

    assert peer.closed == (1011, "Internal Server Error")


async def test_a_connection_that_drains_ends_when_its_message_was_handled() -> None:
    handling, go_on = anyio.Event(), anyio.Event()
    router = WebSocketRouter()
    peer = Read()
    peer.say("a", "b")

    @router.listener("/", cancel_on_disconnect=True)
    async def say(message: str) -> str:
        await peer.until(3)
        handling.set()
        await go_on.wait()
        return message

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.serve, router)
        await handling.wait()
        tasks.start_soon(router.drain)
        await wait_all_tasks_blocked()
        go_on.set()

    assert peer.frames == ["a"]
    assert peer.closed == (1012, "Service restart")


async def test_the_task_does_not_end_what_drains() -> None:
    router = WebSocketRouter()
    peer = Read()
    peer.say("a")

    @router.listener("/", cancel_on_disconnect=True)
    async def say(message: str, websocket: WebSocket) -> str:
        assert isinstance(websocket, Socket)
        # Before the task has come to read.
        websocket.end_when_idle(1012, "bye", LookupError())
        for _ in range(10):
            await checkpoint()
        return message

    await peer.serve(router)

    assert peer.frames == ["a"]
    assert peer.closed == (1012, "bye")


async def test_a_limit_counts_while_the_task_reads_as_well() -> None:
    peer = Read()
    peer.say("a")

    class Slow(WebSocketListener):
        cancel_on_disconnect = True
        idle_timeout = 0.05

        @on
        async def say(self, message: str) -> str:
            for _ in range(10):
                await checkpoint()
            return message

    await tell(peer, Slow)

    assert peer.frames == ["a"]
    assert peer.closed == (1008, "No message within 0.05 s")
