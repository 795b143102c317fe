"""What the project promises about its costs, as ratios between figures of one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks.adapters import NAMES
from tests.benchmarks.results import Results


@dataclass(frozen=True, slots=True)
class Target:
    """One promise.

    Attributes:
        what: What is compared.
        found: The ratio.
        bound: Where it has to stay.
        at_least: Whether the bound is the least that it may be, instead of the most.
    """

    what: str
    found: float
    bound: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the promise is kept."""
        return self.found >= self.bound if self.at_least else self.found <= self.bound


def targets(results: Results) -> Iterator[Target]:
    """All promises that the figures of a run can be held against."""
    yield from _to("starlette", results, [("connect", name, 0.75) for name in ("a", "b", "c", "d", "g", "e-inline")])
    yield from _to("fastapi", results, [("connect", "e", 0.5)])
    yield from _override(results, 1.1)
    for name in ("5000 last", "5000 miss"):
        yield from _own(results, ("route", name), ("route", "10 first"), 1.2)
    yield from _to("starlette", results, [("message", name, 0.65) for name in ("receive_text", "iter_text")])
    typed = [("message", "typed", 0.9), ("message", "typed-two", 1.0), ("message", "typed-generator", 1.3)]
    yield from _to("starlette", results, typed)
    yield from _kit(results, 2.0)
    for name, least in (("c", 7), ("f", 20)):
        cell = results.find("connect", name)
        if cell and (found := cell.ratio("fastapi", "wsroute")):
            yield Target(f"connect {name}: FastAPI / wsroute", found, least, at_least=True)
    for whose in ("own", "shared"):
        bounds = [("startup", f"{whose} seconds", 0.35), ("startup", f"{whose} resident", 0.6)]
        yield from _to("fastapi", results, bounds)
    yield from _to("starlette", results, [("import", "import", 1.25), ("memory", "c open", 1.0)])


def _to(other: str, results: Results, bounds: list[tuple[str, str, float]]) -> Iterator[Target]:
    for group, name, bound in bounds:
        cell = results.find(group, name)
        if cell and (found := cell.ratio("wsroute", other)) is not None:
            yield Target(f"{_called(group, name)}: wsroute / {NAMES[other]}", found, bound)


def _own(results: Results, one: tuple[str, str], other: tuple[str, str], bound: float) -> Iterator[Target]:
    cells = results.find(*one), results.find(*other)
    above, below = (cell and cell.summary("wsroute") for cell in cells)
    if above and below:
        yield Target(f"wsroute: {_called(*one)} / {_called(*other)}", above.median / below.median, bound)


def _override(results: Results, bound: float) -> Iterator[Target]:
    """What an active override costs: f and c, each against code by hand, which does the same in both.

    So a machine that is slower when it comes to f counts for nothing; what is promised is a small difference.
    """
    f, c = results.find("connect", "f"), results.find("connect", "c")
    if f and c and (above := f.ratio("wsroute")) and (below := c.ratio("wsroute")):
        yield Target("wsroute: connect f / connect c", above / below, bound)


def _kit(results: Results, bound: float) -> Iterator[Target]:
    """What a test with `wsroute.testing` costs, against the ASGI call that it would make by hand."""
    cell = results.find("testing", "echo")
    if cell and (found := cell.ratio("wsroute", "raw")) is not None:
        yield Target("testing echo: connect() / a task and two queues by hand", found, bound)


def _called(group: str, name: str) -> str:
    return name if group == name else f"{group} {name}"
