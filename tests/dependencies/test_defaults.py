"""Defaults that a class makes anew for each instance."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar

import pydantic
import pytest
from pydantic import BaseModel, Field

from tests.handshakes import value_of
from wsroute import Depends, InvalidParameterError, Query
from wsroute.dependencies.defaults import DefaultFactory, default_of
from wsroute.exceptions import Location

T = TypeVar("T")


@dataclass
class Filter(Generic[T]):
    limit: int = 10
    tags: Annotated[list[str], Query()] = field(default_factory=list)


@dataclass
class Sorted(Filter[str]):
    by: str = "name"


class Page(BaseModel):
    number: int = 1
    after: int | None = None
    size: int = Field(alias="pageSize", default_factory=lambda: 50)


@pydantic.dataclasses.dataclass
class Window:
    start: int = 0
    end: int = Field(default_factory=lambda: 9)


def default(call: Callable[..., Any], name: str) -> Any:
    return default_of(inspect.signature(call).parameters[name], call, Location())


@pytest.mark.parametrize(
    ("call", "name", "made"),
    [
        (Filter, "tags", []),
        (Sorted, "tags", []),
        (functools.partial(Filter, 5), "tags", []),
        (Page, "pageSize", 50),
        (Window, "end", 9),
    ],
)
def test_a_factory_is_found_behind_its_placeholder(call: Callable[..., Any], name: str, made: object) -> None:
    found = default(call, name)

    assert isinstance(found, DefaultFactory)
    assert found.make() == made


class OwnInit(BaseModel):
    size: list[int] | None = Field(default_factory=list)

    def __init__(self, size: list[int] | None = None) -> None:
        super().__init__(size=size)


@pytest.mark.parametrize(
    ("call", "name", "expected"),
    [
        (Filter, "limit", 10),
        (Page, "number", 1),
        (Page, "after", None),
        (OwnInit, "size", None),
        (lambda x=None: x, "x", None),
    ],
)
def test_any_other_default_is_what_the_signature_tells(call: Callable[..., Any], name: str, expected: object) -> None:
    assert default(call, name) == expected


def test_a_parameter_without_default_has_none() -> None:
    assert default(lambda x: x, "x") is inspect.Parameter.empty


def test_a_placeholder_without_a_class_stays_what_it_is() -> None:
    def look_alike(**values: Any) -> None: ...

    look_alike.__signature__ = inspect.signature(Filter)  # type: ignore[attr-defined]  # inspect reads it

    assert repr(default(look_alike, "tags")) == "<factory>"


def test_a_factory_that_wants_the_other_fields_is_refused() -> None:
    class Bounds(BaseModel):
        low: int = 0
        high: int = Field(default_factory=lambda data: data["low"] + 1)

    if not hasattr(Bounds.model_fields["high"], "default_factory_takes_validated_data"):
        pytest.skip("this pydantic has no such factories")
    with pytest.raises(InvalidParameterError, match="takes the other fields"):
        default(Bounds, "high")


@pytest.mark.parametrize(
    ("cls", "target", "expected"),
    [
        pytest.param(Filter, "/", Filter(10, []), id="dataclass"),
        pytest.param(Filter, "/?tags=a&tags=b", Filter(10, ["a", "b"]), id="dataclass, sent"),
        pytest.param(Filter[int], "/", Filter(10, []), id="alias of a dataclass"),
        pytest.param(Sorted, "/?by=age", Sorted(10, [], "age"), id="subclass"),
        pytest.param(Page, "/", Page(number=1, pageSize=50), id="model"),
        pytest.param(Page, "/?pageSize=3", Page(number=1, pageSize=3), id="model, sent"),
        pytest.param(Window, "/?start=5", Window(5, 9), id="pydantic dataclass"),
    ],
)
def test_a_class_as_a_dependency_gets_what_its_factories_make(cls: Any, target: str, expected: object) -> None:
    assert value_of(Annotated[Any, Depends(cls)], target) == expected


def test_each_connection_gets_its_own() -> None:
    first, second = (value_of(Annotated[Any, Depends(Filter)]) for _ in range(2))

    first.tags.append("changed")

    assert second.tags == []
