"""What can be a message: every type that pydantic reads, each handed to the handler that declares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from enum import Enum, IntEnum, StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, NewType, Required, TypeVar

import pytest
from annotated_types import MaxLen
from pydantic import BaseModel, Discriminator, Field, RootModel, Tag, create_model, model_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypeAliasType, TypedDict

from tests.messages import later
from tests.messages.talking import errors_of, talk
from wsroute import AnnotationError, InvalidParameterError, Payload, WebSocketListener, WebSocketRouter, on

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class Model(BaseModel):
    number: int = 0


class Box(BaseModel, Generic[T]):
    value: T


@dataclass
class Plain:
    number: int = 0


@dataclass
class Holder(Generic[T]):
    value: T


@pydantic_dataclass
class Checked:
    number: int = 0


class Typed(TypedDict, total=False):
    number: Required[int]


class GenericTyped(TypedDict, Generic[T]):
    value: T


UserId = NewType("UserId", str)
Alias = TypeAliasType("Alias", "Model | None")


def listening(message: Any, *, marked: bool = False) -> WebSocketRouter:
    """A listener that says what it got."""
    router = WebSocketRouter()

    async def listener(message: Any) -> str:
        return repr(message)

    listener.__annotations__["message"] = Annotated[message, Payload()] if marked else message
    router.listener("/")(listener)
    return router


@pytest.mark.parametrize(
    ("message", "frame", "got"),
    [
        (Model, '{"number":1}', "Model(number=1)"),
        (Box[int], '{"value":1}', "Box[int](value=1)"),
        (RootModel[list[int]], "[1]", "RootModel[list[int]](root=[1])"),
        (Plain, '{"number":1}', "Plain(number=1)"),
        (Holder[int], '{"value":1}', "Holder(value=1)"),
        (Checked, '{"number":1}', "Checked(number=1)"),
        (Typed, '{"number":1}', "{'number': 1}"),
        (GenericTyped[int], '{"value":1}', "{'value': 1}"),
        (dict, '{"a":[1]}', "{'a': [1]}"),
        (dict[str, int], '{"a":1}', "{'a': 1}"),
        (Mapping[str, int], '{"a":1}', "{'a': 1}"),
        (Annotated[Model, "said"], '{"number":1}', "Model(number=1)"),
        (Model | Plain, '{"number":1}', "Model(number=1)"),
        (str, "text", "'text'"),
        (bytes, b"data", "b'data'"),
    ],
    ids=repr,
)
async def test_a_message_is_found_by_its_type(message: Any, frame: str | bytes, got: str) -> None:
    assert (await talk(listening(message), frame)).frames == [got]


@pytest.mark.parametrize(
    ("message", "frame", "got"),
    [
        (list[int], "[1]", "[1]"),
        (tuple[int, str], '[1,"a"]', "(1, 'a')"),
        (set[int], "[1,1]", "{1}"),
        (int, "5", "5"),
        (bool, "true", "True"),
        (Literal["a", "b"], '"b"', "'b'"),
        (Model | None, "null", "None"),
        (Model | None, "{}", "Model(number=0)"),
        (Alias, "null", "None"),
        (Model | list[Model], "[{}]", "[Model(number=0)]"),
        (str | int, '"a"', "'a'"),
        (Any, '{"a":1}', "{'a': 1}"),
        (str, "text", "'text'"),
        (Annotated[str, MaxLen(4)], "text", "'text'"),
        (UserId, "ann", "'ann'"),
        (Annotated[bytes, MaxLen(4)], b"data", "b'data'"),
    ],
    ids=repr,
)
async def test_a_message_of_any_type_is_marked(message: Any, frame: str | bytes, got: str) -> None:
    assert (await talk(listening(message, marked=True), frame)).frames == [got]


@pytest.mark.parametrize(
    ("message", "frame", "kind"),
    [
        (Annotated[str, MaxLen(3)], "text", "string_too_long"),
        (Annotated[bytes, MaxLen(3)], b"data", "bytes_too_long"),
        (Annotated[list[int], MaxLen(1)], "[1,2]", "too_long"),
    ],
    ids=repr,
)
async def test_constraints_of_the_message_itself(message: Any, frame: str | bytes, kind: str) -> None:
    [told] = (await talk(listening(message, marked=True), frame)).frames
    assert errors_of(told) == ("invalid_message", [([], kind)])


# Several messages, told apart by a Literal


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


KINDS = [a_model, a_dictionary, a_dataclass, a_dataclass_of_pydantic]
every_kind = pytest.mark.parametrize("make", KINDS)


def two(make: Any, first: Any, second: Any, **field: Any) -> list[Any]:
    """Two messages that differ in their type."""
    tags = {"First": first, "Second": second}
    return [make(name, {"type": Annotated[tag, Field(**field)]}) for name, tag in tags.items()]


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


@pytest.mark.parametrize("other", [Model, Plain, Typed, dict, str, bytes, RootModel[list[int]]], ids=repr)
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


# Annotations that are not known when the listener is declared


async def test_names_that_are_local_to_a_function() -> None:
    class Local(BaseModel):
        number: int

    router = WebSocketRouter()

    @router.listener("/")
    async def listener(message: Local) -> Local:
        return message

    assert (await talk(router, '{"number":1}')).frames == ['{"number":1}']


async def test_names_that_are_defined_after_the_listener() -> None:
    assert (await talk(later.router, '{"number":1}')).frames == ['{"of":{"number":1}}']


async def test_a_model_that_names_what_is_defined_later() -> None:
    class First(BaseModel):
        type: Literal["a"]
        later: Later

    class Second(BaseModel):
        type: Literal["b"]

    router = WebSocketRouter()

    @router.websocket("/")
    class Room(WebSocketListener):
        @on
        async def first(self, message: First) -> First:
            return message

        @on
        async def second(self, message: Second) -> None: ...

    class Later(BaseModel):
        number: int

    First.model_rebuild()
    assert (await talk(router, '{"type":"a","later":{"number":1}}')).frames == ['{"type":"a","later":{"number":1}}']


def test_a_model_whose_names_are_never_known() -> None:
    class Message(BaseModel):
        never: Never  # type: ignore[name-defined]  # noqa: F821  # that is the point

    router = WebSocketRouter()

    @router.listener("/")
    async def listener(message: Message) -> None: ...

    with pytest.raises(AnnotationError) as caught:
        router.check()
    assert "the annotations of Message name something that cannot be found" in str(caught.value)
    assert "parameter 'message'" in str(caught.value)


def test_a_reply_that_only_type_checkers_know() -> None:
    router = WebSocketRouter()

    @router.listener("/")
    async def listener(message: Model) -> OnlyForTypeCheckers | None:
        return None

    with pytest.raises(AnnotationError, match="OnlyForTypeCheckers"):
        router.check()


class Opaque:
    """Something that pydantic knows nothing of."""


def test_a_message_that_pydantic_cannot_read() -> None:
    with pytest.raises(InvalidParameterError, match="nothing tells how Opaque is read from JSON"):
        listening(Opaque, marked=True)
