"""Values that live as long as the application: one build for all connections, by a task of the lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Annotated, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.types import ASGIApp

from wsroute import APIWebSocketRoute, Depends, LifespanError, Request, WebSocket, WebSocketGateway, WebSocketRouter
from wsroute.dependencies.analysis import get_dependant
from wsroute.dependencies.application import STATE, ApplicationValues, app_value, values_of
from wsroute.testing import Peer

pytestmark = pytest.mark.anyio

Provide = Callable[..., Any]


def value_of(call: Provide, **marker: Any) -> Any:
    return app_value(get_dependant(path="/", call=call, scope="app", **marker))


@asynccontextmanager
async def running(router: Any) -> AsyncIterator[dict[str, Any]]:
    with anyio.fail_after(5):
        async with router.lifespan(None) as state:
            yield state


async def connect(app: ASGIApp, state: dict[str, Any], path: str = "/", **scope: Any) -> list[str | bytes]:
    """What a connection sends; what it raises is raised."""
    peer = Peer(path, **scope)
    peer.scope["state"] = dict(state)
    peer.leave()
    await peer.serve(app)
    return peer.frames


def telling(provide: Provide, **depends: Any) -> WebSocketRouter:
    """A router with one route, which sends the value of a dependency of the application."""
    router = WebSocketRouter()

    @router.websocket("/")
    async def tell(websocket: WebSocket, value: Annotated[Any, Depends(provide, scope="app", **depends)]) -> None:
        await websocket.accept()
        await websocket.send_text(str(value))

    return router


# --- Building ---------------------------------------------------------------------------------------------------------


async def test_a_hundred_first_connections_get_one_value() -> None:
    builds: list[int] = []
    everybody_waits = anyio.Event()

    async def pool() -> int:
        builds.append(len(builds))
        await everybody_waits.wait()
        return 42

    router, frames = telling(pool), list[Any]()

    async def one() -> None:
        frames.append(await connect(router, state))

    async with running(router) as state, anyio.create_task_group() as connections:
        for _ in range(100):
            connections.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        everybody_waits.set()

    assert (builds, frames) == ([0], [["42"]] * 100)


async def test_who_is_cancelled_while_waiting_takes_nothing_with_it() -> None:
    log: list[str] = []
    go_on = anyio.Event()

    async def pool() -> AsyncIterator[str]:
        log.append("opening")
        await go_on.wait()
        yield "pool"
        log.append("closed")

    router = telling(pool)
    async with running(router) as state:
        async with anyio.create_task_group() as first:
            first.start_soon(connect, router, state)
            await anyio.wait_all_tasks_blocked()
            first.cancel_scope.cancel()
        go_on.set()
        assert await connect(router, state) == ["pool"]
        assert log == ["opening"]

    assert log == ["opening", "closed"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_is_cancelled_natively_takes_nothing_with_it(anyio_backend: str) -> None:
    builds: list[int] = []
    go_on = anyio.Event()

    async def pool() -> str:
        builds.append(1)
        await go_on.wait()
        return "pool"

    router = telling(pool)
    async with running(router) as state:
        first = asyncio.create_task(connect(router, state))
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go_on.set()
        assert await connect(router, state) == ["pool"]

    assert builds == [1]


async def test_a_build_that_fails_reaches_all_who_wait_and_is_tried_again() -> None:
    attempts: list[int] = []
    everybody_waits = anyio.Event()

    async def pool() -> str:
        attempts.append(1)
        await everybody_waits.wait()
        if len(attempts) == 1:
            raise OSError("no database")
        return "pool"

    router, raised = telling(pool), list[str]()

    async def one() -> None:
        with pytest.raises(OSError, match="no database") as error:
            await connect(router, state)
        raised.append(str(error.value))

    async with running(router) as state:
        async with anyio.create_task_group() as connections:
            for _ in range(3):
                connections.start_soon(one)
            await anyio.wait_all_tasks_blocked()
            everybody_waits.set()
        assert await connect(router, state) == ["pool"]

    assert (len(attempts), raised) == (2, ["no database"] * 3)


async def test_what_a_failed_build_needed_is_kept() -> None:
    log: list[str] = []

    async def settings() -> AsyncIterator[str]:
        log.append("settings")
        yield "settings"
        log.append("settings closed")

    async def pool(settings: Annotated[str, Depends(settings, scope="app")]) -> str:
        log.append("pool")
        if log.count("pool") == 1:
            raise OSError
        return f"pool of {settings}"

    router = telling(pool)
    async with running(router) as state:
        with pytest.raises(OSError):
            await connect(router, state)
        assert await connect(router, state) == ["pool of settings"]

    assert log == ["settings", "pool", "pool", "settings closed"]


async def test_what_fails_further_down_fails_all_above_it() -> None:
    async def broken() -> None:
        raise OSError

    async def pool(broken: Annotated[None, Depends(broken, scope="app")]) -> None:
        pytest.fail("it was called without what it needs")

    router = telling(pool)
    async with running(router) as state:
        with pytest.raises(OSError):
            await connect(router, state)


async def test_a_value_that_is_wanted_by_itself_and_by_another_is_built_once() -> None:
    builds: list[str] = []
    go_on = anyio.Event()

    async def slow() -> None:
        await go_on.wait()

    async def leaf() -> str:
        builds.append("leaf")
        return "leaf"

    async def above(leaf: Annotated[str, Depends(leaf, scope="app")]) -> str:
        return f"above {leaf}"

    values, found = ApplicationValues(), dict[str, Any]()
    wanted = {provide: value_of(provide) for provide in (slow, above, leaf)}

    async def get(provide: Provide) -> None:
        found[provide.__name__] = await values.get(wanted[provide])

    async with values, anyio.create_task_group() as connections:
        connections.start_soon(get, slow)
        await anyio.wait_all_tasks_blocked()
        connections.start_soon(get, above)
        await anyio.wait_all_tasks_blocked()
        connections.start_soon(get, leaf)
        await anyio.wait_all_tasks_blocked()
        go_on.set()

    assert (builds, found) == (["leaf"], {"slow": None, "leaf": "leaf", "above": "above leaf"})


@pytest.mark.parametrize("failing", [False, True])
async def test_a_value_that_another_has_built_first_is_not_built_when_its_turn_comes(failing: bool) -> None:
    builds: list[str] = []
    go_on = anyio.Event()

    async def leaf() -> str:
        builds.append("leaf")
        await go_on.wait()
        if failing:
            raise OSError
        return "leaf"

    async def above(leaf: Annotated[str, Depends(leaf, scope="app")]) -> str:
        return f"above {leaf}"

    values, found = ApplicationValues(), list[str]()
    wanted = {provide: value_of(provide) for provide in (above, leaf)}

    async def get(provide: Provide) -> None:
        try:
            found.append(await values.get(wanted[provide]))
        except OSError:
            found.append("failed")

    async with values, anyio.create_task_group() as connections:
        connections.start_soon(get, above)
        await anyio.wait_all_tasks_blocked()
        connections.start_soon(get, leaf)
        await anyio.wait_all_tasks_blocked()
        go_on.set()

    assert builds == ["leaf"]
    assert sorted(found) == (["failed", "failed"] if failing else ["above leaf", "leaf"])


# --- Every kind of callable -------------------------------------------------------------------------------------------


def by_value() -> str:
    return "value"


async def by_coroutine() -> str:
    return "value"


def by_generator() -> Iterator[str]:
    yield "value"


async def by_async_generator() -> AsyncIterator[str]:
    yield "value"


@contextmanager
def by_context_manager() -> Iterator[str]:
    yield "value"


@asynccontextmanager
async def by_async_context_manager() -> AsyncIterator[str]:
    yield "value"


class ByClass:
    def __str__(self) -> str:
        return "value"


@pytest.mark.parametrize(
    "provide",
    [by_value, by_coroutine, by_generator, by_async_generator, by_context_manager, by_async_context_manager, ByClass],
)
@pytest.mark.parametrize("options", [{}, {"threadpool": False}])
async def test_every_kind_of_dependency_can_live_as_long_as_the_application(
    provide: Provide, options: dict[str, Any]
) -> None:
    router = telling(provide, **options)
    async with running(router) as state:
        assert await connect(router, state) == ["value"]


async def test_arguments_by_position_and_by_name_and_what_is_none_for_a_socket() -> None:
    async def one() -> str:
        return "one"

    async def both(
        one: Annotated[str, Depends(one, scope="app")],
        /,
        other: Annotated[str, Depends(one, scope="app")],
        request: Request | None = None,
    ) -> str:
        return f"{one} {other} {request}"

    router = telling(both)
    async with running(router) as state:
        assert await connect(router, state) == ["one one None"]


async def test_context_variables_and_cancel_scopes_work_across_the_yield() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    log: list[Any] = []

    async def pool() -> AsyncIterator[str]:
        token = variable.set("set")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            yield "pool"
            tasks.cancel_scope.cancel()
        variable.reset(token)
        log.append("closed")

    router = telling(pool)
    async with running(router) as state:
        for _ in range(2):
            assert await connect(router, state) == ["pool"]

    assert log == ["closed"]


# --- The end ----------------------------------------------------------------------------------------------------------


def recorded(log: list[str], name: str, need: Provide | None = None) -> Provide:
    async def alone() -> AsyncIterator[str]:
        log.append(f"{name} opened")
        try:
            yield name
        finally:
            log.append(f"{name} closed")

    async def above(need: Any) -> AsyncIterator[str]:
        async with asynccontextmanager(alone)() as value:
            yield value

    above.__annotations__["need"] = Annotated[Any, Depends(need, scope="app")]
    return above if need else alone


async def test_values_are_closed_in_reverse_order_when_the_application_ends() -> None:
    log: list[str] = []
    one = recorded(log, "one")
    two = recorded(log, "two", one)
    three = recorded(log, "three")

    async with ApplicationValues() as values:
        await values.get(value_of(two))
        await values.get(value_of(three))
        log.append("ends")

    opened = ["one opened", "two opened", "three opened"]
    assert log == [*opened, "ends", "three closed", "two closed", "one closed"]


async def test_a_value_that_cannot_be_closed_fails_the_lifespan_after_all_others_are_closed() -> None:
    log: list[str] = []

    async def broken() -> AsyncIterator[None]:
        yield
        raise OSError("cannot be closed")

    with pytest.raises(OSError, match="cannot be closed"):
        async with ApplicationValues() as values:
            await values.get(value_of(recorded(log, "one")))
            await values.get(value_of(broken))
            await values.get(value_of(recorded(log, "two")))

    assert log == ["one opened", "two opened", "two closed", "one closed"]


async def test_a_group_of_errors_stays_a_group() -> None:
    async def background() -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            yield
            tasks.start_soon(fail)
            tasks.start_soon(fail)

    async def fail() -> None:
        raise OSError

    with pytest.raises(ExceptionGroup) as raised:
        async with ApplicationValues() as values:
            await values.get(value_of(background))
    assert raised.group_contains(OSError)


async def test_what_was_built_is_not_handed_out_after_the_end() -> None:
    async with ApplicationValues() as values:
        await values.get(value_of(by_coroutine))
    with pytest.raises(LifespanError, match="the application has ended"):
        await values.get(value_of(by_coroutine))


async def test_while_the_last_value_is_built_nobody_can_ask_for_another_one() -> None:
    values, found = ApplicationValues(), list[Any]()
    building, go_on = anyio.Event(), anyio.Event()

    async def slow() -> str:
        building.set()
        await go_on.wait()
        return "slow"

    async def get() -> None:
        found.append(await values.get(wanted))

    async def application() -> None:
        async with values:
            connections.start_soon(get)
            await building.wait()

    wanted = value_of(slow)
    async with anyio.create_task_group() as connections:
        connections.start_soon(application)
        await building.wait()
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(LifespanError, match="the application has ended"):
            await values.get(value_of(by_coroutine))
        go_on.set()

    assert found == ["slow"]


async def test_who_waits_when_the_application_is_cancelled_gets_an_error() -> None:
    raised: list[str] = []
    values = ApplicationValues()
    started = anyio.Event()

    async def never() -> None:
        started.set()
        await anyio.sleep_forever()

    async def wait(provide: Provide) -> None:
        with pytest.raises(LifespanError) as error:
            await values.get(value_of(provide))
        raised.append(str(error.value))

    async def application() -> None:
        with anyio.CancelScope() as scope:
            async with values:
                opened.set()
                await cancelled.wait()
                scope.cancel()
                await checkpoint()

    opened, cancelled = anyio.Event(), anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(application)
        await opened.wait()
        tasks.start_soon(wait, never)
        await started.wait()
        tasks.start_soon(wait, by_coroutine)
        await anyio.wait_all_tasks_blocked()
        cancelled.set()

    assert len(raised) == 2
    assert all("the application has ended" in text for text in raised)


# --- Where the values are ---------------------------------------------------------------------------------------------


async def test_overrides_are_other_values_also_further_down() -> None:
    builds: list[str] = []

    async def settings() -> str:
        builds.append("settings")
        return "settings"

    async def fake_settings() -> str:
        builds.append("fake")
        return "fake"

    async def pool(settings: Annotated[str, Depends(settings, scope="app")]) -> str:
        return f"pool of {settings}"

    router = telling(pool)
    async with running(router) as state:
        assert await connect(router, state) == ["pool of settings"]
        router.dependency_overrides[settings] = fake_settings
        assert await connect(router, state) == ["pool of fake"]
        assert await connect(router, state) == ["pool of fake"]
        router.dependency_overrides.clear()
        assert await connect(router, state) == ["pool of settings"]

    assert builds == ["settings", "fake"]


async def test_routes_share_a_value_and_running_applications_do_not() -> None:
    builds: list[int] = []

    async def pool() -> int:
        builds.append(1)
        return len(builds)

    router = telling(pool)
    router.include_router(telling(pool), prefix="/other")
    async with running(router) as state, running(router) as state_of_another:
        assert await connect(router, state) == ["1"]
        assert await connect(router, state, "/other/") == ["1"]
        assert await connect(router, state_of_another) == ["2"]


async def test_a_dependency_of_a_connection_and_a_permission_can_need_a_value_of_the_application() -> None:
    builds: list[int] = []

    async def pool() -> str:
        builds.append(1)
        return "pool"

    async def session(pool: Annotated[str, Depends(pool, scope="app")]) -> AsyncIterator[str]:
        yield f"session of {pool}"

    class Open:
        async def has_permission(
            self, websocket: object, route: object, pool: Annotated[str, Depends(pool, scope="app")]
        ) -> bool:
            return pool == "pool"

    router = WebSocketRouter(dependencies=[Depends(pool, scope="app")])

    @router.websocket("/", permissions=[Open])
    async def endpoint(websocket: WebSocket, session: Annotated[str, Depends(session)]) -> None:
        await websocket.accept()
        await websocket.send_text(session)

    async with running(router) as state:
        for _ in range(2):
            assert await connect(router, state) == ["session of pool"]
    assert builds == [1]


def route_of(provide: Provide) -> APIWebSocketRoute:
    [route] = telling(provide).routes
    assert isinstance(route, APIWebSocketRoute)
    return route


def gateway_of(provide: Provide) -> WebSocketGateway:
    async def tell(websocket: WebSocket, value: Annotated[Any, Depends(provide, scope="app")]) -> None:
        await websocket.accept()
        await websocket.send_text(str(value))

    return WebSocketGateway(handler=tell)


@pytest.mark.parametrize("make", [telling, route_of, gateway_of])
async def test_what_is_the_application_itself_builds_and_closes(make: Callable[[Provide], ASGIApp]) -> None:
    log: list[str] = []
    app, state = make(recorded(log, "one")), dict[str, Any]()
    started, stop = anyio.Event(), anyio.Event()

    async def receive() -> dict[str, str]:
        if not started.is_set():
            return {"type": "lifespan.startup"}
        await stop.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None:
        log.append(message["type"])
        started.set()

    async def serve() -> None:
        await app({"type": "lifespan", "state": state}, receive, send)

    async with anyio.create_task_group() as server:
        server.start_soon(serve)
        await started.wait()
        assert await connect(app, state) == ["one"]
        stop.set()

    assert log == ["lifespan.startup.complete", "one opened", "one closed", "lifespan.shutdown.complete"]


async def test_inside_of_the_lifespans_of_application_and_router() -> None:
    log: list[str] = []

    def noting(name: str) -> Callable[[Any], Any]:
        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[None]:
            log.append(f"{name} starts")
            yield
            log.append(f"{name} ends")

        return lifespan

    router = WebSocketRouter(lifespan=noting("router"))

    @router.websocket("/")
    async def endpoint(
        websocket: WebSocket, one: Annotated[str, Depends(recorded(log, "one"), scope="app")]
    ) -> None: ...

    app = Starlette(lifespan=noting("application"))
    router.attach(app)
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        await connect(app, dict(state))

    around = ["application starts", "router starts"], ["router ends", "application ends"]
    assert log == [*around[0], "one opened", "one closed", *around[1]]


async def test_an_application_without_such_values_has_nothing_of_them() -> None:
    router = WebSocketRouter()
    router.add_api_websocket_route("/", by_endpoint)
    async with running(router) as state:
        assert state == {}


async def by_endpoint(websocket: WebSocket) -> None: ...


@pytest.mark.parametrize("state", [{}, {"state": {}}, {"state": None}])
async def test_without_a_lifespan_the_error_says_what_to_do(state: dict[str, Any]) -> None:
    with pytest.raises(LifespanError) as raised:
        values_of(state, "app.get_pool")
    assert str(raised.value) == (
        "app.get_pool has scope='app', so that it is built once and closed when the application ends, and no lifespan "
        "of a router is running. Plug the router in with router.attach(app), or give its application "
        "lifespan=router.lifespan; in a test, run the application's lifespan."
    )


async def test_a_connection_without_a_lifespan_fails_as_a_bug_of_the_application() -> None:
    peer = Peer("/")
    with pytest.raises(LifespanError):
        await peer.serve(telling(by_coroutine))
    assert peer.denial is not None
    assert peer.denial.status == 500


async def test_values_of_the_application_stand_among_other_steps() -> None:
    def plain() -> str:
        return "plain"

    router = WebSocketRouter()

    @router.websocket("/")
    async def tell(
        websocket: WebSocket,
        first: Annotated[str, Depends(by_value, scope="app")],
        second: Annotated[str, Depends(by_coroutine, scope="app")],
        third: Annotated[str, Depends(plain)],
        fourth: Annotated[str, Depends(by_generator, scope="app")],
        fifth: Annotated[str, Depends(plain, use_cache=False)],
    ) -> None:
        await websocket.accept()
        await websocket.send_text(f"{first} {second} {third} {fourth} {fifth}")

    [route] = router.routes
    assert isinstance(route, APIWebSocketRoute)
    assert route.source.count("values_of(") == 1
    async with running(router) as state:
        assert await connect(router, state) == ["value value plain value plain"]


async def test_a_value_is_forgotten_with_what_needed_it() -> None:
    node = get_dependant(path="/", call=by_value, scope="app")
    assert app_value(node) is app_value(node)
    assert app_value(node).name == f"{__name__}.by_value"
    assert STATE == "wsroute.application"


async def test_an_explanation_and_the_source_say_so() -> None:
    route = route_of(by_async_generator)
    name = f"{__name__}.by_async_generator"
    assert f"1  value = {name}()  # once for the application" in route.plan.explain()
    assert f"application = values_of(websocket.scope, '{name}')" in route.source
    assert "value = await application.get(value_of_by_async_generator)" in route.source
