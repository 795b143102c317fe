"""Lists that people hand over, and may change afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wsroute.dependencies.callables import show
from wsroute.exceptions import InvalidParameterError, Location


def copied(items: Sequence[Any] | None, name: str, expected: str, location: Location) -> tuple[Any, ...]:
    """What an argument lists; nothing, if it was left out.

    Args:
        items: The list.
        name: What the argument is called.
        expected: What should be in it, for the error.
        location: The declaration.

    Raises:
        InvalidParameterError: It is no list.
    """
    if items is None:
        return ()
    if isinstance(items, Sequence) and not isinstance(items, str):
        return tuple(items)
    raise InvalidParameterError(
        location, problem=f"{name}= is {show(items)}", expected=expected, remedy="put it into a list"
    )
