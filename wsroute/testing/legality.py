"""What an application may send on a socket, and when (ASGI specification, "WebSocket"; RFC 6455, section 7.4).

Nothing is repaired here. What a server would not send on, or what would make a client drop the connection, is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from wsroute.wire.frames import REASON_BYTES, is_sendable_code


class Phase(Enum):
    """How far an application has come with a connection; its value says so."""

    CONNECTING = "the handshake was answered"
    DENYING = "the body of the refusal was complete"
    OPEN = "the handshake was accepted"
    REFUSED = "the handshake was refused"
    CLOSED = "'websocket.close'"


_MAY_COME = {
    Phase.CONNECTING: ("websocket.accept", "websocket.close", "websocket.http.response.start"),
    Phase.DENYING: ("websocket.http.response.body",),
    Phase.OPEN: ("websocket.send", "websocket.close"),
    Phase.REFUSED: (),
    Phase.CLOSED: (),
}


def violation(message: Mapping[str, Any], phase: Phase, scope: Mapping[str, Any]) -> str | None:
    """What is wrong with a message of an application; None if nothing is.

    Args:
        message: The message.
        phase: What came before it.
        scope: The scope of the connection.
    """
    kind = message.get("type")
    if kind not in _MAY_COME[phase]:
        return _out_of_order(kind, phase)
    if kind == "websocket.http.response.start" and "websocket.http.response" not in (scope.get("extensions") or {}):
        return f"{kind!r} on a server without the extension 'websocket.http.response'; it takes 'websocket.close'"
    if kind == "websocket.send":
        return _of_frame(message)
    if kind == "websocket.close":
        return _of_close(message) if phase is Phase.OPEN else None
    if kind == "websocket.accept":
        return _of_subprotocol(message.get("subprotocol"), scope) or _of_headers(message)
    if kind == "websocket.http.response.start":
        return _of_status(message.get("status")) or _of_headers(message)
    if not isinstance(message.get("body", b""), bytes):
        return f"the body of a refusal as {type(message['body']).__name__}; it is bytes"
    return None


def _out_of_order(kind: object, phase: Phase) -> str:
    expected = " or ".join(map(repr, _MAY_COME[phase])) or "nothing more"
    when = "before" if phase in (Phase.CONNECTING, Phase.DENYING) else "after"
    return f"{kind!r} {when} {phase.value}, where {expected} can come"


def _of_frame(message: Mapping[str, Any]) -> str | None:
    text, data = message.get("text"), message.get("bytes")
    if (text is None) == (data is None):
        return "'websocket.send' with both text and bytes, or with neither; one of them is the data"
    if isinstance(text, str | None) and isinstance(data, bytes | bytearray | memoryview | None):
        return None
    found = f"text of type {type(text).__name__}" if data is None else f"bytes of type {type(data).__name__}"
    return f"'websocket.send' with {found}; text is str, and bytes are bytes"


def _of_close(message: Mapping[str, Any]) -> str | None:
    code, reason = message.get("code", 1000), message.get("reason")
    if not is_sendable_code(code):
        return f"close code {code!r}, which may not be sent (RFC 6455, section 7.4); 1000, 1001 and 3000 to 4999 may"
    return reason_violation(reason)


def reason_violation(reason: object) -> str | None:
    """What is wrong with a close reason; None if nothing is."""
    if reason is None:
        return None
    if not isinstance(reason, str):
        return f"a close reason of type {type(reason).__name__}; it is a string"
    size = len(reason.encode("utf-8", "surrogatepass"))
    if size > REASON_BYTES:
        return f"a close reason of {size} bytes in UTF-8; {REASON_BYTES} are the most (RFC 6455, section 5.5)"
    return None


def _of_subprotocol(subprotocol: object, scope: Mapping[str, Any]) -> str | None:
    offered: Sequence[str] = scope.get("subprotocols") or ()
    if subprotocol is None or subprotocol in offered:
        return None
    return (
        f"the subprotocol {subprotocol!r}, where the client offered {list(offered)!r}, so that it drops the connection "
        "(RFC 6455, section 4.1)"
    )


def _of_status(status: object) -> str | None:
    if isinstance(status, int) and 300 <= status <= 599:
        return None
    return f"a refusal with the HTTP status {status!r}; 300 to 599 refuse, since 101 and 2xx would be acceptances"


def _of_headers(message: Mapping[str, Any]) -> str | None:
    for pair in message.get("headers") or ():
        name, value = pair
        if not (isinstance(name, bytes) and isinstance(value, bytes)):
            return f"the header {name!r}: {value!r}; both are bytes"
    return None
