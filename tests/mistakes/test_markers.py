"""Markers that contradict themselves, or stand where they are not read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.frameworks import fastapi, needs_fastapi
from tests.mistakes.said import at_declaration, get_limit, says
from wsroute import (
    APIWebSocketRoute,
    Depends,
    Header,
    InvalidParameterError,
    Query,
    WebSocket,
    WebSocketRouter,
)
from wsroute.dependencies.callables import show


@at_declaration(
    InvalidParameterError,
    """
    a marker in Annotated and another one, Depends(get_limit), as the default
      route '/items'
      HERE.endpoint
         parameter 'limit'
      expected: one marker
      remedy: keep the one in Annotated
    """,
)
def test_depends_in_annotated_and_as_the_default(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(
        websocket: WebSocket, limit: Annotated[int, Depends(get_limit)] = Depends(get_limit)
    ) -> None: ...


@at_declaration(
    InvalidParameterError,
    f"""
    a marker in Annotated and another one, {show(fastapi.Depends(get_limit))}, as the default
      route '/items'
      HERE.endpoint
         parameter 'limit'
      expected: one marker
      remedy: keep the one in Annotated
    """,
)
def test_fastapis_depends_next_to_ours(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, limit: Annotated[int, Query()] = fastapi.Depends(get_limit)) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    a default inside of Annotated
      route '/items'
      HERE.endpoint
         parameter 'limit'
      expected: the default after the annotation, where Python puts it
      remedy: write limit: Annotated[...] = 3
    """,
)
def test_a_default_inside_of_annotated(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, limit: Annotated[int, Query(3)]) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    a default, 3, and a default_factory
      route '/items'
      HERE.endpoint
         parameter 'limit'
      expected: one of the two
      remedy: remove one of them
    """,
)
def test_a_default_and_a_default_factory(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, limit: Annotated[int, Query(default_factory=int)] = 3) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    a marker inside of the type, where it would not be read
      route '/items'
      HERE.endpoint
         parameter 'limit'
      expected: the marker around the whole type
      remedy: write Annotated[X | None, ...] for Annotated[X, ...] | None
    """,
)
def test_a_marker_inside_of_a_union(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, limit: Annotated[int, Header()] | None = None) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    a pydantic Field() as the default
      route '/items'
      HERE.endpoint
         parameter 'limit'
      expected: a marker that says where the value comes from, or a value
      remedy: write Query() for Field(), or limit: Annotated[..., Field(...)]
    """,
)
def test_a_field_of_pydantic_as_the_default(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, limit: int = Field(3)) -> None: ...


BODY = """
    {0}() reads a body
      route '/items'
      HERE.endpoint
         parameter 'item'
      expected: Path, Query, Header or Cookie: the handshake has no body (RFC 6455, section 4.1)
      remedy: send it in the query string, or as the first message
    """


@needs_fastapi
@pytest.mark.parametrize("marker", [fastapi.Body, fastapi.Form, fastapi.File])
def test_a_marker_of_fastapi_that_reads_a_body(marker: Callable[[], Any]) -> None:
    async def endpoint(websocket: WebSocket, item: Annotated[str, marker()]) -> None: ...

    text = BODY.format(marker.__name__)
    with says(InvalidParameterError, text, test_a_marker_of_fastapi_that_reads_a_body):
        APIWebSocketRoute("/items", endpoint)


UNCALLED = """
    {0} stands there without a call
      route '/items'
      HERE.endpoint
         parameter 'item'
      expected: a marker, which calling {0} makes
      remedy: write {0}()
    """


@at_declaration(InvalidParameterError, UNCALLED.format("Query"))
def test_a_marker_that_is_not_called(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, item: Annotated[str, Query]) -> None: ...


@at_declaration(InvalidParameterError, UNCALLED.format("Depends"))
@needs_fastapi
def test_a_marker_of_fastapi_that_is_not_called(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, item: Any = fastapi.Depends) -> None: ...


MANY = """
    a marker on '{0}', which takes any number of values
      route '/items'
      HERE.endpoint
         parameter '{0}'
      expected: a parameter that takes one value
      remedy: remove the asterisks, or the marker
    """


@at_declaration(InvalidParameterError, MANY.format("args"))
def test_a_marker_on_any_number_of_positions(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, *args: Annotated[str, Query()]) -> None: ...


@at_declaration(InvalidParameterError, MANY.format("kwargs"))
def test_a_marker_on_any_number_of_names(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, **kwargs: Annotated[int, Depends(get_limit)]) -> None: ...
