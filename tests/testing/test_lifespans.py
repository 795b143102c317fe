"""The life of an application around a test: what goes wrong is raised as it is, and nothing hangs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from wsroute import Depends, WebSocket, WebSocketRouter
from wsroute.testing import DeadlinePassed, LifespanFailed, connect, lifespan
from wsroute.testing.lifespans import state_of

pytestmark = pytest.mark.anyio

SHORT = 0.05


def failing(phase: str, *, says: bool = True, raises: bool = True) -> ASGIApp:
    """An application that fails in a phase of its lifespan, by hand."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if phase == "shutdown":
            await send({"type": "lifespan.startup.complete"})
            await receive()
        if says:
            await send({"type": f"lifespan.{phase}.failed", "message": "no database"})
        if raises:
            raise ValueError("a bug")

    return app


def waiting(phase: str) -> ASGIApp:
    """An application that does not come to an end in a phase of its lifespan."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if phase == "shutdown":
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await anyio.sleep_forever()

    return app


async def open_pool() -> AsyncIterator[list[str]]:
    pool = ["open"]
    yield pool
    pool[0] = "closed"


async def test_values_of_the_application_live_as_long_as_its_lifespan() -> None:
    router = WebSocketRouter()
    pools: list[list[str]] = []

    @router.websocket("/")
    async def endpoint(websocket: WebSocket, pool: Annotated[list[str], Depends(open_pool, scope="app")]) -> None:
        pools.append(pool)
        await websocket.accept()

    async with lifespan(router):
        for _ in range(2):
            async with connect(router) as ws:
                await ws.expect_close(1000)
        assert pools == [["open"], ["open"]]
    assert pools[0] is pools[1] and pools[0] == ["closed"]


async def test_the_state_is_that_of_the_innermost_running_lifespan() -> None:
    states = iter([{"n": 1}, {"n": 2}])

    @asynccontextmanager
    async def run(app: Any) -> AsyncIterator[dict[str, int]]:
        yield next(states)

    app = Starlette(lifespan=run)
    async with lifespan(app) as outer:
        assert state_of(app) == outer.state == {"n": 1}
        async with lifespan(app):
            assert state_of(app) == {"n": 2}
        assert state_of(app) == {"n": 1}
    assert state_of(app) == {}


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
@pytest.mark.parametrize("says", [True, False])
async def test_an_exception_of_the_application_is_raised_as_it_is(phase: str, says: bool) -> None:
    with pytest.raises(ValueError, match="a bug"):
        async with lifespan(failing(phase, says=says)):
            assert phase == "shutdown"


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_a_failure_without_an_exception_is_one(phase: str) -> None:
    with pytest.raises(LifespanFailed, match=f"^the application's {phase} failed: no database$"):
        async with lifespan(failing(phase, raises=False)):
            assert phase == "shutdown"


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_an_application_that_says_nothing_has_failed(phase: str) -> None:
    with pytest.raises(LifespanFailed, match=f"^the application ended before it said that its {phase} was complete$"):
        async with lifespan(failing(phase, says=False, raises=False)):
            assert phase == "shutdown"


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_an_application_that_does_not_come_to_an_end_is_cancelled(phase: str) -> None:
    with pytest.raises(DeadlinePassed) as caught:
        async with lifespan(waiting(phase), deadline=SHORT):
            assert phase == "shutdown"
    first, second, third = str(caught.value).splitlines()
    assert first == f"the application's {phase} was not complete within 0.05 s"
    assert second.startswith("  the application waits in waiting.<locals>.app at tests/testing/test_lifespans.py:")
    assert third == "      await anyio.sleep_forever()"


async def test_an_application_that_goes_on_after_its_shutdown_is_cancelled() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        await anyio.sleep_forever()

    with pytest.raises(DeadlinePassed, match="the application's shutdown was not complete"):
        async with lifespan(app, deadline=SHORT):
            pass


async def test_a_test_that_fails_is_told_of_a_shutdown_that_fails() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        async with lifespan(failing("shutdown")):
            raise ZeroDivisionError
    assert caught.value.__notes__ == ["besides, the application's shutdown failed: ValueError: a bug"]


async def test_a_test_that_is_cancelled_shuts_the_application_down() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def run(app: Any) -> AsyncIterator[None]:
        yield
        await checkpoint()
        events.append("shutdown")

    with anyio.move_on_after(SHORT):
        async with lifespan(Starlette(lifespan=run)):
            await anyio.sleep_forever()
    assert events == ["shutdown"]
