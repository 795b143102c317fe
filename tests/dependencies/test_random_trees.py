"""Random trees, random declarations, random mishaps: compiled plans do what the oracle says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dependencies.comparison import both, compare
from tests.dependencies.trees import CLEAN_UPS, CONTEXTS, ENDINGS, ENDPOINT, FAILURES, KINDS, Made, make, use
from wsroute import BackgroundTasks, Query, Request, SecurityScopes, WebSocket
from wsroute.exceptions import DependencyScopeError

PARAMETERS = (
    Annotated[int, Query(alias="p")],
    Annotated[int, Query(alias="q", ge=5)],
    Annotated[int, Query(alias="q", ge=7)],
    Annotated[list[int], Query(alias="q")],
    WebSocket,
    BackgroundTasks,
    SecurityScopes,
    Request,
)
QUERIES = ("p=1&q=7", "p=1&q=5", "p=x&q=7", "q=x", "")


@dataclass(frozen=True)
class Case:
    """A tree, and what happens to it."""

    endpoint: Any
    overrides: Mapping[Any, Any]
    behaviours: Mapping[str, str]
    query_string: str
    cancel_at: int | None


def declarations(dependency: Made) -> st.SearchStrategy[Any]:
    """What a parameter that gets this dependency may say."""
    return st.one_of(
        st.builds(
            lambda **options: use(dependency, **options),
            use_cache=st.sampled_from([True, True, False]),
            scope=st.sampled_from([None, "function", None, "connection"]),
            max_concurrency=st.sampled_from([None, None, 1000]),
        ),
        st.builds(
            lambda **options: use(dependency, **options),
            use_cache=st.booleans(),
            security_scopes=st.lists(st.sampled_from(["a", "b"]), max_size=2),
        ),
    )


@st.composite
def needs(draw: st.DrawFn, dependencies: list[Made]) -> list[Any]:
    """What a callable may ask for, in any order: its dependencies among it, the newest one always."""
    asked = draw(st.lists(st.sampled_from(PARAMETERS), max_size=2))
    if dependencies:
        asked.append(draw(declarations(dependencies[-1])))
        asked += [draw(declarations(draw(st.sampled_from(dependencies)))) for _ in range(draw(st.integers(0, 2)))]
    return draw(st.permutations(asked))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kinds = st.sampled_from([*CONTEXTS, *KINDS])
    made: list[Made] = []
    overrides: dict[Any, Any] = {}
    names = [f"n{number}" for number in range(draw(st.sampled_from([5, 4, 3, 2, 1])))]
    for name in names:
        made.append(make(draw(kinds), name, *draw(needs(made))))
        if draw(st.integers(0, 7)) == 0 and made[-1].call.__hash__:
            overrides[made[-1].call] = make(draw(kinds), f"{name}_override", *draw(needs(made))).call
    failing = st.dictionaries(
        st.sampled_from([*names, *(f"{name}_override" for name in names)]),
        st.sampled_from([*CLEAN_UPS, *FAILURES, "end"]),
        max_size=2,
    )
    return Case(
        make("coroutine", ENDPOINT, *draw(needs(made))).call,
        overrides,
        {ENDPOINT: draw(st.sampled_from(ENDINGS)), **draw(failing)},
        draw(st.sampled_from((*QUERIES[:1] * 5, *QUERIES))),
        draw(st.sampled_from([None, *range(8), None, None])),
    )


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
# Much of it is what hypothesis does between the examples, which takes longer on a machine that is busy.
@pytest.mark.timeout(90)
@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_random_trees(backend: str, case: Case) -> None:
    try:
        tree = both(case.endpoint, case.overrides)
    except DependencyScopeError:
        return  # a declaration that cannot work is found out before there is anything to compare

    async def connection() -> None:
        await compare(tree, case.behaviours, query_string=case.query_string, cancel_at=case.cancel_at)

    anyio.run(connection, backend=backend)
