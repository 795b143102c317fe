"""Cancelled connections: what was opened is closed, in order and undisturbed, and nobody overlooks the cancellation.

There are two ways to cancel: anyio's scopes, on both event loops, and asyncio's own `Task.cancel()`, which no scope can
shield from. Where no scope is around the connection, as in the latter case, dependencies have shields only if they need
them; all of this has to be true as well if they always have.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from types import coroutine
from typing import Any

import pytest

from tests.dependencies.comparison import (
    assert_closed,
    both,
    clean_ups,
    compare_cancelled,
    observe,
)
from tests.dependencies.trees import CONTEXTS, ENDPOINT, KINDS, RUN, SHAPES, grow, query_for

pytestmark = pytest.mark.anyio

ways = pytest.mark.parametrize(
    ("anyio_backend", "native", "shields"),
    [("asyncio", False, ""), ("asyncio", True, ""), ("asyncio", True, "always"), ("trio", False, "")],
    ids=["asyncio-scope", "asyncio-task", "asyncio-task-always-shielded", "trio-scope"],
    indirect=["shields"],
)


@pytest.fixture(autouse=True)
def shields(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes all shields, if a test asks for it, as if anyio did not tell which of them are needed."""
    if getattr(request, "param", "") == "always":
        monkeypatch.setattr("wsroute.dependencies.shields._states_of_tasks", lambda: None)


@ways
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_at_every_pause(kind: str, shape: str, native: bool) -> None:
    tree = both(grow(SHAPES[shape], [kind]))
    await compare_cancelled(tree, {}, query_string=query_for(6), native=native)


@ways
@pytest.mark.parametrize("kind", CONTEXTS)
async def test_clean_ups_that_fail_at_every_pause(kind: str, native: bool) -> None:
    tree = both(grow(SHAPES["twice the same"], [kind, "async generator"]))
    for behaviours in clean_ups(4, 1):
        await compare_cancelled(tree, behaviours, query_string=query_for(6), native=native)


@ways
@pytest.mark.parametrize("ending", ["", "error"])
async def test_two_lifetimes_at_every_pause(ending: str, native: bool) -> None:
    def options(edge: tuple[int, int]) -> dict[str, Any]:
        return {"scope": "function"} if edge[0] == 0 else {}

    tree = both(grow(SHAPES["diamonds"], ["async generator", "async generator", "coroutine"], options))
    for behaviours in ({}, *clean_ups(6, 1)):
        await compare_cancelled(tree, {ENDPOINT: ending, **behaviours}, query_string=query_for(6), native=native)


@ways
@pytest.mark.parametrize("scoped", ["scope", "scope, context manager"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_the_scope_of_each_dependency_at_every_pause(shape: str, scoped: str, native: bool) -> None:
    others = ["async generator", "coroutine", "generator", "async context manager", "inline generator"]
    for level in range(1, len(SHAPES[shape])):
        kinds = [*others[: level - 1], scoped, *others[level - 1 :]]
        tree = both(grow(SHAPES[shape], kinds))
        await compare_cancelled(tree, {f"n{level}": "cancels"}, query_string=query_for(6), native=native)


@ways
@pytest.mark.parametrize("level", range(1, 6))
async def test_scopes_within_scopes_at_every_pause(level: int, native: bool) -> None:
    def options(edge: tuple[int, int]) -> dict[str, Any]:
        return {"scope": "function"} if edge[0] < 2 else {}

    tree = both(grow(SHAPES["chain"], ["scope"], options))
    await compare_cancelled(tree, {f"n{level}": "cancels"}, query_string=query_for(6), native=native)


class Interruption:
    """Runs a function, and cancels it when it is suspended for the given time, wherever that is.

    Args:
        function: A compiled plan.
        moment: The first suspension is 1.
    """

    def __init__(self, function: Callable[[Any], Any], moment: int) -> None:
        self._function = function
        self._moment = moment
        self.suspensions = 0

    async def __call__(self, websocket: Any) -> None:
        await self._run(self._function(websocket))

    @coroutine
    def _run(self, running: Any) -> Generator[Any, Any, None]:
        step = running.send
        value: Any = None
        while True:
            try:
                waiting = step(value)
            except StopIteration:
                return
            self.suspensions += 1
            if self.suspensions == self._moment:
                RUN.get().cancel()
            try:
                step, value = running.send, (yield waiting)
            except BaseException as thrown:
                step, value = running.throw, thrown


MIXTURES = {
    "asynchronous": ["async generator", "coroutine", "async context manager"],
    "threaded": ["generator", "function", "context manager", "function", "threaded class"],
    "threaded generators": ["generator"],
    "fused": ["function"],
    "mixed": ["generator", "async generator", "function", "coroutine", "inline generator"],
}


@ways
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kinds", MIXTURES)
async def test_every_suspension(kinds: str, shape: str, native: bool) -> None:
    tree = both(grow(SHAPES[shape], MIXTURES[kinds], lambda edge: {"scope": "function"} if edge == (0, 0) else {}))
    for moment in itertools.count(1):
        interruption = Interruption(tree.compiled, moment)
        outcome = await observe(interruption, {}, query_string=query_for(6), native=native)
        assert_closed(outcome, moment)
        seen = [event[2] for event in outcome.log if event[0] == "close"]
        assert seen == sorted(seen, key="cancelled".__eq__), "who sees the cancellation tells all further out"
        if interruption.suspensions < moment:
            assert outcome.end == ("returned",)
            break
        if native or "call endpoint" not in str(outcome.log):
            assert outcome.end == ("raised", "cancelled"), (moment, outcome)
