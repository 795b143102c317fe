"""Routers that are plugged into an application of Starlette or FastAPI, and the life that they share with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, NamedTuple, TypeAlias
from weakref import ReferenceType, WeakKeyDictionary, ref

import anyio
from starlette.applications import Starlette

from wsroute.dependencies.callables import show
from wsroute.exceptions import RouterError
from wsroute.routing.lifespans import DEADLINE, bound_within, check_deadline, running
from wsroute.routing.standalone import Lifespan
from wsroute.routing.table import RouteTable

#: What ends all connections of a router; it takes the deadline.
Drain: TypeAlias = Callable[[float], Coroutine[Any, Any, None]]


class Attachment(NamedTuple):
    """One router, plugged in once.

    Attributes:
        router: The router.
        prefix: What is put before its paths.
        table: What serves it: the router itself, or what puts the prefix before it.
    """

    router: RouteTable
    prefix: str
    table: RouteTable


class Attachments:
    """The routers that are plugged into one application, in one lifespan inside of the application's own.

    One, so that the lifespan of a router runs once, however often it is plugged in, and so that values that live as
    long as the application are closed before anything that they may use.

    Args:
        outer: The lifespan of the application.
    """

    def __init__(self, outer: Lifespan) -> None:
        self._outer = outer
        self._made: list[Attachment] = []
        #: What ends connections when the process gets SIGTERM.
        self.drains: list[Drain] = []
        #: How long, in seconds, connections may take to end: the longest time that a router was given.
        self.deadline = 0.0

    def find(self, router: RouteTable, prefix: str) -> RouteTable | None:
        """What serves a router below a prefix, if it is plugged in."""
        found = (made.table for made in self._made if made.router is router and made.prefix == prefix)
        return next(found, None)

    def add(self, attachment: Attachment) -> None:
        """Let a router take part in the life of the application."""
        self._made.append(attachment)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[Any]:
        """What runs around the life of the application."""
        tables = [made.table for made in self._made]
        drained = _drained_on_sigterm(self.drains, self.deadline) if self.drains else nullcontext()
        async with self._outer(app) as outer_state, running(tables, app, self.deadline) as state, drained:
            yield {**state, **(outer_state or {})} or None


# Weak on both sides: they belong to the application, whose lifespan they are. One that is given another lifespan after
# all has none of them any more.
_attachments: WeakKeyDictionary[Starlette, ReferenceType[Attachments]] = WeakKeyDictionary()


def attach(
    router: RouteTable,
    app: object,
    prefix: str,
    below: Callable[[str], RouteTable],
    drain_on_sigterm: Drain | None = None,
    deadline: float = DEADLINE,
) -> None:
    """Plug a router into an application; a second time changes nothing.

    Args:
        router: The router.
        app: The application.
        prefix: What is put before the paths.
        below: Makes the table that puts a prefix before the paths of the router.
        drain_on_sigterm: What ends the router's connections when the process gets SIGTERM, if something is to.
        deadline: How long, in seconds, connections may take to end then, and at the end of the lifespan.

    Raises:
        RouterError: It is no application of Starlette or FastAPI, or it has started already; or the deadline is no
            time.
        DependencyError: A declaration cannot work.
    """
    if not isinstance(app, Starlette):
        raise RouterError(
            f"attach() got {show(app)}. It takes an application of Starlette or FastAPI, not one of its routers; "
            "any other ASGI application can mount this router, which is an ASGI application itself."
        )
    check_deadline(deadline)
    reference = _attachments.get(app)
    attachments = reference() if reference else None
    known = attachments.find(router, prefix) if attachments else None
    table = known or (below(prefix) if prefix else router)
    has_route = any(route is table for route in app.router.routes)
    has_lifespan = known is not None or app.router.lifespan_context == table.lifespan
    has_drain = drain_on_sigterm is None or (attachments is not None and drain_on_sigterm in attachments.drains)
    if has_route and has_lifespan and has_drain:
        return
    if app.middleware_stack is not None:
        raise RouterError(
            "attach() came when the application had started already, too late for its lifespan to run the "
            "router's. Call it where the application is made."
        )
    table.check()
    bound_within(app, table.routes)
    if not has_route:
        app.router.routes.append(table)
    if has_lifespan and has_drain:
        return
    attachments = attachments or _begun(app)
    attachments.deadline = max(attachments.deadline, deadline)
    if not has_lifespan:
        attachments.add(Attachment(router, prefix, table))
    if drain_on_sigterm is not None and not has_drain:
        attachments.drains.append(drain_on_sigterm)


def _drained_on_sigterm(drains: Sequence[Drain], deadline: float) -> AbstractAsyncContextManager[None]:
    from wsroute.routing.draining import before_sigterm

    async def drain_all() -> None:
        async with anyio.create_task_group() as tasks:
            for drain in drains:
                tasks.start_soon(drain, deadline)

    return before_sigterm(drain_all)


def _begun(app: Starlette) -> Attachments:
    attachments = Attachments(app.router.lifespan_context)
    app.router.lifespan_context = attachments.lifespan
    _attachments[app] = ref(attachments)
    return attachments
