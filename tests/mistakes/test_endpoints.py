"""Endpoints that no connection can be given to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from starlette.endpoints import WebSocketEndpoint

from tests.mistakes.said import Plain, at_declaration, get_limit
from wsroute import (
    EndpointError,
    WebSocket,
    WebSocketRouter,
)


@at_declaration(
    EndpointError,
    """
    the endpoint is synchronous
      route '/items'
      HERE.endpoint
      expected: a coroutine function, which can wait for messages
      remedy: declare it with async def, without yield
    """,
)
def test_a_sync_endpoint(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    def endpoint(websocket: WebSocket) -> None: ...


@at_declaration(
    EndpointError,
    """
    the endpoint is a generator function
      route '/items'
      HERE.endpoint
      expected: a coroutine function, which can wait for messages
      remedy: declare it with async def, without yield
    """,
)
def test_a_generator_endpoint(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    def endpoint(websocket: WebSocket) -> Iterator[str]:
        yield ""


@at_declaration(
    EndpointError,
    """
    the endpoint is an async generator function
      route '/items'
      HERE.endpoint
      expected: a coroutine function, which can wait for messages
      remedy: declare it with async def, without yield
    """,
)
def test_an_async_generator_endpoint(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket) -> AsyncIterator[str]:
        yield ""


@at_declaration(
    EndpointError,
    """
    the endpoint is a context manager function
      route '/items'
      HERE.endpoint
      expected: a coroutine function, which can wait for messages
      remedy: declare it with async def, without yield
    """,
)
def test_a_context_manager_endpoint(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    @contextmanager
    def endpoint(websocket: WebSocket) -> Iterator[str]:
        yield ""


@at_declaration(
    EndpointError,
    """
    the endpoint is an async context manager function
      route '/items'
      HERE.endpoint
      expected: a coroutine function, which can wait for messages
      remedy: declare it with async def, without yield
    """,
)
def test_an_async_context_manager_endpoint(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    @asynccontextmanager
    async def endpoint(websocket: WebSocket) -> AsyncIterator[str]:
        yield ""


@at_declaration(
    EndpointError,
    """
    the endpoint is a class
      route '/items'
      HERE.Endpoint
      expected: a coroutine function, which can wait for messages
      remedy: hand over an async def function, an instance with an async __call__, or a WebSocketListener
    """,
)
def test_a_class_as_endpoint(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    class Endpoint(WebSocketEndpoint): ...


@at_declaration(
    EndpointError,
    """
    the endpoint is synchronous
      route '/items'
      partial(tests.mistakes.said.get_limit)
      expected: a coroutine function, which can wait for messages
      remedy: declare it with async def, without yield
    """,
)
def test_a_sync_partial_as_endpoint(router: WebSocketRouter) -> None:
    router.add_api_websocket_route("/items", partial(get_limit))


@at_declaration(
    EndpointError,
    """
    the endpoint <tests.mistakes.said.Plain object> cannot be called
      route '/items'
      expected: a coroutine function
      remedy: hand over the function itself
    """,
)
def test_an_endpoint_that_is_not_callable(router: WebSocketRouter) -> None:
    router.add_api_websocket_route("/items", Plain())  # type: ignore[arg-type]  # the mistake
