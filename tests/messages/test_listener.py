"""Listeners as classes: what is a handler in them, what they inherit, and whose object a connection has."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from anyio.lowlevel import checkpoint

from tests.messages.talking import Client, Count, Say, errors_of, say, talk, talking
from wsroute import Depends, EndpointError, WebSocket, WebSocketListener, WebSocketRouter, on

pytestmark = pytest.mark.anyio

COUNT = '{"type":"count","to":3}'


def mounted(listener: type[WebSocketListener]) -> WebSocketRouter:
    router = WebSocketRouter()
    router.websocket("/")(listener)
    return router


class Room(WebSocketListener):
    @on
    async def say(self, message: Say) -> str:
        return f"say {message.text}"

    @on()
    async def count(self, message: Count) -> str:
        return f"count {message.to}"

    async def helper(self, message: Say) -> str:
        return "no handler"


async def test_messages_go_to_the_handlers_of_their_types() -> None:
    assert (await talk(mounted(Room), COUNT, say("a"), COUNT)).frames == ["count 3", "say a", "count 3"]


async def test_a_decorated_method_stays_what_it_is() -> None:
    assert await Room().say(Say(text="a")) == "say a"


async def test_each_connection_has_an_object_of_its_own() -> None:
    class Counter(WebSocketListener):
        def __init__(self, start: int) -> None:
            self.number = start

        @on
        async def say(self, message: Say) -> str:
            await checkpoint()
            self.number += 1
            return str(self.number)

    router = mounted(Counter)
    first, second = Client("/?start=1"), Client("/?start=100")
    async with talking(router, first), talking(router, second):
        for number in range(1, 4):
            for client in (first, second):
                client.say(say("x"))
                await client.got(number)
    assert first.frames == ["2", "3", "4"] and second.frames == ["101", "102", "103"]


async def test_it_is_made_before_the_accept_and_may_refuse() -> None:
    class Refusing(WebSocketListener):
        def __init__(self, websocket: WebSocket, limit: int) -> None:
            assert websocket.scope["accepted"]() is None

        @on
        async def say(self, message: Say) -> None: ...

    peer = Client("/?limit=x")
    peer.scope["accepted"] = lambda: peer.accepted
    await peer.serve(mounted(Refusing))
    assert peer.denial is not None and peer.denial.status == 422
    peer = Client("/?limit=1")
    peer.scope["accepted"] = lambda: peer.accepted
    peer.leave()
    await peer.serve(mounted(Refusing))
    assert peer.accepted


async def test_a_dependency_may_accept_with_a_subprotocol() -> None:
    async def negotiate(websocket: WebSocket) -> None:
        await websocket.accept("chat")

    class Negotiated(Room):
        dependencies = [Depends(negotiate)]

    peer = Client(scope={"subprotocols": ["chat"]})
    peer.say(say("a")).leave()
    await peer.serve(mounted(Negotiated))
    assert peer.accepted and peer.accepted["subprotocol"] == "chat"
    assert peer.frames == ["say a"]


# What is inherited


async def test_handlers_are_inherited_and_added() -> None:
    class More(Room):
        async def on_connect(self) -> str:
            return "welcome"

    class Shout(Say):
        type: Any = "shout"

    assert (await talk(mounted(More), say("a"), COUNT)).frames == ["welcome", "say a", "count 3"]


async def test_a_handler_takes_the_place_of_an_inherited_one() -> None:
    class Louder(Room):
        @on
        async def say(self, message: Say) -> str:
            return f"{(await super().say(message)).upper()}!"

    assert (await talk(mounted(Louder), say("a"), COUNT)).frames == ["SAY A!", "count 3"]


async def test_none_takes_an_inherited_handler_away() -> None:
    class Silent(Room):
        say = None  # type: ignore[assignment]  # which is how it is said

    peer = await talk(mounted(Silent), say("a"), COUNT)
    assert errors_of(peer.frames[0]) == ("unknown_type", [(["type"], "literal_error")])
    assert peer.frames[1:] == ["count 3"]


async def test_mixins_hand_on_their_handlers() -> None:
    class Says:
        @on
        async def say(self, message: Say) -> str:
            return "mixed in"

    class Mixed(Says, WebSocketListener): ...

    assert (await talk(mounted(Mixed), say("a"))).frames == ["mixed in"]


def wrapping(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return f"<{await method(*args, **kwargs)}>"

    return wrapper


async def test_a_decorator_may_be_on_either_side() -> None:
    class Wrapped(WebSocketListener):
        @wrapping
        @on
        async def say(self, message: Say) -> str:
            return "outside"

        @on
        @wrapping
        async def count(self, message: Count, suffix: Annotated[str, Depends(lambda: "!")]) -> str:
            return f"inside{suffix}"

    assert (await talk(mounted(Wrapped), say("a"), COUNT)).frames == ["<outside>", "<inside!>"]


# What cannot be


def test_a_class_without_handlers() -> None:
    class Empty(WebSocketListener):
        async def on_connect(self) -> None: ...

    with pytest.raises(EndpointError, match="the listener has no handlers"):
        mounted(Empty)


def test_an_abstract_class() -> None:
    class Abstract(Room):
        __abstractmethods__ = frozenset({"other", "more"})

        @abstractmethod
        def more(self) -> None: ...

    with pytest.raises(EndpointError, match="the listener is abstract: it does not define more, other"):
        mounted(Abstract)


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
@pytest.mark.parametrize("name", ["say", "on_connect", "on_disconnect"])
def test_a_method_that_gets_no_object(kind: Any, name: str) -> None:
    async def method(*args: Any) -> None: ...

    method = on(method) if name == "say" else method
    listener = type("Listener", (Room,), {name: kind(method)})
    with pytest.raises(EndpointError, match=f"a handler is a {kind.__name__}"):
        mounted(listener)


def test_a_method_in_the_place_of_a_handler_that_is_none() -> None:
    class Forgotten(Room):
        async def say(self, message: Say) -> str:
            return "forgotten"

    with pytest.raises(EndpointError, match="'say' takes the place of a handler, and is none itself"):
        mounted(Forgotten)


def test_a_method_that_looks_as_if_it_were_called() -> None:
    class Misspelt(Room):
        async def on_conect(self) -> None: ...

    with pytest.raises(EndpointError, match="nobody calls 'on_conect'"):
        mounted(Misspelt)


@pytest.mark.parametrize("item", [5, Room, staticmethod(lambda: None), functools.partial(print)])
def test_a_decorator_of_something_else(item: Any) -> None:
    with pytest.raises(EndpointError, match="@on decorates"):
        on(item)
