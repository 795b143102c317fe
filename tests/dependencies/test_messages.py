"""Which parameter is the message, and which messages a dependency takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NewType

import pytest
from pydantic import BaseModel, RootModel
from typing_extensions import TypedDict

from wsroute.dependencies.messages import check_covers, is_message, options_of
from wsroute.exceptions import InvalidParameterError, Location


class Base(BaseModel): ...


class Say(Base): ...


class Move(Base): ...


@dataclass
class Point: ...


class Options(TypedDict):
    depth: int


Ids = RootModel[list[int]]
Alias = NewType("Alias", Say)

MESSAGES: list[Any] = [
    *(Say, Point, Options, Ids, Alias, dict, dict[str, int], bytes, Annotated[Say, "a note"]),
    *(Say | Move, Say | Point | Options),
]
NO_MESSAGES: list[Any] = [*(str, int, list[Say], Any, Say | None, Say | str, Literal["a"]), object, type[Say]]


@pytest.mark.parametrize("annotation", MESSAGES, ids=str)
def test_a_type_that_only_a_message_can_be_of(annotation: Any) -> None:
    assert is_message(annotation)


@pytest.mark.parametrize("annotation", NO_MESSAGES, ids=str)
def test_a_type_that_something_else_can_be_of(annotation: Any) -> None:
    assert not is_message(annotation)


def test_a_union_is_taken_apart_at_any_depth() -> None:
    assert list(options_of(Annotated[Say | Annotated[Move | Point, "a note"], "another"])) == [Say, Move, Point]


COVERED = [
    *((Say, Say), (Base, Say), (Base, Say | Move), (Say | Move, Say), (Any, Say), (object, Say | Move)),
    *((dict, Options), (dict[str, Any], dict), (dict, dict[str, int]), (Options, Options), (str, str)),
    *((list[int], list[int]), (Literal["a"], Literal["a"])),
]
NOT_COVERED = [
    *((Say, Say | Move), (Say, Base), (Move, Say), (Options, dict), (str, bytes), (dict, Say)),
    *((Literal["a"], str), (str, Literal["a"]), (None, Say)),
]


@pytest.mark.parametrize(("wanted", "given"), COVERED, ids=str)
def test_a_dependency_that_takes_all_messages_of_a_handler(wanted: Any, given: Any) -> None:
    check_covers(wanted, given, Location())


@pytest.mark.parametrize(("wanted", "given"), NOT_COVERED, ids=str)
def test_a_dependency_that_does_not(wanted: Any, given: Any) -> None:
    with pytest.raises(InvalidParameterError, match="the handler is called for"):
        check_covers(wanted, given, Location())
