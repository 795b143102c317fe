"""What may be sent: close codes and reasons, and the status and headers of the answer to a handshake.

Nothing here raises. What may not be sent is replaced by what may, and logged: it is a mistake of the
application, found at a moment when the connection still has to end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TypeAlias, TypeGuard

from starlette.types import Message

RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]

logger = logging.getLogger("wsroute")

#: RFC 6455, section 5.5: a control frame carries at most 125 bytes, and the code takes two of them.
REASON_BYTES = 123
INTERNAL_ERROR = 1011
#: Reserved, and never in a frame: RFC 6455, section 7.4.1.
_RESERVED_CODES = frozenset({1004, 1005, 1006})


def sendable(message: Message, injected: RawHeaders = ()) -> Message:
    """An ASGI message that ends or answers a handshake, as it may be sent; any other message as it is.

    Args:
        message: The message; it is not changed.
        injected: The headers of the connection's injected Response.
    """
    kind = message["type"]
    if kind == "websocket.close":
        return close_message(message.get("code", 1000), message.get("reason"))
    if kind not in ("websocket.accept", "websocket.http.response.start"):
        return message
    answer = {**message, "headers": merge_headers(message.get("headers") or (), injected)}
    if kind == "websocket.http.response.start":
        answer["status"] = sendable_status(message["status"])
    return answer


def close_message(code: object, reason: object) -> Message:
    """The ASGI message that closes."""
    return {"type": "websocket.close", "code": sendable_code(code), "reason": sendable_reason(reason)}


def is_sendable_code(code: object) -> TypeGuard[int]:
    """Whether an application may send a close code (RFC 6455, section 7.4)."""
    return isinstance(code, int) and (3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in _RESERVED_CODES))


def sendable_code(code: object) -> int:
    """The code of a close frame: the given one if an application may send it, else 1011 (RFC 6455, section 7.4)."""
    if is_sendable_code(code):
        return int(code)
    logger.error("close code %r may not be sent (RFC 6455, section 7.4): %d is sent instead", code, INTERNAL_ERROR)
    return INTERNAL_ERROR


def sendable_reason(reason: object) -> str:
    """The reason of a close frame: at most 123 bytes of UTF-8, cut between two characters (RFC 6455, section 5.5.1).

    Anything but a string is left out, since its `str()` may show what no client should see.
    """
    if not isinstance(reason, str):
        if reason is not None:
            logger.error("a close reason has to be a string, and %s is none: it is left out", type(reason).__name__)
        return ""
    if reason.isascii():
        return reason[:REASON_BYTES]
    return reason.encode("utf-8", "replace")[:REASON_BYTES].decode("utf-8", "ignore")


def sendable_status(status: object) -> int:
    """The HTTP status of a refusal: the given one from 300 to 599, else 500, since 101 and 2xx would be acceptances."""
    if isinstance(status, int) and 300 <= status <= 599:
        return int(status)
    logger.error("the HTTP status %r can't refuse a connection: 500 stands for it", status)
    return 500


def merge_headers(own: RawHeaders, injected: RawHeaders = ()) -> list[tuple[bytes, bytes]]:
    """The headers of an answer: every name once, its values joined; only `Set-Cookie` can't be (RFC 9110, 5.3).

    Args:
        own: The headers that the answer was made with.
        injected: The headers of the connection's injected Response. Where both have a name, the answer's own counts;
            what describes a body is the answer's alone.
    """
    cookies: list[tuple[bytes, bytes]] = []
    merged = _joined(injected, cookies)
    merged.pop(b"content-length", None)
    merged.pop(b"content-type", None)
    merged.update(_joined(own, cookies))
    return [*merged.items(), *cookies]


def _joined(headers: RawHeaders, cookies: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    joined: dict[bytes, bytes] = {}
    for raw_name, value in headers:
        name = raw_name.lower()
        if name == b"set-cookie":
            cookies.append((name, value))
        else:
            joined[name] = joined[name] + b", " + value if name in joined else value
    return joined
