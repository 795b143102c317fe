"""What was measured, and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from statistics import median, quantiles
from typing import Any

from tests.benchmarks.adapters import BASELINE


@dataclass(frozen=True, slots=True)
class Summary:
    """One figure of one framework."""

    median: float
    low: float
    high: float
    #: To hand-written Starlette.
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One cell.

    Attributes:
        group: The table that it stands in.
        name: Its name there.
        title: What it is.
        unit: What the figures are.
        samples: By framework, one figure for each round.
    """

    group: str
    name: str
    title: str
    unit: str
    samples: Mapping[str, list[float]]

    def rounded(self) -> Measured:
        """The same, without the digits that nobody will read."""
        samples = {name: [float(f"{one:.5g}") for one in found] for name, found in self.samples.items()}
        return replace(self, samples=samples)

    def summary(self, framework: str) -> Summary | None:
        """Median, quartiles and ratio; nothing, if the framework can't do it or was left out."""
        found = self.samples.get(framework)
        if not found:
            return None
        low, _, high = quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
        return Summary(median(found), low, high, self.ratio(framework))

    def ratio(self, framework: str, to: str = BASELINE) -> float | None:
        """The median of the ratios of each round, which a change of the machine's speed between rounds does not move.

        Args:
            framework: The one above the line.
            to: The one below it.
        """
        above, below = self.samples.get(framework), self.samples.get(to)
        if not above or not below or not all(below):
            return None
        return median(one / other for one, other in zip(above, below, strict=True))


@dataclass(slots=True)
class Results:
    """One run.

    Attributes:
        environment: The machine and the versions.
        frameworks: Those that took part.
        measured: The figures.
        notes: What is missing, and why.
    """

    environment: dict[str, Any]
    frameworks: list[str]
    measured: list[Measured] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def find(self, group: str, name: str) -> Measured | None:
        """One cell, if it was measured."""
        return next((one for one in self.measured if (one.group, one.name) == (group, name)), None)

    def to_json(self) -> str:
        """Everything, with the summaries; one line for each cell."""
        about = {"environment": self.environment, "frameworks": self.frameworks, "notes": self.notes}
        cells = ",\n".join(json.dumps(self._cell(one)) for one in self.measured)
        return f'{json.dumps(about, indent=1)[:-2]},\n "measured": [\n{cells}\n]}}\n'

    def _cell(self, one: Measured) -> dict[str, Any]:
        summaries = {name: asdict(found) for name in self.frameworks if (found := one.summary(name))}
        return {**asdict(one), "summaries": summaries}

    @classmethod
    def from_json(cls, text: str) -> Results:
        """A run that was written with `to_json()`."""
        stored = json.loads(text)
        measured = [
            Measured(cell["group"], cell["name"], cell["title"], cell["unit"], cell["samples"])
            for cell in stored["measured"]
        ]
        return cls(stored["environment"], stored["frameworks"], measured, stored["notes"])
