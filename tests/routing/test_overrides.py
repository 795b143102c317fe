"""Overrides of all levels: the nearest one that has a key decides, for every connection anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from tests.asgi import Peer
from tests.frameworks import FastAPI
from wsroute import APIWebSocketRoute, Depends, HTTPException, WebSocket, WebSocketRouter

pytestmark = pytest.mark.anyio


class Provider:
    def __init__(self) -> None:
        self.dependency_overrides: dict[Callable[..., Any], Callable[..., Any]] = {}


def original() -> str:
    return "original"


def other() -> str:
    return "other"


def saying(word: str) -> Callable[[], str]:
    return lambda: word


async def endpoint(
    websocket: WebSocket, first: Annotated[str, Depends(original)], second: Annotated[str, Depends(other)]
) -> None:
    await websocket.accept()
    await websocket.send_text(f"{first} {second}")


async def said_by(app: ASGIApp, path: str = "/") -> str:
    peer = Peer(path)
    await peer.serve(app)
    (frame,) = peer.frames
    assert isinstance(frame, str)
    return frame


async def test_the_nearest_provider_that_has_the_key_decides() -> None:
    near, between, far, app = Provider(), Provider(), Provider(), FastAPI()
    route = APIWebSocketRoute("/", endpoint, dependency_overrides_provider=near)
    inner = WebSocketRouter(routes=[route], dependency_overrides_provider=between)
    outer = WebSocketRouter(dependency_overrides_provider=far)
    outer.include_router(inner)
    outer.attach(app)

    # From the outermost one to the nearest one; a router comes before the provider that it was given.
    for level in (app, far, outer, between, inner, near):
        level.dependency_overrides[original] = saying(str(id(level)))
        assert await said_by(app) == f"{id(level)} other"


async def test_a_provider_hides_only_its_own_keys() -> None:
    router, app = WebSocketRouter(routes=[APIWebSocketRoute("/", endpoint)]), FastAPI()
    router.attach(app)
    router.dependency_overrides[original] = saying("router's")
    app.dependency_overrides.update({original: saying("app's"), other: saying("app's")})

    assert await said_by(app) == "router's app's"


async def test_overrides_are_set_and_cleared_between_connections() -> None:
    router = WebSocketRouter(routes=[APIWebSocketRoute("/", endpoint)])

    assert await said_by(router) == "original other"
    router.dependency_overrides[original] = saying("once")
    assert await said_by(router) == "once other"
    router.dependency_overrides[original] = saying("twice")
    router.dependency_overrides[other] = saying("too")
    assert await said_by(router) == "twice too"
    router.dependency_overrides.clear()
    assert await said_by(router) == "original other"


async def test_an_override_that_is_set_during_a_connection_counts_from_the_next_one_on() -> None:
    router = WebSocketRouter()

    async def setting() -> None:
        router.dependency_overrides[original] = saying("next")

    router.add_api_websocket_route("/", endpoint, dependencies=[Depends(setting)])
    assert await said_by(router) == "original other"
    assert await said_by(router) == "next other"


async def test_overrides_of_one_application_do_not_reach_another() -> None:
    shared = WebSocketRouter(routes=[APIWebSocketRoute("/", endpoint)])
    first, second, attached = WebSocketRouter(), WebSocketRouter(), FastAPI()
    first.include_router(shared)
    second.include_router(shared)
    shared.attach(attached)
    first.dependency_overrides[original] = saying("first's")
    attached.dependency_overrides[original] = saying("app's")

    assert [await said_by(app) for app in (first, second, attached)] == [
        "first's other",
        "original other",
        "app's other",
    ]


async def test_overrides_of_a_router_do_not_reach_the_router_that_includes_it() -> None:
    inner, outer = WebSocketRouter("/inner"), WebSocketRouter()
    outer.include_router(inner)
    for router in (inner, outer):
        router.add_api_websocket_route("/a", endpoint)
    inner.dependency_overrides[original] = saying("inner's")

    assert await said_by(outer, "/a") == "original other"
    assert await said_by(outer, "/inner/a") == "inner's other"


async def test_a_mounted_application_is_a_world_of_its_own() -> None:
    router, sub, app = WebSocketRouter(routes=[APIWebSocketRoute("/", endpoint)]), FastAPI(), FastAPI()
    router.attach(sub)
    app.mount("/sub", sub)
    app.dependency_overrides[original] = saying("outer's")
    assert await said_by(app, "/sub/") == "original other"

    sub.dependency_overrides[original] = saying("sub's")
    assert await said_by(app, "/sub/") == "sub's other"


async def test_a_router_that_is_mounted_has_the_overrides_of_the_application_around_it() -> None:
    app = FastAPI(routes=[Mount("/m", WebSocketRouter(routes=[APIWebSocketRoute("/", endpoint)]))])
    app.dependency_overrides[original] = saying("app's")
    assert await said_by(app, "/m/") == "app's other"


async def test_an_application_without_overrides_has_none() -> None:
    router, app = WebSocketRouter(routes=[APIWebSocketRoute("/", endpoint)]), Starlette()
    router.attach(app)
    router.dependency_overrides[other] = saying("router's")
    assert await said_by(app) == "original router's"


async def test_dependencies_of_levels_are_overridden_too() -> None:
    async def forbidden() -> None:
        raise HTTPException(403)

    inner = WebSocketRouter(dependencies=[Depends(forbidden)], routes=[APIWebSocketRoute("/", endpoint)])
    outer = WebSocketRouter()
    outer.include_router(inner, dependencies=[Depends(forbidden)])
    peer = Peer("/")
    await peer.serve(outer)
    assert peer.denial is not None

    outer.dependency_overrides[forbidden] = lambda: None
    assert await said_by(outer) == "original other"


async def test_a_route_says_whom_it_asks_and_may_be_told_to_ask_others() -> None:
    near, other = Provider(), Provider()
    route = APIWebSocketRoute("/", endpoint, dependency_overrides_provider=near)
    router = WebSocketRouter(routes=[route])
    [effective] = router.routes
    assert isinstance(effective, APIWebSocketRoute)
    assert effective.override_providers == (near, router)

    near.dependency_overrides[original] = saying("near's")
    other.dependency_overrides[original] = saying("other's")
    effective.override_providers = (other, *effective.override_providers)
    assert await said_by(router) == "other's other"
    effective.override_providers = (near, router)
    assert await said_by(router) == "near's other"


def test_a_route_knows_by_which_names_its_levels_provide() -> None:
    router = WebSocketRouter(dependencies={"outer": original}, routes=[APIWebSocketRoute("/", endpoint)])
    [route] = router.routes
    assert isinstance(route, APIWebSocketRoute)
    assert route.provided_names == ("outer",)
