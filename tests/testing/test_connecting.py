"""The handshake that a client makes, and what is looked at when its connection ends."""

from __future__ import annotations

import asyncio
import base64
import gc
import importlib.util
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Annotated, Any

import anyio
import httpx
import pytest
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket as StarletteWebSocket

from wsroute import (
    APIWebSocketRoute,
    Depends,
    HTTPException,
    Request,
    WebSocket,
    WebSocketDisconnect,
    WebSocketGateway,
    WebSocketRouter,
)
from wsroute import websocket as handler
from wsroute.testing import (
    DeadlinePassed,
    HandshakeRefused,
    IllegalMessage,
    LeftBehind,
    UnexpectedMessage,
    connect,
    lifespan,
)

pytestmark = pytest.mark.anyio

SHORT = 0.05


async def closing(scope: Scope, receive: Receive, send: Send) -> None:
    """Accepts and closes."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close"})


async def scope_of(*args: Any, **kwargs: Any) -> Scope:
    """The scope of a connection."""
    async with connect(closing, *args, **kwargs) as ws:
        await ws.expect_close(1000)
    return ws.scope


def header(scope: Scope, name: str) -> list[str]:
    return [value.decode() for key, value in scope["headers"] if key == name.encode()]


# The handshake


async def test_a_target_is_a_path_with_a_query_string_or_without() -> None:
    scope = await scope_of("/a%2Fb/ä?x=1&y=%20")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a/b/ä", b"/a%2Fb/%C3%A4", b"x=1&y=%20")
    assert (scope["scheme"], scope["server"], header(scope, "host")) == ("ws", ("testserver", 80), ["testserver"])


async def test_a_target_may_be_a_url() -> None:
    scope = await scope_of("wss://example.org:444/x")
    assert (scope["scheme"], scope["server"], scope["path"]) == ("wss", ("example.org", 444), "/x")
    assert header(scope, "host") == ["example.org:444"]
    assert (await scope_of("wss://example.org"))["server"] == ("example.org", 443)


async def test_a_missing_httpx_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"needs httpx: pip install 'wsroute\[testing\]'"):
        await scope_of("/", params={"x": 1})


@pytest.mark.parametrize("target", ["rooms/7", "http://testserver/rooms", ""])
async def test_anything_else_is_no_target(target: str) -> None:
    with pytest.raises(ValueError, match=rf"connect\(\) got the target {target!r}; write a path such as '/rooms/7'"):
        await scope_of(target)


@pytest.mark.parametrize(
    "params",
    [{"x": 1, "y": ["a b", True]}, [("x", 1), ("y", "a b"), ("y", True)], httpx.QueryParams("x=1&y=a+b&y=true")],
)
async def test_parameters_are_added_to_the_query_string(params: Any) -> None:
    scope = await scope_of("/?z=0", params=params)
    assert scope["query_string"] == b"z=0&x=1&y=a+b&y=true"


@pytest.mark.parametrize("headers", [{"X-A": "1"}, [("X-A", "1")], httpx.Headers({"x-a": "1"})])
async def test_headers_are_in_lower_case(headers: Any) -> None:
    scope = await scope_of(headers=headers)
    assert header(scope, "x-a") == ["1"]


async def test_a_header_may_come_twice_and_the_host_once() -> None:
    scope = await scope_of("ws://example.org/", headers=[("X-A", "1"), ("x-a", "2")])
    assert header(scope, "x-a") == ["1", "2"]
    assert header(scope, "host") == ["example.org"]


async def test_cookies_are_one_header() -> None:
    assert header(await scope_of(cookies={"a": "1", "b": "2"}), "cookie") == ["a=1; b=2"]


async def test_the_origin_and_the_subprotocols_are_headers() -> None:
    scope = await scope_of(origin="https://example.org", subprotocols=["chat", "chat.v2"])
    assert header(scope, "origin") == ["https://example.org"]
    assert header(scope, "sec-websocket-protocol") == ["chat, chat.v2"]
    assert scope["subprotocols"] == ["chat", "chat.v2"]


BASIC = "Basic " + base64.b64encode(b"ann:secret").decode()


def with_token(request: httpx.Request) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {request.url.path}"
    return request


@pytest.mark.parametrize(
    ("target", "auth", "sent"),
    [
        ("/", ("ann", "secret"), BASIC),
        ("/", httpx.BasicAuth("ann", "secret"), BASIC),
        ("ws://ann:secret@testserver/", None, BASIC),
        ("/x", with_token, "Bearer /x"),
    ],
)
async def test_a_client_authenticates_as_with_httpx(target: str, auth: Any, sent: str) -> None:
    scope = await scope_of(target, auth=auth, headers={"x-a": "1"})
    assert header(scope, "authorization") == [sent]
    assert header(scope, "host") == ["testserver"]


async def test_a_client_without_credentials_sends_none() -> None:
    assert header(await scope_of(headers={"x-a": "1"}), "authorization") == []


DIGEST = {"www-authenticate": 'Digest realm="x", nonce="abc", qop="auth"'}


async def test_a_scheme_may_need_two_handshakes() -> None:
    router = WebSocketRouter()
    seen: list[bool] = []

    @router.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        seen.append("authorization" in websocket.headers)
        if not seen[-1]:
            raise HTTPException(401, headers=DIGEST)
        await websocket.accept()

    async with connect(router, auth=httpx.DigestAuth("ann", "secret")) as ws:
        await ws.expect_close(1000)
    assert seen == [False, True]


async def test_a_refusal_that_a_scheme_has_no_answer_to_is_raised() -> None:
    with pytest.raises(HandshakeRefused) as refused:
        async with connect(WebSocketRouter(), auth=("ann", "secret")):
            pytest.fail("not refused")  # pragma: no cover
    assert refused.value.status_code == 404


async def test_a_refusal_has_what_the_response_has() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"x-a", b"1"), (b"x-a", b"2"), (b"content-type", b"application/json")]
        await send({"type": "websocket.http.response.start", "status": 429, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b'{"wait": "l\xc3\xa4nger"}'})

    with pytest.raises(HandshakeRefused) as caught:
        async with connect(refuse):
            pytest.fail("not refused")  # pragma: no cover
    refused = caught.value
    assert (refused.status_code, refused.text, refused.json()) == (429, '{"wait": "länger"}', {"wait": "länger"})
    assert refused.headers.get_list("X-A") == ["1", "2"]
    assert str(refused).splitlines()[0] == 'the handshake was refused with HTTP 429 {"wait": "länger"}'


async def test_a_long_body_is_cut_in_the_message() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 404})
        await send({"type": "websocket.http.response.body", "body": b"x" * 1000})

    with pytest.raises(HandshakeRefused) as caught:
        async with connect(refuse):
            pytest.fail("not refused")  # pragma: no cover
    assert caught.value.problem == f"the handshake was refused with HTTP 404 {'x' * 200}..."
    assert len(caught.value.text) == 1000


async def test_an_application_that_ends_without_an_answer_is_told_apart_from_one_that_answers_500() -> None:
    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    with pytest.raises(HandshakeRefused, match="\n  the application ended without an answer to the handshake\n"):
        async with connect(nothing):
            pytest.fail("not refused")  # pragma: no cover


async def test_the_accept_has_headers_and_a_subprotocol() -> None:
    async def accept(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"x-a", b"1")]})
        await send({"type": "websocket.close"})

    async with connect(accept, subprotocols=["chat"]) as ws:
        assert (ws.subprotocol, ws.headers["X-A"]) == ("chat", "1")
        await ws.expect_close()


# The scope


async def test_state_and_extensions_are_those_of_a_server() -> None:
    scope = await scope_of()
    assert (scope["state"], scope["extensions"]) == ({}, {"websocket.http.response": {}})


async def test_a_test_adds_what_it_wants_to_the_scope() -> None:
    scope = await scope_of(state={"a": 1}, extensions={}, scope={"root_path": "/api", "client": ("::1", 1)})
    assert (scope["state"], scope["extensions"]) == ({"a": 1}, {})
    assert (scope["root_path"], scope["client"]) == ("/api", ("::1", 1))


async def test_a_server_without_denials_has_none() -> None:
    router = WebSocketRouter()

    @router.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        raise HTTPException(401)

    with pytest.raises(HandshakeRefused) as refused:
        async with connect(router, extensions={}):
            pytest.fail("not refused")  # pragma: no cover
    assert (refused.value.status_code, refused.value.content) == (403, b"")


async def shows_state(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(dict(websocket.scope["state"]))
    websocket.scope["state"]["changed"] = True


def with_state(events: list[str]) -> Any:
    @asynccontextmanager
    async def run(app: object) -> AsyncIterator[dict[str, Any]]:
        events.append("startup")
        yield {"pool": 1}
        events.append("shutdown")

    return run


async def test_the_lifespan_is_run_on_request() -> None:
    events: list[str] = []
    app = Starlette(routes=[WebSocketRoute("/", shows_state)], lifespan=with_state(events))
    async with connect(app, lifespan=True, raise_app_exceptions=False) as ws:
        assert events == ["startup"]
        assert await ws.receive_json() == {"pool": 1}
    assert events == ["startup", "shutdown"]


async def test_a_running_lifespan_is_found() -> None:
    events: list[str] = []
    app = Starlette(routes=[WebSocketRoute("/", shows_state)], lifespan=with_state(events))
    async with lifespan(app):
        # Each connection has a copy.
        for _ in range(2):
            async with connect(app, state={"more": 2}) as ws:
                assert await ws.receive_json() == {"pool": 1, "more": 2}
    async with connect(app) as ws:
        assert await ws.receive_json() == {}
    assert events == ["startup", "shutdown"]


@pytest.mark.parametrize("fails", ["handshake", "test"])
async def test_a_lifespan_ends_when_something_fails(fails: str) -> None:
    events: list[str] = []
    app = Starlette(routes=[WebSocketRoute("/", shows_state)], lifespan=with_state(events))
    expected = HandshakeRefused if fails == "handshake" else UnexpectedMessage
    with pytest.raises(expected):
        async with connect(app, "/nowhere" if fails == "handshake" else "/", lifespan=True) as ws:
            await ws.receive_bytes()
    assert events == ["startup", "shutdown"]


# Applications


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())


async def plain(websocket: StarletteWebSocket) -> None:
    await echo(websocket)
    await websocket.close()


def starlette_app() -> ASGIApp:
    router = WebSocketRouter(routes=[APIWebSocketRoute("/echo", echo)])
    app = Starlette()
    router.attach(app)
    return app


@handler("/echo")
async def handled(websocket: WebSocket) -> None:
    await echo(websocket)


@pytest.mark.parametrize(
    "app",
    [
        Starlette(routes=[WebSocketRoute("/echo", plain)]),
        starlette_app(),
        WebSocketRouter(routes=[APIWebSocketRoute("/echo", echo)]),
        APIWebSocketRoute("/echo", echo),
        WebSocketGateway("/", handler=handled),
    ],
    ids=lambda app: type(app).__name__,
)
async def test_any_asgi_application_can_be_connected_to(app: ASGIApp) -> None:
    async with connect(app, "/echo") as ws:
        await ws.send_text("Hello")
        assert await ws.receive_text() == "Hello"
        await ws.expect_close(1000)


# Exceptions of the application


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    raise ValueError("a bug")


async def test_an_exception_is_raised_where_it_is_noticed_and_once() -> None:
    with pytest.raises(ValueError, match="a bug") as caught:
        async with connect(raising) as ws:
            with pytest.raises(ValueError, match="a bug"):
                await ws.receive()
            raise ws.exception or AssertionError
    assert not any("a bug" in note for note in caught.value.__notes__)


async def test_an_exception_that_comes_after_the_close_is_waited_for() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1011})
        await anyio.wait_all_tasks_blocked()
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        async with connect(app) as ws:
            with pytest.raises(ValueError, match="a bug"):
                await ws.receive()


async def test_a_test_that_fails_for_another_reason_is_told_of_the_exception() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        async with connect(raising):
            raise ZeroDivisionError
    [note] = [note for note in caught.value.__notes__ if note.startswith("besides, the application raised")]
    assert note.endswith("ValueError: a bug\n")
    assert "in raising" in note


async def test_a_test_that_gives_up_is_told_of_the_exception_too() -> None:
    with pytest.raises(pytest.fail.Exception) as caught:
        async with connect(raising):
            pytest.fail("enough")
    assert any(note.startswith("besides, the application raised") for note in caught.value.__notes__)


async def reading(websocket: StarletteWebSocket) -> None:
    await websocket.accept()
    while True:
        await websocket.receive_text()


async def sending(websocket: StarletteWebSocket) -> None:
    await websocket.accept()
    while True:
        await websocket.send_text("x")


async def by_hand(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    for _ in range(2):  # the connect, and the disconnect
        await receive()
    await send({"type": "websocket.send", "text": "x"})


@pytest.mark.parametrize("endpoint", [reading, sending])
async def test_an_endpoint_that_ends_with_its_client_has_done_nothing_wrong(endpoint: Any) -> None:
    app = Starlette(routes=[WebSocketRoute("/", endpoint)])
    async with connect(app, allow=["messages"]) as ws:
        await ws.drop()
    assert isinstance(ws.exception, WebSocketDisconnect)
    async with connect(by_hand) as ws:
        await ws.close()
    assert isinstance(ws.exception, OSError)


async def test_an_endpoint_that_raises_a_disconnect_while_its_client_is_there_has() -> None:
    async def endpoint(websocket: StarletteWebSocket) -> None:
        await websocket.accept()
        raise WebSocketDisconnect(4000)

    with pytest.raises(WebSocketDisconnect):
        async with connect(Starlette(routes=[WebSocketRoute("/", endpoint)])) as ws:
            await ws.receive()


async def test_exceptions_are_kept_where_the_test_wants_to_see_what_a_client_does() -> None:
    async with connect(raising, raise_app_exceptions=False) as ws:
        await ws.expect_close(1006)
    assert isinstance(ws.exception, ValueError)


async def test_a_refusal_comes_from_the_exception_that_the_test_does_not_want_raised() -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("a bug")

    with pytest.raises(HandshakeRefused) as caught:
        async with connect(fail, raise_app_exceptions=False):
            pytest.fail("not refused")  # pragma: no cover
    assert isinstance(caught.value.__cause__, ValueError)


async def test_an_outcome_of_pytest_in_an_application_is_one_of_the_test() -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        pytest.fail("in the application")

    with pytest.raises(pytest.fail.Exception, match="in the application"):
        async with connect(fail):
            pass  # pragma: no cover


async def test_an_illegal_message_that_the_application_swallows_fails_the_test() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        with pytest.raises(RuntimeError):
            await send({"type": "websocket.send", "text": "late"})

    with pytest.raises(IllegalMessage, match=r"'websocket.send' after 'websocket.close'"):
        async with connect(app) as ws:
            await ws.expect_close(1000)


async def test_the_first_of_several_illegal_messages_is_the_one_that_is_raised() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        for message in ({"type": "websocket.close", "code": 1}, {"type": "websocket.accept"}):
            with pytest.raises(RuntimeError):
                await send(message)

    with pytest.raises(IllegalMessage, match="close code 1,"):
        async with connect(app):
            pass


async def test_an_illegal_refusal_fails_the_test_though_a_legal_one_follows() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(RuntimeError):
            await send({"type": "websocket.http.response.start", "status": 200})
        await send({"type": "websocket.close"})

    with pytest.raises(IllegalMessage, match="HTTP status 200"):
        async with connect(app):
            pytest.fail("not refused")  # pragma: no cover


# What is left behind


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_ends_soon_is_not_left_behind() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await closing(scope, receive, send)
        asyncio.create_task(anyio.sleep_forever()).cancel()

    async with connect(app) as ws:
        await ws.expect_close()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_tasks_of_the_test_are_its_own() -> None:
    async with connect(closing) as ws:
        task = asyncio.create_task(anyio.sleep_forever())
        await ws.expect_close()
    assert not task.cancelled()
    task.cancel()


async def test_a_task_in_a_group_of_the_application_is_left_behind_unless_that_is_allowed() -> None:
    async with anyio.create_task_group() as tasks:
        app = spawning(tasks)
        with pytest.raises(LeftBehind, match=r"waits in \S+wait_for_ever at .*\n +await anyio.sleep_forever\(\)"):
            async with connect(app) as ws:
                await ws.expect_close()
        async with connect(app, allow=["tasks"]) as ws:
            await ws.expect_close()
        tasks.cancel_scope.cancel()


def spawning(tasks: TaskGroup) -> ASGIApp:
    async def wait_for_ever() -> None:
        await anyio.sleep_forever()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await closing(scope, receive, send)
        tasks.start_soon(wait_for_ever)

    return app


async def test_messages_may_be_left_unread() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "x"})
        await send({"type": "websocket.close"})

    async with connect(app, allow=["messages"]):
        pass


async def test_several_things_that_are_left_are_one_error() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "x"})
        await send({"type": "websocket.send", "bytes": b"y"})
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug") as caught:
        async with connect(app):
            pass
    [note] = caught.value.__notes__
    assert note.splitlines()[:3] == [
        "besides, the connection has left something behind",
        "  nobody has read the message 'x'",
        "  nobody has read the message b'y'",
    ]


@pytest.mark.parametrize("allow", [["task"], "tasks"])
async def test_what_may_be_left_is_known_by_name(allow: Any) -> None:
    with pytest.raises(ValueError, match=r"takes a collection of 'messages' and 'tasks'"):
        connect(closing, allow=allow)


# Whatever happens to the test


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_application_that_ignores_its_cancellation_does_not_hang_the_test() -> None:
    over = anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                pass

    with pytest.raises(DeadlinePassed, match=r"the connection has ended, and the application has not within 0.05 s"):
        async with connect(app, deadline=SHORT):
            pass
    over.set()


async def test_a_cancelled_test_leaves_no_application_behind() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("application")

    with anyio.move_on_after(SHORT):
        async with connect(app):
            await anyio.sleep_forever()
    assert ended == ["application"]


async def test_a_test_that_is_cancelled_in_its_handshake_leaves_no_application_behind() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("application")

    with anyio.move_on_after(SHORT):
        async with connect(app):
            pytest.fail("not accepted")  # pragma: no cover
    assert ended == ["application"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_connection_may_be_opened_in_one_task_and_closed_in_another() -> None:
    connection = connect(APIWebSocketRoute("/", echo))
    ws = await asyncio.create_task(connection.__aenter__())
    await ws.send_text("x")
    assert await ws.receive_text() == "x"
    await asyncio.create_task(connection.__aexit__(None, None, None))


async def test_the_application_has_the_context_of_the_test() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("of the test")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": variable.get()})
        variable.set("of the application")

    async with connect(app, raise_app_exceptions=False) as ws:
        assert await ws.receive_text() == "of the test"
    assert variable.get() == "of the test"


async def test_two_clients_share_the_event_loop_of_the_application() -> None:
    rooms: list[WebSocket] = []
    router = WebSocketRouter()

    @router.websocket("/")
    async def room(websocket: WebSocket) -> None:
        await websocket.accept()
        rooms.append(websocket)
        async for text in websocket.iter_text():
            for other in rooms:
                await other.send_text(text)

    async with connect(router) as ann, connect(router) as bob:
        await ann.send_text("Hello")
        assert await bob.receive_text() == await ann.receive_text() == "Hello"


async def test_dependencies_are_injected_as_on_a_server() -> None:
    async def host(request: Request) -> str:
        return request.headers["host"]

    async def endpoint(websocket: WebSocket, name: Annotated[str, Depends(host)]) -> None:
        await websocket.accept()
        await websocket.send_text(name)

    async with connect(APIWebSocketRoute("/", endpoint)) as ws:
        assert await ws.receive_text() == "testserver"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_connection_leaves_nothing_to_the_garbage_collector() -> None:
    async def once() -> weakref.ref[object]:
        async with connect(closing) as ws:
            await ws.expect_close()
        return weakref.ref(ws._running)

    gc.disable()
    try:
        reference = await once()
        await checkpoint()  # the event loop still has the task in its hands
        assert reference() is None
    finally:
        gc.enable()
