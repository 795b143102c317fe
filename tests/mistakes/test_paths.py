"""Paths that no route can have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.convertors import CONVERTOR_TYPES

from tests.mistakes.said import at_binding, at_declaration, says
from wsroute import APIWebSocketRoute, InvalidPathError, WebSocket, WebSocketRouter


async def empty(websocket: WebSocket) -> None: ...


@at_declaration(
    InvalidPathError,
    """
    the path 'items' does not start with '/'
      route 'items'
      MODULE.empty
      expected: a path from the root, such as '/rooms/{room_id}'
      remedy: write '/items'
    """,
)
def test_a_path_without_a_leading_slash(router: WebSocketRouter) -> None:
    router.add_api_websocket_route("items", empty)


@pytest.mark.parametrize("path", ["/{item}/{item}", "/{item}/{item:int}"])
def test_two_convertors_of_one_name(path: str) -> None:
    text = f"""
    the path {path!r} has two parameters 'item'
      route {path!r}
      MODULE.empty
      expected: a name of its own for each parameter, those of all prefixes included
      remedy: rename one of them
    """
    with says(InvalidPathError, text, empty):
        APIWebSocketRoute(path, empty)


@at_declaration(
    InvalidPathError,
    f"""
    the path '/{{item:integer}}' names an unknown convertor 'integer'
      route '/{{item:integer}}'
      MODULE.empty
      expected: one of {", ".join(CONVERTOR_TYPES)}
      remedy: correct it, or register it with starlette.convertors.register_url_convertor() before the route
    """,
)
def test_an_unknown_convertor(router: WebSocketRouter) -> None:
    router.add_api_websocket_route("/{item:integer}", empty)


@pytest.mark.parametrize("path", ["/{item: int}", "/{ item }", "/{item", "/item}", "/{}", "/{1}"])
def test_braces_that_are_no_parameter(path: str) -> None:
    text = f"""
    the path {path!r} has braces that are no parameter
      route {path!r}
      MODULE.empty
      expected: {{name}} or {{name:convertor}}, without spaces
      remedy: correct the parameter; Starlette would match the braces literally
    """
    with says(InvalidPathError, text, empty):
        APIWebSocketRoute(path, empty)


@at_binding(
    InvalidPathError,
    """
    the path is empty, and no router above it has a prefix
      route ''
      MODULE.empty
      expected: a path from the root, such as '/rooms/{room_id}'
      remedy: write '/', or give the router a prefix
    """,
)
def test_an_empty_path_without_a_prefix(router: WebSocketRouter) -> None:
    router.add_api_websocket_route("", empty)


def include_with(prefix: str) -> None:
    WebSocketRouter().include_router(WebSocketRouter(), prefix=prefix)


@pytest.mark.parametrize(
    ("prefix", "remedy"), [("/rooms/", "write '/rooms'"), ("rooms", "write '/rooms'"), ("/", "leave it out")]
)
@pytest.mark.parametrize(
    ("use", "where"), [(WebSocketRouter, "WebSocketRouter({!r})"), (include_with, "include_router(prefix={!r})")]
)
def test_a_prefix_that_does_not_fit_before_a_path(
    use: Callable[[str], Any], where: str, prefix: str, remedy: str
) -> None:
    text = f"""
    the prefix {prefix!r} does not fit before a path
      {where.format(prefix)}
      expected: a prefix that starts with '/' and does not end with one, such as '/rooms'
      remedy: {remedy}
    """
    with says(InvalidPathError, text, empty):
        use(prefix)


@at_declaration(
    InvalidPathError,
    """
    the path '/{room: int}' has braces that are no parameter
      WebSocketRouter('/{room: int}')
      expected: {name} or {name:convertor}, without spaces
      remedy: correct the parameter; Starlette would match the braces literally
    """,
)
def test_braces_in_a_prefix_that_are_no_parameter(router: WebSocketRouter) -> None:
    WebSocketRouter("/{room: int}")


@at_declaration(
    InvalidPathError,
    """
    the path '/{item}/rooms/{item}' has two parameters 'item'
      route '/{item}/rooms/{item}'
      MODULE.empty
      expected: a name of its own for each parameter, those of all prefixes included
      remedy: rename one of them
    """,
)
def test_a_name_of_the_path_that_a_prefix_has_too(router: WebSocketRouter) -> None:
    inner = WebSocketRouter("/rooms")
    inner.add_api_websocket_route("/{item}", empty)
    router.include_router(inner, prefix="/{item}")
