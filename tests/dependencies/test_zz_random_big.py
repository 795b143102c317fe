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
from tests.dependencies.trees import CLEAN_UPS, ENDINGS, ENDPOINT, FAILURES, KINDS, Made, make, use
from wsroute import BackgroundTasks, Query, Request, SecurityScopes, WebSocket
from wsroute.exceptions import DependencyScopeError

NODES = 6

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
            scope=st.sampled_from([None, None, None, "function", "connection"]),
            max_concurrency=st.sampled_from([None, None, 1000]),
        ),
        st.builds(
            lambda **options: use(dependency, **options),
            use_cache=st.booleans(),
            security_scopes=st.lists(st.sampled_from(["a", "b"]), max_size=2),
        ),
    )


def needs(dependencies: list[Made]) -> st.SearchStrategy[list[Any]]:
    """What a callable may ask for, in any order."""
    parameter = st.sampled_from(PARAMETERS)
    if dependencies:
        parameter = st.one_of(parameter, st.sampled_from(dependencies).flatmap(declarations))
    return st.lists(parameter, max_size=4)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    made: list[Made] = []
    overrides: dict[Any, Any] = {}
    names = [f"n{number}" for number in range(draw(st.integers(1, NODES - 1)))]
    for name in names:
        made.append(make(draw(st.sampled_from(sorted(KINDS))), name, *draw(needs(made))))
        if draw(st.integers(0, 7)) == 0:
            other = make(draw(st.sampled_from(sorted(KINDS))), f"{name}_override", *draw(needs(made)))
            overrides[id(made[-1].call)] = (made[-1].call, other.call)
    [last] = draw(st.lists(declarations(made[-1]), min_size=1, max_size=1))
    endpoint = make("coroutine", ENDPOINT, *draw(needs(made)), last).call
    failing = st.dictionaries(
        st.sampled_from([*names, *(f"{name}_override" for name in names)]),
        st.sampled_from([*FAILURES, *CLEAN_UPS, *CLEAN_UPS, "end"]),
        max_size=3,
    )
    return Case(
        endpoint,
        {original: other for original, other in overrides.values() if original.__hash__},
        {ENDPOINT: draw(st.sampled_from(ENDINGS)), **draw(failing)},
        draw(st.sampled_from((QUERIES[0], QUERIES[0], *QUERIES))),
        draw(st.one_of(st.none(), st.none(), st.integers(1, 10))),
    )


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=4000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_random_trees(backend: str, case: Case) -> None:
    try:
        tree = both(case.endpoint, case.overrides)
    except DependencyScopeError:
        return  # a declaration that cannot work is found out before there is anything to compare

    async def connection() -> None:
        await compare(tree, case.behaviours, query_string=case.query_string, cancel_at=case.cancel_at)

    anyio.run(connection, backend=backend)
