"""ASGI middleware of levels: made once, around everything else, and what it does to connections."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.levels.recording import Problem
from wsroute import (
    APIWebSocketRoute,
    BackgroundTasks,
    BaseInterceptor,
    HTTPException,
    WebSocket,
    WebSocketException,
    WebSocketGateway,
    WebSocketRouter,
    WebSocketView,
    websocket,
)
from wsroute.testing import Peer

pytestmark = pytest.mark.anyio

App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Around:
    """Middleware that is a function of the application and of what it is called with."""

    def __init__(self, app: ASGIApp, run: Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._run(self._app, scope, receive, send)


class Noting:
    """Middleware that writes down its name."""

    made: list[str] = []

    def __init__(self, app: ASGIApp, name: str = "unnamed") -> None:
        self._app = app
        self._name = name
        self.made.append(name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("names", []).append(self._name)
        await self._app(scope, receive, send)


@pytest.fixture(autouse=True)
def none_made() -> None:
    """Every test counts for itself."""
    Noting.made.clear()


async def names(websocket: WebSocket) -> None:
    """An endpoint that tells which middleware it is behind."""
    await websocket.accept()
    await websocket.send_json(websocket.scope.get("names"))


async def told(app: ASGIApp, target: str = "/") -> Any:
    """What an endpoint tells."""
    peer = Peer(target)
    await peer.serve(app)
    return json.loads(peer.frames[0])


async def accepting(websocket: WebSocket) -> None:
    await websocket.accept()


def behind(
    run: Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]], endpoint: Any = accepting, **options: Any
) -> APIWebSocketRoute:
    """A route behind middleware that is a function."""
    return APIWebSocketRoute("/", endpoint, middleware=[Middleware(Around, run)], **options)


# Which one, and how many


async def test_a_level_lists_the_outermost_first_and_classes_as_they_are() -> None:
    app = WebSocketRouter(
        middleware=[Middleware(Noting, "one"), Noting],
        routes=[
            WebSocketGateway(
                handler=websocket(middleware=(Middleware(Noting, name="four"), Middleware(Noting, name="five")))(names),
                middleware=[Middleware(Noting, "three")],
            )
        ],
    )
    assert await told(app) == ["one", "unnamed", "three", "four", "five"]


async def test_a_route_makes_its_middleware_once_when_it_is_bound() -> None:
    router = WebSocketRouter(middleware=[Middleware(Noting, "router")])
    router.websocket("/a", middleware=[Middleware(Noting, "route")])(names)
    router.websocket("/b")(names)
    assert Noting.made == []

    router.check()
    made = ["route", "router", "router"]
    assert Noting.made == made

    for target in ("/a", "/b", "/a"):
        await told(router, target)
    assert Noting.made == made


async def test_a_view_and_its_methods_have_middleware() -> None:
    class View(WebSocketView):
        middleware = (Middleware(Noting, "view"),)

        @websocket("/a", middleware=[Middleware(Noting, "a")])
        async def a(self, websocket: WebSocket) -> None:
            await names(websocket)

        @websocket("/b")
        async def b(self, websocket: WebSocket) -> None:
            await names(websocket)

    app = WebSocketGateway(handler=View, middleware=[Middleware(Noting, "gateway")])
    assert await told(app, "/a") == ["gateway", "view", "a"]
    assert await told(app, "/b") == ["gateway", "view"]


async def test_middleware_that_cannot_be_made_is_found_before_the_first_connection() -> None:
    def refuse(name: str) -> None:
        raise ValueError(name)

    class Choosy(Noting):
        def __init__(self, app: ASGIApp, name: str) -> None:
            refuse(name)

    router = WebSocketRouter(routes=[APIWebSocketRoute("/", names, middleware=[Middleware(Choosy, "wrong")])])
    with pytest.raises(ValueError, match="wrong"):
        router.check()


# What it may do


async def test_what_middleware_puts_into_the_scope_is_seen_inside() -> None:
    seen: list[Any] = []

    async def run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([scope["endpoint"], scope["path_params"]])
        await app({**scope, "path_params": {"room": "9"}, "query_string": b"limit=3"}, receive, send)

    class Interceptor(BaseInterceptor):
        async def intercept(self, websocket: WebSocket, call_next: Callable[[], Awaitable[None]], limit: int) -> None:
            seen.append(limit)
            await call_next()

    async def endpoint(room: int, limit: int) -> None:
        seen.extend([room, limit])

    app = APIWebSocketRoute("/{room}", endpoint, middleware=[Middleware(Around, run)], interceptors=[Interceptor])
    await Peer("/1?limit=2").serve(app)
    assert seen == [endpoint, {"room": "1"}, 3, 9, 3]


async def test_middleware_sees_and_changes_every_message() -> None:
    log: list[str] = []

    async def run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        async def hear() -> Message:
            message = await receive()
            log.append(message["type"])
            return {**message, "text": message["text"].upper()} if "text" in message else message

        async def say(message: Message) -> None:
            log.append(message["type"])
            if message["type"] == "websocket.close":
                message = {**message, "reason": "changed"}
            await send(message)

        await app(scope, hear, say)

    class Own(WebSocket):
        async def receive_shout(self) -> str:
            return f"{await self.receive_text()}!"

    async def endpoint(websocket: Own) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_shout())

    peer = Peer().say("hello")
    await peer.serve(behind(run, endpoint))
    assert (peer.frames, peer.closed) == (["HELLO!"], (1000, "changed"))
    assert log == [
        "websocket.connect",
        "websocket.accept",
        "websocket.receive",
        "websocket.send",
        "websocket.close",
    ]


async def test_middleware_sees_a_denial() -> None:
    log: list[str] = []

    async def run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        async def say(message: Message) -> None:
            log.append(message["type"])
            await send(message)

        await app(scope, receive, say)

    async def endpoint() -> None:
        raise HTTPException(404)

    peer = Peer()
    await peer.serve(behind(run, endpoint))
    assert log == ["websocket.http.response.start", "websocket.http.response.body"]
    assert peer.denial is not None and peer.denial.status == 404


async def test_middleware_that_swallows_an_exception_has_ended_nothing_twice() -> None:
    async def run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(Problem):
            await app(scope, receive, send)

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        raise Problem

    peer = Peer()
    await peer.serve(behind(run, endpoint))
    assert [message["type"] for message in peer.sent] == ["websocket.accept", "websocket.close"]
    assert peer.closed == (1011, "Internal Server Error")


async def test_background_tasks_run_before_the_middleware_goes_on() -> None:
    log: list[str] = []

    async def run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        log.append("middleware")

    async def endpoint(background: BackgroundTasks) -> None:
        background.add_task(log.append, "background")

    await Peer().serve(behind(run, endpoint))
    assert log == ["background", "middleware"]


# What it leaves behind


async def accept(receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})


async def does_nothing(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None: ...


async def only_accepts(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)


async def accepts_and_closes(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    await send({"type": "websocket.close", "code": 4000, "reason": "enough"})


async def accepts_and_raises(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    raise WebSocketException(4001, "why")


async def closes(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.close", "code": 4000, "reason": "no"})


async def raises_an_http_exception(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    raise HTTPException(401, "log in", {"WWW-Authenticate": "Bearer"})


async def begins_a_denial(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.http.response.start", "status": 404, "headers": []})


async def denies(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await begins_a_denial(app, scope, receive, send)
    await send({"type": "websocket.http.response.body", "body": b"no"})


async def hears_that_the_client_has_left(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await accept(receive, send)
    assert (await receive())["type"] == "websocket.disconnect"


@pytest.mark.parametrize(
    ("run", "status", "close"),
    [
        (does_nothing, 403, None),
        (only_accepts, None, (1000, "")),
        (accepts_and_closes, None, (4000, "enough")),
        (accepts_and_raises, None, (4001, "why")),
        (closes, None, (4000, "no")),
        (raises_an_http_exception, 401, None),
        (begins_a_denial, 404, None),
        (denies, 404, None),
        (hears_that_the_client_has_left, None, None),
    ],
)
async def test_a_connection_that_middleware_keeps_for_itself_ends(
    run: Any, status: int | None, close: tuple[int, str] | None
) -> None:
    calls: list[object] = []

    async def endpoint(websocket: WebSocket) -> None:
        calls.append(websocket)

    peer = Peer().leave()
    await peer.serve(behind(run, endpoint))
    assert calls == []
    assert (peer.denial.status if peer.denial else None, peer.closed) == (status, close)


@pytest.mark.parametrize("accepted", [False, True], ids=["before the accept", "after it"])
async def test_middleware_that_fails_is_a_bug(accepted: bool) -> None:
    async def run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        if accepted:
            await accept(receive, send)
        raise Problem

    peer = Peer()
    with pytest.raises(Problem):
        await peer.serve(behind(run))
    if accepted:
        assert peer.closed == (1011, "Internal Server Error")
    else:
        assert peer.denial is not None and peer.denial.status == 500


async def test_middleware_is_refused_as_the_route_says() -> None:
    peer = Peer()
    await peer.serve(behind(raises_an_http_exception, reject="close"))
    assert peer.closed == (1008, "log in")

    peer = Peer()
    await peer.serve(behind(raises_an_http_exception, reject="accept"))
    assert peer.accepted
    assert peer.closed == (1008, "log in")


async def test_what_middleware_sends_after_the_end_is_not_sent() -> None:
    async def run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        await send({"type": "websocket.close", "code": 4000, "reason": "again"})
        await send({"type": "websocket.send", "text": "late"})

    peer = Peer()
    await peer.serve(behind(run))
    assert (peer.frames, peer.closed) == ([], (1000, ""))


async def test_middleware_that_fails_after_the_end_is_a_bug_and_nothing_is_sent() -> None:
    async def run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        raise Problem

    peer = Peer()
    with pytest.raises(Problem):
        await peer.serve(behind(run))
    assert peer.closed == (1000, "")


async def test_middleware_that_is_cancelled_says_goodbye() -> None:
    waiting = anyio.Event()

    async def run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        waiting.set()
        await anyio.sleep_forever()

    peer = Peer()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.serve, behind(run))
        await waiting.wait()
        tasks.cancel_scope.cancel()
    assert peer.closed == (1001, "")


# Starlette's own


class Users(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser]:
        name = conn.headers["authorization"]
        if name == "bad":
            raise AuthenticationError("bad credentials")
        return AuthCredentials(["authenticated"]), SimpleUser(name)


async def test_the_authentication_of_starlette_works_at_a_level() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.user.display_name)

    app = WebSocketRouter(
        middleware=[Middleware(AuthenticationMiddleware, backend=Users())], routes=[APIWebSocketRoute("/", endpoint)]
    )
    peer = Peer(headers={"authorization": "ann"})
    await peer.serve(app)
    assert peer.frames == ["ann"]

    peer = Peer(headers={"authorization": "bad"})
    await peer.serve(app)
    assert [message["type"] for message in peer.sent] == ["websocket.close"]


async def test_the_trusted_hosts_of_starlette_are_refused_with_its_own_response() -> None:
    app = APIWebSocketRoute("/", accepting, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["ours"])])
    peer = Peer(headers={"host": "theirs"})
    await peer.serve(app)
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.body) == (400, b"Invalid host header")

    peer = Peer(headers={"host": "ours"})
    await peer.serve(app)
    assert peer.closed == (1000, "")


async def test_middleware_for_http_lets_sockets_pass() -> None:
    async def dispatch(request: Any, call_next: Any) -> Any:
        raise AssertionError("not HTTP")

    app = APIWebSocketRoute(
        "/",
        accepting,
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=dispatch), CORSMiddleware, GZipMiddleware],
    )
    peer = Peer()
    await peer.serve(app)
    assert peer.closed == (1000, "")


async def test_middleware_has_no_part_in_anything_but_connections() -> None:
    app = WebSocketRouter(middleware=[Middleware(Around, does_nothing)], routes=[APIWebSocketRoute("/", accepting)])
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {**Peer().scope, "type": "http", "method": "GET", "scheme": "http"}
    await app(scope, receive, send)
    assert sent[0]["status"] == 426
