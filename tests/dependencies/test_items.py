"""What a handler yields: its generator is run to its end whatever happens to who takes the items."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
import pytest
from anyio.lowlevel import checkpoint

from wsroute.dependencies.exits import Items

pytestmark = pytest.mark.anyio


class CleanUpError(Exception):
    """What a clean-up fails with."""


def numbers(log: list[str], *, fails: bool = False) -> AsyncGenerator[int, None]:
    async def generator() -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
        finally:
            await checkpoint()
            log.append("closed")
            if fails:
                raise CleanUpError

    return generator()


async def test_all_items_come_in_order() -> None:
    log: list[str] = []

    async with Items(numbers(log)) as items:
        found = [item async for item in items]

    assert (found, log) == ([1, 2], ["closed"])


async def test_it_is_closed_when_not_all_items_are_taken() -> None:
    log: list[str] = []

    async with Items(numbers(log)) as items:
        await anext(items)

    assert log == ["closed"]


async def test_it_is_closed_when_who_takes_the_items_fails() -> None:
    log: list[str] = []

    with pytest.raises(LookupError):
        async with Items(numbers(log)) as items:
            await anext(items)
            raise LookupError

    assert log == ["closed"]


@pytest.mark.parametrize("around", ["no scope", "a scope"])
async def test_a_clean_up_that_fails_comes_after_what_it_came_by(around: str) -> None:
    async def take() -> None:
        async with Items(numbers([], fails=True)) as items:
            await anext(items)
            raise LookupError

    with pytest.raises(CleanUpError) as raised:
        if around == "a scope":
            with anyio.CancelScope():
                await take()
        else:
            await take()

    assert isinstance(raised.value.__context__, (LookupError, GeneratorExit))


async def test_its_end_is_shielded_from_a_cancellation() -> None:
    log: list[str] = []

    with anyio.CancelScope() as scope:
        async with Items(numbers(log)) as items:
            await anext(items)
            scope.cancel()
            await checkpoint()

    assert scope.cancelled_caught
    assert log == ["closed"]
