"""How connections end on real servers: what the client sees, and what the server logs."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.exceptions import HTTPException, WebSocketException
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.server import IMPLEMENTATIONS, LONG, Server, WebSocketImplementation, tolerant
from wsroute.dependencies.shields import enter_shield
from wsroute.exceptions import WebSocketRequestValidationError
from wsroute.wire.session import Policy, session
from wsroute.wire.socket import Socket

pytestmark = tolerant

Run = Callable[[Socket], Coroutine[Any, Any, None]]

VALIDATION = {"type": "missing", "loc": ("query", "limit"), "msg": "Field required"}
#: Long for a computer, and short for a test that waits for its end.
SHORT = 0.2


class Scenarios:
    """An ASGI application without routing: what a connection does is chosen by its path.

    A path below `/accepted` accepts first; the parameter `reject` chooses the policy.
    """

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        #: Set when the run of `/left` and its like have seen what they wait for, so that a test can go on.
        self.reached = threading.Event()

    def __call__(self, run: Run) -> Run:
        self.runs[run.__name__] = run
        return run

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        *above, name = scope["path"].strip("/").split("/")
        scope["starlette.exception_handlers"] = ({LookupError: answer_in_parts}, {})

        async def run(websocket: Socket) -> None:
            if above == ["accepted"]:
                await websocket.accept()
            await self.runs[name](websocket)

        websocket = Socket(scope, receive, send)
        policy = Policy(websocket.query_params.get("reject", "denial"), SHORT)  # type: ignore[arg-type]  # any string
        await session(websocket, run, policy)


scenario = Scenarios()


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def ws(request: pytest.FixtureRequest) -> WebSocketImplementation:
    """The WebSocket implementation of uvicorn."""
    implementation: WebSocketImplementation = request.param
    return implementation


@pytest.fixture(scope="module")
def shared(ws: WebSocketImplementation) -> Iterator[Server]:
    """One server for the whole module."""
    with Server(scenario.application, ws).running() as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    """The server, with nothing logged so far; what a test leaves unread in the log must not be an error."""
    shared.settled()
    scenario.reached.clear()
    yield shared
    assert not problems(shared.settled())


def problems(records: list[logging.LogRecord]) -> list[str]:
    """What was logged as more than information."""
    return [record.getMessage() for record in records if record.levelno > logging.INFO]


def refusal(server: Server, target: str) -> tuple[int, Any]:
    """The status and the JSON body with which a handshake is refused."""
    response = refused(server, target)
    return response.status_code, json.loads(response.body)


def refused(server: Server, target: str) -> Any:
    with pytest.raises(InvalidStatus) as caught, server.connect(target):
        pass  # pragma: no cover
    return caught.value.response


def close(server: Server, target: str) -> tuple[int, str]:
    """The code and the reason with which an accepted connection is closed."""
    with server.connect(target) as client:
        return closed(client)


def closed(client: Any) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(LONG)
    assert caught.value.rcvd is not None, "the connection was lost without a close frame"
    return caught.value.rcvd.code, caught.value.rcvd.reason


# The rows of the table


@scenario
async def nothing(websocket: Socket) -> None:
    pass


@scenario
async def validation(websocket: Socket) -> None:
    raise WebSocketRequestValidationError([{**VALIDATION, "input": "secret", "ctx": {"e": "secret"}}])


@scenario
async def unauthorized(websocket: Socket) -> None:
    raise HTTPException(401, "no token", {"WWW-Authenticate": "Bearer"})


@scenario
async def unavailable(websocket: Socket) -> None:
    raise HTTPException(503, "läter")


@scenario
async def code(websocket: Socket) -> None:
    raise WebSocketException(4001, "why")


@scenario
async def group(websocket: Socket) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(code, websocket)


@scenario
async def bug(websocket: Socket) -> None:
    raise ValueError("secret")


ROWS = [
    ("nothing", (403, {"detail": "Forbidden"}), (1000, "")),
    (
        "validation",
        (422, {"detail": [{**VALIDATION, "loc": ["query", "limit"]}]}),
        (1008, "Invalid handshake parameters"),
    ),
    ("unauthorized", (401, {"detail": "no token"}), (1008, "no token")),
    ("unavailable", (503, {"detail": "läter"}), (1011, "läter")),
    ("code", (403, {"code": 4001, "reason": "why"}), (4001, "why")),
    ("group", (403, {"code": 4001, "reason": "why"}), (4001, "why")),
]


@pytest.mark.parametrize(("name", "denial", "end"), ROWS)
def test_before_the_accept_the_client_sees_an_http_response(server: Server, name: str, denial: Any, end: Any) -> None:
    assert refusal(server, f"/{name}") == denial
    assert problems(server.settled()) == []


@pytest.mark.parametrize(("name", "denial", "end"), ROWS)
def test_after_the_accept_the_client_sees_a_close_frame(server: Server, name: str, denial: Any, end: Any) -> None:
    assert close(server, f"/accepted/{name}") == end
    assert problems(server.settled()) == []


@pytest.mark.parametrize(("name", "denial", "end"), ROWS)
def test_a_close_before_the_accept_is_a_bare_403(server: Server, name: str, denial: Any, end: Any) -> None:
    response = refused(server, f"/{name}?reject=close")
    assert (response.status_code, response.body or b"") == (403, b"")
    assert problems(server.settled()) == []


@pytest.mark.parametrize(("name", "denial", "end"), ROWS)
def test_a_browsers_script_can_be_told_the_code(server: Server, name: str, denial: Any, end: Any) -> None:
    assert close(server, f"/{name}?reject=accept") == ((1008, "Forbidden") if name == "nothing" else end)
    assert problems(server.settled()) == []


def one_traceback(server: Server) -> None:
    [record] = [record for record in server.settled() if record.levelno > logging.INFO]
    assert record.name == "uvicorn.error"
    assert record.exc_info is not None and isinstance(record.exc_info[1], ValueError)


def test_a_bug_before_the_accept_is_a_500_and_one_traceback(server: Server) -> None:
    assert refusal(server, "/bug") == (500, {"detail": "Internal Server Error"})
    one_traceback(server)


def test_a_bug_after_the_accept_is_a_1011_and_one_traceback(server: Server) -> None:
    assert close(server, "/accepted/bug") == (1011, "Internal Server Error")
    one_traceback(server)


# The handshake's headers


@scenario
async def injected(websocket: Socket) -> None:
    websocket.handshake_response = Response("x", headers={"X-A": "1"}, media_type="text/plain")
    websocket.handshake_response.set_cookie("a", "1")
    websocket.handshake_response.set_cookie("b", "2")
    if websocket.query_params.get("accept"):
        await websocket.accept("chat", headers=[(b"x-b", b"2")])
    raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})


def test_a_refusal_has_the_headers_of_its_exception_and_of_the_injected_response(server: Server) -> None:
    headers = refused(server, "/injected").headers
    assert headers["www-authenticate"] == "Bearer"
    assert headers["x-a"] == "1"
    assert headers.get_all("set-cookie") == ["a=1; Path=/; SameSite=lax", "b=2; Path=/; SameSite=lax"]
    assert headers.get_all("content-type") == ["application/json"]
    assert headers.get_all("content-length") == [str(len(b'{"detail":"Unauthorized"}'))]


def test_an_accept_has_its_headers_and_those_of_the_injected_response(server: Server) -> None:
    with server.connect("/injected?accept=1", subprotocols=["chat"]) as client:
        assert client.subprotocol == "chat"
        assert client.response is not None
        headers = client.response.headers
        assert (headers["x-a"], headers["x-b"]) == ("1", "2")
        assert headers.get_all("set-cookie") == ["a=1; Path=/; SameSite=lax", "b=2; Path=/; SameSite=lax"]
        assert "content-type" not in headers


# What the documentation says of the cost


@scenario
async def shielded(websocket: Socket) -> None:
    shield = enter_shield()
    if shield is not None:
        shield.__exit__(None, None, None)
    await websocket.send_text(str(shield))


def test_no_cancel_scope_is_around_a_connection(server: Server) -> None:
    with server.connect("/accepted/shielded") as client:
        assert client.recv(LONG) == "None"


# Denials by the application


@scenario
async def own_denial(websocket: Socket) -> None:
    await websocket.send_denial_response(PlainTextResponse("mine", 418))


def test_a_denial_of_the_endpoints_own_is_the_end(server: Server) -> None:
    response = refused(server, "/own_denial")
    assert (response.status_code, response.body) == (418, b"mine")
    assert problems(server.settled()) == []


async def answer_in_parts(websocket: Socket, exc: Exception) -> Response:
    async def parts() -> AsyncIterator[str]:
        for part in ("in ", "parts"):
            await checkpoint()
            yield part

    return StreamingResponse(parts(), 409, {"X-A": "1"})


@scenario
async def handled(websocket: Socket) -> None:
    raise LookupError


def test_a_denial_may_come_in_parts(server: Server) -> None:
    response = refused(server, "/handled")
    assert (response.status_code, response.headers["x-a"], response.body) == (409, "1", b"in parts")
    assert problems(server.settled()) == []


@scenario
async def unknown_status(websocket: Socket) -> None:
    raise HTTPException(499, "no")


def test_a_status_without_a_name_is_sent_where_the_server_can(server: Server, ws: WebSocketImplementation) -> None:
    status = refused(server, "/unknown_status").status_code
    logged = problems(server.settled())
    if ws == "websockets":
        # It looks the status up in http.HTTPStatus.
        assert (status, logged) == (403, ["a connection could not be ended as it should"])
    else:
        assert (status, logged) == (499, [])


@scenario
async def acceptance(websocket: Socket) -> None:
    raise HTTPException(200, "fine")


def test_a_status_that_would_accept_is_a_500(server: Server) -> None:
    assert refusal(server, "/acceptance") == (500, {"detail": "fine"})
    assert len(problems(server.settled())) == 1


# Closes by the application


@scenario
async def long_reason(websocket: Socket) -> None:
    await websocket.close(4000, "€" * 200)


@scenario
async def illegal_code(websocket: Socket) -> None:
    await websocket.close(1006)


@scenario
async def twice(websocket: Socket) -> None:
    await websocket.close(4000)
    await websocket.close(4001)


@scenario
async def used_after_close(websocket: Socket) -> None:
    await websocket.close(4000)
    await websocket.send_text("x")


@pytest.mark.parametrize(
    ("name", "end", "logged"),
    [
        ("long_reason", (4000, "€" * 41), 0),
        ("illegal_code", (1011, ""), 1),
        ("twice", (4000, ""), 0),
        ("used_after_close", (4000, ""), 0),
    ],
)
def test_a_close_of_the_endpoints_own_is_made_legal(
    server: Server, name: str, end: tuple[int, str], logged: int
) -> None:
    assert close(server, f"/accepted/{name}") == end
    assert len(problems(server.settled())) == logged


@scenario
async def close_first(websocket: Socket) -> None:
    await websocket.close(4000, "no")


def test_a_close_of_the_endpoints_own_before_the_accept_is_a_bare_403(server: Server) -> None:
    assert refused(server, "/close_first").status_code == 403
    assert problems(server.settled()) == []


# The client's mistakes


@scenario
async def text(websocket: Socket) -> None:
    await websocket.receive_text()


@scenario
async def binary(websocket: Socket) -> None:
    await websocket.receive_bytes()


@scenario
async def json_text(websocket: Socket) -> None:
    await websocket.receive_json()


@pytest.mark.parametrize(
    ("name", "frame", "end"),
    [
        ("text", b"x", (1003, "Expected a text frame")),
        ("binary", "x", (1003, "Expected a binary frame")),
        ("json_text", "{", (1007, "Invalid JSON")),
    ],
)
def test_a_mistake_of_the_client_closes_without_a_traceback(
    server: Server, name: str, frame: str | bytes, end: tuple[int, str]
) -> None:
    with server.connect(f"/accepted/{name}") as client:
        client.send(frame)
        assert closed(client) == end
    assert problems(server.settled()) == []


# Clients that leave


@scenario
async def finally_closing(websocket: Socket) -> None:
    try:
        await websocket.receive_text()
    finally:
        await websocket.close()


@scenario
async def sending_to_nobody(websocket: Socket) -> None:
    await websocket.receive()
    await websocket.send_text("x")


@scenario
async def sending_on(websocket: Socket) -> None:
    while True:
        await websocket.send_text("x")
        await anyio.sleep(0.01)


LEAVING = ["text", "finally_closing", "sending_to_nobody", "sending_on"]


@pytest.mark.parametrize("name", LEAVING)
def test_a_client_that_closes_is_not_logged(server: Server, name: str) -> None:
    with server.connect(f"/accepted/{name}") as client:
        client.close(4000, "bye")
    assert problems(server.settled()) == []


@pytest.mark.parametrize("name", LEAVING)
def test_a_client_that_vanishes_is_not_logged(server: Server, name: str) -> None:
    with server.connect_raw(f"/accepted/{name}") as client:
        assert client.recv(12) == b"HTTP/1.1 101"
    assert problems(server.settled()) == []


async def wait_until_left(websocket: Socket) -> None:
    await websocket.receive()
    scenario.reached.set()
    await websocket.receive()


@scenario
async def left(websocket: Socket) -> None:
    await wait_until_left(websocket)


@scenario
async def left_and_accepted(websocket: Socket) -> None:
    await wait_until_left(websocket)
    await websocket.accept()


@scenario
async def left_and_refused(websocket: Socket) -> None:
    await wait_until_left(websocket)
    raise HTTPException(401)


@pytest.mark.parametrize("name", ["left", "left_and_accepted", "left_and_refused"])
def test_a_client_that_vanishes_during_the_handshake_is_not_logged(server: Server, name: str) -> None:
    with server.connect_raw(f"/{name}"):
        assert scenario.reached.wait(LONG)
    assert problems(server.settled()) == []


@scenario
async def flooding(websocket: Socket) -> None:
    # Until the buffers are full, which is when a send does not come back.
    with anyio.move_on_after(SHORT):
        while True:
            await websocket.send_bytes(bytes(1_000_000))
            await checkpoint()


def test_a_client_that_does_not_read_ends_the_session_in_time(server: Server) -> None:
    with server.connect_raw("/accepted/flooding", receive_buffer=4096) as client:
        assert client.recv(12) == b"HTTP/1.1 101"
        # settled() returns when the application has, although the client still holds the connection.
        [message] = problems(server.settled())
    assert "/accepted/flooding" in message and str(SHORT) in message


# Servers with lives of their own


@scenario
async def ticking(websocket: Socket) -> None:
    # More than the kernel takes and less than what stops the next send: it stays in the server's buffer.
    await websocket.send_bytes(bytes(30_000))
    await sending_on(websocket)


# The third, `websockets`, holds the send back until its own time limit for a close is over.
@pytest.mark.parametrize("implementation", ["websockets-sansio", "wsproto"])
def test_a_client_that_the_server_gave_up_is_not_logged(implementation: WebSocketImplementation) -> None:
    options = {"ws_ping_interval": 0.05, "ws_ping_timeout": 0.05}
    with Server(scenario.application, implementation, send_buffer=2048, **options).running() as server:
        with server.connect_raw("/accepted/ticking", receive_buffer=2048) as client:
            assert client.recv(12) == b"HTTP/1.1 101"
            logged = server.settled()
        assert problems(logged) == []


def test_a_server_that_stops_closes_its_connections_and_logs_no_error(ws: WebSocketImplementation) -> None:
    with Server(scenario.application, ws).running() as server:
        client = server.connect("/accepted/text")
    with client:
        assert closed(client)[0] == 1012
    assert problems(server.records.take()) == []
