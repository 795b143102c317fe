"""Cells in rounds: in each round every framework gives one sample, and the one that begins is another every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from tests.benchmarks.cells import Cell
from tests.benchmarks.machine import cores
from tests.benchmarks.processes import Process, ProcessError
from tests.benchmarks.results import Measured


def rotated(frameworks: Sequence[str], rounds: int) -> Iterator[Sequence[str]]:
    """The order of the frameworks in each round."""
    for turn in range(rounds):
        at = turn % len(frameworks)
        yield [*frameworks[at:], *frameworks[:at]]


def measure(
    cells: Sequence[Cell],
    frameworks: Sequence[str],
    *,
    rounds: int,
    milliseconds: float,
    note: Callable[[str], None],
) -> Iterator[Measured]:
    """Measure cells.

    Args:
        cells: The cells.
        frameworks: The frameworks; each gets one process for all cells.
        rounds: The rounds for each cell.
        milliseconds: How long one sample takes.
        note: Is told what could not be measured.
    """
    core, _ = cores()
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Process("worker", name, core)) for name in frameworks}
        for cell in cells:
            counts = {}
            for name, worker in workers.items():
                try:
                    counts[name] = worker.ask("prepare", f"{cell.group} {cell.name}", milliseconds * 1e6)["count"]
                except ProcessError as exc:
                    note(f"{name}, {cell.group} {cell.name}: {exc}")
            able = [name for name, count in counts.items() if count]
            samples: dict[str, list[float]] = {name: [] for name in able}
            for order in rotated(able, rounds):
                for name in order:
                    samples[name].append(workers[name].ask("sample", counts[name]) / 1000)
            yield Measured(cell.group, cell.name, cell.title, "µs", samples)
