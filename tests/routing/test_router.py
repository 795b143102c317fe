"""A table of routes: declaring, including, checking."""

from __future__ import annotations

import gc
import weakref
from typing import Annotated, Any

import pytest
from pydantic import BaseModel
from starlette.routing import Match, WebSocketRoute
from starlette.types import Scope

from wsroute import (
    APIWebSocketRoute,
    Depends,
    InvalidParameterError,
    InvalidPathError,
    Path,
    Query,
    WebSocket,
    WebSocketRouter,
)
from wsroute.testing import Peer

pytestmark = pytest.mark.anyio


async def endpoint(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json([websocket.scope["route"].path, websocket.path_params])


def paths(router: WebSocketRouter) -> list[str]:
    return [route.path for route in router.routes if isinstance(route, APIWebSocketRoute)]


def scope_of(path: str, kind: str = "websocket") -> Scope:
    return {"type": kind, "path": path, "root_path": "", "headers": []}


# --- Declaring -----------------------------------------------------------------------------------------------------


def test_the_decorator_declares_a_route_and_leaves_the_function_as_it_is() -> None:
    router = WebSocketRouter("/rooms")

    @router.websocket("/{room}", name="room", dependencies=[Depends(lambda: None)])
    async def function(websocket: WebSocket, room: str) -> None: ...

    (route,) = router.routes
    assert isinstance(route, APIWebSocketRoute)
    assert (route.path, route.name, len(route.dependencies)) == ("/rooms/{room}", "room", 1)
    assert function.__name__ == "function"
    assert route.dependant.call is function


def test_a_route_is_declared_without_a_decorator_too() -> None:
    router = WebSocketRouter("/rooms")
    router.add_api_websocket_route("/{room}", endpoint, name="room", dependencies=[Depends(lambda: None)])

    (route,) = router.routes
    assert isinstance(route, APIWebSocketRoute)
    assert (route.path, route.name, len(route.dependencies), route.endpoint) == ("/rooms/{room}", "room", 1, endpoint)


def test_a_router_starts_with_the_routes_that_it_is_given() -> None:
    inner = WebSocketRouter("/inner")
    router = WebSocketRouter("/outer", routes=[APIWebSocketRoute("/a", endpoint), inner])
    assert paths(router) == ["/outer/a"]

    inner.add_api_websocket_route("/later", endpoint)
    assert paths(router) == ["/outer/a", "/outer/inner/later"]


def test_an_empty_path_is_the_prefix_itself() -> None:
    router = WebSocketRouter()
    router.add_api_websocket_route("", endpoint)
    outer = WebSocketRouter()
    outer.include_router(router, prefix="/rooms")

    assert outer.matches(scope_of("/rooms"))[0] is Match.FULL
    with pytest.raises(InvalidPathError):
        router.check()


def test_the_routes_cannot_be_changed_from_outside() -> None:
    router = WebSocketRouter()
    assert isinstance(router.routes, tuple)
    with pytest.raises(AttributeError):
        router.routes = ()  # type: ignore[misc]  # the point


@pytest.mark.parametrize("name", ["_contains_router", "on_startup", "route_class"])
def test_what_a_framework_asks_for_in_vain_names_attach(name: str) -> None:
    router = WebSocketRouter()
    assert getattr(router, name, None) is None
    with pytest.raises(AttributeError, match=rf"'{name}' is no attribute .* router\.attach\(app\)") as raised:
        getattr(router, name)
    assert (raised.value.name, raised.value.obj) == (name, router)


# --- Including -----------------------------------------------------------------------------------------------------


def test_prefixes_of_all_levels_are_put_before_the_path() -> None:
    inner = WebSocketRouter("/c")
    inner.add_api_websocket_route("/d", endpoint)
    between = WebSocketRouter()
    between.include_router(inner, prefix="/b")
    outer = WebSocketRouter("/a")
    outer.include_router(between)

    assert (paths(outer), paths(between), paths(inner)) == (["/a/b/c/d"], ["/b/c/d"], ["/c/d"])


def test_routes_that_are_added_later_appear_on_all_levels_in_the_order_of_the_declarations() -> None:
    outer, between, inner = WebSocketRouter("/outer"), WebSocketRouter("/between"), WebSocketRouter("/inner")
    outer.include_router(between)
    outer.add_api_websocket_route("/last", endpoint)
    assert outer.matches(scope_of("/outer/between/inner/later"))[0] is Match.NONE

    between.include_router(inner)
    inner.add_api_websocket_route("/later", endpoint)
    assert paths(outer) == ["/outer/between/inner/later", "/outer/last"]
    assert outer.matches(scope_of("/outer/between/inner/later"))[0] is Match.FULL

    inner.add_api_websocket_route("/latest", endpoint)
    assert outer.matches(scope_of("/outer/between/inner/latest"))[0] is Match.FULL


def test_a_bound_route_stays_bound_when_others_are_added() -> None:
    outer, inner = WebSocketRouter("/outer"), WebSocketRouter("/inner")
    outer.include_router(inner)
    inner.add_api_websocket_route("/a", endpoint)
    outer.check()
    route = outer.routes[0]
    assert isinstance(route, APIWebSocketRoute)
    bound = route.bind()

    inner.add_api_websocket_route("/b", endpoint)
    outer.check()
    assert outer.routes[0] is route
    assert route.bind() is bound


def test_a_router_included_twice_gives_routes_that_share_nothing() -> None:
    inner = WebSocketRouter()
    inner.add_api_websocket_route("/{item}", endpoint)
    first, second = WebSocketRouter("/1"), WebSocketRouter("/2")
    first.include_router(inner, prefix="/a")
    first.include_router(inner, prefix="/b", dependencies=[Depends(lambda: None)])
    second.include_router(inner)

    routes = [route for router in (first, second) for route in router.routes]
    assert paths(first) + paths(second) == ["/1/a/{item}", "/1/b/{item}", "/2/{item}"]
    trees = [route.dependant for route in routes if isinstance(route, APIWebSocketRoute)]
    assert len({id(tree) for tree in trees}) == 3
    assert [len(tree.effects) for tree in trees] == [0, 1, 0]


def test_a_router_is_not_kept_alive_by_those_that_it_includes() -> None:
    inner, outer = WebSocketRouter(), WebSocketRouter()
    outer.include_router(inner)
    watched = weakref.ref(outer)
    del outer
    gc.collect()
    assert watched() is None
    inner.add_api_websocket_route("/later", endpoint)


async def test_dependencies_run_from_the_outermost_level_inwards() -> None:
    calls: list[str] = []

    def calling(name: str) -> Any:
        async def dependency() -> None:
            calls.append(name)

        return Depends(dependency)

    inner = WebSocketRouter(dependencies=[calling("inner router")])

    @inner.websocket("/", dependencies=[calling("route"), calling("route again")])
    async def function(websocket: WebSocket, own: None = calling("endpoint")) -> None:
        calls.append("called")

    outer = WebSocketRouter(dependencies=[calling("outer router")])
    outer.include_router(inner, dependencies=[calling("inclusion")])
    await Peer("/").serve(outer)
    assert calls == ["outer router", "inclusion", "inner router", "route", "route again", "endpoint", "called"]


class Local:
    """Something that only the function that declares holds on to."""


def make_router() -> tuple[WebSocketRouter, weakref.ref[Local]]:
    local = Local()
    router = WebSocketRouter(dependencies=[Depends(lambda: None)])
    router.add_api_websocket_route("/", endpoint, dependencies=[Depends(lambda: None)])
    return router, weakref.ref(local)


def test_a_router_does_not_keep_the_variables_of_the_function_that_declares_it() -> None:
    router, watched = make_router()
    gc.collect()
    assert watched() is None
    assert len(router.routes) == 1


def make_inner() -> WebSocketRouter:
    class Page(BaseModel):
        size: int = 10

    async def dependency(page: Annotated[Page, Query()]) -> None: ...

    inner = WebSocketRouter(dependencies=[Depends(dependency)])
    outer = WebSocketRouter()
    outer.include_router(inner, dependencies=[Depends(dependency)])
    inner.add_api_websocket_route("/", endpoint)
    return outer


def test_names_local_to_the_function_that_declares_a_router_are_known_when_it_has_returned() -> None:
    (route,) = make_inner().routes
    assert isinstance(route, APIWebSocketRoute)
    assert [[field.name for field in effect.params] for effect in route.dependant.effects] == [["page"], ["page"]]


async def test_a_parameter_of_a_prefix_is_a_path_parameter_of_all_below() -> None:
    async def dependency(shop: int) -> int:
        return shop

    inner = WebSocketRouter("/rooms")

    @inner.websocket("/{room}")
    async def function(
        websocket: WebSocket,
        shop: int,
        room: str,
        again: Annotated[int, Depends(dependency)],
        other: Annotated[int, Path(alias="shop")],
    ) -> None:
        await websocket.accept()
        await websocket.send_json([shop, room, again, other])

    outer = WebSocketRouter()
    outer.include_router(inner, prefix="/{shop}")
    peer = Peer("/7/rooms/a")
    await peer.serve(outer)
    assert peer.frames == ['[7,"a",7,7]']


# --- Checking ------------------------------------------------------------------------------------------------------


async def unmarked(websocket: WebSocket, items: list[str]) -> None: ...


def test_every_route_is_checked_before_the_first_connection_is_matched() -> None:
    router = WebSocketRouter()
    router.add_api_websocket_route("/good", endpoint)
    router.add_api_websocket_route("/bad", unmarked)

    with pytest.raises(InvalidParameterError):
        router.matches(scope_of("/good"))
    with pytest.raises(InvalidParameterError):
        router.check()


def test_a_route_that_is_added_later_is_checked_before_the_next_connection_is_matched() -> None:
    router = WebSocketRouter()
    router.add_api_websocket_route("/good", endpoint)
    assert router.matches(scope_of("/good"))[0] is Match.FULL

    router.add_api_websocket_route("/bad", unmarked)
    with pytest.raises(InvalidParameterError):
        router.matches(scope_of("/good"))


def test_a_request_does_not_bind_anything() -> None:
    router = WebSocketRouter()
    router.add_api_websocket_route("/bad", unmarked)
    assert router.matches(scope_of("/bad", "http")) == (Match.NONE, {})


def test_routes_of_others_need_no_check() -> None:
    WebSocketRouter(routes=[WebSocketRoute("/", endpoint)]).check()
