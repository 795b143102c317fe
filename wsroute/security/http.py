"""The authentication schemes of HTTP: Bearer (RFC 6750) and Basic (RFC 7617)."""

# No postponed annotations here: FastAPI can't find what a string means in the `__call__` of an object.

import binascii
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from wsroute.exceptions import Location
from wsroute.security.challenges import challenge, check_plain
from wsroute.security.comparison import same_secret
from wsroute.security.schemes import BearerScheme, SchemeModel, SecurityScheme, authorization


@dataclass(frozen=True, slots=True)
class HTTPAuthorizationCredentials:
    """What the header Authorization carries.

    Attributes:
        scheme: The authentication scheme, as it was sent.
        credentials: The rest. It is left out of `repr()`, and so out of logs.
    """

    scheme: str
    credentials: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class HTTPBasicCredentials:
    """A user and a password.

    Attributes:
        username: The user; without a colon.
        password: The password. It is left out of `repr()`, and so out of logs.
    """

    username: str
    password: str = field(repr=False)

    def matches(self, username: str, password: str) -> bool:
        """Whether these are the right ones, in a time that does not tell how much of them is."""
        right_user, right_password = same_secret(self.username, username), same_secret(self.password, password)
        return right_user and right_password


class HTTPBearer(BearerScheme):
    """Takes a token from `Authorization: Bearer TOKEN`, which a browser's script can't set on a handshake.

    Args:
        bearerFormat: What documents say of the form of the token.
        scheme_name: The name of the scheme in documents; default: that of the class.
        description: What documents say of it.
        auto_error: Whether a connection without a token is refused with 401; if not, the dependency gives `None`.
    """

    def __init__(
        self,
        *,
        bearerFormat: str | None = None,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        model = SchemeModel(type_="http", scheme="bearer", bearerFormat=bearerFormat, description=description)
        super().__init__(model, scheme_name=scheme_name, auto_error=auto_error)

    async def __call__(self, request: HTTPConnection) -> HTTPAuthorizationCredentials | None:
        """The token, if there is one."""
        scheme, credentials = authorization(request)
        if scheme.lower() != "bearer" or not credentials:
            self.refuse_unless_optional()
            return None
        return HTTPAuthorizationCredentials(scheme, credentials)


class HTTPBasic(SecurityScheme):
    """Takes a user and a password from `Authorization: Basic BASE64`, in UTF-8.

    Broken credentials are refused in any case.

    Args:
        scheme_name: The name of the scheme in documents; default: that of the class.
        realm: What the credentials are for. RFC 7617 wants one in each challenge, so that without one it is empty.
        description: What documents say of it.
        auto_error: Whether a connection without credentials is refused with 401; if not, the dependency gives `None`.

    Raises:
        InvalidParameterError: The realm has characters that a challenge can't carry.
    """

    def __init__(
        self,
        *,
        scheme_name: str | None = None,
        realm: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        if realm is not None:
            check_plain(realm, Location(chain=(f"{type(self).__name__}(realm={realm!r})",)))
        model = SchemeModel(type_="http", scheme="basic", description=description)
        super().__init__(model, scheme_name=scheme_name, auto_error=auto_error)
        self.realm = realm

    def make_authenticate_headers(self) -> dict[str, str]:
        """`WWW-Authenticate: Basic`, with the realm and the encoding (RFC 7617, sections 2 and 2.1)."""
        return {"WWW-Authenticate": challenge("Basic", realm=self.realm or "", charset="UTF-8")}

    async def __call__(self, request: HTTPConnection) -> HTTPBasicCredentials | None:
        """User and password, if they were sent."""
        scheme, encoded = authorization(request)
        if scheme.lower() != "basic":
            self.refuse_unless_optional()
            return None
        credentials = _decoded(encoded)
        if credentials is None:
            raise self.make_not_authenticated_error()
        return credentials


def _decoded(encoded: str) -> HTTPBasicCredentials | None:
    try:
        text = binascii.a2b_base64(encoded, strict_mode=True).decode()
    except ValueError:  # not base64, or not UTF-8
        return None
    username, colon, password = text.partition(":")
    if not colon or any(_is_control(character) for character in text):
        return None
    return HTTPBasicCredentials(username, password)


def _is_control(character: str) -> bool:
    # RFC 7617, section 2, forbids them.
    return character < " " or "\x7f" <= character < "\xa0"
