"""Modules whose annotations are evaluated elsewhere: the names in them are theirs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import dedent
from types import ModuleType


@contextmanager
def module_of(source: str, name: str = "made") -> Iterator[ModuleType]:
    """A module that is made of a text, for what no type checker, or no older Python, accepts in a file.

    Args:
        source: The text; it may be indented.
        name: The name of the module.
    """
    module = ModuleType(name)
    # Classes look for the names of their annotations in their module.
    sys.modules[name] = module
    try:
        exec(compile(dedent(source), f"<{name}>", "exec", dont_inherit=True), module.__dict__)  # noqa: S102  # the point
        yield module
    finally:
        del sys.modules[name]
