"""`python -m tests.benchmarks`: measure, print tables, and write what `docs/performance.md` shows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import adapters, fresh, kit, load, rounds
from tests.benchmarks.cells import connect_cells, message_cells, route_cells
from tests.benchmarks.chart import chart
from tests.benchmarks.machine import describe
from tests.benchmarks.page import PAGE, fill
from tests.benchmarks.processes import ROOT
from tests.benchmarks.report import markdown
from tests.benchmarks.results import Measured, Results

#: What `--cells` takes.
GROUPS = ("connect", "route", "message", "memory", "startup", "import", "testing", "server")
OUT = ROOT / "docs" / "benchmarks"
CELLS = {"connect": connect_cells, "route": route_cells, "message": message_cells}


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done for a figure."""

    rounds: int
    milliseconds: float
    fresh_rounds: int


FULL = Effort(rounds=25, milliseconds=20, fresh_rounds=7)
QUICK = Effort(rounds=5, milliseconds=5, fresh_rounds=2)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter samples")
    parser.add_argument("--peers", default=",".join(adapters.NAMES), help="frameworks, with commas: %(default)s")
    parser.add_argument("--cells", default=",".join(GROUPS), help="groups of cells, with commas: %(default)s")
    parser.add_argument(
        "--out",
        type=Path,
        help="where results.json, results.md and chart.svg are written; a complete run writes them to docs/benchmarks, "
        "and its figures into docs/performance.md",
    )
    options = parser.parse_args(arguments)
    options.peers, options.cells = options.peers.split(","), options.cells.split(",")
    for chosen, known in ((options.peers, adapters.NAMES), (options.cells, GROUPS)):
        if unknown := set(chosen).difference(known):
            parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    complete = options.cells == list(GROUPS) and options.peers == list(adapters.NAMES) and not options.quick
    if options.out is None and complete:
        options.out = OUT
    return options


def measured(group: str, frameworks: list[str], effort: Effort, note: Callable[[str], None]) -> Iterator[Measured]:
    """The figures of one group of cells."""
    if group in CELLS:
        cells = list(CELLS[group]())
        yield from rounds.measure(cells, frameworks, rounds=effort.rounds, milliseconds=effort.milliseconds, note=note)
    elif group == "memory":
        yield from fresh.measure_memory(frameworks, rounds=3, note=note)
    elif group == "startup":
        yield from fresh.measure_startup(frameworks, rounds=effort.fresh_rounds, note=note)
    elif group == "import":
        yield from fresh.measure_import(frameworks, rounds=effort.fresh_rounds * 3)
    elif group == "testing":
        yield from kit.measure(rounds=effort.rounds)
    else:
        yield from load.measure(frameworks, rounds=effort.rounds)


def main(arguments: list[str]) -> None:
    """Run."""
    options = parse(arguments)
    frameworks = [name for name in options.peers if adapters.is_installed(name)]
    results = Results(describe(), frameworks)
    results.notes += [f"{name} is not installed" for name in options.peers if name not in frameworks]
    for group in options.cells:
        for one in measured(group, frameworks, QUICK if options.quick else FULL, results.notes.append):
            results.measured.append(one.rounded())
            print(f"{one.group} {one.name}", file=sys.stderr, flush=True)
    print(markdown(results))
    if options.out is not None:
        write(results, options.out)


def write(results: Results, out: Path) -> None:
    """Write the results in all their forms."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(results.to_json())
    (out / "results.md").write_text(f"# Benchmark results\n\n{markdown(results)}")
    (out / "chart.svg").write_text(chart(results))
    if out == OUT:
        PAGE.write_text(fill(PAGE.read_text(), results))


if __name__ == "__main__":
    main(sys.argv[1:])
