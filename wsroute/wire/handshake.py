"""The handshake as HTTP: the request that it is, and the responses that refuse it."""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message
from starlette.websockets import WebSocket

logger = logging.getLogger("wsroute")

#: The name of the ASGI extension with which a server sends an HTTP response instead of an accept.
DENIAL_EXTENSION = "websocket.http.response"
#: RFC 9110, section 6.4.1. The others of this kind, 1xx, 204 and 205, can't refuse a handshake.
_WITHOUT_BODY = 304
#: What the schemes of WebSockets are as HTTP: a handshake is a request of HTTP.
HTTP_SCHEMES = {"ws": "http", "wss": "https"}


def request_view(websocket: WebSocket, cls: type[Request] = Request) -> Request:
    """The handshake as the HTTP request that it is (RFC 6455, section 4.1): a GET without a body.

    There is one for each class and connection. It shares what the scope holds, and has a scope of its own.

    Args:
        websocket: The WebSocket of the connection.
        cls: The class of the view, `Request` or a subclass.
    """
    views: dict[type[Request], Request] = websocket.__dict__.setdefault("_wsroute_views", {})
    if cls not in views:
        # Created before the copy, so that what one of them stores there the other one sees.
        websocket.scope.setdefault("state", {})
        scheme = websocket.scope.get("scheme", "ws")
        scope = {**websocket.scope, "type": "http", "method": "GET", "scheme": HTTP_SCHEMES.get(scheme, scheme)}
        views[cls] = cls(scope, _EmptyBody())
    return views[cls]


class _EmptyBody:
    """The receive channel of a request whose body is empty and already read."""

    def __init__(self) -> None:
        self._read = False

    async def __call__(self) -> Message:
        if self._read:
            return {"type": "http.disconnect"}
        self._read = True
        return {"type": "http.request", "body": b"", "more_body": False}


def can_deny(websocket: WebSocket) -> bool:
    """Whether the server can refuse the handshake with an HTTP response."""
    return DENIAL_EXTENSION in (websocket.scope.get("extensions") or {})


def denial(status: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """The HTTP response with which a handshake is refused: JSON, whatever an exception was given.

    Args:
        status: The HTTP status.
        content: What the body says. If it is not JSON, the body says no more than the status does.
        headers: Further headers; content-length and content-type are the response's own.
    """
    if status == _WITHOUT_BODY:
        response = Response(status_code=status)
    else:
        response = Response(_json(status, content), status, media_type="application/json")
    for name, value in (headers or {}).items():
        _add_header(response, name.lower(), str(value))
    return response


def _json(status: int, content: Mapping[str, Any]) -> str:
    try:
        return json.dumps(content, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as exc:
        logger.error("the detail of a refusal is not JSON and is left out: %s", exc)
        return json.dumps({"detail": status_phrase(status)})


def _add_header(response: Response, name: str, value: str) -> None:
    if name in ("content-length", "content-type"):
        return
    try:
        response.raw_headers.append((name.encode("latin-1"), value.encode("latin-1")))
    except UnicodeEncodeError:
        logger.error("the header %r of a refusal has a value that HTTP can't carry: it is left out", name)


def status_phrase(status: int) -> str:
    """What an HTTP status is called (RFC 9110, section 15)."""
    return http.client.responses.get(status, "")
