"""Defaults that no connection can get."""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

import pytest
from pydantic import BaseModel, Field

from tests.mistakes.said import at_declaration
from wsroute import Depends, InvalidParameterError, Query, WebSocket, WebSocketRouter


class Single:
    """One of its kind."""

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("there is only one")


class Bounds(BaseModel):
    low: int = 0
    high: int = Field(default_factory=lambda data: data["low"] + 1)


@at_declaration(
    InvalidParameterError,
    """
    the default cannot be copied, as it is for each connection: there is only one
      route '/items'
      HERE.endpoint
         parameter 'limit'
      expected: a default that copy.deepcopy() takes, so that connections do not share it
      remedy: get it from a dependency, with Depends(...)
    """,
)
def test_a_default_that_cannot_be_copied(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, limit: Annotated[Any, Query()] = Single()) -> None: ...


@pytest.mark.skipif(
    not hasattr(Field(), "default_factory_takes_validated_data"), reason="this pydantic has no such factories"
)
@at_declaration(
    InvalidParameterError,
    """
    a default_factory that takes the other fields
      route '/items'
      HERE.endpoint
         └─ MODULE.Bounds
            parameter 'high'
      expected: one without parameters: the values of a handshake are found before there is an object
      remedy: give the field another default, or make the object in a function
    """,
)
def test_a_default_that_is_made_from_other_fields(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, bounds: Annotated[Bounds, Depends()]) -> None: ...
