"""What can be a message: every type that pydantic reads, each handed to the handler that declares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, NewType, Required, TypeVar

import pytest
from annotated_types import MaxLen
from pydantic import BaseModel, RootModel
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
