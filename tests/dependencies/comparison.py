"""Running a tree in both forms, compiled and interpreted, and comparing what happens."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import anyio
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocketDisconnect

from tests.dependencies.oracle import Oracle, overridden
from tests.dependencies.trees import (
    CLEAN_UPS,
    ENDINGS,
    ENDPOINT,
    FAILURES,
    RUN,
    RUNTIME,
    CleanUpError,
    Event,
    FakeSocket,
    ReplacementError,
    Run,
    SetUpError,
    finish,
    kind_of,
)
from wsroute.dependencies.analysis import Analysis
from wsroute.dependencies.models import Dependant
from wsroute.dependencies.solver import Solver
from wsroute.exceptions import SwallowedExceptionError, WebSocketRequestValidationError

#: What may come out of a run; anything else is a mistake in these tests, or worse.
EXPECTED = (
    SetUpError,
    CleanUpError,
    ReplacementError,
    HTTPException,
    WebSocketDisconnect,
    ExceptionGroup,
    SwallowedExceptionError,
)


class Outcome(NamedTuple):
    """What a run came to: what was logged, how it ended, and how often it could have been cancelled."""

    log: list[Event]
    end: tuple[Any, ...]
    pauses: int


async def observe(
    function: Callable[[Any], Any],
    behaviours: Mapping[str, str],
    *,
    query_string: str = "",
    cancel_at: int | None = None,
    native: bool = False,
) -> Outcome:
    """Run a function for a socket, and write down what happens.

    Args:
        function: A compiled plan, or the oracle for a tree.
        behaviours: What the callables do.
        query_string: What the client has sent.
        cancel_at: At which pause it is cancelled, if at all.
        native: Whether as a task of asyncio, rather than as a scope of anyio.
    """
    run = Run(behaviours, cancel_at)
    end: tuple[Any, ...] = ("not run",)

    async def connection() -> None:
        nonlocal end
        RUN.set(run)
        websocket = FakeSocket(query_string)
        try:
            await function(websocket)
            await finish(websocket)  # as the session does
            end = ("returned",)
        except WebSocketRequestValidationError as error:
            end = ("refused", [(found["loc"], found["type"]) for found in error.errors()])
        except EXPECTED as error:
            end = ("raised", kind_of(error), kind_of(error.__cause__))
        except anyio.get_cancelled_exc_class() as error:
            end = ("raised", kind_of(error))
            raise

    if native:
        task = asyncio.create_task(connection())
        run.cancel = task.cancel
        with suppress(asyncio.CancelledError):
            await task
    else:
        with anyio.CancelScope() as scope:
            run.cancel = scope.cancel
            await connection()
    return Outcome(run.log, end, run.pauses)


class Tree(NamedTuple):
    """A tree in both forms."""

    compiled: Callable[[Any], Any]
    interpreted: Callable[[Any], Any]


def both(endpoint: Any, overrides: Mapping[Any, Any] | None = None, effects: Sequence[Any] = ()) -> Tree:
    """The tree of an endpoint.

    Args:
        endpoint: The endpoint.
        overrides: What the interpreter replaces in the tree, and the solver selects a program for.
        effects: What runs before it for its effect.
    """
    solver = Solver(lambda lookup: Analysis("/", overrides=lookup).endpoint(endpoint, effects), RUNTIME)
    dependant = solver.program.dependant
    return Tree(
        solver.select([overrides] if overrides else []).run,
        partial(interpret, overridden(dependant, overrides) if overrides else dependant),
    )


async def interpret(dependant: Dependant, websocket: Any) -> None:
    await Oracle(dependant, RUNTIME, websocket).run()


async def compare(tree: Tree, behaviours: Mapping[str, str], **how: Any) -> Outcome:
    """Run both; what they have in common."""
    expected = await observe(tree.interpreted, behaviours, **how)
    found = await observe(tree.compiled, behaviours, **how)
    assert found == expected, (behaviours, how)
    assert_closed(found, behaviours)
    return found


def assert_closed(outcome: Outcome, scenario: object) -> None:
    """Whatever was opened was closed exactly once, last opened first."""
    still_open = []
    for event in outcome.log:
        if event[0] == "open":
            still_open.append(event[1])
        elif event[0] == "close":
            assert still_open and still_open.pop() == event[1], (scenario, outcome.log)
    assert still_open == [], (scenario, outcome.log)


async def compare_cancelled(tree: Tree, behaviours: Mapping[str, str], **how: Any) -> None:
    """Cancel at each pause in turn."""
    for moment in itertools.count(1):
        outcome = await compare(tree, behaviours, cancel_at=moment, **how)
        if outcome.pauses < moment:
            break


def set_ups(size: int) -> Iterator[Mapping[str, str]]:
    """Each node fails in each way, or closes the socket."""
    yield from ({ENDPOINT: ending} for ending in ENDINGS)
    yield from ({f"n{index}": failure} for index in range(1, size) for failure in (*FAILURES, "end"))


def clean_ups(size: int, together: int) -> Iterator[Mapping[str, str]]:
    """Some dependencies clean up in each way."""
    for nodes in itertools.combinations(range(1, size), together):
        for behaviours in itertools.product(CLEAN_UPS, repeat=together):
            yield {f"n{node}": behaviour for node, behaviour in zip(nodes, behaviours, strict=True)}
