"""The markers, and the functions that make them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Annotated, Any, Optional, get_args

import pytest
from pydantic import AliasChoices, TypeAdapter

from wsroute import Cookie, Depends, Header, InvalidParameterError, MisplacedMarkerError, Path, Query, Security, params
from wsroute.params import REQUIRED

MAKERS = [Depends, Security, Path, Query, Header, Cookie]
PARAMS = [Path, Query, Header, Cookie]


def dependency() -> None: ...


class Unhashable:
    __hash__ = None  # type: ignore[assignment]  # how Python says that it cannot be hashed

    def __call__(self) -> None: ...


@pytest.mark.parametrize("make", MAKERS)
def test_a_marker_cannot_be_changed(make: Callable[..., Any]) -> None:
    marker = make()

    for name in vars(marker):
        with pytest.raises(FrozenInstanceError):
            setattr(marker, name, None)
        with pytest.raises(FrozenInstanceError):
            delattr(marker, name)


@pytest.mark.parametrize("make", MAKERS)
def test_a_function_makes_the_marker_of_its_name(make: Callable[..., Any]) -> None:
    assert type(make()) is getattr(params, make.__name__)


# Depends and Security


def test_depends_hands_over_what_it_is_given() -> None:
    marker = Depends(dependency, use_cache=False, scope="function", max_concurrency=3, threadpool=False)

    assert marker.dependency is dependency
    assert (marker.use_cache, marker.scope, marker.max_concurrency, marker.threadpool) == (False, "function", 3, False)
    assert marker.limit.size == 3


def test_depends_has_defaults() -> None:
    assert Depends() == params.Depends(None, True, None, max_concurrency=None, threadpool=None)
    assert Depends().limit is None


def test_equal_declarations_are_equal_and_hash_alike() -> None:
    assert Depends(dependency) == Depends(dependency)
    assert hash(Depends(dependency)) == hash(Depends(dependency))
    assert Security(dependency, scopes=["a"]) == Security(dependency, scopes=("a",))
    assert hash(Security(dependency, scopes=["a"])) == hash(Security(dependency, scopes=("a",)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Depends(dependency), Depends(print)),
        (Depends(dependency), Depends(dependency, use_cache=False)),
        (Depends(dependency), Depends(dependency, scope="function")),
        (Depends(dependency), Depends(dependency, threadpool=True)),
        (Depends(dependency), Security(dependency)),
        (Security(dependency), Security(dependency, scopes=["a"])),
        (Security(dependency, scopes=["a", "b"]), Security(dependency, scopes=["b", "a"])),
        (Depends(dependency, max_concurrency=1), Depends(dependency, max_concurrency=1)),
        (Query(), Query()),
    ],
)
def test_different_declarations_are_different(one: object, other: object) -> None:
    assert one != other


def test_two_limits_stay_apart_where_typing_merges_equal_annotations() -> None:
    (_, one), (_, other) = (get_args(Annotated[int, Depends(dependency, max_concurrency=1)]) for _ in range(2))

    assert one.limit is not other.limit


def test_an_unhashable_dependency_makes_no_unhashable_marker() -> None:
    call = Unhashable()

    assert hash(Depends(call)) == hash(Depends(call))
    assert hash(Security(call)) != hash(Security(Unhashable()))
    assert Optional[Annotated[int, Depends(call)]] is not None  # noqa: UP045  # typing hashes the members of a union


def test_the_scopes_of_security_are_its_own() -> None:
    scopes = ["a"]
    marker = Security(dependency, scopes=scopes)
    scopes.append("b")

    assert marker.scopes == ("a",)


@pytest.mark.parametrize("scopes", [None, [], ()])
def test_security_may_ask_for_no_scopes(scopes: Any) -> None:
    assert not Security(dependency, scopes=scopes).scopes


@pytest.mark.parametrize("size", [0, -1, 1.5, "3", True])
def test_a_limit_is_a_whole_number_from_one(size: Any) -> None:
    with pytest.raises(InvalidParameterError) as error:
        Depends(dependency, max_concurrency=size)

    assert str(error.value) == (
        f"max_concurrency={size!r} is no limit\n"
        "  expected: a whole number from 1, or None for no limit\n"
        "  remedy: write Depends(..., max_concurrency=10)"
    )


# Path, Query, Header and Cookie


@pytest.mark.parametrize("make", PARAMS)
def test_a_parameter_marker_hands_over_what_it_is_given(make: Callable[..., Any]) -> None:
    choices = AliasChoices("b", "c")
    marker = make(3, alias="a", validation_alias=choices, gt=1, description="a number")

    assert (marker.default, marker.alias, marker.validation_alias) == (3, "a", choices)
    assert marker.constraints == {"gt": 1, "description": "a number"}


@pytest.mark.parametrize("make", PARAMS)
def test_a_parameter_marker_has_defaults(make: Callable[..., Any]) -> None:
    marker = make()

    assert marker.default is REQUIRED
    assert (marker.default_factory, marker.alias, marker.validation_alias) == (None, None, None)
    assert marker.constraints == {}


@pytest.mark.parametrize("make", PARAMS)
def test_an_ellipsis_says_that_it_is_required(make: Callable[..., Any]) -> None:
    assert make(...).default is REQUIRED
    assert make(default=...).default is REQUIRED
    assert make(None).default is None


@pytest.mark.parametrize("make", PARAMS)
def test_an_unknown_keyword_is_an_error_as_it_is_for_a_function(make: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=rf"^{make.__name__}\(\) got an unexpected keyword argument 'greater_than'$"):
        make(gt=1, greater_than=1)


def test_only_a_header_converts_underscores() -> None:
    assert Header().convert_underscores
    assert not Header(convert_underscores=False).convert_underscores
    with pytest.raises(TypeError, match="convert_underscores"):
        Query(convert_underscores=False)  # type: ignore[call-arg]  # what is tested


def test_the_constraints_of_a_marker_are_its_own() -> None:
    constraints = {"gt": 1}
    marker = params.Query(constraints=constraints)
    constraints["gt"] = 2

    assert marker.constraints == {"gt": 1}
    with pytest.raises(TypeError):
        marker.constraints["gt"] = 3  # type: ignore[index]  # what is tested


def test_a_default_factory_is_kept() -> None:
    assert Query(default_factory=list).default_factory is list


def test_required_says_so() -> None:
    assert repr(REQUIRED) == "REQUIRED"


# In the hands of others


@pytest.mark.parametrize("make", MAKERS)
def test_pydantic_cannot_read_a_marker_as_something_else(make: Callable[..., Any]) -> None:
    marker = make()

    with pytest.raises(MisplacedMarkerError, match="is a marker of wsroute") as error:
        TypeAdapter(Annotated[int, marker])

    assert error.value.marker is marker
    assert f"(fastapi.{make.__name__})" in str(error.value)


@pytest.mark.parametrize("make", MAKERS)
def test_a_marker_becomes_no_default_value(make: Callable[..., Any]) -> None:
    with pytest.raises(MisplacedMarkerError):
        copy.deepcopy(make())


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("module", ["fastapi", "fastapi.dependencies.utils"])
def test_fastapi_gets_no_answer_when_it_asks_what_a_marker_is(make: Callable[..., Any], module: str) -> None:
    with pytest.raises(MisplacedMarkerError):
        eval("isinstance(marker, int)", {"__name__": module, "marker": make()})


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("module", ["fastapi_like", "application.fastapi", ""])
def test_everyone_else_is_told(make: Callable[..., Any], module: str) -> None:
    marker = make()

    assert eval("marker.__class__", {"__name__": module, "marker": marker}) is type(marker)


@pytest.mark.parametrize(
    ("marker", "written"),
    [
        (Depends(), "Depends()"),
        (Depends(dependency, use_cache=False), "Depends(dependency, use_cache=False)"),
        (Security(dependency, scopes=["a"]), "Security(dependency, scopes=('a',))"),
        (Query(3, alias="a", gt=1), "Query(3, alias='a', gt=1)"),
        (Header(convert_underscores=False), "Header(convert_underscores=False)"),
        (Cookie(default_factory=list), "Cookie(default_factory=list)"),
        (Path(), "Path()"),
    ],
)
def test_a_marker_shows_itself_as_it_was_written(marker: object, written: str) -> None:
    assert repr(marker) == written
