"""What is common to all mistakes."""

from __future__ import annotations

from typing import Annotated

import pytest

from tests.mistakes.said import Filter
from wsroute import (
    APIWebSocketRoute,
    DependencyError,
    Depends,
    InvalidParameterError,
    Query,
    WebSocket,
)


def test_the_parts_of_a_message_are_attributes_of_the_error() -> None:
    async def dependency(limit: Annotated[int, Query(3)]) -> None: ...

    async def endpoint(websocket: WebSocket, value: Annotated[None, Depends(dependency)]) -> None: ...

    with pytest.raises(DependencyError) as raised:
        APIWebSocketRoute("/items", endpoint)
    here = f"{__name__}.test_the_parts_of_a_message_are_attributes_of_the_error.<locals>"
    error = raised.value
    assert (error.location.path, error.location.chain, error.location.parameter) == (
        "/items",
        (f"{here}.endpoint", f"{here}.dependency"),
        "limit",
    )
    assert (error.problem, error.expected, error.remedy) == (
        "a default inside of Annotated",
        "the default after the annotation, where Python puts it",
        "write limit: Annotated[...] = 3",
    )


def test_an_open_question_does_not_hide_a_mistake_behind_it() -> None:
    async def endpoint(websocket: WebSocket, filter: Filter, limit: Annotated[int, Query(3)]) -> None: ...

    with pytest.raises(InvalidParameterError, match="a default inside of Annotated"):
        APIWebSocketRoute("/items", endpoint)
