"""Names: how levels make them, and the paths that they give back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.datastructures import URL, URLPath
from starlette.routing import BaseRoute, Mount, NoMatchFound, Route, Router

from tests.frameworks import FastAPI
from tests.levels.talk import reply
from wsroute import APIWebSocketRoute, WebSocket, WebSocketGateway, WebSocketRouter, WebSocketView, websocket

pytestmark = pytest.mark.anyio


async def plain(socket: WebSocket) -> None: ...


unnamed = websocket("/{room}")(plain)
named = websocket("/{room}", name="chat")(plain)


class View(WebSocketView):
    path = "/view"

    @websocket("/{number:int}")
    async def first(self, socket: WebSocket) -> None: ...

    @websocket("/second", name="two")
    async def second(self, socket: WebSocket) -> None: ...


def names(*routes: BaseRoute) -> list[str]:
    return [route.name for route in WebSocketRouter(routes=routes).routes]  # type: ignore[attr-defined]  # all are ours


# --- What things are called ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handler", "name", "called"),
    [
        (plain, None, ["plain"]),
        (plain, "gw", ["gw"]),
        (unnamed, None, ["plain"]),
        (unnamed, "gw", ["gw"]),
        (named, None, ["chat"]),
        (named, "gw", ["gw:chat"]),
        (View, None, ["first", "two"]),
        (View, "gw", ["gw:first", "gw:two"]),
    ],
)
def test_a_route_is_called_after_gateway_and_handler(handler: Any, name: str | None, called: list[str]) -> None:
    gateway = WebSocketGateway("/ws", handler=handler, name=name)
    assert [route.name for route in gateway.routes] == called
    assert names(gateway) == called


@pytest.mark.parametrize(
    ("handler", "name", "called"),
    [(plain, None, "plain"), (named, None, "chat"), (named, "gw", "gw"), (View, None, "View"), (View, "gw", "gw")],
)
def test_a_gateway_is_called_as_it_was_told_or_after_what_it_mounts(
    handler: Any, name: str | None, called: str
) -> None:
    assert WebSocketGateway("/ws", handler=handler, name=name).name == called


def test_names_of_routers_come_before() -> None:
    inner = WebSocketRouter("/inner", routes=[WebSocketGateway(handler=named, name="gw")], name="in")
    inner.websocket("/plain")(plain)
    between, outer = WebSocketRouter(), WebSocketRouter(name="out")
    between.include_router(inner)
    outer.include_router(between)
    outer.add_api_websocket_route("/own", plain, name="own")
    assert [route.name for route in inner.routes] == ["in:gw:chat", "in:plain"]  # type: ignore[attr-defined]  # ours
    assert [route.name for route in between.routes] == ["in:gw:chat", "in:plain"]  # type: ignore[attr-defined]  # ours
    assert [route.name for route in outer.routes] == ["out:in:gw:chat", "out:in:plain", "out:own"]  # type: ignore[attr-defined]  # ours


# --- What a name gives -----------------------------------------------------------------------------------------------


def application() -> WebSocketRouter:
    inner = WebSocketRouter("/inner/{tenant}", name="inner", routes=[WebSocketGateway("/ws", handler=named, name="gw")])
    outer = WebSocketRouter("/outer", name="outer", routes=[WebSocketGateway(handler=View, name="view"), inner])
    outer.websocket("/plain/{number:int}/{id:uuid}/{rest:path}")(plain)
    return outer


NUMBER = UUID(int=7)
#: Each name with its parameters, and its path.
REVERSED: list[tuple[str, dict[str, Any], str]] = [
    ("outer:inner:gw:chat", {"tenant": "t", "room": "r"}, "/outer/inner/t/ws/r"),
    ("outer:view:first", {"number": 3}, "/outer/view/3"),
    ("outer:view:two", {}, "/outer/view/second"),
    ("outer:plain", {"number": 1, "id": NUMBER, "rest": "a/b"}, f"/outer/plain/1/{NUMBER}/a/b"),
]


@pytest.mark.parametrize(("name", "params", "path"), REVERSED)
def test_a_name_gives_the_path(name: str, params: dict[str, Any], path: str) -> None:
    router = application()
    for app in (router, Starlette(routes=[router]), FastAPI(routes=[router]), Router(routes=[router])):
        found = app.url_path_for(name, **params)
        assert (found, found.protocol) == (path, "websocket")


@pytest.mark.parametrize(("name", "params", "path"), REVERSED)
@pytest.mark.parametrize("mounted", [lambda app: app, lambda app: Starlette(routes=[app])], ids=["router", "app"])
def test_a_name_gives_the_path_through_mounts(mounted: Any, name: str, params: dict[str, Any], path: str) -> None:
    app = Starlette(routes=[Mount("/{version}", mounted(application()), name="api")])
    assert app.url_path_for(f"api:{name}", version="v1", **params) == f"/v1{path}"
    unnamed = Starlette(routes=[Mount("/m", mounted(application()))])
    assert unnamed.url_path_for(name, **params) == f"/m{path}"


def test_a_gateway_gives_its_paths_through_a_named_mount() -> None:
    for mounted in (
        WebSocketGateway("/ws", handler=View, name="gw"),
        WebSocketRouter(routes=[WebSocketGateway("/ws", handler=View, name="gw")]),
    ):
        app = Starlette(routes=[Mount("/m", mounted, name="mount")])
        assert app.url_path_for("mount:gw:first", number=3) == "/m/ws/view/3"
        assert app.url_path_for("mount:gw:two") == "/m/ws/view/second"


def test_a_gateway_alone_gives_its_paths() -> None:
    gateway = WebSocketGateway("/ws", handler=View, name="gw")
    assert gateway.url_path_for("gw:first", number=3) == "/ws/view/3"
    assert WebSocketGateway("/ws", handler=named).url_path_for("chat", room="r") == "/ws/r"
    assert Starlette(routes=[gateway]).url_path_for("gw:two") == "/ws/view/second"


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("outer:view:first", {}),
        ("outer:view:first", {"number": 3, "more": 4}),
        ("outer:view:two", {"number": 3}),
        ("outer:inner:gw:chat", {"room": "r"}),
        ("view:first", {"number": 3}),
        ("outer:view", {"number": 3}),
        ("first", {"number": 3}),
        ("nobody", {}),
    ],
)
def test_missing_and_extra_parameters_and_unknown_names_give_nothing(name: str, params: dict[str, Any]) -> None:
    router = application()
    apps: list[Any] = [router, Starlette(routes=[router]), Starlette(routes=[Mount("/m", router)])]
    for app in apps:
        with pytest.raises(NoMatchFound):
            app.url_path_for(name, **params)
    with pytest.raises(NoMatchFound):
        WebSocketGateway("/outer", handler=View, name="outer:view").url_path_for(name, **params)


def test_of_two_routes_of_one_name_the_one_with_these_parameters_is_it() -> None:
    router = WebSocketRouter(
        routes=[
            WebSocketGateway("/a", handler=unnamed, name="same"),
            WebSocketGateway("/b", handler=plain, name="same"),
            APIWebSocketRoute("/c", plain, name="same"),
        ]
    )
    assert router.url_path_for("same", room="r") == "/a/r"
    assert router.url_path_for("same") == "/b"


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://example.org/", "wss://example.org/outer/view/3"),
        ("http://example.org:8000/", "ws://example.org:8000/outer/view/3"),
        ("wss://example.org/app/", "wss://example.org/app/outer/view/3"),
    ],
)
def test_an_absolute_url_has_the_scheme_of_sockets(base: str, url: str) -> None:
    path = application().url_path_for("outer:view:first", number=3)
    assert isinstance(path, URLPath)
    assert str(path.make_absolute_url(base)) == str(path.make_absolute_url(URL(base))) == url


async def test_a_handler_finds_the_urls_of_others() -> None:
    @websocket("/{room}")
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json(
            [str(socket.url_for("outer:gw", room="x")), str(socket.url_for("page")), socket.scope["route"].name]
        )

    router = WebSocketRouter("/outer", name="outer", routes=[WebSocketGateway("/ws", handler=handler, name="gw")])
    app = Starlette(routes=[Route("/page", plain, name="page"), router])
    scheme = {"scheme": "wss", "headers": [(b"host", b"example.org")]}
    assert await reply(app, "/outer/ws/a", scope=scheme) == [
        "wss://example.org/outer/ws/x",
        "https://example.org/page",
        "outer:gw",
    ]
