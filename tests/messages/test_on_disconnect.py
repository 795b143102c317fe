"""What `on_disconnect` may do, and what it is told where several things end a connection at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.asgi import Peer
from tests.messages.talking import Say, say, talk
from wsroute import (
    BackgroundTasks,
    Depends,
    HTTPException,
    Inject,
    Injects,
    Path,
    ReplyError,
    WebSocket,
    WebSocketDisconnect,
    WebSocketListener,
    WebSocketRouter,
    on,
)

pytestmark = pytest.mark.anyio


class Listener(WebSocketListener):
    """Writes down what `on_disconnect` is told, in the scope of the connection."""

    def __init__(self, websocket: WebSocket) -> None:
        self.told = websocket.scope.setdefault("told", [])

    @on
    async def say(self, message: Say, websocket: WebSocket) -> str:
        if message.text == "gone":
            websocket.scope["fail"](OSError("gone"))
        if message.text == "closing":
            await websocket.close(4000, "mine")
        return message.text

    async def on_disconnect(self, code: int, reason: str) -> None:
        self.told.append((code, reason))


def listening(listener: type[WebSocketListener] = Listener, **options: Any) -> WebSocketRouter:
    router = WebSocketRouter(**options)
    router.websocket("/")(listener)
    return router


async def told(peer: Peer, router: WebSocketRouter | None = None) -> Any:
    """What it is told: once."""
    peer.scope["fail"] = peer.fail
    await peer.serve(router or listening())
    [once] = peer.scope["told"]
    return once


class Passing:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


behind_middleware_or_not = pytest.mark.parametrize("middleware", [[], [Passing]], ids=["", "behind middleware"])


@behind_middleware_or_not
async def test_a_send_finds_the_client_gone_and_the_server_tells_how_it_has_left(middleware: list[Any]) -> None:
    peer = Peer().say(say("gone"), "what was sent before").leave(4321, "bye")
    assert await told(peer, listening(middleware=middleware)) == (4321, "bye")


@behind_middleware_or_not
async def test_a_send_finds_the_client_gone_and_the_server_tells_nothing(middleware: list[Any]) -> None:
    assert await told(Peer().say(say("gone")), listening(middleware=middleware)) == (1006, "")


async def test_a_session_around_this_one_knows_how_the_client_has_left() -> None:
    class Leaving(Passing):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async def refuse(message: Message) -> None:
                if message["type"] == "websocket.send":
                    raise WebSocketDisconnect(4321, "seen before")
                await send(message)

            await self.app(scope, receive, refuse)

    assert await told(Peer().say(say("x")), listening(middleware=[Leaving])) == (4321, "seen before")


async def test_the_end_of_the_application_counts_before_that_of_the_client() -> None:
    assert await told(Peer().say(say("closing")).leave(4321, "bye")) == (4000, "mine")


async def test_a_reply_after_the_end_is_neither_sent_nor_an_error() -> None:
    peer = await talk(listening(), say("closing"), leave=False)
    assert peer.frames == [] and peer.closed == (4000, "mine")


async def test_an_exception_handler_that_closes_comes_before() -> None:
    async def close(websocket: WebSocket, exc: Exception) -> None:
        await websocket.close(4000, "handled")

    class Failing(Listener):
        @on
        async def say(self, message: Say) -> None:  # type: ignore[override]  # a handler has the parameters that it needs
            raise LookupError

    peer = Peer().say(say("x"))
    assert await told(peer, listening(Failing, exception_handlers={LookupError: close})) == (4000, "handled")
    assert peer.closed == (4000, "handled")


async def test_it_can_ask_for_anything_that_is_made_for_this_call() -> None:
    log = []

    async def session() -> AsyncIterator[str]:
        yield "session"
        log.append("closed")

    class Saving(Listener):
        async def on_disconnect(  # type: ignore[override]  # as above
            self,
            reason: str,
            session: Annotated[str, Depends(session, scope="message")],
            tasks: BackgroundTasks,
            room: str = "none",
        ) -> None:
            log.append(f"{reason} {session} {room}")
            tasks.add_task(log.append, "background")

    router = listening(Saving)
    await Peer("/?room=7").leave(1000, "bye").serve(router)
    assert log == ["bye session 7", "closed", "background"]


async def test_a_marker_says_more_than_a_name() -> None:
    got: list[tuple[Any, str]] = []

    class Marked(Listener):
        dependencies = {"reason": Inject(lambda: "provided")}

        async def on_disconnect(  # type: ignore[override]  # as above
            self, code: Annotated[str, Path()], reason: Annotated[str, Injects()]
        ) -> None:
            got.append((code, reason))

    class Unmarked(Listener):
        dependencies = {"reason": Inject(lambda: "provided")}

        async def on_disconnect(self, code: int, reason: str) -> None:
            got.append((code, reason))

    router = WebSocketRouter()
    router.websocket("/marked/{code}")(Marked)
    router.websocket("/{code}")(Unmarked)
    await talk(router, target="/marked/seven")
    await talk(router, target="/seven")
    assert got == [("seven", "provided"), (1000, "")]


async def test_what_it_returns_is_an_error_and_is_not_sent() -> None:
    class Returning(Listener):
        async def on_disconnect(self, code: int, reason: str):  # type: ignore[no-untyped-def]  # as people write
            return "nobody gets this"

    peer = Peer().say(*[""] * 10)
    with pytest.raises(ReplyError):
        await peer.serve(listening(Returning))
    assert "nobody gets this" not in peer.frames


async def test_one_that_fails_is_a_bug_and_takes_the_place_of_what_happened() -> None:
    class Failing(Listener):
        @on
        async def say(self, message: Say) -> None:  # type: ignore[override]  # as above
            raise HTTPException(404, "not this")

        async def on_disconnect(self, code: int, reason: str) -> None:
            await super().on_disconnect(code, reason)
            raise LookupError

    peer = Peer().say(say("x"))
    with pytest.raises(LookupError) as caught:
        await told(peer, listening(Failing))
    assert isinstance(caught.value.__context__, HTTPException)
    assert peer.scope["told"] == [(1008, "not this")]
    assert peer.closed == (1011, "Internal Server Error")


async def test_one_that_fails_when_the_client_has_left_is_raised_on() -> None:
    class Failing(Listener):
        async def on_disconnect(self, code: int, reason: str) -> None:
            await super().on_disconnect(code, reason)
            raise LookupError

    peer = Peer().leave(1001)
    with pytest.raises(LookupError):
        await peer.serve(listening(Failing))
    assert peer.scope["told"] == [(1001, "")] and peer.closed is None


async def test_one_that_sends_to_a_client_that_has_left_is_quiet() -> None:
    class Sending(Listener):
        async def on_disconnect(self, code: int, reason: str, websocket: WebSocket) -> None:  # type: ignore[override]
            await super().on_disconnect(code, reason)
            await websocket.send_text("bye")

    peer = await talk(listening(Sending))
    assert peer.frames == [] and peer.scope["told"] == [(1000, "")]


async def test_dependencies_see_what_it_raises() -> None:
    seen = []

    async def session() -> AsyncIterator[None]:
        try:
            yield
        except Exception as error:
            seen.append(type(error))
            raise

    class Failing(Listener):
        dependencies = [Depends(session)]

        async def on_disconnect(self) -> None:  # type: ignore[override]  # as above
            raise WebSocketDisconnect(4000)

    await talk(listening(Failing))
    assert seen == [WebSocketDisconnect]


@pytest.mark.parametrize(
    ("anyio_backend", "native"),
    [("asyncio", False), ("asyncio", True), ("trio", False)],
    ids=["asyncio-scope", "asyncio-task", "trio-scope"],
)
async def test_a_slow_one_is_not_disturbed_by_a_cancellation(native: bool) -> None:
    begun, go_on, finished, closed = anyio.Event(), anyio.Event(), anyio.Event(), anyio.Event()

    async def session() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await checkpoint()
            assert finished.is_set()
            closed.set()

    class Slow(Listener):
        dependencies = [Depends(session)]

        async def on_connect(self) -> None:
            begun.set()

        async def on_disconnect(self, code: int, reason: str) -> None:
            await super().on_disconnect(code, reason)
            await go_on.wait()
            finished.set()

    peer = Peer()
    router = listening(Slow)
    if native:
        task = asyncio.create_task(peer.serve(router))
        await begun.wait()
        task.cancel()
        go_on.set()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
    else:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(peer.serve, router)
            await begun.wait()
            tasks.cancel_scope.cancel()
            go_on.set()
    assert closed.is_set()
    assert peer.scope["told"] == [(1001, "")]
    assert peer.closed == (1001, "")


async def test_one_that_fails_under_cancellation_does_not_keep_dependencies_open() -> None:
    begun, closed = anyio.Event(), anyio.Event()

    async def session() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await checkpoint()
            closed.set()

    class Failing(Listener):
        dependencies = [Depends(session)]

        async def on_connect(self) -> None:
            begun.set()

        async def on_disconnect(self, code: int, reason: str) -> None:
            raise LookupError

    peer = Peer()
    with pytest.raises(ExceptionGroup) as caught:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(peer.serve, listening(Failing))
            await begun.wait()
            tasks.cancel_scope.cancel()
    assert caught.group_contains(LookupError)
    assert closed.is_set()
    assert peer.closed == (1011, "Internal Server Error")


async def test_it_is_not_called_for_a_connection_that_a_dependency_refuses_after_it_was_made() -> None:
    class Refusing(Listener):
        @on
        async def say(self, message: Say, room: int) -> None:  # type: ignore[override]  # as above
            ...

    peer = Peer("/?room=x")
    await peer.serve(listening(Refusing))
    assert peer.denial is not None and peer.denial.status == 422
    assert peer.scope["told"] == []
