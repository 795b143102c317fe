"""Views: handlers that belong together, and an instance for each connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest

from tests.levels.talk import refusal, reply
from wsroute import (
    AllowAny,
    BaseInterceptor,
    BasePermission,
    DenyAll,
    Depends,
    HTTPException,
    Injects,
    WebSocket,
    WebSocketGateway,
    WebSocketRouter,
    WebSocketView,
    websocket,
)
from wsroute.testing import Peer

pytestmark = pytest.mark.anyio


async def say(socket: WebSocket, word: object) -> None:
    await socket.accept()
    await socket.send_json(word)


def paths(view: type[WebSocketView], **options: Any) -> list[tuple[str, str]]:
    return [(route.path, route.name) for route in WebSocketGateway("/ws", handler=view, **options).routes]


class Base(WebSocketView):
    path = "/base"

    @websocket("/first")
    async def first(self, socket: WebSocket) -> None:
        await say(socket, ["base first", type(self).__name__])

    @websocket("/second", name="number two")
    async def second(self, socket: WebSocket) -> None:
        await say(socket, ["base second", type(self).__name__])


class Other(WebSocketView):
    @websocket("/other")
    async def other(self, socket: WebSocket) -> None:
        await say(socket, ["other", type(self).__name__])


# --- Which handlers it has -------------------------------------------------------------------------------------------


async def test_handlers_of_base_classes_are_handlers_too() -> None:
    class Derived(Base):
        @websocket("/third")
        async def third(self, socket: WebSocket) -> None:
            await say(socket, "third")

    assert paths(Derived) == [
        ("/ws/base/first", "first"),
        ("/ws/base/second", "number two"),
        ("/ws/base/third", "third"),
    ]
    assert await reply(WebSocketGateway(handler=Derived), "/base/first") == ["base first", "Derived"]


async def test_a_subclass_overrides_a_handler_at_its_place() -> None:
    class Derived(Base):
        path = "/derived"

        @websocket("/first/{number}")
        async def first(self, socket: WebSocket, number: int) -> None:
            await say(socket, number)

    assert [path for path, _ in paths(Derived)] == ["/ws/derived/first/{number}", "/ws/derived/second"]
    assert await reply(WebSocketGateway(handler=Derived), "/derived/first/3") == 3


@pytest.mark.parametrize("instead", [None, 3, lambda self: None])
def test_something_else_of_its_name_takes_a_handler_away(instead: Any) -> None:
    derived = type("Derived", (Base,), {"first": instead})
    assert [path for path, _ in paths(derived)] == ["/ws/base/second"]


def test_several_bases_follow_the_order_of_resolution() -> None:
    class Both(Base, Other):
        path = "/both"

        @websocket("/mine")
        async def other(self, socket: WebSocket) -> None: ...

    assert [path for path, _ in paths(Both)] == ["/ws/both/mine", "/ws/both/first", "/ws/both/second"]


def test_a_mixin_that_is_no_view_has_handlers_too() -> None:
    class Mixin:
        @websocket("/mixed")
        async def mixed(self, socket: WebSocket) -> None: ...

    class Mixed(Mixin, Other): ...

    assert [path for path, _ in paths(Mixed)] == ["/ws/other", "/ws/mixed"]


async def test_a_static_method_is_a_handler_without_an_instance() -> None:
    class Static(WebSocketView):
        def __init__(self) -> None:
            raise AssertionError("made")

        @websocket("/above")
        @staticmethod
        async def above(socket: WebSocket, limit: int = 3) -> None:
            await say(socket, limit)

    assert await reply(WebSocketGateway(handler=Static), "/above?limit=4") == 4


async def test_helpers_of_a_view_are_no_handlers() -> None:
    class Helped(Other):
        async def helper(self, socket: WebSocket) -> None: ...

        @property
        def word(self) -> str:
            raise AssertionError("looked at")

    assert [path for path, _ in paths(Helped)] == ["/ws/other"]


def test_a_handler_may_be_shared_by_two_views() -> None:
    class Again(WebSocketView):
        path = "/again"
        handler = Base.first

    assert paths(Again) == [("/ws/again/first", "first")]


# --- Its instances ---------------------------------------------------------------------------------------------------


async def test_each_connection_has_an_instance_of_its_own() -> None:
    instances: list[Any] = []

    class Counting(WebSocketView):
        def __init__(self) -> None:
            instances.append(self)
            self.count = 0

        @websocket("/")
        async def handle(self, socket: WebSocket) -> None:
            self.count += 1
            await say(socket, self.count)

    gateway = WebSocketGateway(handler=Counting)
    assert instances == []
    assert [await reply(gateway) for _ in range(3)] == [1, 1, 1]
    assert len(set(map(id, instances))) == 3


async def test_the_constructor_is_injected_from_everywhere() -> None:
    log: list[str] = []

    async def session() -> AsyncIterator[str]:
        log.append("open")
        yield "session"
        log.append("close")

    class Injected(WebSocketView):
        path = "/{room}"
        dependencies = {"user": lambda: "user"}

        def __init__(
            self,
            socket: WebSocket,
            room: int,
            user: str,
            greeting: Annotated[str, Injects()],
            session: Annotated[str, Depends(session)],
            limit: int = 3,
        ) -> None:
            self.said = [room, user, greeting, session, limit, socket.url.path]

        @websocket("/handle")
        async def handle(self, socket: WebSocket, session: Annotated[str, Depends(session)]) -> None:
            await say(socket, [*self.said, session])

    gateway = WebSocketGateway("/ws", handler=Injected, dependencies={"greeting": lambda: "hello"})
    assert await reply(gateway, "/ws/5/handle?limit=4") == [
        5, "user", "hello", "session", 4, "/ws/5/handle", "session",
    ]  # fmt: skip
    assert log == ["open", "close"]


async def test_a_constructor_gets_what_the_handler_provides() -> None:
    class Near(WebSocketView):
        dependencies = {"word": lambda: "view"}

        def __init__(self, word: str) -> None:
            self.word = word

        @websocket("/a")
        async def a(self, socket: WebSocket) -> None:
            await say(socket, self.word)

        @websocket("/b", dependencies={"word": lambda word: f"handler's {word}"})
        async def b(self, socket: WebSocket) -> None:
            await say(socket, self.word)

    gateway = WebSocketGateway(handler=Near)
    assert await reply(gateway, "/a") == "view"
    assert await reply(gateway, "/b") == "handler's view"


async def test_bad_parameters_of_constructor_and_handler_are_told_together() -> None:
    class Strict(WebSocketView):
        def __init__(self, a: int) -> None:
            raise AssertionError("made")

        @websocket("/")
        async def handle(self, socket: WebSocket, b: int) -> None: ...

    status, detail = await refusal(WebSocketGateway(handler=Strict), "/?a=x")
    assert (status, [error["loc"] for error in detail]) == (422, [["query", "a"], ["query", "b"]])


async def test_a_constructor_may_refuse() -> None:
    class Refusing(WebSocketView):
        def __init__(self) -> None:
            raise HTTPException(401, "who?")

        @websocket("/")
        async def handle(self, socket: WebSocket) -> None: ...

    assert await refusal(WebSocketGateway(handler=Refusing)) == (401, "who?")


async def test_an_instance_is_made_only_after_the_permissions() -> None:
    class Guarded(WebSocketView):
        permissions = [DenyAll]

        def __init__(self) -> None:
            raise AssertionError("made")

        @websocket("/")
        async def handle(self, socket: WebSocket) -> None: ...

    assert await refusal(WebSocketGateway(handler=Guarded)) == (403, "Forbidden")


async def test_the_first_parameter_is_the_instance_whatever_it_is_called() -> None:
    class Odd(WebSocketView):
        word = "odd"

        @websocket("/")
        async def handle(room: Any, socket: WebSocket) -> None:
            await say(socket, room.word)

    assert await reply(WebSocketGateway(handler=Odd)) == "odd"


async def test_a_view_is_overridden_like_any_dependency() -> None:
    class Fake:
        word = "fake"

    class Real(WebSocketView):
        word = "real"

        @websocket("/")
        async def handle(self, socket: WebSocket) -> None:
            await say(socket, self.word)

    router = WebSocketRouter(routes=[WebSocketGateway(handler=Real)])
    assert await reply(router) == "real"
    router.dependency_overrides[Real] = Fake
    assert await reply(router) == "fake"


# --- What it adds as a level -----------------------------------------------------------------------------------------


async def test_its_attributes_are_a_level_between_gateway_and_handler() -> None:
    log: list[str] = []

    def permission(name: str) -> type[BasePermission]:
        class Permission(BasePermission):
            async def has_permission(self, socket: WebSocket, route: Any) -> bool:
                log.append(f"permission of {name}")
                return True

        return Permission

    def interceptor(name: str) -> type[BaseInterceptor]:
        class Interceptor(BaseInterceptor):
            async def intercept(self, socket: WebSocket, call_next: Callable[[], Any]) -> None:
                log.append(f"interceptor of {name}")
                await call_next()

        return Interceptor

    def effect(name: str) -> Any:
        async def effect() -> None:
            log.append(f"dependency of {name}")

        return Depends(effect)

    def handler_of(name: str) -> Callable[[Any, Any], Any]:
        async def handle(socket: WebSocket, exc: Exception) -> None:
            log.append(f"handled by {name}")

        return handle

    class Level(WebSocketView):
        path = "level/{number: int}/"
        permissions = [permission("view")]
        interceptors = [interceptor("view")]
        dependencies = [effect("view")]
        exception_handlers = {ValueError: handler_of("view"), KeyError: handler_of("view")}

        @websocket(
            "handle/",
            permissions=[permission("handler")],
            interceptors=[interceptor("handler")],
            dependencies=[effect("handler")],
            exception_handlers={KeyError: handler_of("handler")},
        )
        async def handle(self, number: int) -> None:
            log.append(f"handler {number}")
            raise KeyError if number == 1 else ValueError

    gateway = WebSocketGateway(
        "/ws",
        handler=Level,
        permissions=[permission("gateway")],
        interceptors=[interceptor("gateway")],
        dependencies=[effect("gateway")],
        exception_handlers={LookupError: handler_of("gateway")},
    )
    levels = ("gateway", "view", "handler")
    for number, handled in ((1, "handler"), (2, "view")):
        await Peer(f"/ws/level/{number}/handle").serve(gateway)
        assert log == [
            *(f"{kind} of {level}" for kind in ("interceptor", "permission", "dependency") for level in levels),
            f"handler {number}",
            f"handled by {handled}",
        ]
        log.clear()


async def test_attributes_are_inherited_and_overridden_as_in_any_class() -> None:
    class Closed(WebSocketView):
        permissions = [DenyAll]

        @websocket("/")
        async def handle(self, socket: WebSocket) -> None:
            await socket.accept()

    class StillClosed(Closed): ...

    class Open(Closed):
        permissions = [AllowAny]

    assert await refusal(WebSocketGateway(handler=StillClosed)) == (403, "Forbidden")
    assert (await Peer().serve(WebSocketGateway(handler=Open))).accepted


async def test_nothing_of_one_handler_acts_for_its_siblings() -> None:
    log: list[str] = []

    class Siblings(WebSocketView):
        @websocket("/a", permissions=[DenyAll], dependencies={"word": lambda: "a"})
        async def a(self, socket: WebSocket) -> None: ...

        @websocket("/b", exception_handlers={ValueError: lambda socket, exc: log.append("b")})
        async def b(self, socket: WebSocket) -> None:
            raise ValueError("of b")

        @websocket("/c")
        async def c(self, socket: WebSocket, word: str = "sent") -> None:
            await say(socket, word)

        @websocket("/d")
        async def d(self, socket: WebSocket) -> None:
            raise ValueError("of d")

    gateway = WebSocketGateway(handler=Siblings)
    assert await refusal(gateway, "/a") == (403, "Forbidden")
    await Peer("/b").serve(gateway)
    assert log == ["b"]
    assert await reply(gateway, "/c") == "sent"
    with pytest.raises(ValueError, match="of d"):
        await Peer("/d").serve(gateway)


async def test_one_view_in_two_gateways_is_two_sets_of_routes() -> None:
    first = WebSocketGateway("/a", handler=Base, permissions=[DenyAll])
    second = WebSocketGateway("/b", handler=Base)
    app = WebSocketRouter(routes=[first, second])
    assert await refusal(app, "/a/base/first") == (403, "Forbidden")
    assert await reply(app, "/b/base/first") == ["base first", "Base"]


def test_the_source_makes_the_instance() -> None:
    route = WebSocketGateway(handler=Base).routes[0]
    body = [line.strip() for line in route.source.splitlines()]
    assert body == ["async def run(websocket):", "self = Base()", "await first(self, websocket)"]
    assert route.plan.explain() == (
        f"1  self = {__name__}.Base()  # call\n2         {__name__}.Base.first(self, socket=websocket)  # the endpoint"
    )
