"""`allowed_origins=`: what it takes, which level decides, and that a page that may not runs nothing."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from wsroute import (
    APIWebSocketRoute,
    BaseInterceptor,
    BasePermission,
    Depends,
    HTTPException,
    RouterError,
    WebSocket,
    WebSocketGateway,
    WebSocketRouter,
    WebSocketView,
    websocket,
)
from wsroute.exceptions import Location
from wsroute.routing.layers import Layer, Reject, fold
from wsroute.routing.origins import Origins, read_allowed_origins
from wsroute.testing import Peer
from wsroute.wire.origin import EVERY_ORIGIN, SAME_ORIGIN, AllowedOrigins

LOCATION = Location(chain=("level",))
FOREIGN = "https://evil.test"
APP = "https://app.example"


async def endpoint(websocket: WebSocket) -> None:
    await websocket.accept()


def peer_of(*origins: str, target: str = "/", **options: Any) -> Peer:
    headers = [("host", "good.example"), *(("origin", origin) for origin in origins)]
    return Peer(target, headers=headers, **options)


def serve(app: ASGIApp, *origins: str, target: str = "/", **options: Any) -> Peer:
    peer = peer_of(*origins, target=target, **options)
    anyio.run(peer.serve, app)
    return peer


def lets_in(app: ASGIApp, *origins: str, target: str = "/") -> bool:
    peer = serve(app, *origins, target=target)
    assert bool(peer.accepted) is not bool(peer.denial)
    return bool(peer.accepted)


# What it takes


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, None),
        ("same-origin", SAME_ORIGIN),
        ("*", EVERY_ORIGIN),
        ([], AllowedOrigins(False)),
        (["same-origin"], SAME_ORIGIN),
        ([APP], AllowedOrigins(False, frozenset({"https://app.example"}))),
        ((APP, "same-origin"), AllowedOrigins(True, frozenset({"https://app.example"}))),
        ({"HTTPS://App.Example:443"}, AllowedOrigins(False, frozenset({"https://app.example"}))),
        (["http://[0:0::1]:80"], AllowedOrigins(False, frozenset({"http://[::1]"}))),
        (["tauri://localhost"], AllowedOrigins(False, frozenset({"tauri://localhost"}))),
    ],
)
def test_two_words_or_a_list_of_origins(written: Origins | None, read: AllowedOrigins | None) -> None:
    assert read_allowed_origins(written, LOCATION) == read


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("https://bücher.example", "xn--bcher-kva.example"),
        ("https://BÜCHER.example:8443", "xn--bcher-kva.example"),
        ("https://b\u0075\u0308cher.example", "xn--bcher-kva.example"),
        # As browsers do since 2023; in the IDNA of 2003, which Python has, this is the host fass.example.
        ("https://faß.example", "xn--fa-hia.example"),
        ("https://例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("https://\u212aelvin.example", "kelvin.example"),
        ("https://good\u3002example", "good.example"),
    ],
)
def test_a_host_in_any_script_is_the_one_that_browsers_send(written: str, host: str) -> None:
    read = read_allowed_origins([written], LOCATION)
    assert read is not None
    assert [origin.partition("://")[2].removesuffix(":8443") for origin in read.others] == [host]


def test_what_is_handed_over_may_change_afterwards() -> None:
    origins = [APP]
    route = APIWebSocketRoute("/", endpoint, allowed_origins=origins)
    origins.append(FOREIGN)
    assert not lets_in(route, FOREIGN)


# Which level decides


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ((), SAME_ORIGIN),
        ((None, None), SAME_ORIGIN),
        (("*", None), EVERY_ORIGIN),
        ((None, "*"), EVERY_ORIGIN),
        (("*", "same-origin"), SAME_ORIGIN),
        (("*", []), AllowedOrigins(False)),
    ],
)
def test_the_innermost_level_that_says_so_decides(said: tuple[Origins | None, ...], counts: AllowedOrigins) -> None:
    assert fold([Layer(origins=read_allowed_origins(origins, LOCATION)) for origins in said]).origins == counts


def in_route(origins: Any) -> ASGIApp:
    return APIWebSocketRoute("/", endpoint, allowed_origins=origins)


def in_router(origins: Any) -> ASGIApp:
    router = WebSocketRouter(allowed_origins=origins)
    router.websocket("/")(endpoint)
    return router


def in_router_route(origins: Any) -> ASGIApp:
    router = WebSocketRouter()
    router.websocket("/", allowed_origins=origins)(endpoint)
    return router


def in_inclusion(origins: Any) -> ASGIApp:
    outer, router = WebSocketRouter(), WebSocketRouter()
    router.websocket("/")(endpoint)
    outer.include_router(router, allowed_origins=origins)
    return outer


def in_gateway(origins: Any) -> ASGIApp:
    return WebSocketGateway("/", handler=endpoint, allowed_origins=origins)


def in_handler(origins: Any) -> ASGIApp:
    return WebSocketGateway("/", handler=websocket("/", allowed_origins=origins)(endpoint))


def in_view(origins: Any) -> ASGIApp:
    class View(WebSocketView):
        allowed_origins = origins

        @websocket()
        async def one(self, websocket: WebSocket) -> None:
            await websocket.accept()

    return WebSocketGateway("/", handler=View)


@pytest.mark.parametrize("level", [in_route, in_router, in_router_route, in_inclusion, in_gateway, in_handler, in_view])
def test_every_level_says_which_pages_may(level: Callable[[Any], ASGIApp]) -> None:
    assert [lets_in(level(None), *origin) for origin in ([], ["http://good.example"], [FOREIGN])] == [True, True, False]
    assert [lets_in(level([APP]), *origin) for origin in ([], ["http://good.example"], [APP])] == [True, False, True]
    assert lets_in(level("*"), FOREIGN)


def test_one_route_says_otherwise_than_its_router() -> None:
    router = WebSocketRouter(allowed_origins=[APP])
    router.websocket("/public", allowed_origins="*")(endpoint)
    router.websocket("/private")(endpoint)

    assert lets_in(router, FOREIGN, target="/public")
    assert not lets_in(router, FOREIGN, target="/private")


@pytest.mark.parametrize("through", ["attach", "routes", "mount"])
def test_an_application_around_it_changes_nothing(through: str) -> None:
    router = WebSocketRouter()
    router.websocket("/socket")(endpoint)
    routes: dict[str, list[BaseRoute]] = {"attach": [], "routes": [router], "mount": [Mount("/", router)]}
    app = Starlette(routes=routes[through])
    if through == "attach":
        router.attach(app)

    assert lets_in(app, "http://good.example", target="/socket")
    assert not lets_in(app, FOREIGN, target="/socket")


async def plain(websocket: WebSocket) -> None: ...


@pytest.mark.parametrize("route", [WebSocketRoute("/", plain), Route("/", plain), Mount("/m", Starlette())])
def test_a_route_that_is_none_of_ours_is_not_left_out_in_silence(route: Any) -> None:
    with pytest.raises(RouterError, match="is no route of wsroute"):
        WebSocketRouter(routes=[route], allowed_origins=[APP])


# What a page gets that may not


@pytest.mark.anyio
async def test_it_is_refused_with_403_before_anything_of_the_levels_runs() -> None:
    ran: list[str] = []

    class Noting:
        def __init__(self, app: ASGIApp) -> None:
            self._app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            ran.append("middleware")
            await self._app(scope, receive, send)

    class Asked(BasePermission):
        async def has_permission(self, websocket: WebSocket, route: object) -> bool:
            ran.append("permission")
            return True

    class Around(BaseInterceptor):
        async def intercept(self, websocket: WebSocket, call_next: Any) -> None:
            ran.append("interceptor")
            await call_next()

    async def dependency() -> AsyncIterator[None]:
        ran.append("dependency")
        yield

    async def handle(websocket: WebSocket, exc: Exception) -> None:
        ran.append("exception handler")

    router = WebSocketRouter(
        middleware=[Noting],
        permissions=[Asked],
        interceptors=[Around],
        dependencies=[Depends(dependency)],
        exception_handlers={403: handle, HTTPException: handle},
    )
    router.websocket("/")(endpoint)

    peer = peer_of(FOREIGN)
    await peer.serve(router)
    assert ran == []
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.json()) == (403, {"detail": "Origin not allowed"})
    await peer_of("http://good.example").serve(router)
    assert ran == ["middleware", "interceptor", "permission", "dependency"]


@pytest.mark.parametrize(
    ("reject", "denials", "sent"),
    [
        ("denial", True, ["websocket.http.response.start", "websocket.http.response.body"]),
        ("denial", False, ["websocket.close"]),
        ("close", True, ["websocket.close"]),
        ("accept", True, ["websocket.accept", "websocket.close"]),
    ],
)
@pytest.mark.parametrize("behind_middleware", [False, True])
@pytest.mark.anyio
async def test_it_is_refused_as_the_route_says(
    reject: Reject, denials: bool, sent: list[str], behind_middleware: bool
) -> None:
    class Transparent:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            raise AssertionError("it ran")

    route = APIWebSocketRoute("/", endpoint, reject=reject, middleware=[Transparent] if behind_middleware else None)
    peer = peer_of(FOREIGN, denials=denials)
    await peer.serve(route)

    assert [message["type"] for message in peer.sent] == sent
    if peer.closed:
        assert peer.closed == (1008, "Origin not allowed")


def test_the_application_may_word_the_refusal() -> None:
    async def worded(websocket: Any, exc: Any) -> PlainTextResponse:
        return PlainTextResponse(f"No: {exc.detail}", exc.status_code)

    app = Starlette(exception_handlers={403: worded})
    in_app = WebSocketRouter()
    in_app.websocket("/")(endpoint)
    in_app.attach(app)

    peer = serve(app, FOREIGN)
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.body) == (403, b"No: Origin not allowed")


def test_the_log_says_which_origin_it_was_and_which_one_is_the_connections(caplog: pytest.LogCaptureFixture) -> None:
    serve(in_route(None), f"{FOREIGN}\r\nforged " + "x" * 1000, scope={"scheme": "wss"})

    [record] = caplog.records
    assert (record.name, record.levelno) == ("wsroute", logging.WARNING)
    shown = repr(f"{FOREIGN}\r\nforged " + "x" * 74)
    assert record.getMessage() == (
        f"/: refused a page of the origin {shown}; allowed_origins= does not name it, and the connection's own is "
        "https://good.example"
    )


def test_who_may_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert lets_in(in_route(None), "http://good.example")
    assert caplog.records == []
