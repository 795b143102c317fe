"""A client that stops reading, on real servers: it is gone for the application within `send_timeout`."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import anyio.lowlevel
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.server import IMPLEMENTATIONS, LONG, Server, WebSocketImplementation, tolerant
from wsroute import Depends, WebSocket, WebSocketDisconnect, WebSocketListener, WebSocketRouter, on

pytestmark = tolerant

#: Seconds: long for a computer, and short for a test that waits for its end.
SEND_TIMEOUT = 0.3
#: What a loaded machine may take on top, and far less than anything else that would end the connection.
TOLERANCE = 3.0
#: More than buffers hold, of a connection with small ones.
MUCH = bytes(500_000)


class Passing:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Application:
    """Connections that are sent more than a client takes.

    Attributes:
        stalled: Set before the first frame is sent that nobody takes.
        closed: Set when the dependency of the stalled connection is closed.
        ended: What its `on_disconnect` was told.
        connected: Set when the target of others is connected.
    """

    def __init__(self) -> None:
        self.stalled, self.closed, self.connected = threading.Event(), threading.Event(), threading.Event()
        self.ended: list[tuple[int, str]] = []
        self.target: WebSocket | None = None
        self.router = WebSocketRouter(send_timeout=SEND_TIMEOUT)

        async def session() -> AsyncIterator[None]:
            try:
                yield
            finally:
                await anyio.lowlevel.checkpoint()  # which a cancellation would interrupt
                self.closed.set()

        held = Annotated[None, Depends(session)]

        @self.router.websocket("/endpoint")
        async def endpoint(websocket: WebSocket, session: held) -> None:
            await websocket.accept()
            await self.flood(websocket)

        @self.router.stream("/stream")
        async def stream(session: held) -> AsyncIterator[bytes]:
            self.stalled.set()
            while True:
                yield MUCH

        @self.router.listener("/replies")
        async def replies(
            message: str, session: Annotated[None, Depends(session, scope="message")]
        ) -> AsyncIterator[bytes]:
            self.stalled.set()
            while True:
                yield MUCH

        @self.router.websocket("/listener", dependencies=[Depends(session)])
        @self.router.websocket("/ahead", dependencies=[Depends(session)], cancel_on_disconnect=True)
        @self.router.websocket("/middleware", dependencies=[Depends(session)], middleware=[Passing])
        class Room(WebSocketListener):
            async def on_connect(room, websocket: WebSocket) -> None:
                self.target = websocket
                self.connected.set()

            @on
            async def flood(room, message: str, websocket: WebSocket) -> None:
                await self.flood(websocket)

            async def on_disconnect(room, code: int, reason: str) -> None:
                self.ended.append((code, reason))

        @self.router.listener("/other")
        async def other(message: str) -> str:
            if message == "flood":
                assert self.target is not None
                try:
                    await self.flood(self.target)
                except WebSocketDisconnect as error:
                    return f"gone: {error.code}"
            return message

    async def flood(self, websocket: WebSocket) -> None:
        self.stalled.set()
        while True:
            await websocket.send_bytes(MUCH)


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture(params=IMPLEMENTATIONS)
def server(request: pytest.FixtureRequest, application: Application) -> Iterator[Server]:
    implementation: WebSocketImplementation = request.param
    with Server(application.router, implementation, send_buffer=8192).running() as running:
        yield running


def frame(text: str) -> bytes:
    """A text frame of a client (RFC 6455, section 5.2), masked with zeros."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()


def connect_and_stop_reading(server: Server, target: str) -> socket.socket:
    client = server.connect_raw(target, receive_buffer=4096)
    assert client.recv(12) == b"HTTP/1.1 101"
    return client


def assert_gone_in_time(application: Application, server: Server, begun: float) -> None:
    """The connection's dependencies are closed in time, and it is logged once that its client was given up."""
    assert application.closed.wait(LONG)
    taken = time.monotonic() - begun
    assert SEND_TIMEOUT * 0.9 < taken < SEND_TIMEOUT + TOLERANCE
    logged = [record for record in server.settled() if record.levelno > logging.INFO]
    assert [record.levelname for record in logged] == ["WARNING"]
    assert f"the peer did not take a frame within {SEND_TIMEOUT} s" in logged[0].getMessage()


@pytest.mark.parametrize("target", ["/endpoint", "/stream"])
def test_what_is_sent_without_being_asked(application: Application, server: Server, target: str) -> None:
    with connect_and_stop_reading(server, target):
        begun = time.monotonic()
        assert_gone_in_time(application, server, begun)


@pytest.mark.parametrize("target", ["/listener", "/ahead", "/middleware", "/replies"])
def test_what_a_handler_sends(application: Application, server: Server, target: str) -> None:
    with connect_and_stop_reading(server, target) as client:
        client.sendall(frame("go"))
        begun = time.monotonic()
        assert_gone_in_time(application, server, begun)
    assert application.ended == ([] if target == "/replies" else [(1006, "")])


@pytest.mark.parametrize("target", ["/listener", "/ahead", "/middleware"])
def test_what_somebody_else_sends(application: Application, server: Server, target: str) -> None:
    with connect_and_stop_reading(server, target):
        assert application.connected.wait(LONG)
        with server.connect("/other") as other:
            begun = time.monotonic()
            other.send("flood")
            assert other.recv(LONG) == "gone: 1006"
            other.send("more")
            assert other.recv(LONG) == "more"  # who has sent it goes on
        assert_gone_in_time(application, server, begun)
    assert application.ended == [(1006, "")]


def test_other_connections_do_not_notice(application: Application, server: Server) -> None:
    slowest = 0.0
    with server.connect("/other") as other, connect_and_stop_reading(server, "/stream"):
        assert application.stalled.wait(LONG)
        while not application.closed.is_set():
            begun = time.monotonic()
            other.send("x")
            assert other.recv(LONG) == "x"
            slowest = max(slowest, time.monotonic() - begun)
    assert slowest < SEND_TIMEOUT


def test_a_client_that_reads_slowly_but_reads_is_not_given_up(application: Application, server: Server) -> None:
    # Each frame is taken in time, all of them together are not.
    with connect_and_stop_reading(server, "/stream") as client:
        begun = time.monotonic()
        while time.monotonic() < begun + 3 * SEND_TIMEOUT:
            assert client.recv(1_000_000)
        assert not application.closed.is_set()
    assert application.closed.wait(LONG)
