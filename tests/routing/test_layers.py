"""Levels: each checked when it is declared, and folded into what a route is."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from tests.frameworks import FastAPI
from wsroute import (
    APIWebSocketRoute,
    Depends,
    InvalidParameterError,
    InvalidPathError,
    Query,
    RouterError,
    WebSocketRouter,
)
from wsroute.dependencies.analysis import Analysis
from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import Location
from wsroute.routing.layers import Folded, Layer, Reject, fold, layer_above, read_layer

LOCATION = Location(chain=("level",))


def test_paths_and_dependencies_are_folded_outermost_first_and_providers_nearest_first() -> None:
    outer, its_provider, inner = FastAPI(), FastAPI(), FastAPI()
    folded = fold(
        [
            Layer("/a", ("outer",), (outer, its_provider), "close"),
            Layer("/b", ("between", "too")),
            Layer("/{c}", ("inner",), (inner,)),
        ]
    )
    assert (folded.path, folded.dependencies, folded.providers, folded.policy.reject) == (
        "/a/b/{c}",
        ("outer", "between", "too", "inner"),
        (inner, outer, its_provider),
        "close",
    )


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ((), "denial"),
        ((None, None), "denial"),
        (("close", None), "close"),
        ((None, "accept"), "accept"),
        (("close", "accept"), "accept"),
        (("close", "denial"), "denial"),
    ],
)
def test_the_innermost_level_that_says_so_decides_how_connections_are_refused(
    said: tuple[Reject | None, ...], counts: Reject
) -> None:
    assert fold([Layer(reject=reject) for reject in said]).policy.reject == counts


def test_the_nearest_level_that_says_a_close_timeout_counts() -> None:
    assert fold([Layer()]).policy.close_timeout == 5
    assert fold([Layer(close_timeout=1), Layer(), Layer(close_timeout=0.5)]).policy.close_timeout == 0.5
    assert fold([Layer(close_timeout=1), Layer()]).policy.close_timeout == 1


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_close_timeout_that_is_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(RouterError, match=r"close_timeout=.* is no time\. It is a number of seconds above 0\."):
        read_layer(LOCATION, close_timeout=seconds, names=LocalNames())


def test_a_close_timeout_reaches_the_session_from_every_level() -> None:
    async def endpoint() -> None: ...

    inner = WebSocketRouter("/inner", close_timeout=2)
    inner.add_api_websocket_route("/a", endpoint)
    inner.websocket("/b", close_timeout=3)(endpoint)
    outer = WebSocketRouter(close_timeout=1, routes=[APIWebSocketRoute("/c", endpoint, close_timeout=4)])
    outer.include_router(inner)
    outer.add_api_websocket_route("/d", endpoint)

    policies = [route._policy.close_timeout for route in outer.routes if isinstance(route, APIWebSocketRoute)]

    assert policies == [4, 2, 3, 1]


def test_no_level_changes_when_it_is_folded() -> None:
    layers = [Layer("/a", ("outer",)), Layer("/b", ("inner",))]
    assert isinstance(fold(layers), Folded)
    assert (fold(layers[:1]).path, fold(layers[1:]).path) == ("/a", "/b")


def test_a_way_to_refuse_that_does_not_exist_is_an_error() -> None:
    reject: Any = "never"
    with pytest.raises(RouterError):
        read_layer(LOCATION, reject=reject, names=LocalNames())


def test_a_provider_without_overrides_is_an_error() -> None:
    with pytest.raises(RouterError) as raised:
        read_layer(LOCATION, dependency_overrides_provider=Folded, names=LocalNames())
    assert str(raised.value) == (
        "dependency_overrides_provider= is wsroute.routing.layers.Folded, which has no dependency_overrides. It takes "
        "an object with such a mapping, like a FastAPI application or a router."
    )


@pytest.mark.parametrize(
    ("dependencies", "listed"),
    [(None, ()), ([], ()), ([1, 2], (1, 2)), ((1,), (1,))],
    ids=["none", "no", "list", "tuple"],
)
def test_dependencies_are_copied_in_their_order(dependencies: Any, listed: tuple[Any, ...]) -> None:
    copied = read_layer(LOCATION, dependencies=dependencies, names=LocalNames()).dependencies
    if isinstance(dependencies, list):
        dependencies.append("later")
    assert copied == listed


@pytest.mark.parametrize("dependencies", [Depends(len), {len}, 3])
def test_dependencies_without_an_order_are_an_error(dependencies: Any) -> None:
    with pytest.raises(InvalidParameterError) as raised:
        read_layer(LOCATION, dependencies=dependencies, names=LocalNames())
    assert raised.value.location is LOCATION


def test_a_level_above_checks_its_prefix_and_its_dependencies() -> None:
    with pytest.raises(InvalidPathError):
        layer_above(LOCATION, path="rooms", names=LocalNames())
    with pytest.raises(InvalidParameterError):
        layer_above(LOCATION, path="/rooms", dependencies=[len], names=LocalNames())


def test_a_level_above_keeps_what_it_was_given() -> None:
    marker, provider = Depends(lambda: None), FastAPI()
    layer = layer_above(
        LOCATION,
        path="/rooms",
        dependencies=[marker],
        dependency_overrides_provider=provider,
        reject="accept",
        names=LocalNames(),
    )

    assert (layer.path, layer.dependencies, layer.providers, layer.reject) == (
        "/rooms",
        (marker,),
        (provider,),
        "accept",
    )


def make_layer() -> tuple[Layer, Any]:
    class Limit(BaseModel):
        value: int = 10

    async def dependency(limit: Annotated[Limit, Query()], late: Any) -> int:
        return limit.value

    # So that the signature is not complete yet, and not remembered.
    dependency.__annotations__["late"] = "Annotated[Any, Depends(later)]"
    return layer_above(LOCATION, dependencies=[Depends(dependency)], names=LocalNames(sys._getframe())), dependency


def test_a_level_above_captures_the_local_names_of_its_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, dependency = make_layer()
    monkeypatch.setitem(globals(), "later", lambda: None)
    tree = Analysis("/items", fold([layer, Layer()]).names).endpoint(endpoint, layer.dependencies)
    assert tree.effects[0].call is dependency


async def endpoint() -> None: ...


async def handler(text: str) -> None: ...


async def ticks() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    "declare",
    [
        lambda **options: WebSocketRouter(**options),
        lambda **options: APIWebSocketRoute("/", endpoint, **options),
        lambda **options: WebSocketRouter().websocket("/", **options)(endpoint),
        lambda **options: WebSocketRouter().add_api_websocket_route("/", endpoint, **options),
        lambda **options: WebSocketRouter().listener("/", **options)(handler),
        lambda **options: WebSocketRouter().stream("/", **options)(ticks),
    ],
)
def test_an_option_that_there_is_not_is_not_passed_over(declare: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"argument 'max_size'. What can be said about messages is max_message_size, "):
        declare(max_size=1024)
