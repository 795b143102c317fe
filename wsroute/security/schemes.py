"""What all security schemes have in common: how they describe themselves, and how they refuse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from wsroute.dependencies.specials import SecurityScopes
from wsroute.security.challenges import challenge


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeModel:
    """What a scheme says of itself, as in OpenAPI 3.1, "Security Scheme Object"; attributes are named as in FastAPI."""

    type_: Literal["apiKey", "http", "oauth2"]
    description: str | None = None
    name: str | None = None
    in_: Literal["query", "header", "cookie"] | None = None
    scheme: str | None = None
    bearerFormat: str | None = None
    flows: Mapping[str, Mapping[str, Any]] | None = None

    def document(self) -> dict[str, Any]:
        """The object itself: what is said, under the names of OpenAPI."""
        items = ((name.rstrip("_"), getattr(self, name)) for name in self.__slots__)
        return {name: value for name, value in items if value is not None}


class SecurityScheme(ABC):
    """A dependency that takes credentials from a connection, or refuses it.

    Args:
        model: What the scheme says of itself.
        scheme_name: Its name in documents; default: that of the class.
        auto_error: Whether a connection without credentials is refused; if not, the dependency gives `None`.

    Attributes:
        model, scheme_name, auto_error: The same.
    """

    def __init__(self, model: SchemeModel, *, scheme_name: str | None, auto_error: bool) -> None:
        self.model = model
        self.scheme_name = scheme_name or type(self).__name__
        self.auto_error = auto_error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.scheme_name!r}>"

    @abstractmethod
    def make_authenticate_headers(self) -> dict[str, str]:
        """The headers of a refusal; a status of 401 has to say how to authenticate (RFC 9110, section 15.5.2)."""

    def make_not_authenticated_error(self) -> HTTPException:
        """What is raised for a connection without credentials, or with broken ones; subclasses may say otherwise."""
        return HTTPException(401, "Not authenticated", self.make_authenticate_headers())

    def refuse_unless_optional(self) -> None:
        """Refuse a connection without credentials, unless it may go on without."""
        if self.auto_error:
            raise self.make_not_authenticated_error()


class BearerScheme(SecurityScheme):
    """A scheme whose credentials are a bearer token, with the refusals of RFC 6750, section 3.1."""

    def make_authenticate_headers(self) -> dict[str, str]:
        """`WWW-Authenticate: Bearer`, and no more for who has sent nothing: RFC 6750, section 3.1."""
        return {"WWW-Authenticate": challenge("Bearer")}

    def make_invalid_token_error(self, description: str | None = None) -> HTTPException:
        """What an application raises for a token that is unknown, expired or revoked: status 401.

        Args:
            description: What the client's developer is told; no other part of the token than its fate.
        """
        header = challenge("Bearer", error="invalid_token", error_description=description)
        return HTTPException(401, description or "Invalid token", {"WWW-Authenticate": header})

    def make_insufficient_scope_error(self, scopes: SecurityScopes | Iterable[str] = ()) -> HTTPException:
        """What an application raises for a token that does not allow what is asked for: status 403.

        Args:
            scopes: What would be needed.
        """
        given: Any = scopes  # or the SecurityScopes of FastAPI, which work the same
        needed = " ".join(getattr(given, "scopes", given))
        header = challenge("Bearer", error="insufficient_scope", scope=needed or None)
        return HTTPException(403, "Not enough permissions", {"WWW-Authenticate": header})


def authorization(request: HTTPConnection) -> tuple[str, str]:
    """The scheme and the credentials of the header Authorization (RFC 9110, section 11.6.2).

    Both are empty where there is no such header, and where there are several: which one counts would depend on who
    reads them.
    """
    values = request.headers.getlist("authorization")
    if len(values) != 1:
        return "", ""
    scheme, _, credentials = values[0].partition(" ")
    return scheme, credentials.strip()
