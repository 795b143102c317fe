"""The header WWW-Authenticate: what a refusal says of how to authenticate."""

from __future__ import annotations

import re

from wsroute.exceptions import InvalidParameterError, Location

# What RFC 6750, section 3, allows: printable ASCII that needs no escape in a quoted string.
_NOT_PLAIN = re.compile(r"[^ !#-\[\]-~]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def challenge(scheme: str, **parameters: str | None) -> str:
    """The value of WWW-Authenticate: `Bearer error="invalid_token"` (RFC 9110, section 11.6.1).

    Args:
        scheme: The authentication scheme.
        parameters: Its parameters; `None` leaves one out. What a parameter can't carry becomes a question mark.
    """
    given = [f'{name}="{_NOT_PLAIN.sub("?", value)}"' for name, value in parameters.items() if value is not None]
    return f"{scheme} {', '.join(given)}" if given else scheme


def check_plain(text: str, location: Location) -> None:
    """Check that a parameter can carry a text as it is.

    Raises:
        InvalidParameterError: It can't.
    """
    if not isinstance(text, str) or _NOT_PLAIN.search(text):
        raise InvalidParameterError(
            location,
            problem=f"{text!r} can't be said in WWW-Authenticate",
            expected="printable ASCII characters without quotes and backslashes",
            remedy="choose other characters",
        )


def check_token(text: str, location: Location) -> None:
    """Check that a name is a token, as names of headers, cookies and subprotocols have to be (RFC 9110, section 5.6.2).

    Raises:
        InvalidParameterError: It is none.
    """
    if not isinstance(text, str) or not _TOKEN.fullmatch(text):
        raise InvalidParameterError(
            location,
            problem=f"{text!r} is no token of HTTP",
            expected="letters, digits and -_.!#$%&'*+^`|~, at least one",
            remedy="choose a name of these characters",
        )
