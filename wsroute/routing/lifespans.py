"""What runs around the life of an application, for all routers that are in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from starlette.routing import BaseRoute

from wsroute.dependencies.application import application_values
from wsroute.dependencies.callables import show
from wsroute.exceptions import RouterError
from wsroute.routing.route import APIWebSocketRoute
from wsroute.routing.standalone import Lifespan

#: How long, in seconds, connections may take to end. Longer than most handlers, shorter than what supervisors wait.
DEADLINE = 20.0


class Living(Protocol):
    """A table of routes, with what runs around its life."""

    @property
    def own_lifespan(self) -> Lifespan:
        """What it was given itself."""

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Its routes, those of what it includes among them."""

    def included(self) -> Iterable[Living]:
        """The tables that it includes, in order."""

    def check(self) -> None:
        """Decide everything about every route."""


@asynccontextmanager
async def running(tables: Sequence[Living], app: Any, deadline: float = DEADLINE) -> AsyncIterator[dict[str, Any]]:
    """Run the lifespans of some tables and of all that they include, each once, the outer ones around the inner.

    A server does not start with a declaration that cannot work.

    Args:
        tables: The tables.
        app: The application.
        deadline: How long, in seconds, the connections may take to end when it does.
    """
    for table in tables:
        table.check()
        for route in table.routes:
            if isinstance(route, APIWebSocketRoute):
                route.refuse(None)  # of an application that starts again, connections are served again
    state: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        for table in outermost_first(tables):
            inner: Mapping[str, Any] | None = await stack.enter_async_context(table.own_lifespan(app))
            # The outer router's state has the last word.
            state = {**(inner or {}), **state}
        # Innermost: what lives as long as the application may use what the lifespans have set up.
        state |= await stack.enter_async_context(application_values([route.dependant for route in _bound(tables, app)]))
        try:
            yield state
        finally:
            # Before anything is closed that the connections may use.
            await _drain(tables, app, deadline)


def _bound(tables: Sequence[Living], app: Any) -> list[APIWebSocketRoute]:
    return bound_within(app, [route for table in tables for route in table.routes])


async def _drain(tables: Sequence[Living], app: Any, deadline: float) -> None:
    from wsroute.routing.draining import drain_routes

    routes = {id(route) for route in _bound(tables, app)}
    await drain_routes(lambda route: id(route) in routes, deadline, app)


def bound_within(app: Any, routes: Iterable[BaseRoute]) -> list[APIWebSocketRoute]:
    """The routes of wsroute among some, as an application serves them.

    Raises:
        DependencyError: A declaration cannot work there.
    """
    found = [route.within(app) for route in routes if isinstance(route, APIWebSocketRoute)]
    for route in found:
        route.bind()
    return found


def outermost_first(tables: Sequence[Living]) -> list[Living]:
    """Some tables and all that they include, each once, and none before one that includes it."""
    finished: dict[int, Living] = {}

    def visit(tables: Iterable[Living]) -> None:
        for table in reversed([*tables]):
            if id(table) not in finished:
                visit(table.included())
                finished[id(table)] = table

    visit(tables)
    return [*finished.values()][::-1]


def check_deadline(deadline: float) -> None:
    """Check that a deadline is a time.

    Raises:
        RouterError: It is none.
    """
    if isinstance(deadline, bool) or not isinstance(deadline, (int, float)) or not deadline >= 0:
        raise RouterError(f"deadline={show(deadline)} is no time. It is a number of seconds from 0.")
