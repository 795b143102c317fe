"""Conversations on real servers: what comes over the wire, and how they end."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync
from websockets.exceptions import ConnectionClosed

from tests.messages.talking import Say, errors_of, say
from tests.server import IMPLEMENTATIONS, LONG, Server, WebSocketImplementation, tolerant
from wsroute import Depends, HTTPException, WebSocket, WebSocketListener, WebSocketRouter, on

pytestmark = tolerant


class Application:
    """A listener that writes down how its connections end.

    Attributes:
        ends: What `on_disconnect` was told.
        open: How many dependencies are open, of connections and of messages.
        waiting: Set when a handler waits.
        go_on: What it waits for.
    """

    def __init__(self) -> None:
        self.ends: list[tuple[int, str]] = []
        self.open = 0
        self.waiting, self.go_on = threading.Event(), threading.Event()
        self.router = WebSocketRouter()

        async def session() -> AsyncIterator[None]:
            self.open += 1
            try:
                yield
            finally:
                self.open -= 1

        class Room(WebSocketListener):
            dependencies = [Depends(session), Depends(session, scope="message", use_cache=False)]
            max_invalid = 3

            async def on_connect(room, websocket: WebSocket) -> str:
                if "refuse" in websocket.query_params:
                    raise HTTPException(403, "refused")
                return "welcome"

            @on
            async def say(room, message: Say, websocket: WebSocket) -> str | None:
                if message.text == "fail":
                    raise LookupError
                if message.text == "close":
                    await websocket.close(4000, "enough")
                    return None
                if message.text == "wait":
                    self.waiting.set()
                    assert await run_sync(self.go_on.wait, LONG)
                return message.text

            async def on_disconnect(room, code: int, reason: str) -> None:
                self.ends.append((code, reason))

        class Eager(Room):
            @on
            async def say(room, message: Say, websocket: WebSocket) -> str | None:
                self.waiting.set()
                await anyio.sleep_forever()
                return None

        self.router.websocket("/")(Room)
        self.router.websocket("/impatient", first_message_timeout=0.1)(Room)
        self.router.websocket("/eager", cancel_on_disconnect=True)(Eager)


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def ws(request: pytest.FixtureRequest) -> WebSocketImplementation:
    implementation: WebSocketImplementation = request.param
    return implementation


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def server(ws: WebSocketImplementation, application: Application) -> Iterator[Server]:
    with Server(application.router, ws).running() as running:
        yield running
    assert application.open == 0


def problems(server: Server) -> list[logging.LogRecord]:
    """What was logged as more than information, once all connections have ended."""
    return [record for record in server.settled() if record.levelno > logging.INFO]


def closed(client: Any) -> tuple[int, str]:
    """The code and the reason with which the server closes."""
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            client.recv(LONG)
    assert caught.value.rcvd is not None, "the connection was lost without a close frame"
    return caught.value.rcvd.code, caught.value.rcvd.reason


def ended(application: Application, server: Server, end: tuple[int, str]) -> None:
    """One connection has ended in this way, without a problem, and nothing is left open."""
    assert problems(server) == []
    assert application.ends == [end] and application.open == 0


def test_messages_and_replies(application: Application, server: Server) -> None:
    with server.connect("/") as client:
        assert client.recv(LONG) == "welcome"
        for number in range(20):
            client.send(say(str(number)))
        assert [client.recv(LONG) for _ in range(20)] == [str(number) for number in range(20)]
        client.close(4321, "bye")
    ended(application, server, (4321, "bye"))


def test_the_client_vanishes(application: Application, server: Server) -> None:
    with server.connect_raw("/") as client:
        assert client.recv(12) == b"HTTP/1.1 101"
    assert problems(server) == []
    # uvicorn tells the same of a connection that is lost as of a close without a code.
    assert application.ends in ([(1005, "")], [(1006, "")]) and application.open == 0


def test_the_client_closes_while_its_message_is_handled(application: Application, server: Server) -> None:
    with server.connect("/") as client:
        client.send(say("wait"))
        assert application.waiting.wait(LONG)
        # The server answers the close when the client's frame is there, and the application has yet to reply.
        client.close(4321, "bye")
        application.go_on.set()
    ended(application, server, (4321, "bye"))


def test_a_handler_is_cancelled_when_the_client_closes(application: Application, server: Server) -> None:
    with server.connect("/eager") as client:
        client.send(say("x"))
        assert application.waiting.wait(LONG)
        client.close(4321, "bye")
    ended(application, server, (4321, "bye"))


@pytest.mark.parametrize(
    ("text", "end"), [("close", (4000, "enough")), ("fail", (1011, "Internal Server Error"))], ids=["closes", "fails"]
)
def test_a_handler_ends_it(application: Application, server: Server, text: str, end: tuple[int, str]) -> None:
    with server.connect("/") as client:
        client.send(say(text))
        assert closed(client) == end
    logged = problems(server)
    # One traceback, of the bug and of nothing else.
    assert [type(record.exc_info[1]) for record in logged if record.exc_info] == [LookupError] * (text == "fail")
    assert len(logged) == (text == "fail")
    assert application.ends == [end]


def test_on_connect_refuses(application: Application, server: Server) -> None:
    with server.connect("/?refuse") as client:
        assert closed(client) == (1008, "refused")
    ended(application, server, (1008, "refused"))


def test_no_message_comes(application: Application, server: Server) -> None:
    with server.connect("/impatient") as client:
        assert closed(client) == (1008, "No message within 0.1 s")
    ended(application, server, (1008, "No message within 0.1 s"))


def test_invalid_messages(application: Application, server: Server) -> None:
    with server.connect("/") as client:
        assert client.recv(LONG) == "welcome"
        client.send("{")
        assert errors_of(client.recv(LONG)) == ("invalid_json", [([], "json_invalid")])
        client.send(say("valid"))
        assert client.recv(LONG) == "valid"
        for frame in (b"binary", '{"type":"other"}', '{"text":"\\ud800"}'):
            client.send(frame)
        assert errors_of(client.recv(LONG)) == ("wrong_frame", [([], "frame_type")])
        assert errors_of(client.recv(LONG))[0] == "unknown_type"
        assert closed(client) == (1007, "Invalid message")
    ended(application, server, (1007, "Invalid message"))


@pytest.mark.parametrize("text", ["x" * 70_000, "€" * 25_000])
def test_a_message_is_too_big(application: Application, server: Server, text: str) -> None:
    with server.connect("/") as client:
        client.send(json.dumps({"text": text}, ensure_ascii=False))
        assert closed(client) == (1009, "Message too big")
    ended(application, server, (1009, "Message too big"))


def test_text_that_is_no_utf_8_is_the_servers_to_refuse(application: Application, server: Server) -> None:
    with server.connect_raw("/") as client:
        assert client.recv(12) == b"HTTP/1.1 101"
        # A text frame of one byte (RFC 6455, section 5.2), masked with zeros.
        client.sendall(bytes([0x81, 0x81, 0, 0, 0, 0, 0xFF]))
        while client.recv(4096):
            pass
    assert [record for record in problems(server) if record.name == "wsroute"] == []
    [(code, _)] = application.ends
    assert code in (1005, 1006, 1007) and application.open == 0


@pytest.mark.parametrize("target", ["/", "/eager"])
def test_a_server_that_stops(application: Application, ws: WebSocketImplementation, target: str) -> None:
    with ExitStack() as stack:
        with Server(application.router, ws).running() as server:
            client = stack.enter_context(server.connect(target))
            assert client.recv(LONG) == "welcome"
        assert closed(client)[0] == 1012
    assert [record for record in server.records.take() if record.levelno > logging.INFO] == []
    [(code, _)] = application.ends
    assert code == 1012 and application.open == 0
