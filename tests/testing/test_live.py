"""A real server in a thread: it starts, serves, and stops, or says why not."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from websockets.sync.client import connect

from wsroute import WebSocket, WebSocketRouter
from wsroute.testing import DeadlinePassed, LifespanFailed, LiveServer, live

router = WebSocketRouter()


@router.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())


def app_with(events: list[str], *, fails: bool = False) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        events.append("startup")
        if fails:
            raise ValueError("a bug")
        yield
        events.append("shutdown")

    return Starlette(routes=[Route("/", lambda _: PlainTextResponse("home")), router], lifespan=lifespan)


def test_it_serves_sockets_and_requests_around_the_lifespan() -> None:
    events: list[str] = []
    with LiveServer(app_with(events)) as server:
        with connect(server.url("/echo"), proxy=None) as client:
            client.send("Hello")
            assert client.recv(5) == "Hello"
        assert httpx.get(server.url(scheme="http"), trust_env=False).text == "home"
        assert server.url() == f"ws://127.0.0.1:{server.port}/"
        assert events == ["startup"]
    assert events == ["startup", "shutdown"]


def test_options_are_those_of_uvicorn() -> None:
    events: list[str] = []
    with LiveServer(app_with(events), lifespan="off", ws="wsproto") as server:
        with connect(server.url("/echo"), proxy=None) as client:
            client.send("Hello")
            assert client.recv(5) == "Hello"
    assert events == []


def test_an_application_that_does_not_start_is_reported() -> None:
    with pytest.raises(LifespanFailed, match="the server did not start: the application's startup failed"):
        with LiveServer(app_with([], fails=True)):
            pass  # pragma: no cover


async def hanging(scope: Scope, receive: Receive, send: Send) -> None:
    """Does not start."""
    await receive()
    await anyio.sleep_forever()


def test_a_server_that_does_not_start_in_time_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "DEADLINE", 0.05)
    with pytest.raises(DeadlinePassed, match=r"the server did not start within 0.05 s"):
        with LiveServer(hanging):
            pass  # pragma: no cover


async def staying(scope: Scope, receive: Receive, send: Send) -> None:
    """Does not end a connection."""
    await receive()
    await send({"type": "websocket.accept"})
    try:
        await anyio.sleep_forever()
    finally:
        STOPPED.append("cancelled")


STOPPED: list[str] = []


def test_a_server_that_does_not_stop_in_time_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeadlinePassed, match=r"the server did not stop within 0.5 s: connections are still open"):
        with LiveServer(staying, lifespan="off") as server:
            with connect(server.url(), proxy=None):
                pass
            monkeypatch.setattr(live, "DEADLINE", 0.5)
    server._thread.join(5)


def test_a_missing_uvicorn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"a real server needs uvicorn: pip install 'wsroute\[server\]'"):
        LiveServer(staying)
