"""Results as Markdown: what is printed, and what `docs/performance.md` shows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tests.benchmarks.adapters import BASELINE, NAMES
from tests.benchmarks.results import Measured, Results, Summary
from tests.benchmarks.targets import targets


def markdown(results: Results) -> str:
    """Everything: the tables, the promises, and what is missing."""
    tables = [
        f"## {group}\n\n{table(list(cells), results.frameworks)}"
        for group, cells in groupby(results.measured, key=lambda one: one.group)
    ]
    notes = "".join(f"- {note}\n" for note in results.notes)
    parts = [environment(results), *tables, f"## promises\n\n{promises(results)}"]
    return "\n".join(parts) + (f"\n## missing\n\n{notes}" if notes else "")


def table(cells: Sequence[Measured], frameworks: Sequence[str]) -> str:
    """One row for each cell, one column for each framework: median, quartiles, and ratio to hand-written Starlette."""
    taking_part = [name for name in frameworks if any(cell.summary(name) for cell in cells)]
    head = ["", *(NAMES[name] for name in taking_part)]
    rows = [[_title(cell), *(_figure(cell.summary(name)) for name in taking_part)] for cell in cells]
    return _rows(head, rows)


def ratios(cells: Sequence[Measured], frameworks: Sequence[str]) -> str:
    """One row for each cell, with the median of hand-written Starlette and the others' ratios to it."""
    others = [name for name in frameworks if name != BASELINE and any(name in cell.samples for cell in cells)]
    rows = []
    for cell in cells:
        by_hand = cell.summary(BASELINE)
        figures = [_ratio(summary.ratio) if (summary := cell.summary(name)) else "" for name in others]
        rows.append([_title(cell), _number(by_hand.median) if by_hand else "", *figures])
    return _rows(["", NAMES[BASELINE], *(NAMES[name] for name in others)], rows)


def promises(results: Results) -> str:
    """What the project holds itself to."""
    rows = [
        [one.what, f"at {'least' if one.at_least else 'most'} {one.bound:g}", f"{one.found:.2f}", _yes(one.holds)]
        for one in targets(results)
    ]
    return _rows(["ratio", "promised", "found", ""], rows)


def environment(results: Results) -> str:
    """The machine and the versions."""
    facts = results.environment
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"Run on {facts['date']}, Python {facts['python']}, {facts['system']}, load {facts['load']} at its start; "
        f"{versions}.\n"
    )


def _yes(holds: bool) -> str:
    return "holds" if holds else "**missed**"


def _title(cell: Measured) -> str:
    name = f"{cell.name}: " if cell.group == "connect" else ""
    return f"{name}{cell.title}, {cell.unit}"


def _figure(summary: Summary | None) -> str:
    if summary is None:
        return ""
    ratio = "" if summary.ratio is None else f", {_ratio(summary.ratio)}"
    return f"{_number(summary.median)} ({_number(summary.low)} to {_number(summary.high)}){ratio}"


def _ratio(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.0f} x" if ratio >= 9.995 else f"{ratio:.2f} x" if ratio >= 0.0995 else f"{ratio:.3f} x"


def _number(value: float) -> str:
    """Three digits that count."""
    decimals = next((places for places, least in enumerate((99.95, 9.995, 0.9995)) if value >= least), 3)
    return f"{value:.{decimals}f}"


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
