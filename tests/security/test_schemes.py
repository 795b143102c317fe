"""What schemes say of themselves, how they refuse, and what they keep to themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from tests.security.connections import Refusal, connection, outcome
from wsroute import InvalidParameterError
from wsroute.security import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    BearerSubprotocol,
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
    MemoryTicketStore,
    OAuth2PasswordBearer,
    SecurityScheme,
    SecurityScopes,
    Ticket,
    same_secret,
)
from wsroute.security.challenges import challenge

BEARERS = [HTTPBearer(), OAuth2PasswordBearer("token"), BearerSubprotocol()]
#: Every scheme, with the challenge of a connection that has sent nothing.
ALL: list[tuple[Callable[..., SecurityScheme], dict[str, Any], str]] = [
    (APIKeyHeader, {"name": "X-Key"}, "APIKey"),
    (APIKeyQuery, {"name": "key"}, "APIKey"),
    (APIKeyCookie, {"name": "session"}, "APIKey"),
    (HTTPBearer, {}, "Bearer"),
    (HTTPBasic, {}, 'Basic realm="", charset="UTF-8"'),
    (OAuth2PasswordBearer, {"tokenUrl": "token"}, "Bearer"),
    (BearerSubprotocol, {}, "Bearer"),
    (Ticket, {"store": MemoryTicketStore()}, "Ticket"),
]

each = pytest.mark.parametrize(("make", "options", "said"), ALL)


@each
def test_without_credentials_a_connection_is_refused_with_401_and_a_challenge(
    make: Callable[..., SecurityScheme], options: dict[str, Any], said: str
) -> None:
    assert outcome(make(**options), connection()) == Refusal(401, "Not authenticated", said)


@each
def test_without_credentials_an_optional_scheme_gives_nothing(
    make: Callable[..., SecurityScheme], options: dict[str, Any], said: str
) -> None:
    assert outcome(make(**options, auto_error=False), connection()) is None


@each
def test_a_scheme_has_the_name_of_its_class_or_the_one_that_it_is_given(
    make: Callable[..., SecurityScheme], options: dict[str, Any], said: str
) -> None:
    assert make(**options).scheme_name == make.__name__
    assert repr(make(**options, scheme_name="users")) == f"<{make.__name__} 'users'>"


def test_the_refusal_is_for_a_subclass_to_choose() -> None:
    class Forbidding(HTTPBearer):
        def make_not_authenticated_error(self) -> HTTPException:
            return HTTPException(403, "No", {"WWW-Authenticate": "Bearer"})

    assert outcome(Forbidding(), connection()) == Refusal(403, "No", "Bearer")


# What an application raises by itself


def refusal(error: HTTPException) -> Refusal:
    assert error.headers is not None
    return Refusal(error.status_code, error.detail, error.headers["WWW-Authenticate"])


@pytest.mark.parametrize("scheme", BEARERS)
def test_a_bad_token_is_refused_as_rfc_6750_says(scheme: HTTPBearer) -> None:
    assert refusal(scheme.make_invalid_token_error()) == (401, "Invalid token", 'Bearer error="invalid_token"')
    assert refusal(scheme.make_invalid_token_error("The token has expired")) == (
        401,
        "The token has expired",
        'Bearer error="invalid_token", error_description="The token has expired"',
    )


@pytest.mark.parametrize("scheme", BEARERS)
@pytest.mark.parametrize(
    ("scopes", "said"),
    [
        ((), ""),
        (["read"], ', scope="read"'),
        (SecurityScopes(["users:read", "users:write"]), ', scope="users:read users:write"'),
    ],
)
def test_a_token_that_allows_too_little_is_refused_with_what_is_needed(
    scheme: HTTPBearer, scopes: Any, said: str
) -> None:
    error = refusal(scheme.make_insufficient_scope_error(scopes))
    assert error == (403, "Not enough permissions", f'Bearer error="insufficient_scope"{said}')


def test_a_challenge_carries_nothing_that_would_end_it() -> None:
    assert challenge("Bearer", error_description='a "quote"\\\r\nSet-Cookie: ü=1') == (
        'Bearer error_description="a ?quote????Set-Cookie: ?=1"'
    )


# Mistakes


@pytest.mark.parametrize("realm", ['the "realm"', "back\\slash", "two\r\nlines", "räume", 7])
def test_a_realm_that_no_challenge_can_carry_is_an_error(realm: Any) -> None:
    with pytest.raises(InvalidParameterError) as error:
        HTTPBasic(realm=realm)

    assert str(error.value).splitlines() == [
        f"{realm!r} can't be said in WWW-Authenticate",
        f"  HTTPBasic(realm={realm!r})",
        "  expected: printable ASCII characters without quotes and backslashes",
        "  remedy: choose other characters",
    ]


@pytest.mark.parametrize("make", [APIKeyHeader, APIKeyCookie])
@pytest.mark.parametrize("name", ["", "X Key", "X-Key:", "Schlüssel", "key\n"])
def test_a_name_that_no_header_or_cookie_can_have_is_an_error(make: Callable[..., Any], name: str) -> None:
    with pytest.raises(InvalidParameterError, match="is no token of HTTP"):
        make(name=name)


@pytest.mark.parametrize("name", ["X Key", "Schlüssel"])
def test_a_query_parameter_may_have_any_name(name: str) -> None:
    assert outcome(APIKeyQuery(name=name), connection(f"/?{quote(name)}=k")) == "k"


# Secrets


@pytest.mark.parametrize(
    ("given", "expected", "same"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a", "", False),
        ("", "", True),
        ("ö", "ö", True),
        ("ö", "o", False),
        (b"a", "a", True),
        ("ö", "ö".encode(), True),
        ("\udcff", "a", False),
    ],
)
def test_secrets_of_any_characters_are_compared(given: str | bytes, expected: str | bytes, same: bool) -> None:
    assert same_secret(given, expected) is same


@pytest.mark.parametrize(
    ("username", "password", "same"),
    [("ann", "secret", True), ("ann", "wrong", False), ("bob", "secret", False), ("bob", "wrong", False)],
)
def test_credentials_match_if_both_parts_do(username: str, password: str, same: bool) -> None:
    assert HTTPBasicCredentials(username=username, password=password).matches("ann", "secret") is same


@pytest.mark.parametrize(
    ("credentials", "shown"),
    [
        (HTTPBasicCredentials("ann", "secret"), "HTTPBasicCredentials(username='ann')"),
        (HTTPAuthorizationCredentials("Bearer", "secret"), "HTTPAuthorizationCredentials(scheme='Bearer')"),
    ],
)
def test_a_secret_is_left_out_of_what_is_logged(credentials: object, shown: str) -> None:
    assert repr(credentials) == shown


def test_an_abstract_scheme_can_not_be_made() -> None:
    class Silent(SecurityScheme):
        async def __call__(self, request: HTTPConnection) -> None: ...

    with pytest.raises(TypeError, match="make_authenticate_headers"):
        Silent(HTTPBearer().model, scheme_name=None, auto_error=True)  # type: ignore[abstract]  # that is the mistake
