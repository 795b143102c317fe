"""What a test of a socket is told: how the connection ended, or why the test cannot go on.

    WsRouteError
    └── SocketTestError            every error of the kit; an AssertionError, so that test runners show a failure
        ├── HandshakeRefused       the handshake was answered with an HTTP response
        ├── ConnectionClosed       the connection had ended when a message was wanted, or when one was to be sent
        ├── DeadlinePassed         something did not happen in time
        ├── UnexpectedMessage      something else happened
        ├── LeftBehind             the connection has left tasks, dependencies or unread messages behind
        ├── LifespanFailed         the application did not start, or did not stop
        └── UnusedOverride         an override that replaced nothing

`IllegalMessage` is what the application gets, as from a server, when it sends what may not be sent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wsroute.exceptions import WsRouteError

if TYPE_CHECKING:
    import httpx


class SocketTestError(WsRouteError, AssertionError):
    """Base class of all errors of the kit.

    Args:
        problem: What happened, in one line.
        details: What is known besides: where the application waits, the transcript.
    """

    def __init__(self, problem: str, *details: str) -> None:
        super().__init__(problem, *details)
        self.problem = problem
        self.details = details

    def __str__(self) -> str:
        return "\n".join((self.problem, *(indented(detail) for detail in self.details)))


class HandshakeRefused(SocketTestError):
    """The handshake was answered with an HTTP response, which is all that a client sees of a refusal.

    Attributes:
        status_code: The HTTP status.
        content: The body.
    """

    def __init__(
        self, status_code: int, raw_headers: Sequence[tuple[bytes, bytes]], content: bytes, *details: str
    ) -> None:
        super().__init__(f"the handshake was refused with HTTP {status_code} {_shortened(content)}".rstrip(), *details)
        self.status_code = status_code
        self.content = content
        self._raw_headers = raw_headers

    @cached_property
    def headers(self) -> httpx.Headers:
        """The headers of the response."""
        import httpx

        return httpx.Headers(list(self._raw_headers))

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.content)


class ConnectionClosed(SocketTestError):
    """The connection had ended when something else was wanted of it.

    Attributes:
        code: The close code; 1006 if the connection ended without a close frame.
        reason: The close reason.
    """

    def __init__(self, problem: str, code: int, reason: str, *details: str) -> None:
        super().__init__(problem, *details)
        self.code = code
        self.reason = reason


class DeadlinePassed(SocketTestError):
    """Something did not happen in time; the message shows where the application waits."""


class UnexpectedMessage(SocketTestError):
    """Something else happened than what the test expects."""


class LeftBehind(SocketTestError):
    """The connection has left something behind: tasks, open dependencies, or messages that nobody has read."""


class LifespanFailed(SocketTestError):
    """The application said that its startup or its shutdown failed, and raised nothing."""


class UnusedOverride(SocketTestError):
    """An override that replaced nothing while it was active."""


class IllegalMessage(WsRouteError, RuntimeError):
    """The application sent what no server sends on; a server would end the connection as the kit does, with 1006."""


def says_it_all(excinfo: Any) -> bool:
    """Whether the line of the test and the message say what has happened, for pytest, which then leaves the kit's out.

    It is what the modules of the kit have as `__tracebackhide__`.

    Args:
        excinfo: How the test ended, a `pytest.ExceptionInfo`.
    """
    return isinstance(excinfo.value, SocketTestError)


def indented(text: str) -> str:
    """A text, two spaces further in."""
    return "\n".join(f"  {line}" for line in text.splitlines())


def _shortened(content: bytes, limit: int = 200) -> str:
    text = content.decode("utf-8", "replace")
    return text if len(text) <= limit else f"{text[:limit]}..."
