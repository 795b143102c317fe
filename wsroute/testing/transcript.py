"""What was said on a connection, by both sides, in order."""

from __future__ import annotations

from collections import deque
from typing import Literal

Side = Literal["client", "application"]

#: How many lines are kept; a test that fails needs the last ones.
LINES = 40
#: How much of a message is shown, in characters.
WIDTH = 100


class Transcript:
    """The last lines of what was said.

    Args:
        target: What the client asked for.
    """

    __slots__ = ("_count", "_lines", "target")

    def __init__(self, target: str) -> None:
        self.target = target
        self._count = 0
        self._lines: deque[tuple[Side, str, str | bytes | None]] = deque(maxlen=LINES)

    def note(self, side: Side, what: str, data: str | bytes | None = None) -> None:
        """Add a line.

        Args:
            side: Who did it.
            what: What was done.
            data: The data of a frame, of which as much is shown as fits.
        """
        self._count += 1
        self._lines.append((side, what, data))

    def __str__(self) -> str:
        lines = [f"transcript of {self.target}"]
        if self._count > len(self._lines):
            lines.append(f"  ... {self._count - len(self._lines)} lines before")
        for side, what, data in self._lines:
            lines.append(f"  {side:<12}{what}{'' if data is None else ' ' + shown(data)}")
        return "\n".join(lines)


def shown(data: str | bytes) -> str:
    """The data of a frame, as far as it fits into a line."""
    text = repr(data[:WIDTH])
    return text if len(data) <= WIDTH else f"{text}... ({len(data)} in all)"
