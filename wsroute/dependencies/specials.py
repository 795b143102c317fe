"""Which parameters get something of the connection itself? Their annotations tell; the socket also has usual names."""

from __future__ import annotations

from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin

from anyio.abc import TaskGroup
from starlette.background import BackgroundTasks
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from wsroute.dependencies.annotations import is_simple, is_union, unwrap
from wsroute.dependencies.models import Special
from wsroute.dependencies.signature import EMPTY

_SOCKET_NAMES = frozenset({"websocket", "socket", "ws"})


class SecurityScopes:
    """The security scopes that were asked for on the way to a dependency.

    Args:
        scopes: Those of the outermost declaration first, each once.

    Attributes:
        scopes: The same, as a list.
        scope_str: The same, joined with spaces, as in OAuth2 (RFC 6749, section 3.3).
    """

    def __init__(self, scopes: list[str] | None = None) -> None:
        self.scopes: list[str] = scopes or []
        self.scope_str = " ".join(self.scopes)


class Found(NamedTuple):
    """What a parameter asks for, as which class, and whether it also takes `None`."""

    special: Special
    cls: type[Any]
    optional: bool


#: The first class that an annotation is a subclass of decides: `WebSocket` and `Request` are `HTTPConnection`s too.
_BY_CLASS: tuple[tuple[type[Any], Special], ...] = (
    (WebSocket, Special.WEBSOCKET),
    (Request, Special.REQUEST),
    (HTTPConnection, Special.WEBSOCKET),
    (BackgroundTasks, Special.BACKGROUND_TASKS),
    (SecurityScopes, Special.SECURITY_SCOPES),
    (TaskGroup, Special.TASK_GROUP),
    (Response, Special.RESPONSE),
)


def find(name: str, annotation: Any, written: Any) -> Found | None:
    """What the parameter gets of the connection, if it gets anything.

    Args:
        name: The parameter.
        annotation: Its type, `Annotated` taken off.
        written: Its whole annotation; `EMPTY` where there is none.
    """
    if written is EMPTY:
        return Found(Special.WEBSOCKET, WebSocket, False) if name in _SOCKET_NAMES else None
    if is_simple(annotation):
        return None
    optional = is_union(annotation)
    options = [option for option in get_args(annotation) if option is not NoneType] if optional else [annotation]
    option, _ = unwrap(options[0])
    cls = get_origin(option) or option  # WebSocket and Request are generic in their state
    if len(options) != 1 or not isinstance(cls, type):
        return None
    special = _special_of(cls)
    return special and Found(special, cls, optional)


def _special_of(cls: type[Any]) -> Special | None:
    for base, special in _BY_CLASS:
        if issubclass(cls, base):
            return special
    # FastAPI has a class of its own for these; it works the same, and its users annotate with it.
    scopes = any(base.__name__ == "SecurityScopes" and base.__module__.startswith("fastapi.") for base in cls.__mro__)
    return Special.SECURITY_SCOPES if scopes else None
