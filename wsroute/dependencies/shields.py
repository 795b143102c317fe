"""Which dependency needs a shield for its clean-up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any

from anyio import CancelScope


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
        # Another one of its class takes half the time that anyio takes to find the class first.
        return None if innermost is None else type(innermost)().__enter__()
    return CancelScope().__enter__()


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
