"""One route: its attributes, what it matches, and where it can be used."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.convertors import IntegerConvertor
from starlette.routing import BaseRoute, Host, Match, Mount, NoMatchFound, Router, WebSocketRoute
from starlette.types import ASGIApp, Scope

from tests.asgi import Peer
from tests.frameworks import FastAPI
from wsroute import (
    APIWebSocketRoute,
    Dependant,
    Depends,
    HTTPException,
    InvalidParameterError,
    InvalidPathError,
    Path,
    Query,
    UninjectedEndpointError,
    WebSocket,
    WebSocketRouter,
)
from wsroute.routing.layers import Layer
from wsroute.testing import connect_sync

pytestmark = pytest.mark.anyio


async def endpoint(websocket: WebSocket, item: int, q: str = "none") -> None:
    await websocket.accept()
    await websocket.send_json({"item": item, "q": q})


def scope_of(path: str, **more: Any) -> Scope:
    return {"type": "websocket", "path": path, "root_path": "", "headers": [], **more}


# --- What it is ----------------------------------------------------------------------------------------------------


def test_a_route_has_the_attributes_of_starlettes_and_fastapis() -> None:
    marker = Depends(lambda: None)
    route = APIWebSocketRoute("/items/{item:int}", endpoint, dependencies=[marker])

    assert isinstance(route, WebSocketRoute)
    assert (route.path, route.name, route.dependencies) == ("/items/{item:int}", "endpoint", [marker])
    assert route.endpoint == endpoint
    assert route.path_regex == re.compile("^/items/(?P<item>[0-9]+)$")
    assert route.path_format == "/items/{item}"
    assert [*route.param_convertors] == ["item"]
    assert isinstance(route.param_convertors["item"], IntegerConvertor)
    assert callable(route.app)
    assert isinstance(route.dependant, Dependant)
    assert (route.dependant.call, route.dependant.path) == (endpoint, "/items/{item:int}")
    assert [step.call for step in route.plan.calls] == [route.dependant.effects[0].call, endpoint]
    assert route.source.startswith("async def run(websocket):\n")


def test_a_route_takes_the_arguments_that_fastapis_takes() -> None:
    parameters = inspect.signature(APIWebSocketRoute).parameters
    names = ["path", "endpoint", "name", "dependencies", "dependency_overrides_provider"]

    assert [*parameters][: len(names)] == names
    assert [parameters[name].default for name in names] == [inspect.Parameter.empty] * 2 + [None] * 3
    by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    assert all(parameter.kind in by_name for parameter in [*parameters.values()][2:])


class Handler:
    async def __call__(self, websocket: WebSocket) -> None: ...

    async def method(self, websocket: WebSocket) -> None: ...


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (endpoint, "endpoint"),
        (functools.partial(endpoint, item=1), "endpoint"),
        (Handler(), "Handler"),
        (Handler().method, "method"),
    ],
)
def test_the_name_is_that_of_the_endpoint_unless_it_is_given(call: Callable[..., Any], name: str) -> None:
    assert APIWebSocketRoute("/items", call).name == name
    assert APIWebSocketRoute("/items", call, name="given").name == "given"


def test_the_list_of_the_caller_is_not_the_routes() -> None:
    dependencies = [Depends(lambda: None)]
    route = APIWebSocketRoute("/{item}", endpoint, dependencies=dependencies)
    dependencies.clear()

    assert len(route.dependencies) == len(route.dependant.effects) == 1


def test_the_url_is_made_of_the_name_and_the_parameters() -> None:
    route = APIWebSocketRoute("/items/{item:int}", endpoint)

    path = route.url_path_for("endpoint", item=7)
    assert (path, path.protocol) == ("/items/7", "websocket")
    for name, params in [("other", {"item": 7}), ("endpoint", {}), ("endpoint", {"item": 7, "more": 1})]:
        with pytest.raises(NoMatchFound):
            route.url_path_for(name, **params)


# --- What it matches -----------------------------------------------------------------------------------------------


def test_a_match_says_what_the_scope_is_to_be_updated_with() -> None:
    route = APIWebSocketRoute("/items/{item:int}", endpoint)
    match, child_scope = route.matches(scope_of("/items/7", path_params={"outer": "a"}))

    assert match is Match.FULL
    assert child_scope == {"endpoint": endpoint, "path_params": {"outer": "a", "item": 7}, "route": route}
    assert child_scope["route"] is route
    assert child_scope["endpoint"] is endpoint


def test_the_path_parameters_of_the_scope_are_not_touched() -> None:
    outer = {"outer": "a"}
    APIWebSocketRoute("/{item}", endpoint).matches(scope_of("/7", path_params=outer))
    assert outer == {"outer": "a"}


@pytest.mark.parametrize("path", ["/items", "/items/", "/items/a", "/items/7/", "/other/7", "", "/items/" + "9" * 5000])
def test_another_path_is_no_match(path: str) -> None:
    assert APIWebSocketRoute("/items/{item:int}", endpoint).matches(scope_of(path)) == (Match.NONE, {})


def test_the_path_below_a_mount_counts() -> None:
    route = APIWebSocketRoute("/{item}", endpoint)
    assert route.matches(scope_of("/mounted/7", root_path="/mounted"))[0] is Match.FULL


def test_a_request_is_no_match_and_binds_nothing() -> None:
    async def unmarked(websocket: WebSocket, items: list[str]) -> None: ...

    route = APIWebSocketRoute("/{item}", unmarked)
    assert route.matches({**scope_of("/7"), "type": "http"}) == (Match.NONE, {})
    with pytest.raises(InvalidParameterError):
        route.matches(scope_of("/other/path"))


@pytest.mark.parametrize("attribute", ["dependant", "plan", "source"])
def test_looking_at_what_a_route_has_become_binds_it(attribute: str) -> None:
    async def unmarked(websocket: WebSocket, items: list[str]) -> None: ...

    with pytest.raises(InvalidParameterError):
        getattr(APIWebSocketRoute("/items", unmarked), attribute)


def test_binding_again_changes_nothing() -> None:
    route = APIWebSocketRoute("/{item}", endpoint)
    bound = route.bind()
    route.matches(scope_of("/7"))
    assert route.bind() is bound


def test_an_empty_path_needs_a_prefix() -> None:
    async def empty(websocket: WebSocket) -> None: ...

    route = APIWebSocketRoute("", empty)
    with pytest.raises(InvalidPathError):
        route.bind()
    assert route.below(Layer("/items")).matches(scope_of("/items"))[0] is Match.FULL


# --- Where it can be used ------------------------------------------------------------------------------------------


def in_fastapi(route: BaseRoute) -> FastAPI:
    app = FastAPI()
    app.router.routes.append(route)
    return app


@pytest.mark.parametrize(
    ("make", "prefix"),
    [
        (lambda route: route, ""),
        (lambda route: Starlette(routes=[route]), ""),
        (lambda route: Router(routes=[route]), ""),
        (in_fastapi, ""),
        (lambda route: FastAPI(routes=[route]), ""),
        (lambda route: WebSocketRouter(routes=[route]), ""),
        (lambda route: WebSocketRouter("/prefix", routes=[route]), "/prefix"),
        (lambda route: Starlette(routes=[Mount("/mounted", route)]), "/mounted"),
        (lambda route: Starlette(routes=[Mount("/mounted", routes=[route])]), "/mounted"),
        (lambda route: Starlette(routes=[Host("testserver", route)]), ""),
    ],
    ids=[
        "alone",
        "Starlette",
        "Router",
        "FastAPI's router",
        "FastAPI",
        "WebSocketRouter",
        "below a prefix",
        "mounted",
        "in a Mount",
        "Host",
    ],
)
def test_a_route_is_served_by_whatever_serves_routes(make: Callable[[BaseRoute], ASGIApp], prefix: str) -> None:
    app = make(APIWebSocketRoute("/items/{item}", endpoint))
    with connect_sync(app, f"{prefix}/items/7?q=all") as websocket:
        assert websocket.receive_json() == {"item": 7, "q": "all"}


async def test_the_scope_tells_dependencies_about_the_route() -> None:
    seen: dict[str, Any] = {}

    async def dependency(websocket: WebSocket) -> None:
        seen.update(websocket.scope)

    async def endpoint(websocket: WebSocket, value: Annotated[None, Depends(dependency)]) -> None: ...

    route = APIWebSocketRoute("/items/{item}", endpoint)
    app = Starlette(routes=[route])
    await Peer("/items/7").serve(app)
    assert seen["route"] is route
    assert seen["endpoint"] is endpoint
    assert (seen["app"], seen["router"], seen["path_params"]) == (app, app.router, {"item": "7"})


async def test_a_parameter_of_a_mount_is_read_with_path() -> None:
    async def endpoint(websocket: WebSocket, tenant: Annotated[int, Path(gt=0)]) -> None:
        await websocket.accept()
        await websocket.send_json(tenant)

    app = Starlette(routes=[Mount("/{tenant}", routes=[APIWebSocketRoute("/items", endpoint)])])
    good, bad = Peer("/7/items"), Peer("/0/items")
    await good.serve(app)
    await bad.serve(app)
    assert good.frames == ["7"]
    assert bad.denial is not None
    assert (bad.denial.status, bad.denial.json()["detail"][0]["loc"]) == (422, ["path", "tenant"])


async def test_one_endpoint_on_two_routes_shares_nothing() -> None:
    async def shared(websocket: WebSocket, item: str) -> None:
        await websocket.accept()
        await websocket.send_json([item, websocket.scope["route"].path])

    routes = [APIWebSocketRoute("/{item}", shared), APIWebSocketRoute("/query", shared)]
    first, second = Peer("/a"), Peer("/query?item=b")
    app = Starlette(routes=routes[::-1])
    await first.serve(app)
    await second.serve(app)
    assert (first.frames, second.frames) == (['["a","/{item}"]'], ['["b","/query"]'])
    assert routes[0].dependant is not routes[1].dependant


@pytest.mark.parametrize(
    ("reject", "types"),
    [
        (None, ["websocket.http.response.start", "websocket.http.response.body"]),
        ("denial", ["websocket.http.response.start", "websocket.http.response.body"]),
        ("close", ["websocket.close"]),
        ("accept", ["websocket.accept", "websocket.close"]),
    ],
)
async def test_a_route_refuses_as_it_says(reject: Any, types: list[str]) -> None:
    async def refuses(websocket: WebSocket) -> None:
        raise HTTPException(401)

    peer = Peer("/")
    await peer.serve(APIWebSocketRoute("/", refuses, reject=reject))
    assert [message["type"] for message in peer.sent] == types


def make_route() -> APIWebSocketRoute:
    class Page(BaseModel):
        size: int = 10

    async def paged(websocket: WebSocket, page: Annotated[Page, Query()]) -> None: ...

    return APIWebSocketRoute("/items", paged)


def test_names_local_to_the_function_that_declares_are_known_when_it_has_returned() -> None:
    assert [field.name for field in make_route().dependant.query_params] == ["page"]


async def test_the_provider_of_a_route_is_asked_for_every_connection() -> None:
    class Provider:
        dependency_overrides: dict[Any, Callable[..., Any]] | None = None

    def original() -> str:
        return "original"

    async def says(websocket: WebSocket, value: Annotated[str, Depends(original)]) -> None:
        await websocket.accept()
        await websocket.send_text(value)

    provider = Provider()
    route = APIWebSocketRoute("/", says, dependency_overrides_provider=provider)
    for overrides, said in [(None, "original"), ({original: lambda: "other"}, "other"), ({}, "original")]:
        provider.dependency_overrides = overrides
        peer = Peer("/")
        await peer.serve(route)
        assert peer.frames == [said]


# --- Below other levels --------------------------------------------------------------------------------------------


def test_a_route_below_other_levels_is_another_route() -> None:
    route = APIWebSocketRoute("/items/{item}", endpoint)
    below = route.below(Layer("/{shop:int}", (Depends(lambda: None),)), Layer("/a"))

    assert (below.path, below.name, below.endpoint) == ("/{shop:int}/a/items/{item}", "endpoint", endpoint)
    assert [*below.param_convertors] == ["shop", "item"]
    assert (len(below.dependencies), len(route.dependencies), route.path) == (1, 0, "/items/{item}")
    assert type(below) is APIWebSocketRoute
    assert below.dependant.location.path == below.path


def test_a_route_below_levels_that_change_nothing_keeps_its_tree() -> None:
    route = APIWebSocketRoute("/items/{item}", endpoint)
    below = route.below(Layer())

    assert below.dependant is route.dependant
    assert below.bind() is not route.bind()
    assert below.path_regex is route.path_regex


# --- The endpoint cannot be called past its injection --------------------------------------------------------------


def test_the_endpoint_of_a_route_compares_and_hashes_like_the_function() -> None:
    injected: Any = APIWebSocketRoute("/items/{item}", endpoint).endpoint

    assert injected is not endpoint
    assert (injected == endpoint, endpoint == injected, injected != endpoint) == (True, True, False)
    assert injected == APIWebSocketRoute("/other/{item}", endpoint).endpoint
    assert injected != make_route().endpoint
    assert {endpoint: 1}[injected] == 1
    assert (injected.__wrapped__, injected.__name__, injected.__doc__) == (endpoint, "endpoint", endpoint.__doc__)
    assert repr(injected) == f"<{__name__}.endpoint, injected by wsroute>"


def test_an_unhashable_endpoint_can_still_be_hashed() -> None:
    class Unhashable(Handler):
        __hash__ = None  # type: ignore[assignment]  # how Python itself spells it

    assert isinstance(hash(APIWebSocketRoute("/", Unhashable()).endpoint), int)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((object(),), {"item": 1}),
        ((1, 2, 3), {}),
        (({"type": "http"}, None, None), {}),
        (({"type": "websocket"}, None), {"send": None}),
    ],
)
async def test_the_endpoint_of_a_route_is_not_called(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(UninjectedEndpointError, match=r"endpoint was called without its dependencies"):
        await APIWebSocketRoute("/{item}", endpoint).endpoint(*args, **kwargs)


async def test_a_route_that_is_rebuilt_from_the_endpoint_refuses() -> None:
    rebuilt = WebSocketRoute("/{item}", APIWebSocketRoute("/{item}", endpoint).endpoint)
    peer = Peer("/7")
    with pytest.raises(UninjectedEndpointError, match=r"router\.attach\(app\)"):
        await peer.serve(rebuilt)
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.json()) == (500, {"detail": "Internal Server Error"})
