"""Which function runs for this connection? Trees, plans and functions, one for each set of visible overrides.

A variant is remembered together with every answer that its analysis got from the override mappings. It is used again
while all these answers are the same objects: overrides may be set and cleared at any time, and those that the tree
cannot see cost nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import Any, cast

from wsroute.dependencies.compiler import Compiled, compile_plan, compile_solver
from wsroute.dependencies.models import Dependant
from wsroute.dependencies.nodes import Overrides
from wsroute.dependencies.plan import Plan
from wsroute.dependencies.planner import make_plan, websocket_class
from wsroute.dependencies.runtime import Runtime

#: Variants that are kept for one route. Tests set fresh closures as overrides: without a bound all would stay alive.
MAX_VARIANTS = 8

#: The callables that were looked up for a tree, each with the override that was found, or `None`.
Answers = tuple[tuple[Callable[..., Any], Any], ...]


class Program:
    """One tree with all that is made from it; the function is compiled when it is first needed.

    Args:
        dependant: The tree.
        runtime: What generated code calls.
    """

    def __init__(self, dependant: Dependant, runtime: Runtime) -> None:
        self.dependant = dependant
        #: The class that the connection's WebSocket has to be an instance of.
        self.websocket_class = websocket_class(dependant)
        self._runtime = runtime
        self._compiled: Compiled | None = None
        self._solve: Compiled | None = None
        #: Resolves everything for one connection and calls the endpoint.
        self.run: Callable[[Any], Awaitable[None]] = self._compile_and_run

    @cached_property
    def plan(self) -> Plan:
        """What `run` does, in order."""
        return make_plan(self.dependant)

    @property
    def source(self) -> str:
        """The text of `run`."""
        return self._compile().source

    def solve(self, websocket: Any) -> AbstractAsyncContextManager[dict[str, Any]]:
        """Resolves everything for one connection, and gives the endpoint's arguments by name."""
        if self._solve is None:
            self._solve = compile_solver(self.plan, self._runtime)
        return cast(AbstractAsyncContextManager[dict[str, Any]], self._solve.function(websocket))

    def _compile(self) -> Compiled:
        if self._compiled is None:
            self._compiled = compile_plan(self.plan, self._runtime)
            self.run = self._compiled.function
        return self._compiled

    async def _compile_and_run(self, websocket: Any) -> None:
        await self._compile().function(websocket)


class Solver:
    """The programs of one route.

    Args:
        build: Builds the tree with the given overrides.
        runtime: What generated code calls.
        dependant: The tree without overrides, if it has been built already.
    """

    __slots__ = ("_build", "_runtime", "_variants", "program")

    def __init__(
        self, build: Callable[[Overrides | None], Dependant], runtime: Runtime, dependant: Dependant | None = None
    ) -> None:
        self._build = build
        self._runtime = runtime
        self._variants: list[tuple[Answers, Program]] = []
        #: The program without overrides.
        self.program = Program(dependant or build(None), runtime)

    def select(self, overrides: Sequence[Mapping[Any, Any]]) -> Program:
        """The program for the overrides that are visible now.

        Args:
            overrides: Override mappings, nearest first; the first that has a key decides.
        """
        if not overrides:
            return self.program
        lookup = overrides[0].get if len(overrides) == 1 else _nearest(overrides)
        for answers, program in self._variants:
            for call, answer in answers:
                if lookup(call) is not answer:
                    break
            else:
                return program
        return self._new_variant(lookup)

    def _new_variant(self, lookup: Overrides) -> Program:
        answers: dict[int, tuple[Callable[..., Any], Any]] = {}

        def recorded(call: Callable[..., Any]) -> Callable[..., Any] | None:
            try:
                answer = lookup(call)
            except TypeError:  # unhashable, and so no key of a mapping
                return None
            answers[id(call)] = (call, answer)
            return answer

        dependant = self._build(recorded)
        concerned = any(answer is not None for _, answer in answers.values())
        program = Program(dependant, self._runtime) if concerned else self.program
        self._variants = [(tuple(answers.values()), program), *self._variants[: MAX_VARIANTS - 1]]
        return program


def _nearest(overrides: Sequence[Mapping[Any, Any]]) -> Overrides:
    """What `ChainMap.get` does, in a fraction of its time."""

    def lookup(call: Callable[..., Any]) -> Callable[..., Any] | None:
        for mapping in overrides:
            if call in mapping:
                return mapping.get(call)
        return None

    return lookup


def visible_overrides(providers: Iterable[Any], application: Any = None) -> list[Mapping[Any, Any]]:
    """The override mappings that hold anything: of the providers in their order, then of the application."""
    found = []
    for provider in providers:
        overrides = provider.dependency_overrides
        if overrides:
            found.append(overrides)
    overrides = getattr(application, "dependency_overrides", None)
    if overrides:
        found.append(overrides)
    return found
