"""Parameters that ask the connection for what it cannot give."""

from __future__ import annotations

from typing import Annotated

from anyio.abc import TaskGroup
from starlette.responses import JSONResponse

from tests.mistakes.said import at_binding, at_declaration
from wsroute import (
    Depends,
    InvalidParameterError,
    Query,
    WebSocket,
    WebSocketRouter,
)


@at_declaration(
    InvalidParameterError,
    """
    WebSocket is given by the connection, and a marker asks for something else
      route '/items'
      HERE.endpoint
         parameter 'websocket'
      expected: one of the two
      remedy: remove the marker, or change the annotation
    """,
)
def test_a_marker_on_what_the_connection_gives(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: Annotated[WebSocket, Query()]) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    JSONResponse is a response with a body, and a socket sends none
      route '/items'
      HERE.endpoint
         parameter 'response'
      expected: Response, whose headers and cookies go out with the accept or the refusal
      remedy: annotate with starlette.responses.Response; to refuse, raise HTTPException
    """,
)
def test_a_response_with_a_body(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, response: JSONResponse) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    a dependency asks for a TaskGroup
      route '/items'
      HERE.endpoint
         └─ HERE.dependency
            parameter 'tasks'
      expected: a TaskGroup in the signature of an endpoint: its tasks end before any dependency closes
      remedy: open a task group inside of the dependency, around its yield, or move the parameter
    """,
)
def test_a_task_group_in_a_dependency(router: WebSocketRouter) -> None:
    async def dependency(tasks: TaskGroup) -> None: ...

    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, started: Annotated[None, Depends(dependency)]) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    a dependency asks for a TaskGroup
      WebSocketRouter('/rooms')
         └─ HERE.dependency
            parameter 'tasks'
      expected: a TaskGroup in the signature of an endpoint: its tasks end before any dependency closes
      remedy: open a task group inside of the dependency, around its yield, or move the parameter
    """,
)
def test_a_task_group_in_a_dependency_of_a_router(router: WebSocketRouter) -> None:
    async def dependency(tasks: TaskGroup) -> None: ...

    WebSocketRouter("/rooms", dependencies=[Depends(dependency)])


@at_binding(
    InvalidParameterError,
    """
    HERE.Counted and HERE.Logged are asked for on one connection, which has one WebSocket
      route '/items'
      HERE.endpoint
         └─ HERE.count
            parameter 'websocket'
      expected: classes of which one is a subclass of all others
      remedy: annotate with a common subclass, or with WebSocket
    """,
)
def test_two_unrelated_classes_of_websocket(router: WebSocketRouter) -> None:
    class Logged(WebSocket): ...

    class Counted(WebSocket): ...

    async def count(websocket: Counted) -> None: ...

    @router.websocket("/items")
    async def endpoint(websocket: Logged, counted: Annotated[None, Depends(count)]) -> None: ...
