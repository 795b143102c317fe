"""A router or a route as the ASGI application: unknown paths, HTTP, and the lifespan protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Scope

from tests.asgi import Peer
from wsroute import APIWebSocketRoute, InvalidParameterError, RouterError, WebSocket, WebSocketRouter
from wsroute.testing import connect_sync

pytestmark = pytest.mark.anyio


async def accept(websocket: WebSocket) -> None:
    await websocket.accept()


def applications() -> list[ASGIApp]:
    router = WebSocketRouter("/rooms")
    router.add_api_websocket_route("/{room}", accept)
    return [router, APIWebSocketRoute("/rooms/{room}", accept)]


class Lifespan:
    """A server, for the lifespan protocol."""

    def __init__(self, *, state: bool = True, app: Any = None) -> None:
        self.scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
        if state:
            self.scope["state"] = {"of": "the server"}
        if app is not None:
            self.scope["app"] = app
        self.incoming = ["startup", "shutdown"]
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        return {"type": f"lifespan.{self.incoming.pop(0)}"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def run(self, app: ASGIApp) -> list[str]:
        """The types of the messages that were sent."""
        await app(self.scope, self.receive, self.send)
        return self.types

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.sent]


# --- Connections and requests --------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", applications(), ids=["router", "route"])
async def test_a_known_path_is_served(app: ASGIApp) -> None:
    peer = Peer("/rooms/a")
    await peer.serve(app)
    assert peer.accepted
    assert peer.scope["path_params"] == {"room": "a"}


@pytest.mark.parametrize("app", applications(), ids=["router", "route"])
async def test_an_unknown_path_is_refused_with_404(app: ASGIApp) -> None:
    peer = Peer("/other")
    await peer.serve(app)
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    ("reject", "sent"),
    [("denial", "websocket.http.response.start"), ("close", "websocket.close"), ("accept", "websocket.accept")],
)
async def test_an_unknown_path_is_refused_as_the_router_refuses(reject: Any, sent: str) -> None:
    peer = Peer("/other")
    await peer.serve(WebSocketRouter(reject=reject))
    assert peer.sent[0]["type"] == sent


@pytest.mark.parametrize("app", applications(), ids=["router", "route"])
def test_a_request_to_the_path_of_a_socket_is_told_to_upgrade(app: ASGIApp) -> None:
    response = TestClient(app).get("/rooms/a")

    assert (response.status_code, response.text) == (426, "Upgrade Required")
    assert (response.headers["upgrade"], response.headers["connection"]) == ("websocket", "Upgrade")


@pytest.mark.parametrize("app", applications(), ids=["router", "route"])
def test_a_request_to_an_unknown_path_is_not_found(app: ASGIApp) -> None:
    response = TestClient(app).get("/other")
    assert (response.status_code, response.text) == (404, "Not Found")


def test_what_else_a_router_holds_answers_requests_itself() -> None:
    def page(request: object) -> PlainTextResponse:
        return PlainTextResponse("page")

    router = WebSocketRouter(
        routes=[
            APIWebSocketRoute("/", accept),
            Route("/", page),
            Mount("/mounted", Starlette(routes=[Route("/", page)])),
        ]
    )
    client = TestClient(router)

    assert client.get("/").text == client.get("/mounted/").text == "page"
    assert client.post("/").status_code == 405
    assert client.get("/mounted/other").status_code == 404
    with connect_sync(router) as websocket:
        websocket.expect_close(1000)


# --- The lifespan --------------------------------------------------------------------------------------------------


def lifespan_of(
    calls: list[str], name: str = "lifespan", state: Any = None
) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        calls.append(f"{name} starts")
        yield state
        calls.append(f"{name} ends")

    return lifespan


async def test_the_lifespan_runs_from_the_startup_to_the_shutdown() -> None:
    calls: list[str] = []
    server = Lifespan()

    assert await server.run(WebSocketRouter(lifespan=lifespan_of(calls))) == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert calls == ["lifespan starts", "lifespan ends"]
    assert server.scope["state"] == {"of": "the server"}


async def test_the_lifespan_gets_the_application_of_the_scope() -> None:
    given: list[object] = []

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        given.append(app)
        yield

    app = object()
    await Lifespan().run(WebSocketRouter(lifespan=lifespan))
    await Lifespan(app=app).run(WebSocketRouter(lifespan=lifespan))
    assert given == [None, app]


async def test_the_state_that_the_lifespan_gives_is_the_servers() -> None:
    server = Lifespan()
    await server.run(WebSocketRouter(lifespan=lifespan_of([], state={"answer": 42})))
    assert server.scope["state"] == {"of": "the server", "answer": 42}


async def test_a_lifespan_without_state_needs_no_server_with_state() -> None:
    server = Lifespan(state=False)
    await server.run(WebSocketRouter(lifespan=lifespan_of([])))
    assert server.types == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_server_that_takes_no_state_does_not_start() -> None:
    server = Lifespan(state=False)
    with pytest.raises(RouterError, match="the lifespan gives state, and the server does not take any"):
        await server.run(WebSocketRouter(lifespan=lifespan_of([], state={"answer": 42})))
    assert server.types == ["lifespan.startup.failed"]


async def test_a_failing_startup_is_told_to_the_server_and_raised() -> None:
    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        raise ValueError("no database")
        yield

    server = Lifespan()
    with pytest.raises(ValueError, match="no database"):
        await server.run(WebSocketRouter(lifespan=lifespan))
    (message,) = server.sent
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"].startswith("Traceback (most recent call last):\n")
    assert message["message"].endswith("ValueError: no database\n")


async def test_a_failing_shutdown_is_told_to_the_server_and_raised() -> None:
    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        yield
        raise ValueError("still in use")

    server = Lifespan()
    with pytest.raises(ValueError, match="still in use"):
        await server.run(WebSocketRouter(lifespan=lifespan))
    assert server.types == ["lifespan.startup.complete", "lifespan.shutdown.failed"]
    assert server.sent[1]["message"].endswith("ValueError: still in use\n")


async def unmarked(websocket: WebSocket, items: list[str]) -> None: ...


async def test_a_server_does_not_start_with_a_declaration_that_cannot_work() -> None:
    router = WebSocketRouter()
    router.add_api_websocket_route("/items", unmarked)
    for app in (router, APIWebSocketRoute("/items", unmarked)):
        server = Lifespan()
        with pytest.raises(InvalidParameterError):
            await server.run(app)
        assert server.types == ["lifespan.startup.failed"]
        assert "carries no marker" in server.sent[0]["message"]


async def test_a_route_alone_starts_and_stops() -> None:
    assert await Lifespan().run(APIWebSocketRoute("/", accept)) == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_lifespans_of_included_routers_run_once_each_inside_of_all_that_include_them() -> None:
    calls: list[str] = []
    shared = WebSocketRouter(lifespan=lifespan_of(calls, "shared", {"name": "shared", "shared": 1}))
    inner = WebSocketRouter(lifespan=lifespan_of(calls, "inner", {"name": "inner", "inner": 1}))
    first = WebSocketRouter(lifespan=lifespan_of(calls, "first"))
    outer = WebSocketRouter(lifespan=lifespan_of(calls, "outer", {"name": "outer"}), routes=[first])
    outer.include_router(inner)
    outer.include_router(inner, prefix="/again")
    inner.include_router(shared)
    first.include_router(shared)

    server = Lifespan()
    await server.run(outer)
    names = ["outer", "first", "inner", "shared"]
    assert calls == [f"{name} starts" for name in names] + [f"{name} ends" for name in names[::-1]]
    # The outer state has the last word.
    assert server.scope["state"] == {"of": "the server", "name": "outer", "shared": 1, "inner": 1}
