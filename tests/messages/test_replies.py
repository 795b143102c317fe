"""What handlers return: what is sent of it, and what of it is not what they declare."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar

import pytest
from annotated_types import MaxLen
from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel, field_serializer
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypeAliasType, TypedDict

from tests.asgi import Peer
from tests.messages.talking import Said, talk
from wsroute import InvalidParameterError, ReplyError, WebSocketListener, WebSocketRouter, on

pytestmark = pytest.mark.anyio

T = TypeVar("T")

NOTHING = object()


class More(Said):
    secret: str = "secret"


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    user_name: str = Field(alias="userName", serialization_alias="user-name")


class Box(BaseModel, Generic[T]):
    value: T


class Serialised(BaseModel):
    text: str

    @field_serializer("text")
    def shout(self, text: str) -> str:
        if not text:
            raise LookupError
        return text.upper()


@dataclass
class Plain:
    number: int
    more: list[str] = field(default_factory=list)


@dataclass
class Holder(Generic[T]):
    value: T


@pydantic_dataclass
class Checked:
    number: int


class Typed(TypedDict):
    number: int


class Colour(Enum):
    RED = "red"


UserId = NewType("UserId", str)
Alias = TypeAliasType("Alias", "Said | Checked")


def listening(declared: Any, value: Any) -> WebSocketRouter:
    """A listener that is declared to return something, and returns a value; the declaration is left out if nothing."""
    router = WebSocketRouter()

    async def listener(message: str) -> Any:
        return value

    del listener.__annotations__["return"]
    if declared is not NOTHING:
        listener.__annotations__["return"] = declared
    router.listener("/")(listener)
    return router


@pytest.mark.parametrize(
    ("declared", "value", "frame"),
    [
        (Said, Said(text="a"), '{"type":"said","text":"a"}'),
        (Said, More(text="a"), '{"type":"said","text":"a"}'),  # what is declared, and no more
        (Aliased, Aliased(userName="ann"), '{"user-name":"ann"}'),
        (Box[int], Box[int](value=1), '{"value":1}'),
        (Box, Box[int](value=1), '{"value":1}'),
        (Serialised, Serialised(text="a"), '{"text":"A"}'),
        (RootModel[list[int]], RootModel[list[int]]([1, 2]), "[1,2]"),
        (Plain, Plain(1, ["a"]), '{"number":1,"more":["a"]}'),
        (Holder[int], Holder(1), '{"value":1}'),
        (Checked, Checked(1), '{"number":1}'),
        (Typed, {"number": 1}, '{"number":1}'),
        (dict[str, int], {"a": 1}, '{"a":1}'),
        (dict[str, Any], {"a": [Said(text="b")]}, '{"a":[{"type":"said","text":"b"}]}'),
        (Mapping[str, int], {"a": 1}, '{"a":1}'),
        (list[Said], [Said(text="a")], '[{"type":"said","text":"a"}]'),
        (tuple[int, str], (1, "a"), '[1,"a"]'),
        (int, 1, "1"),
        (float, 1.5, "1.5"),
        (bool, True, "true"),
        (Decimal, Decimal("1.50"), '"1.50"'),
        (datetime, datetime(2026, 1, 2, tzinfo=UTC), '"2026-01-02T00:00:00Z"'),
        (Colour, Colour.RED, '"red"'),
        (Literal["a", "b"], "b", '"b"'),
        (JsonValue, {"a": [1, None]}, '{"a":[1,null]}'),
        (Said | Checked, Checked(1), '{"number":1}'),
        (Annotated[Said | Checked, Field(description="x")], Said(text="a"), '{"type":"said","text":"a"}'),
        (Alias, Checked(1), '{"number":1}'),
        (Said | str, "text among other things is JSON", '"text among other things is JSON"'),
        (dict[str, float], {"a": float("nan")}, '{"a":null}'),
        # The data of a frame as it is
        (str, "a", "a"),
        (Annotated[str, MaxLen(1)], "a", "a"),
        (UserId, UserId("a"), "a"),
        (str | None, "a", "a"),
        (bytes, b"\xff", b"\xff"),
        (bytes | None, b"", b""),
        # Without a word
        (NOTHING, "a", "a"),
        (NOTHING, Said(text="a"), '{"type":"said","text":"a"}'),
        (NOTHING, Aliased(userName="ann"), '{"user-name":"ann"}'),
        (NOTHING, {"a": [1.5, float("inf")]}, '{"a":[1.5,null]}'),
        (Any, "a", '"a"'),
        (Any, Plain(1), '{"number":1,"more":[]}'),
        (object, Said(text="a"), '{"type":"said","text":"a"}'),
    ],
    ids=repr,
)
async def test_what_is_declared_is_sent(declared: Any, value: Any, frame: str | bytes) -> None:
    assert (await talk(listening(declared, value), "x")).frames == [frame]


@pytest.mark.parametrize(
    "declared",
    [
        *(None, Said | None, str | None, bytes | None, dict[str, int] | None, Plain | Checked | None),
        *(NOTHING, Any, object, JsonValue, Annotated[Said | None, "x"]),
    ],
    ids=repr,
)
async def test_none_is_not_sent(declared: Any) -> None:
    peer = await talk(listening(declared, None), "x", "y")
    assert peer.frames == [] and peer.closed is None


WRONG = [
    (None, "a", "NoneType"),
    (Said, None, "Said"),
    (Said, {"type": "said", "text": "a"}, "Said"),
    (Said, Checked(1), "Said"),
    (Box[int], Box[str](value="a"), r"Box\[int\]"),
    (Serialised, Serialised(text=""), "Serialised"),
    (Plain, Plain("a"), "Plain"),  # type: ignore[arg-type]  # that is the point
    (Holder[int], Holder("a"), "Holder"),
    (Checked, Plain(1), "Checked"),
    (Typed, {"number": "a"}, "Typed"),
    (dict[str, int], {"a": "b"}, "dict"),
    (list[Said], [{"text": "a"}], "list"),
    (list[int], (1,), "list"),
    (int, "1", "int"),
    (int, 1.5, "int"),
    (str, None, "str"),
    (str, 1, "str"),
    (str, b"a", "str"),
    (str | None, 1, "str"),
    (bytes, "a", "bytes"),
    (Said | None, 1, "Said"),
    (Said | Checked, Plain(1), "Said"),
    (NOTHING, b"a", "text or JSON, having no return annotation"),
    (NOTHING, object(), "text or JSON, having no return annotation"),
    (NOTHING, [b"\xff"], "text or JSON, having no return annotation"),
]


@pytest.mark.parametrize(("declared", "value", "name"), WRONG, ids=repr)
async def test_what_is_not_what_is_declared_is_an_error_and_nothing_is_sent(
    declared: Any, value: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    peer = Peer().say("x", "never read")
    with caplog.at_level(logging.INFO), pytest.raises(ReplyError, match=name) as caught:
        await peer.serve(listening(declared, value))
    assert caught.value.handler.endswith("listener")
    assert peer.frames == [] and peer.closed == (1011, "Internal Server Error")
    # It is raised on, so that the server logs it, and not logged before.
    assert not caplog.records


async def test_the_error_does_not_show_the_value() -> None:
    with pytest.raises(ReplyError) as caught:
        await talk(listening(Said, "secret"), "x")
    assert "secret" not in str(caught.value)


async def test_an_exception_handler_may_take_it() -> None:
    router = listening(Said, "no")
    outer = WebSocketRouter(exception_handlers={ReplyError: lambda websocket, exc: None})
    outer.include_router(router)
    peer = await talk(outer, "x", "y")
    assert peer.frames == [] and peer.closed is None


async def test_each_item_that_is_yielded_is_what_is_declared() -> None:
    router = WebSocketRouter()

    @router.listener("/")
    async def listener(message: str) -> AsyncIterator[int]:
        yield 1
        yield message  # type: ignore[misc]  # that is the point

    peer = Peer().say("x")
    with pytest.raises(ReplyError):
        await peer.serve(router)
    assert peer.frames == ["1"] and peer.closed == (1011, "Internal Server Error")


async def test_items_without_a_declaration_and_none_among_them() -> None:
    router = WebSocketRouter()

    @router.stream("/")
    async def stream():  # type: ignore[no-untyped-def]  # as people write
        yield "text"
        yield None
        yield {"a": 1}

    assert (await talk(router, leave=False)).frames == ["text", '{"a":1}']


async def test_a_stream_of_bytes() -> None:
    router = WebSocketRouter()

    @router.stream("/")
    async def stream() -> AsyncIterator[bytes | None]:
        yield b"a"
        yield None
        yield b"b"

    assert (await talk(router, leave=False)).frames == [b"a", b"b"]


@pytest.mark.parametrize("declared", [AsyncIterator, AsyncIterator[Any]])
async def test_an_iterator_of_anything(declared: Any) -> None:
    router = WebSocketRouter()

    async def stream() -> Any:
        yield {"a": 1}
        yield None

    stream.__annotations__["return"] = declared
    router.stream("/")(stream)
    assert (await talk(router, leave=False)).frames == ['{"a":1}']


async def test_what_on_connect_returns_is_sent_first() -> None:
    class Room(WebSocketListener):
        async def on_connect(self) -> AsyncIterator[Said]:
            yield Said(text="hello")
            yield Said(text="again")

        @on
        async def hear(self, message: str) -> bytes:
            return message.encode()

    router = WebSocketRouter()
    router.websocket("/")(Room)
    assert (await talk(router, "x")).frames == [
        '{"type":"said","text":"hello"}',
        '{"type":"said","text":"again"}',
        b"x",
    ]


class Opaque:
    """Something that pydantic knows nothing of."""


@pytest.mark.parametrize("declared", [Opaque, list[Opaque], Said | Opaque], ids=repr)
def test_what_cannot_be_written_is_an_error_of_the_declaration(declared: Any) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        listening(declared, None)
    message = str(caught.value)
    assert "is read from JSON, or written as JSON" in message and "parameter 'return'" in message


def test_what_pydantic_refuses_is_an_error_of_the_declaration() -> None:
    with pytest.raises(InvalidParameterError, match="pydantic refuses"):
        listening(Annotated[Said | Checked, Field(discriminator="type")], None)
