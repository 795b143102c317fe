"""Which pages may open a connection: what `allowed_origins=` takes, and what a page gets that may not."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any, Literal, NoReturn, TypeAlias

from starlette.exceptions import HTTPException

from wsroute.dependencies.callables import show
from wsroute.exceptions import InvalidParameterError, Location
from wsroute.wire.handshake import HTTP_SCHEMES
from wsroute.wire.origin import EVERY_ORIGIN, SAME_ORIGIN, AllowedOrigins, in_ascii, own_origin, read_origin
from wsroute.wire.socket import Socket

#: What `allowed_origins=` takes. A list may hold `"same-origin"`, too.
Origins: TypeAlias = Literal["same-origin", "*"] | Collection[str]

_SAME = "same-origin"
_EVERY = "*"
_EXPECTED = f'"{_SAME}", "{_EVERY}", or a list of origins as browsers send them: "https://app.example"'
#: How much of what a client has sent goes into the log.
_SHOWN = 100

logger = logging.getLogger("wsroute")


def read_allowed_origins(origins: Origins | None, location: Location) -> AllowedOrigins | None:
    """The pages that a level lets in; `None` leaves it to the levels above.

    Raises:
        InvalidParameterError: It is neither of the two words nor a list, or the list holds something that is no origin.
    """
    if origins is None:
        return None
    if origins == _SAME:
        return SAME_ORIGIN
    if origins == _EVERY:
        return EVERY_ORIGIN
    if isinstance(origins, (str, bytes)) or not isinstance(origins, Collection):
        raise _not(f"allowed_origins= is {show(origins)}", location, "put it into a list")
    others = frozenset(_read(item, location) for item in origins if item != _SAME)
    return AllowedOrigins(same=_SAME in origins, others=others)


def _read(item: Any, location: Location) -> str:
    origin = read_origin(in_ascii(item)) if isinstance(item, str) else None
    if origin is None or origin.partition(":")[0] in HTTP_SCHEMES:
        raise _not(f"allowed_origins= holds {show(item)}", location, _remedy(item))
    return origin


def _remedy(item: Any) -> str:
    if not isinstance(item, str):
        return "write it as a string"
    if item == _EVERY:
        return f'write allowed_origins="{_EVERY}", without a list, to let everybody in'
    if item == "null":
        return f'leave it out: pages of any sandbox send it, so that it means as much as "{_EVERY}"'
    if "*" in item:
        return "list each origin: there are no patterns"
    scheme, separator, rest = item.partition("://")
    if not separator:
        return f"write the scheme, too: {show('https://' + item)}"
    if scheme.lower() in HTTP_SCHEMES:
        return f"write the scheme of the page: {show(HTTP_SCHEMES[scheme.lower()] + '://' + rest)}"
    return "write scheme, host and port, and nothing else: no user, no path, no slash at the end"


def _not(problem: str, location: Location, remedy: str) -> InvalidParameterError:
    return InvalidParameterError(location, problem=problem, expected=_EXPECTED, remedy=remedy)


async def refuse_origin(websocket: Socket) -> NoReturn:
    """Refuse a page that may not open the connection, and tell the log why.

    Raises:
        HTTPException: 403.
    """
    sent = ", ".join(websocket.headers.getlist("origin"))[:_SHOWN]
    # What a page's developer, and whoever has put a proxy before the server, needs to know.
    logger.warning(
        "%s: refused a page of the origin %r; allowed_origins= does not name it, and the connection's own is %s",
        websocket.scope["path"],
        sent,
        own_origin(websocket.scope),
    )
    raise HTTPException(403, "Origin not allowed")
