"""One program for each set of visible overrides, made when it is first needed, kept while it may be needed again."""

# Annotations are evaluated where they are written, so that functions inside of tests may name each other.

import gc
import weakref
from collections import ChainMap
from collections.abc import AsyncIterator, Callable
from types import MappingProxyType, SimpleNamespace
from typing import Annotated, Any

import pytest

from tests.dependencies.trees import RUN, RUNTIME, FakeSocket, Run
from wsroute import Depends, Query, WebSocket
from wsroute.dependencies import solver as solver_module
from wsroute.dependencies.analysis import Analysis
from wsroute.dependencies.models import Dependant
from wsroute.dependencies.nodes import Overrides
from wsroute.dependencies.solver import MAX_VARIANTS, Program, Solver, visible_overrides
from wsroute.exceptions import DependencyCycleError

pytestmark = pytest.mark.anyio


async def leaf() -> str:
    return "leaf"


async def branch(leaf: Annotated[str, Depends(leaf)]) -> str:
    return f"branch of {leaf}"


async def unrelated() -> str:
    return "unrelated"


class Route:
    """An endpoint with its solver; counts what is analysed and compiled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.analysed = 0
        self.compiled: list[str] = []
        self.values: list[Any] = []
        for name in ("compile_plan", "compile_solver"):
            monkeypatch.setattr(solver_module, name, self._counted(name, getattr(solver_module, name)))
        self.solver = Solver(self._build, RUNTIME)

    async def endpoint(
        self,
        leaf: Annotated[str, Depends(leaf)],
        branch: Annotated[str, Depends(branch)],
        limit: Annotated[int, Query()] = 0,
    ) -> None:
        self.values.append((leaf, branch))

    async def connect(self, *overrides: Any) -> tuple[str, str]:
        """What the endpoint gets on a connection."""
        RUN.set(Run())
        visible = visible_overrides([SimpleNamespace(dependency_overrides=mapping) for mapping in overrides])
        await self.solver.select(visible).run(FakeSocket())
        value: tuple[str, str] = self.values[-1]
        return value

    def _build(self, overrides: Overrides | None) -> Dependant:
        self.analysed += 1
        return Analysis("/", overrides=overrides).endpoint(self.endpoint)

    def _counted(self, name: str, compile_it: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            self.compiled.append(name)
            return compile_it(*args)

        return counted


@pytest.fixture
def route(monkeypatch: pytest.MonkeyPatch) -> Route:
    return Route(monkeypatch)


def gives(value: str) -> Callable[[], str]:
    return lambda: value


async def test_nothing_is_compiled_before_the_first_connection_and_nothing_twice(route: Route) -> None:
    assert (route.analysed, route.compiled) == (1, [])

    for _ in range(3):
        assert await route.connect() == ("leaf", "branch of leaf")
        assert await route.connect({}) == ("leaf", "branch of leaf")

    assert (route.analysed, route.compiled) == (1, ["compile_plan"])


async def test_overrides_come_and_go_between_connections(route: Route) -> None:
    overrides: dict[Any, Any] = {}
    one = gives("one")

    for _ in range(3):
        assert await route.connect(overrides) == ("leaf", "branch of leaf")
        overrides[leaf] = one
        assert await route.connect(overrides) == ("one", "branch of one")
        overrides[branch] = one
        assert await route.connect(overrides) == ("one", "one")
        del overrides[leaf]
        assert await route.connect(overrides) == ("leaf", "one")
        overrides.clear()

    assert len(route.compiled) == route.analysed == 4


async def test_overrides_that_the_tree_does_not_see_compile_nothing(route: Route) -> None:
    await route.connect()

    for number in range(20):
        overrides = {unrelated: gives(str(number)), gives("anything"): leaf}
        assert await route.connect(overrides) == ("leaf", "branch of leaf")

    assert route.compiled == ["compile_plan"]
    assert route.analysed == 2, "once without overrides, once to see what the tree looks up"
    assert route.solver.select([{unrelated: leaf}]) is route.solver.program


async def test_an_override_that_is_replaced_is_another_program(route: Route) -> None:
    assert await route.connect({leaf: gives("one")}) == ("one", "branch of one")
    assert await route.connect({leaf: gives("two")}) == ("two", "branch of two")
    assert route.compiled == ["compile_plan"] * 2


async def test_no_override_is_none(route: Route) -> None:
    assert await route.connect({leaf: None}) == ("leaf", "branch of leaf")
    assert route.analysed == 2


async def test_the_number_of_programs_is_bounded(route: Route) -> None:
    replacements = [gives(str(number)) for number in range(MAX_VARIANTS + 1)]
    for replacement in replacements:
        await route.connect({leaf: replacement})
    compiled = len(route.compiled)

    await route.connect({leaf: replacements[-1]})
    await route.connect({leaf: replacements[1]})
    assert len(route.compiled) == compiled, "the last ones are kept"
    assert await route.connect({leaf: replacements[0]}) == ("0", "branch of 0")
    assert len(route.compiled) == compiled + 1, "the first one is not"

    gone = weakref.ref(replacements.pop(2))
    for number in range(MAX_VARIANTS):
        await route.connect({leaf: gives(f"another {number}")})
    gc.collect()
    assert gone() is None


async def test_the_nearest_mapping_that_has_the_key_decides(route: Route) -> None:
    near, far = {leaf: gives("near")}, {leaf: gives("far"), branch: gives("far")}

    assert await route.connect(near, far) == ("near", "far")
    assert await route.connect(far, near) == ("far", "far")
    assert await route.connect({}, near, {}, far) == ("near", "far")
    assert len(route.compiled) == 2


@pytest.mark.parametrize("wrap", [dict, MappingProxyType, ChainMap])
async def test_any_mapping_will_do(route: Route, wrap: Callable[[Any], Any]) -> None:
    assert await route.connect(wrap({leaf: gives("one")})) == ("one", "branch of one")


async def test_an_unhashable_dependency_is_no_key_of_overrides() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]  # this is how Python makes a class unhashable

        async def __call__(self) -> str:
            return "unhashable"

    async def endpoint(value: Annotated[str, Depends(Unhashable())], leaf: Annotated[str, Depends(leaf)]) -> None:
        found.append((value, leaf))

    found: list[Any] = []
    solver = Solver(lambda overrides: Analysis("/", overrides=overrides).endpoint(endpoint), RUNTIME)
    await solver.select([{leaf: gives("one")}]).run(FakeSocket())

    assert found == [("unhashable", "one")]


async def test_an_override_is_a_dependency_like_any_other(route: Route) -> None:
    log: list[str] = []

    async def generator(websocket: WebSocket, limit: int = 7) -> AsyncIterator[str]:
        log.append("opened")
        yield f"limit {limit}"
        log.append("closed")

    assert await route.connect({leaf: generator}) == ("limit 7", "branch of limit 7")
    assert log == ["opened", "closed"]


async def test_inside_of_an_override_the_original_is_meant(route: Route) -> None:
    async def louder(leaf: Annotated[str, Depends(leaf)]) -> str:
        return leaf.upper()

    assert await route.connect({leaf: louder}) == ("LEAF", "branch of LEAF")


async def test_a_cycle_that_appears_with_an_override_is_raised_when_it_is_first_used(route: Route) -> None:
    async def one(two: Any) -> str:
        raise AssertionError("not called")

    async def two(one: Annotated[str, Depends(one)]) -> str:
        raise AssertionError("not called")

    one.__annotations__["two"] = Annotated[str, Depends(two)]

    for _ in range(2):
        assert await route.connect() == ("leaf", "branch of leaf")
        with pytest.raises(DependencyCycleError, match=r"one -> .*two -> .*one\n"):
            await route.connect({leaf: one})


async def test_overrides_that_wrap_each_other_are_no_cycle(route: Route) -> None:
    async def one(branch: Annotated[str, Depends(branch)]) -> str:
        return f"one of {branch}"

    async def two(leaf: Annotated[str, Depends(leaf)]) -> str:
        return f"two of {leaf}"

    assert await route.connect({leaf: one, branch: two}) == ("one of two of leaf", "two of one of branch of leaf")


def test_a_program_shows_its_plan_and_its_source_and_compiles_once(route: Route) -> None:
    program = route.solver.program

    assert program.plan is program.plan
    assert program.plan.endpoint.call == route.endpoint
    assert program.source == program.source
    assert program.source.startswith("async def run(websocket):\n")
    assert route.compiled == ["compile_plan"]
    assert program.run.__name__ == "run"


async def test_a_program_resolves_without_calling(route: Route) -> None:
    for _ in range(2):
        async with route.solver.program.solve(FakeSocket("limit=2")) as values:
            assert values == {"leaf": "leaf", "branch": "branch of leaf", "limit": 2}

    assert route.values == []
    assert route.compiled == ["compile_solver"]


def test_a_tree_that_has_been_built_is_not_built_again() -> None:
    dependant = Analysis("/").endpoint(unrelated)

    def build(overrides: Overrides | None) -> Dependant:
        raise AssertionError("not called")

    solver = Solver(build, RUNTIME, dependant)
    assert solver.program.dependant is dependant


def test_a_program_knows_the_class_of_its_sockets() -> None:
    class Own(WebSocket):
        pass

    async def endpoint(websocket: Own) -> None: ...

    assert Program(Analysis("/").endpoint(endpoint), RUNTIME).websocket_class is Own


def test_visible_overrides_are_those_that_hold_anything() -> None:
    full, other, empty = ({"dependency_overrides": it} for it in ({leaf: branch}, {branch: leaf}, {}))
    providers = [SimpleNamespace(**it) for it in (empty, full, other)]

    assert visible_overrides(providers) == [{leaf: branch}, {branch: leaf}]
    assert visible_overrides([], SimpleNamespace(**full)) == [{leaf: branch}]
    assert visible_overrides([providers[2]], SimpleNamespace(**full)) == [{branch: leaf}, {leaf: branch}]
    assert visible_overrides([], SimpleNamespace(**empty)) == []
    assert visible_overrides([], object()) == []
    assert visible_overrides([]) == []
