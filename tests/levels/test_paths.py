"""The paths of gateways: how they join those of routers, views and handlers."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.levels.talk import reply
from tests.mistakes.said import says
from wsroute import InvalidPathError, WebSocket, WebSocketGateway, WebSocketRouter, WebSocketView, websocket
from wsroute.routing.paths import join, without_spaces
from wsroute.testing import Peer

pytestmark = pytest.mark.anyio


async def tell(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json({name: str(value) for name, value in socket.path_params.items()})


def mounted(gateway: str | None, handler: str | None, **options: Any) -> WebSocketGateway:
    return WebSocketGateway(gateway, handler=websocket(handler)(tell), **options)


def view_at(path: str, handler: str) -> type[WebSocketView]:
    class View(WebSocketView):
        @websocket(handler)
        async def tell(self, socket: WebSocket) -> None:
            await tell(socket)

    View.path = path
    return View


# --- Slashes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gateway", "handler", "path"),
    [
        ("/ws/", "/a/", "/ws/a"),
        ("//ws//", "//a", "/ws/a"),
        ("/ws", "/a", "/ws/a"),
        ("ws", "a", "/ws/a"),
        ("/ws", None, "/ws"),
        ("/ws", "", "/ws"),
        ("/ws/", "/", "/ws"),
        (None, "/a", "/a"),
        ("", "a/", "/a"),
        ("/", "/", "/"),
        ("//", "//", "/"),
        (None, None, "/"),
        ("/ws//deep/", "//a//b//", "/ws/deep/a/b"),
        ("/{a}", "/{b}", "/{a}/{b}"),
        ("/v{a:int}.{b:int}/", "/x", "/v{a:int}.{b:int}/x"),
        ("/ws", "{rest:path}", "/ws/{rest:path}"),
    ],
)
def test_paths_of_gateway_and_handler_join_with_one_slash(gateway: str | None, handler: str | None, path: str) -> None:
    one = mounted(gateway, handler)
    assert (one.path, one.routes[0].path) == (path, path)


@pytest.mark.parametrize(
    ("gateway", "view", "handler", "path"),
    [
        ("/ws/", "/v/", "/a/", "/ws/v/a"),
        ("/", "/", "/", "/"),
        ("//ws//", "v", "//a//", "/ws/v/a"),
        ("", "", "", "/"),
        ("/{a}", "/{b: int}", "{ c }", "/{a}/{b:int}/{c}"),
    ],
)
def test_the_path_of_a_view_is_between(gateway: str, view: str, handler: str, path: str) -> None:
    one = WebSocketGateway(gateway, handler=view_at(view, handler))
    assert one.routes[0].path == path


@pytest.mark.parametrize(
    ("prefix", "inclusion", "gateway", "handler", "path"),
    [
        ("/api", "", "/", "/", "/api"),
        ("/api", "/v1", "/ws/", "/a/", "/v1/api/ws/a"),
        ("", "", "/ws/", "/", "/ws"),
        ("", "", "", "", "/"),
        ("/{tenant}", "/{version:int}", "/{room}", "/{seat: int}", "/{version:int}/{tenant}/{room}/{seat:int}"),
    ],
)
async def test_prefixes_of_routers_come_before(
    prefix: str, inclusion: str, gateway: str, handler: str, path: str
) -> None:
    inner, outer = WebSocketRouter(prefix, routes=[mounted(gateway, handler)]), WebSocketRouter()
    outer.include_router(inner, prefix=inclusion)
    (route,) = outer.routes
    assert route.path == path  # type: ignore[attr-defined]  # it is one of ours
    target = (
        path.replace("{version:int}", "1").replace("{seat:int}", "2").replace("{tenant}", "t").replace("{room}", "r")
    )
    assert (await Peer(target).serve(outer)).accepted


#: Pieces of paths: slashes in any number, names, parameters.
pieces = st.lists(st.sampled_from(["", "", "a", "b-c", "{x}", "v{y:int}", "{z:path}"]), max_size=4)


@given(above=pieces, below=pieces)
def test_any_two_paths_join_to_their_parts(above: list[str], below: list[str]) -> None:
    joined = join("/".join(above), "/".join(below))
    assert joined.startswith("/")
    assert joined == "/" or not joined.endswith("/")
    assert "//" not in joined
    assert [part for part in joined.split("/") if part] == [part for part in above + below if part]


@given(parts=st.lists(pieces, min_size=3, max_size=3))
def test_joining_does_not_depend_on_the_order_of_joining(parts: list[list[str]]) -> None:
    one, two, three = ("/".join(part) for part in parts)
    assert join(join(one, two), three) == join(one, join(two, three))
    assert join("", join(one, two)) == join(one, two)


async def test_a_slash_at_the_end_is_another_path_as_everywhere_in_starlette() -> None:
    app = mounted("/ws/", "/a/")
    assert (await Peer("/ws/a").serve(app)).accepted
    assert (await Peer("/ws/a/").serve(app)).accepted is None


async def test_a_router_keeps_what_stands_in_a_path_of_its_own() -> None:
    router = WebSocketRouter("/api")
    router.websocket("/slash/")(tell)
    assert (await Peer("/api/slash/").serve(router)).accepted
    assert (await Peer("/api/slash").serve(router)).accepted is None


# --- Parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/{age: int}", "/{age:int}"),
        ("/{ age : int }", "/{age:int}"),
        ("/{age :int}", "/{age:int}"),
        ("/{ age }", "/{age}"),
        ("/{age}", "/{age}"),
        ("/{age:int}/{name: str}", "/{age:int}/{name:str}"),
        ("/{not a name}", "/{not a name}"),
        ("/{}", "/{}"),
        ("/{ ñ }", "/{ ñ }"),
        ("/a b", "/a b"),
    ],
)
def test_spaces_inside_of_a_parameter_do_not_count(written: str, meant: str) -> None:
    assert without_spaces(written) == meant


async def test_a_parameter_with_a_space_is_converted() -> None:
    @websocket("/{age: int}")
    async def handler(socket: WebSocket, age: int) -> None:
        await socket.accept()
        await socket.send_json([age, socket.path_params])

    app = WebSocketGateway("/{name: str}", handler=handler)
    assert await reply(app, "/ada/36") == [36, {"name": "ada", "age": 36}]
    assert (await Peer("/ada/x").serve(app)).accepted is None
    assert (await Peer("/ada/%7Bage:%20int%7D").serve(app)).accepted is None


async def test_parameters_of_all_levels_are_injected() -> None:
    number = uuid.uuid4()

    class View(WebSocketView):
        path = "/{b:int}"

        @websocket("/{c:uuid}/{rest:path}")
        async def handle(self, socket: WebSocket, z: str, a: int, b: int, c: uuid.UUID, rest: str) -> None:
            await socket.accept()
            await socket.send_json([z, a, b, str(c), rest])

    router = WebSocketRouter("/{z}", routes=[WebSocketGateway("/{a: int}", handler=View)])
    assert await reply(router, f"/zed/1/2/{number}/x/y") == ["zed", 1, 2, str(number), "x/y"]


# --- The whole path --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gateway", "handler", "path"),
    [("/ws/a/", "/a", "/ws/a"), (None, "/a", "/"), ("//whole//{x: int}//", "/{y}", "/whole/{x:int}")],
)
def test_from_a_router_the_path_is_whole(gateway: str | None, handler: str, path: str) -> None:
    one = mounted(gateway, handler, is_from_router=True)
    assert (one.path, one.routes[0].path) == (path, path)
    assert not hasattr(one, "is_from_router")


async def test_from_a_router_it_is_served_there_only() -> None:
    app = mounted("/ws/{room}", "/ws/{room}", is_from_router=True)
    assert await reply(app, "/ws/5") == {"room": "5"}
    assert (await Peer("/ws/5/ws/5").serve(app)).accepted is None


def test_from_a_router_the_path_of_a_view_is_left_out_too() -> None:
    one = WebSocketGateway("/ws", handler=view_at("/v", "/a"), is_from_router=True)
    assert (one.path, one.routes[0].path) == ("/ws", "/ws")


def test_from_a_router_a_view_has_one_handler() -> None:
    class Two(WebSocketView):
        @websocket("/a")
        async def a(self, socket: WebSocket) -> None: ...

        @websocket("/b")
        async def b(self, socket: WebSocket) -> None: ...

    text = """
    is_from_router=True leaves out the paths of 2 handlers, so that they have one path
      WebSocketGateway('/ws')
         └─ HERE.Two
      expected: a handler, or a view with one handler
      remedy: leave is_from_router out
    """
    with says(InvalidPathError, text, test_from_a_router_a_view_has_one_handler):
        WebSocketGateway("/ws", handler=Two, is_from_router=True)


# --- Mistakes --------------------------------------------------------------------------------------------------------


def test_an_unknown_convertor_of_a_handler_is_reported_by_its_decorator() -> None:
    text = """
    the path '/{age:integer}' names an unknown convertor 'integer'
      @websocket('/{age: integer}')
      expected: one of str, path, int, float, uuid
      remedy: correct it, or register it with starlette.convertors.register_url_convertor() before the route
    """
    with pytest.raises(InvalidPathError) as raised:
        websocket("/{age: integer}")(tell)
    lines = [line.strip() for line in str(raised.value).splitlines()]
    expected = [line.strip() for line in text.strip().splitlines()]
    # Which convertors there are depends on what was registered.
    assert lines[:2] + lines[3:] == expected[:2] + expected[3:]
    assert lines[2].startswith(expected[2])


@pytest.mark.parametrize("path", ["/{age:}", "/{age", "/age}", "/{}", "/{1}", "/{a b}", "/{age<int}"])
def test_braces_that_are_no_parameter_are_reported_by_the_decorator(path: str) -> None:
    text = f"""
    the path {path!r} has braces that are no parameter
      @websocket({path!r})
      expected: {{name}} or {{name:convertor}}, without spaces
      remedy: correct the parameter; Starlette would match the braces literally
    """
    with says(InvalidPathError, text, tell):
        websocket(path)(tell)


def test_one_name_in_gateway_and_handler() -> None:
    text = """
    the path '/{item}/{item:int}' has two parameters 'item'
      route '/{item}/{item:int}'
      MODULE.tell
      expected: a name of its own for each parameter, those of all prefixes included
      remedy: rename one of them
    """
    with says(InvalidPathError, text, tell):
        mounted("/{item}", "/{item: int}")


def test_one_name_in_router_and_gateway() -> None:
    text = """
    the path '/{item}/ws/{item}' has two parameters 'item'
      route '/{item}/ws/{item}'
      MODULE.tell
      expected: a name of its own for each parameter, those of all prefixes included
      remedy: rename one of them
    """
    with says(InvalidPathError, text, tell):
        WebSocketRouter("/{item}", routes=[mounted("/ws", "/{item}")])


def test_one_name_in_view_and_handler() -> None:
    text = """
    the path '/{item}/{item}' has two parameters 'item'
      route '/{item}/{item}'
      MODULE.view_at.<locals>.View.tell
      expected: a name of its own for each parameter, those of all prefixes included
      remedy: rename one of them
    """
    with says(InvalidPathError, text, tell):
        WebSocketGateway(handler=view_at("/{item}", "/{item}"))


@pytest.mark.parametrize(
    ("declare", "where"),
    [
        (lambda: mounted("/{a:nope}", "/"), "WebSocketGateway('/{a:nope}')"),
        (lambda: WebSocketGateway(handler=view_at("/{a:nope}", "/")), "MODULE.view_at.<locals>.View"),
    ],
    ids=["gateway", "view"],
)
def test_an_unknown_convertor_is_reported_where_it_stands(declare: Any, where: str) -> None:
    with pytest.raises(InvalidPathError) as raised:
        declare()
    assert raised.value.problem == "the path '/{a:nope}' names an unknown convertor 'nope'"
    assert raised.value.location.lines() == [where.replace("MODULE", __name__)]
