"""Dependencies that outlive what they need, and lifetimes that do not exist."""

from __future__ import annotations

from collections.abc import AsyncIterator
from inspect import signature
from typing import Annotated, Any

import pytest

from tests.frameworks import fastapi
from tests.mistakes.said import at_declaration, get_limit, says
from wsroute import (
    APIWebSocketRoute,
    DependencyScopeError,
    Depends,
    WebSocket,
    WebSocketRouter,
    get_dependant,
)


async def short() -> AsyncIterator[int]:
    yield 1


@at_declaration(
    DependencyScopeError,
    """
    HERE.longer has scope='connection', and needs MODULE.short, which lives shorter: \
scope='function'
      route '/items'
      HERE.endpoint
         └─ HERE.longer
            └─ MODULE.short
      expected: a dependency that ends no later than what it needs
      remedy: give HERE.longer scope='function', or MODULE.short scope='connection'
    """,
)
def test_a_dependency_that_outlives_what_it_needs(router: WebSocketRouter) -> None:
    async def longer(short: Annotated[int, Depends(short, scope="function")]) -> AsyncIterator[int]:
        yield short

    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, value: Annotated[int, Depends(longer, scope="connection")]) -> None: ...


@at_declaration(
    DependencyScopeError,
    """
    HERE.longer has scope='request', and needs MODULE.short, which lives shorter: \
scope='function'
      route '/items'
      HERE.endpoint
         └─ HERE.longer
            └─ HERE.between
               └─ MODULE.short
      expected: a dependency that ends no later than what it needs
      remedy: give HERE.longer scope='function', or MODULE.short scope='request'
    """,
)
def test_the_one_that_lives_shorter_is_named_even_if_others_are_between(router: WebSocketRouter) -> None:
    async def between(short: Annotated[int, Depends(short, scope="function")]) -> int:
        return short

    async def longer(between: Annotated[int, Depends(between)]) -> AsyncIterator[int]:
        yield between

    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, value: Annotated[int, Depends(longer, scope="request")]) -> None: ...


def scoped_of_fastapi(dependency: Any, scope: Any) -> Any:
    if "scope" not in signature(fastapi.Depends).parameters:
        pytest.skip("this release of FastAPI has no scopes")
    return fastapi.Depends(dependency, scope=scope)


UNKNOWN_SCOPE = """
    scope={0} is no lifetime
      route '/items'
      HERE.endpoint
         parameter 'limit'
      expected: one of 'app', 'connection', 'request', 'function', 'message'
      remedy: leave scope= out for the whole connection, or write scope="function"
    """


@pytest.mark.parametrize("scope", ["session", "messages", 3, ["function"]], ids=repr)
@pytest.mark.parametrize("depends", [Depends, scoped_of_fastapi], ids=["wsroute", "fastapi"])
def test_a_lifetime_that_does_not_exist(scope: Any, depends: Any) -> None:
    async def endpoint(websocket: WebSocket, limit: int = depends(get_limit, scope=scope)) -> None: ...

    text = UNKNOWN_SCOPE.format(repr(scope))
    with says(DependencyScopeError, text, test_a_lifetime_that_does_not_exist):
        APIWebSocketRoute("/items", endpoint)


@at_declaration(
    DependencyScopeError,
    """
    scope='session' is no lifetime
      route '/items'
      HERE.endpoint
         └─ tests.mistakes.said.get_limit
      expected: one of 'app', 'connection', 'request', 'function', 'message'
      remedy: leave scope= out for the whole connection, or write scope="function"
    """,
)
def test_a_lifetime_that_does_not_exist_in_dependencies(router: WebSocketRouter) -> None:
    scope: Any = "session"

    @router.websocket("/items", dependencies=[Depends(get_limit, scope=scope)])
    async def endpoint(websocket: WebSocket) -> None: ...


@at_declaration(
    DependencyScopeError,
    """
    scope='session' is no lifetime
      route '/items'
      tests.mistakes.said.get_limit
      expected: one of 'app', 'connection', 'request', 'function', 'message'
      remedy: leave scope= out for the whole connection, or write scope="function"
    """,
)
def test_a_lifetime_that_does_not_exist_in_get_dependant(router: WebSocketRouter) -> None:
    get_dependant(path="/items", call=get_limit, scope="session")


@at_declaration(
    DependencyScopeError,
    """
    HERE.pool has scope='app', and 'size' is of one connection
      route '/items'
      HERE.endpoint
         └─ HERE.pool
            parameter 'size'
      expected: a dependency that needs nothing of a connection, since all of them share its value
      remedy: leave scope= out, or get it from another dependency with scope='app'
    """,
)
def test_a_value_of_the_application_that_reads_the_handshake(router: WebSocketRouter) -> None:
    def pool(size: int = 10) -> int:
        return size

    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, pool: Annotated[int, Depends(pool, scope="app")]) -> None: ...


@at_declaration(
    DependencyScopeError,
    """
    HERE.pool has scope='app', and 'websocket' is of one connection
      route '/items'
      HERE.endpoint
         └─ HERE.pool
            parameter 'websocket'
      expected: a dependency that needs nothing of a connection, since all of them share its value
      remedy: leave scope= out, or get it from another dependency with scope='app'
    """,
)
def test_a_value_of_the_application_that_takes_the_socket(router: WebSocketRouter) -> None:
    def pool(websocket: WebSocket) -> int:
        return 1

    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, pool: Annotated[int, Depends(pool, scope="app")]) -> None: ...


@at_declaration(
    DependencyScopeError,
    """
    HERE.pool has scope='app', and needs MODULE.limit_of_connection, which lives shorter: scope='connection'
      route '/items'
      HERE.endpoint
         └─ HERE.pool
            └─ MODULE.limit_of_connection
      expected: a dependency that ends no later than what it needs
      remedy: give HERE.pool scope='connection', or MODULE.limit_of_connection scope='app'
    """,
)
def test_a_value_of_the_application_that_needs_one_of_a_connection(router: WebSocketRouter) -> None:
    def pool(limit: Annotated[int, Depends(limit_of_connection)]) -> int:
        return limit

    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, pool: Annotated[int, Depends(pool, scope="app")]) -> None: ...


def limit_of_connection() -> int:
    return 10


@at_declaration(
    DependencyScopeError,
    """
    MODULE.limit_of_connection has scope='app' and use_cache=False, which are opposites: it is built once for the \
application
      route '/items'
      HERE.endpoint
         └─ MODULE.limit_of_connection
      expected: one of the two
      remedy: remove use_cache=False or scope='app'
    """,
)
def test_a_value_of_the_application_for_each_use(router: WebSocketRouter) -> None:
    pool = Depends(limit_of_connection, scope="app", use_cache=False)

    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, pool: Annotated[int, pool]) -> None: ...


@at_declaration(
    DependencyScopeError,
    """
    MODULE.limit_of_connection has scope='app' and max_concurrency=, which are opposites: it is built once for the \
application
      route '/items'
      HERE.endpoint
         └─ MODULE.limit_of_connection
      expected: one of the two
      remedy: remove max_concurrency= or scope='app'
    """,
)
def test_a_value_of_the_application_for_few_connections(router: WebSocketRouter) -> None:
    pool = Depends(limit_of_connection, scope="app", max_concurrency=3)

    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, pool: Annotated[int, pool]) -> None: ...
