"""Keys that a client sends as a parameter of its own name."""

# No postponed annotations here: FastAPI can't find what a string means in the `__call__` of an object.

from typing import Literal

from starlette.requests import HTTPConnection

from wsroute.exceptions import Location
from wsroute.security.challenges import challenge, check_token
from wsroute.security.schemes import SchemeModel, SecurityScheme


class APIKeyBase(SecurityScheme):
    """What the schemes for keys have in common.

    Args:
        in_: Where the key is.
        name: What the parameter is called.
        description: What documents say of it.
        scheme_name, auto_error: As in `SecurityScheme`.
    """

    def __init__(
        self,
        in_: Literal["query", "header", "cookie"],
        *,
        name: str,
        description: str | None,
        scheme_name: str | None,
        auto_error: bool,
    ) -> None:
        if in_ != "query":
            check_token(name, Location(chain=(f"{type(self).__name__}(name={name!r})",)))
        model = SchemeModel(type_="apiKey", name=name, in_=in_, description=description)
        super().__init__(model, scheme_name=scheme_name, auto_error=auto_error)
        self._name = name

    def make_authenticate_headers(self) -> dict[str, str]:
        """`WWW-Authenticate: APIKey`, since there is no registered name, and there has to be one."""
        return {"WWW-Authenticate": challenge("APIKey")}

    def check_api_key(self, api_key: str | None) -> str | None:
        """The key; nothing, or a refusal, where it is missing or empty."""
        if not api_key:
            self.refuse_unless_optional()
            return None
        return api_key


class APIKeyQuery(APIKeyBase):
    """Takes a key from the query string. Servers write that to their access logs: see `Ticket` for another way.

    Args:
        name: The name of the parameter.
        scheme_name: The name of the scheme in documents; default: that of the class.
        description: What documents say of it.
        auto_error: Whether a connection without a key is refused with 401; if not, the key is `None`.
    """

    def __init__(
        self,
        *,
        name: str,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__("query", name=name, description=description, scheme_name=scheme_name, auto_error=auto_error)

    async def __call__(self, request: HTTPConnection) -> str | None:
        """The key, if there is one."""
        return self.check_api_key(request.query_params.get(self._name))


class APIKeyHeader(APIKeyBase):
    """Takes a key from a header, which a browser's script can't set on a handshake.

    Args:
        name: The name of the header.
        scheme_name: The name of the scheme in documents; default: that of the class.
        description: What documents say of it.
        auto_error: Whether a connection without a key is refused with 401; if not, the key is `None`.
    """

    def __init__(
        self,
        *,
        name: str,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__("header", name=name, description=description, scheme_name=scheme_name, auto_error=auto_error)

    async def __call__(self, request: HTTPConnection) -> str | None:
        """The key, if there is one."""
        return self.check_api_key(request.headers.get(self._name))


class APIKeyCookie(APIKeyBase):
    """Takes a key from a cookie. A browser sends it whichever page connects, so that the origin has to be checked.

    Args:
        name: The name of the cookie.
        scheme_name: The name of the scheme in documents; default: that of the class.
        description: What documents say of it.
        auto_error: Whether a connection without a key is refused with 401; if not, the key is `None`.
    """

    def __init__(
        self,
        *,
        name: str,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__("cookie", name=name, description=description, scheme_name=scheme_name, auto_error=auto_error)

    async def __call__(self, request: HTTPConnection) -> str | None:
        """The key, if there is one."""
        return self.check_api_key(request.cookies.get(self._name))
