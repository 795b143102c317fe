"""One connection, and what a security scheme makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from wsroute.testing import Peer

Headers = Iterable[tuple[str, str]]


class Refusal(NamedTuple):
    """The exception that a scheme raised."""

    status: int
    detail: str
    challenge: str


def connection(target: str = "/", headers: Headers = (), **scope: Any) -> HTTPConnection:
    """A connection, as a dependency gets it."""
    return HTTPConnection(Peer(target, headers=headers, scope=scope).scope)


def outcome(scheme: Any, request: HTTPConnection) -> Any:
    """What a scheme gives, or how it refuses; records as the mapping of their fields."""
    try:
        value = anyio.run(scheme, request)
    except HTTPException as refusal:
        headers: Mapping[str, str] = refusal.headers or {}
        return Refusal(refusal.status_code, refusal.detail, headers["WWW-Authenticate"])
    fields = ("username", "password", "scheme", "credentials")
    found = {field: getattr(value, field) for field in fields if hasattr(value, field)}
    return found or value
