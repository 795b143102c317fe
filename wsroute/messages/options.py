"""What a listener, and the levels above it, can say about messages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

OnInvalid: TypeAlias = Literal["error", "close"]


class MessageOptions(NamedTuple):
    """How a listener takes messages. All times are in seconds.

    Attributes:
        max_message_size: The bytes of a message, a text as UTF-8; a larger one ends the connection with 1009.
        first_message_timeout: How long the first message may take after the accept; else the end is 1008.
        idle_timeout: How long a listener waits for each further message; else the end is 1008. Also for the first one
            where `first_message_timeout` is not set.
        on_invalid: What an invalid message does: `"error"` sends an error frame, and the connection goes on; `"close"`
            closes it with 1007, or with 1003 if it was a frame of the wrong kind.
        max_invalid: After so many invalid messages in a row the connection is closed in any case.
        cancel_on_disconnect: Whether a handler is cancelled when the client leaves while it runs.
        read_ahead: How many messages are read while one is handled, to see whether the client leaves.
        max_rate: How many messages may come in how many seconds. One too many is answered with an error frame, and the
            next one, if it comes too soon as well, ends the connection with 1008. `(math.inf, 1)` is no limit.
    """

    max_message_size: float = 65_536
    first_message_timeout: float | None = None
    idle_timeout: float | None = None
    on_invalid: OnInvalid = "error"
    max_invalid: float = 10
    cancel_on_disconnect: bool = False
    read_ahead: int = 1
    max_rate: tuple[float, float] | None = None


#: Who says nothing about messages.
USUAL = MessageOptions()


def check_options(said: Mapping[str, Any]) -> None:
    """Check that options have values that they can have.

    Args:
        said: Options by name.

    Raises:
        ValueError: One has not; the message says which, and what it can be.
    """
    for name, value in said.items():
        if name == "on_invalid":
            fits, expected = value in get_args(OnInvalid), "'error' or 'close'"
        elif name == "cancel_on_disconnect":
            fits, expected = isinstance(value, bool), "True or False"
        elif name == "read_ahead":
            fits, expected = type(value) is int and value >= 1, "a whole number from 1"
        elif name == "max_rate":
            fits, expected = _is_rate(value), "a pair of a number of messages, from 1, and of seconds: (100, 60)"
        elif name.endswith("_timeout"):
            fits, expected = _is_number(value) and value > 0, "a number of seconds above 0; math.inf for no limit"
        else:
            fits, expected = _is_number(value) and value >= 1, "a number from 1; math.inf for no limit"
        if not fits:
            raise ValueError(f"{name}={value!r} cannot be. It is {expected}.")


def _is_rate(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 2 or not all(map(_is_number, value)):
        return False
    messages, seconds = value
    return bool(messages >= 1 and 0 < seconds < math.inf)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
