"""What levels provide by name, as data: which provider a callable finds, and what a declaration is read to."""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest

from tests.frameworks import fastapi
from wsroute import Depends, Inject, Injects, InvalidParameterError, Query, Security
from wsroute.dependencies.markers import DependsMarker, read_marker
from wsroute.dependencies.providers import Providers, Reach, read_dependencies
from wsroute.exceptions import Location

LOCATION = Location(chain=("level",))


def one() -> int:
    return 1


def two() -> int:
    return 2


ONE, TWO, THREE = DependsMarker(one), DependsMarker(two), DependsMarker(print)
PROVIDERS = Providers(({"a": ONE, "b": ONE}, {}, {"a": TWO, "c": TWO}, {"a": THREE}))


@pytest.mark.parametrize(
    ("name", "reach", "found"),
    [
        ("a", Reach(), (3, THREE)),
        ("b", Reach(), (0, ONE)),
        ("c", Reach(), (2, TWO)),
        ("d", Reach(), None),
        ("a", Reach("a", 3), (2, TWO)),
        ("a", Reach("a", 2), (0, ONE)),
        ("a", Reach("a", 1), (0, ONE)),
        ("a", Reach("a", 0), None),
        ("a", Reach("b", 0), (3, THREE)),
        ("b", Reach("a", 3), (0, ONE)),
    ],
)
def test_the_nearest_level_provides_and_under_its_own_name_only_those_further_out(
    name: str, reach: Reach, found: tuple[int, DependsMarker] | None
) -> None:
    assert PROVIDERS.find(name, reach) == found


@pytest.mark.parametrize(
    ("reach", "is_nearest"),
    [
        (Reach("a", 3), True),
        (Reach("a", 2), False),
        (Reach("a", 0), False),
        (Reach("b", 0), True),
        (Reach("c", 2), True),
        (Reach("d", 0), False),
        (Reach(), False),
    ],
)
def test_which_provider_is_the_one_that_an_endpoint_gets(reach: Reach, is_nearest: bool) -> None:
    assert PROVIDERS.is_nearest(reach) is is_nearest


def test_names_come_once_outermost_level_first() -> None:
    assert list(PROVIDERS.names()) == ["a", "b", "c"]
    assert list(Providers().names()) == []
    assert Providers().find("a", Reach()) is None


@pytest.mark.parametrize(
    ("dependencies", "effects", "provides"),
    [
        (None, (), {}),
        ([], (), {}),
        ((), (), {}),
        ({}, (), {}),
        ([{}], (), {}),
        ({"a": one}, (), {"a": ONE}),
        ({"a": Inject(one), "b": Depends(two)}, (), {"a": ONE, "b": TWO}),
        ([{"a": one}, {"b": two}], (), {"a": ONE, "b": TWO}),
        (MappingProxyType({"a": one}), (), {"a": ONE}),
        (OrderedDict(b=two, a=one), (), {"b": TWO, "a": ONE}),
        ({"a": fastapi.Depends(one)}, (), {"a": ONE}),
        ({"ñame": one}, (), {"ñame": ONE}),
    ],
)
def test_what_is_provided_is_read(dependencies: Any, effects: tuple[Any, ...], provides: Any) -> None:
    found = read_dependencies(dependencies, LOCATION)
    assert found == (effects, provides)
    assert list(found[1]) == list(provides)


def test_what_runs_for_its_effect_is_kept_in_its_order() -> None:
    first, second = Depends(one), Security(two, scopes=["a"])
    assert read_dependencies([first, {"a": one}, second, {"b": two}], LOCATION) == (
        (first, second),
        {"a": ONE, "b": TWO},
    )


def test_what_a_provider_says_is_kept() -> None:
    markers = {
        "a": Inject(one, use_cache=False, scope="function", threadpool=False),
        "b": Security(two, scopes=["x"]),
    }
    _, provides = read_dependencies(markers, LOCATION)
    assert provides == {name: read_marker(marker) for name, marker in markers.items()}
    assert provides["a"].scope == "function"
    assert provides["b"].security_scopes == ("x",)


def test_the_caller_may_change_what_it_has_handed_over() -> None:
    mapping, effects = {"a": one}, [Depends(one)]
    from_mapping, from_list = read_dependencies(mapping, LOCATION), read_dependencies([*effects, mapping], LOCATION)
    mapping.clear()
    effects.clear()
    assert from_mapping == ((), {"a": ONE})
    assert from_list == ((Depends(one),), {"a": ONE})


@pytest.mark.parametrize(
    ("dependencies", "problem"),
    [
        ([{"a": one}, {"a": one}], "dependencies= provides 'a' twice at one level"),
        ({"a b": one}, "dependencies= provides something under 'a b', which no parameter can be called"),
        ({"None": one}, "dependencies= provides something under 'None', which no parameter can be called"),
        ({one: one}, f"dependencies= provides something under {__name__}.one, which no parameter can be called"),
        ({"a": 1}, "dependencies= provides 1 under 'a'"),
        ({"a": Depends()}, "dependencies= provides Depends() under 'a'"),
        ({"a": Injects()}, "dependencies= provides Injects() under 'a'"),
        ({"a": Query()}, "dependencies= provides Query() under 'a'"),
        ({"a": Inject}, "dependencies= provides wsroute.param_functions.Inject under 'a'"),
        (0, "dependencies= is 0"),
        (set(), "dependencies= is set()"),
        ({3}, "dependencies= is {3}"),
        (one, f"dependencies= is {__name__}.one"),
    ],
)
def test_what_provides_nothing_is_an_error_at_the_level(dependencies: Any, problem: str) -> None:
    with pytest.raises(InvalidParameterError) as raised:
        read_dependencies(dependencies, LOCATION)
    assert raised.value.problem == problem
    assert raised.value.location is LOCATION
