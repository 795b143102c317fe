"""The same scenarios in process, in a test that is not async, and on a real server: a client sees the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.exceptions import ConnectionClosed as ServerClosed
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as connect_to_server
from websockets.typing import Subprotocol

from wsroute import HTTPException, WebSocket, WebSocketException, WebSocketRouter
from wsroute.testing import ConnectionClosed, HandshakeRefused, LiveServer, connect, connect_sync

LONG = 10.0


class Seen(NamedTuple):
    """What a client has seen of a connection.

    Attributes:
        status: The HTTP status of the answer to the handshake.
        body: The body of a refusal.
        frames: What was received after the accept.
        close: The code and the reason of the end.
        subprotocol: What the application chose.
        header: The header `x-answer` of the answer.
    """

    status: int
    body: bytes = b""
    frames: tuple[str | bytes, ...] = ()
    close: tuple[int, str] | None = None
    subprotocol: str | None = None
    header: str | None = None


class Scenario(NamedTuple):
    """What a client does, and what it has to see."""

    target: str
    seen: Seen
    says: tuple[str | bytes, ...] = ()


router = WebSocketRouter()


@router.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    while (message := await websocket.receive())["type"] == "websocket.receive":
        if message.get("text") == "end":
            return
        await websocket.send({**message, "type": "websocket.send"})


@router.websocket("/chosen")
async def chosen(websocket: WebSocket) -> None:
    await websocket.accept("chat", headers=[(b"x-answer", b"yes")])


@router.websocket("/nothing")
async def nothing(accept: bool, websocket: WebSocket) -> None:
    if accept:
        await websocket.accept()


@router.websocket("/http")
async def http(accept: bool, websocket: WebSocket) -> None:
    await nothing(accept, websocket)
    raise HTTPException(401, "no token", {"X-Answer": "no"})


@router.websocket("/code")
async def code(accept: bool, websocket: WebSocket) -> None:
    await nothing(accept, websocket)
    raise WebSocketException(4001, "läter")


@router.websocket("/bug")
async def bug(accept: bool, websocket: WebSocket) -> None:
    await nothing(accept, websocket)
    raise ValueError("secret")


@router.websocket("/repaired")
async def repaired(websocket: WebSocket, code: int = 1000) -> None:
    await websocket.accept()
    await websocket.close(code, "ä" * 100)


# By hand, without anything that would repair it.

RAW: dict[str, Callable[[Receive, Send], Awaitable[None]]] = {}


def raw(run: Callable[[Receive, Send], Awaitable[None]]) -> Callable[[Receive, Send], Awaitable[None]]:
    RAW[f"/raw/{run.__name__}"] = run
    return run


async def accept(send: Send) -> None:
    await send({"type": "websocket.accept"})


@raw
async def closes_before_accept(receive: Receive, send: Send) -> None:
    await send({"type": "websocket.close", "code": 4401, "reason": "nobody sees it"})


@raw
async def refuses_in_parts(receive: Receive, send: Send) -> None:
    await send({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-answer", b"tea")]})
    await send({"type": "websocket.http.response.body", "body": b"in ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"parts"})


@raw
async def returns_before_accept(receive: Receive, send: Send) -> None:
    pass


@raw
async def raises_before_accept(receive: Receive, send: Send) -> None:
    raise ValueError("secret")


@raw
async def sends_before_accept(receive: Receive, send: Send) -> None:
    await send({"type": "websocket.send", "text": "early"})


@raw
async def returns_after_accept(receive: Receive, send: Send) -> None:
    await accept(send)
    await send({"type": "websocket.send", "text": "last"})


@raw
async def raises_after_accept(receive: Receive, send: Send) -> None:
    await accept(send)
    raise ValueError("secret")


@raw
async def accepts_twice(receive: Receive, send: Send) -> None:
    await accept(send)
    await accept(send)


@raw
async def closes_with_1005(receive: Receive, send: Send) -> None:
    await accept(send)
    await send({"type": "websocket.close", "code": 1005})


@raw
async def closes_with_999(receive: Receive, send: Send) -> None:
    await accept(send)
    await send({"type": "websocket.close", "code": 999})


@raw
async def closes_with_a_long_reason(receive: Receive, send: Send) -> None:
    await accept(send)
    await send({"type": "websocket.close", "code": 1000, "reason": "ä" * 62})


@raw
async def sends_after_close(receive: Receive, send: Send) -> None:
    await accept(send)
    await send({"type": "websocket.close", "code": 3000, "reason": "enough"})
    await send({"type": "websocket.send", "text": "late"})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    run = RAW.get(scope.get("path", ""))
    if run is None:
        await router(scope, receive, send)
        return
    await receive()
    await run(receive, send)


FAILED = b'{"detail":"Internal Server Error"}'
VALIDATION = (
    b'{"detail":[{"type":"bool_parsing","loc":["query","accept"],'
    b'"msg":"Input should be a valid boolean, unable to interpret input"}]}'
)
SCENARIOS = {
    scenario.target: scenario
    for scenario in (
        Scenario("/echo", Seen(101, frames=("a", b"b", ""), close=(1000, "")), ("a", b"b", "", "end")),
        Scenario("/chosen", Seen(101, close=(1000, ""), subprotocol="chat", header="yes")),
        Scenario("/nothing?accept=0", Seen(403, b'{"detail":"Forbidden"}')),
        Scenario("/nothing?accept=1", Seen(101, close=(1000, ""))),
        Scenario("/nothing?accept=maybe", Seen(422, VALIDATION)),
        Scenario("/nowhere", Seen(404, b'{"detail":"Not Found"}')),
        Scenario("/http?accept=0", Seen(401, b'{"detail":"no token"}', header="no")),
        Scenario("/http?accept=1", Seen(101, close=(1008, "no token"))),
        Scenario("/code?accept=0", Seen(403, rb'{"code":4001,"reason":"l\u00e4ter"}')),
        Scenario("/code?accept=1", Seen(101, close=(4001, "läter"))),
        Scenario("/bug?accept=0", Seen(500, FAILED)),
        Scenario("/bug?accept=1", Seen(101, close=(1011, "Internal Server Error"))),
        Scenario("/repaired", Seen(101, close=(1000, "ä" * 61))),
        Scenario("/repaired?code=1006", Seen(101, close=(1011, "ä" * 61))),
        Scenario("/raw/closes_before_accept", Seen(403)),
        Scenario("/raw/refuses_in_parts", Seen(418, b"in parts", header="tea")),
        Scenario("/raw/returns_before_accept", Seen(500, b"Internal Server Error")),
        Scenario("/raw/raises_before_accept", Seen(500, b"Internal Server Error")),
        Scenario("/raw/sends_before_accept", Seen(500, b"Internal Server Error")),
        Scenario("/raw/returns_after_accept", Seen(101, frames=("last",), close=(1006, ""))),
        Scenario("/raw/raises_after_accept", Seen(101, close=(1006, ""))),
        Scenario("/raw/accepts_twice", Seen(101, close=(1006, ""))),
        Scenario("/raw/closes_with_1005", Seen(101, close=(1006, ""))),
        Scenario("/raw/closes_with_999", Seen(101, close=(1006, ""))),
        Scenario("/raw/closes_with_a_long_reason", Seen(101, close=(1006, ""))),
        Scenario("/raw/sends_after_close", Seen(101, close=(3000, "enough"))),
    )
}
each_scenario = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)


@pytest.mark.anyio
@each_scenario
async def test_in_process(scenario: Scenario) -> None:
    try:
        async with connect(app, scenario.target, subprotocols=["chat"], raise_app_exceptions=False) as ws:
            for frame in scenario.says:
                await (ws.send_text(frame) if isinstance(frame, str) else ws.send_bytes(frame))
            frames = tuple([await ws.receive() for _ in scenario.seen.frames])
            close = await ws.expect_close()
            seen = Seen(101, b"", frames, close, ws.subprotocol, ws.headers.get("x-answer"))
    except HandshakeRefused as refused:
        seen = Seen(refused.status_code, refused.content, header=refused.headers.get("x-answer"))
    assert seen == scenario.seen


@each_scenario
def test_in_a_test_that_is_not_async(scenario: Scenario) -> None:
    try:
        with connect_sync(app, scenario.target, subprotocols=["chat"], raise_app_exceptions=False) as ws:
            for frame in scenario.says:
                if isinstance(frame, str):
                    ws.send_text(frame)
                else:
                    ws.send_bytes(frame)
            frames = tuple([ws.receive() for _ in scenario.seen.frames])
            close = ws.expect_close()
            seen = Seen(101, b"", frames, close, ws.subprotocol, ws.headers.get("x-answer"))
    except HandshakeRefused as refused:
        seen = Seen(refused.status_code, refused.content, header=refused.headers.get("x-answer"))
    assert seen == scenario.seen


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with LiveServer(app) as server:
        yield server


@each_scenario
def test_on_a_real_server(server: LiveServer, scenario: Scenario) -> None:
    try:
        with open_on(server, scenario.target) as ws:
            for frame in scenario.says:
                ws.send(frame)
            frames = tuple([ws.recv(LONG) for _ in scenario.seen.frames])
            with pytest.raises(ServerClosed) as closed:
                ws.recv(LONG)
            end = closed.value.rcvd
            close = (1006, "") if end is None else (end.code, end.reason)
            answer = ws.response
            assert answer is not None
            seen = Seen(101, b"", frames, close, ws.subprotocol, answer.headers.get("x-answer"))
    except InvalidStatus as refused:
        response = refused.response
        seen = Seen(response.status_code, bytes(response.body or b""), header=response.headers.get("x-answer"))
    assert seen == scenario.seen


def open_on(server: LiveServer, target: str) -> Any:
    return connect_to_server(
        server.url(target),
        subprotocols=[Subprotocol("chat")],
        proxy=None,
        compression=None,
        open_timeout=LONG,
        close_timeout=LONG,
    )


# The scope


def recording(scopes: list[Scope]) -> ASGIApp:
    async def record(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            scopes.append(scope)
            await receive()
            await accept(send)
            await send({"type": "websocket.close"})

    return record


@pytest.mark.anyio
async def test_the_scope_is_that_of_a_server() -> None:
    scopes: list[Scope] = []
    record = recording(scopes)
    target = "/a%20b/%C3%A4?x=%201&y=2"
    with LiveServer(record, lifespan="off") as server:
        with open_on(server, target) as ws, pytest.raises(ServerClosed):
            ws.recv(LONG)
        host = f"127.0.0.1:{server.port}"
    async with connect(record, f"ws://{host}{target}", subprotocols=["chat"]) as client:
        await client.expect_close(1000)

    of_server, of_kit = scopes
    # What a server knows of its own socket, and headers that only some clients send, which may come in any order.
    for scope in scopes:
        del scope["client"]
        known = {b"host", b"upgrade", b"connection", b"sec-websocket-version", b"sec-websocket-protocol"}
        scope["headers"] = sorted((name, value) for name, value in scope["headers"] if name in known)
    assert dict(of_kit) == {**of_server, "server": ("127.0.0.1", int(host.rpartition(":")[2]))}


def test_the_end_of_a_connection_is_an_error_where_something_else_is_expected() -> None:
    with (
        pytest.raises(ConnectionClosed, match="expected a text frame, and the connection was closed with 1000") as end,
        connect_sync(app, "/nothing?accept=1") as ws,
    ):
        ws.receive_text()
    assert (end.value.code, end.value.reason) == (1000, "")
