"""The background tasks of a handler: after its reply, and also where there was nobody left to reply to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import pytest
from starlette.types import Message

from tests.asgi import Peer
from wsroute import BackgroundTasks, Depends, WebSocket, WebSocketListener, WebSocketRouter, on

pytestmark = pytest.mark.anyio
router = WebSocketRouter()
log: list[str] = []


@pytest.fixture(autouse=True)
def empty_log() -> Iterator[None]:
    log.clear()
    yield


async def session() -> AsyncIterator[str]:
    yield "session"
    log.append("session closed")


MessageSession = Annotated[str, Depends(session, scope="message")]


@router.listener("/replies")
async def replies(text: str, session: MessageSession, later: BackgroundTasks) -> str:
    later.add_task(note, f"after {text}")
    return text


@router.listener("/items")
async def items(text: str, session: MessageSession, later: BackgroundTasks) -> AsyncIterator[str]:
    later.add_task(note, f"after {text}")
    yield text


@router.listener("/fails")
async def fails(text: str, session: MessageSession, later: BackgroundTasks) -> str:
    later.add_task(note, f"after {text}")
    raise ValueError(text)


@router.websocket("/greets")
class Greets(WebSocketListener):
    async def on_connect(self, websocket: WebSocket, later: BackgroundTasks) -> str:
        later.add_task(note, "after the greeting")
        return "Hello"

    @on
    async def nothing(self, text: str) -> None: ...


async def note(what: str) -> None:
    log.append(what)


async def test_they_run_once_for_each_message_after_what_lived_for_it_is_closed() -> None:
    peer = Peer("/replies").say("first", "second").leave()
    await peer.serve(router)

    assert peer.frames == ["first", "second"]
    assert log == ["session closed", "after first", "session closed", "after second"]


@pytest.mark.parametrize("path", ["/replies", "/items"])
async def test_they_run_when_the_reply_finds_the_client_gone(path: str) -> None:
    peer = GoneAfterTheAccept(path).say("first")
    await peer.serve(router)

    assert peer.frames == []
    assert log[-1] == "after first"


async def test_those_of_on_connect_run_when_its_greeting_finds_the_client_gone() -> None:
    await GoneAfterTheAccept("/greets").serve(router)

    assert log == ["after the greeting"]


async def test_they_do_not_run_when_the_handler_fails() -> None:
    peer = Peer("/fails").say("first")
    with pytest.raises(ValueError, match="first"):
        await peer.serve(router)

    assert log == []


class GoneAfterTheAccept(Peer):
    """A client whose connection breaks down before it can be sent anything."""

    async def send(self, message: Message) -> None:
        await super().send(message)
        self.fail(OSError("gone"))


async def test_one_that_fails_is_a_failure_of_its_message() -> None:
    handled: list[Exception] = []
    router = WebSocketRouter(exception_handlers={LookupError: lambda websocket, exc: handled.append(exc)})

    async def fail() -> None:
        raise LookupError

    @router.listener("/")
    async def listener(message: str, tasks: BackgroundTasks) -> str:
        tasks.add_task(fail)
        return message

    peer = Peer().say("a", "b").leave()
    await peer.serve(router)
    assert peer.frames == ["a", "b"] and len(handled) == 2
