"""Writing Python text: lines with indentation, and identifiers that do not collide. Knows nothing of dependencies."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_NOT_IN_NAMES = re.compile(r"\W")
_NOT_IN_ASCII_NAMES = re.compile(r"\W", re.ASCII)


def quoted(text: str) -> str:
    """A literal of the text; `repr()` of an enum's member, which may be a `str`, would be something else."""
    return str.__repr__(text)


class SourceWriter:
    """Lines of Python with the right indentation."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0

    def line(self, text: str) -> None:
        """Add one line at the current depth."""
        self._lines.append(f"{'    ' * self._depth}{text}")

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """Add a line that opens a block, and indent what is written inside."""
        self.line(header)
        self._depth += 1
        yield
        self._depth -= 1

    def text(self) -> str:
        """Everything written so far."""
        return "\n".join(self._lines) + "\n"


class Names:
    """Hands out identifiers, each once.

    Args:
        reserved: Identifiers that are taken from the start; keywords and built-in names always are.
    """

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._taken = {*keyword.kwlist, *keyword.softkwlist, *vars(builtins), *reserved}

    def take(self, wanted: str) -> str:
        """`wanted`, made an identifier, with a number behind it if it is taken."""
        # Python normalizes identifiers (reference manual, section 2.3): what it takes for one name is one name here.
        base = _NOT_IN_NAMES.sub("_", unicodedata.normalize("NFKC", wanted)).strip("_") or "value"
        if not base.isidentifier():
            base = f"_{_NOT_IN_ASCII_NAMES.sub('_', base)}"
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name
