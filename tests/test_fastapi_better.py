"""Where wsroute does otherwise than FastAPI, with what each of the two makes of it.

`docs/coming-from-fastapi.md` lists these for readers. The annotations here are evaluated by Python, not strings, since
FastAPI can't find the names of a function in them.
"""

import functools
from collections.abc import Set
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any
from unittest.mock import AsyncMock, Mock

import pydantic
import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, Field, Json, RootModel
from starlette.background import BackgroundTasks
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket
from typing_extensions import TypeAliasType

import wsroute
from tests.handshakes import EMPTY, endpoint_asking_for
from tests.parity import (
    AS_JSON,
    TWO_COOKIES,
    ByPath,
    Case,
    Lists,
    Numbers,
    Outcome,
    Page,
    Point,
    Repo,
    Setup,
    Strict,
    Tagged,
    Unhashable,
    depending,
    got,
    in_fastapi,
    in_wsroute,
    injected,
    missing,
    notes,
    original,
    parameter,
    plain,
    positional,
    raised,
    refused,
    run,
    several,
    wrong,
)

pytest.importorskip("fastapi", minversion="0.165")

import fastapi  # not everyone who runs the tests has it
from fastapi.security import SecurityScopes

# Where it is better


@dataclass(frozen=True)
class Better:
    """One handshake, what FastAPI makes of it, and what wsroute does."""

    case: Case
    fastapi: Outcome
    wsroute: Outcome


def two_sockets(m: Any, noted: list[Any]) -> Any:
    async def endpoint(first: WebSocket, second: WebSocket) -> None:
        noted.append(first is second)

    return endpoint


def local_name(m: Any, noted: list[Any]) -> Any:
    class Later(BaseModel):
        """A class that only the function knows."""

    async def endpoint(x: "Annotated[Any, m.Depends(Later)]") -> None:
        noted.append((type(x) is Later, m is not None))

    return endpoint


def forward_reference(m: Any, noted: list[Any]) -> Any:
    async def endpoint(
        x: "Annotated[Unknown, fastapi.Depends(plain)]",  # type: ignore[name-defined]  # noqa: F821  # what is tested
    ) -> None:
        noted.append(x)

    return endpoint


def mixed_sources(m: Any, noted: list[Any]) -> Any:
    async def endpoint(
        a: Annotated[int, m.Header()], b: int, c: Annotated[int, m.Cookie()], d: Annotated[int, m.Query()]
    ) -> None: ...

    return endpoint


def after_an_error(m: Any, noted: list[Any]) -> Any:
    return notes(
        "endpoint", noted, m.Depends(notes("wrong", noted, required="limit")), m.Depends(notes("sibling", noted))
    )


def the_same_error(m: Any, noted: list[Any]) -> Any:
    first, second = notes("first", noted, required="page"), notes("second", noted, required="page")
    return notes("endpoint", noted, m.Depends(first), m.Depends(second), required="page")


def cached_parent(m: Any, noted: list[Any]) -> Any:
    parent = notes("parent", noted, m.Depends(notes("child", noted), use_cache=False))
    return notes("endpoint", noted, m.Depends(parent), m.Depends(parent))


def uncached_effect(m: Any, noted: list[Any]) -> Setup:
    effect = notes("effect", noted)
    return Setup(notes("endpoint", noted), [m.Depends(effect), m.Depends(effect, use_cache=False)])


def several_scopes(m: Any, noted: list[Any]) -> Any:
    leaf = notes("leaf", noted)
    return notes(
        "endpoint", noted, m.Depends(leaf), m.Depends(leaf, scope="request"), m.Depends(leaf, scope="function")
    )


def cached_after_uncached(m: Any, noted: list[Any]) -> Any:
    leaf = notes("leaf", noted)
    return notes("endpoint", noted, m.Depends(leaf, use_cache=False), m.Depends(leaf))


def scopes_in_another_order(m: Any, noted: list[Any]) -> Any:
    async def leaf(scopes: SecurityScopes) -> None:
        noted.append(scopes.scopes)

    first, second = m.Security(leaf, scopes=["a", "b"]), m.Security(leaf, scopes=["b", "a"])
    return notes("endpoint", noted, first, second)


def unused_scopes(m: Any, noted: list[Any]) -> Any:
    leaf = notes("leaf", noted)
    return notes("endpoint", noted, m.Depends(leaf), m.Security(leaf, scopes=["a"]))


def wrapping_override(m: Any, noted: list[Any]) -> Setup:
    async def wrapping(value: Annotated[Any, m.Depends(original)]) -> Any:
        return "wrapping", value

    endpoint = endpoint_asking_for(Annotated[Any, m.Depends(original)], got=noted)
    return Setup(endpoint, overrides={original: wrapping})


def background(m: Any, noted: list[Any]) -> Any:
    async def endpoint(tasks: BackgroundTasks) -> None:
        tasks.add_task(noted.append, "task")
        noted.append("endpoint")

    return endpoint


def nested_depends(m: Any, noted: list[Any]) -> Any:
    return endpoint_asking_for(Annotated[str, m.Depends(plain)] | None, None, got=noted)


def own_error(m: Any, noted: list[Any]) -> Any:
    return notes("endpoint", noted, m.Depends(plain), required="page")


@contextmanager
def managed(a: int = 1) -> Any:
    yield a


@asynccontextmanager
async def managed_async(a: int = 1) -> Any:
    yield a


class ModelWithFactory(BaseModel):
    a: int = Field(default_factory=lambda: 9)


class OpenModel(BaseModel, extra="allow"):
    a: int = 1


def dataclass_with_factory(m: Any, noted: list[Any]) -> Any:
    @dataclass
    class WithFactory:
        tags: Annotated[list[str], m.Query()] = field(default_factory=lambda: ["made"])

    async def endpoint(made: Annotated[WithFactory, m.Depends()]) -> None:
        noted.append(repr(made.tags))

    return endpoint


#: `*args` and `**kwargs` of a dependency, as FastAPI reads them.
ARGUMENTS = Outcome([], [("missing", ("query", "args")), ("missing", ("query", "kwargs"))])

BETTER = {
    # Section 4.
    "4 a Request": Better(injected(Request), raised(TypeError), got("Request")),
    "4 Request or None": Better(injected(Request | None), refused(), got("NoneType")),
    "4 two sockets": Better(Case(two_sockets), raised(TypeError), got(True)),
    "4 socket or None": Better(injected(WebSocket | None), refused(), got("WebSocket")),
    "4 connection or None": Better(injected(HTTPConnection | None, default=None), refused(), got("WebSocket")),
    "4 response or None": Better(injected(Response | None, default=None), refused(), got("Response")),
    "4 a subclass of WebSocket": Better(injected(Tagged), got("WebSocket"), got("Tagged")),
    "4 an unannotated socket": Better(
        injected(EMPTY, name="websocket"), missing("query", "websocket"), got("WebSocket")
    ),
    "4 a subclass of Response": Better(injected(JSONResponse), got("Response"), refused()),
    "4 a local name in a string": Better(Case(local_name), missing("query", "x"), got((True, True))),
    "4 a name that cannot be found": Better(parameter(lambda m: "Unknown"), missing("query", "x"), refused()),
    "4 Depends beside a forward reference": Better(
        Case(forward_reference, "/?a=1"), missing("query", "x"), got((1, "b"))
    ),
    "4 a default on an inferred path parameter": Better(
        parameter(lambda m: int, "/3", path="/{x}", default=4), got(3), refused()
    ),
    "4 a list without a marker": Better(parameter(lambda m: list[int], "/?x=1"), missing("body"), refused()),
    "4 a model without a marker": Better(parameter(lambda m: Page), Outcome([], [("missing", ("body",))]), refused()),
    "4 a dict without a marker": Better(parameter(lambda m: dict[str, int]), missing("body"), refused()),
    "4 variable parameters": Better(
        depending(lambda: lambda *args, q="q", **kwargs: (args, q, kwargs)),
        ARGUMENTS,
        got(((), "q", {})),
    ),
    "4 positional-only parameters": Better(depending(lambda: positional, "/?a=1"), raised(TypeError), got((1, 2))),
    "4 Depends() without an annotation": Better(
        parameter(lambda m: EMPTY, default=lambda m: m.Depends()),
        ARGUMENTS,
        refused(),
    ),
    "4 a marker inside of a type": Better(
        parameter(lambda m: Annotated[int, m.Query(alias="y")] | None, "/?x=1&y=2", default=None), got(1), refused()
    ),
    "4 Depends inside of a type": Better(Case(nested_depends, "/?x=client"), got("client"), refused()),
    "4 a marker that is not called": Better(parameter(lambda m: Annotated[str, m.Query], "/?x=a"), got("a"), refused()),
    "4 metadata beside a default": Better(
        parameter(lambda m: Annotated[int, Field(gt=3)], "/?x=1", default=lambda m: m.Query()),
        got(1),
        wrong("greater_than", "query", "x"),
    ),
    "4 a default in a Field in Annotated": Better(
        parameter(lambda m: Annotated[int, Field(default=3)]), missing("query", "x"), refused()
    ),
    "4 an alias of an alias": Better(
        parameter(lambda m: TypeAliasType("R", TypeAliasType("Q", Annotated[int, m.Query(alias="k")])), "/?k=3"),
        missing("query", "x"),
        got(3),
    ),
    "4 an alias of a list": Better(
        parameter(lambda m: Annotated[Numbers, m.Query()], "/?x=3"), wrong("list_type", "query", "x"), got([3])
    ),
    "4 an alias of a model": Better(
        parameter(lambda m: Annotated[TypeAliasType("P", Point), m.Query()], "/?a=3"),
        missing("query", "x"),
        got(Point(a=3)),
    ),
    "4 a marker in an alias in Annotated": Better(
        parameter(lambda m: Annotated[TypeAliasType("Q", Annotated[int, m.Query(alias="k")]), Field(lt=5)], "/?k=3"),
        missing("query", "x"),
        got(3),
    ),
    # Section 5.
    "5 a list of cookies": Better(
        parameter(lambda m: Annotated[list[int], m.Cookie()], "/", TWO_COOKIES),
        wrong("list_type", "cookie", "x"),
        got([1, 2, 3]),
    ),
    "5 a list in a model of cookies": Better(
        parameter(lambda m: Annotated[Lists, m.Cookie()], "/", [("cookie", "tags=1; tags=2")]),
        wrong("list_type", "cookie", "tags"),
        got(Lists(tags=[1, 2])),
    ),
    "5 AliasPath": Better(
        parameter(lambda m: Annotated[int, m.Query(validation_alias=AliasPath("a", 1))], "/?a=1&a=2"),
        missing("query", "x"),
        got(2),
    ),
    "5 AliasPath among choices": Better(
        parameter(lambda m: Annotated[int, m.Query(validation_alias=AliasChoices("b", AliasPath("a", 0)))], "/?a=1"),
        missing("query", "x"),
        got(1),
    ),
    "5 AliasPath in a model of cookies": Better(
        parameter(lambda m: Annotated[ByPath, m.Cookie()], "/", [("cookie", "p=1; p=2")]),
        missing("cookie", "q"),
        got(ByPath.model_validate({"q": 2})),
    ),
    "5 a header model that forbids extras": Better(
        parameter(lambda m: Annotated[Strict, m.Header()], "/", [("host", "h"), ("upgrade", "websocket"), ("a", "2")]),
        Outcome([], [("extra_forbidden", ("header", "host")), ("extra_forbidden", ("header", "upgrade"))]),
        got(Strict(a=2)),
    ),
    "5 a default for a model": Better(
        parameter(lambda m: Annotated[Point, m.Query()], default=Point(a=7)), missing("query", "a"), got(Point(a=7))
    ),
    "5 a default for a model with defaults": Better(
        parameter(lambda m: Annotated[Page, m.Query()], default=Page(limit=7)), got(Page()), got(Page(limit=7))
    ),
    "5 None for a model": Better(
        parameter(lambda m: Annotated[Point, m.Query()], default=None), missing("query", "a"), got(None)
    ),
    "5 an ellipsis as the default": Better(
        parameter(lambda m: Annotated[int, m.Query()], default=...), got(...), missing("query", "x")
    ),
    "5 Json without a call": Better(
        parameter(lambda m: Annotated[list[int], Json, m.Query()], "/?x=[1]"),
        wrong("json_type", "query", "x"),
        got([1]),
    ),
    "5 Json of a dict": Better(
        parameter(lambda m: Annotated[dict[str, int], AS_JSON, m.Query()], '/?x={"a":1}'), refused(), got({"a": 1})
    ),
    "5 Json without a marker": Better(parameter(lambda m: Json[list[int]], "/?x=[1]"), missing("body"), got([1])),
    "5 Json or None": Better(parameter(lambda m: Json[list[int]] | None, "/?x=[1]", default=None), got(None), got([1])),
    "5 an abstract set": Better(
        parameter(lambda m: Annotated[Set[int], m.Query()], "/?x=1"), wrong("frozen_set_type", "query", "x"), got({1})
    ),
    "5 a root model": Better(
        parameter(lambda m: Annotated[RootModel[list[int]], m.Query()], "/?x=1"), wrong("list_type", "query"), refused()
    ),
    "5 a header of a type that no header has": Better(
        parameter(lambda m: Annotated[dict[str, int], m.Header()]), missing("header", "x"), refused()
    ),
    "5 a header name that is not ASCII": Better(
        parameter(lambda m: Annotated[int, m.Header(alias="é")], "/", [("é", "1")]), got(1), refused()
    ),
    "5 Path of a name that no path has": Better(
        parameter(lambda m: Annotated[int, m.Path()]), missing("path", "x"), Outcome([], "MissingPathParameterError")
    ),
    "5 Body": Better(parameter(lambda m: Annotated[int, fastapi.Body()]), missing("body"), refused()),
    "5 an optional Body": Better(parameter(lambda m: int, default=lambda m: fastapi.Body(None)), got(None), refused()),
    "5 an error in several places": Better(
        Case(the_same_error), Outcome([], [("missing", ("query", "page"))] * 3), missing("query", "page")
    ),
    "5 an error in several models": Better(
        Case(several, "/?limit=x&a=1"),
        Outcome([], [("int_parsing", ("query", "limit"))] * 2),
        wrong("int_parsing", "query", "limit"),
    ),
    "5 errors in the order of the signature": Better(
        Case(mixed_sources),
        Outcome(
            [],
            [
                ("missing", ("query", "b")),
                ("missing", ("query", "d")),
                ("missing", ("header", "a")),
                ("missing", ("cookie", "c")),
            ],
        ),
        Outcome(
            [],
            [
                ("missing", ("header", "a")),
                ("missing", ("query", "b")),
                ("missing", ("cookie", "c")),
                ("missing", ("query", "d")),
            ],
        ),
    ),
    # Section 6.
    "6 partial by name": Better(
        depending(lambda: functools.partial(plain, a=7), "/?a=1&b=x"), got((1, "x")), got((7, "x"))
    ),
    "6 generic alias": Better(
        parameter(lambda m: Annotated[Repo[int], m.Depends()], "/?a=2"),
        ARGUMENTS,
        got(Repo(2)),
    ),
    "6 unhashable": Better(depending(Unhashable, "/?q=2"), raised(TypeError), got(("call", 2))),
    "6 contextmanager": Better(depending(lambda: managed, "/?a=2"), raised(TypeError), got(2)),
    "6 asynccontextmanager": Better(depending(lambda: managed_async, "/?a=2"), raised(TypeError), got(2)),
    "6 a mock as an override": Better(depending(lambda: Mock(return_value=3), replaces=plain), ARGUMENTS, got(3)),
    "6 an async mock as an override": Better(
        depending(lambda: AsyncMock(return_value=3), replaces=plain), ARGUMENTS, got(3)
    ),
    "6 a factory of a dataclass": Better(Case(dataclass_with_factory), got("<factory>"), got("['made']")),
    "6 a factory of a model": Better(
        depending(lambda: ModelWithFactory), raised(pydantic.ValidationError), got(ModelWithFactory())
    ),
    "6 a model with extras": Better(
        depending(lambda: OpenModel, "/?a=2"), missing("query", "extra_data"), got(OpenModel(a=2))
    ),
    "6 after an error": Better(
        Case(after_an_error), Outcome(["sibling"], [("missing", ("query", "limit"))]), missing("query", "limit")
    ),
    "6 an uncached child of a cached parent": Better(
        Case(cached_parent), Outcome(["child", "parent", "child", "endpoint"]), Outcome(["child", "parent", "endpoint"])
    ),
    "6 a cached use after an uncached one": Better(
        Case(cached_after_uncached), Outcome(["leaf", "endpoint"]), Outcome(["leaf", "leaf", "endpoint"])
    ),
    "6 an uncached effect": Better(
        Case(uncached_effect), Outcome(["effect", "endpoint"]), Outcome(["effect", "effect", "endpoint"])
    ),
    "6 several scopes of what nothing closes": Better(
        Case(several_scopes), Outcome(["leaf", "leaf", "leaf", "endpoint"]), Outcome(["leaf", "endpoint"])
    ),
    "6 an unknown scope": Better(
        parameter(lambda m: Annotated[Any, m.Depends(plain, scope="session")], "/?a=1"), got((1, "b")), refused()
    ),
    # Sections 8, 9 and 11.
    "11 background tasks": Better(Case(background), Outcome(["endpoint"]), Outcome(["endpoint", "task"])),
    "8 the same scopes in another order": Better(
        Case(scopes_in_another_order),
        Outcome([["a", "b"], "endpoint"]),
        Outcome([["a", "b"], ["b", "a"], "endpoint"]),
    ),
    "8 scopes that nobody looks at": Better(
        Case(unused_scopes), Outcome(["leaf", "leaf", "endpoint"]), Outcome(["leaf", "endpoint"])
    ),
    "9 an override that needs the original": Better(
        Case(wrapping_override), Outcome([], "RecursionError"), got(("wrapping", 1))
    ),
}


@pytest.mark.parametrize("better", BETTER.values(), ids=BETTER.keys())
def test_it_is_better(better: Better) -> None:
    assert run(better.case, fastapi, in_fastapi) == better.fastapi
    assert run(better.case, fastapi, in_wsroute) == better.wsroute
    assert run(better.case, wsroute, in_wsroute) == better.wsroute
