"""Security scopes: who gets which, and which uses of a dependency they keep apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import pytest
from starlette.requests import Request

from tests.handshakes import handshake
from wsroute import APIWebSocketRoute, Depends, HTTPConnection, HTTPException, Security, SecurityScopes
from wsroute.testing import Peer

SEEN: list[list[str]] = []


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()


async def scopes_here(scopes: SecurityScopes) -> list[str]:
    SEEN.append(scopes.scopes)
    return scopes.scopes


def connect(endpoint: Any, dependencies: Iterable[Any] = (), target: str = "/", **options: Any) -> Peer:
    return handshake(APIWebSocketRoute("/", endpoint, dependencies=list(dependencies)), target, **options)


def test_a_dependency_sees_the_scopes_that_were_asked_for() -> None:
    async def endpoint(scopes: Annotated[Any, Security(scopes_here, scopes=["read", "write"])]) -> None: ...

    connect(endpoint)

    assert SEEN == [["read", "write"]]


def test_outer_scopes_come_first_and_each_once() -> None:
    async def middle(scopes: Annotated[Any, Security(scopes_here, scopes=["b", "a", "c"])]) -> None: ...

    async def outer(middle: Annotated[None, Security(middle, scopes=["c", "d"])]) -> None: ...

    async def endpoint(outer: Annotated[None, Security(outer, scopes=["a", "a", "e"])]) -> None: ...

    connect(endpoint)

    assert SEEN == [["a", "e", "c", "d", "b"]]


def test_depends_hands_on_the_scopes_from_above() -> None:
    async def middle(scopes: Annotated[Any, Depends(scopes_here)]) -> None: ...

    async def endpoint(middle: Annotated[None, Security(middle, scopes=["a"])]) -> None: ...

    connect(endpoint)

    assert SEEN == [["a"]]


def test_siblings_do_not_see_each_others_scopes() -> None:
    async def endpoint(
        first: Annotated[Any, Security(scopes_here, scopes=["a"])],
        second: Annotated[Any, Security(scopes_here, scopes=["b"])],
        third: Annotated[Any, Depends(scopes_here)],
    ) -> None: ...

    connect(endpoint)

    assert SEEN == [["a"], ["b"], []]


def test_an_endpoint_has_no_scopes_of_its_own() -> None:
    async def endpoint(scopes: SecurityScopes, scoped: Annotated[Any, Security(scopes_here, scopes=["a"])]) -> None:
        SEEN.append(scopes.scopes)

    connect(endpoint)

    assert SEEN == [["a"], []]


def test_a_dependency_of_the_route_sees_its_scopes() -> None:
    async def endpoint() -> None: ...

    connect(endpoint, [Security(scopes_here, scopes=["a"])])

    assert SEEN == [["a"]]


def test_the_same_scopes_are_one_use() -> None:
    async def endpoint(
        first: Annotated[Any, Security(scopes_here, scopes=["a", "b"])],
        second: Annotated[Any, Security(scopes_here, scopes=("a", "b"))],
        third: Annotated[Any, Security(scopes_here, scopes=["a"])],
    ) -> None:
        assert first is second

    connect(endpoint)

    assert SEEN == [["a", "b"], ["a"]]


def test_scopes_keep_no_uses_apart_where_nobody_looks_at_them() -> None:
    calls: list[str] = []

    async def settings() -> None:
        calls.append("settings")

    async def user(settings: Annotated[None, Depends(settings)], scopes: SecurityScopes) -> None:
        calls.append("user")

    async def endpoint(
        reader: Annotated[None, Security(user, scopes=["read"])],
        writer: Annotated[None, Security(user, scopes=["write"])],
        scoped: Annotated[None, Security(settings, scopes=["settings"])],
    ) -> None: ...

    connect(endpoint)

    assert calls == ["settings", "user", "user"]


def test_a_use_without_cache_is_a_use_of_its_own() -> None:
    async def endpoint(
        first: Annotated[Any, Security(scopes_here, scopes=["a"])],
        second: Annotated[Any, Security(scopes_here, scopes=["a"], use_cache=False)],
    ) -> None: ...

    connect(endpoint)

    assert SEEN == [["a"], ["a"]]


def test_security_without_scopes_is_depends() -> None:
    async def endpoint(scopes: Annotated[Any, Security(scopes_here)]) -> None: ...

    connect(endpoint)

    assert SEEN == [[]]


def test_a_caller_cannot_change_the_scopes_of_a_route_later() -> None:
    asked = ["a"]
    marker = Security(scopes_here, scopes=asked)

    async def endpoint(scopes: Annotated[Any, marker]) -> None: ...

    asked.append("b")
    connect(endpoint)

    assert SEEN == [["a"]]


def test_connections_share_no_list_of_scopes() -> None:
    async def dependency(scopes: SecurityScopes) -> None:
        SEEN.append(list(scopes.scopes))
        scopes.scopes.append("changed")

    async def endpoint(value: Annotated[None, Security(dependency, scopes=["a"])]) -> None: ...

    app = APIWebSocketRoute("/", endpoint)
    handshake(app)
    handshake(app)

    assert SEEN == [["a"], ["a"]]


# Schemes: callable objects that read the handshake


class Scheme:
    """A security scheme as other packages write them."""

    async def __call__(self, request: Request) -> str:
        token = request.headers.get("authorization")
        if token is None:
            raise HTTPException(401, "Not authenticated", {"WWW-Authenticate": "Bearer"})
        return token


class ConnectionScheme:
    """The same, for both kinds of connections."""

    def __call__(self, connection: HTTPConnection) -> str:
        return connection.headers["authorization"]


@pytest.mark.parametrize("scheme", [Scheme(), ConnectionScheme()])
def test_a_scheme_reads_the_handshake(scheme: Any) -> None:
    got: list[str] = []

    async def endpoint(token: Annotated[str, Security(scheme)]) -> None:
        got.append(token)

    connect(endpoint, headers=[("authorization", "Bearer ann")])

    assert got == ["Bearer ann"]


def test_a_scheme_refuses_before_anything_is_validated() -> None:
    async def endpoint(token: Annotated[str, Security(Scheme())], limit: int) -> None: ...

    peer = connect(endpoint, target="/?limit=x")

    assert peer.denial is not None
    assert peer.denial.status == 401
    assert peer.denial.json() == {"detail": "Not authenticated"}
    assert peer.denial.header("www-authenticate") == ["Bearer"]


def test_an_override_of_a_scheme_sees_the_same_scopes() -> None:
    async def replacement(scopes: SecurityScopes) -> str:
        SEEN.append(scopes.scopes)
        return "override"

    class Provider:
        def __init__(self) -> None:
            self.dependency_overrides = {scopes_here: replacement}

    async def endpoint(scopes: Annotated[Any, Security(scopes_here, scopes=["a"])]) -> None:
        assert scopes == "override"

    handshake(APIWebSocketRoute("/", endpoint, dependency_overrides_provider=Provider()))

    assert SEEN == [["a"]]
