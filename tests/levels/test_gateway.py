"""Gateways: what they are to Starlette and FastAPI, and that nothing they mount is changed or shared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Match, Mount, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.frameworks import FastAPI, fastapi
from tests.levels.talk import refusal, reply
from wsroute import (
    AllowAny,
    APIWebSocketRoute,
    BaseInterceptor,
    Depends,
    Inject,
    InvalidParameterError,
    Path,
    UninjectedEndpointError,
    WebSocket,
    WebSocketGateway,
    WebSocketRouter,
    WebSocketView,
    websocket,
)
from wsroute.testing import Peer

pytestmark = pytest.mark.anyio


def get_user(token: str = "nobody") -> str:
    return f"user {token}"


@websocket("/{room}")
async def chat(socket: WebSocket, room: str, user: str) -> None:
    await socket.accept()
    await socket.send_json([room, user, socket.scope["route"].path])


class Rooms(WebSocketView):
    path = "/rooms"

    @websocket("/{room}/chat")
    async def chat(self, socket: WebSocket, room: str, user: str) -> None:
        await socket.accept()
        await socket.send_json([room, user, socket.scope["route"].path])

    @websocket("/")
    async def every(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json("every")


class Tagging:
    """Middleware that appends to the scope."""

    def __init__(self, app: ASGIApp, tag: str = "tag") -> None:
        self.app = app
        self.tag = tag

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "tags": [*scope.get("tags", ()), self.tag]}, receive, send)


class Passing(BaseInterceptor):
    async def intercept(self, socket: WebSocket, call_next: Callable[[], Any]) -> None:
        await call_next()


async def get_nothing() -> None: ...


def handled(socket: WebSocket, exc: Exception) -> None: ...


def gateway(handler: Any = chat, path: str = "/ws") -> WebSocketGateway:
    return WebSocketGateway(path, handler=handler, dependencies={"user": Inject(get_user)})


# --- What it looks like ----------------------------------------------------------------------------------------------


def test_the_parameters_are_those_that_people_know() -> None:
    empty = inspect.Parameter.empty
    assert [
        (item.name, item.kind.name, item.default) for item in inspect.signature(WebSocketGateway).parameters.values()
    ] == [
        ("path", "POSITIONAL_OR_KEYWORD", None),
        ("handler", "KEYWORD_ONLY", empty),
        ("name", "KEYWORD_ONLY", None),
        ("parent", "KEYWORD_ONLY", None),
        ("dependencies", "KEYWORD_ONLY", None),
        ("middleware", "KEYWORD_ONLY", None),
        ("interceptors", "KEYWORD_ONLY", None),
        ("permissions", "KEYWORD_ONLY", None),
        ("exception_handlers", "KEYWORD_ONLY", None),
        ("is_from_router", "KEYWORD_ONLY", False),
        ("allowed_origins", "KEYWORD_ONLY", None),
        ("max_connections", "KEYWORD_ONLY", None),
    ]


def test_the_parameters_of_the_decorator_are_those_of_the_levels() -> None:
    parameters = inspect.signature(websocket).parameters.values()
    assert [(item.name, item.kind.name, item.default) for item in parameters] == [
        ("path", "POSITIONAL_OR_KEYWORD", None),
        ("name", "KEYWORD_ONLY", None),
        ("dependencies", "KEYWORD_ONLY", None),
        ("middleware", "KEYWORD_ONLY", None),
        ("interceptors", "KEYWORD_ONLY", None),
        ("permissions", "KEYWORD_ONLY", None),
        ("exception_handlers", "KEYWORD_ONLY", None),
        ("allowed_origins", "KEYWORD_ONLY", None),
        ("max_connections", "KEYWORD_ONLY", None),
    ]


@pytest.mark.parametrize("function", [APIWebSocketRoute, WebSocketRouter, WebSocketRouter.websocket])
def test_routes_and_routers_take_the_same_levels(function: Any) -> None:
    levels = {"dependencies", "middleware", "interceptors", "permissions", "exception_handlers", "allowed_origins"}
    for takes in (function, WebSocketRouter.include_router):
        parameters = inspect.signature(takes).parameters
        assert all(parameters[name].kind.name == "KEYWORD_ONLY" for name in levels)
        assert all(parameters[name].default is None for name in levels)


def test_the_attributes_are_what_was_given() -> None:
    parent, middleware = object(), Middleware(Tagging)
    one = WebSocketGateway(
        "/ws/",
        handler=chat,
        name="chat room",
        parent=parent,
        dependencies=[Depends(get_user), {"user": get_user}],
        middleware=[middleware, Tagging],
        interceptors=[Passing],
        permissions=[AllowAny],
        exception_handlers={ValueError: handled, 404: handled},
    )
    assert (one.path, one.name, one.handler, one.parent) == ("/ws/{room}", "chat room", chat, parent)
    assert one.dependencies == [Depends(get_user), {"user": get_user}]
    assert one.middleware == [middleware, Tagging]
    assert (one.interceptors, one.permissions) == ([Passing], [AllowAny])
    assert one.exception_handlers == {ValueError: handled, 404: handled}
    assert (one.path_format, list(one.param_convertors)) == ("/ws/{room}", ["room"])
    assert one.path_regex.match("/ws/5")


def test_the_attributes_without_anything_given() -> None:
    one = WebSocketGateway(handler=get_nothing)
    assert (one.path, one.name, one.handler, one.parent) == ("/", "get_nothing", get_nothing, None)
    assert (one.dependencies, one.middleware, one.interceptors, one.permissions) == ({}, [], [], [])
    assert one.exception_handlers == {}
    assert gateway().dependencies == {"user": Inject(get_user)}


def test_it_is_a_route_of_starlette() -> None:
    for one in (gateway(), gateway(Rooms)):
        assert isinstance(one, WebSocketRoute)
        assert one.app is one
        assert one in [one]
        assert one != gateway(chat, "/other")


def test_its_endpoint_is_that_of_the_handler() -> None:
    assert gateway().endpoint == chat
    assert gateway(get_nothing).endpoint == get_nothing
    assert gateway(Rooms).endpoint == Rooms


def test_its_routes_have_their_whole_paths() -> None:
    assert [(route.path, route.name) for route in gateway().routes] == [("/ws/{room}", "chat")]
    assert [(route.path, route.name) for route in gateway(Rooms).routes] == [
        ("/ws/rooms/{room}/chat", "chat"),
        ("/ws/rooms", "every"),
    ]
    assert gateway(Rooms).path == "/ws/rooms"
    assert all(isinstance(route, APIWebSocketRoute) for route in gateway(Rooms).routes)


def test_callers_lists_and_mappings_are_neither_changed_nor_kept() -> None:
    dependencies: dict[str, Any] = {"user": get_user}
    handlers: dict[Any, Any] = {ValueError: handled}
    lists: dict[str, list[Any]] = {
        "middleware": [Tagging],
        "interceptors": [Passing],
        "permissions": [AllowAny],
    }
    before: Any = (dict(dependencies), dict(handlers), {name: list(given) for name, given in lists.items()})
    gateways = [
        WebSocketGateway("/ws", handler=handler, dependencies=dependencies, exception_handlers=handlers, **lists)  # type: ignore[arg-type]  # the three lists of a mapping
        for handler in (chat, Rooms, get_nothing, chat)
    ]
    for one in gateways:
        one.check()
    assert (dependencies, handlers, lists) == before
    dependencies.clear()
    handlers.clear()
    for given in lists.values():
        given.clear()
    for one in gateways:
        assert (one.dependencies, one.exception_handlers) == before[:2]
        assert (one.middleware, one.interceptors, one.permissions) == tuple(before[2].values())


# --- Where it is used ------------------------------------------------------------------------------------------------


def in_starlette(one: WebSocketGateway) -> ASGIApp:
    return Starlette(routes=[Route("/ws/html", get_nothing), one])


def in_router(one: WebSocketGateway) -> ASGIApp:
    return WebSocketRouter(routes=[one])


def in_starlettes_router(one: WebSocketGateway) -> ASGIApp:
    return Router(routes=[one])


def in_fastapi(one: WebSocketGateway) -> ASGIApp:
    app = FastAPI()
    app.router.routes.append(one)
    return app


def attached(one: WebSocketGateway) -> ASGIApp:
    app = FastAPI()
    WebSocketRouter(routes=[one]).attach(app)
    return app


def alone(one: WebSocketGateway) -> ASGIApp:
    return one


PLACES = [in_starlette, in_router, in_starlettes_router, in_fastapi, attached, alone]


@pytest.mark.parametrize("place", PLACES)
async def test_a_handler_is_served(place: Callable[[WebSocketGateway], ASGIApp]) -> None:
    assert await reply(place(gateway()), "/ws/5?token=t") == ["5", "user t", "/ws/{room}"]


@pytest.mark.parametrize("place", PLACES)
async def test_a_view_is_served(place: Callable[[WebSocketGateway], ASGIApp]) -> None:
    app = place(gateway(Rooms))
    assert await reply(app, "/ws/rooms/5/chat") == ["5", "user nobody", "/ws/rooms/{room}/chat"]
    assert await reply(app, "/ws/rooms") == "every"


@pytest.mark.parametrize("place", PLACES)
async def test_another_path_is_not_served(place: Callable[[WebSocketGateway], ASGIApp]) -> None:
    for target in ("/ws", "/ws/", "/ws/5/", "/ws/5/6", "/"):
        peer = await Peer(target).serve(place(gateway()))
        assert peer.accepted is None


@pytest.mark.parametrize(
    "mounted", [lambda one: one, in_router, in_starlette, in_starlettes_router], ids=["it", "router", "app", "Router"]
)
@pytest.mark.parametrize("around", [Starlette, FastAPI, WebSocketRouter])
async def test_it_is_served_below_a_mount(around: Any, mounted: Callable[[WebSocketGateway], ASGIApp]) -> None:
    app = around(routes=[Mount("/api/{version}", mounted(gateway(Rooms)))])
    assert await reply(app, "/api/1/ws/rooms/5/chat") == ["5", "user nobody", "/ws/rooms/{room}/chat"]
    assert await reply(app, "/api/1/ws/rooms") == "every"


async def test_a_parameter_of_the_mount_can_be_declared() -> None:
    @websocket("/{room}")
    async def handler(socket: WebSocket, version: Annotated[int, Path()], room: str) -> None:
        await socket.accept()
        await socket.send_json([version, room])

    app = Starlette(routes=[Mount("/{version}", routes=[WebSocketGateway(handler=handler)])])
    assert await reply(app, "/3/x") == [3, "x"]


async def test_it_stands_between_other_routes_as_starlette_would_have_it() -> None:
    @websocket("/fixed")
    async def fixed(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json("fixed")

    first = Starlette(routes=[WebSocketGateway("/ws", handler=fixed), gateway()])
    second = Starlette(routes=[gateway(), WebSocketGateway("/ws", handler=fixed)])
    assert await reply(first, "/ws/fixed") == "fixed"
    assert await reply(second, "/ws/fixed") == ["fixed", "user nobody", "/ws/{room}"]


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(
    ("handler", "rebuilt"),
    [(chat, "/ws/5"), (get_nothing, "/ws"), (Rooms, "/ws/rooms")],
    ids=["handler", "plain", "view"],
)
async def test_fastapis_include_router_refuses_every_connection(handler: Any, rebuilt: str, prefix: str) -> None:
    """It rebuilds the route from its endpoint, past the injection and all levels."""
    inner, app = fastapi.APIRouter(), FastAPI()
    inner.routes.append(gateway(handler))
    app.include_router(inner, prefix=prefix)

    peer = Peer(prefix + rebuilt)
    with pytest.raises(UninjectedEndpointError):
        await peer.serve(app)
    assert peer.denial is not None
    assert peer.denial.status == 500
    assert (await Peer(f"{prefix}/ws/rooms/5/chat").serve(app)).accepted is None


async def test_calling_a_handler_is_an_error() -> None:
    with pytest.raises(UninjectedEndpointError):
        await chat(None, "5", "user")
    with pytest.raises(UninjectedEndpointError):
        await chat(socket=None)
    await chat.fn(Told(), "5", "user")


class Told:
    """What the handler above uses of a WebSocket."""

    scope: Mapping[str, Any] = {"route": gateway()}

    async def accept(self) -> None: ...

    async def send_json(self, value: Any) -> None: ...


async def test_a_handler_as_an_application_refuses() -> None:
    peer = Peer("/")
    with pytest.raises(UninjectedEndpointError):
        await peer.serve(chat)
    assert peer.denial is not None
    assert peer.denial.status == 500


async def test_alone_it_answers_like_an_application() -> None:
    assert await refusal(gateway(), "/elsewhere") == (404, "Not Found")
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "path": "/ws/5", "root_path": "", "headers": [], "query_string": b""}
    await gateway()(scope, None, send)  # type: ignore[arg-type]  # nothing is received
    assert messages[0]["status"] == 426
    await gateway()({**scope, "path": "/elsewhere"}, None, send)  # type: ignore[arg-type]  # nothing is received
    assert messages[2]["status"] == 404


async def test_alone_it_does_not_start_with_a_mistake() -> None:
    sent: list[Any] = []
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await gateway()({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    incoming.append({"type": "lifespan.startup"})
    with pytest.raises(InvalidParameterError):
        await WebSocketGateway(handler=Needing)({"type": "lifespan"}, receive, send)
    assert sent[2:] == ["lifespan.startup.failed"]


class Needing(WebSocketView):
    @websocket("/")
    async def handle(self, socket: WebSocket, user: Told) -> None: ...


def test_what_it_matches_is_one_of_its_routes() -> None:
    one = gateway(Rooms)
    match, child_scope = one.matches({"type": "websocket", "path": "/ws/rooms/5/chat", "root_path": ""})
    assert match is Match.FULL
    assert child_scope["route"] is one.routes[0]
    assert child_scope["path_params"] == {"room": "5"}
    assert child_scope["endpoint"] is one.routes[0].endpoint.__wrapped__
    assert one.matches({"type": "websocket", "path": "/ws", "root_path": ""}) == (Match.NONE, {})
    assert one.matches({"type": "http", "path": "/ws/rooms", "root_path": ""}) == (Match.NONE, {})


# --- What it mounts --------------------------------------------------------------------------------------------------


async def test_a_plain_function_is_mounted_as_it_is() -> None:
    async def plain(socket: WebSocket, user: str, room: int) -> None:
        await socket.accept()
        await socket.send_json([room, user])

    assert await reply(gateway(plain, "/{room: int}"), "/7") == [7, "user nobody"]


async def test_a_callable_instance_is_mounted() -> None:
    class Endpoint:
        async def __call__(self, socket: WebSocket, user: str) -> None:
            await socket.accept()
            await socket.send_json(user)

    one = gateway(Endpoint())
    assert await reply(one, "/ws") == "user nobody"
    assert one.name == "Endpoint"


async def test_one_handler_in_two_gateways_is_two_routes() -> None:
    log: list[str] = []

    class Permission:
        async def has_permission(self, socket: WebSocket, route: Any) -> bool:
            log.append(route.path)
            return True

    first = WebSocketGateway("/a", handler=chat, dependencies={"user": lambda: "a"}, permissions=[Permission])
    second = WebSocketGateway("/b", handler=chat, dependencies={"user": lambda: "b"}, middleware=[Tagging])
    app = WebSocketRouter(routes=[first, second])
    for _ in range(2):
        assert await reply(app, "/a/1") == ["1", "a", "/a/{room}"]
        assert await reply(app, "/b/2") == ["2", "b", "/b/{room}"]
    assert log == ["/a/{room}"] * 2
    assert (chat.path, chat.dependencies, chat.permissions, chat.middleware) == ("/{room}", (), (), ())


async def test_one_gateway_in_two_applications_is_two_routes() -> None:
    one = gateway()
    router = WebSocketRouter("/api", routes=[one], dependencies={"user": lambda: "hidden"})
    other = WebSocketRouter("/other", routes=[WebSocketGateway(handler=chat)], dependencies={"user": lambda: "other"})
    router.dependency_overrides[get_user] = lambda: "overridden"
    assert await reply(router, "/api/ws/1") == ["1", "overridden", "/api/ws/{room}"]
    assert await reply(other, "/other/1") == ["1", "other", "/other/{room}"]
    assert await reply(one, "/ws/1") == ["1", "user nobody", "/ws/{room}"]
    assert one.routes[0].path == "/ws/{room}"


async def test_levels_of_both_styles_mix() -> None:
    log: list[str] = []

    def note(name: str) -> Any:
        async def effect() -> None:
            log.append(name)

        return Depends(effect)

    @websocket("/{room}", dependencies=[note("handler")])
    async def handler(socket: WebSocket, room: int, user: Annotated[str, Depends(get_user)], tag: str) -> None:
        await socket.accept()
        await socket.send_json([room, user, tag, socket.scope["tags"]])

    inner = WebSocketRouter(
        "/inner",
        routes=[
            WebSocketGateway(
                "/gateway", handler=handler, dependencies=[note("gateway")], middleware=[Middleware(Tagging, tag="g")]
            )
        ],
        middleware=[Middleware(Tagging, tag="inner")],
    )

    @inner.websocket("/plain", dependencies=[note("route")])
    async def plain(socket: WebSocket, tag: str) -> None:
        await socket.accept()
        await socket.send_json([tag, socket.scope["tags"]])

    outer = WebSocketRouter("/outer", dependencies=[note("outer"), {"tag": lambda: "provided"}], middleware=[Tagging])
    outer.include_router(inner, dependencies=[note("inclusion")])
    assert await reply(outer, "/outer/inner/gateway/5") == [5, "user nobody", "provided", ["tag", "inner", "g"]]
    assert log == ["outer", "inclusion", "gateway", "handler"]
    log.clear()
    assert await reply(outer, "/outer/inner/plain") == ["provided", ["tag", "inner"]]
    assert log == ["outer", "inclusion", "route"]


async def test_middleware_of_a_gateway_may_answer_itself() -> None:
    class Refusing:
        def __init__(self, app: ASGIApp) -> None: ...

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "websocket.close", "code": 4000, "reason": "no"})

    peer = await Peer().serve(WebSocketGateway(handler=get_nothing, middleware=[Refusing]))
    assert peer.closed == (4000, "no")


def test_sequences_of_every_kind_are_taken() -> None:
    given: Sequence[Any] = (AllowAny,)
    one = WebSocketGateway(handler=get_nothing, permissions=given, dependencies=(), middleware=())
    assert one.permissions == [AllowAny]
    assert one.dependencies == []


async def test_it_finds_its_route_where_the_scope_does_not_say_which_one_has_matched() -> None:
    """A router of another kind may update the scope with nothing of what `matches()` gave."""
    for one in (gateway(), gateway(Rooms)):

        async def foreign(scope: Scope, receive: Receive, send: Send, one: WebSocketGateway = one) -> None:
            assert one.matches(scope)[0] is Match.FULL
            await one.handle(scope, receive, send)

        assert await reply(foreign, "/ws/rooms" if one.handler is Rooms else "/ws/5")


async def test_middleware_and_handlers_without_a_signature_are_taken_as_they_are() -> None:
    class Unsigned:
        @property
        def __signature__(self) -> Any:
            raise ValueError("none")

        def __call__(self, *args: Any) -> Any:
            return Tagging(args[0])

    class Raising:
        @property
        def __signature__(self) -> Any:
            raise ValueError("none")

        async def __call__(self, socket: WebSocket, exc: Exception) -> None:
            await socket.close(4000, str(exc))

    async def failing(socket: WebSocket) -> None:
        raise ValueError(socket.scope["tags"])

    app = WebSocketGateway(
        handler=failing,
        middleware=[Middleware(Unsigned())],
        exception_handlers={ValueError: Raising()},
    )
    assert (await Peer().serve(app)).closed == (4000, "['tag']")


async def test_a_gateway_can_be_added_to_a_router_that_exists() -> None:
    async def reply_with_name(socket: WebSocket, name: str) -> None:
        await socket.accept()
        await socket.send_text(name)

    router = WebSocketRouter("/api", dependencies={"name": lambda: "ann"})
    router.add_route(WebSocketGateway("/me", handler=reply_with_name))
    router.add_route(WebSocketRouter("/inner", routes=[WebSocketGateway("/me", handler=reply_with_name)]))

    for path in ("/api/me", "/api/inner/me"):
        peer = Peer(path)
        peer.leave()
        await peer.serve(router)
        assert peer.frames == ["ann"]
