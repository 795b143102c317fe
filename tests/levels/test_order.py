"""The order of everything that the levels of a route add: for every connection, whatever goes wrong and wherever.

`story()` is the specification as a program; the literal lists show that it tells what a person would expect.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from tests.asgi import Peer
from tests.frameworks import FastAPI
from tests.levels.recording import AROUND, LEVELS, Fault, Recorder
from tests.levels.story import story
from wsroute import WebSocket, WebSocketGateway, WebSocketRouter, WebSocketView, websocket

pytestmark = pytest.mark.anyio

ABOVE = ("router", "inclusion", "included")
#: The path of each kind of route, and the levels that it stands below, outermost first.
SHAPES = {
    "/router/inclusion/included/gateway/handler": (*ABOVE, "gateway", "handler"),
    "/router/inclusion/included/views/view/handler": (*ABOVE, "gateway", "view", "handler"),
    "/router/inclusion/included/route": (*ABOVE, "route"),
}
shapes = pytest.mark.parametrize(("target", "levels"), SHAPES.items(), ids=["handler", "view", "route"])


def application(recorder: Recorder) -> WebSocketRouter:
    """Every kind of route, below every kind of level."""

    @websocket("/handler", **recorder.level("handler"))
    async def handler(websocket: WebSocket) -> None:
        await recorder.endpoint(websocket)

    parts = recorder.level("view")

    class View(WebSocketView):
        path = "/view"
        dependencies = parts["dependencies"]
        middleware = parts["middleware"]
        interceptors = parts["interceptors"]
        permissions = parts["permissions"]
        exception_handlers = parts["exception_handlers"]

        @websocket("/handler", **recorder.level("handler"))
        async def method(self, websocket: WebSocket) -> None:
            await recorder.endpoint(websocket)

    included = WebSocketRouter(
        "/included",
        routes=[
            WebSocketGateway("/gateway", handler=handler, **recorder.level("gateway")),
            WebSocketGateway("/views", handler=View, **recorder.level("gateway")),
        ],
        **recorder.level("included"),
    )
    included.websocket("/route", **recorder.level("route"))(recorder.endpoint)
    router = WebSocketRouter("/router", **recorder.level("router"))
    router.include_router(included, prefix="/inclusion", **recorder.level("inclusion"))
    return router


def faults(levels: tuple[str, ...]) -> Iterator[Fault | None]:
    """Everything that can go wrong, everywhere."""
    yield None
    yield Fault("endpoint", "returns at once")
    yield Fault("endpoint", "http")
    for level in levels:
        yield Fault(f"middleware {level}", "refuses")
        yield Fault(f"interceptor {level}", "stops")
        yield Fault(f"permission {level}", "denies")
        yield from (Fault(f"{kind} {level}", "http") for kind in ("interceptor", "permission", "dependency"))
    for taken_by in (None, *levels):
        for handler_raises in {False, taken_by is not None}:
            yield Fault("endpoint", "raises", taken_by, handler_raises)
            yield Fault("endpoint", "raises accepted", taken_by, handler_raises)
        for level in levels:
            yield Fault(f"permission {level}", "raises", taken_by)
            for kind in AROUND:
                yield Fault(f"{kind} {level}", "raises", taken_by)
                yield Fault(f"{kind} {level}", "raises afterwards", taken_by)


def test_the_story_of_a_connection_that_is_accepted() -> None:
    assert story(("router", "gateway", "handler"), None) == [
        "middleware router in",
        "middleware gateway in",
        "middleware handler in",
        "interceptor router in",
        "interceptor gateway in",
        "interceptor handler in",
        "permission router",
        "permission gateway",
        "permission handler",
        "dependency router in",
        "dependency gateway in",
        "dependency handler in",
        "endpoint",
        "accepted",
        "closed 1000",
        "dependency handler out",
        "dependency gateway out",
        "dependency router out",
        "interceptor handler out",
        "interceptor gateway out",
        "interceptor router out",
        "middleware handler out",
        "middleware gateway out",
        "middleware router out",
    ]


def test_the_story_of_a_connection_that_is_denied() -> None:
    assert story(("router", "handler"), Fault("permission router", "denies")) == [
        "middleware router in",
        "middleware handler in",
        "interceptor router in",
        "interceptor handler in",
        "permission router",
        "interceptor handler out: HTTPException",
        "interceptor router out: HTTPException",
        "refused 403",
        "middleware handler out",
        "middleware router out",
    ]


def test_the_story_of_an_exception_that_a_handler_takes() -> None:
    assert story(("router", "handler"), Fault("dependency handler", "raises", "router")) == [
        "middleware router in",
        "middleware handler in",
        "interceptor router in",
        "interceptor handler in",
        "permission router",
        "permission handler",
        "dependency router in",
        "dependency handler in",
        "dependency router out: RouterProblem",
        "interceptor handler out: RouterProblem",
        "interceptor router out: RouterProblem",
        "handler of router: RouterProblem",
        "refused 500",
        "middleware handler out",
        "middleware router out",
    ]


def test_the_story_of_an_exception_that_no_handler_takes() -> None:
    assert story(("router", "handler"), Fault("endpoint", "raises accepted"))[8:] == [
        "endpoint",
        "accepted",
        "dependency handler out: Problem",
        "dependency router out: Problem",
        "interceptor handler out: Problem",
        "interceptor router out: Problem",
        "closed 1011",
        "middleware handler out: Problem",
        "middleware router out: Problem",
        "raised Problem",
    ]


def attached(recorder: Recorder) -> Starlette:
    """The same in an application of FastAPI."""
    app = FastAPI()
    application(recorder).attach(app)
    return app


def as_a_route(recorder: Recorder) -> Starlette:
    """The same among the routes of Starlette."""
    return Starlette(routes=[application(recorder)])


@shapes
@pytest.mark.parametrize("make", [application, attached, as_a_route])
async def test_a_route_does_what_the_story_tells_whatever_goes_wrong(
    make: Callable[[Recorder], ASGIApp], target: str, levels: tuple[str, ...]
) -> None:
    recorder = Recorder()
    app = make(recorder)
    wrong = [
        (str(fault), log, told)
        for fault in faults(levels)
        if (log := await recorder.serve(app, Peer(target), fault)) != (told := story(levels, fault))
    ]
    assert not wrong, wrong[0]


some_faults = pytest.mark.parametrize(
    "fault",
    [
        None,
        Fault("permission inclusion", "denies"),
        Fault("interceptor included", "stops"),
        Fault("permission included", "raises"),
        Fault("endpoint", "raises accepted", "included"),
        Fault("endpoint", "raises"),
        Fault("dependency router", "raises afterwards"),
        Fault("middleware included", "raises"),
    ],
    ids=str,
)


@shapes
@some_faults
async def test_the_hundredth_connection_is_like_the_first(
    target: str, levels: tuple[str, ...], fault: Fault | None
) -> None:
    recorder = Recorder()
    app = application(recorder)
    told = story(levels, fault)
    assert [await recorder.serve(app, Peer(target), fault) for _ in range(100)] == [told] * 100


@shapes
@some_faults
async def test_no_connection_leaves_cycles_behind(target: str, levels: tuple[str, ...], fault: Fault | None) -> None:
    recorder = Recorder()
    app = application(recorder)
    await recorder.serve(app, Peer(target), fault)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for _ in range(20):
            await recorder.serve(app, Peer(target), fault)
        assert gc.collect() == 0
    finally:
        gc.enable()
        gc.unfreeze()


async def test_routes_below_the_same_levels_serve_connections_in_turn() -> None:
    recorder = Recorder()
    app = application(recorder)
    for fault in (None, Fault("permission router", "denies"), Fault("endpoint", "raises", "included"), None):
        for target, levels in SHAPES.items():
            assert await recorder.serve(app, Peer(target), fault) == story(levels, fault)


async def test_what_one_level_lists_runs_in_that_order() -> None:
    recorder = Recorder()
    first, second = recorder.level("first"), recorder.level("second")
    both: dict[str, Any] = {kind: [*first[kind], *second[kind]] for kind in first if kind != "exception_handlers"}
    app = WebSocketGateway(handler=recorder.endpoint, **both)
    assert await recorder.serve(app, Peer("/")) == story(("first", "second"), None)


@pytest.mark.parametrize(
    ("anyio_backend", "native"),
    [("asyncio", False), ("asyncio", True), ("trio", False)],
    ids=["asyncio-scope", "asyncio-task", "trio-scope"],
)
@shapes
async def test_a_connection_can_be_cancelled_wherever_it_waits(
    target: str, levels: tuple[str, ...], native: bool
) -> None:
    recorder = Recorder()
    app = application(recorder)
    asked = [level for level in levels if level not in LEVELS[1::2]]  # the others are asked in threads
    places = [f"{kind} {level}" for kind in AROUND for level in levels] + [f"permission {level}" for level in asked]
    wrong = [Fault(place, "waits") for place in places]
    for fault in (*wrong, Fault("endpoint", "waits"), Fault("endpoint", "waits accepted")):
        recorder.waiting = anyio.Event()
        if native:
            task = asyncio.create_task(recorder.serve(app, Peer(target), fault))
            await recorder.waiting.wait()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        else:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(recorder.serve, app, Peer(target), fault)
                await recorder.waiting.wait()
                tasks.cancel_scope.cancel()
        assert recorder.log == story(levels, fault), fault
