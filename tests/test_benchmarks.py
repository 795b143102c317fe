"""The benchmarks measure what they say, and the documentation shows what was measured. Nothing is timed here."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.benchmarks import adapters, kit
from tests.benchmarks.__main__ import OUT
from tests.benchmarks.cells import Cell, WrongAnswer, all_cells, check
from tests.benchmarks.chart import chart
from tests.benchmarks.client import Lifespan
from tests.benchmarks.page import PAGE, fill
from tests.benchmarks.report import markdown
from tests.benchmarks.results import Measured, Results
from tests.benchmarks.targets import Target, targets
from tests.benchmarks.typed.frames import SAY, said

# Larger tables only take longer.
CELLS = {
    f"{cell.group} {cell.name}": cell for cell in all_cells() if not cell.key.startswith(("table 1000", "table 5"))
}
STORED = Results.from_json((OUT / "results.json").read_text())


async def pass_gate(framework: str, cell: Cell) -> bool:
    """Check an application; false, if the framework has none for this cell."""
    app = cell.build(adapters.load(framework))
    if app is None:
        return False
    async with Lifespan(app) as life:
        await check(cell, life)
    return True


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("framework", ["starlette", "wsroute"])
def test_an_adapter_does_what_is_measured(framework: str, name: str) -> None:
    assert asyncio.run(pass_gate(framework, CELLS[name]))


@pytest.mark.parametrize("name", [name for name in CELLS if name != "message iter_text"])
def test_bare_asgi_does_what_is_measured(name: str) -> None:
    assert asyncio.run(pass_gate("raw", CELLS[name]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"values": " 41 tea secret"}, "the replies"),
        ({"made": ("settings",)}, "what was made"),
        ({"opened": ("transaction", "session")}, "what was opened"),
        ({"values": None}, "accepted"),
        ({"refused": CELLS["connect d"].handshake}, "a bad handshake was accepted"),
    ],
)
def test_the_gate_is_closed_for_an_application_that_does_something_else(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(WrongAnswer, match=message):
        asyncio.run(pass_gate("wsroute", replace(CELLS["connect d"], **wrong)))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"replies": (said("somebody"),)}, "the replies"),
        ({"each": ("+session", "-session", "reply", "commit")}, "what was done for the messages"),
        ({"each": ()}, "what was made"),
        ({"wrong": SAY}, "a bad message was answered"),
    ],
)
def test_the_gate_looks_at_each_message(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(WrongAnswer, match=message):
        asyncio.run(pass_gate("wsroute", replace(CELLS["message typed-generator"], **wrong)))  # type: ignore[arg-type]  # by name


def test_a_test_with_the_kit_and_one_by_hand_do_the_same() -> None:
    found = asyncio.run(kit.samples(rounds=2, count=3))
    assert {name: len(figures) for name, figures in found.items()} == {"raw": 2, "wsroute": 2}


def test_a_promise_about_the_kit_is_held_against_the_call_by_hand() -> None:
    cell = Measured("testing", "echo", "", "µs", {"raw": [10.0, 10.0], "wsroute": [15.0, 15.0]})
    [target] = targets(Results({}, ["raw", "wsroute"], [cell], []))
    assert (target.found, target.bound, target.holds) == (1.5, 2.0, True)


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    # The machine is ten times slower in the last round.
    measured = Measured("connect", "a", "", "µs", {"starlette": [2.0, 4.0, 40.0], "wsroute": [1.0, 3.0, 20.0]})

    assert measured.ratio("wsroute") == 0.5
    assert measured.ratio("litestar") is None


@pytest.mark.parametrize(("found", "at_least", "holds"), [(2.0, True, True), (2.0, False, False), (0.5, False, True)])
def test_a_promise_has_a_direction(found: float, at_least: bool, holds: bool) -> None:
    assert Target("", found, bound=1.0, at_least=at_least).holds is holds


def test_a_complete_run_covers_every_promise() -> None:
    assert len(list(targets(STORED))) == 24


def test_the_stored_results_are_those_of_the_documentation() -> None:
    assert (OUT / "results.md").read_text() == f"# Benchmark results\n\n{markdown(STORED)}"
    assert (OUT / "chart.svg").read_text() == chart(STORED)
    assert PAGE.read_text() == fill(PAGE.read_text(), STORED)
