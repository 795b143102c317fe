"""`router.drain()`: what each kind of route sees of it, whose connections it ends, and who calls it."""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

import anyio
import pytest
from anyio import to_thread
from anyio.abc import TaskGroup
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.frameworks import FastAPI, fastapi
from wsroute import (
    APIWebSocketRoute,
    BackgroundTasks,
    BaseInterceptor,
    BasePermission,
    Depends,
    RouterError,
    WebSocket,
    WebSocketGateway,
    WebSocketListener,
    WebSocketRouter,
    on,
)
from wsroute.routing import lifespans
from wsroute.routing.draining import before_sigterm
from wsroute.testing import Peer
from wsroute.wire import draining as wire_draining

pytestmark = pytest.mark.anyio

RESTARTED = (1012, "Service restart")


class Journal(list[str]):
    """What happened, and the one thing that a test holds up."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = anyio.Event()

    async def handle(self, what: str) -> None:
        """Do something that lasts until the test lets it go on."""
        self.append(f"begin {what}")
        await self.goes_on.wait()
        await anyio.lowlevel.checkpoint()
        self.append(f"end {what}")


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def router(journal: Journal) -> WebSocketRouter:
    """A router whose connections open a dependency."""

    async def dependency() -> AsyncIterator[None]:
        journal.append("open")
        try:
            yield
        finally:
            journal.append("close")

    return WebSocketRouter(dependencies=[Depends(dependency)])


@asynccontextmanager
async def opened(app: ASGIApp, *frames: str, target: str = "/", **options: Any) -> AsyncIterator[Peer]:
    """A connection that its client opens, sends some frames on, and leaves only when it has been closed."""
    peer = Peer(target, **options)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.serve, app)
        for frame in frames:
            await anyio.wait_all_tasks_blocked()
            peer.say(frame)
        await anyio.wait_all_tasks_blocked()
        yield peer


@asynccontextmanager
async def drained_meanwhile(router: WebSocketRouter, deadline: float = 10) -> AsyncIterator[anyio.Event]:
    done = anyio.Event()

    async def call() -> None:
        await router.drain(deadline)
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        yield done


async def drained(router: WebSocketRouter, deadline: float = 10) -> None:
    with anyio.fail_after(5):
        await router.drain(deadline)


# Each kind of route: who waits for its client is closed at once


Declare = Callable[[WebSocketRouter, Journal], Any]


async def reply(websocket: WebSocket, journal: Journal) -> None:
    """Handle one message, some of them slowly."""
    text = await websocket.receive_text()
    if text == "slow":
        await journal.handle(text)
    await websocket.send_text(text)


def endpoint(router: WebSocketRouter, journal: Journal) -> None:
    @router.websocket("/")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await reply(websocket, journal)


class Transparent:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def endpoint_behind_middleware(router: WebSocketRouter, journal: Journal) -> None:
    @router.websocket("/", middleware=[Transparent])
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await reply(websocket, journal)


def endpoint_inside_an_interceptor(router: WebSocketRouter, journal: Journal) -> None:
    class Around(BaseInterceptor):
        async def intercept(self, websocket: WebSocket, call_next: Any) -> None:
            await call_next()

    @router.websocket("/", interceptors=[Around])
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await reply(websocket, journal)


def gateway(router: WebSocketRouter, journal: Journal) -> None:
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await reply(websocket, journal)

    router.add_route(WebSocketGateway("/", handler=echo))


def listener(router: WebSocketRouter, journal: Journal) -> None:
    @router.listener("/")
    async def echo(text: str) -> str:
        if text == "slow":
            await journal.handle(text)
        return text


def listener_with_timeouts(router: WebSocketRouter, journal: Journal) -> None:
    @router.listener("/", idle_timeout=1000, max_rate=(1000, 1), send_timeout=1000)
    async def echo(text: str) -> str:
        if text == "slow":
            await journal.handle(text)
        return text


def listener_that_is_cancelled(router: WebSocketRouter, journal: Journal) -> None:
    @router.listener("/", cancel_on_disconnect=True)
    async def echo(text: str) -> str:
        if text == "slow":
            await journal.handle(text)
        return text


def listener_that_reads_ahead(router: WebSocketRouter, journal: Journal) -> None:
    @router.listener("/", cancel_on_disconnect=True, read_ahead=3)
    async def echo(text: str) -> str:
        if text == "slow":
            await journal.handle(text)
        return text


def listener_of_a_class(router: WebSocketRouter, journal: Journal) -> None:
    @router.websocket("/")
    class Echo(WebSocketListener):
        @on
        async def echo(self, text: str) -> str:
            if text == "slow":
                await journal.handle(text)
            return text

        async def on_disconnect(self, code: int, reason: str) -> None:
            journal.append(f"{code} {reason}")


every_kind = pytest.mark.parametrize(
    "declare",
    [
        *(endpoint, endpoint_behind_middleware, endpoint_inside_an_interceptor, gateway, listener),
        *(listener_with_timeouts, listener_that_is_cancelled, listener_that_reads_ahead, listener_of_a_class),
    ],
)


@every_kind
async def test_who_waits_for_its_client_is_closed_at_once(
    router: WebSocketRouter, journal: Journal, declare: Declare
) -> None:
    declare(router, journal)

    async with opened(router) as fresh, opened(router, "hello") as talking:
        await drained(router, deadline=1000)
        assert (fresh.closed, talking.closed) == (RESTARTED, RESTARTED)
        assert journal.count("open") == journal.count("close") == 2
    assert (fresh.frames, talking.frames) == ([], ["hello"])


@pytest.mark.parametrize("before", [0, 1, 3])
@every_kind
async def test_a_message_that_is_handled_is_handled_to_its_end_and_the_next_ones_not(
    router: WebSocketRouter, journal: Journal, declare: Declare, before: int
) -> None:
    declare(router, journal)

    async with opened(router, "slow", *["next"] * before) as peer:
        async with drained_meanwhile(router, deadline=1000) as done:
            peer.say("next", "next", "next")
            await anyio.wait_all_tasks_blocked()
            assert (peer.frames, peer.closed, done.is_set()) == ([], None, False)
            journal.goes_on.set()
            await done.wait()
            assert journal[:3] == ["open", "begin slow", "end slow"]
            assert "close" in journal
    assert (peer.frames, peer.closed) == (["slow"], RESTARTED)


@every_kind
async def test_what_is_left_at_the_deadline_is_cancelled(
    router: WebSocketRouter, journal: Journal, declare: Declare
) -> None:
    declare(router, journal)

    async with opened(router, "slow") as peer:
        await drained(router, deadline=0.02)
        assert (peer.frames, peer.closed) == ([], RESTARTED)
        assert journal[:2] == ["open", "begin slow"]
        assert "end slow" not in journal


async def test_a_listeners_class_is_told_how_it_ended(router: WebSocketRouter, journal: Journal) -> None:
    listener_of_a_class(router, journal)

    async with opened(router), opened(router, "slow"), drained_meanwhile(router):
        journal.goes_on.set()
    assert journal.count("1012 Service restart") == 2


async def test_a_listeners_class_is_told_of_a_cancellation_too(router: WebSocketRouter, journal: Journal) -> None:
    listener_of_a_class(router, journal)

    async with opened(router, "slow") as peer:
        await drained(router, deadline=0)
    assert journal == ["open", "begin slow", "1012 Service restart", "close"]
    assert peer.closed == RESTARTED


async def test_what_is_told_of_the_end_comes_to_its_own_end(router: WebSocketRouter, journal: Journal) -> None:
    @router.websocket("/")
    class Leaving(WebSocketListener):
        @on
        async def echo(self, text: str) -> None: ...

        async def on_disconnect(self) -> None:
            await journal.handle("on_disconnect")

    async with opened(router) as peer:
        peer.leave()
        await anyio.wait_all_tasks_blocked()
        async with drained_meanwhile(router, deadline=0):
            # Past the deadline, when it would have been cancelled.
            await anyio.sleep(0.05)
            journal.goes_on.set()
    assert journal == ["open", "begin on_disconnect", "end on_disconnect", "close"]


@pytest.mark.parametrize("cancel_on_disconnect", [False, True])
async def test_on_connect_is_run_to_its_end(
    router: WebSocketRouter, journal: Journal, cancel_on_disconnect: bool
) -> None:
    @router.websocket("/", cancel_on_disconnect=cancel_on_disconnect)
    class Greeting(WebSocketListener):
        async def on_connect(self) -> str:
            await journal.handle("on_connect")
            return "welcome"

        @on
        async def echo(self, text: str) -> None:
            raise AssertionError("a message was handled")

    async with opened(router, "hello") as peer, drained_meanwhile(router, deadline=1000) as done:
        assert not done.is_set()
        journal.goes_on.set()
    assert (peer.frames, peer.closed) == (["welcome"], RESTARTED)


async def test_a_client_that_leaves_meanwhile_still_cancels_what_is_handled(
    router: WebSocketRouter, journal: Journal
) -> None:
    listener_that_is_cancelled(router, journal)

    async with opened(router, "slow") as peer, drained_meanwhile(router, deadline=1000):
        peer.leave()
    assert journal == ["open", "begin slow", "close"]


async def test_a_stream_is_closed_at_once(router: WebSocketRouter, journal: Journal) -> None:
    @router.stream("/")
    async def ticks() -> AsyncIterator[int]:
        try:
            yield 1
            await anyio.sleep_forever()
        finally:
            journal.append("end")

    async with opened(router) as peer:
        await drained(router, deadline=1000)
    assert (peer.frames, peer.closed) == (["1"], RESTARTED)
    assert journal == ["open", "end", "close"]


async def test_a_stream_whose_peer_does_not_read_is_not_waited_for(router: WebSocketRouter, journal: Journal) -> None:
    @router.stream("/", close_timeout=0.05)
    async def ticks() -> AsyncIterator[int]:
        yield 1
        peer.block()
        yield 2

    peer = Peer()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.serve, router)
        await anyio.wait_all_tasks_blocked()
        await drained(router, deadline=1000)
    assert peer.frames == ["1"]
    assert journal == ["open", "close"]


async def test_an_endpoint_that_never_receives_is_cancelled_at_the_deadline(
    router: WebSocketRouter, journal: Journal
) -> None:
    @router.websocket("/")
    async def ticks(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.send_text("tick")
            ticked.set()
            await anyio.sleep(0.005)

    peer, ticked = Peer(), anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.serve, router)
        await ticked.wait()
        await drained(router, deadline=0.05)
    assert peer.closed == RESTARTED
    assert len(peer.frames) > 2
    assert journal == ["open", "close"]


async def test_tasks_of_an_endpoint_are_gone_before_its_dependencies_are_closed(
    router: WebSocketRouter, journal: Journal
) -> None:
    async def tick() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            journal.append("task")

    @router.websocket("/")
    async def endpoint(websocket: WebSocket, tasks: TaskGroup) -> None:
        await websocket.accept()
        tasks.start_soon(tick)
        await websocket.receive_text()

    async with opened(router) as peer:
        await drained(router, deadline=1000)
    assert journal == ["open", "task", "close"]
    assert peer.closed == RESTARTED


async def test_background_tasks_run_to_their_end(router: WebSocketRouter, journal: Journal) -> None:
    @router.websocket("/")
    async def endpoint(websocket: WebSocket, background: BackgroundTasks) -> None:
        await websocket.accept()
        background.add_task(journal.handle, "task")

    async with opened(router) as peer, drained_meanwhile(router, deadline=0) as done:
        await anyio.sleep(0.05)
        assert not done.is_set()
        journal.goes_on.set()
    assert peer.closed == (1000, "")
    assert journal == ["open", "begin task", "end task", "close"]


# Who has not been accepted


def held_up_by_a_dependency(router: WebSocketRouter, journal: Journal) -> None:
    async def slow() -> None:
        await journal.handle("handshake")

    router.listener("/", dependencies=[Depends(slow)])(echo)


def held_up_by_a_permission(router: WebSocketRouter, journal: Journal) -> None:
    class Slow(BasePermission):
        async def has_permission(self, websocket: WebSocket, route: object) -> bool:
            await journal.handle("handshake")
            return True

    router.listener("/", permissions=[Slow])(echo)


def held_up_by_an_interceptor(router: WebSocketRouter, journal: Journal) -> None:
    class Slow(BaseInterceptor):
        async def intercept(self, websocket: WebSocket, call_next: Any) -> None:
            await journal.handle("handshake")
            await call_next()

    router.listener("/", interceptors=[Slow])(echo)


def held_up_by_middleware(router: WebSocketRouter, journal: Journal) -> None:
    class Slow:
        def __init__(self, app: ASGIApp) -> None:
            self._app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await journal.handle("handshake")
            await self._app(scope, receive, send)

    router.listener("/", middleware=[Slow])(echo)


def held_up_by_its_endpoint(router: WebSocketRouter, journal: Journal) -> None:
    @router.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        await journal.handle("handshake")
        await websocket.accept()
        raise AssertionError("it was accepted")


async def echo(text: str) -> str:
    raise AssertionError("a message was handled")


@pytest.mark.parametrize(
    "hold_up",
    [
        *(held_up_by_a_dependency, held_up_by_a_permission, held_up_by_an_interceptor, held_up_by_middleware),
        held_up_by_its_endpoint,
    ],
)
async def test_who_has_not_been_accepted_is_refused(
    router: WebSocketRouter, journal: Journal, hold_up: Declare
) -> None:
    hold_up(router, journal)

    async with opened(router) as peer, drained_meanwhile(router, deadline=1000):
        assert peer.sent == []
        journal.goes_on.set()
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.header("retry-after")) == (503, ["1"])
    assert journal.count("open") == journal.count("close")


async def test_who_comes_in_the_meantime_is_refused_and_runs_nothing(router: WebSocketRouter, journal: Journal) -> None:
    listener(router, journal)

    async with opened(router, "slow"), drained_meanwhile(router, deadline=1000):
        journal.clear()
        async with opened(router, headers={"origin": "https://evil.test"}) as peer:
            pass
        assert peer.denial is not None
        assert (peer.denial.status, peer.denial.json()) == (503, {"detail": "Service restart"})
        assert peer.denial.header("retry-after") == ["1"]
        assert journal == []
        journal.goes_on.set()


async def test_who_comes_afterwards_is_refused_too(router: WebSocketRouter, journal: Journal) -> None:
    listener(router, journal)
    await drained(router)

    for _ in range(2):
        async with opened(router) as peer:
            assert peer.denial is not None and peer.denial.status == 503


@pytest.mark.parametrize("reject", ["close", "accept"])
async def test_where_there_is_no_http_response_the_code_is_that_of_a_restart(reject: Any) -> None:
    router = WebSocketRouter(reject=reject)
    listener(router, Journal())
    await drained(router)

    async with opened(router) as peer:
        assert peer.closed == RESTARTED


# Whose connections


def waiting_router(path: str = "/", **level: Any) -> WebSocketRouter:
    """A router with one route, whose endpoint waits for its client."""
    router = WebSocketRouter(**level)
    router.websocket(path)(waiting)
    return router


async def waiting(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()


async def test_an_included_router_ends_its_own_wherever_it_is_included() -> None:
    inner, first, second, outermost = (WebSocketRouter() for _ in range(4))
    inner.websocket("/in")(waiting)
    first.websocket("/beside")(waiting)
    first.include_router(inner)
    second.include_router(inner, prefix="/second")
    outermost.include_router(second, prefix="/outermost")

    async with opened(first, target="/in") as one, opened(outermost, target="/outermost/second/in") as other:
        async with opened(first, target="/beside") as beside:
            await drained(inner)
            assert (one.closed, other.closed, beside.closed) == (RESTARTED, RESTARTED, None)
            for app, target in ((first, "/in"), (second, "/second/in"), (outermost, "/outermost/second/in")):
                async with opened(app, target=target) as late:
                    assert late.denial is not None and late.denial.status == 503
            async with opened(first, target="/beside") as late:
                assert late.accepted
                late.leave()
            beside.leave()


async def test_an_outer_router_ends_those_of_the_included_ones() -> None:
    inner, outer = WebSocketRouter("/inner"), WebSocketRouter()
    inner.websocket("/")(waiting)
    outer.websocket("/")(waiting)
    outer.include_router(inner)

    async with opened(outer) as one, opened(outer, target="/inner/") as other, opened(inner, target="/inner/") as alone:
        await drained(outer)
        assert (one.closed, other.closed, alone.closed) == (RESTARTED, RESTARTED, None)
        alone.leave()


async def test_a_route_of_somebody_elses_is_left_alone() -> None:
    router = WebSocketRouter()
    router.websocket("/")(waiting)
    other = APIWebSocketRoute("/", waiting)

    async with opened(other) as peer:
        await drained(router)
        assert peer.closed is None
        peer.leave()


async def test_a_drain_by_hand_ends_the_connections_of_all_applications() -> None:
    router = waiting_router()
    one, other = Starlette(), Starlette()
    router.attach(one)
    router.attach(other)

    async with opened(one) as first, opened(other) as second, opened(router) as third:
        await drained(router)
        assert [peer.closed for peer in (first, second, third)] == [RESTARTED] * 3


@pytest.mark.parametrize("middleware", [None, [Transparent]])
async def test_what_an_application_of_fastapi_puts_before_a_route_is_drained_with_it(
    journal: Journal, middleware: Any
) -> None:
    async def of_the_application(slow: bool = False) -> None:
        if slow:
            await journal.handle("dependency")

    def application() -> FastAPI:
        return FastAPI(dependencies=[fastapi.Depends(of_the_application)])

    app, later = application(), application()
    router = waiting_router(middleware=middleware)
    router.attach(app)

    async with opened(app) as peer, opened(app, target="/?slow=1") as slow, drained_meanwhile(router):
        assert peer.closed == RESTARTED
        for scope in ({}, {"app": later}):
            async with opened(router if scope else app, scope=scope) as late:
                assert late.denial is not None and late.denial.status == 503
        journal.goes_on.set()
    assert slow.denial is not None and slow.denial.status == 503
    async with started(app), opened(app) as peer:
        assert peer.accepted
        peer.leave()


async def test_drains_may_follow_each_other_and_overlap(router: WebSocketRouter, journal: Journal) -> None:
    listener(router, journal)

    async with opened(router, "slow") as peer:
        async with drained_meanwhile(router), drained_meanwhile(router), drained_meanwhile(router, deadline=1000):
            journal.goes_on.set()
        await drained(router)
    assert (peer.frames, peer.closed) == (["slow"], RESTARTED)


async def test_an_endpoint_may_drain_the_router_that_it_belongs_to(router: WebSocketRouter, journal: Journal) -> None:
    listener(router, journal)

    @router.listener("/admin")
    async def admin(text: str) -> str:
        await drained(router, deadline=1000)
        return "done"

    async with opened(router) as other, opened(router, "drain", target="/admin") as peer:
        pass
    assert (peer.frames, peer.closed, other.closed) == (["done"], RESTARTED, RESTARTED)


async def test_connections_of_another_event_loop_are_left_alone(anyio_backend: str) -> None:
    router, is_open, goes_on = WebSocketRouter(), threading.Event(), threading.Event()

    @router.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        is_open.set()
        await to_thread.run_sync(goes_on.wait, 5)

    there = Peer()
    thread = threading.Thread(target=anyio.run, args=(partial(there.serve, within=8), router), daemon=True)
    thread.start()
    assert await to_thread.run_sync(is_open.wait, 5)
    await drained(router, deadline=0)
    assert there.closed is None
    goes_on.set()
    await to_thread.run_sync(thread.join, 5)
    assert there.closed == (1000, "")


@pytest.mark.parametrize("deadline", [-1, math.nan, None, "20", True])
async def test_a_deadline_is_a_time(deadline: Any) -> None:
    router = waiting_router()

    text = rf"^deadline={deadline!r} is no time\. It is a number of seconds from 0\.$"
    with pytest.raises(RouterError, match=text):
        await router.drain(deadline)
    with pytest.raises(RouterError, match=text):
        router.attach(Starlette(), drain_deadline=deadline)
    async with opened(router) as peer:
        assert peer.accepted
        peer.leave()


# The lifespan


@asynccontextmanager
async def started(app: Starlette) -> AsyncIterator[None]:
    """The lifespan of an application, as a server runs it."""
    async with app.router.lifespan_context(app):
        yield


async def test_the_end_of_the_lifespan_ends_connections_before_the_values_of_the_application() -> None:
    log = []

    async def pool() -> AsyncIterator[str]:
        yield "pool"
        log.append("pool closed")

    async def session() -> AsyncIterator[None]:
        try:
            yield
        finally:
            log.append("session closed")

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        yield
        log.append("lifespan over")

    router = WebSocketRouter(lifespan=lifespan)

    @router.websocket("/", dependencies=[Depends(session)])
    async def endpoint(websocket: WebSocket, pool: Annotated[str, Depends(pool, scope="app")]) -> None:
        await waiting(websocket)

    app = Starlette()
    router.attach(app)
    peer = Peer()
    async with anyio.create_task_group() as tasks:
        async with app.router.lifespan_context(app) as state:
            peer.scope["state"] = dict(state or {})
            tasks.start_soon(peer.serve, app)
            await anyio.wait_all_tasks_blocked()
            assert peer.accepted
        assert peer.closed == RESTARTED
    assert log == ["session closed", "pool closed", "lifespan over"]


async def test_the_end_of_one_applications_lifespan_touches_no_connection_of_another() -> None:
    router = waiting_router()
    one, other = Starlette(), Starlette()
    router.attach(one)
    router.attach(other)

    async with started(other):
        async with anyio.create_task_group() as tasks:
            mine, others, alone = Peer(), Peer(), Peer()
            async with started(one):
                for peer, app in ((mine, one), (others, other), (alone, router)):
                    tasks.start_soon(peer.serve, app)
                await anyio.wait_all_tasks_blocked()
            assert (mine.closed, others.closed, alone.closed) == (RESTARTED, None, None)
            async with opened(other) as late:
                assert late.accepted
                late.leave()
            others.leave()
            alone.leave()


async def test_a_route_of_starlettes_in_the_router_is_left_to_the_server() -> None:
    async def plain(websocket: WebSocket) -> None:
        await websocket.accept()
        async for _ in websocket.iter_text():
            raise AssertionError("there was a message")

    router = WebSocketRouter(routes=[WebSocketRoute("/plain", plain)])
    async with opened(router, target="/plain") as peer:
        async with router.lifespan(None):
            await drained(router)
        assert peer.closed is None
        peer.leave()


async def test_the_deadline_of_an_application_holds_for_its_lifespan() -> None:
    router = WebSocketRouter()

    @router.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await anyio.sleep_forever()

    app = Starlette()
    router.attach(app, drain_deadline=0)
    peer = Peer()
    async with anyio.create_task_group() as tasks:
        async with started(app):
            tasks.start_soon(peer.serve, app)
            await anyio.wait_all_tasks_blocked()
        assert peer.closed == RESTARTED


async def test_a_router_that_is_the_application_ends_its_connections_too() -> None:
    router = waiting_router()
    mine, others = Peer(), Peer(scope={"app": Starlette()})

    async with anyio.create_task_group() as tasks:
        async with router.lifespan(None):
            tasks.start_soon(mine.serve, router)
            tasks.start_soon(others.serve, router)
            await anyio.wait_all_tasks_blocked()
        assert (mine.closed, others.closed) == (RESTARTED, None)
        others.leave()


async def test_an_application_that_starts_again_serves_again() -> None:
    inner, router = WebSocketRouter(), WebSocketRouter()
    inner.websocket("/inner")(waiting)
    router.websocket("/")(waiting)
    router.include_router(inner)
    app = Starlette()
    router.attach(app)

    for _ in range(2):
        async with started(app):
            for target in ("/", "/inner"):
                async with opened(app, target=target) as peer:
                    assert peer.accepted
                    peer.leave()
            await drained(router)
            async with opened(app, target="/inner") as peer:
                assert peer.denial is not None and peer.denial.status == 503


def test_a_client_of_a_test_sees_the_refusal_and_the_close(caplog: pytest.LogCaptureFixture) -> None:
    """Starlette's does not tell an application of its own close, and so keeps it waiting for a message."""
    router = waiting_router(close_timeout=0.05)
    app = Starlette()
    router.attach(app)

    with TestClient(app) as client:
        assert client.portal is not None
        with client.websocket_connect("/") as websocket:
            client.portal.call(router.drain)
            assert websocket.receive() == {"type": "websocket.close", "code": 1012, "reason": "Service restart"}
        with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/"):
            raise AssertionError("it was accepted")
        assert refused.value.status_code == 503
    assert caplog.records == []


async def test_what_does_not_end_at_all_is_named_and_the_lifespan_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wire_draining, "CLEAN_UP", 0.05)
    goes_on = anyio.Event()

    async def stubborn(websocket: WebSocket) -> None:
        await websocket.accept()
        with anyio.CancelScope(shield=True):
            while not goes_on.is_set():
                try:
                    await goes_on.wait()
                except BaseException:
                    websocket.scope["swallowed"] = True

    router = WebSocketRouter()
    router.websocket("/stubborn")(stubborn)
    app = Starlette()
    router.attach(app, drain_deadline=0)
    async with anyio.create_task_group() as tasks:
        async with started(app):
            tasks.start_soon(Peer("/stubborn").serve, app)
            await anyio.wait_all_tasks_blocked()
        goes_on.set()
    [record] = caplog.records
    assert (record.levelno, record.name) == (logging.ERROR, "wsroute")
    assert "/stubborn" in record.getMessage()


# SIGTERM


@pytest.fixture
def handled() -> Iterator[list[str]]:
    """What has come to a handler of SIGTERM that stands in for the server's."""
    came: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append("server"))
    yield came
    signal.signal(signal.SIGTERM, before)


async def test_sigterm_runs_the_action_before_whoever_would_have_got_it(handled: list[str]) -> None:
    async def action() -> None:
        await anyio.lowlevel.checkpoint()
        handled.append("drained")

    server = signal.getsignal(signal.SIGTERM)
    async with before_sigterm(action):
        assert signal.getsignal(signal.SIGTERM) is not server
        signal.raise_signal(signal.SIGTERM)
        assert handled == []
        await anyio.wait_all_tasks_blocked()
        assert handled == ["drained", "server"]
    assert signal.getsignal(signal.SIGTERM) is server


async def test_a_signal_wakes_an_event_loop_that_sleeps(handled: list[str]) -> None:
    came = anyio.Event()

    async def action() -> None:
        came.set()

    async with before_sigterm(action):
        timer = threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGTERM])
        timer.start()
        with anyio.fail_after(5):
            await came.wait()
        timer.join()


@pytest.mark.parametrize("meanwhile", [False, True])
async def test_a_second_one_is_passed_on_at_once(handled: list[str], meanwhile: bool) -> None:
    goes_on = anyio.Event()

    async def action() -> None:
        await goes_on.wait()
        handled.append("drained")

    async with before_sigterm(action):
        signal.raise_signal(signal.SIGTERM)
        if meanwhile:  # the event loop has had time to begin
            await anyio.wait_all_tasks_blocked()
        assert handled == []
        signal.raise_signal(signal.SIGTERM)
        assert handled == ["server"]
        goes_on.set()
        await anyio.wait_all_tasks_blocked()
        assert handled == ["server", "drained", "server"]


async def test_without_a_signal_nothing_is_run_and_the_handler_is_put_back(handled: list[str]) -> None:
    server = signal.getsignal(signal.SIGTERM)

    async with before_sigterm(never):
        pass
    assert signal.getsignal(signal.SIGTERM) is server
    assert handled == []


async def never() -> None:
    raise AssertionError("it ran")


async def test_the_handler_is_put_back_after_an_error(handled: list[str]) -> None:
    server = signal.getsignal(signal.SIGTERM)

    with pytest.raises(BaseExceptionGroup):
        async with before_sigterm(never):
            raise LookupError
    assert signal.getsignal(signal.SIGTERM) is server


async def test_a_handler_that_somebody_has_set_since_stays(handled: list[str]) -> None:
    def other(number: int, frame: object) -> None:
        raise AssertionError("it was called")

    async with before_sigterm(never):
        signal.signal(signal.SIGTERM, other)
    assert signal.getsignal(signal.SIGTERM) is other


async def test_a_server_that_stops_for_another_reason_meanwhile_gets_the_signal_nevertheless(
    handled: list[str],
) -> None:
    async with before_sigterm(anyio.sleep_forever):
        signal.raise_signal(signal.SIGTERM)
        await anyio.wait_all_tasks_blocked()
    assert handled == ["server"]


async def test_an_action_that_fails_keeps_the_signal_from_nobody(handled: list[str]) -> None:
    async def action() -> None:
        raise LookupError

    with pytest.raises(BaseExceptionGroup) as raised:
        async with before_sigterm(action):
            signal.raise_signal(signal.SIGTERM)
            await anyio.sleep_forever()
    assert raised.group_contains(LookupError)
    assert handled == ["server"]


async def test_who_ignored_the_signal_goes_on_ignoring_it(handled: list[str]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    done = anyio.Event()

    async def action() -> None:
        done.set()

    async with before_sigterm(action):
        signal.raise_signal(signal.SIGTERM)
        await done.wait()
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


async def test_where_nobody_handled_the_signal_it_does_what_it_does_by_default(
    handled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise_signal = signal.raise_signal
    raised = anyio.Event()

    async def action() -> None:
        handled.append("drained")

    def die(number: int) -> None:
        assert (number, signal.getsignal(number)) == (signal.SIGTERM, signal.SIG_DFL)
        raised.set()

    async with before_sigterm(action):
        monkeypatch.setattr(signal, "raise_signal", die)
        raise_signal(signal.SIGTERM)
        with anyio.fail_after(5):
            await raised.wait()
    assert handled == ["drained"]


DEFAULT = """
import anyio, os, signal
from wsroute.routing.draining import before_sigterm

async def action():
    print("drained", flush=True)

async def main():
    async with before_sigterm(action):
        os.kill(os.getpid(), signal.SIGTERM)
        await anyio.sleep(10)
    print("went on")

anyio.run(main, backend={!r})
"""


def test_so_the_process_ends_by_the_signal(anyio_backend: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DEFAULT.format(anyio_backend)], capture_output=True, text=True, timeout=15
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "drained\n")


async def test_a_handler_outside_of_python_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    monkeypatch.setattr(signal, "signal", None)

    async with before_sigterm(never):
        pass


async def test_in_another_thread_no_handler_is_set(anyio_backend: str, handled: list[str]) -> None:
    server = signal.getsignal(signal.SIGTERM)

    async def run() -> None:
        async with before_sigterm(never):
            assert signal.getsignal(signal.SIGTERM) is server

    await to_thread.run_sync(lambda: anyio.run(run, backend=anyio_backend))


async def test_an_application_drains_on_sigterm_only_if_it_is_told_to(handled: list[str]) -> None:
    for drain_on_sigterm in (False, True):
        router = waiting_router()
        app = Starlette()
        router.attach(app, drain_on_sigterm=drain_on_sigterm)
        async with anyio.create_task_group() as tasks:
            peer = Peer()
            async with started(app):
                tasks.start_soon(peer.serve, app)
                await anyio.wait_all_tasks_blocked()
                handled.clear()
                signal.raise_signal(signal.SIGTERM)
                await anyio.wait_all_tasks_blocked()
                assert handled == ["server"]
                assert peer.closed == (RESTARTED if drain_on_sigterm else None)


@pytest.mark.parametrize("prefixes", [("", ""), ("/a", "/a"), ("/a", "/b")])
async def test_a_router_that_is_attached_again_drains_once_if_one_of_them_says_so(
    journal: Journal, handled: list[str], prefixes: tuple[str, str]
) -> None:
    router = WebSocketRouter()
    listener(router, journal)
    app = Starlette()
    for prefix in prefixes:
        router.attach(app, prefix=prefix)
    for prefix in prefixes:
        router.attach(app, prefix=prefix, drain_on_sigterm=True)

    async with started(app), opened(app, "slow", target=f"{prefixes[1]}/") as peer:
        signal.raise_signal(signal.SIGTERM)
        await anyio.wait_all_tasks_blocked()
        assert (peer.closed, handled) == (None, [])
        journal.goes_on.set()
        await anyio.wait_all_tasks_blocked()
        assert (peer.frames, peer.closed, handled) == (["slow"], RESTARTED, ["server"])


async def test_two_routers_of_one_application_drain_together(journal: Journal, handled: list[str]) -> None:
    slow, other = WebSocketRouter("/slow"), waiting_router("/other")
    listener(slow, journal)
    app = Starlette()
    server = signal.getsignal(signal.SIGTERM)
    other.attach(app, drain_on_sigterm=True, drain_deadline=1000)
    slow.attach(app, drain_on_sigterm=True, drain_deadline=0)

    async with started(app), opened(app, "slow", target="/slow/") as one, opened(app, target="/other") as two:
        signal.raise_signal(signal.SIGTERM)
        await anyio.wait_all_tasks_blocked()
        # The longer deadline counts for both.
        assert (one.closed, two.closed, handled) == (None, RESTARTED, [])
        journal.goes_on.set()
        await anyio.wait_all_tasks_blocked()
        assert (one.frames, one.closed, handled) == (["slow"], RESTARTED, ["server"])
    assert signal.getsignal(signal.SIGTERM) is server


def test_the_deadline_leaves_time_to_who_supervises() -> None:
    """Kubernetes and Docker's swarm wait for 30 and 10 seconds at most, unless they are told to wait longer."""
    assert lifespans.DEADLINE + wire_draining.CLEAN_UP < 30
