"""Routers in applications of Starlette and FastAPI: plugged in, and plugged in the wrong way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from tests.asgi import Peer
from tests.frameworks import FastAPI, fastapi
from wsroute import (
    APIWebSocketRoute,
    Depends,
    HTTPException,
    InvalidParameterError,
    InvalidPathError,
    MissingPathParameterError,
    Path,
    Query,
    RouterError,
    WebSocket,
    WebSocketRequestValidationError,
    WebSocketRouter,
)
from wsroute.testing import connect_sync, lifespan_sync

pytestmark = pytest.mark.anyio

applications = pytest.mark.parametrize("make", [Starlette, FastAPI])
Make = Callable[..., Starlette]


def get_value() -> int:
    return 1


async def endpoint(websocket: WebSocket, value: Annotated[int, Depends(get_value)]) -> None:
    await websocket.accept()
    await websocket.send_json(value)


def router_of(path: str = "/rooms", **options: Any) -> WebSocketRouter:
    return WebSocketRouter(routes=[APIWebSocketRoute(path, endpoint)], **options)


def lifespan_of(calls: list[str], name: str, state: Any) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        calls.append(f"{name} starts")
        try:
            yield state
        finally:
            calls.append(f"{name} ends")

    return lifespan


# --- Attached ------------------------------------------------------------------------------------------------------


@applications
async def test_an_attached_router_is_served(make: Make) -> None:
    app = make()
    router_of().attach(app)
    peer = Peer("/rooms")
    await peer.serve(app)
    assert peer.frames == ["1"]
    assert (peer.scope["app"], peer.scope["router"]) == (app, app.router)


@applications
async def test_routes_that_are_added_after_attaching_appear(make: Make) -> None:
    app, router = make(), WebSocketRouter()
    router.attach(app)
    for path in ("/a", "/b"):
        router.add_api_websocket_route(path, endpoint)
        peer = Peer(path)
        await peer.serve(app)
        assert peer.frames == ["1"]


@applications
def test_attaching_again_changes_nothing(make: Make) -> None:
    calls: list[str] = []
    app, router = make(), router_of(lifespan=lifespan_of(calls, "router", None))
    router.attach(app)
    routes, lifespan = [*app.router.routes], app.router.lifespan_context
    router.attach(app)
    assert (app.router.routes, app.router.lifespan_context) == (routes, lifespan)
    with lifespan_sync(app):
        # It has started, and a second time is no mistake all the same.
        router.attach(app)
    assert calls == ["router starts", "router ends"]


@applications
def test_two_routers_that_look_alike_are_both_attached(make: Make) -> None:
    app, first, second = make(), WebSocketRouter(), WebSocketRouter()
    first.attach(app)
    second.attach(app)
    assert [route for route in app.router.routes if isinstance(route, WebSocketRouter)] == [first, second]


@applications
def test_one_router_is_attached_to_several_applications(make: Make) -> None:
    router = router_of()
    for app in (make(), make()):
        router.attach(app)
        with connect_sync(app, "/rooms") as websocket:
            assert websocket.receive_json() == 1


@applications
def test_attaching_late_is_an_error(make: Make) -> None:
    app = make()
    with lifespan_sync(app), pytest.raises(RouterError, match="too late"):
        router_of().attach(app)


@applications
def test_attaching_checks_every_route(make: Make) -> None:
    async def unmarked(websocket: WebSocket, items: list[str]) -> None: ...

    app = make()
    with pytest.raises(InvalidParameterError):
        WebSocketRouter(routes=[APIWebSocketRoute("/", unmarked)]).attach(app)
    assert not any(isinstance(route, WebSocketRouter) for route in app.router.routes)


def test_sockets_and_requests_share_a_path_in_an_application() -> None:
    app = FastAPI()

    @app.get("/rooms")
    def page() -> str:
        return "page"

    router_of().attach(app)
    assert TestClient(app).get("/rooms").json() == "page"
    with connect_sync(app, "/rooms") as websocket:
        assert websocket.receive_json() == 1


def test_the_application_answers_what_the_router_does_not() -> None:
    app = FastAPI()
    router_of().attach(app)
    assert TestClient(app).get("/rooms").status_code == TestClient(app).get("/other").status_code == 404


@applications
def test_a_router_that_stands_in_the_list_of_routes_stays_there_and_gets_its_lifespan(make: Make) -> None:
    calls: list[str] = []
    router = router_of(lifespan=lifespan_of(calls, "router", None))
    app = make(routes=[router])
    routes = [*app.router.routes]
    router.attach(app)
    router.attach(app)
    assert app.router.routes == routes
    with TestClient(app):
        assert calls == ["router starts"]


@applications
def test_attaching_adds_nothing_to_an_application_that_has_all_of_it(make: Make) -> None:
    calls: list[str] = []
    router = router_of(lifespan=lifespan_of(calls, "router", None))
    app = make(routes=[router], lifespan=router.lifespan)
    router.attach(app)
    with TestClient(app):
        assert calls == ["router starts"]


@applications
def test_an_application_that_got_another_lifespan_gets_the_routers_anew(make: Make) -> None:
    calls: list[str] = []
    app, router = make(), router_of(lifespan=lifespan_of(calls, "router", None))
    router.attach(app)
    app.router.lifespan_context = lifespan_of(calls, "other", None)
    router.attach(app)
    with TestClient(app):
        assert calls == ["other starts", "router starts"]


@applications
def test_a_router_that_was_removed_from_the_routes_is_put_back(make: Make) -> None:
    calls: list[str] = []
    app, router = make(), router_of(lifespan=lifespan_of(calls, "router", None))
    router.attach(app, prefix="/api")
    table = app.router.routes.pop()
    router.attach(app, prefix="/api")
    assert app.router.routes[-1] is table
    with TestClient(app):
        assert calls == ["router starts"]


# --- Below a prefix ------------------------------------------------------------------------------------------------


@applications
async def test_a_prefix_stands_before_all_paths_also_those_of_later_routes(make: Make) -> None:
    app, router = make(), router_of(prefix="/v1")
    router.attach(app, prefix="/api")
    router.add_api_websocket_route("/later", endpoint)
    for path in ("/api/v1/rooms", "/api/v1/later"):
        peer = Peer(path)
        await peer.serve(app)
        assert peer.frames == ["1"]
        assert peer.scope["route"].path == path
    outside = Peer("/v1/rooms")
    await outside.serve(app)
    assert outside.accepted is None


@applications
async def test_parameters_of_the_prefix_are_path_parameters_of_the_routes(make: Make) -> None:
    def tenant_of(tenant: str) -> str:
        return tenant.upper()

    router = WebSocketRouter()

    @router.websocket("/items/{item}")
    async def items(websocket: WebSocket, tenant: int, item: int, shown: Annotated[str, Depends(tenant_of)]) -> None:
        await websocket.accept()
        await websocket.send_json([tenant, item, shown])

    app = make()
    router.attach(app, prefix="/{tenant}")
    peer, wrong = Peer("/7/items/8?tenant=9"), Peer("/acme/items/x")
    await peer.serve(app)
    await wrong.serve(app)
    assert peer.frames == ['[7,8,"7"]']
    assert wrong.denial is not None
    assert [error["loc"] for error in wrong.denial.json()["detail"]] == [["path", "tenant"], ["path", "item"]]
    assert app.url_path_for("items", tenant=1, item=2) == "/1/items/2"


@applications
async def test_one_router_is_attached_below_several_prefixes_and_lives_once(make: Make) -> None:
    calls: list[str] = []
    app = make()
    router = router_of("/rooms/{room}", name="v", lifespan=lifespan_of(calls, "router", {"of": "router"}))
    for prefix in ("/a", "/{b}/c", "", "/a", "/{b}/c", ""):
        router.attach(app, prefix=prefix)
    assert len([route for route in app.router.routes if isinstance(route, WebSocketRouter)]) == 3
    async with app.router.lifespan_context(app) as state:
        assert (calls, state) == (["router starts"], {"of": "router"})
        for path in ("/a/rooms/1", "/x/c/rooms/1", "/rooms/1"):
            peer = Peer(path)
            await peer.serve(app)
            assert peer.frames == ["1"]
    assert calls == ["router starts", "router ends"]
    assert app.url_path_for("v:endpoint", room=1) == "/a/rooms/1"
    assert app.url_path_for("v:endpoint", b=0, room=1) == "/0/c/rooms/1"


@applications
@pytest.mark.parametrize("prefix", ["api", "/api/", "/", "/{room}"])
def test_a_prefix_that_does_not_fit_is_an_error_and_plugs_nothing_in(make: Make, prefix: str) -> None:
    app = make()
    with pytest.raises(InvalidPathError, match=r"attach\(prefix=|two parameters"):
        router_of("/rooms/{room}").attach(app, prefix=prefix)
    assert not any(isinstance(route, WebSocketRouter) for route in app.router.routes)


@applications
def test_attaching_below_a_prefix_late_is_an_error(make: Make) -> None:
    app, router = make(), router_of()
    router.attach(app)
    with TestClient(app), pytest.raises(RouterError, match="too late"):
        router.attach(app, prefix="/api")


# --- The lifespan --------------------------------------------------------------------------------------------------


@applications
def test_the_lifespan_of_the_router_runs_inside_of_the_applications(make: Make) -> None:
    calls: list[str] = []
    app = make(lifespan=lifespan_of(calls, "app", {"of": "app", "outer": 1}))
    inner = WebSocketRouter(lifespan=lifespan_of(calls, "inner", {"of": "inner", "inner": 1}))
    router = WebSocketRouter(lifespan=lifespan_of(calls, "router", {"of": "router", "router": 1}))
    router.include_router(inner)

    @router.websocket("/")
    async def function(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(websocket.scope["state"])

    router.attach(app)
    with connect_sync(app, lifespan=True) as websocket:
        assert websocket.receive_json() == {"of": "app", "outer": 1, "router": 1, "inner": 1}
    names = ["app", "router", "inner"]
    assert calls == [f"{name} starts" for name in names] + [f"{name} ends" for name in names[::-1]]


@applications
def test_what_several_routers_include_lives_once_inside_of_all_of_them(make: Make) -> None:
    calls: list[str] = []
    first, shared, second = (
        WebSocketRouter(lifespan=lifespan_of(calls, name, None)) for name in ("first", "shared", "second")
    )
    app = make()
    for router in (first, second):
        router.include_router(shared)
        router.attach(app)
    with TestClient(app):
        assert calls == ["first starts", "second starts", "shared starts"]
    assert calls[3:] == ["shared ends", "second ends", "first ends"]


@applications
async def test_values_of_the_application_are_shared_and_closed_before_what_any_router_has_set_up(make: Make) -> None:
    calls: list[str] = []

    async def pool() -> AsyncIterator[str]:
        calls.append("pool starts")
        yield "pool"
        calls.append("pool ends")

    async def pooled(websocket: WebSocket, pool: Annotated[str, Depends(pool, scope="app")]) -> None: ...

    app = make()
    for name in ("first", "second"):
        router = WebSocketRouter(lifespan=lifespan_of(calls, name, None))
        router.add_api_websocket_route(f"/{name}", pooled)
        router.attach(app)
    async with app.router.lifespan_context(app) as state:
        for name in ("first", "second"):
            await Peer(f"/{name}", scope={"state": {**(state or {})}}).serve(app)
    assert calls == ["first starts", "second starts", "pool starts", "pool ends", "second ends", "first ends"]


@applications
async def test_without_state_a_server_that_takes_none_starts(make: Make) -> None:
    app = make()
    router_of().attach(app)
    async with app.router.lifespan_context(app) as state:
        assert state is None


@applications
def test_a_router_that_is_included_after_attaching_takes_part_in_the_lifespan(make: Make) -> None:
    calls: list[str] = []
    app, router = make(), WebSocketRouter()
    router.attach(app)
    router.include_router(WebSocketRouter(lifespan=lifespan_of(calls, "later", None)))
    with lifespan_sync(app):
        assert calls == ["later starts"]
    assert calls == ["later starts", "later ends"]


@applications
def test_an_application_does_not_start_with_a_declaration_that_cannot_work(make: Make) -> None:
    async def unmarked(websocket: WebSocket, items: list[str]) -> None: ...

    app, router = make(), WebSocketRouter()
    router.attach(app)
    router.add_api_websocket_route("/", unmarked)
    with pytest.raises(InvalidParameterError), lifespan_sync(app):
        raise AssertionError("started")


# --- What the application decides ----------------------------------------------------------------------------------


class Unknown(Exception):
    pass


@applications
async def test_exception_handlers_of_the_application_act(make: Make) -> None:
    async def unknown(websocket: WebSocket, exc: Exception) -> JSONResponse:
        return JSONResponse({"unknown": str(exc)}, status_code=404)

    def invalid(websocket: WebSocket, exc: WebSocketRequestValidationError) -> JSONResponse:
        return JSONResponse([error["loc"] for error in exc.errors()], status_code=400)

    async def teapot(websocket: WebSocket, exc: HTTPException) -> JSONResponse:
        return JSONResponse(exc.detail, status_code=418)

    handlers: Any = {Unknown: unknown, WebSocketRequestValidationError: invalid, 401: teapot}
    app, router = make(exception_handlers=handlers), WebSocketRouter()

    @router.websocket("/{what}")
    async def function(websocket: WebSocket, what: str, number: Annotated[int, Query()] = 0) -> None:
        raise Unknown("room") if what == "unknown" else HTTPException(401, "tea")

    router.attach(app)
    for path, status, body in [
        ("/unknown", 404, {"unknown": "room"}),
        ("/any?number=x", 400, [["query", "number"]]),
        ("/any", 418, "tea"),
    ]:
        peer = Peer(path)
        await peer.serve(app)
        assert peer.denial is not None
        assert (peer.denial.status, peer.denial.json()) == (status, body)


@applications
async def test_a_missing_path_parameter_is_the_applications_error(make: Make) -> None:
    async def tenant_of(tenant: Annotated[str, Path()]) -> str:
        return tenant

    router = WebSocketRouter()

    @router.websocket("/items")
    async def function(websocket: WebSocket, tenant: Annotated[str, Depends(tenant_of)]) -> None:
        await websocket.accept()
        await websocket.send_text(tenant)

    mounted, plain = make(routes=[Mount("/{tenant}", router)]), make(routes=[router])
    good, bad = Peer("/acme/items"), Peer("/items")
    await good.serve(mounted)
    assert good.frames == ["acme"]
    with pytest.raises(MissingPathParameterError, match=r"no path parameter 'tenant'"):
        await bad.serve(plain)
    assert bad.denial is not None
    assert (bad.denial.status, bad.denial.json()) == (500, {"detail": "Internal Server Error"})


def get_user(token: Annotated[str, fastapi.Header()]) -> str:
    return token.upper()


async def test_one_dependency_serves_requests_and_sockets() -> None:
    router, app = WebSocketRouter(dependencies=[fastapi.Depends(get_user)]), FastAPI()

    @app.get("/")
    def page(user: Annotated[str, fastapi.Depends(get_user)]) -> str:
        return user

    @router.websocket("/")
    async def function(websocket: WebSocket, user: Annotated[str, fastapi.Depends(get_user)]) -> None:
        await websocket.accept()
        await websocket.send_text(user)

    router.attach(app)
    peer = Peer("/", headers={"token": "ann"})
    await peer.serve(app)
    assert peer.frames == ["ANN"]
    assert TestClient(app).get("/", headers={"token": "ann"}).json() == "ANN"


# --- Around, and beside -------------------------------------------------------------------------------------------


@applications
async def test_middleware_of_the_application_is_around_the_connection(make: Make) -> None:
    seen: list[str] = []

    class Middleware:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["path"])
            await self.app(scope, receive, send)

    app = make()
    app.add_middleware(Middleware)
    router_of().attach(app)
    await Peer("/rooms").serve(app)
    assert seen == ["/rooms"]


@applications
def test_a_router_in_the_list_of_routes_is_served_where_it_stands(make: Make) -> None:
    def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("page")

    app = make(routes=[Route("/rooms", page), router_of(), Route("/last", page)])
    client = TestClient(app)
    assert client.get("/rooms").text == client.get("/last").text == "page"
    with connect_sync(app, "/rooms") as websocket:
        assert websocket.receive_json() == 1
