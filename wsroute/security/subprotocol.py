"""A token where a browser's script can put one: among the subprotocols that it offers."""

# No postponed annotations here: FastAPI can't find what a string means in the `__call__` of an object.

import binascii
import re
from collections.abc import Sequence
from typing import Literal

from starlette.requests import HTTPConnection

from wsroute.exceptions import InvalidParameterError, Location
from wsroute.security.challenges import check_token
from wsroute.security.schemes import BearerScheme, SchemeModel
from wsroute.wire.socket import Socket

Encoding = Literal["base64url"]

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


class BearerSubprotocol(BearerScheme):
    """Takes a token from the header Sec-WebSocket-Protocol: `new WebSocket(url, ["bearer", token])`.

    The token is what the client offers after the marker. The accept answers with the marker, whatever becomes of the
    token and unless the endpoint names another subprotocol, since a browser drops a connection that takes none of those
    that it has offered. The token itself is never sent back.

    A token has to be one of HTTP, too: letters, digits and -_.~ among others, as those of JWT and of
    `secrets.token_urlsafe()` are, but no `=`, `/` or spaces.

    Args:
        marker: The subprotocol that stands before the token. Case counts.
        encoding: `"base64url"` takes any token, which the client encodes (RFC 4648, section 5, without padding).
            Default: the token as it is.
        scheme_name: The name of the scheme in documents; default: that of the class.
        description: What documents say of it.
        auto_error: Whether a connection without a token is refused with 401; if not, the token is `None`. A broken one
            is refused in any case.

    Raises:
        InvalidParameterError: The marker can't be a subprotocol, or the encoding is unknown.

    Example:
        token_scheme = BearerSubprotocol()

        @router.websocket("/feed")
        async def feed(websocket: WebSocket, token: Annotated[str, Depends(token_scheme)]) -> None:
            await websocket.accept()
    """

    def __init__(
        self,
        marker: str = "bearer",
        *,
        encoding: Encoding | None = None,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        location = Location(chain=(type(self).__name__,))
        check_token(marker, location.at("marker"))
        if encoding not in (None, "base64url"):
            raise InvalidParameterError(
                location.at("encoding"),
                problem=f"encoding={encoding!r} is unknown",
                expected='"base64url", or None for a token as it is',
                remedy="leave it out, or write one of them",
            )
        model = SchemeModel(type_="apiKey", name="Sec-WebSocket-Protocol", in_="header", description=description)
        super().__init__(model, scheme_name=scheme_name, auto_error=auto_error)
        self.marker = marker
        self.encoding = encoding

    async def __call__(self, request: HTTPConnection) -> str | None:
        """The token, if there is one."""
        offered: Sequence[str] = [*request.scope.get("subprotocols", ())]
        if self.marker not in offered:
            self.refuse_unless_optional()
            return None
        if isinstance(request, Socket):
            request.subprotocol = self.marker
        if offered.count(self.marker) > 1:
            # RFC 6455, section 4.1: each subprotocol once. Which token is meant can't be told.
            raise self.make_not_authenticated_error()
        if offered[-1] == self.marker:
            self.refuse_unless_optional()
            return None
        return self._decoded(offered[offered.index(self.marker) + 1])

    def _decoded(self, token: str) -> str:
        if self.encoding is None:
            return token
        try:
            return _from_base64url(token)
        except ValueError:
            # Not chained: the error of a codec carries what it was given.
            raise self.make_invalid_token_error("The token is not base64url") from None


def _from_base64url(text: str) -> str:
    if not _BASE64URL.fullmatch(text):
        raise ValueError("a character that is none of base64url")
    padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    return binascii.a2b_base64(padded, strict_mode=True).decode()
