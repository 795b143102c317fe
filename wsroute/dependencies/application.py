"""Values that live as long as the application: built when a connection first needs them, closed when it ends.

One task opens and closes all of them, so that cancel scopes, task groups and context variables of such a dependency
work across its `yield`. That task belongs to the lifespan: no connection can take a value with it when it is cancelled,
and connections that need the same value at the same time wait for one build.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakValueDictionary

import anyio

from wsroute.dependencies.callables import Form, describe, identity
from wsroute.dependencies.concurrency import context_factory, in_thread
from wsroute.dependencies.exits import Exits, only_leaf
from wsroute.dependencies.models import Dependant
from wsroute.exceptions import LifespanError

if TYPE_CHECKING:  # anyio loads its streams when somebody first makes one, which few applications do
    from anyio.streams.memory import MemoryObjectReceiveStream

#: Under which name the state of a running application has its values.
STATE = "wsroute.application"


class AppValue:
    """What is built once for an application. Equal trees of dependencies are one such object, wherever they stand.

    An override, also of something further down, makes another tree, and so another value.

    Attributes:
        node: The dependency.
        below: What it needs, by the names of its parameters.
    """

    __slots__ = ("__weakref__", "_shape", "below", "node")

    def __init__(self, node: Dependant, below: Mapping[str, AppValue], shape: object) -> None:
        self.node = node
        self.below = below
        self._shape = shape  # which keeps what it consists of alive, and so itself unique

    @property
    def name(self) -> str:
        """The qualified name of the dependency."""
        return describe(self.node.call)


_known: WeakValueDictionary[object, AppValue] = WeakValueDictionary()


def app_value(node: Dependant) -> AppValue:
    """The value of a dependency that lives as long as the application."""
    below = {child.name or "": app_value(child) for child in node.dependencies}
    shape = (identity(node.call), node.threaded, tuple(below.items()))
    known = _known.get(shape)
    if known is None:
        known = _known[shape] = AppValue(node, below, shape)
    return known


def values_of(scope: Mapping[str, Any], first: str) -> ApplicationValues:
    """The values of the application that serves a connection.

    Args:
        scope: The scope of the connection.
        first: The qualified name of a dependency that needs them, for the error.

    Raises:
        LifespanError: The application runs without the lifespan that builds and closes them.
    """
    values: ApplicationValues | None = (scope.get("state") or {}).get(STATE)
    if values is None:
        raise LifespanError(first, "no lifespan of a router is running")
    return values


class _Entry:
    """One value of one application: wanted, then built or failed."""

    __slots__ = ("error", "ready", "value", "wanted")

    def __init__(self, wanted: AppValue) -> None:
        self.wanted = wanted
        self.ready = anyio.Event()
        self.value: Any = None
        self.error: Exception | None = None

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


class ApplicationValues:
    """The values of one running application: an asynchronous context manager around its life."""

    def __init__(self) -> None:
        self._entries: dict[AppValue, _Entry] = {}
        self._ended = False

    async def __aenter__(self) -> Self:
        self._requests, requests = anyio.create_memory_object_stream[_Entry](math.inf)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._serve, requests)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended = True  # before the last builds are finished, so that nobody asks for another one
        self._requests.close()
        try:
            await self._tasks.__aexit__(kind, exception, traceback)
        except BaseExceptionGroup as group:
            leaf = only_leaf(group)
            if leaf is group:
                raise
            raise leaf from leaf.__cause__

    async def get(self, wanted: AppValue) -> Any:
        """The value; it is built if nobody has needed it yet.

        Raises:
            Exception: It cannot be built. Who asks next makes the next attempt.
            LifespanError: The application has ended.
        """
        entry = self._entries.get(wanted)
        if entry is None:
            if self._ended:
                raise LifespanError(wanted.name, "the application has ended")
            entry = self._entries[wanted] = _Entry(wanted)
            self._requests.send_nowait(entry)
        if not entry.ready.is_set():
            # Whoever is cancelled here takes nothing with it: the value is built in another task.
            await entry.ready.wait()
        return entry.result()

    async def _serve(self, requests: MemoryObjectReceiveStream[_Entry]) -> None:
        async with Exits("the application") as exits:
            try:
                async for entry in requests:
                    if not entry.ready.is_set():  # else something that needs it was built first
                        await self._build(entry, exits)
            finally:
                self._ended = True
                requests.close()
                waited_for = [entry for entry in self._entries.values() if not entry.ready.is_set()]
                self._entries.clear()  # nobody gets what is about to be closed
                for entry in waited_for:
                    entry.error = LifespanError(entry.wanted.name, "the application has ended")
                    entry.ready.set()

    async def _build(self, entry: _Entry, exits: Exits) -> None:
        try:
            entry.value = await self._call(entry.wanted, exits)
        except Exception as error:
            entry.error = error
            # Forgotten: what is missing now may be there when the next connection comes.
            del self._entries[entry.wanted]
        entry.ready.set()

    async def _call(self, wanted: AppValue, exits: Exits) -> Any:
        node = wanted.node
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for item in node.arguments:
            name = item.name or ""
            # Beside other dependencies, there is only what is `None` for a socket.
            value = await self._below(wanted.below[name], exits) if name in wanted.below else None
            if name in node.positional_only:
                positional.append(value)
            else:
                named[name] = value
        if node.form is Form.COROUTINE:
            return await node.call(*positional, **named)
        if node.form is Form.VALUE:
            call = partial(node.call, *positional, **named)
            return await in_thread(call) if node.threaded else call()
        manager = context_factory(node.call, node.form, threaded=node.threaded)(*positional, **named)
        return await (exits.open(manager) if node.form.is_async else exits.hold(manager))

    async def _below(self, wanted: AppValue, exits: Exits) -> Any:
        entry = self._entries.get(wanted)
        if entry is None:
            entry = self._entries[wanted] = _Entry(wanted)
        if not entry.ready.is_set():
            await self._build(entry, exits)
        return entry.result()


@asynccontextmanager
async def application_values(trees: Iterable[Dependant]) -> AsyncIterator[dict[str, Any]]:
    """The state in which routes find the values that live as long as their application, around its life.

    Args:
        trees: The trees of all routes. Without such a value in any of them there is no state.
    """
    if not any(node.lifetime == "app" for tree in trees for node in tree.walk()):
        yield {}
        return
    async with ApplicationValues() as values:
        yield {STATE: values}
