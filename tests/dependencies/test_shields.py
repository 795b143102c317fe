"""Shields: made where a cancel scope is around, and only there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import trio
from anyio import CancelScope, from_thread, to_thread
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint

from wsroute.dependencies import shields
from wsroute.dependencies.shields import calm_scope, enter_shield

pytestmark = pytest.mark.anyio

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """What has been found out about anyio is forgotten before and after each test."""
    shields._states_of_tasks.cache_clear()
    yield
    shields._states_of_tasks.cache_clear()


def is_made() -> bool:
    """Whether a dependency that would be opened here gets a shield."""
    scope = enter_shield()
    if scope is None:
        return False
    assert not scope.shield
    scope.__exit__(None, None, None)
    return True


async def ask() -> bool:
    return is_made()


@on_asyncio
async def test_no_shield_is_made_where_no_scope_is_around() -> None:
    # If this fails, anyio has changed what `_states_of_tasks` reads: all is right, and slower than it need be.
    assert not await asyncio.create_task(ask())


@on_asyncio
async def test_no_shield_is_made_where_a_scope_has_been_left() -> None:
    async def connection() -> bool:
        with anyio.move_on_after(60):
            await checkpoint()
        async with anyio.create_task_group():
            pass
        return is_made()

    assert not await asyncio.create_task(connection())


async def test_a_shield_is_made_in_a_scope_also_in_one_that_is_shielded() -> None:
    with CancelScope():
        assert await ask()
        with CancelScope(shield=True):
            assert await ask()
        assert await ask()


@on_asyncio
async def test_no_shield_is_made_because_of_a_scope_that_nobody_cancels_meanwhile() -> None:
    async def connection() -> list[bool]:
        found = []
        with calm_scope():
            found.append(await ask())
            with calm_scope():
                found.append(await ask())
            with CancelScope():
                found.append(await ask())
        return [*found, is_made()]

    assert await asyncio.create_task(connection()) == [False, False, True, False]


async def test_a_shield_is_made_because_of_what_is_around_such_a_scope() -> None:
    with CancelScope(), calm_scope():
        assert await ask()


async def test_such_a_scope_is_cancelled_as_every_other() -> None:
    with calm_scope() as scope:
        scope.cancel()
        await checkpoint()

    assert scope.cancelled_caught


async def test_a_shield_is_made_in_a_task_of_a_task_group() -> None:
    found: list[bool] = []

    async def connection() -> None:
        found.append(is_made())
        await checkpoint()
        found.append(is_made())

    async def started(*, task_status: TaskStatus[None]) -> None:
        found.append(is_made())
        task_status.started()
        found.append(is_made())

    async with anyio.create_task_group() as tasks:
        found.append(is_made())
        tasks.start_soon(connection)
        await tasks.start(started)

    assert found == [True] * 5


async def test_a_shield_is_made_in_what_a_worker_thread_runs_in_the_event_loop() -> None:
    with CancelScope():
        assert await to_thread.run_sync(from_thread.run, ask)


async def test_a_shield_is_made_in_what_another_thread_runs_in_a_portal() -> None:
    def work() -> bool:
        with from_thread.start_blocking_portal() as portal:
            return portal.call(ask)

    assert await to_thread.run_sync(work)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_a_shield_is_always_made() -> None:
    assert is_made()


@on_asyncio
async def test_on_trio_a_shield_is_always_made_also_where_it_runs_inside_of_asyncio() -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Any] = loop.create_future()

    trio.lowlevel.start_guest_run(
        ask,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        done_callback=ended.set_result,
    )

    assert (await ended).unwrap()


@on_asyncio
@pytest.mark.parametrize(
    "table",
    [
        pytest.param(lambda task: {}, id="no table"),
        pytest.param(lambda task: {"_task_states": None}, id="nothing"),
        pytest.param(lambda task: {"_task_states": {}}, id="without the task"),
        pytest.param(lambda task: {"_task_states": {task: object()}}, id="without scopes"),
        pytest.param(lambda task: {"_task_states": {task: SimpleNamespace(cancel_scope=None)}}, id="no scope"),
        pytest.param(lambda task: {"_task_states": {task: SimpleNamespace(cancel_scope=object())}}, id="another scope"),
    ],
)
async def test_shields_are_always_made_if_anyios_table_does_not_say_what_is_true(
    table: Callable[[Any], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = SimpleNamespace(**table(asyncio.current_task()))
    monkeypatch.setitem(sys.modules, "anyio._backends._asyncio", fake)

    assert is_made()
