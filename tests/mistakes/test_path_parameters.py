"""Parameters that the path gives, and something else as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest

from tests.mistakes.said import at_binding, at_declaration, says
from wsroute import (
    APIWebSocketRoute,
    Cookie,
    Depends,
    Header,
    InvalidParameterError,
    Path,
    Query,
    WebSocket,
    WebSocketRouter,
)

PATH_DEFAULT = """
    the path parameter 'item' has a default
      route '/items/{item}'
      HERE.endpoint
         parameter 'item'
      expected: none: without it the path does not match, so it is always there
      remedy: remove the default, or add a route for the path without it
    """


@at_declaration(InvalidParameterError, PATH_DEFAULT)
def test_a_default_on_a_path_parameter(router: WebSocketRouter) -> None:
    @router.websocket("/items/{item}")
    async def endpoint(websocket: WebSocket, item: int = 3) -> None: ...


@at_declaration(InvalidParameterError, PATH_DEFAULT)
def test_a_default_after_path(router: WebSocketRouter) -> None:
    @router.websocket("/items/{item}")
    async def endpoint(websocket: WebSocket, item: Annotated[int, Path()] = 3) -> None: ...


@at_declaration(InvalidParameterError, PATH_DEFAULT)
def test_a_default_in_path(router: WebSocketRouter) -> None:
    @router.websocket("/items/{item}")
    async def endpoint(websocket: WebSocket, item: int = Path(3)) -> None: ...


@at_declaration(InvalidParameterError, PATH_DEFAULT)
def test_a_default_factory_in_path(router: WebSocketRouter) -> None:
    @router.websocket("/items/{item}")
    async def endpoint(websocket: WebSocket, item: Annotated[int, Path(default_factory=int)]) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    the path parameter 'item' has a default
      route '/items/{item}'
      HERE.endpoint
         └─ HERE.dependency
            parameter 'item'
      expected: none: without it the path does not match, so it is always there
      remedy: remove the default, or add a route for the path without it
    """,
)
def test_a_default_after_path_in_a_dependency(router: WebSocketRouter) -> None:
    async def dependency(item: Annotated[int, Path()] = 3) -> None: ...

    @router.websocket("/items/{item}")
    async def endpoint(websocket: WebSocket, value: Annotated[None, Depends(dependency)]) -> None: ...


def test_a_dependency_may_have_a_default_for_a_name_that_only_some_paths_have() -> None:
    async def dependency(item: int = 3) -> int:
        return item

    async def endpoint(websocket: WebSocket, item: Annotated[int, Depends(dependency)]) -> None: ...

    assert APIWebSocketRoute("/items", endpoint).dependant.dependencies[0].query_params[0].required is False
    assert APIWebSocketRoute("/items/{item}", endpoint).dependant.dependencies[0].path_params[0].required is True


@pytest.mark.parametrize(("marker", "name"), [(Query, "Query"), (Header, "Header"), (Cookie, "Cookie")])
def test_another_marker_on_a_name_of_the_path(marker: Callable[[], Any], name: str) -> None:
    async def endpoint(websocket: WebSocket, item: Annotated[int, marker()]) -> None: ...

    text = f"""
    {name}() on a name of the path
      route '/items/{{item}}'
      HERE.endpoint
         parameter 'item'
      expected: Path(), since the path '/items/{{item}}' has {{item}}
      remedy: use Path(), or rename the parameter and give it alias=
    """
    with says(InvalidParameterError, text, test_another_marker_on_a_name_of_the_path):
        APIWebSocketRoute("/items/{item}", endpoint)


@at_binding(
    InvalidParameterError,
    """
    Query() on a name of the path
      route '/rooms/{room}/items'
      HERE.endpoint
         parameter 'room'
      expected: Path(), since the path '/rooms/{room}/items' has {room}
      remedy: use Path(), or rename the parameter and give it alias=
    """,
)
def test_another_marker_on_a_name_of_a_prefix(router: WebSocketRouter) -> None:
    inner = WebSocketRouter()

    @inner.websocket("/items")
    async def endpoint(websocket: WebSocket, room: Annotated[int, Query()]) -> None: ...

    router.include_router(inner, prefix="/rooms/{room}")
