"""How what was opened is closed: dependencies in order, whatever has happened, and the endpoint's tasks before them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import AsyncGeneratorType, TracebackType
from typing import Any, NoReturn, Self, TypeAlias, TypeVar

import anyio
from anyio import CancelScope
from anyio.abc import TaskGroup
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint_if_cancelled
from starlette.websockets import WebSocketDisconnect

from wsroute.dependencies.callables import describe
from wsroute.dependencies.shields import enter_shield
from wsroute.exceptions import SwallowedExceptionError

T = TypeVar("T")

#: What a generator gives after its end.
_END = object()

_Inner: TypeAlias = AbstractAsyncContextManager[Any] | AsyncGeneratorType[Any, None]


class Exits:
    """The open dependencies of one lifetime: closed last-opened-first, whatever happens.

    Closing runs in the connection's task, so that context variables and cancel scopes of a dependency work across its
    `yield`, and it is shielded from cancellation. For that, each has a cancel scope around it, if it needs one, which
    has to be entered before it opens scopes of its own: those of a dependency further out may be what is cancelled.

    Each dependency gets the exception that ends the endpoint, or the one that a dependency inside of it has put in its
    place. A dependency that makes an exception disappear is an error: the endpoint has not finished, and those further
    out must not clean up as if it had. Only a disconnect may be swallowed, since it is an end in itself.

    Args:
        endpoint: The qualified name of the endpoint, for that error.
    """

    __slots__ = ("_endpoint", "_has_shielded", "_open")

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._has_shielded = False
        self._open: list[tuple[CancelScope | None, _Inner]] = []

    async def __aenter__(self) -> Self:
        return self

    async def hold(self, manager: AbstractAsyncContextManager[T]) -> T:
        """Enter a context manager that no cancellation disturbs when it is left; it is left with the others."""
        value = await manager.__aenter__()
        self._has_shielded = True  # it does so itself
        self._open.append((None, manager))
        return value

    async def open(self, manager: AbstractAsyncContextManager[T]) -> T:
        """Enter a context manager; it is left with the others."""
        scope = enter_shield()
        try:
            value = await manager.__aenter__()
        except BaseException as error:
            if scope is not None:
                scope.__exit__(*_details(error))
            raise
        self._open.append((scope, manager))
        return value

    def start(self, generator: AsyncGeneratorType[T, None]) -> Awaitable[T]:
        """Run a generator to its `yield`; it is run to its end with the others.

        The same as `open(asynccontextmanager(...))`, at half the cost where nothing goes wrong. A generator that fails
        before its `yield` is met among the others again, at its end.
        """
        self._open.append((enter_shield(), generator))
        return generator.__anext__()

    def still_open(self) -> list[str]:
        """The qualified names of what is open, first opened first; for who looks at a connection from outside."""
        managers = [getattr(inner, "_manager", inner) for _, inner in self._open]
        return [describe(getattr(manager, "gen", manager)) for manager in managers]

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        ending = exception
        try:
            while self._open:
                scope, inner = self._open.pop()
                if scope is not None:
                    scope.shield = self._has_shielded = True
                try:
                    if ending is not None:
                        if await _throw(ending, inner):
                            await self._swallowed(ending, scope)
                            ending = None
                    elif isinstance(inner, AsyncGeneratorType):
                        if await anext(inner, _END) is not _END:
                            await _stop(inner)
                    else:
                        await inner.__aexit__(None, None, None)
                except BaseException as raised:
                    if raised is not ending:
                        _chain(raised, ending, exception)
                    ending = raised
                if scope is not None:
                    scope.__exit__(*_details(ending))
            if ending is None:
                if self._has_shielded:
                    await checkpoint_if_cancelled()
                return True
            if ending is exception:
                return False
            await _raise_as_it_is(ending)
        finally:
            del ending, exception  # what is raised keeps this frame, which must not keep what is raised

    async def _swallowed(self, exception: BaseException, scope: CancelScope | None) -> None:
        # A task group of the dependency's own takes a cancellation for its own while the shield is up (on trio), and
        # those further out would clean up as if nothing had happened.
        if scope is not None:
            scope.shield = False
        await checkpoint_if_cancelled()
        if not is_disconnect(exception):
            raise SwallowedExceptionError(self._endpoint) from exception


def _details(error: BaseException | None) -> Any:
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)


async def _stop(generator: AsyncGeneratorType[Any, None]) -> NoReturn:
    try:
        raise RuntimeError(f"{generator.__qualname__} yielded a second time")
    finally:
        await generator.aclose()


async def _throw(exception: BaseException, inner: _Inner) -> bool | None:
    """Leave a dependency with an exception, and tell whether it has made it disappear."""
    if isinstance(inner, AsyncGeneratorType):
        if inner.ag_frame is None:  # it has ended already, and so before its `yield`
            if isinstance(exception, StopAsyncIteration):
                raise RuntimeError(f"{inner.__qualname__} did not yield") from None
            return False
        # How an exception goes through a generator is contextlib's business, which has every corner of it right.
        inner = _managed(inner)
    return await inner.__aexit__(type(exception), exception, exception.__traceback__)


@asynccontextmanager
def _managed(generator: AsyncGeneratorType[T, None]) -> AsyncGeneratorType[T, None]:
    return generator


def _chain(new: BaseException, old: BaseException | None, handled: BaseException | None) -> None:
    """Make `old` the context at the end of what `new` came from, as nested `with` statements would.

    Args:
        new: What the clean-up of a dependency raised.
        old: What was on its way then.
        handled: What Python took to be on its way: the exception that ended the endpoint.
    """
    link = new
    while link.__context__ is not None and link.__context__ is not old and link.__context__ is not handled:
        link = link.__context__
    link.__context__ = old
    # As Python does it: an exception that is raised once more leaves the place that it had in the chain.
    while old is not None:
        if old.__context__ is link:
            old.__context__ = None
        old = old.__context__


async def _raise_as_it_is(exception: BaseException) -> NoReturn:
    """Raise an exception and leave its context alone, which `raise` sets to what is being handled."""
    context = exception.__context__
    # So does Python at every `await` on the way out of a coroutine that an exception has woken up, as that of a thread
    # does on asyncio. After this it is awake for another reason.
    await cancel_shielded_checkpoint()
    try:
        raise exception
    finally:
        exception.__context__ = context
        del exception, context


def is_disconnect(exception: BaseException) -> bool:
    """Whether it only says that the peer left; tasks that serve one connection may all say it, in a group."""
    if isinstance(exception, BaseExceptionGroup):
        return all(map(is_disconnect, exception.exceptions))
    return isinstance(exception, WebSocketDisconnect)


class Items:
    """What an asynchronous generator yields; it is run to its end whatever happens to who takes the items.

    As with `Exits`, its end runs in the same task and is shielded from cancellation.

    Args:
        generator: The generator, which has not begun.
    """

    __slots__ = ("_generator", "_scope")

    def __init__(self, generator: AsyncGenerator[Any, None]) -> None:
        self._generator = generator

    async def __aenter__(self) -> AsyncGenerator[Any, None]:
        self._scope = enter_shield()
        return self._generator

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ending = exception
        try:
            if self._scope is not None:
                self._scope.shield = True
            await self._generator.aclose()
        except BaseException as raised:
            ending = raised
            raise
        finally:
            if self._scope is not None:
                self._scope.__exit__(*_details(ending))
            del ending, exception


class EndpointTasks:
    """The task group of an endpoint: its tasks end with the endpoint, and a single failure is raised as itself.

    Args:
        group: The task group, which has not begun. Default: a new one.
    """

    __slots__ = ("_group",)

    def __init__(self, group: TaskGroup | None = None) -> None:
        self._group = anyio.create_task_group() if group is None else group

    async def __aenter__(self) -> TaskGroup:
        return await self._group.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._group.cancel_scope.cancel()
        try:
            return await self._group.__aexit__(kind, exception, traceback)
        except BaseExceptionGroup as group:
            leaf = only_leaf(group)
            if leaf is group:
                raise
        try:
            await _raise_as_it_is(leaf)
        finally:
            del leaf, exception


def only_leaf(exception: BaseException) -> BaseException:
    """The one exception in a group, however deep; a group of several, or no group, is returned as it is."""
    leaf = exception
    while isinstance(leaf, BaseExceptionGroup) and len(leaf.exceptions) == 1:
        leaf = leaf.exceptions[0]
    return exception if isinstance(leaf, BaseExceptionGroup) else leaf
