"""Every Python block of the README and of `docs/*.md` runs, and prints what the page says it prints.

The blocks of a page share a namespace, so a page reads from top to bottom as one program. Two comments mean something,
each on a line of its own just above a block:

    <!-- output -->              what follows, a `text` block, is what the Python block before it printed
    <!-- test: skip REASON -->   what follows can't run here

`python -m tests.test_docs` writes all outputs anew; read the difference before you commit it.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType

import pytest

from tests.frameworks import HAS_FASTAPI

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:^<!-- (?P<comment>[^\n]+) -->\n+)?^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$",
    flags=re.MULTILINE | re.DOTALL,
)
IMPORTS_FASTAPI = re.compile(r"^(?:from|import) fastapi\b", flags=re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)(?P<file>[^)#]*)(?:#(?P<anchor>[^)]+))?\)")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@contextmanager
def findable(module: ModuleType) -> Iterator[None]:
    """A module that is imported already. What it imports stays imported: pydantic bears no second time."""
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        del sys.modules[module.__name__]


def outputs(page: Path) -> Iterator[tuple[re.Match[str] | None, str]]:
    """Run a page: each block that shows an output, and what was printed. No block: an output that is not shown."""
    module = ModuleType(page.stem.replace("-", "_"))
    printed = ""
    # A class looks for its annotations' names in its module.
    with findable(module):
        source = page.read_text()
        for block in BLOCK.finditer(source):
            comment = block["comment"] or ""
            if comment == "output":
                yield block, printed
                printed = ""
            elif block["language"] == "python" and not comment.startswith("test: skip"):
                if printed:
                    yield None, printed
                printed = run(block["text"], source.count("\n", 0, block.start("text")), page, module)
    if printed:
        yield None, printed


def run(text: str, line: int, page: Path, module: ModuleType) -> str:
    """Run a block as a part of a module, and return what it printed."""
    # Blank lines in front, so that a traceback shows the line of the page.
    code = compile("\n" * line + text, str(page), "exec", dont_inherit=True)
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(code, module.__dict__)  # noqa: S102  # running the page is the test
    return printed.getvalue()


@each_page
def test_a_page_runs_and_prints_what_it_says(page: Path) -> None:
    if not HAS_FASTAPI and IMPORTS_FASTAPI.search(page.read_text()):
        pytest.skip("FastAPI is not installed")
    for block, printed in outputs(page):
        assert block is not None, f"not shown: {printed}"
        assert block["text"].rstrip() == printed.rstrip()


@each_page
def test_the_comments_of_a_page_are_known_ones(page: Path) -> None:
    comments = [block["comment"] for block in BLOCK.finditer(page.read_text()) if block["comment"]]

    assert [comment for comment in comments if not re.fullmatch(r"output|test: skip .{10,}", comment)] == []


@each_page
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in LINK.finditer(page.read_text()):
        target = page.parent / link["file"] if link["file"] else page
        assert target.exists(), link[0]
        assert not link["anchor"] or link["anchor"] in anchors(target), link[0]


def anchors(page: Path) -> list[str]:
    """The names that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def rewrite(page: Path) -> None:
    """Put into a page what its blocks print."""
    shown = [(block, printed) for block, printed in outputs(page) if block is not None]
    source = page.read_text()
    for block, printed in reversed(shown):
        source = source[: block.start("text")] + printed.rstrip() + "\n" + source[block.end("text") :]
    page.write_text(source)


if __name__ == "__main__":
    for name in PAGES:
        rewrite(name)
