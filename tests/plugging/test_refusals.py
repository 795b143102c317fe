"""Where FastAPI rebuilds or misreads what is ours: it is refused, with a sentence that says what to call.

At registration, where it can be seen there; else each connection is refused with 500, before anything is called. The
annotations here are evaluated by Python, not strings, since older releases of FastAPI don't find the names in them.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, WebSocketRoute

from tests.asgi import Peer
from tests.plugging import kinds
from tests.plugging.kinds import KINDS
from wsroute import (
    APIWebSocketRoute,
    MisplacedMarkerError,
    UninjectedEndpointError,
    WebSocket,
    WebSocketGateway,
    WebSocketListener,
    WebSocketRouter,
    WebSocketView,
    on,
    websocket,
)

pytest.importorskip("fastapi")

import fastapi
from fastapi import APIRouter, FastAPI  # not everyone who runs the tests has it

pytestmark = pytest.mark.anyio


def router_of(kind: str) -> WebSocketRouter:
    router = WebSocketRouter()
    KINDS[kind](router)
    return router


def gateway_of(handler: Any) -> WebSocketGateway:
    return WebSocketGateway("/rooms", handler=handler)


def route_of(kind: str) -> BaseRoute:
    return router_of(kind).routes[0]


#: What may be put into a router of FastAPI, and whose connections the error names.
OURS: dict[str, tuple[Callable[[], BaseRoute], str]] = {
    **{f"a router, {kind}": (partial(router_of, kind), "WebSocketRouter('')") for kind in KINDS},
    "an endpoint": (partial(route_of, "endpoint"), "tests.plugging.kinds.endpoint"),
    "a listener": (partial(route_of, "listener"), "tests.plugging.kinds.listener"),
    "a listener class": (partial(route_of, "listener class"), "tests.plugging.kinds.Room"),
    "a stream": (partial(route_of, "stream"), "tests.plugging.kinds.stream"),
    "a route of a gateway": (partial(route_of, "gateway"), "tests.plugging.kinds.handler"),
    "a route of a view": (partial(route_of, "view"), "tests.plugging.kinds.Desk.tell"),
    "a gateway": (partial(gateway_of, kinds.handler), "tests.plugging.kinds.handler"),
}


def appended(api: APIRouter, route: BaseRoute) -> None:
    api.routes.append(route)


def given(api: APIRouter, route: BaseRoute) -> None:
    api.__init__(routes=[route])  # type: ignore[misc]  # the same object, so that the two ways read alike


async def refusal(app: Any, path: str) -> UninjectedEndpointError:
    """How a connection is refused: what is raised, and so logged by the server."""
    peer = Peer(path).say("{}").leave()
    with pytest.raises(UninjectedEndpointError, match=r"plug that in with router\.attach\(app\)") as raised:
        await peer.serve(app)
    assert peer.accepted is None
    if peer.denial is not None:  # else the server answers, since nothing was sent
        assert (peer.denial.status, peer.denial.json()) == (500, {"detail": "Internal Server Error"})
    return raised.value


# In a router of FastAPI that is included


@pytest.mark.parametrize("put", [appended, given])
@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(("ours", "named"), OURS.values(), ids=OURS)
async def test_what_stands_in_an_included_router_refuses(
    put: Callable[[APIRouter, BaseRoute], None], prefix: str, ours: Callable[[], BaseRoute], named: str
) -> None:
    app, api = FastAPI(), APIRouter()
    put(api, ours())
    app.include_router(api, prefix=prefix)
    assert (await refusal(app, f"{prefix}/rooms/7")).endpoint == named


async def test_so_does_what_stands_further_down() -> None:
    app, api, outer = FastAPI(), APIRouter(), APIRouter()
    api.routes.append(router_of("endpoint"))
    outer.include_router(api, prefix="/inner")
    app.include_router(outer, prefix="/outer")
    assert (await refusal(app, "/outer/inner/rooms/7")).endpoint == "WebSocketRouter('')"


async def test_a_view_is_left_out_whole() -> None:
    """FastAPI sees the path that its handlers share, and nothing of them."""
    app, api = FastAPI(), APIRouter()
    api.routes.append(gateway_of(kinds.Desk))
    app.include_router(api)
    peer = Peer("/rooms/7")
    await peer.serve(app)
    assert peer.accepted is None
    await refusal(app, "/rooms")


# Included itself


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(
    "table", [router_of("endpoint"), router_of("listener"), WebSocketRouter("/v1"), gateway_of(kinds.handler)]
)
def test_including_what_is_ours_into_fastapi_names_the_right_way(prefix: str, table: Any) -> None:
    with pytest.raises(AttributeError, match=r"plug a router in with router\.attach\(app\)"):
        FastAPI().include_router(table, prefix=prefix)
    with pytest.raises(AttributeError, match=r"plug a router in with router\.attach\(app\)"):
        APIRouter().include_router(table, prefix=prefix)


# Taken for an endpoint


async def bare(websocket: WebSocket) -> None:
    await websocket.accept()


async def marked_by_fastapi(websocket: WebSocket, value: Annotated[str, fastapi.Depends(kinds.get_value)]) -> None:
    await websocket.accept()


class BareRoom(WebSocketListener):
    @on
    async def said(self, message: dict[str, Any]) -> dict[str, Any]:
        return message


class BareDesk(WebSocketView):
    @websocket("/")
    async def tell(self, socket: WebSocket) -> None:
        await socket.accept()


@websocket("/")
async def bare_handler(websocket: WebSocket) -> None:
    await websocket.accept()


def endpoint_of(endpoint: Any) -> Any:
    return APIWebSocketRoute("/", endpoint).endpoint


#: What FastAPI finds nothing wrong with, so that it gets as far as calling it.
CALLED = {
    "the endpoint of a route": endpoint_of(bare),
    "one with markers of FastAPI": endpoint_of(marked_by_fastapi),
    "that of a listener class": endpoint_of(BareRoom),
    "a listener class": BareRoom,
    "a view": BareDesk,
    "a handler": bare_handler,
}


@pytest.mark.parametrize("endpoint", CALLED.values(), ids=CALLED)
@pytest.mark.parametrize(
    "add",
    [
        lambda app, endpoint: app.add_api_websocket_route("/rooms", endpoint),
        lambda app, endpoint: app.websocket("/rooms")(endpoint),
        lambda app, endpoint: app.router.routes.append(fastapi.routing.APIWebSocketRoute("/rooms", endpoint)),
    ],
    ids=["add_api_websocket_route", "websocket", "APIWebSocketRoute of FastAPI"],
)
async def test_what_fastapi_takes_for_an_endpoint_refuses(add: Callable[[Any, Any], None], endpoint: Any) -> None:
    app = FastAPI()
    add(app, endpoint)
    await refusal(app, "/rooms")


@pytest.mark.parametrize(
    "endpoint", [CALLED[name] for name in CALLED if name not in ("a listener class", "a view")], ids=repr
)
@pytest.mark.parametrize("make", [Starlette, FastAPI])
async def test_what_starlette_takes_for_an_endpoint_refuses(make: Callable[..., Any], endpoint: Any) -> None:
    await refusal(make(routes=[WebSocketRoute("/rooms", endpoint)]), "/rooms")


@pytest.mark.parametrize("cls", [BareRoom, BareDesk])
async def test_a_class_that_starlette_takes_for_an_application_is_not_served(cls: Any) -> None:
    peer = Peer("/rooms")
    with pytest.raises(TypeError):
        await peer.serve(Starlette(routes=[WebSocketRoute("/rooms", cls)]))
    assert peer.sent == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_endpoint_with_markers_of_ours_is_refused_when_fastapi_reads_them(kind: str) -> None:
    endpoint = kinds.GATEWAYS.get(kind) or route_of(kind).endpoint  # type: ignore[attr-defined]  # has one
    with pytest.raises(MisplacedMarkerError):
        FastAPI().add_api_websocket_route("/rooms", endpoint)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ours", [router_of, route_of])
async def test_a_router_or_a_route_is_no_endpoint(ours: Callable[[str], Any], kind: str) -> None:
    """Older releases cannot read what it takes; newer ones read query parameters that nobody sends."""
    app = FastAPI()
    try:
        app.add_api_websocket_route("/rooms/{room}", ours(kind))
    except Exception:
        assert len(app.router.routes) == len(FastAPI().router.routes)
        return
    peer = Peer("/rooms/7")
    await peer.serve(app)
    assert peer.accepted is None
