"""What `FastAPI(dependencies=[...])` says holds for sockets, too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient

from tests.asgi import Peer
from wsroute import (
    APIWebSocketRoute,
    Depends,
    HTTPException,
    InvalidParameterError,
    WebSocket,
    WebSocketListener,
    WebSocketRouter,
    on,
)

pytest.importorskip("fastapi")

import fastapi  # not everyone who runs the tests has it
from fastapi import FastAPI

pytestmark = pytest.mark.anyio


def noting(calls: list[str], name: str) -> Callable[[], None]:
    def dependency() -> None:
        calls.append(name)

    return dependency


def check(request: Request) -> str:
    if request.headers.get("token") != "secret":
        raise HTTPException(401, "No token")
    return "ann"


async def endpoint(websocket: WebSocket, user: Annotated[str, Depends(check)]) -> None:
    await websocket.accept()
    await websocket.send_text(user)


async def answer(app: Any, path: str = "/rooms", **headers: str) -> Any:
    peer = Peer(path, headers=headers)
    await peer.serve(app)
    return peer.denial.status if peer.denial else peer.frames


async def test_they_run_before_those_of_the_router_and_once_with_those_of_the_endpoint() -> None:
    calls: list[str] = []

    def counting(request: Request) -> str:
        calls.append("application")
        return check(request)

    router = WebSocketRouter(dependencies=[Depends(noting(calls, "router"))])

    @router.websocket("/rooms", dependencies=[Depends(noting(calls, "route"))])
    async def function(websocket: WebSocket, user: Annotated[str, Depends(counting)]) -> None:
        await websocket.accept()
        await websocket.send_text(user)

    app = FastAPI(dependencies=[fastapi.Depends(counting)])
    router.attach(app)
    assert await answer(app, token="secret") == ["ann"]
    assert calls == ["application", "router", "route"]


@pytest.mark.parametrize(
    ("plug", "path"),
    [
        (lambda app, route: WebSocketRouter(routes=[route]).attach(app), "/rooms"),
        (lambda app, route: WebSocketRouter(routes=[route]).attach(app, prefix="/api"), "/api/rooms"),
        (lambda app, route: app.mount("/ws", WebSocketRouter(routes=[route])), "/ws/rooms"),
        (lambda app, route: app.router.routes.append(route), "/rooms"),
    ],
    ids=["attach", "attach below a prefix", "mount", "append"],
)
async def test_who_may_not_use_the_application_may_not_open_a_socket_in_it(
    plug: Callable[[Any, Any], None], path: str
) -> None:
    async def open_to_all(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("open")

    app = FastAPI(dependencies=[fastapi.Depends(check)])
    app.get("/")(lambda: None)
    plug(app, APIWebSocketRoute("/rooms", open_to_all))
    assert await answer(app, path, token="secret") == ["open"]
    assert TestClient(app).get("/").status_code == await answer(app, path) == 401


async def test_a_sub_application_is_a_world_of_its_own() -> None:
    app, sub, router = FastAPI(dependencies=[fastapi.Depends(check)]), FastAPI(), WebSocketRouter()

    @router.websocket("/rooms")
    async def open_to_all(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("open")

    router.attach(sub)
    app.mount("/sub", sub)
    assert await answer(app, "/sub/rooms") == ["open"]


async def test_overrides_and_parameters_work_in_them() -> None:
    app = FastAPI(dependencies=[fastapi.Depends(check)])
    WebSocketRouter(routes=[APIWebSocketRoute("/rooms", endpoint)]).attach(app)
    assert await answer(app) == 401
    app.dependency_overrides[check] = lambda number: f"override {number}"
    assert await answer(app) == 422
    assert await answer(app, "/rooms?number=3") == ["override 3"]


async def test_one_router_is_in_several_applications_with_other_dependencies() -> None:
    router = WebSocketRouter()
    calls: list[str] = []

    @router.websocket("/rooms")
    async def function(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(",".join(calls))
        calls.clear()

    apps: list[Starlette] = [FastAPI(dependencies=[fastapi.Depends(noting(calls, str(n)))]) for n in range(12)]
    apps += [FastAPI(), Starlette()]
    for app in apps:
        router.attach(app)
    for _ in range(2):
        assert [await answer(app) for app in apps] == [[str(n)] for n in range(12)] + [[""], [""]]


async def test_an_application_that_asks_for_more_gets_more_whoever_is_served_first() -> None:
    async def open_to_all(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("open")

    first = fastapi.Depends(noting([], "first"))
    less, more = FastAPI(dependencies=[first]), FastAPI(dependencies=[first, fastapi.Depends(check)])
    router = WebSocketRouter(routes=[APIWebSocketRoute("/rooms", open_to_all)])
    for app in (less, more):
        router.attach(app)
    assert [await answer(app) for app in (less, more, less)] == [["open"], 401, ["open"]]
    more.router.dependencies.pop()
    less.router.dependencies.append(fastapi.Depends(check))
    assert [await answer(app) for app in (less, more)] == [401, ["open"]]


async def test_they_live_as_long_as_the_connection_and_as_each_message_of_a_listener() -> None:
    calls: list[str] = []

    async def opened() -> AsyncIterator[None]:
        calls.append("opened")
        yield
        calls.append("closed")

    class Room(WebSocketListener):
        @on
        async def said(self, message: dict[str, int]) -> dict[str, int]:
            calls.append("said")
            return message

    app = FastAPI(dependencies=[fastapi.Depends(opened)])
    WebSocketRouter(routes=[APIWebSocketRoute("/rooms", Room)]).attach(app)
    peer = Peer("/rooms").say('{"a": 1}', '{"a": 2}').leave()
    await peer.serve(app)
    assert peer.frames == ['{"a":1}', '{"a":2}']
    assert calls == ["opened", "said", "said", "closed"]


def reads_a_body(form: Annotated[str, fastapi.Form()]) -> None: ...


def test_what_cannot_run_for_a_socket_is_an_error_when_the_router_is_attached() -> None:
    app = FastAPI(dependencies=[fastapi.Depends(reads_a_body)])
    with pytest.raises(InvalidParameterError, match="reads a body"):
        WebSocketRouter(routes=[APIWebSocketRoute("/rooms", endpoint)]).attach(app)
    assert not any(isinstance(route, WebSocketRouter) for route in app.router.routes)


def test_the_application_does_not_start_with_a_later_route_that_cannot_run_them() -> None:
    app, router = FastAPI(dependencies=[fastapi.Depends(reads_a_body)]), WebSocketRouter()
    router.attach(app)
    router.add_api_websocket_route("/rooms", endpoint)
    with pytest.raises(InvalidParameterError), TestClient(app):
        raise AssertionError("started")


def test_a_route_shows_itself_as_an_application_serves_it() -> None:
    app, route = FastAPI(dependencies=[fastapi.Depends(check)]), APIWebSocketRoute("/rooms", endpoint)
    assert route.within(Starlette()) is route.within(FastAPI()) is route.within(None) is route
    assert route.within(app) is route.within(app) is not route
    assert route.within(app).dependencies == app.router.dependencies
    assert (route.within(app).path, route.within(app).endpoint) == (route.path, route.endpoint)


def test_what_other_frameworks_call_dependencies_is_left_alone() -> None:
    class Router:
        dependencies = {"user": check}

    class Application:
        router = Router()

    route = APIWebSocketRoute("/rooms", endpoint)
    assert route.within(Application()) is route
