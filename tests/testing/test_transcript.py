"""The transcript shows the last lines, and of each frame what fits into a line."""

from __future__ import annotations

import pytest

from wsroute.testing.transcript import LINES, WIDTH, Transcript, shown


def test_both_sides_are_shown_in_order() -> None:
    transcript = Transcript("/rooms")
    transcript.note("client", "sends", "")
    transcript.note("application", "sends", b"\x00")
    transcript.note("client", "vanishes")
    assert str(transcript) == (
        "transcript of /rooms\n  client      sends ''\n  application sends b'\\x00'\n  client      vanishes"
    )


def test_only_the_last_lines_are_kept() -> None:
    transcript = Transcript("/")
    for number in range(LINES + 2):
        transcript.note("client", "sends", str(number))
    lines = str(transcript).splitlines()
    assert lines[1:3] == ["  ... 2 lines before", "  client      sends '2'"]
    assert len(lines) == LINES + 2


@pytest.mark.parametrize("unit", ["x", b"x"])
def test_a_long_frame_is_cut(unit: str | bytes) -> None:
    assert shown(unit * WIDTH) == repr(unit * WIDTH)
    assert shown(unit * (WIDTH + 1)) == f"{unit * WIDTH!r}... ({WIDTH + 1} in all)"
