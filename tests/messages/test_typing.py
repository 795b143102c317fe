"""Listeners and streams as users write them: `mypy --strict` reads this file, and the declarations work.

What it must refuse is marked as ignored: an ignored error that is none is an error itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, assert_type

import pytest

from tests.messages.talking import Count, Said, Say, said, say, talk
from wsroute import (
    APIWebSocketRoute,
    BackgroundTasks,
    Depends,
    EndpointError,
    Payload,
    RouterError,
    WebSocket,
    WebSocketListener,
    WebSocketPayloadValidationError,
    WebSocketRouter,
    on,
)

pytestmark = pytest.mark.anyio


async def get_session() -> AsyncIterator[str]:
    yield "session"


Session = Annotated[str, Depends(get_session, scope="message")]

router = WebSocketRouter(
    max_message_size=1000, first_message_timeout=10, idle_timeout=60.5, on_invalid="error", max_invalid=3
)


@router.listener("/say/{room}", name="say", discriminator="type", cancel_on_disconnect=False, read_ahead=2)
async def one(message: Say, room: int, session: Session, tasks: BackgroundTasks) -> Said | None:
    assert_type(message, Say)
    assert_type(session, str)
    return Said(text=f"{message.text} {room} {session}")


@router.listener("/marked")
async def marked(numbers: Annotated[list[int], Payload()]) -> int:
    assert_type(numbers, list[int])
    return sum(numbers)


@router.listener("/several")
async def several(message: Say | Count) -> AsyncIterator[Said]:
    assert_type(message, Say | Count)
    for number in range(message.to if isinstance(message, Count) else 1):
        yield Said(text=str(number))


@router.stream("/ticks/{count}", send_timeout=1)
async def ticks(count: int) -> AsyncGenerator[str, None]:
    for number in range(count):
        yield str(number)


@router.websocket("/room/{room}", max_invalid=5, on_invalid="close")
class Room(WebSocketListener):
    discriminator = "type"
    max_message_size = 1000
    idle_timeout = None
    on_invalid = "error"
    dependencies = [Depends(get_session, scope="message")]

    def __init__(self, room: int) -> None:
        self.room = room

    async def on_connect(self, websocket: WebSocket) -> Said:
        return Said(text="welcome")

    @on
    async def say(self, message: Say, session: Session) -> Said:
        assert_type(self.room, int)
        return Said(text=f"{message.text} {self.room} {session}")

    @on()
    async def count(self, message: Count) -> AsyncIterator[Said]:
        for number in range(message.to):
            yield Said(text=str(number))

    async def on_disconnect(self, code: int, reason: str) -> None: ...


async def in_our_words(websocket: WebSocket, exc: WebSocketPayloadValidationError) -> None:
    assert_type(exc.code, str)
    await websocket.send_text(f"{exc.code} {len(exc.errors())} {exc.detail[0]['loc']}")


router.add_api_websocket_route(
    "/again/{room}", Room, max_invalid=2, exception_handlers={WebSocketPayloadValidationError: in_our_words}
)
router.add_route(APIWebSocketRoute("/route/{room}", Room, idle_timeout=1))


async def test_a_handler_is_called_as_a_function() -> None:
    answer = await Room(7).say(Say(text="a"), "session")
    assert_type(answer, Said)
    assert answer == Said(text="a 7 session")
    assert_type(await marked([1]), int)
    assert_type(several(Say()), AsyncIterator[Said])
    assert [item async for item in several(Say())] == [Said(text="0")]
    assert [item async for item in Room(7).count(Count(to=1))] == [Said(text="0")]


async def test_the_declarations_work() -> None:
    assert (await talk(router, say("a"), target="/say/7")).frames == [said("a 7 session")]
    assert (await talk(router, "[1,2]", target="/marked")).frames == ["3"]
    assert (await talk(router, '{"type":"count","to":2}', target="/several")).frames == [said("0"), said("1")]
    assert (await talk(router, target="/ticks/2", leave=False)).frames == ["0", "1"]
    for path in ("/room/7", "/route/7"):
        assert (await talk(router, say("a"), target=path)).frames == [said("welcome"), said("a 7 session")]
    peer = await talk(router, '{"type":"count","to":"x"}', target="/again/7")
    assert peer.frames == [said("welcome"), "invalid_message 1 ['to']"]


# What a type checker must refuse


async def test_a_handler_that_returns_something_else() -> None:
    refused = WebSocketRouter()

    @refused.listener("/")
    async def listener(message: Say) -> Said:
        return message  # type: ignore[return-value]  # it is declared to return Said

    class Wrong(WebSocketListener):
        @on
        async def say(self, message: Say) -> Said:
            return message.text  # type: ignore[return-value]  # as above

        @on
        async def count(self, message: Count) -> AsyncIterator[Said]:
            yield message  # type: ignore[misc]  # it is declared to yield Said


def test_a_handler_that_is_not_asynchronous() -> None:
    def listener(message: Say) -> Said:
        return Said(text=message.text)

    with pytest.raises(EndpointError):
        WebSocketRouter().listener("/")(listener)  # type: ignore[type-var]  # it returns no coroutine


def test_a_method_that_is_not_asynchronous() -> None:
    class Room(WebSocketListener):
        @on  # type: ignore[type-var]  # it returns no coroutine
        def say(self, message: Say) -> Said:
            return Said(text=message.text)

    with pytest.raises(EndpointError):
        WebSocketRouter().websocket("/")(Room)


def test_a_stream_that_is_not_asynchronous() -> None:
    def stream() -> list[str]:
        return ["x"]

    with pytest.raises(EndpointError):
        WebSocketRouter().stream("/")(stream)  # type: ignore[type-var]  # it returns no asynchronous iterator


def test_a_stream_that_returns_once() -> None:
    async def stream() -> str:
        return "x"

    with pytest.raises(EndpointError):
        WebSocketRouter().stream("/")(stream)  # type: ignore[type-var]  # as above


def test_an_option_of_another_type() -> None:
    with pytest.raises(RouterError, match="on_invalid="):
        WebSocketRouter(on_invalid="ignore")  # type: ignore[arg-type]  # it is "error" or "close"
    with pytest.raises(RouterError, match="idle_timeout="):
        WebSocketRouter(idle_timeout="60")  # type: ignore[arg-type]  # it is a number


def test_a_class_that_says_something_of_another_type() -> None:
    class Wrong(WebSocketListener):
        on_invalid = "ignore"  # type: ignore[assignment]  # as above
        max_invalid = "x"  # type: ignore[assignment]  # as above

        @on
        async def say(self, message: Say) -> None: ...

    with pytest.raises(RouterError, match="on_invalid="):
        WebSocketRouter().websocket("/")(Wrong)
