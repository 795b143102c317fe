"""Refusals by levels, on real servers: what the client sees, and that nothing behind them runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.frameworks import FastAPI
from tests.server import IMPLEMENTATIONS, LONG, Server, tolerant
from tests.wire.test_server import closed, problems, refused
from wsroute import (
    APIWebSocketRoute,
    BaseInterceptor,
    BasePermission,
    DenyAll,
    Depends,
    HTTPException,
    WebSocket,
    WebSocketGateway,
    WebSocketRouter,
    WebSocketView,
    websocket,
)

pytestmark = tolerant

#: What ran although it should not have.
reached: list[str] = []


def denial_by(level: str) -> type[BasePermission]:
    """A permission that denies with the name of its level."""
    return type(f"DeniedByThe{level.title()}", (DenyAll,), {"message": f"denied by the {level}"})


async def unreachable(websocket: WebSocket) -> None:
    reached.append("endpoint")


async def unreachable_dependency() -> None:
    reached.append("dependency")


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"{websocket.scope.get('greeting', '')}{text}")


class AllowedIf(BasePermission):
    message = "only those who know it"

    def has_permission(self, websocket: WebSocket, route: object, secret: str = "") -> bool:
        return secret == "open"


class Broken(BasePermission):
    async def has_permission(self, websocket: WebSocket, route: object) -> bool:
        raise ValueError("secret")


class Unauthorized(BasePermission):
    async def has_permission(self, websocket: WebSocket, route: object) -> bool:
        raise HTTPException(401, "no token", {"WWW-Authenticate": 'Bearer realm="rooms"'})


class Busy(BasePermission):
    message = {"code": "busy", "rooms": [1, 2]}

    def has_permission(self, websocket: WebSocket, route: object) -> bool:
        return False


class Stopping(BaseInterceptor):
    async def intercept(self, websocket: WebSocket, call_next: Callable[[], Awaitable[None]], accept: int = 0) -> None:
        if accept:
            await websocket.accept()


class Accepting(BaseInterceptor):
    async def intercept(self, websocket: WebSocket, call_next: Callable[[], Awaitable[None]]) -> None:
        await websocket.accept()
        await call_next()


class Greeting:
    def __init__(self, app: ASGIApp, greeting: str) -> None:
        self._app = app
        self._greeting = greeting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "greeting": scope.get("greeting", "") + self._greeting}, receive, send)


class Keeping:
    """Middleware that keeps connections for itself."""

    def __init__(self, app: ASGIApp, how: str) -> None:
        self._how = how

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match self._how:
            case "accepting":
                await receive()
                await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
            case "closing":
                await send({"type": "websocket.close", "code": 4000, "reason": ""})
            case "responding":
                await PlainTextResponse("not here", 404)(scope, receive, send)
            case "raising":
                raise HTTPException(503, headers={"Retry-After": "60"})
            case "failing":
                raise ValueError("secret")


def respond(websocket: WebSocket, error: Exception) -> Response:
    response = PlainTextResponse("not in this room", 409, {"X-Room": "1"})
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


async def respond_in_parts(websocket: WebSocket, error: Exception) -> Response:
    return StreamingResponse(iter(["not in ", "this room"]), 409)


async def conflict() -> None:
    raise LookupError


def application() -> WebSocketRouter:
    """Every refusal, each at a path of its own."""
    router = WebSocketRouter()
    guards: dict[str, Any] = {
        "rule": [AllowedIf & denial_by("rule")],
        "alternative": [AllowedIf | denial_by("alternative")],
        "negation": [~~DenyAll],
        "json": [Busy],
        "secret": [AllowedIf],
        "unauthorized": [Unauthorized],
        "broken": [Broken],
    }
    for name, permissions in guards.items():
        router.add_api_websocket_route(
            f"/{name}", unreachable, permissions=permissions, dependencies=[Depends(unreachable_dependency)]
        )

    class View(WebSocketView):
        path = "/view"
        permissions = (denial_by("view"),)

        @websocket("/method")
        async def method(self, websocket: WebSocket) -> None:
            reached.append("method")

    handler = websocket("/handler", permissions=[denial_by("handler")])(unreachable)
    router.include_router(
        WebSocketRouter("/router", routes=[APIWebSocketRoute("/", unreachable)], permissions=[denial_by("router")])
    )
    router.include_router(
        WebSocketRouter(routes=[APIWebSocketRoute("/", unreachable)]),
        prefix="/inclusion",
        permissions=[denial_by("inclusion")],
    )
    gateways = [
        WebSocketGateway("/gateway", handler=handler, permissions=[denial_by("gateway")]),
        WebSocketGateway("/mounted", handler=handler),
        WebSocketGateway("/mounted", handler=View),
        WebSocketGateway("/open", handler=echo, middleware=[Middleware(Greeting, "b")]),
        WebSocketGateway("/stopped", handler=unreachable, interceptors=[Stopping]),
        WebSocketGateway("/late", handler=unreachable, interceptors=[Accepting], permissions=[denial_by("gateway")]),
        WebSocketGateway("/responding", handler=conflict, exception_handlers={LookupError: respond}),
        WebSocketGateway("/streaming", handler=conflict, exception_handlers={LookupError: respond_in_parts}),
        *(
            WebSocketGateway(f"/kept/{how}", handler=unreachable, middleware=[Middleware(Keeping, how)])
            for how in ("accepting", "closing", "responding", "raising", "failing", "returning")
        ),
    ]
    router.include_router(WebSocketRouter(routes=gateways, middleware=[Middleware(Greeting, "a")]))
    return router


def attached() -> FastAPI:
    """The same in an application of FastAPI."""
    app = FastAPI()
    application().attach(app)
    return app


@pytest.fixture(
    scope="module",
    params=[*((application, ws) for ws in IMPLEMENTATIONS), (attached, IMPLEMENTATIONS[0])],
    ids=[*IMPLEMENTATIONS, "FastAPI"],
)
def shared(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server for the whole module: each WebSocket implementation of uvicorn, and FastAPI."""
    make, ws = request.param
    with Server(make(), ws, lifespan="on").running() as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    """The server, with nothing logged so far; what a test leaves unread in the log must not be an error."""
    shared.settled()
    reached.clear()
    yield shared
    assert not problems(shared.settled())
    assert reached == []


def refusal(server: Server, target: str) -> tuple[int, Any]:
    """The status and the JSON body with which a handshake is refused."""
    response = refused(server, target)
    return response.status_code, json.loads(response.body)


@pytest.mark.parametrize(
    ("target", "level"),
    [
        ("/router/", "router"),
        ("/inclusion/", "inclusion"),
        ("/gateway/handler", "gateway"),
        ("/mounted/view/method", "view"),
        ("/mounted/handler", "handler"),
        ("/rule?secret=open", "rule"),
        ("/alternative", "alternative"),
    ],
)
def test_a_denial_is_a_403_with_the_message_of_the_permission(server: Server, target: str, level: str) -> None:
    assert refusal(server, target) == (403, {"detail": f"denied by the {level}"})


@pytest.mark.parametrize(
    ("target", "detail"),
    [
        ("/rule", "only those who know it"),
        ("/negation", "Forbidden"),
        ("/json", {"code": "busy", "rooms": [1, 2]}),
        ("/secret?secret=wrong", "only those who know it"),
    ],
)
def test_a_denial_says_what_the_one_that_denies_says(server: Server, target: str, detail: Any) -> None:
    assert refusal(server, target) == (403, {"detail": detail})


def test_what_a_permission_raises_is_exactly_what_the_client_sees(server: Server) -> None:
    response = refused(server, "/unauthorized")
    assert (response.status_code, json.loads(response.body)) == (401, {"detail": "no token"})
    assert response.headers.get_all("WWW-Authenticate") == ['Bearer realm="rooms"']
    assert response.headers["Content-Type"] == "application/json"


def one_traceback(server: Server) -> None:
    [record] = [record for record in server.settled() if record.levelno > logging.INFO]
    assert record.name == "uvicorn.error"
    assert record.exc_info is not None and isinstance(record.exc_info[1], ValueError)


@pytest.mark.parametrize("target", ["/broken", "/kept/failing"])
def test_a_level_that_fails_is_a_500_that_tells_nothing_and_is_logged_once(server: Server, target: str) -> None:
    assert refusal(server, target) == (500, {"detail": "Internal Server Error"})
    one_traceback(server)


def test_after_the_accept_a_denial_is_a_close_with_the_message(server: Server) -> None:
    with server.connect("/late") as client:
        assert closed(client) == (1008, "denied by the gateway")


def test_an_interceptor_that_stops_refuses(server: Server) -> None:
    assert refusal(server, "/stopped") == (403, {"detail": "Forbidden"})
    with server.connect("/stopped?accept=1") as client:
        assert closed(client) == (1000, "")


def test_a_response_of_an_exception_handler_is_the_refusal(server: Server) -> None:
    response = refused(server, "/responding")
    assert (response.status_code, response.body) == (409, b"not in this room")
    assert response.headers["X-Room"] == "1"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert [cookie.partition(";")[0] for cookie in response.headers.get_all("Set-Cookie")] == ["a=1", "b=2"]


def test_a_response_in_parts_is_the_refusal(server: Server) -> None:
    response = refused(server, "/streaming")
    assert (response.status_code, response.body) == (409, b"not in this room")


def test_middleware_that_accepts_and_returns_is_closed_1000(server: Server) -> None:
    with server.connect("/kept/accepting") as client:
        assert closed(client) == (1000, "")


def test_middleware_that_closes_is_a_bare_403(server: Server) -> None:
    response = refused(server, "/kept/closing")
    assert (response.status_code, response.body or b"") == (403, b"")


def test_middleware_that_does_nothing_is_a_403(server: Server) -> None:
    assert refusal(server, "/kept/returning") == (403, {"detail": "Forbidden"})


def test_middleware_refuses_with_a_response_of_its_own(server: Server) -> None:
    response = refused(server, "/kept/responding")
    assert (response.status_code, response.body) == (404, b"not here")


def test_middleware_refuses_with_an_exception(server: Server) -> None:
    response = refused(server, "/kept/raising")
    assert (response.status_code, json.loads(response.body)) == (503, {"detail": "Service Unavailable"})
    assert response.headers.get_all("Retry-After") == ["60"]


def test_who_is_let_in_is_served_behind_all_middleware(server: Server) -> None:
    with server.connect("/open") as client:
        for text in ("one", "two"):
            client.send(text)
            assert client.recv(LONG) == f"ab{text}"
