"""What the README and `pyproject.toml` promise is what `.ci/run` does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.frameworks import WITHOUT_FASTAPI

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
REQUIREMENTS: list[str] = PROJECT["dependencies"] + [line for extra in EXTRAS.values() for line in extra]



def one_line_commands() -> list[str]:
    """The lines of the README that start with a new virtual environment."""
    return re.findall(r"^python3 -m venv .+$", (ROOT / "README.md").read_text(), flags=re.MULTILINE)


def test_the_readme_has_two_one_line_commands() -> None:
    assert len(one_line_commands()) == 2


@pytest.mark.parametrize("command", one_line_commands())
def test_ci_runs_the_readmes_command_as_it_stands(command: str) -> None:
    assert command in (ROOT / ".ci/run").read_text().splitlines()


@pytest.mark.parametrize("example", sorted(path.parent.name for path in ROOT.glob("docs/examples/*/__main__.py")))
def test_ci_checks_each_example_with_the_extra_that_it_says_it_needs(example: str) -> None:
    [extra] = re.findall(r"`\.\[(\w+)\]`", (ROOT / "docs/examples" / example / "__init__.py").read_text())
    install = f".venv/bin/pip install -q '.[{extra}]' && .venv/bin/python"

    assert extra in EXTRAS.keys() - {"dev"}
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert f"python3 -m venv .venv && {install} -m docs.examples.{example} --check" in lines


def test_ci_runs_the_tests_without_fastapi_as_well() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()

    without = lines.index(".venv/bin/pip uninstall -q -y fastapi")
    assert lines[without + 1] == f"export {WITHOUT_FASTAPI}=1"
    assert lines[without + 2].startswith(".venv/bin/python -m pytest -q")


def test_the_lowest_versions_are_the_bounds_of_the_project() -> None:
    bounds = dict(re.findall(r"^([\w-]+)(?:\[\w+\])?>=([\d.]+)$", "\n".join(REQUIREMENTS), flags=re.MULTILINE))
    lowest = dict(re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / "tests/lowest.txt").read_text(), flags=re.MULTILINE))

    unbounded = [line for line in REQUIREMENTS if ">=" not in line and not line.startswith("wsroute[")]
    assert unbounded == []
    assert bounds.keys() == lowest.keys()
    assert {name: release(version) for name, version in lowest.items()} == {
        name: release(version) for name, version in bounds.items()
    }


def release(version: str) -> tuple[int, ...]:
    """`4.4` and `4.4.0` are one version."""
    return tuple([int(part) for part in version.split(".")] + [0, 0])[:3]


@pytest.mark.parametrize("script", [".ci/run", "scripts/check"])
def test_a_script_is_executable_and_stops_at_the_first_failure(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    assert "\nset -euo pipefail\n" in path.read_text()
