"""What the kit needs of an event loop: waits that end by the time on the wall, and the tasks of an application."""

from __future__ import annotations

import asyncio
from contextvars import Context
from time import monotonic

import anyio
import pytest
from anyio.lowlevel import checkpoint

from wsroute.testing.backends import Bell, belong_to, current_backend

pytestmark = pytest.mark.anyio

SHORT = 0.05


async def test_a_ring_wakes_all_who_wait() -> None:
    bell = current_backend().bell()
    heard: list[bool] = []

    async def wait(seconds: float | None) -> None:
        heard.append(await bell.wait(seconds))

    async with anyio.create_task_group() as tasks:
        for seconds in (None, 10.0, None):
            tasks.start_soon(wait, seconds)
        await anyio.wait_all_tasks_blocked()
        bell.ring()
    assert heard == [True, True, True]


async def test_a_ring_that_nobody_waits_for_is_lost() -> None:
    bell = current_backend().bell()
    bell.ring()
    assert not await bell.wait(0)


async def test_waits_of_several_lengths_end_each_after_its_own() -> None:
    bell = current_backend().bell()
    begin = monotonic()
    ended: list[tuple[float, bool, bool]] = []

    async def wait(bell: Bell, seconds: float) -> None:
        heard = await bell.wait(seconds)
        ended.append((seconds, heard, monotonic() - begin >= seconds))

    async with anyio.create_task_group() as tasks:
        for seconds in (2 * SHORT, SHORT, 3 * SHORT):
            tasks.start_soon(wait, bell, seconds)
            await checkpoint()
    # A busy machine may wake several at once, in any order.
    assert sorted(ended) == [(SHORT, False, True), (2 * SHORT, False, True), (3 * SHORT, False, True)]


async def test_a_wait_that_is_cancelled_does_not_mind_a_ring() -> None:
    bell = current_backend().bell()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bell.wait, 10.0)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
        bell.ring()
    assert not await bell.wait(0)


async def test_tasks_belong_to_what_has_started_them() -> None:
    backend = current_backend()
    owner, other = object(), object()
    begun = anyio.Event()

    async def run() -> None:
        belong_to(owner)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever, name="inner")
            begun.set()

    cancel = backend.spawn(run)
    await begun.wait()
    await anyio.wait_all_tasks_blocked()
    assert "inner" in [stray.name for stray in backend.strays(owner)]
    assert backend.strays(other) == []
    cancel()
    await anyio.wait_all_tasks_blocked()
    assert backend.strays(owner) == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_was_started_in_a_context_of_its_own_belongs_to_nobody() -> None:
    owner = object()
    belong_to(owner)
    task = asyncio.get_running_loop().create_task(anyio.sleep_forever(), context=Context())
    await checkpoint()
    assert current_backend().strays(owner) == []
    task.cancel()
