"""The errors render themselves: where, what was found, what was expected, what to do."""

from __future__ import annotations

import re

import pytest

from wsroute import (
    DependencyError,
    MisplacedMarkerError,
    MissingPathParameterError,
    Query,
    SwallowedExceptionError,
    UninjectedEndpointError,
    WebSocketRequestValidationError,
)
from wsroute import exceptions as module
from wsroute.exceptions import Location

ERRORS = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, Exception)]


def test_the_documentation_of_the_module_draws_the_tree_of_the_classes() -> None:
    drawn: dict[str, str] = {}
    above: list[str] = []
    for branch, name in re.findall(r"^    ([│ ]*(?:[├└]── )?)(\w+Error)\b", module.__doc__ or "", flags=re.MULTILINE):
        above[len(branch) // 4 :] = [name]
        drawn[name] = above[-2] if branch else "Exception"

    assert drawn == {error.__name__: error.__bases__[0].__name__ for error in ERRORS}


# --- Where ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "lines"),
    [
        (Location(), []),
        (Location("/items"), ["route '/items'"]),
        (Location("/items", (), "item"), ["route '/items'", "parameter 'item'"]),
        (Location(None, ("app.endpoint",), "item"), ["app.endpoint", "   parameter 'item'"]),
        (
            Location("/items", ("app.endpoint", "app.session", "app.settings"), "url"),
            [
                "route '/items'",
                "app.endpoint",
                "   └─ app.session",
                "      └─ app.settings",
                "         parameter 'url'",
            ],
        ),
    ],
)
def test_a_location_is_drawn_as_the_way_to_it(location: Location, lines: list[str]) -> None:
    assert location.lines() == lines


def test_a_location_leads_to_the_next_one() -> None:
    location = Location("/items").inside("endpoint").at("session").inside("session").at("url")
    assert location == Location("/items", ("endpoint", "session"), "url")


# --- What they say -------------------------------------------------------------------------------------------------


def test_a_dependency_error_says_where_what_and_what_to_do() -> None:
    error = DependencyError(Location("/items", ("endpoint",), "item"), problem="wrong", expected="right", remedy="mend")

    assert str(error) == (
        "wrong\n  route '/items'\n  endpoint\n     parameter 'item'\n  expected: right\n  remedy: mend"
    )
    assert (error.problem, error.expected, error.remedy) == ("wrong", "right", "mend")


def test_a_misplaced_marker_names_the_one_that_belongs_there() -> None:
    marker = Query(3, ge=1)
    error = MisplacedMarkerError(marker)

    assert error.marker is marker
    assert str(error) == (
        "Query(3, ge=1) is a marker of wsroute, and something other than wsroute is about to use it as a value. "
        "wsroute reads its markers in WebSocket endpoints and their dependencies only; a dependency that HTTP routes "
        "share has to use the HTTP framework's own marker (fastapi.Query), which wsroute understands as well."
    )
    assert isinstance(error, TypeError)


def test_an_endpoint_that_is_called_past_its_injection_names_the_right_way() -> None:
    error = UninjectedEndpointError("app.endpoint")

    assert error.endpoint == "app.endpoint"
    assert str(error) == (
        "app.endpoint was called without its dependencies, so the connection was refused. A framework rebuilt its "
        "route (FastAPI's include_router() does that to routes that are not its own), or took it for an endpoint. "
        "Declare endpoints in a WebSocketRouter, and plug that in with router.attach(app), or append the route to "
        "app.router.routes. To call the function itself, as in a test, use handler.fn, or route.endpoint.__wrapped__."
    )


def test_a_missing_path_parameter_says_who_declares_it() -> None:
    error = MissingPathParameterError(Location("/items", ("app.endpoint",), "tenant"), "tenant_id")

    assert (error.name, error.location.parameter) == ("tenant_id", "tenant")
    assert str(error) == (
        "no path parameter 'tenant_id' in scope['path_params']\n"
        "  route '/items'\n"
        "  app.endpoint\n"
        "     parameter 'tenant'\n"
        "  expected: {tenant_id} in the path of the route or of a Mount above it\n"
        "  remedy: add {tenant_id} to one of these paths, or give the parameter another source"
    )


def test_a_swallowed_exception_names_the_endpoint() -> None:
    error = SwallowedExceptionError("app.endpoint")

    assert error.endpoint == "app.endpoint"
    assert str(error) == (
        "a dependency of app.endpoint swallowed an exception at its yield. Raise it again after cleaning up, or raise "
        "the one that should decide how the connection ends."
    )


@pytest.mark.parametrize(("count", "title"), [(1, "1 validation error"), (2, "2 validation errors")])
def test_a_validation_error_lists_what_is_wrong_with_the_handshake(count: int, title: str) -> None:
    found = {"type": "missing", "loc": ("query", "tags", 0), "msg": "Field required", "input": None}
    error = WebSocketRequestValidationError([found] * count)

    assert list(error.errors()) == [found] * count
    assert str(error) == f"{title} in the handshake" + "\n  query.tags.0: Field required [missing]" * count


def test_a_validation_error_does_not_change_with_the_callers_list() -> None:
    found = [{"type": "missing", "loc": ("query", "a"), "msg": "Field required", "input": None}]
    error = WebSocketRequestValidationError(found)
    found.clear()

    assert len(error.errors()) == 1
