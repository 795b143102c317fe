"""The ways to plug in that people use most, on a real server: HTTP and sockets beside each other, and the lifespan.

The annotations here are evaluated by Python, not strings, since older releases of FastAPI don't find the names in them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import urlopen

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from websockets.exceptions import InvalidStatus

from tests.frameworks import APIRouter, FastAPI, needs_fastapi
from tests.plugging.kinds import EXPECTED, KINDS, LEVEL, Plug, lifespan
from tests.plugging.ways import WAYS
from tests.server import Server, tolerant
from wsroute import APIWebSocketRoute, UninjectedEndpointError, WebSocket, WebSocketListener, WebSocketRouter, on

pytestmark = tolerant

PREFIXES = {kind: "/" + kind.replace(" ", "-") for kind in KINDS}
HEADERS = {"user": "ann", "authorization": "Bearer t"}
MOST_USED = ["attach", "attach below a parameter", "mount the router", "routes=[router]", "a sub-application"]


def router_of_all_kinds() -> WebSocketRouter:
    router = WebSocketRouter(lifespan=lifespan, **LEVEL)
    for kind, prefix in PREFIXES.items():
        inner = WebSocketRouter()
        KINDS[kind](inner)
        router.include_router(inner, prefix=prefix)
    return router


@contextmanager
def served(app: Any) -> Iterator[Server]:
    with Server(app, "websockets-sansio", lifespan="on").running() as server:
        yield server


def page(request: Request) -> JSONResponse:
    return JSONResponse("page")


@pytest.mark.parametrize("make", [Starlette, FastAPI])
@pytest.mark.parametrize("way", MOST_USED)
def test_every_kind_is_served_with_all_that_it_needs(way: str, make: Any) -> None:
    router = router_of_all_kinds()
    it = WAYS[way].plug(make, Plug(router, router.routes[0], router.lifespan))
    it.served.router.routes.append(Route("/page", page))  # type: ignore[attr-defined]  # an application of Starlette
    with served(it.served) as server:
        for kind, prefix in PREFIXES.items():
            target = f"{WAYS[way].path}{prefix}/rooms/7"
            with server.connect(target, additional_headers=HEADERS) as client:
                if "listener" in kind:
                    client.send("{}")
                assert json.loads(client.recv()) == EXPECTED
            for headers, status in (({}, 401), ({**HEADERS, "user": "eve"}, 403)):
                with pytest.raises(InvalidStatus) as refused:
                    server.connect(target, additional_headers=headers)
                assert refused.value.response.status_code == status
        with urlopen(f"http://127.0.0.1:{server.port}/page", timeout=5) as response:
            assert json.load(response) == "page"
        assert [record.exc_info for record in server.settled() if record.exc_info] == []


async def bare(websocket: WebSocket) -> None:
    await websocket.accept()


class Bare(WebSocketListener):
    @on
    async def said(self, message: dict[str, Any]) -> dict[str, Any]:
        return message


def included(app: Any, route: Any) -> None:
    api = APIRouter(routes=[route])
    app.include_router(api)


@needs_fastapi
@pytest.mark.parametrize(
    "plug",
    [
        lambda app: included(app, WebSocketRouter(routes=[APIWebSocketRoute("/rooms", bare)])),
        lambda app: included(app, APIWebSocketRoute("/rooms", bare)),
        lambda app: app.add_api_websocket_route("/rooms", APIWebSocketRoute("/rooms", bare).endpoint),
        lambda app: app.websocket("/rooms")(Bare),
    ],
    ids=["a router in a router of FastAPI", "a route in one", "an endpoint of a route", "a listener class"],
)
def test_what_goes_past_the_injection_gets_500_and_one_line_in_the_log_that_says_what_to_call(plug: Any) -> None:
    app = FastAPI()
    plug(app)
    with served(app) as server:
        with pytest.raises(InvalidStatus) as refused:
            server.connect("/rooms")
        assert refused.value.response.status_code == 500
        errors = [record.exc_info[1] for record in server.settled() if record.exc_info]
    [error] = errors
    assert isinstance(error, UninjectedEndpointError)
    assert "router.attach(app)" in str(error)
