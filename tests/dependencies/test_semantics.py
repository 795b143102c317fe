"""Compiled plans do what the oracle says, whatever fails, and on both event loops.

The logs of both have to be equal: what was called in which order and with which values, what was opened, and what each
dependency saw when it was closed.
"""

from __future__ import annotations

import itertools

import pytest

from tests.dependencies.comparison import both, clean_ups, compare, set_ups
from tests.dependencies.trees import CONTEXTS, ENDINGS, ENDPOINT, KINDS, SHAPES, grow, query_for
from wsroute.exceptions import DependencyScopeError

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
async def test_set_up_of_every_kind_in_every_shape(kind: str, shape: str) -> None:
    size = len(SHAPES[shape])
    tree = both(grow(SHAPES[shape], [kind]))
    for behaviours in set_ups(size):
        await compare(tree, behaviours, query_string=query_for(size))
    for invalid in range(size):
        await compare(tree, {}, query_string=query_for(size, invalid))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", CONTEXTS)
async def test_clean_up_of_every_kind_in_every_shape(kind: str, shape: str) -> None:
    size = len(SHAPES[shape])
    tree = both(grow(SHAPES[shape], [kind]))
    for ending, behaviours in itertools.product(("", "error", "disconnect"), clean_ups(size, 1)):
        await compare(tree, {ENDPOINT: ending, **behaviours}, query_string=query_for(size))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", ["async generator", "inline generator"])
async def test_clean_ups_that_meet(kind: str, ending: str) -> None:
    tree = both(grow(SHAPES["chain"], [kind]))
    for behaviours in itertools.chain(clean_ups(6, 2), clean_ups(4, 3)):
        await compare(tree, {ENDPOINT: ending, **behaviours}, query_string=query_for(6))


#: One kind for each way in which a value comes to be.
WAYS = ("async generator", "generator", "inline context manager", "coroutine", "function", "inline function")


@pytest.mark.parametrize("child", KINDS)
async def test_every_kind_below_every_way(child: str) -> None:
    for parent in WAYS:
        tree = both(grow([[1], [2], []], [parent, child], bare=True))
        for behaviours in set_ups(3):
            await compare(tree, behaviours)
        for behaviours in clean_ups(3, 2):
            await compare(tree, {ENDPOINT: "error", **behaviours})


@pytest.mark.parametrize("kind", CONTEXTS)
async def test_two_lifetimes(kind: str) -> None:
    size = len(SHAPES["fan-out"])
    short = ((0, 0), (3, 0))
    tree = both(grow(SHAPES["fan-out"], [kind], lambda edge: {"scope": "function"} if edge in short else {}))
    for behaviours in itertools.chain(set_ups(size), clean_ups(size, 1)):
        await compare(tree, behaviours, query_string=query_for(size))
    for invalid in range(size):
        await compare(tree, {}, query_string=query_for(size, invalid))


LIFETIMES = (None, "function", "connection")


@pytest.mark.parametrize("lifetime", LIFETIMES)
async def test_every_lifetime_cached_or_not(lifetime: str | None) -> None:
    kinds = ["async generator", "coroutine", "inline generator"]
    choices = [{"scope": scope, "use_cache": cached} for scope in LIFETIMES for cached in (True, False)]
    first = [choice for choice in choices if choice["scope"] == lifetime]
    for declarations in itertools.product(first, choices, choices, choices):
        declared = dict(zip([(0, 0), (0, 1), (1, 0), (2, 0)], declarations, strict=True))
        try:
            tree = both(grow(([1, 2], [3], [3], []), kinds, declared.__getitem__, bare=True))
        except DependencyScopeError:
            continue
        await compare(tree, {})
