"""Parameters whose types no source can fill."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Json

from tests.mistakes.said import Filter, Plain, at_binding, at_declaration, said_by_pydantic
from wsroute import (
    APIWebSocketRoute,
    Depends,
    Header,
    InvalidParameterError,
    Query,
    WebSocket,
    WebSocketRouter,
)


@at_binding(
    InvalidParameterError,
    """
    'filter' is Filter and carries no marker
      route '/items'
      HERE.endpoint
         parameter 'filter'
      expected: a marker, since only scalars are read from the query string by themselves, and a handshake has no body
      remedy: write Annotated[Filter, Query()] to read it from the query string, \
Annotated[Filter, Depends(...)] if it is a dependency, or Annotated[Filter, Payload()] if it is the message of a \
listener
    """,
)
def test_a_model_without_a_marker(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, filter: Filter) -> None: ...


@at_binding(
    InvalidParameterError,
    """
    'tags' is list[str] and carries no marker
      route '/items'
      HERE.endpoint
         parameter 'tags'
      expected: a marker, since only scalars are read from the query string by themselves, and a handshake has no body
      remedy: write Annotated[list[str], Query()] to read it from the query string, \
Annotated[list[str], Depends(...)] if it is a dependency, or Annotated[list[str], Payload()] if it is the message of a \
listener
    """,
)
def test_a_list_without_a_marker(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, tags: list[str]) -> None: ...


@at_binding(
    InvalidParameterError,
    """
    'settings' is dict[str, int] and carries no marker
      route '/items'
      HERE.endpoint
         parameter 'settings'
      expected: a marker, since only scalars are read from the query string by themselves, and a handshake has no body
      remedy: write Annotated[dict[str, int], Json, Query()] to read it from the query string, \
Annotated[dict[str, int], Depends(...)] if it is a dependency, or Annotated[dict[str, int], Payload()] if it is the \
message of a listener
    """,
)
def test_a_dict_without_a_marker_is_told_what_a_query_string_can_carry(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, settings: dict[str, int]) -> None: ...


def test_what_the_remedy_for_a_dict_says_works() -> None:
    async def endpoint(websocket: WebSocket, settings: Annotated[dict[str, int], Json, Query()]) -> None: ...

    APIWebSocketRoute("/items", endpoint).bind()


@at_declaration(
    InvalidParameterError,
    """
    'filter' is Filter and carries no marker
      route '/items'
      HERE.endpoint
         └─ HERE.dependency
            parameter 'filter'
      expected: a marker, since only scalars are read from the query string by themselves, and a handshake has no body
      remedy: write Annotated[Filter, Query()] to read it from the query string, \
Annotated[Filter, Depends(...)] if it is a dependency, or Annotated[Filter, Payload()] if it is the message of a \
listener
    """,
)
def test_nothing_outside_provides_the_unmarked_parameter_of_a_dependency(router: WebSocketRouter) -> None:
    async def dependency(filter: Filter) -> None: ...

    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, dependency: Annotated[None, Depends(dependency)]) -> None: ...


@at_binding(
    InvalidParameterError,
    """
    nothing tells how to make Plain of what a handshake carries
      route '/items'
      HERE.endpoint
         parameter 'plain'
      expected: a type that pydantic can validate, or a marker
      remedy: if 'plain' is a dependency, write Annotated[Plain, Depends(...)]
    """,
)
def test_a_class_of_which_pydantic_knows_nothing(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, plain: Plain) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    nothing tells how to make Plain of what a handshake carries
      route '/items'
      HERE.endpoint
         parameter 'plain'
      expected: a type that pydantic can validate, or a marker
      remedy: if 'plain' is a dependency, write Annotated[Plain, Depends(...)]
    """,
)
def test_a_class_of_which_pydantic_knows_nothing_with_a_marker(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, plain: Annotated[Plain, Query()]) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    a path parameter cannot carry list[str]
      route '/items/{items}'
      HERE.endpoint
         parameter 'items'
      expected: a scalar; or Annotated[..., Json] for one that is sent as JSON
      remedy: change the type of 'items', or get it from a dependency with Depends(...)
    """,
)
def test_a_path_parameter_that_is_a_list(router: WebSocketRouter) -> None:
    @router.websocket("/items/{items}")
    async def endpoint(websocket: WebSocket, items: list[str]) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    a header parameter cannot carry dict[str, str]
      route '/items'
      HERE.endpoint
         parameter 'extra'
      expected: a scalar, a list of scalars, or a pydantic model; or Annotated[..., Json] for one that is sent as JSON
      remedy: change the type of 'extra', or get it from a dependency with Depends(...)
    """,
)
def test_a_header_that_is_a_dict(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, extra: Annotated[dict[str, str], Header()]) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    'x-größe' is no name of a header
      route '/items'
      HERE.endpoint
         parameter 'size'
      expected: a name of ASCII characters (RFC 9110, section 5.1)
      remedy: give it another alias
    """,
)
def test_a_header_with_an_alias_that_no_header_has(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, size: Annotated[str, Header(alias="X-Größe")]) -> None: ...


@at_declaration(
    InvalidParameterError,
    f"""
    pydantic refuses int as it is declared: {said_by_pydantic(Annotated[int, Field(gt="one")])}
      route '/items'
      HERE.endpoint
         parameter 'limit'
      expected: a type with constraints and metadata that fit it
      remedy: correct the declaration
    """,
)
def test_a_constraint_that_does_not_fit_the_type(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, limit: Annotated[int, Query(gt="one")]) -> None: ...
