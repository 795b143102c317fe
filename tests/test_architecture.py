"""The house: imports go down only, and what is dangerous or foreign lives in one place."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "wsroute"
#: From the ground up; a module imports from its own floor and from those below.
FLOORS = [
    "exceptions",
    "params",
    "param_functions",
    "dependencies",
    "wire",
    "security",
    "messages",
    "routing",
    "testing",
    "roof",
]

#: Who may know pydantic: what asks about types, and what makes values of them.
KNOW_PYDANTIC = {
    *(f"wsroute.dependencies.{name}" for name in ("annotations", "defaults", "fallbacks", "fields", "lookups")),
    *(f"wsroute.dependencies.{name}" for name in ("messages", "metadata")),
    *(f"wsroute.messages.{name}" for name in ("adapters", "codec", "invalid", "tags")),
    "wsroute.testing.models",
}
#: What only those who test need, and so nobody imports who does not.
OF_TESTS = {"httpx", "pytest", "trio", "uvicorn"}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
every_module = pytest.mark.parametrize("module", MODULES)


def imports(module: str) -> Iterator[tuple[str, str | None]]:
    """What a module imports, anywhere in it: the module, and the name out of it."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield from ((node.module or "", alias.name) for alias in node.names)


def own_imports(module: str) -> set[str]:
    """The modules of the package that a module imports; `from package import module` is one of that module."""
    found = set()
    for source, name in imports(module):
        if source.partition(".")[0] == "wsroute":
            found.add(f"{source}.{name}" if f"{source}.{name}" in MODULES else source)
    return found


def floor(module: str) -> int:
    parts = module.split(".")
    return FLOORS.index(parts[1] if len(parts) > 1 else "roof")


@every_module
def test_a_module_imports_only_from_its_floor_and_below(module: str) -> None:
    assert [other for other in own_imports(module) if floor(other) > floor(module)] == []


@every_module
def test_no_module_imports_the_roof(module: str) -> None:
    assert "wsroute" not in own_imports(module)


@every_module
def test_security_is_loaded_by_those_alone_who_import_it(module: str) -> None:
    assert [other for other in own_imports(module) if ".security" in other] == [] or ".security" in module


def test_no_imports_go_round_in_a_circle() -> None:
    try:
        TopologicalSorter({module: own_imports(module) for module in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@every_module
def test_only_the_compiler_executes_text(module: str) -> None:
    called = {
        node.func.id
        for node in ast.walk(MODULES[module])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    executes = called & {"exec", "eval", "compile", "__import__"}
    assert executes == ({"exec", "compile"} if module == "wsroute.dependencies.compiler" else set())


@every_module
def test_pydantic_is_known_to_few(module: str) -> None:
    used = {name for source, name in imports(module) if source.partition(".")[0] in ("pydantic", "pydantic_core")}
    if module == "wsroute.dependencies.step_writer":
        # What generated code catches.
        assert used == {"ValidationError"}
    else:
        assert not used or module in KNOW_PYDANTIC


@every_module
def test_nothing_private_of_others_is_imported(module: str) -> None:
    foreign = [(source, name) for source, name in imports(module) if source.partition(".")[0] != "wsroute"]
    private = [
        (source, name)
        for source, name in foreign
        if source != "__future__" and any(part.startswith("_") for part in [*source.split("."), name or ""])
    ]
    # What anyio does not tell in public, read with care: tests/dependencies/test_shields.py has it in all variations.
    known = [("anyio._backends._asyncio", "_task_states")]
    assert private == (known if module == "wsroute.dependencies.shields" else [])


@every_module
def test_fastapi_is_not_imported(module: str) -> None:
    assert [source for source, _ in imports(module) if source.partition(".")[0] == "fastapi"] == []


@every_module
def test_what_tests_need_is_imported_by_the_kit_alone_and_late(module: str) -> None:
    foreign = {source.partition(".")[0] for source, _ in imports(module)} & OF_TESTS
    assert not foreign or module.startswith("wsroute.testing.")
    # pytest is there where a plugin of it is loaded; the others may not be installed.
    early = {source.partition(".")[0] for source in imported_at_once(MODULES[module])} & OF_TESTS
    assert early == ({"pytest"} if module == "wsroute.testing.plugin" else set())


def imported_at_once(tree: ast.Module) -> Iterator[str]:
    """The modules that are imported when a module is, and not only for a type checker, or in a function."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_importing_the_package_does_not_import_the_kit() -> None:
    code = "import sys, wsroute; print(*[name for name in sys.modules if name.startswith('wsroute.testing')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=20)
    assert done.stdout.strip() == ""


@every_module
def test_no_mistake_of_a_user_is_an_assert(module: str) -> None:
    assert [node.lineno for node in ast.walk(MODULES[module]) if isinstance(node, ast.Assert)] == []
