"""The same in tests that are not async: the event loop runs in the test's own thread, while a call waits."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from starlette.applications import Starlette

from wsroute import WebSocket, WebSocketRouter
from wsroute.testing import (
    ClientWebSocket,
    Clock,
    ConnectionClosed,
    DeadlinePassed,
    HandshakeRefused,
    LeftBehind,
    SyncClock,
    SyncWebSocket,
    connect,
    connect_sync,
    fake_clock_sync,
    lifespan_sync,
    override,
)

SHORT = 0.05

router = WebSocketRouter()
rooms: list[WebSocket] = []


class Said(BaseModel):
    text: str


@router.websocket("/echo")
async def echo(websocket: WebSocket, idle: float = 3600) -> None:
    await websocket.accept(websocket.scope["subprotocols"][0] if websocket.scope["subprotocols"] else None)
    with anyio.move_on_after(idle):
        while (message := await websocket.receive())["type"] == "websocket.receive":
            await websocket.send({**message, "type": "websocket.send"})


@router.websocket("/room")
async def room(websocket: WebSocket) -> None:
    await websocket.accept()
    rooms.append(websocket)
    async for text in websocket.iter_text():
        for other in rooms:
            await other.send_text(text)


@router.websocket("/raises")
async def raises(websocket: WebSocket) -> None:
    await websocket.accept()
    raise ValueError("a bug")


def test_everything_that_an_async_client_can_do_can_be_done() -> None:
    with connect_sync(router, "/echo", subprotocols=["chat"]) as ws:
        assert (ws.subprotocol, ws.headers.get("x"), ws.scope["path"], ws.exception) == ("chat", None, "/echo", None)
        ws.send_text("a")
        ws.send_bytes(b"b")
        ws.send_json([1])
        ws.send_model(Said(text="hi"))
        ws.flood(2, str)
        assert (ws.receive_text(), ws.receive_bytes(), ws.receive_json()) == ("a", b"b", [1])
        assert ws.receive(Said).text == "hi"
        assert (ws.receive(), ws.receive()) == ("0", "1")
        assert "application sends '1'" in str(ws.transcript)
        ws.pause_reading()
        ws.resume_reading()
        ws.close(3000, "Bye")
        assert ws.expect_close(3000, "Bye") == (3000, "Bye")
    with connect_sync(router, "/echo") as ws:
        ws.drop()
        with pytest.raises(ConnectionClosed):
            ws.send_text("x")


@pytest.mark.parametrize(
    ("sync", "asynchronous"), [(SyncWebSocket, ClientWebSocket), (SyncClock, Clock)], ids=lambda cls: cls.__name__
)
def test_the_names_and_the_parameters_are_the_same(sync: type, asynchronous: type) -> None:
    def signatures(cls: type) -> dict[str, Any]:
        methods = {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}
        return {name: inspect.signature(method) for name, method in methods.items() if inspect.isfunction(method)}

    # What only the kit calls.
    own = {"late", "next_frame", "begin", "end", "failures"}
    expected = {name: signature for name, signature in signatures(asynchronous).items() if name not in own}
    assert {name: str(signature) for name, signature in signatures(sync).items()} == {
        name: str(signature) for name, signature in expected.items()
    }


def test_iteration_ends_with_the_connection() -> None:
    with connect_sync(router, "/echo", params={"idle": SHORT}) as ws:
        ws.send_text("a")
        assert list(ws) == ["a"]


def test_clients_that_are_open_together_share_an_event_loop() -> None:
    rooms.clear()
    with connect_sync(router, "/room") as ann, connect_sync(router, "/room") as bob:
        ann.send_text("Hello")
        assert bob.receive_text() == ann.receive_text() == "Hello"


def test_the_application_runs_in_the_thread_of_the_test() -> None:
    threads: list[int] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        threads.append(threading.get_ident())
        yield

    with connect_sync(Starlette(routes=[router], lifespan=lifespan), "/echo", lifespan=True):
        pass
    assert threads == [threading.get_ident()]


def test_a_lifespan_is_found() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, int]]:
        yield {"x": 1}
        events.append("shutdown")

    app = Starlette(routes=[router], lifespan=lifespan)
    with lifespan_sync(app) as running:
        assert running.state == {"x": 1}
        with connect_sync(app, "/echo") as ws:
            assert ws.scope["state"] == {"x": 1}
    assert events == ["shutdown"]


def test_a_clock_is_put_forward() -> None:
    with fake_clock_sync() as clock, connect_sync(router, "/echo", params={"idle": 60}) as ws:
        clock.advance(61)
        ws.expect_close(1000)


def test_deadlines_refusals_exceptions_and_leftovers_are_the_same() -> None:
    with pytest.raises(DeadlinePassed, match=r"nothing came within 0.05 s"), connect_sync(router, "/echo") as ws:
        ws.receive(deadline=SHORT)
    with pytest.raises(HandshakeRefused), connect_sync(router, "/nowhere"):
        pytest.fail("not refused")  # pragma: no cover
    with pytest.raises(ValueError, match="a bug"), connect_sync(router, "/raises") as ws:
        ws.receive()
    rooms.clear()
    with pytest.raises(LeftBehind, match="nobody has read the message 'x'"):
        with connect_sync(router, "/echo") as ws:
            ws.send_text("x")


def test_a_connection_is_over_with_its_block() -> None:
    with connect_sync(router, "/echo") as ws:
        pass
    with pytest.raises(RuntimeError, match="used outside of its `with` block"):
        ws.receive()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_async_test_is_told_to_use_the_other_one() -> None:
    with pytest.raises(RuntimeError, match=r"in an async test, write `async with connect\(...\)`"):
        with connect_sync(router, "/echo"):
            pass  # pragma: no cover


def test_a_test_that_is_not_async_is_told_to_use_the_other_one() -> None:
    opening = connect(router, "/echo").__aenter__()
    with pytest.raises(RuntimeError, match=r"use connect_sync\(\) in a test that is not async"):
        opening.send(None)


def test_the_event_loop_that_the_thread_has_set_stays() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        with connect_sync(router, "/echo"):
            pass
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_overrides_work_as_everywhere() -> None:
    with override(router, {}), connect_sync(router, "/echo"):
        pass


def test_the_context_of_the_test_reaches_the_application() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="default")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": variable.get()})
        await send({"type": "websocket.close"})

    with lifespan_sync(router):
        variable.set("set")
        with connect_sync(app) as ws:
            assert ws.receive_text() == "set"
            ws.expect_close()
