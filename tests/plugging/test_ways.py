"""Each way to plug in, for each kind of route: that nothing of the injection is lost on the way."""

from __future__ import annotations

import json
from functools import cache
from itertools import product
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import NoMatchFound

from tests.asgi import Denial, Peer
from tests.frameworks import HAS_FASTAPI, FastAPI, fastapi, needs_fastapi
from tests.plugging.kinds import EXPECTED, GATEWAYS, KINDS, Trouble, get_value, note_application, plug
from tests.plugging.ways import ALONE, WAYS, Plugged, Way, mounted_in_an_included_router, running
from wsroute import WebSocket

pytestmark = pytest.mark.anyio

FRAMEWORKS = {"Starlette": Starlette, "FastAPI": FastAPI} if HAS_FASTAPI else {"Starlette": Starlette}
in_an_application = pytest.mark.parametrize(("framework", "way", "kind"), [*product(FRAMEWORKS, WAYS, KINDS)])
alone = pytest.mark.parametrize(("way", "kind"), [*product(ALONE, KINDS)])
#: For what has nothing to do with the event loop.
on_one_loop = pytest.mark.parametrize("anyio_backend", ["asyncio"])


async def answer(websocket: WebSocket, exc: Exception) -> JSONResponse:
    return JSONResponse(f"trouble {exc}", 409)


@cache  # what is plugged in serves all tests
def plugged(framework: str, way: str, kind: str) -> Plugged:
    """An application that a kind of route is plugged into."""
    options: dict[str, Any] = {"exception_handlers": {Trouble: answer}}
    if framework == "FastAPI":
        options["dependencies"] = [fastapi.Depends(note_application)]
    return WAYS[way].plug(FRAMEWORKS[framework], plug(kind), **options)


async def talk(it: Plugged, way: Way, query: str = "", **headers: str) -> Peer:
    """A client that says something in room 7 and leaves."""
    known = {"host": "testserver", "user": "ann", "authorization": "Bearer t", **headers}
    async with running(it.served) as state:
        peer = Peer(
            f"{way.path}/rooms/7{query}",
            headers={name: value for name, value in known.items() if value},
            scope={"state": {**state, "calls": []}},
        )
        await peer.say("{}").leave().serve(it.served)
    return peer


def told(peer: Peer) -> Any:
    """What the client was told."""
    [frame] = peer.frames
    return json.loads(frame)


def refused(peer: Peer) -> Denial:
    """How the client was refused."""
    assert peer.denial is not None
    return peer.denial


@in_an_application
async def test_an_endpoint_gets_what_it_asks_for(framework: str, way: str, kind: str) -> None:
    assert told(await talk(plugged(framework, way, kind), WAYS[way])) == EXPECTED


@alone
async def test_an_endpoint_gets_what_it_asks_for_without_an_application(way: str, kind: str) -> None:
    expected = EXPECTED if ALONE[way].keeps_state else {**EXPECTED, "state": None}
    assert told(await talk(ALONE[way].plug(plug(kind)), ALONE[way])) == expected


@in_an_application
@on_one_loop
async def test_dependencies_run_from_the_outside_in(framework: str, way: str, kind: str) -> None:
    peer = await talk(plugged(framework, way, kind), WAYS[way])
    assert peer.scope["state"]["calls"] == ["application", "router"][0 if framework == "FastAPI" else 1 :]


@in_an_application
@on_one_loop
async def test_overrides_of_the_application_act(framework: str, way: str, kind: str) -> None:
    it = plugged(framework, way, kind)
    it.application.dependency_overrides = {get_value: lambda: "an override"}  # Starlette has none by itself
    try:
        assert told(await talk(it, WAYS[way])) == {**EXPECTED, "value": "an override"}
    finally:
        it.application.dependency_overrides = {}


@in_an_application
@on_one_loop
async def test_a_parameter_that_does_not_fit_is_refused(framework: str, way: str, kind: str) -> None:
    denial = refused(await talk(plugged(framework, way, kind), WAYS[way], "?trouble=maybe"))
    assert (denial.status, denial.json()["detail"][0]["loc"]) == (422, ["query", "trouble"])


@in_an_application
@on_one_loop
@pytest.mark.parametrize(
    ("headers", "status", "told", "challenge"),
    [
        ({"user": "eve"}, 403, "Ann alone may", []),
        ({"user": ""}, 401, "Who are you?", ["Name"]),
        ({"authorization": ""}, 401, "Not authenticated", ["Bearer"]),
        ({"origin": "http://evil.test"}, 403, "Origin not allowed", []),
    ],
    ids=["a permission", "a dependency", "a security scheme", "the check of origins"],
)
async def test_who_may_not_connect_is_refused(
    framework: str, way: str, kind: str, headers: dict[str, str], status: int, told: str, challenge: list[str]
) -> None:
    denial = refused(await talk(plugged(framework, way, kind), WAYS[way], **headers))
    assert (denial.status, denial.json()) == (status, {"detail": told})
    assert denial.header("www-authenticate") == challenge


@in_an_application
@on_one_loop
async def test_exception_handlers_of_the_application_are_asked(framework: str, way: str, kind: str) -> None:
    denial = refused(await talk(plugged(framework, way, kind), WAYS[way], "?trouble=yes"))
    assert (denial.status, denial.json()) == (409, "trouble in room 7")


@in_an_application
def test_the_application_knows_paths_by_the_names_of_routes(framework: str, way: str, kind: str) -> None:
    app: Any = plugged(framework, way, kind).served
    name = plug(kind).router.routes[0].name  # type: ignore[attr-defined]  # what is in there has one
    parameters = WAYS[way].parameters
    if parameters is None and kind not in GATEWAYS:  # Starlette does not look into what has no list of routes
        with pytest.raises(NoMatchFound):
            app.url_path_for(name, room=7)
    else:
        assert app.url_path_for(name, room=7, **(parameters or {})) == f"{WAYS[way].path}/rooms/7"


@needs_fastapi
@pytest.mark.parametrize("kind", KINDS)
async def test_a_mount_in_an_included_router_is_served_or_left_out_whole(kind: str) -> None:
    way = Way(mounted_in_an_included_router, "/api/ws")
    peer = await talk(way.plug(FastAPI, plug(kind)), way)
    if hasattr(fastapi.APIRouter, "_contains_router"):  # older releases leave out what they do not know
        assert told(peer) == EXPECTED
    else:
        assert peer.accepted is None
