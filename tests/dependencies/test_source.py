"""Text with the right indentation, and names that are names."""

from __future__ import annotations

import ast
import builtins
import enum
import keyword
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsroute.dependencies.source import Names, SourceWriter, quoted


def test_blocks_are_indented() -> None:
    writer = SourceWriter()
    with writer.block("def f():"):
        with writer.block("if x:"):
            writer.line("y()")
        writer.line("z()")
    writer.line("f()")

    assert writer.text() == "def f():\n    if x:\n        y()\n    z()\nf()\n"


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("user", "user"),
        ("get user!", "get_user"),
        ("<lambda>", "lambda_2"),
        ("1st", "_1st"),
        ("größe", "größe"),
        ("class", "class_2"),
        ("match", "match_2"),
        ("list", "list_2"),
        ("__init__", "init"),
        ("___", "value"),
        ("", "value"),
        ("x²", "x2"),
        ("𐄇", "__"),
        ("ﬁle", "file"),
    ],
)
def test_a_name_is_as_close_to_what_is_wanted_as_it_can_be(wanted: str, name: str) -> None:
    assert Names().take(wanted) == name


def test_a_name_is_handed_out_once() -> None:
    names = Names(["session"])

    assert [names.take(wanted) for wanted in ("user", "user", "user_2", "session", "ﬁ", "fi")] == [
        "user",
        "user_2",
        "user_2_2",
        "session_2",
        "fi",
        "fi_2",
    ]


@settings(derandomize=True, database=None, deadline=None)
@given(wanted=st.lists(st.text("ab1_ <²ﬁé𐄇", max_size=4), max_size=6))
def test_whatever_is_wanted_becomes_different_identifiers(wanted: list[str]) -> None:
    names = Names()
    found = [names.take(name) for name in wanted]

    assert all(name.isidentifier() for name in found)
    assert not {*keyword.kwlist, *vars(builtins)}.intersection(found)
    # Python compares identifiers in this form.
    assert len({unicodedata.normalize("NFKC", name) for name in found}) == len(wanted)


class Scope(enum.StrEnum):
    """What `repr()` shows of such a string is no literal."""

    READ = 'it\'s "read"\n'


@pytest.mark.parametrize("text", ["", "plain", 'it\'s "quoted"\\\n', "\ud800", Scope.READ])
def test_a_literal_evaluates_to_the_text(text: str) -> None:
    assert ast.literal_eval(quoted(text)) == text
