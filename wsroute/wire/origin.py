"""Which pages may open a connection: the origin that a browser sends, read and compared.

A browser lets every page open a WebSocket to every server, and sends the user's cookies along; the server alone can
tell that the page is a foreign one (RFC 6455, section 10.2). It goes by the header Origin, which a script can't set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from starlette.types import Scope

from wsroute.wire.handshake import HTTP_SCHEMES

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65535
# RFC 6454, section 6.2, in lower case: nothing before the host, and nothing after the port.
_ORIGIN = r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?"


def read_origin(text: str) -> str | None:
    """An origin in its one form: two are the same if these are equal (RFC 6454, sections 4 and 5).

    That is the form in which browsers send it: scheme and host in lower case, no port where it is that of the scheme,
    an IPv6 address as short as it gets.

    Args:
        text: What a header carries.

    Returns:
        `None` for anything that is no origin, `null` and a list of several included.
    """
    # Some letters that are not ASCII become ASCII in lower case: the sign for kelvin becomes a `k`.
    match = _pattern().fullmatch(text.lower()) if text.isascii() else None
    if match is None:
        return None
    scheme, host, digits = match.groups()
    if host.startswith("["):
        host = _shortest(host)
    port = None if digits is None else int(digits)
    if host is None or (port is not None and port > _MAX_PORT):
        return None
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{scheme}://{host}:{port}"


@cache
def _pattern() -> re.Pattern[str]:
    # Compiled when a first page connects: to do so when the package is imported would take longer than the rest of it.
    return re.compile(_ORIGIN)


def in_ascii(text: str) -> str:
    """An origin with its host as browsers send it: `https://xn--bcher-kva.example` (RFC 6454, section 6.2).

    Args:
        text: The origin, as people write it. What can't be one stays as it is.
    """
    if text.isascii():
        return text
    # Not Python's own codec: that is the IDNA of 2003, to which `faß.example` is the host of somebody else.
    import idna

    scheme, separator, rest = text.partition("://")
    host, colon, port = rest.partition(":")
    try:
        return f"{scheme}{separator}{idna.encode(host, uts46=True).decode()}{colon}{port}"
    except idna.IDNAError:
        return text


def _shortest(host: str) -> str | None:
    # Few connections come from a page at a bare address: no need to load this with the package.
    from ipaddress import AddressValueError, IPv6Address

    try:
        return f"[{IPv6Address(host[1:-1]).compressed}]"
    except AddressValueError:
        return None


class AllowedOrigins(NamedTuple):
    """The pages that may open a connection.

    Attributes:
        same: Whether those may that come from where the connection goes to.
        others: Which others may, as `read_origin()` gives them.
        every: Whether all may, and nothing has to be looked at.
    """

    same: bool = True
    others: frozenset[str] = frozenset()
    every: bool = False

    def allows(self, scope: Scope) -> bool:
        """Whether a handshake may go on: it comes from such a page, or from no browser, which sends no origin.

        Args:
            scope: The scope of the connection.
        """
        sent = _header(scope, b"origin")
        if self.every or not sent:
            return True
        origin = read_origin(sent[0].decode("latin-1"))
        if origin is None or len(sent) > 1:
            return False
        return origin in self.others or (self.same and origin == own_origin(scope))


SAME_ORIGIN = AllowedOrigins()
EVERY_ORIGIN = AllowedOrigins(every=True)


def own_origin(scope: Scope) -> str | None:
    """The origin of the pages that come from where a connection goes to; `None` if that can't be told.

    Args:
        scope: The scope of the connection: its scheme, and its header Host.
    """
    hosts = _header(scope, b"host")
    if len(hosts) != 1:
        return None
    scheme = scope.get("scheme", "ws")
    # uvicorn's wsproto hands over as UTF-8 what came as `xn--`.
    host = hosts[0].decode(errors="replace")
    return read_origin(in_ascii(f"{HTTP_SCHEMES.get(scheme, scheme)}://{host}"))


def _header(scope: Scope, name: bytes) -> list[bytes]:
    # Servers give names in lower case (ASGI specification, "WebSocket Connection Scope").
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value for other, value in headers if other == name]
