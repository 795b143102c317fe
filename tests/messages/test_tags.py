"""Several messages on one connection, told apart by a `Literal` field, whatever kind of type they are."""

from __future__ import annotations

from dataclasses import make_dataclass
from enum import Enum, IntEnum, StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

import pytest
from pydantic import BaseModel, Discriminator, Field, RootModel, Tag, create_model, model_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from tests.messages.talking import errors_of, talk
from wsroute import InvalidParameterError, WebSocketListener, WebSocketRouter, on

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class Kind(StrEnum):
    A = "a"
    B = "b"


class Number(IntEnum):
    ONE = 1
    TWO = 2


class Bare(Enum):
    A = "a"
    B = "b"


def a_model(name: str, fields: dict[str, Any]) -> Any:
    declared: dict[str, Any] = {field: (annotation, ...) for field, annotation in fields.items()}
    return create_model(name, **declared)


def a_dictionary(name: str, fields: dict[str, Any]) -> Any:
    return TypedDict(name, fields)  # type: ignore[operator]  # made at run time


def a_dataclass(name: str, fields: dict[str, Any]) -> Any:
    return make_dataclass(name, fields.items(), namespace={"__module__": __name__})


def a_dataclass_of_pydantic(name: str, fields: dict[str, Any]) -> Any:
    return pydantic_dataclass(a_dataclass(name, fields))


class Untold(BaseModel):
    number: int = 0


KINDS = [a_model, a_dictionary, a_dataclass, a_dataclass_of_pydantic]
every_kind = pytest.mark.parametrize("make", KINDS)


def two(make: Any, first: Any, second: Any, **field: Any) -> list[Any]:
    """Two messages that differ in their type."""
    tags = {"First": first, "Second": second}
    return [make(name, {"type": Annotated[tag, Field(**field)]}) for name, tag in tags.items()]


def listening(message: Any) -> WebSocketRouter:
    """A listener that says what it got."""
    router = WebSocketRouter()

    async def listener(message: Any) -> str:
        return repr(message)

    listener.__annotations__["message"] = message
    router.listener("/")(listener)
    return router


def room(one: Any, two: Any, *, discriminator: str = "type") -> WebSocketRouter:
    """A listener of two handlers that say which one they are."""

    class Room(WebSocketListener):
        @on
        async def first(self, message: Any) -> str:
            return "first"

        @on
        async def second(self, message: Any) -> str:
            return "second"

    Room.discriminator = discriminator
    Room.first.__annotations__["message"] = one
    Room.second.__annotations__["message"] = two
    router = WebSocketRouter()
    router.websocket("/")(Room)
    return router


@every_kind
@pytest.mark.parametrize(
    ("first", "second", "frames"),
    [
        (Literal["a"], Literal["b"], ('{"type":"a"}', '{"type":"b"}')),
        (Literal["a", "c"], Literal["b"], ('{"type":"c"}', '{"type":"b"}')),
        (Literal[1], Literal[2], ('{"type":1}', '{"type":2}')),
        (Literal[Kind.A], Literal[Kind.B], ('{"type":"a"}', '{"type":"b"}')),
        (Literal[Number.ONE], Literal[Number.TWO], ('{"type":1}', '{"type":2}')),
        (Literal[Kind.A], Literal["b"], ('{"type":"a"}', '{"type":"b"}')),
    ],
    ids=repr,
)
async def test_each_handler_gets_its_messages(make: Any, first: Any, second: Any, frames: tuple[str, str]) -> None:
    router = room(*two(make, first, second))
    peer = await talk(router, *frames, '{"type":"z"}')
    assert peer.frames[:2] == ["first", "second"]
    assert errors_of(peer.frames[2]) == ("unknown_type", [([], "union_tag_invalid")])


@every_kind
async def test_the_field_may_have_another_name_on_the_wire(make: Any) -> None:
    router = room(*two(make, Literal["a"], Literal["b"], alias="t"))
    assert (await talk(router, '{"t":"a"}', '{"t":"b"}')).frames == ["first", "second"]


async def test_the_field_may_be_another_one() -> None:
    class A(BaseModel):
        op: Literal["a"]

    class B(BaseModel):
        op: Literal["b"]

    assert (await talk(room(A, B, discriminator="op"), '{"op":"a"}', '{"op":"b"}')).frames == ["first", "second"]


@every_kind
def test_members_of_an_enumeration_that_no_client_can_send_are_an_error(make: Any) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        room(*two(make, Literal[Bare.A], Literal[Bare.B]))
    assert str(caught.value).splitlines() == [
        "First has type=Bare.A, and nothing that can be sent is equal to that",
        "  route '/'",
        *str(caught.value).splitlines()[2:3],
        "     parameter 'message'",
        "  expected: a Literal of strings, or of members of an enumeration that are strings",
        "  remedy: derive Bare from StrEnum or IntEnum, or write the value itself",
    ]


@every_kind
@pytest.mark.parametrize(("first", "second"), [(Literal["a"], Literal["a"]), (Literal["a", "b"], Literal[Kind.B])])
def test_two_messages_with_the_same_type_are_an_error(make: Any, first: Any, second: Any) -> None:
    with pytest.raises(InvalidParameterError, match=r"First and Second both have type='[ab]'"):
        room(*two(make, first, second))


@pytest.mark.parametrize("other", [Untold, dict, str, bytes, RootModel[list[int]]], ids=repr)
def test_a_message_among_several_that_does_not_say_its_type_is_an_error(other: Any) -> None:
    [message, _] = two(a_model, Literal["a"], Literal["b"])
    with pytest.raises(InvalidParameterError, match="is one of several messages, and has no field 'type'"):
        room(message, other)


async def test_one_handler_may_take_several() -> None:
    first, second = two(a_model, Literal["a"], Literal["b"])
    third, _ = two(a_model, Literal["c"], Literal["d"])
    peer = await talk(room(first | second, third), '{"type":"a"}', '{"type":"b"}', '{"type":"c"}')
    assert peer.frames == ["first", "first", "second"]


async def test_a_union_may_say_itself_how_it_is_told_apart() -> None:
    class A(BaseModel):
        op: Literal["a"]

    class B(BaseModel):
        op: Literal["b"]

    router = listening(Annotated[A | B, Field(discriminator="op")])
    assert (await talk(router, '{"op":"a"}', '{"op":"b"}')).frames == ["A(op='a')", "B(op='b')"]


async def test_a_union_may_be_told_apart_by_a_function() -> None:
    class A(BaseModel):
        type: Literal["a"] = "a"

    class B(BaseModel):
        type: Literal["b"] = "b"
        more: int = 0

    def kind(value: Any) -> str:
        return "b" if "more" in value else "a"

    message = Annotated[Annotated[A, Tag("a")] | Annotated[B, Tag("b")], Discriminator(kind)]
    peer = await talk(listening(message), "{}", '{"more":1}')
    assert peer.frames == ["A(type='a')", "B(type='b', more=1)"]


async def test_a_validator_may_make_something_else_of_a_message() -> None:
    class A(BaseModel):
        type: Literal["a"]

        @model_validator(mode="wrap")
        @classmethod
        def derive(cls, value: Any, handler: Any) -> Any:
            handler(value)
            return Derived.model_construct(type="a")

    class Derived(A):
        pass

    class B(BaseModel):
        type: Literal["b"]

    assert (await talk(room(A, B), '{"type":"a"}')).frames == ["first"]


async def test_generic_models_are_told_apart() -> None:
    class Of(BaseModel, Generic[T]):
        type: T

    router = room(Of[Literal["a"]], Of[Literal["b"]])
    assert (await talk(router, '{"type":"a"}', '{"type":"b"}')).frames == ["first", "second"]
