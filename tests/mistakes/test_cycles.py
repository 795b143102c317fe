"""Dependencies that need themselves."""

from __future__ import annotations

from typing import Annotated

from tests.mistakes.said import at_declaration, says
from wsroute import (
    DependencyCycleError,
    Depends,
    WebSocket,
    WebSocketRouter,
)
from wsroute.testing import connect_sync


async def itself(value: Annotated[int, Depends(lambda: 0)], again: Annotated[int, Depends(itself)]) -> int:
    return 0


@at_declaration(
    DependencyCycleError,
    """
    a dependency needs itself: MODULE.itself -> MODULE.itself
      route '/items'
      HERE.endpoint
         └─ MODULE.itself
            └─ MODULE.itself
      expected: a tree
      remedy: remove one Depends of MODULE.itself, or move what they share to a third
    """,
)
def test_a_dependency_that_needs_itself(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, value: Annotated[int, Depends(itself)]) -> None: ...


async def first(value: Annotated[int, Depends(second)]) -> int:
    return 0


async def second(value: Annotated[int, Depends(third)]) -> int:
    return 0


async def third(value: Annotated[int, Depends(first)]) -> int:
    return 0


@at_declaration(
    DependencyCycleError,
    """
    a dependency needs itself: MODULE.first -> MODULE.second -> \
MODULE.third -> MODULE.first
      route '/items'
      HERE.endpoint
         └─ MODULE.first
            └─ MODULE.second
               └─ MODULE.third
                  └─ MODULE.first
      expected: a tree
      remedy: remove one Depends of MODULE.first, MODULE.second, \
MODULE.third, or move what they share to a third
    """,
)
def test_three_dependencies_that_need_each_other(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, value: Annotated[int, Depends(first)]) -> None: ...


@at_declaration(
    DependencyCycleError,
    """
    a dependency needs itself: MODULE.itself -> MODULE.itself
      WebSocketRouter('/rooms')
         └─ MODULE.itself
            └─ MODULE.itself
      expected: a tree
      remedy: remove one Depends of MODULE.itself, or move what they share to a third
    """,
)
def test_a_dependency_of_a_router_that_needs_itself(router: WebSocketRouter) -> None:
    WebSocketRouter("/rooms", dependencies=[Depends(itself)])


def test_a_cycle_that_comes_with_an_override_is_raised_when_the_set_is_first_used() -> None:
    async def settings() -> int:
        return 1

    async def session(settings: Annotated[int, Depends(settings)]) -> int:
        return settings

    router = WebSocketRouter()

    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, session: Annotated[int, Depends(session)]) -> None:
        await websocket.accept()
        await websocket.send_json(session)

    test = test_a_cycle_that_comes_with_an_override_is_raised_when_the_set_is_first_used
    router.dependency_overrides[settings] = itself
    router.check()
    for _ in range(2):
        with says(DependencyCycleError, CYCLE_BY_OVERRIDE, test), connect_sync(router, "/items"):
            raise AssertionError("accepted")

    router.dependency_overrides.clear()
    with connect_sync(router, "/items") as websocket:
        assert websocket.receive_json() == 1


CYCLE_BY_OVERRIDE = """
    a dependency needs itself: MODULE.itself -> MODULE.itself
      route '/items'
      HERE.endpoint
         └─ HERE.session
            └─ MODULE.itself
               └─ MODULE.itself
      expected: a tree
      remedy: remove one Depends of MODULE.itself, or move what they share to a third
    """
