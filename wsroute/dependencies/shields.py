"""Which dependency needs a shield for its clean-up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from anyio import CancelScope

#: The identities of those scopes that nothing has to be shielded from, while they are entered.
_calm: set[int] = set()


def enter_shield() -> CancelScope | None:
    """Enter the cancel scope that a dependency is opened in, for its clean-up to be shielded; if it needs one.

    What a shield keeps out is the cancellation of a scope further out, and the scopes of a task are properly nested. So
    nothing has to be kept out where no scope is around, as on a connection whose server has made a task for it: all
    scopes that come later are the dependency's own, or are left before it is closed. asyncio's own `Task.cancel()` is
    kept out by no scope.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop of asyncio is running
        task = None
    if task is not None and (states := _states_of_tasks()) is not None:
        state = states.get(task)
        innermost: CancelScope | None = None if state is None else state.cancel_scope
        if innermost is None or id(innermost) in _calm:
            return None
        # Another one of its class takes half the time that anyio takes to find the class first.
        return type(innermost)().__enter__()
    return CancelScope().__enter__()


@contextmanager
def calm_scope() -> Iterator[CancelScope]:
    """A cancel scope whose user cancels it only while no dependency is open that was opened in it.

    So no dependency needs a shield because of it. Because of a scope around it, it does: that one may be cancelled at
    any time.
    """
    shield = enter_shield()
    if shield is not None:
        shield.__exit__(None, None, None)
    with CancelScope() as scope:
        if shield is None:
            _calm.add(id(scope))
        try:
            yield scope
        finally:
            _calm.discard(id(scope))


@cache
def _states_of_tasks() -> Mapping[Any, Any] | None:
    """Where anyio keeps the innermost scope of each task of asyncio.

    There is no public way to ask for it. A version of anyio that keeps it elsewhere gets a shield for each dependency.

    Returns:
        The table; nothing, if what it says of the current task is not true.
    """
    task: Any = asyncio.current_task()
    try:
        from anyio._backends._asyncio import _task_states as states

        with CancelScope() as scope:  # noqa: ASYNC100  # only to see whether the table shows it
            is_known = states[task].cancel_scope is scope
    except (ImportError, AttributeError, LookupError, TypeError):
        return None
    return states if is_known else None
