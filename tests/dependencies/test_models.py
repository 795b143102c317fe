"""The tree as data."""

from __future__ import annotations

from typing import Annotated

import pytest

from wsroute import Cookie, Depends, Header, Path, Query, WebSocket
from wsroute.dependencies.analysis import Analysis
from wsroute.dependencies.models import Dependant, Special


def shared() -> None: ...


def left(shared: Annotated[None, Depends(shared)]) -> None: ...


def right(shared: Annotated[None, Depends(shared)]) -> None: ...


async def endpoint(
    websocket: WebSocket,
    left: Annotated[None, Depends(left)],
    room: Annotated[int, Path()],
    right: Annotated[None, Depends(right)],
    limit: Annotated[int, Query()],
    token: Annotated[str, Header()],
    visited: Annotated[str, Cookie()],
) -> None: ...


@pytest.fixture
def dependant() -> Dependant:
    return Analysis("/{room}").endpoint(endpoint, [Depends(shared)])


def test_parameters_by_their_source(dependant: Dependant) -> None:
    assert [field.name for field in dependant.path_params] == ["room"]
    assert [field.name for field in dependant.query_params] == ["limit"]
    assert [field.name for field in dependant.header_params] == ["token"]
    assert [field.name for field in dependant.cookie_params] == ["visited"]
    assert [field.name for field in dependant.params] == ["room", "limit", "token", "visited"]
    assert [(param.name, param.special) for param in dependant.special_params] == [("websocket", Special.WEBSOCKET)]


def test_dependencies_are_those_for_their_effect_then_those_of_the_signature(dependant: Dependant) -> None:
    assert [node.call for node in dependant.dependencies] == [shared, left, right]


def test_a_walk_meets_each_node_once_in_the_order_of_the_declarations(dependant: Dependant) -> None:
    assert [node.call for node in dependant.walk()] == [endpoint, shared, left, shared, right]
    assert len({id(node) for node in dependant.walk()}) == 5


def test_its_representation_shows_the_signature(dependant: Dependant) -> None:
    assert repr(dependant) == (f"<Dependant {__name__}.endpoint(websocket, left, room, right, limit, token, visited)>")


def test_it_cannot_be_changed(dependant: Dependant) -> None:
    with pytest.raises(AttributeError):
        dependant.use_cache = False  # type: ignore[misc]  # which is what is tested


def test_two_nodes_are_never_equal(dependant: Dependant) -> None:
    copy = dependant._replace()

    assert dependant == dependant
    assert dependant != copy
    assert not dependant == copy  # which is another method
    assert len({dependant, copy}) == 2
