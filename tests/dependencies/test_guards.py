"""Interceptors and permissions around a tree: compiled plans do what the oracle says, whatever fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any

import pytest

from tests.dependencies.comparison import Tree, compare, compare_cancelled, interpret
from tests.dependencies.trees import (
    CONTEXTS,
    ENDINGS,
    ENDPOINT,
    FAILURES,
    KINDS,
    RUN,
    RUNTIME,
    Body,
    SetUpError,
    make,
    pause,
    use,
)
from wsroute import BackgroundTasks, Query, WebSocket
from wsroute.dependencies.analysis import Analysis
from wsroute.dependencies.rules import Combinable
from wsroute.dependencies.solver import Solver

pytestmark = pytest.mark.anyio

INTERCEPTORS = ("outer", "inner")
PERMISSIONS = ("P", "Q", "R", "S")
DEPENDENCIES = ("leaf", "middle", "other", "top", "short")
VALID = "a=1&b=2&c=3&d=4"


def interceptor(name: str, *needs: Any) -> Any:
    """The bound method of an interceptor, which fails where a run asks it to."""
    body = Body(name)

    class Interceptor:
        async def intercept(self, socket: Any, call_next: Any, a: Any = 0, b: Any = 0) -> None:
            label = body.begin(socket, a, b)
            behaviour = RUN.get().behaviours.get(name, "")
            await pause()
            if behaviour == "stop":
                return
            body.opened(label)
            try:
                await call_next()
            except BaseException as exception:
                body.closing(label, exception)
                await pause()
                body.leave(label, exception)
            else:
                body.closing(label, None)
                body.leave(label, None)
            if behaviour == "late":
                raise SetUpError

    Interceptor.intercept.__annotations__ = {"socket": WebSocket, **dict(zip("ab", needs, strict=False))}
    return Interceptor().intercept


def permission(name: str, *needs: Any, sync: bool = False) -> Any:
    """A permission, which answers what a run asks it to."""
    body = Body(name)

    class Asynchronous(Combinable):
        async def has_permission(self, socket: Any, route: Any, a: Any = 0, b: Any = 0) -> bool:
            body.begin(socket, route, a, b)
            await pause()
            return RUN.get().behaviours.get(name) != "no"

    class Synchronous(Combinable):
        def has_permission(self, socket: Any, route: Any, a: Any = 0, b: Any = 0) -> bool:
            body.begin(socket, route, a, b)
            return RUN.get().behaviours.get(name) != "no"

    cls: Any = Synchronous if sync else Asynchronous
    cls.has_permission.__annotations__ = {"socket": WebSocket, **dict(zip("ab", needs, strict=False))}
    return cls()


def query(alias: str) -> Any:
    return Annotated[int, Query(alias=alias)]


def guarded(kind: str, *, sync: bool = False) -> Tree:
    """Two interceptors, three checks of four permissions, and an endpoint, which share what they need."""
    leaf = make(kind, "leaf", WebSocket)
    middle = make(kind, "middle", use(leaf), query("a"))
    other = make(kind, "other", BackgroundTasks)
    top = make(kind, "top", use(middle), use(leaf, use_cache=False))
    short = make(kind, "short", use(other))
    scope: Any = {"scope": "function"} if kind in CONTEXTS else {}
    endpoint = make("coroutine", ENDPOINT, use(top), use(short, **scope), query("d"), BackgroundTasks, WebSocket)
    interceptors = [interceptor("outer"), interceptor("inner", use(middle), query("b"))]
    permissions = [
        permission("P", use(leaf), sync=sync),
        (permission("Q", query("c"), use(other)) | permission("R", sync=sync)) & ~permission("S", use(leaf)),
    ]

    def analyse(lookup: Any) -> Any:
        return Analysis("/", overrides=lookup).endpoint(
            endpoint.call, interceptors=interceptors, permissions=permissions
        )

    solver = Solver(analyse, RUNTIME)
    return Tree(solver.program.run, partial(interpret, solver.program.dependant))


def misbehaving() -> Iterator[Mapping[str, str]]:
    """Each part in each way, in a run in which all permissions grant otherwise."""
    yield {}
    for name in INTERCEPTORS:
        yield from ({name: how} for how in (*FAILURES, "end", "stop", "late", "fail"))
    for name in PERMISSIONS:
        yield from ({name: how} for how in (*FAILURES, "end", "no"))
    for name in DEPENDENCIES:
        yield from ({name: how} for how in (*FAILURES, "end", "fail"))


@pytest.mark.parametrize(
    ("kind", "sync"), [*((kind, False) for kind in KINDS), ("async generator", True), ("function", True)]
)
async def test_each_part_goes_wrong(kind: str, sync: bool) -> None:
    tree = guarded(kind, sync=sync)
    for behaviours in misbehaving():
        await compare(tree, {"S": "no", **behaviours}, query_string=VALID)


@pytest.mark.parametrize("ending", ENDINGS[1:])
@pytest.mark.parametrize("kind", CONTEXTS)
async def test_interceptors_and_dependencies_see_how_it_ends(kind: str, ending: str) -> None:
    tree = guarded(kind)
    for name in (*INTERCEPTORS, *DEPENDENCIES):
        for how in ("fail", "replace", "swallow"):
            await compare(tree, {"S": "no", ENDPOINT: ending, name: how}, query_string=VALID)


@pytest.mark.parametrize("kind", ["async generator", "generator", "coroutine", "function"])
async def test_each_combination_of_answers(kind: str) -> None:
    tree = guarded(kind)
    for denied in range(2 ** len(PERMISSIONS)):
        answers = {name: "no" for bit, name in enumerate(PERMISSIONS) if denied & 1 << bit}
        outcome = await compare(tree, answers, query_string=VALID)
        holds = "P" not in answers and not {"Q", "R"} <= answers.keys() and "S" in answers
        assert (outcome.end == ("returned",)) is holds


@pytest.mark.parametrize("kind", ["async generator", "generator", "coroutine", "function"])
async def test_each_parameter_is_wrong(kind: str) -> None:
    tree = guarded(kind)
    for wrong in ("a", "b", "c", "d", "ab", "cd", "abcd"):
        query_string = "&".join(f"{name}={'x' if name in wrong else 1}" for name in "abcd")
        outcome = await compare(tree, {"S": "no"}, query_string=query_string)
        assert outcome.end == ("refused", [(("query", name), "int_parsing") for name in wrong])


@pytest.mark.parametrize("kind", ["async generator", "coroutine"])
@pytest.mark.parametrize("behaviours", [{}, {ENDPOINT: "error"}, {"P": "no"}, {"inner": "stop"}, {"outer": "late"}])
async def test_it_is_cancelled_at_each_pause(kind: str, behaviours: Mapping[str, str]) -> None:
    await compare_cancelled(guarded(kind), {"S": "no", **behaviours}, query_string=VALID)
