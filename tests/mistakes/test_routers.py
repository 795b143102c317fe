"""Routers that are used in a way that cannot work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.testclient import TestClient

from tests.frameworks import fastapi, needs_fastapi
from tests.mistakes.said import get_limit
from wsroute import (
    APIWebSocketRoute,
    Depends,
    RouterError,
    WebSocket,
    WebSocketRouter,
)


async def empty(websocket: WebSocket) -> None: ...


def router_error(use: Callable[[], object]) -> str:
    with pytest.raises(RouterError) as raised:
        use()
    return str(raised.value)


@pytest.mark.parametrize(
    ("route", "shown"),
    [
        (WebSocketRoute("/x", empty), "WebSocketRoute(path='/x', name='empty')"),
        (Mount("/x", Starlette()), "Mount(path='/x', name='', app=<starlette.applications.Starlette object>)"),
    ],
    ids=["route", "mount"],
)
@pytest.mark.parametrize(
    "options", [{"prefix": "/rooms"}, {"dependencies": [Depends(get_limit)]}], ids=["prefix", "dependencies"]
)
def test_a_foreign_route_below_a_level_that_would_not_apply_to_it(route: Any, shown: str, options: Any) -> None:
    text = (
        f"{shown} is no route of wsroute, so the prefix of the router above it, its dependencies and all else that it "
        "adds would not apply to it. Give it its whole path and put it into a router that adds nothing, or into the "
        "application itself."
    )
    assert router_error(lambda: WebSocketRouter(routes=[route], **options)) == text
    assert router_error(lambda: WebSocketRouter().include_router(WebSocketRouter(routes=[route]), **options)) == text


def test_a_router_in_itself() -> None:
    text = (
        "include_router() got this router itself, or one that includes it, so that its routes would have no end. "
        "Include each router in an outer one."
    )
    outer, between, inner = WebSocketRouter(), WebSocketRouter(), WebSocketRouter()
    outer.include_router(between)
    between.include_router(inner)

    assert router_error(lambda: outer.include_router(outer)) == text
    assert router_error(lambda: inner.include_router(outer)) == text


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        pytest.param(fastapi.APIRouter(), "<fastapi.routing.APIRouter object>", marks=needs_fastapi),
        (Starlette(), "<starlette.applications.Starlette object>"),
        (None, "None"),
    ],
)
def test_including_something_else(other: Any, shown: str) -> None:
    assert router_error(lambda: WebSocketRouter().include_router(other)) == (
        f"include_router() got {shown}. It takes a WebSocketRouter; add_route() takes gateways and single routes. "
        "Routers of Starlette and FastAPI belong into the application that this router is attached to."
    )


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        pytest.param(fastapi.APIRouter(), "<fastapi.routing.APIRouter object>", marks=needs_fastapi),
        (Starlette, "starlette.applications.Starlette"),
        (WebSocketRouter("/rooms"), "WebSocketRouter('/rooms')"),
    ],
)
def test_attaching_to_something_else(other: Any, shown: str) -> None:
    assert router_error(lambda: WebSocketRouter().attach(other)) == (
        f"attach() got {shown}. It takes an application of Starlette or FastAPI, not one of its routers; any other "
        "ASGI application can mount this router, which is an ASGI application itself."
    )


def test_attaching_too_late() -> None:
    app = Starlette()
    TestClient(app).get("/")

    assert router_error(lambda: WebSocketRouter().attach(app)) == (
        "attach() came when the application had started already, too late for its lifespan to run the router's. Call "
        "it where the application is made."
    )


@pytest.mark.parametrize(
    "use",
    [
        lambda reject: WebSocketRouter(reject=reject),
        lambda reject: APIWebSocketRoute("/items", empty, reject=reject),
    ],
    ids=["router", "route"],
)
def test_a_way_to_refuse_that_does_not_exist(use: Callable[[str], object]) -> None:
    assert router_error(lambda: use("no")) == (
        "reject='no' is no way to refuse a connection. It is one of 'denial', 'close', 'accept'."
    )
