"""What wsroute promises to do as FastAPI does: the same endpoints through both, with the markers of either.

The annotations here are evaluated by Python, not strings, since FastAPI can't find the names of a function in them.
"""

import functools
import inspect
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from types import ModuleType
from typing import Annotated, Any, Literal, Optional, TypeVar
from unittest.mock import create_autospec
from uuid import UUID

import pydantic
import pytest
from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, Field, Json, field_validator
from starlette.background import BackgroundTasks
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from typing_extensions import TypeAliasType

import wsroute
from tests.handshakes import EMPTY, endpoint_asking_for
from tests.parity import (
    AS_JSON,
    ID,
    QUERY_ALIAS,
    REFUSED_AT_DECLARATION,
    TWO_COOKIES,
    Aliased,
    AliasedOrNamed,
    AsyncCall,
    Box,
    ByPath,
    Case,
    Chosen,
    Color,
    Counting,
    Generated,
    GeneratorCall,
    Headers,
    Lists,
    Number,
    OnlyNamed,
    Open,
    Page,
    Pair,
    Picky,
    Point,
    Record,
    Repo,
    Setup,
    Strict,
    WithJson,
    depending,
    double,
    fail_with,
    in_fastapi,
    in_wsroute,
    injected,
    notes,
    original,
    parameter,
    plain,
    refused,
    run,
    several,
    wrapped,
)

pytest.importorskip("fastapi", minversion="0.165")

import fastapi  # not everyone who runs the tests has it
from fastapi.security import HTTPBearer, SecurityScopes

# Section 4: signatures


def unknown_return(m: Any, noted: list[Any]) -> Any:
    async def endpoint(x: "int") -> "Unknown":  # type: ignore[name-defined]  # noqa: F821  # what is tested
        noted.append(x)

    return endpoint


SIGNATURES = {
    "a string": parameter(lambda m: "int", "/?x=3"),
    "no annotation": Case(lambda m, noted: lambda_endpoint(noted), "/?x=3"),
    "PEP 695 alias": parameter(lambda m: TypeAliasType("Q", Annotated[int, m.Query(alias="k")]), "/?k=3"),
    "PEP 695 alias of a type": parameter(lambda m: Number, "/?x=3"),
    "PEP 695 alias in Annotated": parameter(lambda m: Annotated[Number, m.Query(gt=5)], "/?x=3"),
    "the last marker wins": parameter(lambda m: Annotated[int, m.Query(), m.Header()], "/?x=1", [("x", "2")]),
    "the last alias wins": parameter(lambda m: Annotated[int, m.Query(alias="a"), m.Query(alias="b")], "/?a=1&b=2"),
    "an earlier alias holds": parameter(lambda m: Annotated[int, m.Query(alias="a"), m.Query()], "/?a=1"),
    "an earlier constraint holds": parameter(lambda m: Annotated[int, m.Query(gt=1), m.Query()], "/?x=1"),
    "an earlier factory holds": parameter(lambda m: Annotated[int, m.Query(default_factory=lambda: 3), m.Query()]),
    "nested Annotated": parameter(lambda m: Annotated[Annotated[int, m.Query(gt=1)], Field(lt=9)], "/?x=1"),
    "Field": parameter(lambda m: Annotated[int, Field(gt=3)], "/?x=3"),
    "Field with an alias": parameter(lambda m: Annotated[int, Field(alias="y")], "/?y=3"),
    "Field with a validation alias": parameter(lambda m: Annotated[int, Field(validation_alias="y")], "/?y=3"),
    "Field with a factory": parameter(lambda m: Annotated[int, Field(default_factory=lambda: 3)]),
    "Field after a marker": parameter(lambda m: Annotated[int, m.Query(), Field(gt=3, alias="y")], "/?y=3"),
    "Field before a marker": parameter(lambda m: Annotated[int, Field(gt=3), m.Query(alias="y")], "/?y=3"),
    "metadata in its order": parameter(lambda m: Annotated[int, m.Query(lt=5), AfterValidator(double)], "/?x=4"),
    "metadata before the marker": parameter(lambda m: Annotated[int, AfterValidator(double), m.Query(lt=5)], "/?x=4"),
    "Depends in Annotated": parameter(lambda m: Annotated[Any, m.Depends(plain)], "/?a=1"),
    "Depends as the default": parameter(lambda m: Any, "/?a=1", default=lambda m: m.Depends(plain)),
    "Depends() takes the annotation": parameter(lambda m: Annotated[Record, m.Depends()], "/?a=1"),
    "Depends() as the default": parameter(lambda m: Record, "/?a=1", default=lambda m: m.Depends()),
    "Depends after Query": parameter(lambda m: Annotated[Any, m.Query(), m.Depends(plain)], "/?a=1&x=2"),
    "Query after Depends": parameter(lambda m: Annotated[Any, m.Depends(plain), m.Query()], "/?a=1&x=2"),
    "a return annotation that nobody finds": Case(unknown_return, "/?x=3"),
    "a default beside Depends": parameter(lambda m: Annotated[Any, m.Depends(plain)], "/?a=1", default=5),
}


def shorter_lived(m: Any, noted: list[Any]) -> Any:
    async def function_lived() -> Any:
        yield

    async def request_lived(value: Annotated[Any, m.Depends(function_lived, scope="function")]) -> Any:
        yield

    return notes("endpoint", noted, m.Depends(request_lived, scope="request"))


REFUSED = {
    "a connection-lived dependency that needs a function-lived one": Case(shorter_lived),
    "Depends twice": parameter(lambda m: Annotated[Any, m.Depends(plain)], default=lambda m: m.Depends(plain)),
    "Query twice": parameter(lambda m: Annotated[int, m.Query()], default=lambda m: m.Query()),
    "Query and Depends": parameter(lambda m: Annotated[int, m.Query()], default=lambda m: m.Depends(plain)),
    "a default in Annotated": parameter(lambda m: Annotated[int, m.Query(3)]),
    "a default on Path": parameter(lambda m: Annotated[int, m.Path()], "/3", path="/{x}", default=3),
    "a marker on a socket": parameter(lambda m: Annotated[WebSocket, m.Query()]),
    "Query on a name of the path": parameter(lambda m: Annotated[int, m.Query()], "/3", path="/{x}"),
    "a list in the path": parameter(lambda m: list[int], "/3", path="/{x}"),
    "a model in the path": parameter(lambda m: Annotated[Page, m.Path()], "/3", path="/{x}"),
    "a dict in the query": parameter(lambda m: Annotated[dict[str, int], m.Query()]),
    "a list of lists": parameter(lambda m: Annotated[list[list[int]], m.Query()]),
    "a list of models": parameter(lambda m: Annotated[list[Page], m.Query()]),
    "a dataclass in the query": parameter(lambda m: Annotated[Record, m.Query()]),
    "a union of models": parameter(lambda m: Annotated[Page | Point, m.Query()]),
    "a name twice in the path": parameter(lambda m: int, "/1/2", path="/{x}/{x}"),
    "an arbitrary class": parameter(lambda m: Repo),
    "Depends on a string": parameter(lambda m: Annotated[Any, m.Depends("plain")]),
    "Field as the default": parameter(lambda m: int, "/?x=4", default=lambda m: Field(gt=3)),
    "a default and a factory": parameter(lambda m: Annotated[int, m.Query(default_factory=int)], default=3),
    "a dependency that needs itself": Case(lambda m, noted: cycle(m)),
    "a builtin without a signature": parameter(lambda m: Annotated[Any, m.Depends(dict)]),
}


def lambda_endpoint(noted: list[Any]) -> Any:
    async def endpoint(x):  # type: ignore[no-untyped-def]  # an unannotated parameter is what is tested
        noted.append(x)

    return endpoint


def cycle(m: Any) -> Any:
    def first(value: Any) -> None: ...

    def second(value: Any) -> None: ...

    first.__annotations__["value"] = Annotated[Any, m.Depends(second)]
    second.__annotations__["value"] = Annotated[Any, m.Depends(first)]
    return endpoint_asking_for(Annotated[Any, m.Depends(first)])


@pytest.mark.parametrize("markers", [wsroute, fastapi], ids=["wsroute's markers", "FastAPI's markers"])
@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_both_refuse_the_declaration(case: Case, markers: ModuleType) -> None:
    assert run(case, fastapi, in_fastapi) == run(case, markers, in_wsroute) == refused()


# Section 5: parameters


def constrained(annotation: Any, constraint: dict[str, Any], target: str) -> Case:
    return parameter(lambda m: Annotated[annotation, m.Query(**constraint)], target)


PARAMETERS = {
    "int": parameter(lambda m: int, "/?x=3"),
    "str": parameter(lambda m: str, "/?x=a+b%2B"),
    "bytes": parameter(lambda m: bytes, "/?x=%C3%A9"),
    "bool": parameter(lambda m: bool, "/?x=on"),
    "Any": parameter(lambda m: Any, "/?x=3"),
    "object": parameter(lambda m: object, "/?x=3"),
    "enum": parameter(lambda m: Color, "/?x=red"),
    "wrong enum": parameter(lambda m: Color, "/?x=blue"),
    "Literal": parameter(lambda m: Literal["a", "b"], "/?x=b"),
    "wrong Literal": parameter(lambda m: Literal["a", "b"], "/?x=c"),
    "Literal of a number": parameter(lambda m: Literal[1], "/?x=1"),
    "datetime": parameter(lambda m: datetime, "/?x=2024-02-29T01:02:03"),
    "UUID": parameter(lambda m: UUID, f"/?x={ID}"),
    "Decimal": parameter(lambda m: Decimal, "/?x=1.50"),
    "union": parameter(lambda m: int | str, "/?x=3"),
    "wrong union": parameter(lambda m: int | float, "/?x=a"),
    "TypeVar": parameter(lambda m: TypeVar("N", bound=int), "/?x=3"),
    "missing": parameter(lambda m: int),
    "missing Any": parameter(lambda m: Any),
    "missing Optional": parameter(lambda m: Optional[int]),  # noqa: UP045  # as people write it
    "wrong": parameter(lambda m: int, "/?x=a"),
    "empty str": parameter(lambda m: str, "/?x="),
    "empty int": parameter(lambda m: int, "/?x="),
    "empty bool": parameter(lambda m: bool, "/?x="),
    "empty with a default": parameter(lambda m: str, "/?x=", default="default"),
    "empty Optional": parameter(lambda m: int | None, "/?x=", default=None),
    "without an equals sign": parameter(lambda m: str, "/?x"),
    "default": parameter(lambda m: int, default=3),
    "default None": parameter(lambda m: int | None, default=None),
    "default of another type": parameter(lambda m: int, default="a"),
    "default list": parameter(lambda m: Annotated[list[int], m.Query()], default=[1]),
    "default in the marker": parameter(lambda m: int, default=lambda m: m.Query(3)),
    "default None in the marker": parameter(lambda m: int | None, default=lambda m: m.Query(None)),
    "default ellipsis": parameter(lambda m: int, default=...),
    "default ellipsis in the marker": parameter(lambda m: int, default=lambda m: m.Query(...)),
    "ellipsis in Annotated": parameter(lambda m: Annotated[int, m.Query(...)]),
    "default_factory": parameter(lambda m: Annotated[int, m.Query(default_factory=lambda: 3)]),
    "default_factory in the default": parameter(lambda m: int, default=lambda m: m.Query(default_factory=lambda: 3)),
    "validate_default": parameter(lambda m: Annotated[int, m.Query(validate_default=True)], default="3"),
    "wrong default": parameter(lambda m: Annotated[int, m.Query(validate_default=True)], default="a"),
    # Repeated, and several.
    "repeated in the query": parameter(lambda m: int, "/?x=1&x=2"),
    "repeated header": parameter(lambda m: Annotated[int, m.Header()], "/", [("x", "1"), ("x", "2")]),
    "repeated cookie": parameter(lambda m: Annotated[int, m.Cookie()], "/", [("cookie", "x=1; x=2")]),
    "cookie on two lines": parameter(lambda m: Annotated[int, m.Cookie()], "/", TWO_COOKIES),
    "list": parameter(lambda m: Annotated[list[int], m.Query()], "/?x=1&x=2"),
    "bare list": parameter(lambda m: Annotated[list, m.Query()], "/?x=1&x=2"),
    "set": parameter(lambda m: Annotated[set[int], m.Query()], "/?x=1&x=1"),
    "frozenset": parameter(lambda m: Annotated[frozenset[int], m.Query()], "/?x=1&x=2"),
    "tuple": parameter(lambda m: Annotated[tuple[int, str], m.Query()], "/?x=1&x=2"),
    "tuple of any length": parameter(lambda m: Annotated[tuple[int, ...], m.Query()], "/?x=1&x=2"),
    "tuple that is too short": parameter(lambda m: Annotated[tuple[int, int], m.Query()], "/?x=1"),
    "deque": parameter(lambda m: Annotated[deque[int], m.Query()], "/?x=1&x=2"),
    "Sequence": parameter(lambda m: Annotated[Sequence[int], m.Query()], "/?x=1&x=2"),
    "NamedTuple": parameter(lambda m: Annotated[Pair, m.Query()], "/?x=1&x=2"),
    "list or None": parameter(lambda m: Annotated[list[int] | None, m.Query()], "/?x=1", default=None),
    "list or None, not sent": parameter(lambda m: Annotated[list[int] | None, m.Query()], default=None),
    "list or scalar": parameter(lambda m: Annotated[list[int] | int, m.Query()], "/?x=1"),
    "list of JSON": parameter(lambda m: Annotated[list[Json[int]], m.Query()], "/?x=1&x=2"),
    "missing list": parameter(lambda m: Annotated[list[int], m.Query()]),
    "wrong list": parameter(lambda m: Annotated[list[int], m.Query()], "/?x=1&x=a"),
    "list of headers": parameter(lambda m: Annotated[list[int], m.Header()], "/", [("x", "1"), ("x", "2")]),
    "headers are not split": parameter(lambda m: Annotated[list[str], m.Header()], "/", [("x", "1, 2")]),
    # Names.
    "header name": parameter(lambda m: Annotated[str, m.Header()], "/", [("x-tok", "1")], name="x_tok"),
    "missing header": parameter(lambda m: Annotated[str, m.Header()], name="x_tok"),
    "header name as it is": parameter(
        lambda m: Annotated[str, m.Header(convert_underscores=False)], "/", [("x_tok", "1")], name="x_tok"
    ),
    "header alias": parameter(lambda m: Annotated[str, m.Header(alias="X-To_K")], "/", [("X-TO_K", "1")]),
    "missing header with an alias": parameter(lambda m: Annotated[str, m.Header(alias="X-To_K")]),
    "cookie alias": parameter(lambda m: Annotated[str, m.Cookie(alias="s-id")], "/", [("cookie", "s-id=1")]),
    "the Cookie header": parameter(lambda m: Annotated[str, m.Header(alias="cookie")], "/", [("cookie", "a=1")]),
    "quoted cookie": parameter(lambda m: Annotated[str, m.Cookie()], "/", [("cookie", 'x="a b"')]),
    "missing cookie": parameter(lambda m: Annotated[str, m.Cookie()], "/", [("cookie", "x")]),
    "empty cookie": parameter(lambda m: Annotated[str, m.Cookie()], "/", [("cookie", "x=")]),
    "alias": parameter(lambda m: Annotated[int, m.Query(alias="y z[]")], "/?y+z[]=3"),
    "the name is no alias": parameter(lambda m: Annotated[int, m.Query(alias="y")], "/?x=3"),
    "empty alias": parameter(lambda m: Annotated[int, m.Query(alias="")], "/?x=3"),
    "validation alias": parameter(lambda m: Annotated[int, m.Query(alias="y", validation_alias="z")], "/?y=1&z=2"),
    "missing validation alias": parameter(lambda m: Annotated[int, m.Query(alias="y", validation_alias="z")], "/?y=1"),
    "serialization alias": parameter(lambda m: Annotated[int, m.Query(serialization_alias="y")], "/?x=1"),
    "second choice": parameter(lambda m: Annotated[int, m.Query(validation_alias=QUERY_ALIAS)], "/?q=1"),
    "first choice": parameter(lambda m: Annotated[int, m.Query(validation_alias=QUERY_ALIAS)], "/?q=1&p=2"),
    "wrong choice": parameter(lambda m: Annotated[int, m.Query(validation_alias=QUERY_ALIAS)], "/?q=a"),
    "no choice": parameter(lambda m: Annotated[int, m.Query(validation_alias=QUERY_ALIAS)]),
    "list by choice": parameter(lambda m: Annotated[list[int], m.Query(validation_alias=QUERY_ALIAS)], "/?q=1&q=2"),
    "header by choice": parameter(
        lambda m: Annotated[int, m.Header(validation_alias=AliasChoices("X-P", "X-Q"))], "/", [("x-q", "a")]
    ),
    "cookie by choice": parameter(
        lambda m: Annotated[int, m.Cookie(validation_alias=QUERY_ALIAS)], "/", [("cookie", "q=1")]
    ),
    # Paths.
    "path": parameter(lambda m: int, "/3", path="/{x}"),
    "wrong path": parameter(lambda m: int, "/a", path="/{x}"),
    "convertor": parameter(lambda m: int, "/3", path="/{x:int}"),
    "convertor of another type": parameter(lambda m: str, "/3", path="/{x:int}"),
    "path with slashes": parameter(lambda m: str, "/a/b", path="/{x:path}"),
    "Optional path": parameter(lambda m: int | None, "/3", path="/{x}"),
    "Path with a constraint": parameter(lambda m: Annotated[int, m.Path(gt=3)], "/3", path="/{x}"),
    "Path as the default": parameter(lambda m: int, "/3", default=lambda m: m.Path(gt=3), path="/{x}"),
    "Path with an alias": parameter(lambda m: Annotated[int, m.Path(alias="y")], "/3", path="/{y}"),
    "Path by choice": parameter(lambda m: Annotated[int, m.Path(validation_alias=QUERY_ALIAS)], "/3", path="/{q}"),
    "path parameter that nobody asks for": parameter(lambda m: int, "/3?x=4", path="/{y}"),
    # JSON.
    "JSON": parameter(lambda m: Annotated[list[int], AS_JSON, m.Query()], "/?x=[1,2]"),
    "wrong JSON": parameter(lambda m: Annotated[list[int], AS_JSON, m.Query()], "/?x=[1"),
    "wrong value in JSON": parameter(lambda m: Annotated[list[int], AS_JSON, m.Query()], '/?x=["a"]'),
    "missing JSON": parameter(lambda m: Annotated[list[int], AS_JSON, m.Query()]),
    "JSON of a model": parameter(lambda m: Annotated[Point, AS_JSON, m.Query()], '/?x={"a":1}'),
    "JSON in a header": parameter(lambda m: Annotated[list[int], AS_JSON, m.Header()], "/", [("x", "[1]")]),
    "JSON in a cookie": parameter(lambda m: Annotated[list[int], AS_JSON, m.Cookie()], "/", [("cookie", "x=[1]")]),
    "JSON of anything": parameter(lambda m: Json[object], "/?x=[1]"),
    "JSON in a model": parameter(lambda m: Annotated[WithJson, m.Query()], '/?point={"a":1}&tags=[1,2]'),
    # Validation.
    **{
        f"constraint {name}": constrained(annotation, constraint, f"/?x={sent}")
        for name, annotation, constraint, sent in (
            ("gt", int, {"gt": 3}, "3"),
            ("ge", int, {"ge": 3}, "3"),
            ("lt", int, {"lt": 3}, "3"),
            ("le", int, {"le": 3}, "4"),
            ("multiple_of", int, {"multiple_of": 2}, "3"),
            ("min_length", str, {"min_length": 2}, "a"),
            ("max_length", str, {"max_length": 1}, "ab"),
            ("pattern", str, {"pattern": "^a"}, "b"),
            ("strict", int, {"strict": True}, "1"),
            ("allow_inf_nan", float, {"allow_inf_nan": False}, "nan"),
            ("max_digits", Decimal, {"max_digits": 2}, "123"),
            ("decimal_places", Decimal, {"decimal_places": 1}, "1.23"),
            ("length of a list", list[int], {"min_length": 2}, "1"),
            ("union_mode", int | str, {"union_mode": "left_to_right"}, "3"),
            ("fail_fast", list[int], {"fail_fast": True}, "a&x=b"),
        )
    },
    "BeforeValidator": parameter(lambda m: Annotated[int, BeforeValidator(lambda text: text + "0")], "/?x=1"),
    "a validator that refuses": parameter(
        lambda m: Annotated[int, AfterValidator(fail_with(ValueError("v")))], "/?x=1"
    ),
    "a validator with a KeyError": parameter(lambda m: Annotated[int, AfterValidator(fail_with(KeyError()))], "/?x=1"),
    "a validator with a bug": parameter(lambda m: Annotated[int, AfterValidator(fail_with(AttributeError()))], "/?x=1"),
    "constraint in a list": parameter(lambda m: Annotated[list[Annotated[int, Field(gt=3)]], m.Query()], "/?x=3"),
    "constraint beside None": parameter(lambda m: Annotated[int, Field(gt=3)] | None, "/?x=3", default=None),
}


def of_model(annotation: Any, source: str, target: str, headers: Headers, default: Any) -> Case:
    return parameter(lambda m: Annotated[annotation, getattr(m, source.title())()], target, headers, default=default)


def of_models(annotation: Any, query: str, headers: bool = True, default: Any = EMPTY) -> dict[str, Case]:
    """A model in all sources that can carry one: pairs of a query string become headers and cookies."""
    pairs = [(name, value) for name, _, value in (piece.partition("=") for piece in query.split("&") if piece)]
    cookies = "; ".join(f"{name}={value}" for name, value in pairs)
    sent: dict[str, tuple[str, Headers]] = {"query": (f"/?{query}", []), "cookie": ("/", [("cookie", cookies)])}
    if headers:
        sent["header"] = ("/", [(name.replace("_", "-"), value) for name, value in pairs])
    return {source: of_model(annotation, source, *request, default) for source, request in sent.items()}


MODELS = {
    f"{name}, {source}": case
    for name, cases in {
        "model": of_models(Page, "limit=3&sort_by=age"),
        "empty model": of_models(Page, ""),
        "wrong field": of_models(Page, "limit=x"),
        "missing field": of_models(Point, "b=1"),
        "generic model": of_models(Box[int], "value=3"),
        "model or None": of_models(Point | None, "a=1", default=None),
        "model or None, not sent": of_models(Point | None, "", default=None),
        "model or None, wrong": of_models(Point | None, "b=1", default=None),
        "model or None without a default": of_models(Point | None, ""),
        "lists in a model": of_models(Lists, "limit=1"),
        "extra forbidden": of_models(Strict, "a=1&z=2&y=3"),
        "extra forbidden, none": of_models(Strict, "a=1"),
        "extra forbidden or None": of_models(Strict | None, "z=2", default=None),
        "extra allowed": of_models(Open, "a=1&z=2"),
        "extra allowed or None": of_models(Open | None, "z=2", default=None),
        "extra allowed or None, not sent": of_models(Open | None, "", default=None),
        "alias": of_models(Aliased, "Long-Name=1"),
        "missing alias": of_models(Aliased, ""),
        "wrong alias": of_models(Aliased, "Long-Name=x"),
        "the name of an alias": of_models(Aliased, "a=1"),
        "alias or name": of_models(AliasedOrNamed, "a=1"),
        "alias before name": of_models(AliasedOrNamed, "a=1&Long-Name=2"),
        "alias or name, missing": of_models(AliasedOrNamed, ""),
        "alias or name, wrong": of_models(AliasedOrNamed, "a=x"),
        "only the name": of_models(OnlyNamed, "a=1&Long-Name=2"),
        "only the name, missing": of_models(OnlyNamed, "Long-Name=2"),
        "alias generator": of_models(Generated, "A_B=3", headers=False),
        "second choice": of_models(Chosen, "q=1"),
        "first choice": of_models(Chosen, "p=1&q=2"),
        "no choice": of_models(Chosen, ""),
        "wrong choice": of_models(Chosen, "q=x"),
        "choice before a path": of_models(ByPath, "q=1"),
        "before validators see everything": of_models(Counting, "a=1&b=2&c=3"),
        "a model that refuses": of_models(Picky, "a=1"),
    }.items()
    for source, case in cases.items()
} | {
    "lists in a query": parameter(
        lambda m: Annotated[Lists, m.Query()], "/?tags=1&tags=2&names=a&names=a&limit=1&limit=2"
    ),
    "lists in headers": parameter(
        lambda m: Annotated[Lists, m.Header()], "/", [("tags", "1"), ("tags", "2"), ("limit", "1"), ("limit", "2")]
    ),
    "path in a query": parameter(lambda m: Annotated[ByPath, m.Query()], "/?p=1&p=2"),
    "path in headers": parameter(lambda m: Annotated[ByPath, m.Header()], "/", [("p", "1"), ("p", "2")]),
    "repeated extra": parameter(lambda m: Annotated[Open, m.Query()], "/?z=1&z=2"),
    "repeated extra header": parameter(lambda m: Annotated[Open, m.Header()], "/", [("z", "1"), ("z", "2")]),
    "repeated extra cookie": parameter(lambda m: Annotated[Open, m.Cookie()], "/", [("cookie", "z=1; z=2")]),
    "unconverted header": parameter(lambda m: Annotated[Page, m.Header()], "/", [("sort_by", "a")]),
    "headers as they are": parameter(
        lambda m: Annotated[Page, m.Header(convert_underscores=False)], "/", [("sort_by", "a"), ("sort-by", "b")]
    ),
    "wrong header of a model": parameter(lambda m: Annotated[Page, m.Header()], "/", [("limit", "x")]),
    "several models and scalars": Case(lambda m, noted: several(m, noted), "/?limit=3&a=1", [("sort-by", "age")]),
}


# Section 6: dependencies


def order(m: Any, noted: list[Any]) -> Setup:
    leaf = notes("leaf", noted)
    left = notes("left", noted, m.Depends(leaf))
    right = notes("right", noted, m.Depends(leaf), m.Depends(notes("own", noted)))
    endpoint = notes("endpoint", noted, m.Depends(right), m.Depends(left))
    return Setup(endpoint, [m.Depends(notes("route", noted)), m.Depends(left)])


def not_cached(m: Any, noted: list[Any]) -> Any:
    leaf = notes("leaf", noted)
    return notes("endpoint", noted, m.Depends(leaf), m.Depends(leaf, use_cache=False), m.Depends(leaf))


def opens(name: str, noted: list[Any], *needs: Any) -> Any:
    """A dependency that notes when it is opened and closed."""

    async def dependency(**values: Any) -> Any:
        noted.append(f"open {name}")
        yield name
        noted.append(f"close {name}")

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(f"d{i}", kind, annotation=Annotated[Any, need]) for i, need in enumerate(needs)]
    dependency.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect reads it
    return dependency


def scoped(m: Any, noted: list[Any]) -> Any:
    inner = opens("connection", noted)
    return notes(
        "endpoint", noted, m.Depends(inner), m.Depends(opens("function", noted, m.Depends(inner)), scope="function")
    )


DEPENDENCIES = {
    "function": depending(lambda: plain, "/?a=1"),
    "missing in a dependency": depending(lambda: plain),
    "lambda": depending(lambda: lambda q="default": q, "/?q=1"),
    "class": depending(lambda: Repo, "/?a=2"),
    "instance": depending(Repo, "/?q=2"),
    "instance with an async call": depending(AsyncCall, "/?q=2"),
    "instance with a generator": depending(GeneratorCall, "/?q=2"),
    "method": depending(lambda: Repo().find, "/?q=2"),
    "class method": depending(lambda: Repo.of_class, "/?q=2"),
    "static method": depending(lambda: Repo.static, "/?q=2"),
    "partial by position": depending(lambda: functools.partial(plain, 7), "/?b=x"),
    "wrapped": depending(wrapped, "/?a=1"),
    "dataclass": depending(lambda: Record, "/?a=1"),
    "NamedTuple": depending(lambda: Pair, "/?a=1"),
    "model": depending(lambda: Point, "/?a=1"),
    "model with an alias": depending(lambda: pydantic.create_model("M", a=(int, Field(alias="AA"))), "/?AA=x"),
    "model with a constraint": depending(lambda: pydantic.create_model("M", a=(int, Field(gt=3))), "/?a=3"),
    "mock with a specification": depending(lambda: create_autospec(plain, return_value=3), "/?a=1", replaces=plain),
    "in signature order, depth first, once each": Case(order),
    "without cache": Case(not_cached),
    "function before connection": Case(scoped),
    "a validation error inside is a bug": depending(lambda: refusing_model(), "/?a=1"),
    "missing in two places of one dependency": Case(
        lambda m, noted: notes("endpoint", noted, m.Depends(plain), required="page"), "/?page=x"
    ),
}


def refusing_model() -> Any:
    class Refusing(BaseModel):
        a: int

        @field_validator("a")
        @classmethod
        def refuse(cls, value: int) -> int:
            raise ValueError("never")

    return Refusing


# Sections 8, 9 and 11: security, overrides, what is injected by type


def security(m: Any, noted: list[Any]) -> Any:
    async def leaf(scopes: SecurityScopes) -> None:
        noted.append((scopes.scopes, scopes.scope_str))

    async def middle(value: Annotated[Any, m.Security(leaf, scopes=["c", "a"])]) -> None: ...

    async def endpoint(
        first: Annotated[Any, m.Security(middle, scopes=["a", "b"])],
        second: Annotated[Any, m.Security(leaf, scopes=["d"])],
        third: Annotated[Any, m.Depends(leaf)],
        fourth: Annotated[Any, m.Security(leaf, scopes=["d"])],
    ) -> None: ...

    return endpoint


def http_bearer(m: Any, noted: list[Any]) -> Any:
    return endpoint_asking_for(Annotated[Any, m.Security(HTTPBearer())], got=noted)


async def replacement(b: int = 2) -> tuple[str, int]:
    return "replacement", b


def overridden(m: Any, noted: list[Any]) -> Setup:
    async def outer(value: Annotated[Any, m.Depends(original)]) -> Any:
        return "outer", value

    endpoint = endpoint_asking_for(Annotated[Any, m.Depends(outer)], got=noted)
    return Setup(endpoint, overrides={original: replacement})


def override_overridden(m: Any, noted: list[Any]) -> Setup:
    async def other(value: Annotated[Any, m.Depends(original)]) -> Any:
        return "other", value

    endpoint = endpoint_asking_for(Annotated[Any, m.Depends(plain)], got=noted)
    return Setup(endpoint, overrides={plain: other, original: replacement})


def kept_lifetime(m: Any, noted: list[Any]) -> Setup:
    outer, inner = opens("outer", noted), opens("inner", noted)
    needs = (m.Depends(outer), m.Depends(original, scope="function"))
    return Setup(notes("endpoint", noted, *needs), overrides={original: inner})


def effect_overridden(m: Any, noted: list[Any]) -> Setup:
    effect = notes("original", noted)
    overrides = {effect: notes("replacement", noted)}
    return Setup(notes("endpoint", noted), [m.Depends(effect)], overrides)


def kept_scopes(m: Any, noted: list[Any]) -> Setup:
    async def secured(scopes: SecurityScopes) -> None:
        noted.append(scopes.scopes)

    endpoint = endpoint_asking_for(Annotated[Any, m.Security(original, scopes=["a"])])
    return Setup(endpoint, overrides={original: secured})


CONNECTION = {
    "security scopes": Case(security),
    "bearer": Case(http_bearer, headers=[("authorization", "Bearer token")]),
    "no bearer": Case(http_bearer),
    "override of what a dependency needs": Case(overridden, "/?b=3"),
    "parameters of an override": Case(overridden, "/?b=x"),
    "override of what an override needs": Case(override_overridden),
    "override of an effect": Case(effect_overridden),
    "an override keeps the scopes": Case(kept_scopes),
    "an override keeps the lifetime": Case(kept_lifetime),
    "socket": injected(WebSocket),
    "socket with a default": injected(WebSocket, default=None),
    "connection": injected(HTTPConnection),
    "socket in Annotated": injected(Annotated[WebSocket, "documented"]),
    "socket by an alias": injected(TypeAliasType("Socket", WebSocket)),
    "a request that may be None": injected(Request, default=None),
    "response": injected(Response),
    "background tasks": injected(BackgroundTasks),
    "FastAPI's background tasks": injected(fastapi.BackgroundTasks),
    "FastAPI's security scopes": injected(SecurityScopes),
}

SAME = {
    f"{section} {name}": case
    for section, cases in {
        "4": SIGNATURES,
        "5": PARAMETERS,
        "5 model:": MODELS,
        "6": DEPENDENCIES,
        "8, 9, 11": CONNECTION,
    }.items()
    for name, case in cases.items()
}


@pytest.mark.parametrize("markers", [wsroute, fastapi], ids=["wsroute's markers", "FastAPI's markers"])
@pytest.mark.parametrize("case", SAME.values(), ids=SAME.keys())
def test_it_is_the_same(case: Case, markers: ModuleType) -> None:
    expected = run(case, fastapi, in_fastapi)

    assert expected.ending != REFUSED_AT_DECLARATION
    assert run(case, markers, in_wsroute) == expected
