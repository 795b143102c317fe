"""Questions about annotations, asked of every kind of type that people write."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import uuid
from collections import deque, namedtuple
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, MutableSequence, Sequence, Set
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypeVar, Union

import pytest
from pydantic import BaseModel, Field, Json, RootModel
from starlette.datastructures import UploadFile
from typing_extensions import TypeAliasType, TypedDict

from wsroute.dependencies.annotations import (
    element_types,
    is_json,
    is_model,
    is_scalar,
    is_simple,
    is_union,
    model_of,
    takes_scalars,
    takes_several,
    type_name,
    unwrap,
)

T = TypeVar("T")
AS_JSON = Json()  # type: ignore[type-arg]  # an alias for type checkers, a class that is called at run time


class Model(BaseModel):
    a: int = 0


class Box(BaseModel, Generic[T]):
    value: T


@dataclass
class Record:
    a: int = 0


class Document(TypedDict):
    a: int


class Pair(NamedTuple):
    a: int
    b: str


class Color(enum.Enum):
    RED = "red"


class Name(str):
    """A string with a name."""


UserId = NewType("UserId", int)
Ids = NewType("Ids", list[int])
Number = TypeAliasType("Number", int)
Numbers = TypeAliasType("Numbers", list[int])
ListOf = TypeAliasType("ListOf", list[T], type_params=(T,))
Nested = TypeAliasType("Nested", Annotated[Numbers, Field(min_length=1)])
Root = RootModel[list[int]]

SCALARS = [
    str,
    bytes,
    bytearray,
    int,
    float,
    bool,
    complex,
    Any,
    object,
    None,
    type(None),
    Name,
    Color,
    Literal["a", 1],
    decimal.Decimal,
    uuid.UUID,
    datetime.datetime,
    datetime.timedelta,
    ipaddress.IPv4Address,
    T,
    UserId,
    Number,
    int | None,
    Optional[int],  # noqa: UP045  # as people write it
    Union[int, str],  # noqa: UP007  # as people write it
    Annotated[int, Field(gt=3)],
    Annotated[int, Field(gt=3)] | None,
    Json,
    Json[list[int]],
    Json[Model],
    Annotated[list[int], Json],
    Annotated[list[int] | Model, AS_JSON],
    Json[list[int]] | None,
    Json[Model] | int | None,
    Callable[[int], str],
    type[int],
]
SEVERAL = [
    list,
    list[int],
    list[int | None],
    list[Annotated[int, Field(gt=3)]],
    list[Json[Model]],
    set[str],
    frozenset[Color],
    tuple[int, str],
    tuple[int, ...],
    deque[int],
    Sequence[int],
    MutableSequence[int],
    Set[int],
    list[int] | None,
    list[int] | int,
    list[int] | set[str],
    Annotated[list[int], Field(min_length=2)],
    Numbers,
    Numbers | None,
    ListOf[int],
    Nested,
    Ids,
    Pair,
    namedtuple("Loose", "a b"),
]
OTHERS = [
    Model,
    Model | None,
    Box[int],
    Annotated[Model, "documented"],
    Annotated[Model, "documented"] | None,
    TypeAliasType("Aliased", Model),
    Root,
    Record,
    Record | None,
    Document,
    dict,
    dict[str, int],
    Mapping[str, int],
    dict[str, int] | str,
    UploadFile,
    Iterable[int],
    Iterator[int],
    Generator[int, None, None],
    Collection[int],
]


def names(annotation: object) -> str:
    return repr(annotation).replace("tests.dependencies.test_annotations.", "")


@pytest.mark.parametrize("annotation", SCALARS, ids=names)
def test_a_scalar_fits_into_one_string(annotation: Any) -> None:
    assert is_scalar(annotation)
    assert not takes_several(annotation)
    assert model_of(annotation) is None


@pytest.mark.parametrize("annotation", SEVERAL, ids=names)
def test_a_sequence_of_scalars_takes_all_values(annotation: Any) -> None:
    assert takes_several(annotation)
    assert takes_scalars(annotation)
    assert not is_scalar(annotation)
    assert model_of(annotation) is None


@pytest.mark.parametrize("annotation", OTHERS, ids=names)
def test_anything_else_is_neither_scalar_nor_sequence(annotation: Any) -> None:
    assert not is_scalar(annotation)
    assert not takes_several(annotation)
    assert not takes_scalars(annotation)


@pytest.mark.parametrize(
    "annotation", [list[list[int]], list[Model], tuple[int, dict[str, int]], list[int] | Model, set[Record]], ids=names
)
def test_a_sequence_of_something_else_takes_several_but_no_scalars(annotation: Any) -> None:
    assert takes_several(annotation)
    assert not takes_scalars(annotation)


@pytest.mark.parametrize(
    ("annotation", "model"),
    [
        (Model, Model),
        (Model | None, Model),
        (Optional[Model], Model),  # noqa: UP045  # as people write it
        (Annotated[Model, "documented"], Model),
        (Annotated[Model, "documented"] | None, Model),
        (Annotated[Model | None, "documented"], Model),
        (TypeAliasType("Aliased", Model), Model),
        (TypeAliasType("Aliased", Model) | None, Model),
        (NewType("Named", Model), Model),
        (Box[int], Box[int]),
        (Model | Record, None),
        (Model | int, None),
        (Model | Box[int] | None, None),
        (list[Model], None),
        (Json[Model], None),
        (Json[Model] | None, None),
        (Root, None),
        (int, None),
    ],
    ids=names,
)
def test_a_model_is_found_alone_or_beside_none(annotation: Any, model: type[BaseModel] | None) -> None:
    assert model_of(annotation) is model


def test_a_root_model_has_no_fields_that_could_be_sent_by_name() -> None:
    assert is_model(Model)
    assert is_model(Box[int])
    assert not is_model(Root)
    assert not is_model(Record)
    assert not is_model(Model())


@pytest.mark.parametrize(
    ("annotation", "elements"),
    [
        (list[int], [int]),
        (tuple[int, str], [int, str]),
        (tuple[int, ...], [int]),
        (list, []),
        (list[int] | None, [int, type(None)]),
        (list[int] | str, [int, str]),
        (Annotated[list[int], "documented"], [int]),
        (Numbers, [int]),
        (int, [int]),
        (Json[list[int]], [Json[list[int]]]),
        (list[Json[list[int]]], [Json[list[int]]]),
    ],
    ids=names,
)
def test_elements_are_what_is_inside_of_sequences_and_beside_them(annotation: Any, elements: list[Any]) -> None:
    assert element_types(annotation) == elements


@pytest.mark.parametrize(
    ("annotation", "inner", "as_json"),
    [
        (int, int, False),
        (Annotated[int, "documented"], int, False),
        (Annotated[list[int], Json], list[int], True),
        (Annotated[list[int], AS_JSON], list[int], True),
        (Nested, list[int], False),
        (ListOf[int], list[int], False),
        (Annotated[TypeAliasType("Sent", Json[list[int]]), "documented"], list[int], True),
        (Annotated[TypeAliasType("Ids", Annotated[list[int], "documented"]), Json], list[int], True),
        (NewType("Outer", UserId), int, False),
        (list[Number], list[Number], False),
    ],
    ids=names,
)
def test_unwrapping_takes_off_all_that_is_around_a_type(annotation: Any, inner: Any, as_json: bool) -> None:
    assert unwrap(annotation) == (inner, as_json)


@pytest.mark.parametrize(
    ("metadata", "expected"), [([], False), (["json"], False), ([Json], True), ([AS_JSON], True), ([1, AS_JSON], True)]
)
def test_json_is_told_by_its_metadata(metadata: list[Any], expected: bool) -> None:
    assert is_json(metadata) is expected


@pytest.mark.parametrize("annotation", [int | str, Union[int, str], Optional[int]], ids=names)  # noqa: UP007, UP045
def test_a_union_is_one_however_it_is_written(annotation: Any) -> None:
    assert is_union(annotation)
    assert not is_union(list[annotation])


def test_most_parameters_have_one_of_a_few_simple_types() -> None:
    assert all(map(is_simple, (str, int, float, bool, bytes)))
    assert not any(map(is_simple, (Any, Name, Color, list, list[int], int | None, Annotated[int, "documented"], 3)))


@pytest.mark.parametrize(
    ("annotation", "name"),
    [(int, "int"), (Model, "Model"), (list[int], "list[int]"), (int | None, "int | None"), (Box[int], "Box[int]")],
)
def test_a_type_is_called_what_people_write(annotation: Any, name: str) -> None:
    assert type_name(annotation) == name
