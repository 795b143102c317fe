"""Annotations that cannot be evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel

from tests.dependencies.modules import module_of
from tests.mistakes.said import at_binding, at_declaration
from wsroute import (
    AnnotationError,
    Depends,
    Query,
    WebSocket,
    WebSocketRouter,
)

UNRESOLVED = """
    the annotation names 'User', which cannot be found
      route '/items'
      made.endpoint
         parameter 'user'
      expected: names of the module, or local names that exist when the route is declared
      remedy: import it outside of `if TYPE_CHECKING:`, or move it to the module, or define it before the route
    """


@at_binding(AnnotationError, UNRESOLVED)
def test_an_annotation_that_cannot_be_resolved(router: WebSocketRouter) -> None:
    with module_of("async def endpoint(websocket, user: 'User'): ...") as made:
        router.add_api_websocket_route("/items", made.endpoint)


@at_binding(AnnotationError, UNRESOLVED)
def test_an_import_for_type_checkers_only(router: WebSocketRouter) -> None:
    source = """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from users import User

        async def endpoint(websocket, user: User | None = None): ...
        """
    with module_of(source) as made:
        router.add_api_websocket_route("/items", made.endpoint)


@at_binding(AnnotationError, UNRESOLVED)
def test_depends_on_an_annotation_that_cannot_be_resolved(router: WebSocketRouter) -> None:
    source = """
        from wsroute import Depends

        async def endpoint(websocket, user: 'User' = Depends()): ...
        """
    with module_of(source) as made:
        router.add_api_websocket_route("/items", made.endpoint)


@at_binding(AnnotationError, UNRESOLVED.replace("'User'", "'get_user'"))
def test_a_dependency_in_an_annotation_that_cannot_be_resolved(router: WebSocketRouter) -> None:
    source = """
        from __future__ import annotations
        from typing import Annotated
        from wsroute import Depends

        async def endpoint(websocket, user: Annotated[str, Depends(get_user)]): ...
        """
    with module_of(source) as made:
        router.add_api_websocket_route("/items", made.endpoint)


@at_binding(
    AnnotationError,
    """
    the annotation names 'Limit', which cannot be found
      route '/items'
      HERE.endpoint
         └─ MODULE.make_dependency.<locals>.dependency
            parameter 'limit'
      expected: names of the module, or local names that exist when the route is declared
      remedy: import it outside of `if TYPE_CHECKING:`, or move it to the module, or define it before the route
    """,
)
def test_a_local_name_of_a_function_that_has_returned(router: WebSocketRouter) -> None:
    dependency = make_dependency()

    class Limit(BaseModel):
        """Has the name, and is not what `dependency` means."""

    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, limit: Annotated[int, Depends(dependency)]) -> None: ...


def make_dependency() -> Callable[..., Any]:
    class Limit(BaseModel):
        value: int = 10

    async def dependency(limit: Annotated[Limit, Query()]) -> int:
        return limit.value

    return dependency


@at_declaration(
    AnnotationError,
    """
    the annotation "'1 / 0'" cannot be evaluated: division by zero
      route '/items'
      HERE.endpoint
         parameter 'item'
      expected: an annotation that Python can evaluate
      remedy: correct the annotation
    """,
)
def test_an_annotation_that_fails(router: WebSocketRouter) -> None:
    async def endpoint(websocket: WebSocket, item: Any) -> None: ...

    endpoint.__annotations__["item"] = "'1 / 0'"
    router.add_api_websocket_route("/items", endpoint)
