"""Parameters that the handshake fills, through a whole route: what an endpoint gets, and what is wrong."""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import subprocess
import sys
import threading
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Set
from functools import partial
from typing import Annotated, Any, Literal, NewType, Optional

import pytest
from annotated_types import Gt
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    Field,
    Json,
    RootModel,
    TypeAdapter,
)
from typing_extensions import TypeAliasType

from tests.handshakes import Fault, Headers, endpoint_asking_for, faults, faults_of, handshake, value_of
from wsroute import (
    APIWebSocketRoute,
    Cookie,
    Depends,
    Header,
    InvalidParameterError,
    MissingPathParameterError,
    Path,
    Query,
    WebSocketRequestValidationError,
)
from wsroute.dependencies.fields import make_field
from wsroute.dependencies.markers import ParamMarker
from wsroute.exceptions import Location
from wsroute.params import REQUIRED

AS_JSON = Json()  # type: ignore[type-arg]  # an alias for type checkers, a class that is called at run time


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Page(BaseModel):
    limit: int = 10
    sort_by: str = "name"


class Point(BaseModel):
    x: int
    y: int


UserId = NewType("UserId", int)
Number = TypeAliasType("Number", int)
Numbers = TypeAliasType("Numbers", list[int])
Limit = TypeAliasType("Limit", Annotated[int, Query(alias="n", gt=0)])
UUID = "12345678-1234-5678-1234-567812345678"


# Values


@pytest.mark.parametrize(
    ("annotation", "sent", "expected"),
    [
        (str, "a", "a"),
        (str, "", ""),
        (int, "3", 3),
        (float, "2.5", 2.5),
        (bool, "on", True),
        (bytes, "%C3%A9", "é".encode()),
        (Any, "3", "3"),
        (object, "3", "3"),
        (Color, "red", Color.RED),
        (Level, "1", Level.LOW),
        (Literal["a", "b"], "b", "b"),
        (datetime.date, "2024-02-29", datetime.date(2024, 2, 29)),
        (datetime.datetime, "2024-02-29T01:02:03", datetime.datetime(2024, 2, 29, 1, 2, 3)),
        (datetime.timedelta, "PT90S", datetime.timedelta(seconds=90)),
        (uuid.UUID, UUID, uuid.UUID(UUID)),
        (decimal.Decimal, "1.50", decimal.Decimal("1.50")),
        (int | str, "3", "3"),
        (int | None, "3", 3),
        (Optional[int], "3", 3),  # noqa: UP045  # as people write it
        (UserId, "3", 3),
        (Number, "3", 3),
        (Annotated[int, AfterValidator(lambda value: value * 2)], "3", 6),
        (Annotated[int, BeforeValidator(lambda text: text + "0")], "3", 30),
        (Annotated[Annotated[int, Field(gt=1)], Field(lt=5)], "3", 3),
        (Json[list[int]], "[1,2]", [1, 2]),
        (Json[list[int]] | None, "[1,2]", [1, 2]),
        (Json[Point], '{"x":1,"y":2}', Point(x=1, y=2)),
        (Annotated[dict[str, int], Json], '{"a":1}', {"a": 1}),
        (Annotated[list[int], AS_JSON], "[1]", [1]),
    ],
)
def test_an_unmarked_scalar_is_read_from_the_query_string(annotation: Any, sent: str, expected: object) -> None:
    assert value_of(annotation, f"/?x={sent}") == expected


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (list[int], [1, 2, 2]),
        (list, ["1", "2", "2"]),
        (set[int], {1, 2}),
        (frozenset[str], frozenset("12")),
        (tuple[int, ...], (1, 2, 2)),
        (tuple[int, str, int], (1, "2", 2)),
        (deque[int], deque([1, 2, 2])),
        (Sequence[int], [1, 2, 2]),
        (Set[int], {1, 2}),
        (list[int] | None, [1, 2, 2]),
        (list[Annotated[int, Field(gt=0)]], [1, 2, 2]),
        (list[Json[int]], [1, 2, 2]),
        (Numbers, [1, 2, 2]),
        (Numbers | None, [1, 2, 2]),
    ],
)
@pytest.mark.parametrize(
    ("marker", "target", "headers"),
    [
        pytest.param(Query(), "/?x=1&x=2&x=2", [], id="query"),
        pytest.param(Header(), "/", [("x", "1"), ("x", "2"), ("x", "2")], id="header"),
        pytest.param(Cookie(), "/", [("cookie", "x=1; x=2"), ("cookie", "x=2")], id="cookie"),
    ],
)
def test_a_sequence_takes_all_values(
    annotation: Any, expected: object, marker: Any, target: str, headers: Headers
) -> None:
    assert value_of(Annotated[annotation, marker], target, headers) == expected


@pytest.mark.parametrize(
    ("marker", "target", "headers", "expected"),
    [
        pytest.param(Query(), "/?x=1&x=2", [], 2, id="query"),
        pytest.param(Header(), "/", [("x", "1"), ("x", "2")], 1, id="header"),
        pytest.param(Cookie(), "/", [("cookie", "x=1; x=2"), ("cookie", "x=3")], 3, id="cookie"),
    ],
)
def test_a_scalar_that_is_repeated_is_the_last_one_but_the_first_header(
    marker: Any, target: str, headers: Headers, expected: int
) -> None:
    assert value_of(Annotated[int, marker], target, headers) == expected


@pytest.mark.parametrize(
    ("marker", "target", "headers"),
    [
        pytest.param(Query(), "/?x_tok=v", [], id="query"),
        pytest.param(Header(), "/", [("X-Tok", "v")], id="header"),
        pytest.param(Header(convert_underscores=False), "/", [("X_Tok", "v")], id="header with underscores"),
        pytest.param(Header(alias="Tok_En"), "/", [("tok_en", "v")], id="header with an alias"),
        pytest.param(Cookie(), "/", [("cookie", "x_tok=v")], id="cookie"),
        pytest.param(Query(alias="a b[]"), "/?a+b[]=v", [], id="any alias"),
        pytest.param(Query(alias="a", validation_alias="b"), "/?a=-&b=v", [], id="validation alias before alias"),
        pytest.param(Query(validation_alias=AliasChoices("a", "b")), "/?b=v", [], id="second choice"),
        pytest.param(Query(validation_alias=AliasChoices("a", "b")), "/?b=-&a=v", [], id="first choice"),
        pytest.param(Query(validation_alias=AliasPath("a", 1)), "/?a=-&a=v&a=-", [], id="second value"),
        pytest.param(Query(validation_alias=AliasChoices("b", AliasPath("a", 0))), "/?a=v&a=-", [], id="path, chosen"),
    ],
)
def test_a_value_is_found_by_its_name_on_the_wire(marker: Any, target: str, headers: Headers) -> None:
    assert value_of(Annotated[str, marker], target, headers, name="x_tok") == "v"


@pytest.mark.parametrize(
    ("annotation", "path", "target", "expected"),
    [
        (int, "/{x}", "/3", 3),
        (Color, "/{x}", "/red", Color.RED),
        (int, "/{x:int}", "/3", 3),
        (str, "/{x:path}", "/a/b", "a/b"),
        (Any, "/{x}", "/3", "3"),
        (int | None, "/{x}", "/3", 3),
        (Annotated[int, Path(ge=3)], "/{x}", "/3", 3),
        (Annotated[int, Path(alias="y")], "/{y}", "/3", 3),
        (Annotated[int, Path(validation_alias=AliasChoices("y", "z"))], "/{z}", "/3", 3),
        (Json[list[int]], "/{x}", "/[3]", [3]),
    ],
)
def test_a_name_of_the_path_is_read_from_the_path(annotation: Any, path: str, target: str, expected: object) -> None:
    assert value_of(annotation, target, path=path) == expected


def test_two_headers_whose_names_differ_in_case_are_one_header() -> None:
    got: list[object] = []

    async def endpoint(a: Annotated[str, Header(alias="X-Tok")], b: Annotated[int, Header(alias="x-tok")]) -> None:
        got.extend([a, b])

    handshake(APIWebSocketRoute("/", endpoint), headers=[("X-TOK", "3")])

    assert got == ["3", 3]


def test_several_models_and_scalars_share_a_source() -> None:
    got: list[object] = []

    async def endpoint(
        page: Annotated[Page, Query()],
        point: Annotated[Point, Query()],
        limit: int,
        headers: Annotated[Page, Header()],
        sort_by: Annotated[str, Header()],
        cookies: Annotated[Page | None, Cookie()] = None,
    ) -> None:
        got.extend([page, point, limit, headers, sort_by, cookies])

    handshake(APIWebSocketRoute("/", endpoint), "/?limit=3&x=1&y=2", [("sort-by", "age")])

    assert got == [Page(limit=3), Point(x=1, y=2), 3, Page(sort_by="age"), "age", None]


# Defaults


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        pytest.param(int, 3, id="plain"),
        pytest.param(int | None, None, id="None"),
        pytest.param(int, "not validated", id="of another type"),
        pytest.param(Color, Color.RED, id="enum"),
        pytest.param(Annotated[list[int], Query()], [1], id="list"),
        pytest.param(Annotated[list[int], Header()], (1, 2), id="tuple"),
        pytest.param(Annotated[Any, Query()], {"a": [1]}, id="dict"),
        pytest.param(Annotated[Page | None, Query()], None, id="no model"),
        pytest.param(Annotated[Point, Query()], Point(x=1, y=2), id="model"),
        pytest.param(Annotated[Point, Cookie()], None, id="None for a model"),
    ],
)
def test_what_was_not_sent_is_the_default(annotation: Any, default: object) -> None:
    assert value_of(annotation, default=default) == default


def test_a_marker_may_carry_the_default() -> None:
    assert value_of(int, default=Query(3)) == 3
    assert value_of(int, "/?x=4", default=Query(3)) == 4


class Settings:
    """Hashable, as most objects are, and mutable."""

    def __init__(self) -> None:
        self.names: list[str] = []


@pytest.mark.parametrize(
    ("default", "change"),
    [
        pytest.param([[1]], lambda value: value[0].append(2), id="nested list"),
        pytest.param({"a": {"b": 1}}, lambda value: value["a"].clear(), id="nested dict"),
        pytest.param(([1],), lambda value: value[0].append(2), id="list in a tuple"),
        pytest.param(Settings(), lambda value: value.names.append("a"), id="hashable object"),
        pytest.param(Page(), lambda value: setattr(value, "limit", 0), id="model"),
    ],
)
def test_connections_share_no_default(default: Any, change: Callable[[Any], None]) -> None:
    app_values: list[Any] = []
    endpoint = endpoint_asking_for(Annotated[Any, Query()], default, got=app_values)
    app = APIWebSocketRoute("/", endpoint)
    before = copy.deepcopy(default)

    handshake(app)
    change(app_values[0])
    handshake(app)

    for untouched in (app_values[1], default):
        assert vars(untouched) == vars(before) if hasattr(before, "__dict__") else untouched == before


def test_a_default_factory_runs_once_for_each_connection_that_needs_it() -> None:
    calls = iter(range(9))
    app_values: list[int] = []
    endpoint = endpoint_asking_for(Annotated[int, Query(default_factory=lambda: next(calls))], got=app_values)
    app = APIWebSocketRoute("/", endpoint)

    for target in ("/", "/?x=7", "/"):
        handshake(app, target)

    assert app_values == [0, 7, 1]


def test_a_default_factory_runs_once_although_another_parameter_is_wrong() -> None:
    calls: list[int] = []

    async def endpoint(a: Annotated[None, Query(default_factory=partial(calls.append, 1))], b: int) -> None: ...

    peer = handshake(APIWebSocketRoute("/", endpoint), "/?b=x")

    assert faults(peer) == [("int_parsing", ("query", "b"))]
    assert calls == [1]


def test_a_default_is_validated_on_demand() -> None:
    assert value_of(Annotated[int, Query(validate_default=True)], default="3") == 3
    assert faults_of(Annotated[int, Query(validate_default=True)], default="x") == [("int_parsing", ("query", "x"))]


def test_a_validated_default_is_no_reason_for_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        value_of(Annotated[int, Query(validate_default=True, deprecated=True, serialization_alias="y")], default=3)


def test_an_ellipsis_is_no_default() -> None:
    for default in (..., Query(...), Query(default=...)):
        assert faults_of(int, default=default) == [("missing", ("query", "x"))]


def test_a_default_that_cannot_be_copied_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="the default cannot be copied") as error:
        APIWebSocketRoute("/", endpoint_asking_for(Any, threading.Lock())).bind()

    assert isinstance(error.value.__cause__, TypeError)


# Errors


@pytest.mark.parametrize(
    ("annotation", "target", "expected"),
    [
        pytest.param(int, "/", "missing", id="missing"),
        pytest.param(Any, "/", "missing", id="missing although anything goes"),
        pytest.param(object, "/", "missing", id="missing object"),
        pytest.param(Annotated[Any, Query(validation_alias=AliasChoices("x", "y"))], "/", "missing", id="no choice"),
        pytest.param(int | None, "/", "missing", id="None is no default"),
        pytest.param(Annotated[list[int], Query()], "/", "missing", id="missing list"),
        pytest.param(int, "/?x=", "int_parsing", id="empty"),
        pytest.param(bool, "/?x=", "bool_parsing", id="empty bool"),
        pytest.param(Annotated[int, Query(gt=3)], "/?x=3", "greater_than", id="gt"),
        pytest.param(Annotated[int, Query(ge=3)], "/?x=2", "greater_than_equal", id="ge"),
        pytest.param(Annotated[int, Query(lt=3)], "/?x=3", "less_than", id="lt"),
        pytest.param(Annotated[int, Query(le=3)], "/?x=4", "less_than_equal", id="le"),
        pytest.param(Annotated[int, Query(multiple_of=2)], "/?x=3", "multiple_of", id="multiple_of"),
        pytest.param(Annotated[str, Query(min_length=2)], "/?x=a", "string_too_short", id="min_length"),
        pytest.param(Annotated[str, Query(max_length=2)], "/?x=abc", "string_too_long", id="max_length"),
        pytest.param(Annotated[str, Query(pattern="^a")], "/?x=b", "string_pattern_mismatch", id="pattern"),
        pytest.param(Annotated[int, Query(strict=True)], "/?x=1", "int_type", id="strict"),
        pytest.param(Annotated[float, Query(allow_inf_nan=False)], "/?x=nan", "finite_number", id="allow_inf_nan"),
        pytest.param(Annotated[decimal.Decimal, Query(max_digits=2)], "/?x=123", "decimal_max_digits", id="max_digits"),
        pytest.param(
            Annotated[decimal.Decimal, Query(decimal_places=1)], "/?x=1.23", "decimal_max_places", id="decimal_places"
        ),
        pytest.param(Annotated[list[int], Query(min_length=2)], "/?x=1", "too_short", id="length of a list"),
        pytest.param(Annotated[int, Field(gt=3)], "/?x=3", "greater_than", id="a Field without a marker"),
        pytest.param(Json[list[int]], "/?x=[1", "json_invalid", id="no JSON"),
    ],
)
def test_a_wrong_value_is_told_by_pydantic(annotation: Any, target: str, expected: str) -> None:
    assert faults_of(annotation, target) == [(expected, ("query", "x"))]


@pytest.mark.parametrize(
    ("annotation", "target", "headers", "expected"),
    [
        pytest.param(
            Annotated[list[int], Query()], "/?x=1&x=a", [], [("int_parsing", ("query", "x", 1))], id="in a list"
        ),
        pytest.param(
            int | float,
            "/?x=a",
            [],
            [("int_parsing", ("query", "x", "int")), ("float_parsing", ("query", "x", "float"))],
            id="each member of a union",
        ),
        pytest.param(
            Annotated[int, Header(alias="X-Tok")], "/", [], [("missing", ("header", "X-Tok"))], id="alias as written"
        ),
        pytest.param(
            Annotated[int, Query(validation_alias=AliasChoices("a", "b"))],
            "/?b=z",
            [],
            [("int_parsing", ("query", "b"))],
            id="the choice that was sent",
        ),
        pytest.param(
            Annotated[int, Query(validation_alias=AliasChoices("a", "b"))],
            "/",
            [],
            [("missing", ("query", "a"))],
            id="else the first choice",
        ),
        pytest.param(
            Annotated[Point, Query()],
            "/?x=a",
            [],
            [("int_parsing", ("query", "x")), ("missing", ("query", "y"))],
            id="model",
        ),
        pytest.param(Annotated[Point | None, Query()], "/", [], [("missing", ("query",))], id="no default for a model"),
        pytest.param(
            Annotated[NewType("Place", Point), Query()],
            "/",
            [],
            [("missing", ("query", "x")), ("missing", ("query", "y"))],
            id="a model by another name",
        ),
        pytest.param(
            Annotated[Page, Header()], "/", [("limit", "x")], [("int_parsing", ("header", "limit"))], id="header model"
        ),
    ],
)
def test_an_error_shows_where_the_value_is_on_the_wire(
    annotation: Any, target: str, headers: Headers, expected: list[Fault]
) -> None:
    assert faults_of(annotation, target, headers) == expected


def test_a_field_of_a_header_model_is_shown_with_its_hyphens() -> None:
    class Versions(BaseModel):
        x_version: int

    assert faults_of(Annotated[Versions, Header()]) == [("missing", ("header", "x-version"))]


def test_an_error_has_the_shape_of_fastapis() -> None:
    caught: list[WebSocketRequestValidationError] = []

    class Starter:
        """An application around the route, as far as the route looks at it."""

        def __init__(self, route: APIWebSocketRoute) -> None:
            self.route = route

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["starlette.exception_handlers"] = ({WebSocketRequestValidationError: note}, {})
            await self.route(scope, receive, send)

    async def note(websocket: Any, error: WebSocketRequestValidationError) -> None:
        caught.append(error)

    async def endpoint(a: int, b: Annotated[int, Query(gt=3)]) -> None: ...

    handshake(Starter(APIWebSocketRoute("/", endpoint)), "/?b=2")

    assert list(caught[0].errors()) == [
        {"type": "missing", "loc": ("query", "a"), "msg": "Field required", "input": None},
        {
            "type": "greater_than",
            "loc": ("query", "b"),
            "msg": "Input should be greater than 3",
            "input": "2",
            "ctx": {"gt": 3},
        },
    ]


def test_errors_come_in_the_order_of_the_signatures_dependencies_at_their_place() -> None:
    async def dependency(b: int, c: Annotated[int, Header()]) -> None: ...

    async def endpoint(
        a: int, nothing: Annotated[None, Depends(dependency)], d: Annotated[int, Cookie()], e: int
    ) -> None: ...

    peer = handshake(APIWebSocketRoute("/", endpoint))

    assert [location for _, location in faults(peer)] == [
        ("query", "b"),
        ("header", "c"),
        ("query", "a"),
        ("cookie", "d"),
        ("query", "e"),
    ]


def test_what_is_right_is_not_told() -> None:
    async def endpoint(a: int, b: int, c: int = 1) -> None: ...

    assert faults(handshake(APIWebSocketRoute("/", endpoint), "/?a=1&b=x")) == [("int_parsing", ("query", "b"))]


def test_an_error_that_several_parameters_have_is_told_once() -> None:
    async def first(x: int) -> None: ...

    async def second(x: int) -> None: ...

    async def endpoint(
        a: Annotated[None, Depends(first)],
        b: Annotated[None, Depends(second)],
        c: Annotated[None, Depends(first)],
        x: int,
    ) -> None: ...

    assert faults(handshake(APIWebSocketRoute("/", endpoint))) == [("missing", ("query", "x"))]


def test_two_limits_on_one_value_are_two_errors() -> None:
    async def dependency(x: Annotated[int, Query(gt=3)]) -> None: ...

    async def endpoint(a: Annotated[None, Depends(dependency)], x: Annotated[int, Query(gt=30)]) -> None: ...

    peer = handshake(APIWebSocketRoute("/", endpoint), "/?x=1")

    assert peer.denial is not None
    assert [error["msg"][-2:].strip() for error in peer.denial.json()["detail"]] == ["3", "30"]


def test_after_an_error_no_dependency_is_called_and_the_rest_is_checked() -> None:
    calls: list[str] = []

    async def authenticate() -> None:
        calls.append("authenticate")

    async def count(limit: int) -> None:
        calls.append("count")

    async def audit() -> None:
        calls.append("audit")

    async def endpoint(
        a: Annotated[None, Depends(authenticate)],
        b: Annotated[None, Depends(count)],
        c: Annotated[None, Depends(audit)],
        page: int,
    ) -> None:
        calls.append("endpoint")

    peer = handshake(APIWebSocketRoute("/", endpoint), "/?page=x")

    assert faults(peer) == [("missing", ("query", "limit")), ("int_parsing", ("query", "page"))]
    assert calls == ["authenticate"]


# Bugs of the application are no errors of the client


def fail_with(error: Exception) -> Callable[[Any], Any]:
    def fail(value: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("error", [KeyError("k"), AttributeError("a"), TypeError("t"), RuntimeError("r")])
def test_a_validator_that_fails_in_its_own_right_is_raised_on(error: Exception) -> None:
    endpoint = endpoint_asking_for(Annotated[int, AfterValidator(fail_with(error))])

    with pytest.raises(type(error)) as raised:
        handshake(APIWebSocketRoute("/", endpoint), "/?x=1")

    assert raised.value is error


@pytest.mark.parametrize("error", [ValueError("too odd"), AssertionError("too odd")])
def test_a_validator_may_say_what_is_wrong(error: Exception) -> None:
    kind = "value_error" if isinstance(error, ValueError) else "assertion_error"

    assert faults_of(Annotated[int, AfterValidator(fail_with(error))], "/?x=1") == [(kind, ("query", "x"))]


def test_a_validation_error_inside_of_a_dependency_is_no_error_of_the_client() -> None:
    async def dependency(x: int) -> Point:
        return Point.model_validate({"x": x})

    async def endpoint(point: Annotated[Point, Depends(dependency)]) -> None: ...

    with pytest.raises(ValueError, match="1 validation error for Point"):
        handshake(APIWebSocketRoute("/", endpoint), "/?x=1")


def test_a_key_error_in_a_dependency_is_no_error_of_the_client() -> None:
    async def dependency(x: int) -> int:
        return {1: 1}[x]

    async def endpoint(value: Annotated[int, Depends(dependency)]) -> None: ...

    with pytest.raises(KeyError):
        handshake(APIWebSocketRoute("/", endpoint), "/?x=2")


def test_a_path_parameter_that_no_path_has_is_the_applications_error() -> None:
    with pytest.raises(MissingPathParameterError, match="no path parameter 'x'"):
        handshake(APIWebSocketRoute("/", endpoint_asking_for(Annotated[int, Path()])))


def test_a_path_parameter_may_come_from_what_is_above_the_route() -> None:
    got: list[int] = []
    peer_app = APIWebSocketRoute("/", endpoint_asking_for(Annotated[int, Path()], got=got))

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await peer_app({**scope, "path_params": {"x": "3"}}, receive, send)

    handshake(mounted)

    assert got == [3]


# What applies in which order


def double(value: int) -> int:
    return value * 2


@pytest.mark.parametrize(
    ("annotation", "default", "target", "expected"),
    [
        pytest.param(Annotated[int, Query(lt=5), AfterValidator(double)], ..., "/?x=4", 8, id="as it is written"),
        pytest.param(Annotated[int, AfterValidator(double), Query(le=8)], ..., "/?x=4", 8, id="the marker last"),
        pytest.param(Annotated[int, AfterValidator(double)], Query(le=8), "/?x=4", 8, id="the marker as the default"),
        pytest.param(Annotated[int, Query(alias="a"), Query(alias="b")], ..., "/?a=1&b=2", 2, id="the last alias"),
        pytest.param(Annotated[int, Query(alias="a"), Query(gt=1)], ..., "/?a=2", 2, id="the only alias"),
        pytest.param(Annotated[int, Query(), Field(alias="a")], ..., "/?a=2", 2, id="the alias of a Field"),
        pytest.param(Annotated[int, Field(default_factory=lambda: 7)], ..., "/", 7, id="the factory of a Field"),
        pytest.param(Annotated[int, Query(), Header()], ..., "/?x=1", 5, id="the last source"),
        pytest.param(Limit, ..., "/?n=3", 3, id="in an alias"),
        pytest.param(Annotated[Limit, Query(alias="m")], ..., "/?n=1&m=3", 3, id="around an alias"),
    ],
)
def test_the_last_marker_wins_and_metadata_applies_in_its_order(
    annotation: Any, default: Any, target: str, expected: int
) -> None:
    assert value_of(annotation, target, [("x", "5")], default=default) == expected


@pytest.mark.parametrize(
    ("annotation", "default", "target", "fault"),
    [
        pytest.param(Annotated[int, Query(gt=5), Query(alias="x")], ..., "/?x=1", "greater_than", id="first of two"),
        pytest.param(Annotated[int, Field(gt=5), Query()], ..., "/?x=1", "greater_than", id="Field and marker"),
        pytest.param(Annotated[int, Field(gt=5)], Query(), "/?x=1", "greater_than", id="Field and default"),
        pytest.param(Annotated[Limit, Field(gt=5)], ..., "/?n=1", "greater_than", id="around an alias"),
        pytest.param(Limit, ..., "/?n=0", "greater_than", id="in an alias"),
        pytest.param(Annotated[int, AfterValidator(double), Query(lt=8)], ..., "/?x=4", "less_than", id="in order"),
    ],
)
def test_no_constraint_is_lost(annotation: Any, default: Any, target: str, fault: str) -> None:
    assert [kind for kind, _ in faults_of(annotation, target, default=default)] == [fault]


def test_a_union_may_be_told_apart_by_a_field() -> None:
    class Cat(BaseModel):
        kind: Literal["cat"]

    class Dog(BaseModel):
        kind: Literal["dog"]

    annotation = Annotated[Json[Annotated[Cat | Dog, Field(discriminator="kind")]], Query()]

    assert value_of(annotation, '/?x={"kind":"dog"}') == Dog(kind="dog")
    assert faults_of(annotation, '/?x={"kind":"cow"}') == [("union_tag_invalid", ("query", "x"))]


# What cannot be carried


class Strange:
    """Nothing that pydantic knows."""


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        (Annotated[dict[str, int], Query()], "a query parameter cannot carry dict[str, int]"),
        (Annotated[list[list[int]], Query()], "a query parameter cannot carry list[list[int]]"),
        (Annotated[list[Page], Header()], "a header parameter cannot carry list["),
        (Annotated[Page | int, Query()], "a query parameter cannot carry "),
        (Annotated[Page | Point, Cookie()], "a cookie parameter cannot carry "),
        (Annotated[RootModel[list[int]], Query()], "a query parameter cannot carry RootModel[list[int]]"),
        (Annotated[Iterator[int], Query()], "a query parameter cannot carry "),
        (Annotated[list[int], Path()], "a path parameter cannot carry list[int]"),
        (Annotated[Page, Path()], "a path parameter cannot carry Page"),
        (Annotated[int, Header(alias="é")], "'é' is no name of a header"),
        (Annotated[int, Header(validation_alias=AliasChoices("a", "é"))], "'é' is no name of a header"),
        (Annotated[Strange, Query()], "nothing tells how to make Strange of what a handshake carries"),
        (Strange, "nothing tells how to make Strange of what a handshake carries"),
        (Annotated[int, Query(gt="a")], "pydantic refuses int as it is declared: "),
        (Annotated[str, Query(pattern="(")], "pydantic refuses str as it is declared: "),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(annotation: Any, problem: str) -> None:
    with pytest.raises(InvalidParameterError) as error:
        APIWebSocketRoute("/", endpoint_asking_for(annotation)).bind()

    assert error.value.problem.startswith(problem)
    assert error.value.location == Location("/", error.value.location.chain, "x")


def test_metadata_that_cannot_be_hashed_is_no_trouble() -> None:
    assert value_of(Annotated[list[int], Query(), ["unhashable"]], "/?x=1") == [1]


# Schemas


@pytest.mark.parametrize("default", [REQUIRED, None, 1])
@pytest.mark.parametrize("annotation", [str, int, float, bool, bytes])
def test_the_schema_of_a_simple_type_is_the_one_that_pydantic_makes(annotation: Any, default: Any) -> None:
    field = make_field("it", annotation, ParamMarker("query"), default, (), Location())
    assert field.schema == TypeAdapter(field.item).core_schema


@pytest.mark.parametrize(("annotation", "metadata"), [(int | None, ()), (int, (Gt(0),))])
def test_the_schema_of_any_other_type_is_for_pydantic_to_make(annotation: Any, metadata: tuple[Any, ...]) -> None:
    assert make_field("it", annotation, ParamMarker("query"), REQUIRED, metadata, Location()).schema is None


def test_most_of_pydantic_is_loaded_only_when_a_declaration_needs_it() -> None:
    code = """
import sys
from typing import Annotated
from wsroute import APIWebSocketRoute, Header, WebSocket

async def endpoint(websocket: WebSocket, room: int, x_token: Annotated[str, Header()], q: str = "") -> None: ...

route = APIWebSocketRoute("/{room}", endpoint)
assert route.source
print("pydantic.main" in sys.modules, "pydantic.type_adapter" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
