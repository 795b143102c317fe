"""How a connection ends: what each outcome of an endpoint tells the client, before and after the accept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException, WebSocketException
from starlette.websockets import WebSocketDisconnect

from wsroute.exceptions import (
    SwallowedExceptionError,
    WebSocketPayloadValidationError,
    WebSocketRequestValidationError,
)
from wsroute.wire.frames import sendable_code, sendable_status
from wsroute.wire.handshake import status_phrase
from wsroute.wire.socket import StateError

#: How many validation errors a refusal lists: a client that sends thousands of bad values need not read of each.
MAX_ERRORS = 100
_TEXTS_WITHOUT_INPUT = {
    "byte_size_unit": "Input should end with a unit of bytes",
    "bytes_invalid_encoding": "Input should be validly encoded",
    "import_error": "Input should name something that can be imported",
    "union_tag_invalid": "Input should have one of the expected tags",
    "uuid_parsing": "Input should be a valid UUID",
    "zoneinfo_str": "Input should be a valid time zone",
}

NORMAL_CLOSURE = 1000
POLICY_VIOLATION = 1008
MESSAGE_TOO_BIG = 1009
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013


class Ending(NamedTuple):
    """What the client is told.

    Attributes:
        status: The HTTP status of a refusal, before the accept.
        content: The JSON body of a refusal.
        code: The close code, after the accept or where no HTTP response can be sent.
        reason: The close reason.
        headers: Further headers of a refusal.
    """

    status: int
    content: Mapping[str, Any]
    code: int
    reason: str
    headers: Mapping[str, str] | None = None


#: The endpoint returned without an accept.
REFUSED = Ending(403, {"detail": "Forbidden"}, POLICY_VIOLATION, "Forbidden")
#: A bug; what went wrong is for the server's log alone.
FAILED = Ending(500, {"detail": "Internal Server Error"}, INTERNAL_ERROR, "Internal Server Error")
#: The server stops, or whatever else cancels connections.
GOING_AWAY = Ending(503, {"detail": "Service Unavailable"}, 1001, "")


class Unavailable(HTTPException):
    """The server takes no connection now, and may take one later.

    Args:
        detail: Why.
        code: The close code where no HTTP response can be sent: 1012 or 1013 (IANA, "WebSocket Close Code Number").
        retry_after: The seconds after which it may.
    """

    def __init__(self, detail: str, *, code: int, retry_after: float) -> None:
        super().__init__(503, detail, {"Retry-After": str(math.ceil(retry_after))})
        self.code = code


def restarting() -> Unavailable:
    """What refuses connections while the server stops: another one may be there at once."""
    return Unavailable("Service restart", code=SERVICE_RESTART, retry_after=1)


def ending_of(exc: Exception) -> Ending:
    """What an exception tells the client; `FAILED` itself for one that is a bug."""
    if isinstance(exc, WebSocketRequestValidationError):
        detail = [_public(error) for error in exc.errors()[:MAX_ERRORS]]
        return Ending(422, {"detail": detail}, POLICY_VIOLATION, "Invalid handshake parameters")
    if isinstance(exc, WebSocketPayloadValidationError):
        return Ending(422, {"detail": exc.detail}, exc.close_code, "Invalid message")
    if isinstance(exc, HTTPException):
        return _of_http(exc)
    if isinstance(exc, WebSocketException):
        code = sendable_code(exc.code)
        return Ending(403, {"code": code, "reason": exc.reason}, code, exc.reason)
    return FAILED


def _public(error: Mapping[str, Any]) -> dict[str, Any]:
    """What a client is told of one validation error.

    The input and the context stay on the server: they are what the client sent, or internal. So do the few texts of
    pydantic that repeat some of the input.
    """
    kind: str = error["type"]
    text = _TEXTS_WITHOUT_INPUT.get(kind, error["msg"])
    if kind == "value_error" and "reason" in error.get("ctx", {}):
        text = "Input should be a valid email address"  # the one value_error that is not the application's own
    return {"type": kind, "loc": error["loc"], "msg": text}


def _of_http(exc: HTTPException) -> Ending:
    status = sendable_status(exc.status_code)
    if isinstance(exc, Unavailable):
        code = exc.code
    else:
        code = INTERNAL_ERROR if status >= 500 else POLICY_VIOLATION
    reason = exc.detail if isinstance(exc.detail, str) else status_phrase(status)
    return Ending(status, {"detail": exc.detail}, code, reason, exc.headers)


#: How a connection ends while the server stops.
RESTART = ending_of(restarting())


def essence(exc: Exception, *, ended: bool) -> Exception:
    """What a group of exceptions comes to: its one leaf, or one for all where each only says that the peer left.

    Tasks that serve one connection all see its end, so that a group of nothing else is no bug.

    Args:
        exc: Any exception.
        ended: Whether the connection has ended.
    """
    leaves = list(_leaves(exc))
    if len(leaves) == 1 or all(is_departure(leaf, ended=ended) for leaf in leaves):
        return leaves[0]
    return exc


def is_departure(exc: Exception, *, ended: bool) -> bool:
    """Whether an exception only says that the connection has ended.

    Using a WebSocket after its end is no more than that: who serves one can't always know that it has ended. Nor is it
    a mistake to swallow an exception that says no more.
    """
    if isinstance(exc, SwallowedExceptionError) and isinstance(exc.__cause__, Exception):
        exc = exc.__cause__
    return isinstance(exc, WebSocketDisconnect) or (ended and isinstance(exc, StateError))


def _leaves(exc: Exception) -> Iterator[Exception]:
    if isinstance(exc, ExceptionGroup):
        for inner in exc.exceptions:
            yield from _leaves(inner)
    else:
        yield exc
