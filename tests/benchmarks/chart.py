"""Results as a picture: bars to the left of hand-written Starlette are cheaper, those to the right cost more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import log2

from tests.benchmarks.adapters import NAMES
from tests.benchmarks.results import Measured, Results

#: What is shown, from the top down: group and name of the cell, and what it is called.
ROWS = (
    ("connect", "a", "Connection, nothing injected"),
    ("connect", "b", "4 parameters"),
    ("connect", "c", "4 parameters, 5 dependencies"),
    ("connect", "d", "the same, and 2 with clean-up"),
    ("connect", "g", "5 dependencies, a full diamond"),
    ("connect", "f", "5 dependencies, one overridden"),
    ("connect", "e", "3 sync dependencies, in threads"),
    ("connect", "e-inline", "3 sync dependencies, in place"),
    ("route", "1000 last", "Last of 1000 routes"),
    ("message", "iter_text", "Text message and echo"),
    ("message", "typed", "Typed message and reply"),
    ("message", "typed-two", "the same, and 2 dependencies"),
    ("message", "typed-generator", "the same, and 1 with clean-up"),
    ("memory", "c open", "Memory of an open connection"),
    ("server", "connection", "Connection on uvicorn"),
    ("server", "message", "Message on uvicorn"),
)
COLOURS = {"wsroute": "#0f766e", "fastapi": "#d97706", "litestar": "#7c3aed"}

#: FIGURE is the room for the text at the end of a bar.
WIDTH, LABELS, MARGIN, FIGURE = 960, 250, 24, 40
TOP, BAR, GAP = 96, 12, 14
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


@dataclass(frozen=True, slots=True)
class Scale:
    """From ratios to horizontal positions; each doubling takes the same space."""

    low: float
    high: float

    def x(self, ratio: float) -> float:
        """The position of a ratio."""
        left, right = LABELS + MARGIN + FIGURE, WIDTH - MARGIN - FIGURE
        share = (log2(ratio) - log2(self.low)) / (log2(self.high) - log2(self.low))
        return left + share * (right - left)

    def ticks(self) -> list[float]:
        """Every doubling."""
        return [2.0**power for power in range(round(log2(self.low)), round(log2(self.high)) + 1)]


def chart(results: Results) -> str:
    """The picture, as SVG."""
    frameworks = [name for name in COLOURS if name in results.frameworks]
    rows = [(label, cell) for group, name, label in ROWS if (cell := results.find(group, name)) is not None]
    found = [ratio for _, cell in rows for name in frameworks if (ratio := cell.ratio(name))]
    scale = Scale(*_bounds(found))
    row_height = len(frameworks) * BAR + GAP
    bottom = TOP + len(rows) * row_height
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 52}" font-family="{FONT}" '
            'font-size="13" fill="#1f2937" role="img">',
            "<title>What wsroute, FastAPI and Litestar cost, compared with Starlette by hand</title>",
            f'<rect width="{WIDTH}" height="{bottom + 52}" rx="8" fill="#ffffff"/>',
            *_heading(frameworks),
            *_grid(scale, bottom),
            *(
                line
                for number, (label, cell) in enumerate(rows)
                for line in _row(label, cell, frameworks, scale, TOP + number * row_height)
            ),
            *_baseline(scale, bottom),
            "</svg>",
            "",
        ]
    )


def _bounds(ratios: Sequence[float]) -> tuple[float, float]:
    """Powers of two around all ratios, and around 1; what costs less than a quarter is cut there."""
    low, high = 0.25, 2.0
    while high < max(ratios, default=1):
        high *= 2
    return low, high


def _heading(frameworks: Sequence[str]) -> Iterator[str]:
    yield f'<text x="{MARGIN}" y="36" font-size="17" font-weight="600">Cost, compared with Starlette by hand</text>'
    x = MARGIN
    for name in frameworks:
        yield f'<rect x="{x}" y="52" width="12" height="12" rx="2" fill="{COLOURS[name]}"/>'
        yield f'<text x="{x + 18}" y="63">{escape(NAMES[name])}</text>'
        x += 96


def _grid(scale: Scale, bottom: int) -> Iterator[str]:
    for tick in scale.ticks():
        x = scale.x(tick)
        yield f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}" stroke="#e5e7eb"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle" fill="#6b7280">{_tick(tick)}</text>'


def _tick(tick: float) -> str:
    return f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}"


def _row(label: str, cell: Measured, frameworks: Sequence[str], scale: Scale, y: int) -> Iterator[str]:
    middle = y + len(frameworks) * BAR / 2 + 4
    yield f'<text x="{LABELS + MARGIN - 12}" y="{middle:.0f}" text-anchor="end">{escape(label)}</text>'
    one = scale.x(1)
    for number, name in enumerate(frameworks):
        ratio = cell.ratio(name)
        top = y + number * BAR
        if ratio is None:
            continue
        end = scale.x(max(ratio, scale.low))
        left, width = min(one, end), abs(end - one)
        yield (
            f'<rect x="{left:.1f}" y="{top + 1}" width="{max(width, 1):.1f}" height="{BAR - 2}" rx="1.5" '
            f'fill="{COLOURS[name]}"/>'
        )
        anchor, x = ("start", end + 5) if end >= one else ("end", end - 5)
        shown = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
        yield (
            f'<text x="{x:.1f}" y="{top + BAR - 2}" font-size="11" text-anchor="{anchor}" fill="#374151">{shown}</text>'
        )


def _baseline(scale: Scale, bottom: int) -> Iterator[str]:
    x = scale.x(1)
    yield f'<line x1="{x:.1f}" y1="{TOP - 12}" x2="{x:.1f}" y2="{bottom}" stroke="#111827" stroke-width="1.5"/>'
    yield f'<text x="{x - 8:.1f}" y="{TOP - 16}" text-anchor="end" fill="#6b7280">&#8592; costs less</text>'
    yield f'<text x="{x + 8:.1f}" y="{TOP - 16}" fill="#6b7280">costs more &#8594;</text>'
    yield (
        f'<text x="{MARGIN}" y="{bottom + 40}" font-size="11" fill="#6b7280">'
        "Medians of the ratios of each round. The scale doubles with each step, and bars are cut at its end.</text>"
    )
