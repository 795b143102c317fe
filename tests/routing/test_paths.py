"""Paths: what they are compiled to, and what is read from the scope. The mistakes are in `tests/mistakes`."""

from __future__ import annotations

import re
import uuid
from unittest.mock import patch

import pytest
from starlette._utils import get_route_path
from starlette.convertors import CONVERTOR_TYPES, Convertor, register_url_convertor
from starlette.routing import compile_path
from starlette.types import Scope

from wsroute import InvalidPathError
from wsroute.exceptions import Location
from wsroute.routing.paths import check_not_empty, check_parameters, check_prefix, compile_route_path, route_path

LOCATION = Location("/here")


@pytest.mark.parametrize(
    "path", ["/", "/rooms", "/rooms/", "/{a}", "/{a:int}/{b:path}", "/v{major:int}.{minor:int}", "/{a_1}{B}"]
)
def test_a_path_is_compiled_as_starlette_compiles_it(path: str) -> None:
    compiled = compile_route_path(path, LOCATION)

    assert (compiled.regex, compiled.format, compiled.convertors) == compile_path(path)


def test_a_registered_convertor_is_known() -> None:
    class Year(Convertor[int]):
        regex = "[0-9]{4}"

        def convert(self, value: str) -> int:
            return int(value)

        def to_string(self, value: int) -> str:
            return f"{value:04}"

    name = f"year_{uuid.uuid4().hex}"
    with pytest.raises(InvalidPathError):
        compile_route_path(f"/{{it:{name}}}", LOCATION)
    with patch.dict(CONVERTOR_TYPES):  # other tests show which convertors there are
        register_url_convertor(name, Year())
        assert compile_route_path(f"/{{it:{name}}}", LOCATION).regex.pattern == "^/(?P<it>[0-9]{4})$"


def test_a_regex_of_starlettes_own_convertors_waits_until_it_is_needed() -> None:
    with patch("re.compile", wraps=re.compile) as compile_:
        compiled = compile_route_path("/a/{b}/{c:int}/{d:float}/{e:uuid}/{f:path}", LOCATION)
        assert not compile_.called
        assert compiled.regex is compiled.regex
        assert compile_.call_count == 1


def test_a_convertor_whose_regex_does_not_fit_into_a_path_is_no_surprise_for_the_first_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(Convertor[str]):
        regex = "("

    monkeypatch.setitem(CONVERTOR_TYPES, "broken", Broken())
    with pytest.raises(re.error):
        compile_route_path("/{it:broken}", LOCATION)


@pytest.mark.parametrize("path", ["rooms", "{room}", " /rooms"])
def test_a_path_starts_with_a_slash(path: str) -> None:
    with pytest.raises(InvalidPathError) as raised:
        compile_route_path(path, LOCATION)
    assert raised.value.location is LOCATION


@pytest.mark.parametrize("prefix", ["", "/rooms", "/rooms/{room:int}", "/a/b"])
def test_a_prefix_that_fits_before_a_path_is_accepted(prefix: str) -> None:
    check_prefix(prefix, LOCATION)


@pytest.mark.parametrize("prefix", ["/", "rooms", "/rooms/", "rooms/", "/{a}/{a}", "/{a:nope}", "/{a b}"])
def test_a_prefix_that_does_not_fit_before_a_path_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidPathError) as raised:
        check_prefix(prefix, LOCATION)
    assert raised.value.location is LOCATION


def test_a_whole_path_is_not_empty() -> None:
    check_not_empty("/", LOCATION)
    with pytest.raises(InvalidPathError):
        check_not_empty("", LOCATION)


@pytest.mark.parametrize("path", ["/{a}/{b}", "/{a:str}{b:uuid}", "/"])
def test_parameters_with_names_of_their_own_are_accepted(path: str) -> None:
    check_parameters(path, LOCATION)


@pytest.mark.parametrize(
    "scope",
    [
        {"path": "/a/b"},
        {"path": "/a/b", "root_path": ""},
        {"path": "/a/b", "root_path": "/a"},
        {"path": "/a", "root_path": "/a"},
        {"path": "/ab", "root_path": "/a"},
        {"path": "/b", "root_path": "/a"},
        {"path": "", "root_path": "/a"},
    ],
)
def test_the_path_below_the_mounts_is_what_starlettes_routes_see(scope: Scope) -> None:
    assert route_path(scope) == get_route_path(scope)
