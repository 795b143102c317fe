"""What levels say about messages: the nearest counts, and what cannot be is refused when it is declared."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.messages.talking import errors_of, talk
from wsroute import (
    APIWebSocketRoute,
    InvalidParameterError,
    RouterError,
    WebSocket,
    WebSocketListener,
    WebSocketRouter,
    on,
)
from wsroute.messages.options import MessageOptions

pytestmark = pytest.mark.anyio


async def limit_of(app: WebSocketRouter, target: str = "/") -> int:
    """After how many invalid messages in a row a connection is closed."""
    peer = await talk(app, *[b"x"] * 20, target=target, leave=False)
    assert peer.closed == (1003, "Invalid message")
    return len(peer.frames) + 1


def listening(**options: Any) -> WebSocketRouter:
    router = WebSocketRouter()

    @router.listener("/", **options)
    async def listener(message: str) -> None: ...

    return router


async def test_nobody_says_anything() -> None:
    assert await limit_of(listening()) == MessageOptions().max_invalid == 10


async def test_the_route_says_it() -> None:
    assert await limit_of(listening(max_invalid=3)) == 3


async def test_routers_say_it_for_the_routes_below() -> None:
    router = WebSocketRouter(max_invalid=4)
    router.include_router(listening())
    assert await limit_of(router) == 4


async def test_the_nearest_counts() -> None:
    outermost = WebSocketRouter(max_invalid=2)
    outer = WebSocketRouter(max_invalid=3)
    outer.include_router(listening(max_invalid=4), prefix="/route")
    outer.include_router(listening(), prefix="/router")
    outermost.include_router(outer)
    outermost.include_router(listening(), prefix="/outermost")
    assert await limit_of(outermost, "/route/") == 4
    assert await limit_of(outermost, "/router/") == 3
    assert await limit_of(outermost, "/outermost/") == 2


async def test_each_option_is_looked_for_by_itself() -> None:
    router = WebSocketRouter(max_invalid=3, max_message_size=2)
    router.include_router(listening(max_message_size=4))
    assert await limit_of(router) == 3
    assert (await talk(router, "four", "fives")).closed == (1009, "Message too big")


async def test_a_class_says_it_and_the_decorator_has_the_last_word() -> None:
    class Room(WebSocketListener):
        max_invalid = 3
        max_message_size = 4

        @on
        async def hear(self, message: str) -> None: ...

    router = WebSocketRouter(max_invalid=2, max_message_size=2)
    router.websocket("/class")(Room)
    router.websocket("/decorator", max_invalid=5)(Room)
    router.add_api_websocket_route("/added", Room, max_invalid=6)
    router.add_route(APIWebSocketRoute("/route", Room, max_invalid=7))
    assert await limit_of(router, "/class") == 3
    assert await limit_of(router, "/decorator") == 5
    assert await limit_of(router, "/added") == 6
    assert await limit_of(router, "/route") == 7
    for path in ("/class", "/decorator"):
        assert (await talk(router, "four", "fives", target=path)).closed == (1009, "Message too big")


async def test_a_class_hands_on_what_it_says() -> None:
    class Base(WebSocketListener):
        max_invalid = 3
        discriminator = "op"

    class Room(Base):
        @on
        async def hear(self, message: str) -> None: ...

    router = WebSocketRouter()
    router.websocket("/")(Room)
    assert await limit_of(router) == 3


async def test_one_class_at_two_paths_may_have_two_limits() -> None:
    router = WebSocketRouter()

    @router.listener("/two", max_invalid=2)
    @router.listener("/three", max_invalid=3)
    async def listener(message: str) -> None: ...

    assert (await limit_of(router, "/two"), await limit_of(router, "/three")) == (2, 3)


async def test_infinity_is_no_limit() -> None:
    router = WebSocketRouter(max_invalid=1, max_message_size=1, idle_timeout=0.01, first_message_timeout=0.01)
    options = {"max_invalid": math.inf, "max_message_size": math.inf}
    router.include_router(listening(**options, idle_timeout=math.inf, first_message_timeout=math.inf))
    peer = await talk(router, *[b"x"] * 100, "x" * 100_000)
    assert len(peer.frames) == 100 and peer.closed is None
    assert {errors_of(frame)[0] for frame in peer.frames} == {"wrong_frame"}


#: By what is expected of them: options, and values that they cannot have.
REFUSED: dict[str, tuple[list[str], list[Any]]] = {
    "It is a number of seconds above 0; math.inf for no limit.": (
        ["first_message_timeout", "idle_timeout"],
        [0, -1, -0.5, math.nan, "1", True, []],
    ),
    "It is a number from 1; math.inf for no limit.": (
        ["max_message_size", "max_invalid"],
        [0, -1, 0.5, math.nan, -math.inf, "64K", False],
    ),
    "It is 'error' or 'close'.": (["on_invalid"], ["ignore", 1007, True, []]),
    "It is True or False.": (["cancel_on_disconnect"], [1, 0, "yes"]),
    "It is a whole number from 1.": (["read_ahead"], [0, -1, 1.5, math.inf, True, "2"]),
}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [(name, value, text) for text, (names, values) in REFUSED.items() for name in names for value in values],
)
def test_what_cannot_be_is_refused_at_every_level(name: str, value: Any, expected: str) -> None:
    class Room(WebSocketListener):
        @on
        async def hear(self, message: str) -> None: ...

    setattr(Room, name, value)
    options: Any = {name: value}
    for declare in (
        lambda: WebSocketRouter(**options),
        lambda: listening(**options),
        lambda: WebSocketRouter().websocket("/", **options)(type("Plain", (Room,), {name: None})),
        lambda: WebSocketRouter().websocket("/")(Room),
        lambda: APIWebSocketRoute("/", Room),
    ):
        with pytest.raises(RouterError) as caught:
            declare()
        assert str(caught.value) == f"{name}={value!r} cannot be. {expected}"


@pytest.mark.parametrize("name", ["send_timeout", "close_timeout"])
@pytest.mark.parametrize("value", [0, -1, math.nan, "1", []])
def test_a_time_for_frames_that_cannot_be(name: str, value: Any) -> None:
    with pytest.raises(RouterError) as caught:
        listening(**{name: value})
    assert str(caught.value) == f"{name}={value!r} is no time. It is a number of seconds above 0."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_message_size", 100),
        ("first_message_timeout", 1.5),
        ("idle_timeout", 1),
        ("on_invalid", "close"),
        ("max_invalid", 1),
        ("cancel_on_disconnect", False),
        ("read_ahead", 2),
    ],
)
def test_an_endpoint_and_a_stream_have_no_messages_to_say_it_of(name: str, value: Any) -> None:
    options: Any = {name: value}
    router = WebSocketRouter(**options)  # which says it of others
    tail = (
        f"  expected: {name}= at a listener, or at a router for the listeners below it\n"
        f"  remedy: remove {name}=, or declare a listener: @router.listener(path)"
    )

    async def endpoint(websocket: WebSocket) -> None: ...

    async def stream() -> AsyncIterator[str]:
        yield "x"

    where = f"{__name__}.{test_an_endpoint_and_a_stream_have_no_messages_to_say_it_of.__qualname__}.<locals>"
    for declare, who, what in (
        (router.websocket("/", **options), endpoint, "an endpoint, which reads its messages itself"),
        (router.stream("/", **options), stream, "a stream, which takes no messages"),
    ):
        with pytest.raises(InvalidParameterError) as caught:
            declare(who)
        described = f"{where}.{who.__name__}"
        assert str(caught.value) == (
            f"{name}= is about the messages of a listener, and {described} is {what}\n"
            f"  route '/'\n  {described}\n{tail}"
        )
    router.websocket("/endpoint")(endpoint)
    router.stream("/stream")(stream)
    router.check()


@pytest.mark.parametrize("kind", ["listener", "stream"])
def test_a_class_is_declared_in_another_way(kind: str) -> None:
    class Room(WebSocketListener): ...

    with pytest.raises(Exception) as caught:
        getattr(WebSocketRouter(), kind)("/")(Room)
    assert f"@router.{kind}() decorates a class" in str(caught.value)
    assert "write @router.websocket(path) above a subclass of WebSocketListener" in str(caught.value)
