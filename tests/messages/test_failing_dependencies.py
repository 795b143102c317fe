"""What lives for one message when something goes wrong: it is closed in order, and nothing is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.asgi import Peer
from tests.messages.forms import (
    CONTEXTS,
    async_generator,
    generator,
    listening,
    log,
    noted,
    of_message,
)
from tests.messages.talking import Say, say, talk
from wsroute import (
    Depends,
    HTTPException,
    Payload,
    SwallowedExceptionError,
    WebSocket,
    WebSocketDisconnect,
    WebSocketRouter,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def nothing_has_happened() -> None:
    log.clear()


class Problem(Exception):
    """A bug of the application."""


async def fails_to_open() -> AsyncIterator[None]:
    raise Problem
    yield


async def fails_to_close() -> AsyncIterator[None]:
    yield
    raise Problem


def fail() -> None:
    raise Problem


@pytest.mark.parametrize(
    ("broken", "closed"),
    [(fails_to_open, "async generator closed: Problem"), (fails_to_close, "async generator closed: Problem")],
)
async def test_nothing_is_sent_if_a_dependency_fails(broken: Any, closed: str) -> None:
    peer = Peer().say(say("a"), say("never read"))
    with pytest.raises(Problem):
        await peer.serve(listening(of_message(async_generator), of_message(broken)))
    assert peer.frames == [] and peer.closed == (1011, "Internal Server Error")
    assert log[-1] == closed and "handler never read" not in log


async def test_the_connection_goes_on_if_an_exception_handler_takes_it() -> None:
    def take(websocket: WebSocket, exc: Exception) -> None:
        log.append("handled")

    async def sometimes(message: Annotated[Say, Payload()]) -> AsyncIterator[str]:
        if message.text == "open":
            raise Problem
        yield "fine"
        if message.text == "close":
            raise Problem

    router = WebSocketRouter(exception_handlers={Problem: take})
    router.include_router(listening(of_message(async_generator), of_message(sometimes)))
    peer = await talk(router, say("open"), say("close"), say("a"))
    assert peer.frames == ["a: async generator, fine"] and peer.closed is None
    assert log == [
        *("async generator opened", "async generator closed: Problem", "handled"),
        *("async generator opened", "handler close", "async generator closed: Problem", "handled"),
        *("async generator opened", "handler a", "async generator closed"),
    ]


@pytest.mark.parametrize("form", CONTEXTS)
async def test_they_see_what_the_handler_raises_and_are_closed_before_it_is_handled(form: Any) -> None:
    router = WebSocketRouter(exception_handlers={Problem: lambda websocket, exc: log.append("handled")})
    router.include_router(listening(of_message(form), does=fail))
    peer = await talk(router, say("a"))
    name = form.__name__.replace("_", " ")
    assert log == [f"{name} opened", "handler a", f"{name} closed: Problem", "handled"]
    assert peer.frames == [] and peer.closed is None


async def swallows() -> AsyncIterator[None]:
    try:
        yield
    except Problem:
        pass


async def test_one_that_swallows_an_exception_is_an_error() -> None:
    peer = Peer().say(say("a"))
    with pytest.raises(SwallowedExceptionError, match="listener"):
        await peer.serve(listening(of_message(async_generator), of_message(swallows), does=fail))
    assert log[-1] == "async generator closed: SwallowedExceptionError"
    assert peer.frames == [] and peer.closed == (1011, "Internal Server Error")


async def test_one_that_swallows_a_disconnect_is_none_and_nothing_is_sent() -> None:
    async def careless() -> AsyncIterator[None]:
        try:
            yield
        except WebSocketDisconnect:
            log.append("swallowed")

    def leave() -> None:
        raise WebSocketDisconnect(1001)

    peer = await talk(listening(of_message(careless), does=leave), say("a"), say("b"))
    assert peer.frames == [] and peer.closed is None
    assert log == ["handler a", "swallowed", "handler b", "swallowed"]


async def test_one_may_put_another_exception_in_its_place() -> None:
    async def translates() -> AsyncIterator[None]:
        try:
            yield
        except Problem as error:
            raise HTTPException(409, "conflict") from error

    peer = await talk(listening(of_message(translates), does=fail), say("a"), leave=False)
    assert peer.frames == [] and peer.closed == (1008, "conflict")


async def test_one_that_closes_the_socket_has_refused_the_message() -> None:
    async def refuse(websocket: WebSocket, message: Annotated[Say, Payload()]) -> None:
        if message.text == "bad":
            await websocket.close(4000, "no")

    router = listening(of_message(async_generator), of_message(refuse), of_message(generator))
    peer = await talk(router, say("a"), say("bad"), say("never read"), leave=False)
    assert len(peer.frames) == 1 and peer.closed == (4000, "no")
    assert log[-2:] == ["async generator opened", "async generator closed"]


@pytest.mark.parametrize("where", ["opening", "handling", "closing"])
async def test_a_cancellation_closes_what_is_open_in_peace(where: str) -> None:
    waiting = anyio.Event()

    async def wait(here: str) -> None:
        if here == where:
            waiting.set()
            await anyio.sleep_forever()

    async def outer() -> AsyncIterator[None]:
        with noted("outer"):
            try:
                yield
            finally:
                await checkpoint()
                log.append("outer closed in peace")

    async def inner() -> AsyncIterator[None]:
        await wait("opening")
        with noted("inner"):
            yield
        if where == "closing":
            waiting.set()
            await checkpoint()
            log.append("inner closed in peace")

    router = WebSocketRouter()

    @router.listener("/")
    async def listener(
        message: Say,
        outer: Annotated[None, Depends(outer, scope="message")],
        inner: Annotated[None, Depends(inner, scope="message")],
    ) -> str:
        await wait("handling")
        return "reply"

    peer = Peer().say(say("a"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.serve, router)
        await waiting.wait()
        tasks.cancel_scope.cancel()
    assert peer.frames == [] and peer.closed == (1001, "")
    expected: Sequence[str] = {
        "opening": ["outer opened", "outer closed in peace", "outer closed: cancelled"],
        "handling": [
            *("outer opened", "inner opened", "inner closed: cancelled"),
            *("outer closed in peace", "outer closed: cancelled"),
        ],
        "closing": [
            *("outer opened", "inner opened", "inner closed", "inner closed in peace"),
            *("outer closed in peace", "outer closed"),
        ],
    }[where]
    assert log == expected
