"""What generated code calls that is no business of injection: the connection, and the messages on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from wsroute.dependencies.speech import Speech


class Runtime(NamedTuple):
    """What generated code calls that belongs to the connection, not to injection.

    Attributes:
        request_view: `(websocket, cls)`: the handshake as an HTTP request.
        handshake_response: `(websocket)`: the response whose headers go out with the accept or the refusal.
        finish: `(websocket)`: the normal end of a connection.
        run_background: `(tasks)`: runs background tasks, shielded from cancellation.
        speech: What a conversation is held with; none for endpoints.
    """

    request_view: Callable[..., Any]
    handshake_response: Callable[..., Any]
    finish: Callable[..., Awaitable[None]]
    run_background: Callable[..., Awaitable[None]]
    speech: Speech | None = None
