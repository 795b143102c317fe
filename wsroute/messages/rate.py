"""How many messages may come in a time."""

from __future__ import annotations

import math

from anyio import current_time

from wsroute.messages.invalid import error_frame

RATE_LIMITED = "rate_limited"


class Bucket:
    """A token bucket: it is full at first, each message takes a token, and tokens come back over time.

    Args:
        messages: How many tokens it holds.
        seconds: In which time so many come back.
    """

    def __init__(self, messages: float, seconds: float) -> None:
        self._most = self._tokens = messages
        self._each = seconds / messages
        self._text = f"At most {messages:g} message{'' if messages == 1 else 's'} in {seconds:g} s"
        self._filled = current_time()
        #: Whether the last message found no token.
        self.is_overdrawn = False

    def take(self) -> bool:
        """Whether there is a token for a message that comes now."""
        now = current_time()
        self._tokens = min(self._most, self._tokens + (now - self._filled) / self._each)
        self._filled = now
        self.is_overdrawn = self._tokens < 1
        if not self.is_overdrawn:
            self._tokens -= 1
        return not self.is_overdrawn

    def frame(self) -> str:
        """The error frame for a message that found no token."""
        return error_frame(RATE_LIMITED, [{"loc": [], "msg": self._text, "type": RATE_LIMITED}])


def bucket_of(max_rate: tuple[float, float] | None) -> Bucket | None:
    """The bucket of a connection; nothing where there is no limit.

    Args:
        max_rate: The option.
    """
    return None if max_rate is None or max_rate[0] == math.inf else Bucket(*max_rate)
