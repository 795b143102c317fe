"""Dependencies that cannot be called, or not be told from something else."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from tests.mistakes.said import Plain, at_declaration, get_limit, says
from wsroute import (
    APIWebSocketRoute,
    Depends,
    InvalidParameterError,
    Query,
    Security,
    WebSocket,
    WebSocketRouter,
)


@at_declaration(
    InvalidParameterError,
    """
    Depends() holds <tests.mistakes.said.Plain object>, which cannot be called
      route '/items'
      HERE.endpoint
         parameter 'limit'
      expected: a function, a class, or another callable
      remedy: hand over the callable itself, without calling it
    """,
)
def test_something_in_depends_that_cannot_be_called(router: WebSocketRouter) -> None:
    plain: Any = Plain()

    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, limit: Annotated[int, Depends(plain)]) -> None: ...


NOTHING_NAMED = """
    Depends() names no dependency, and the annotation is no class
      route '/items'
      HERE.endpoint
         parameter 'limit'
      expected: a callable in Depends(...), or a class as the annotation
      remedy: write Depends(your_dependency), or annotate 'limit' with the class to construct
    """


@at_declaration(InvalidParameterError, NOTHING_NAMED)
def test_depends_without_an_annotation(router: WebSocketRouter) -> None:
    async def endpoint(websocket, limit=Depends()):  # type: ignore[no-untyped-def]  # the mistake
        ...

    router.add_api_websocket_route("/items", endpoint)


@at_declaration(InvalidParameterError, NOTHING_NAMED)
def test_depends_on_a_union(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, limit: Plain | None = Depends()) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    dict has no signature that Python can tell
      route '/items'
      HERE.endpoint
         └─ dict
      expected: a callable whose parameters can be inspected
      remedy: wrap it in a function that names and annotates what it needs
    """,
)
def test_a_builtin_without_a_signature(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, settings: Annotated[dict[str, str], Depends(dict)]) -> None: ...


def test_an_unhashable_callable_is_no_mistake() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]  # how Python itself spells it

        def __call__(self, limit: int = 10) -> int:
            return limit

    async def endpoint(websocket: WebSocket, limit: Annotated[int, Depends(Unhashable())]) -> None: ...

    assert [field.name for field in APIWebSocketRoute("/items", endpoint).dependant.dependencies[0].params] == ["limit"]


DEPENDENCIES = """
    dependencies= holds {0}
      route '/items'
      HERE.endpoint
      expected: Depends(...) or Security(...) with a callable inside
      remedy: write dependencies=[Depends(your_dependency)]
    """


@at_declaration(InvalidParameterError, DEPENDENCIES.format("tests.mistakes.said.get_limit"))
def test_dependencies_without_depends(router: WebSocketRouter) -> None:
    @router.websocket("/items", dependencies=[get_limit])
    async def endpoint(websocket: WebSocket) -> None: ...


@at_declaration(InvalidParameterError, DEPENDENCIES.format("Security(scopes=('items',))"))
def test_dependencies_that_name_nothing(router: WebSocketRouter) -> None:
    @router.websocket("/items", dependencies=[Security(scopes=["items"])])
    async def endpoint(websocket: WebSocket) -> None: ...


@at_declaration(InvalidParameterError, DEPENDENCIES.format("Depends('get_limit')"))
def test_dependencies_that_cannot_be_called(router: WebSocketRouter) -> None:
    name: Any = "get_limit"

    @router.websocket("/items", dependencies=[Depends(name)])
    async def endpoint(websocket: WebSocket) -> None: ...


@at_declaration(InvalidParameterError, DEPENDENCIES.format("Query(3, alias='n')"))
def test_dependencies_that_are_parameters(router: WebSocketRouter) -> None:
    @router.websocket("/items", dependencies=[Query(3, alias="n")])
    async def endpoint(websocket: WebSocket) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    dependencies= is Depends(get_limit)
      route '/items'
      HERE.endpoint
      expected: a list of Depends(...) or Security(...), or a mapping of names to Inject(...)
      remedy: put it into a list
    """,
)
def test_dependencies_that_are_no_list(router: WebSocketRouter) -> None:
    @router.websocket("/items", dependencies=Depends(get_limit))
    async def endpoint(websocket: WebSocket) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    dependencies= holds tests.mistakes.said.get_limit
      WebSocketRouter('/rooms')
      expected: Depends(...) or Security(...) with a callable inside
      remedy: write dependencies=[Depends(your_dependency)]
    """,
)
def test_dependencies_of_a_router_without_depends(router: WebSocketRouter) -> None:
    WebSocketRouter("/rooms", dependencies=[get_limit])


@at_declaration(
    InvalidParameterError,
    """
    dependencies= holds tests.mistakes.said.get_limit
      include_router(prefix='/rooms')
      expected: Depends(...) or Security(...) with a callable inside
      remedy: write dependencies=[Depends(your_dependency)]
    """,
)
def test_dependencies_of_an_inclusion_without_depends(router: WebSocketRouter) -> None:
    router.include_router(WebSocketRouter(), prefix="/rooms", dependencies=[get_limit])


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "3"])
def test_a_limit_that_is_none(size: Any) -> None:
    text = f"""
    max_concurrency={size!r} is no limit
      expected: a whole number from 1, or None for no limit
      remedy: write Depends(..., max_concurrency=10)
    """
    with says(InvalidParameterError, text, test_a_limit_that_is_none):
        Depends(get_limit, max_concurrency=size)
