"""Nothing that a client has sent comes back in what it is told of it: not in errors, not in closes, at no depth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    AnyUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from tests.messages.talking import talk
from wsroute import Payload, WebSocketListener, WebSocketRouter, on

#: In all that a client sends, in every case that a decoder might make of it.
CANARY = "kanari"


def refuse(value: Any) -> Any:
    """A validator that says too much."""
    if CANARY in repr(value):
        raise ValueError(f"{value!r} is wrong")
    return value


def refuse_in_a_way(value: Any) -> Any:
    if CANARY in repr(value):
        raise PydanticCustomError("way", "{value} is wrong", {"value": repr(value), "loc": repr(value)})
    return value


def assert_nothing(value: Any) -> Any:
    assert CANARY not in repr(value), value
    return value


def refuse_as_pydantic_would(value: Any) -> Any:
    if CANARY in repr(value):
        raise PydanticCustomError("greater_than", "more than {gt}, please", {"gt": repr(value)})
    return value


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Point(NamedTuple):
    x: int
    y: int = 0


class Typed(TypedDict, total=False):
    number: int
    words: list[str]


@dataclass
class Plain:
    number: int
    more: Mapping[str, int] | None = None


@pydantic_dataclass
class Checked:
    when: datetime
    colour: Colour = Colour.RED


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(le=9)] = 9


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["dog"]
    names: set[Annotated[str, Field(pattern="^[a-j]+$")]] = set()


class Node(BaseModel):
    model_config = ConfigDict(extra="forbid")
    value: Annotated[int, AfterValidator(refuse)] = 0
    children: list[Node] = []
    by_name: dict[Annotated[str, Field(max_length=3)], Node] = {}


class Thing(BaseModel):
    type: Literal["thing"]
    text: Annotated[str, Field(max_length=3, alias="Text")] = ""
    first: int = Field(0, validation_alias=AliasChoices("one", AliasPath("firsts", 0)))
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    either: int | list[int] | dict[str, int] | Typed = 0
    numbers: dict[int, Decimal] = {}
    node: Node = Node()
    plain: Plain | None = None
    checked: Checked | None = None
    point: Point = Point(0)
    day: date | None = None
    wait: timedelta | None = None
    key: UUID | None = None
    page: AnyUrl | None = None
    raw: Json[dict[str, int]] | None = None
    true: bool = True
    refused: Annotated[Any, BeforeValidator(refuse)] = None
    refused_in_a_way: Annotated[Any, BeforeValidator(refuse_in_a_way)] = None
    refused_as_pydantic_would: Annotated[Any, BeforeValidator(refuse_as_pydantic_would)] = None
    asserted: Annotated[Any, BeforeValidator(assert_nothing)] = None

    @field_validator("true", mode="before")
    @classmethod
    def check(cls, value: Any) -> Any:
        return refuse(value)


class Other(BaseModel):
    type: Literal["other"]
    extra: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def check(cls, value: Any) -> Any:
        return refuse_in_a_way(value)


class Room(WebSocketListener):
    max_invalid = float("inf")

    @on
    async def thing(self, message: Thing) -> None: ...

    @on
    async def other(self, message: Other) -> None: ...


class Closing(Room):
    on_invalid = "close"


router = WebSocketRouter()
router.websocket("/")(Room)
router.websocket("/closing")(Closing)


@router.listener("/single", max_invalid=float("inf"))
async def single(message: Thing) -> None: ...


@router.listener("/any", max_invalid=float("inf"))
async def anything(message: Annotated[Node | Typed | Plain | list[Node] | dict[str, Node], Payload()]) -> None: ...


@router.listener("/bytes", max_invalid=float("inf"))
async def binary(message: Annotated[bytes, Payload(), Field(max_length=3)]) -> None: ...


@router.listener("/text", max_invalid=float("inf"))
async def text(message: Annotated[str, Payload(), Field(max_length=3, pattern="^x")]) -> None: ...


PATHS = ["/", "/closing", "/single", "/any", "/bytes", "/text"]


def names_in(model: Any) -> set[str]:
    return {name for field, info in model.model_fields.items() for name in (field, info.alias) if name}


#: What makes a value go deep, beside what nobody has declared.
NAMES = sorted(
    {"kind", "one", "firsts", "x", "y", "number", "words", "more", "when", "colour", "cat", "dog"}
    | names_in(Thing)
    | names_in(Node)
    | names_in(Cat)
    | names_in(Dog)
)
CANARIES = st.sampled_from([CANARY, f"{CANARY} of ann", f"https://{CANARY}.example", f"[{CANARY}]", f"2026-{CANARY}"])
LEAVES = st.one_of(
    CANARIES,
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from(["thing", "other", "cat", "dog", "red", "abc"]),
)
KEYS = st.one_of(st.sampled_from(NAMES), CANARIES)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)
TYPES = st.sampled_from(["thing", "thing", "other", CANARY])
MESSAGES = st.builds(lambda fields, kind: {**fields, "type": kind}, st.dictionaries(KEYS, VALUES, max_size=6), TYPES)


def everything_told(*frames: str | bytes) -> str:
    """All that clients are sent who send these frames, to each of the listeners."""
    told: list[Any] = []

    async def run() -> None:
        for path in PATHS:
            peer = await talk(router, *frames, target=path)
            told.append(peer.sent)

    anyio.run(run)
    return repr(told)


def test_the_canaries_are_what_pydantic_would_say() -> None:
    # Else the tests below would hold of messages with nothing wrong in them.
    for fields in ({"day": CANARY}, {"refused": CANARY}, {"refused_in_a_way": CANARY}, {"pet": {"kind": CANARY}}):
        with pytest.raises(ValueError, match=CANARY):
            Thing.model_validate({"type": "thing", **fields})


@pytest.mark.parametrize(
    "fields",
    [
        *({name: CANARY} for name in sorted(names_in(Thing))),
        *({name: {CANARY: CANARY}} for name in sorted(names_in(Thing))),
        *({name: [CANARY]} for name in sorted(names_in(Thing))),
        {CANARY: 1},
        {"pet": {"kind": CANARY}},
        {"pet": {"kind": "dog", CANARY: 1}},
        {"pet": {"kind": "dog", "names": [CANARY]}},
        {"node": {"by_name": {CANARY: {"value": CANARY}}}},
        {"node": {"children": [{"children": [{CANARY: CANARY}]}]}},
        {"numbers": {CANARY: CANARY}},
        {"either": {CANARY: {CANARY: CANARY}}},
        {"raw": f'{{"{CANARY}":"{CANARY}"}}'},
        {"raw": CANARY},
        {"firsts": [CANARY]},
        {"plain": {"number": 1, "more": {CANARY: CANARY}}},
        {"checked": {"when": CANARY, "colour": CANARY}},
        {"point": [1, CANARY]},
        {"point": {"x": 1, CANARY: CANARY}},
    ],
    ids=repr,
)
def test_no_field_tells_what_it_got(fields: Any) -> None:
    told = everything_told(json.dumps({"type": "thing", **fields}), json.dumps({"type": "other", **fields}))
    assert CANARY not in told


@pytest.mark.parametrize(
    "frame",
    [CANARY, f'"{CANARY}"', f'["{CANARY}"]', f'{{"type":"{CANARY}"}}', f'{{"type":["{CANARY}"]}}', "{" + CANARY],
)
def test_no_frame_comes_back(frame: str) -> None:
    assert CANARY not in everything_told(frame, frame.encode())


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(MESSAGES | VALUES, min_size=1, max_size=3))
def test_no_message_comes_back(messages: list[Any]) -> None:
    told = everything_told(*(json.dumps(message) for message in messages))
    assert CANARY not in told
    # None of them is an error of the server's.
    assert "1011" not in told


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(MESSAGES, st.data())
def test_no_piece_of_a_message_comes_back(message: Any, data: st.DataObject) -> None:
    frame = json.dumps(message)
    cut = data.draw(st.integers(0, len(frame)))
    told = everything_told(frame[:cut], frame[cut:], frame[:cut] + CANARY + frame[cut:])
    assert CANARY not in told and "1011" not in told
