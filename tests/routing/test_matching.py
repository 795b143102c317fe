"""Which route a connection or a request goes to, and which URL a name has."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Match, Mount, NoMatchFound, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from tests.asgi import Peer
from tests.frameworks import FastAPI
from wsroute import APIWebSocketRoute, HTTPException, WebSocket, WebSocketRouter
from wsroute.testing import connect_sync

pytestmark = pytest.mark.anyio


async def endpoint(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json([websocket.scope["route"].path, websocket.path_params])


def scope_of(path: str, kind: str = "websocket") -> Scope:
    return {"type": kind, "method": "GET", "path": path, "root_path": "", "headers": []}


# --- Names ---------------------------------------------------------------------------------------------------------


def test_urls_are_made_of_the_names_of_effective_routes() -> None:
    inner = WebSocketRouter("/rooms")
    inner.add_api_websocket_route("/{room}", endpoint, name="room")
    outer = WebSocketRouter("/{shop}")
    outer.include_router(inner, prefix="/all")
    outer.include_router(inner, prefix="/again")

    path = outer.url_path_for("room", shop="a", room="b")
    assert (path, path.protocol) == ("/a/all/rooms/b", "websocket")
    for name, params in [("other", {}), ("room", {}), ("room", {"shop": "a", "room": "b", "more": "c"})]:
        with pytest.raises(NoMatchFound):
            outer.url_path_for(name, **params)


def test_a_parameter_may_be_called_name() -> None:
    router = WebSocketRouter()
    router.add_api_websocket_route("/{name}", endpoint, name="by_name")
    assert router.url_path_for("by_name", name="ann") == "/ann"


def test_an_application_finds_the_names_of_a_router_in_it() -> None:
    router = WebSocketRouter("/rooms")
    router.add_api_websocket_route("/{room}", endpoint, name="room")

    assert Starlette(routes=[router]).url_path_for("room", room="a") == "/rooms/a"
    assert Starlette(routes=[Mount("/m", router)]).url_path_for("room", room="a") == "/m/rooms/a"
    assert Starlette(routes=[Mount("/m", router, name="m")]).url_path_for("m:room", room="a") == "/m/rooms/a"
    assert Starlette(routes=[Mount("/m", routes=[router], name="m")]).url_path_for("m:room", room="a") == "/m/rooms/a"


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("way", ["alone", "Starlette", "FastAPI", "mounted"])
def test_a_socket_makes_urls_of_names(way: str, scheme: str) -> None:
    router = WebSocketRouter("/rooms")

    @router.websocket("/{room}", name="room")
    async def function(websocket: WebSocket, room: str) -> None:
        await websocket.accept()
        await websocket.send_text(str(websocket.url_for("room", room="other")))

    apps: dict[str, Any] = {
        "alone": router,
        "Starlette": Starlette(routes=[router]),
        "FastAPI": FastAPI(routes=[router]),
        "mounted": Starlette(routes=[Mount("/m", router)]),
    }
    prefix = "/m" if way == "mounted" else ""
    with connect_sync(apps[way], f"{scheme}://testserver{prefix}/rooms/a") as websocket:
        assert websocket.receive_text() == f"{scheme}://testserver{prefix}/rooms/other"


# --- Matching ------------------------------------------------------------------------------------------------------


def test_the_first_route_that_matches_is_the_one() -> None:
    router = WebSocketRouter()
    for path in ("/{a}/fixed", "/fixed/{b}", "/{c:path}"):
        router.add_api_websocket_route(path, endpoint)

    for path, found in [("/fixed/fixed", "/{a}/fixed"), ("/fixed/x", "/fixed/{b}"), ("/x/y", "/{c:path}")]:
        match, child_scope = router.matches(scope_of(path))
        assert (match, child_scope["route"].path) == (Match.FULL, found)


def test_a_router_matches_only_what_one_of_its_routes_matches() -> None:
    router = WebSocketRouter("/rooms", routes=[APIWebSocketRoute("/{room:int}", endpoint)])

    match, child_scope = router.matches(scope_of("/rooms/7"))
    assert match is Match.FULL
    assert child_scope == {"endpoint": endpoint, "path_params": {"room": 7}, "route": router.routes[0]}
    for path in ("/rooms", "/rooms/a", "/rooms/7/", "/"):
        assert router.matches(scope_of(path)) == (Match.NONE, {})


def test_requests_and_sockets_share_a_path() -> None:
    def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("page")

    router = WebSocketRouter(routes=[APIWebSocketRoute("/rooms", endpoint)])
    for routes in ([Route("/rooms", page), router], [router, Route("/rooms", page)]):
        app = Starlette(routes=routes)
        assert TestClient(app).get("/rooms").text == "page"
        with connect_sync(app, "/rooms") as websocket:
            assert websocket.receive_json() == ["/rooms", {}]


def test_what_comes_after_a_router_is_found() -> None:
    routes: list[BaseRoute] = [WebSocketRouter("/a", routes=[APIWebSocketRoute("/b", endpoint)])]
    routes += [WebSocketRoute("/a/{rest:path}", plain), WebSocketRouter(routes=[APIWebSocketRoute("/c", endpoint)])]
    app = Starlette(routes=routes)

    for path, found in [("/a/b", "/a/b"), ("/a/c", "plain"), ("/c", "/c")]:
        with connect_sync(app, path) as websocket:
            assert websocket.receive_json()[0] == found


async def plain(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(["plain", isinstance(websocket.scope.get("route"), WebSocketRoute)])
    await websocket.close()


async def test_routes_of_starlette_are_served_in_a_router() -> None:
    router = WebSocketRouter(
        routes=[
            WebSocketRoute("/plain", plain),
            Mount("/mounted", routes=[APIWebSocketRoute("/{item}", endpoint)]),
        ]
    )
    first, second = Peer("/plain"), Peer("/mounted/7")
    await first.serve(router)
    await second.serve(router)
    assert first.frames == ['["plain",true]']
    assert second.frames == ['["/{item}",{"item":"7"}]']


async def test_a_request_that_only_a_method_keeps_from_matching_is_answered_by_its_route() -> None:
    def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("page")

    router = WebSocketRouter(
        routes=[Route("/", page, methods=["PUT"]), Route("/", page, methods=["POST"]), APIWebSocketRoute("/", endpoint)]
    )
    match, child_scope = router.matches(scope_of("/", "http"))
    assert (match, child_scope["route"]) == (Match.PARTIAL, router.routes[0])
    client = TestClient(Starlette(routes=[router]))
    assert [client.request(method, "/").status_code for method in ("GET", "PUT", "POST")] == [405, 200, 200]


async def test_a_router_serves_also_where_the_match_is_not_handed_on() -> None:
    """As a framework does that matches without updating the scope, or with a `route` of its own."""
    router = WebSocketRouter(routes=[APIWebSocketRoute("/{item}", endpoint)])
    for extra in ({}, {"route": router}, {"route": object()}):
        peer = Peer("/7", scope=extra)
        await router.handle(peer.scope, peer.receive, peer.send)
        assert peer.frames == ['["/{item}",{"item":"7"}]']


async def test_a_router_is_the_router_of_its_scope_unless_there_is_one() -> None:
    router = WebSocketRouter(routes=[APIWebSocketRoute("/", endpoint)])
    other = object()
    alone, within = Peer("/"), Peer("/", scope={"router": other})
    await alone.serve(router)
    await within.serve(router)
    assert (alone.scope["router"], within.scope["router"]) == (router, other)


@pytest.mark.parametrize(
    ("outer", "inner", "route", "first"),
    [
        (None, None, None, "websocket.http.response.start"),
        ("close", None, None, "websocket.close"),
        ("close", "accept", None, "websocket.accept"),
        ("close", "accept", "denial", "websocket.http.response.start"),
        ("accept", None, "close", "websocket.close"),
    ],
)
async def test_the_innermost_level_decides_how_connections_are_refused(
    outer: Any, inner: Any, route: Any, first: str
) -> None:
    included = WebSocketRouter(reject=inner)

    @included.websocket("/", reject=route)
    async def function(websocket: WebSocket) -> None:
        raise HTTPException(401)

    router = WebSocketRouter(reject=outer)
    router.include_router(included)
    peer = Peer("/")
    await peer.serve(router)
    assert peer.sent[0]["type"] == first


class Counting(BaseRoute):
    """A route that is no WebSocketRoute and matches everything, sockets and requests."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return Match.FULL, {"counted": True}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["handled"] = scope["counted"]


async def test_a_route_of_any_kind_is_handed_its_match() -> None:
    peer = Peer("/any/path")
    await WebSocketRouter(routes=[Counting()])(peer.scope, peer.receive, peer.send)
    assert (peer.scope["handled"], type(peer.scope["route"])) == (True, Counting)
