"""What overrides mean: the oracle replaces callables in the finished tree, the solver analyses the tree anew."""

from __future__ import annotations

import itertools
from typing import Annotated, Any

import pytest

from tests.dependencies.comparison import Tree, both, compare, compare_cancelled
from tests.dependencies.trees import CONTEXTS, ENDINGS, ENDPOINT, KINDS, Made, make, use
from wsroute import BackgroundTasks, Depends, Query, SecurityScopes, WebSocket

pytestmark = pytest.mark.anyio


def chain(kind: str = "coroutine") -> tuple[Any, Made, Made, Made]:
    """An endpoint that needs `top` and `leaf`; `top` needs `middle`, which needs `leaf`."""
    leaf = make(kind, "leaf", WebSocket)
    middle = make(kind, "middle", use(leaf))
    top = make(kind, "top", use(middle, security_scopes=["read"]))
    return make("coroutine", ENDPOINT, use(top), use(leaf), BackgroundTasks).call, leaf, middle, top


async def check(tree: Tree, *names: str) -> None:
    """Compare both forms of a tree, with each of these callables failing."""
    for ending, (name, failure) in itertools.product(ENDINGS, [("", ""), *itertools.product(names, ["error", "end"])]):
        await compare(tree, {ENDPOINT: ending, name: failure}, query_string="limit=1")
    await compare(tree, {}, query_string="limit=x")
    await compare_cancelled(tree, {}, query_string="limit=1")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_leaf_is_overridden_by_every_kind(kind: str) -> None:
    endpoint, leaf, *_ = chain("async generator")
    other = make(kind, "other", WebSocket, Annotated[int, Query(alias="limit")], BackgroundTasks)

    tree = both(endpoint, {leaf.call: other.call})

    await check(tree, "other", "middle")
    outcome = await compare(tree, {}, query_string="limit=1")
    assert ("call", "other#1", "socket", "1", "tasks") in outcome.log
    assert not any("leaf" in event[1] for event in outcome.log if event[0] == "call")


#: An object that cannot be hashed is no key of a mapping.
KEYS = [kind for kind in KINDS if kind != "unhashable instance"]


@pytest.mark.parametrize("kind", KEYS)
async def test_every_kind_is_overridden_in_the_middle(kind: str) -> None:
    endpoint, leaf, middle, _ = chain(kind)
    other = make("async generator", "other", use(leaf), SecurityScopes)

    tree = both(endpoint, {middle.call: other.call})

    await check(tree, "leaf", "other", "top")
    outcome = await compare(tree, {})
    assert ("call", "other#1", "leaf#1", "scopes read") in outcome.log


@pytest.mark.parametrize("kind", KEYS)
async def test_an_override_wraps_what_it_replaces(kind: str) -> None:
    endpoint, leaf, middle, _ = chain(kind)
    wrapper = make("async generator", "wrapper", use(middle), use(leaf))

    tree = both(endpoint, {middle.call: wrapper.call})

    await check(tree, "leaf", "middle", "wrapper", "top")
    outcome = await compare(tree, {})
    assert ("call", "wrapper#1", "middle#1", "leaf#1") in outcome.log
    assert ("call", "top#1", "wrapper#1") in outcome.log


async def test_what_an_override_needs_is_overridden_too() -> None:
    endpoint, leaf, middle, _ = chain()
    wrapper = make("coroutine", "wrapper", use(middle), use(leaf))
    other = make("coroutine", "other", use(leaf))

    tree = both(endpoint, {middle.call: wrapper.call, leaf.call: other.call})

    outcome = await compare(tree, {})
    assert [event[1:] for event in outcome.log if event[0] == "call"] == [
        ("leaf#1", "socket"),
        ("other#1", "leaf#1"),
        ("middle#1", "other#1"),
        ("wrapper#1", "middle#1", "other#1"),
        ("top#1", "wrapper#1"),
        ("endpoint#1", "top#1", "other#1", "tasks"),
    ]


async def test_what_is_original_and_what_is_overridden_are_two_values() -> None:
    shared = make("async generator", "shared")
    one = make("coroutine", "one", use(shared))
    wrapper = make("coroutine", "wrapper", use(one))
    other = make("coroutine", "other", use(shared))
    endpoint = make("coroutine", ENDPOINT, use(one), use(shared)).call

    outcome = await compare(both(endpoint, {one.call: wrapper.call, shared.call: other.call}), {})

    assert [event[1:] for event in outcome.log if event[0] == "call"] == [
        ("shared#1",),
        ("other#1", "shared#1"),
        ("one#1", "other#1"),
        ("wrapper#1", "one#1"),
        ("endpoint#1", "wrapper#1", "other#1"),
    ]


async def test_a_dependency_is_one_thing_inside_of_an_override_and_another_outside() -> None:
    leaf = make("async generator", "leaf")
    middle = make("async generator", "middle", use(leaf))
    wrapper = make("async generator", "wrapper", use(middle))
    endpoint = make("coroutine", ENDPOINT, use(leaf), use(middle)).call

    outcome = await compare(both(endpoint, {leaf.call: wrapper.call}), {})

    assert [event[1:] for event in outcome.log if event[0] == "call"] == [
        ("leaf#1",),
        ("middle#1", "leaf#1"),
        ("wrapper#1", "middle#1"),
        ("middle#2", "wrapper#1"),
        ("endpoint#1", "wrapper#1", "middle#2"),
    ]


@pytest.mark.parametrize("kind", CONTEXTS)
async def test_an_override_that_lives_shorter_shortens_what_needs_it(kind: str) -> None:
    short = make("generator", "short")
    endpoint, _, middle, _ = chain(kind)
    other = make("async generator", "other", use(short, scope="function"))

    tree = both(endpoint, {middle.call: other.call})

    await check(tree, "short", "leaf", "other")
    outcome = await compare(tree, {})
    assert outcome.log.index(("close", "short#1", "NoneType")) < outcome.log.index(("finish",))
    assert outcome.log.index(("close", "leaf#1", "NoneType")) > outcome.log.index(("finish",))


async def test_a_dependency_that_runs_for_its_effect_is_overridden() -> None:
    needed = make("generator", "needed")
    effect = make("coroutine", "effect")
    other = make("async generator", "other", use(needed))
    endpoint = make("coroutine", ENDPOINT, use(needed)).call

    tree = both(endpoint, {effect.call: other.call}, effects=[Depends(effect.call)])

    outcome = await compare(tree, {ENDPOINT: "error"})
    assert ("close", "other#1", "SetUpError") in outcome.log
    assert ("call", "effect#1") not in outcome.log
