"""What stands in for a value that was not sent."""

from __future__ import annotations

import enum
import threading
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from wsroute.dependencies.defaults import DefaultFactory
from wsroute.dependencies.fallbacks import Fallback, fallback_of
from wsroute.dependencies.lookups import UNSET
from wsroute.dependencies.markers import ParamMarker
from wsroute.exceptions import InvalidParameterError, Location
from wsroute.params import REQUIRED

WHERE = Location("/", ("endpoint",), "x")


class Color(enum.Enum):
    RED = "red"


def fallback(default: Any = REQUIRED, **settings: Any) -> Fallback:
    found = fallback_of(ParamMarker("query", **settings), default, WHERE)
    assert found is not None
    return found


def value_instead(annotation: Any, found: Fallback) -> Any:
    return TypeAdapter(Annotated[annotation, found]).validate_python(UNSET)


def test_what_has_no_default_has_to_be_sent() -> None:
    assert fallback_of(ParamMarker("query"), REQUIRED, WHERE) is None


@pytest.mark.parametrize("default", [None, "a", b"a", 1, 1.5, 1j, True, Color.RED])
def test_what_nobody_can_change_is_not_copied(default: object) -> None:
    assert fallback(default).settings == {"default": default}
    assert value_instead(Any, fallback(default)) is default


@pytest.mark.parametrize("default", [[1], {"a": 1}, {1}, ([1],), object()])
def test_anything_else_is_copied_each_time(default: object) -> None:
    found = fallback(default)

    assert value_instead(Any, found) is not default
    assert value_instead(Any, found) is not value_instead(Any, found)


def test_a_factory_is_called_each_time() -> None:
    assert value_instead(int, fallback(default_factory=iter([1, 2]).__next__)) == 1
    assert value_instead(list, fallback(DefaultFactory(list))) == []


def test_it_is_validated_only_on_demand() -> None:
    assert value_instead(int, fallback("a")) == "a"
    assert value_instead(int, fallback("3", validate_default=True)) == 3
    with pytest.raises(ValidationError):
        value_instead(int, fallback("a", validate_default=True))


def test_a_value_that_was_sent_stays() -> None:
    assert TypeAdapter(Annotated[int, fallback(3)]).validate_python("4") == 4


def test_what_cannot_be_copied_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidParameterError, match="cannot be copied") as error:
        fallback(threading.Lock())

    assert error.value.location == WHERE
