"""The figures inside of `docs/performance.md`, each between two comments: what stands there is what was measured."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.benchmarks import report
from tests.benchmarks.processes import ROOT
from tests.benchmarks.results import Results

PAGE = ROOT / "docs" / "performance.md"
_PLACE = re.compile(r"(<!-- figures: (?P<name>[\w ]+) -->\n).*?(<!-- end of figures -->)", flags=re.DOTALL)

#: The rows of each table, by group and name of the cell.
TABLES = {
    "connect": [("connect", name) for name in ("a", "b", "c", "d", "e", "e-inline", "f", "g")],
    "route": [
        ("route", name) for name in ("10 first", "100 last", "1000 last", "5000 last", "5000 miss", "20x50 last")
    ],
    "message": [
        ("message", name)
        for name in ("receive_text", "iter_text", "typed", "typed-two", "typed-generator", "typed-union", "stream")
    ],
    "memory": [("memory", "a open"), ("memory", "c open"), ("memory", "d open")],
    "startup": [
        *(("startup", f"{whose} {what}") for whose in ("own", "shared") for what in ("seconds", "resident", "first")),
        ("import", "import"),
    ],
    "server": [("server", name) for name in ("connection", "message", "idle")],
}


def fill(text: str, results: Results) -> str:
    """The page with the figures of a run.

    Args:
        text: The page.
        results: The run.

    Raises:
        KeyError: The page has a place for figures that nobody knows.
    """
    whole: dict[str, Callable[[Results], str]] = {"environment": report.environment, "promises": report.promises}

    def figures(place: re.Match[str]) -> str:
        name = place["name"]
        shown = whole[name](results) if name in whole else _table(name, results)
        return f"{place[1]}\n{shown}\n{place[3]}"

    return _PLACE.sub(figures, text)


def _table(name: str, results: Results) -> str:
    cells = [cell for group, row in TABLES[name] if (cell := results.find(group, row)) is not None]
    return report.ratios(cells, results.frameworks)
