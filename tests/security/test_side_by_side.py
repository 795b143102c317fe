"""Our schemes beside FastAPI's of the same names: the same connection, and what each of the two makes of it."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from tests.security.connections import Headers, Refusal, connection, outcome
from wsroute import security

pytest.importorskip("fastapi")

import fastapi.security as theirs  # not everyone who runs the tests has it

Make = Callable[[Any], Any]

pytestmark = pytest.mark.skipif(
    inspect.signature(theirs.HTTPBearer.__call__).parameters["request"].annotation is not HTTPConnection,
    reason="this FastAPI takes no schemes in sockets, and refuses with other statuses",
)

SCHEMES: dict[str, Make] = {
    "header": lambda module: module.APIKeyHeader(name="X-Key"),
    "header, optional": lambda module: module.APIKeyHeader(name="X-Key", auto_error=False),
    "query": lambda module: module.APIKeyQuery(name="key"),
    "query, optional": lambda module: module.APIKeyQuery(name="key", auto_error=False),
    "cookie": lambda module: module.APIKeyCookie(name="session"),
    "cookie, optional": lambda module: module.APIKeyCookie(name="session", auto_error=False),
    "bearer": lambda module: module.HTTPBearer(),
    "bearer, optional": lambda module: module.HTTPBearer(auto_error=False),
    "oauth2": lambda module: module.OAuth2PasswordBearer("token"),
    "oauth2, optional": lambda module: module.OAuth2PasswordBearer("token", auto_error=False),
    "basic, optional": lambda module: module.HTTPBasic(auto_error=False),
}
DESCRIBED: dict[str, Make] = {
    "header": lambda module: module.APIKeyHeader(name="X-Key", scheme_name="key", description="A key"),
    "query": lambda module: module.APIKeyQuery(name="key", description="A key"),
    "cookie": lambda module: module.APIKeyCookie(name="session"),
    "bearer": lambda module: module.HTTPBearer(bearerFormat="JWT", description="A token"),
    "basic": lambda module: module.HTTPBasic(realm="here", scheme_name="users"),
    "oauth2": lambda module: module.OAuth2PasswordBearer(
        "token", "users", {"read": "May read"}, "A token", True, "token/refresh"
    ),
    "oauth2, bare": lambda module: module.OAuth2PasswordBearer(tokenUrl="token"),
}


def authorized(value: str) -> Headers:
    return [("authorization", value)]


def basic(text: str | bytes) -> Headers:
    data = text if isinstance(text, bytes) else text.encode()
    return authorized(f"Basic {base64.b64encode(data).decode()}")


#: What a client sends: the target, and headers.
SAME: dict[str, list[tuple[str, Headers]]] = {
    "header": [
        ("/", ()),
        ("/?X-Key=k", ()),
        ("/", [("x-key", "")]),
        ("/", [("x-key", "k")]),
        ("/", [("X-KEY", "k")]),
        ("/", [("x-key", "sch\xf6n")]),
        ("/", [("x-key", "first"), ("x-key", "second")]),
    ],
    "query": [
        ("/", [("key", "k")]),
        ("/?key=", ()),
        ("/?key=k", ()),
        ("/?Key=k", ()),
        ("/?key=first&key=second", ()),
        ("/?key=%C3%B6", ()),
    ],
    "cookie": [
        ("/", ()),
        ("/", [("cookie", "session=")]),
        ("/", [("cookie", "session=s; other=o")]),
        ("/", [("cookie", "Session=s")]),
        ("/", [("cookie", "session=first; session=second")]),
        ("/", [("cookie", 'session="a b"')]),
    ],
    "bearer": [
        ("/", ()),
        ("/", authorized("")),
        ("/", authorized("Bearer")),
        ("/", authorized("Bearer ")),
        ("/", authorized("Bearer t")),
        ("/", authorized("bearer t")),
        ("/", authorized("BEARER   t  ")),
        ("/", authorized("Bearer a b")),
        ("/", authorized("Bearer sch\xf6n")),
        ("/", authorized("Bearer\tt")),
        ("/", authorized("Basic t")),
        ("/", authorized("t")),
        ("/?access_token=t", ()),
    ],
    "basic": [
        ("/", ()),
        ("/", authorized("")),
        ("/", authorized("Bearer t")),
        ("/", basic("ann:secret")),
        ("/", basic("ann:")),
        ("/", basic(":secret")),
        ("/", basic("ann:se:cr:et")),
        ("/", [("authorization", "BASIC YW5uOnNlY3JldA==")]),
    ],
    # With auto_error=False as well, FastAPI refuses these.
    "broken basic": [
        ("/", authorized("Basic")),
        ("/", authorized("Basic ")),
        ("/", authorized("Basic YW5u")),
        ("/", authorized("Basic YW5uOnNlY3JldA")),
        ("/", authorized("Basic sch\xf6n")),
        ("/", basic(b"ann:\xff")),
    ],
}
# FastAPI takes an empty token of OAuth 2 for one.
SAME["oauth2"] = [case for case in SAME["bearer"] if case[1] not in (authorized("Bearer"), authorized("Bearer "))]


@pytest.mark.parametrize(
    ("name", "target", "headers"),
    [(name, *case) for name in SCHEMES for case in SAME[name.partition(",")[0]]],
)
def test_a_scheme_takes_what_fastapis_takes_and_refuses_in_its_words(name: str, target: str, headers: Headers) -> None:
    ours, expected = (outcome(SCHEMES[name](module), connection(target, headers)) for module in (security, theirs))
    assert ours == expected


@pytest.mark.parametrize(("target", "headers"), SAME["basic"] + SAME["broken basic"])
@pytest.mark.parametrize("auto_error", [True, False])
def test_basic_refuses_what_fastapis_refuses_and_says_more(target: str, headers: Headers, auto_error: bool) -> None:
    """RFC 7617 wants a realm, and browsers encode as `charset` says."""
    ours, expected = (
        outcome(module.HTTPBasic(auto_error=auto_error, realm="here"), connection(target, headers))
        for module in (security, theirs)
    )
    if isinstance(expected, Refusal):
        assert expected.challenge == 'Basic realm="here"'
        expected = expected._replace(challenge='Basic realm="here", charset="UTF-8"')
    assert ours == expected


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_scheme_describes_itself_as_fastapis_does(name: str) -> None:
    ours, expected = (DESCRIBED[name](module) for module in (security, theirs))

    assert ours.model.document() == expected.model.model_dump(by_alias=True, exclude_none=True, mode="json")
    assert ours.scheme_name == expected.scheme_name
    assert ours.auto_error == expected.auto_error


@pytest.mark.parametrize(
    "name",
    ["APIKeyHeader", "APIKeyQuery", "APIKeyCookie", "HTTPBearer", "HTTPBasic", "OAuth2PasswordBearer"],
)
def test_a_scheme_has_fastapis_parameters(name: str) -> None:
    ours, expected = (
        [
            (parameter.name, parameter.kind, parameter.default)
            for parameter in inspect.signature(getattr(module, name)).parameters.values()
        ]
        for module in (security, theirs)
    )
    assert ours == expected


# Where FastAPI's is weak

UNAUTHORIZED = Refusal(401, "Not authenticated", "Bearer")
DIFFERENT: list[tuple[Make, Headers, Any, Any]] = [
    (SCHEMES["oauth2"], authorized("Bearer"), UNAUTHORIZED, ""),
    (SCHEMES["oauth2"], authorized("Bearer "), UNAUTHORIZED, ""),
    (SCHEMES["oauth2"], [*authorized("Bearer a"), *authorized("Bearer b")], UNAUTHORIZED, "a"),
    (
        SCHEMES["bearer"],
        [*authorized("Bearer a"), *authorized("Bearer b")],
        UNAUTHORIZED,
        {"scheme": "Bearer", "credentials": "a"},
    ),
    (
        SCHEMES["basic, optional"],
        basic("änn:geheimnis€"),
        {"username": "änn", "password": "geheimnis€"},
        Refusal(401, "Not authenticated", "Basic"),
    ),
    (
        SCHEMES["basic, optional"],
        authorized("Basic YW5u!!OnNlY3JldA=="),
        Refusal(401, "Not authenticated", 'Basic realm="", charset="UTF-8"'),
        {"username": "ann", "password": "secret"},
    ),
    (
        SCHEMES["basic, optional"],
        basic("ann:sec\x00ret"),
        Refusal(401, "Not authenticated", 'Basic realm="", charset="UTF-8"'),
        {"username": "ann", "password": "sec\x00ret"},
    ),
]


@pytest.mark.parametrize(("make", "headers", "ours", "expected"), DIFFERENT)
def test_a_scheme_does_better_than_fastapis(make: Make, headers: Headers, ours: Any, expected: Any) -> None:
    assert outcome(make(security), connection(headers=headers)) == ours
    assert outcome(make(theirs), connection(headers=headers)) == expected
