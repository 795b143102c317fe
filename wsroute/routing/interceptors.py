"""Interceptors: what runs around a connection, inside of all middleware and outside of all permissions."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import MethodType
from typing import Any

from starlette.websockets import WebSocket

from wsroute.dependencies.callables import Form, describe, form_of, method_of, show
from wsroute.exceptions import InvalidParameterError, Location
from wsroute.routing.lists import copied
from wsroute.routing.permissions import check_needs_no_arguments

_EXPECTED = "a list of classes or instances with async def intercept(self, websocket, call_next, ...)"
#: The parameters of the form that only runs before, as in Esmerald.
_BEFORE = ("scope", "receive", "send")


class BaseInterceptor(ABC):
    """Runs around the connections of a level.

    A subclass defines one of two forms.

    - `async def intercept(self, websocket, call_next)` runs around all that follows: interceptors of further levels,
      permissions, dependencies and endpoint. `await call_next()` runs them, once, and raises what they raise. Not
      calling it refuses the connection. Further parameters are injected as those of the endpoint are, and share their
      values with it.
    - `async def intercept(self, scope, receive, send)`, with exactly these names, runs before, and may change the
      scope, or raise.

    Example:
        class Timing(BaseInterceptor):
            async def intercept(self, websocket: WebSocket, call_next: Callable[[], Awaitable[None]]) -> None:
                started = time.monotonic()
                try:
                    await call_next()
                finally:
                    logger.info("%s took %.1f s", websocket.url.path, time.monotonic() - started)
    """

    @abstractmethod
    async def intercept(self, *args: Any, **kwargs: Any) -> None:
        """Run around a connection, or before it."""


def read_interceptors(interceptors: Sequence[Any] | None, location: Location) -> tuple[Any, ...]:
    """The interceptors of one level, which the caller may change afterwards.

    Raises:
        InvalidParameterError: One of them cannot be called around a connection.
    """
    listed = copied(interceptors, "interceptors", _EXPECTED, location)
    for interceptor in listed:
        _check(interceptor, location)
    return listed


def methods_of(interceptors: Iterable[Any]) -> tuple[Callable[..., Any], ...]:
    """What a route calls: the bound methods of the interceptors, classes instantiated, in the order of the levels."""
    return tuple(method_around(item() if isinstance(item, type) else item) for item in interceptors)


def method_around(interceptor: Any) -> Callable[..., Any]:
    """The method of an interceptor in the form that is called around a connection."""
    method = method_of(interceptor, "intercept")
    return _around(method, interceptor) if tuple(inspect.signature(method).parameters) == _BEFORE else method


def _around(before: Callable[..., Awaitable[None]], interceptor: Any) -> Callable[..., Any]:
    async def intercept(self: Any, websocket: WebSocket, call_next: Callable[[], Awaitable[None]]) -> None:
        await before(websocket.scope, websocket.receive, websocket.send)
        await call_next()  # which does nothing if the connection has ended

    # What is called is the interceptor's; `functools.wraps` would show its signature as well.
    intercept.__module__, intercept.__qualname__ = before.__module__, before.__qualname__
    return MethodType(intercept, interceptor)


def _check(interceptor: Any, location: Location) -> None:
    method = getattr(interceptor, "intercept", None)
    if not callable(method):
        raise _not(f"interceptors= holds {show(interceptor)}", location, "derive it from BaseInterceptor")
    if isinstance(interceptor, type):
        if inspect.isabstract(interceptor):
            raise _not(f"{describe(interceptor)} does not define intercept", location, "define it")
        check_needs_no_arguments(interceptor, location)
    if form_of(method) is not Form.COROUTINE:
        raise _not(f"{describe(method)} is not asynchronous", location, "declare it with async def, without yield")
    names = tuple(inspect.signature(method_of(interceptor, "intercept")).parameters)
    if names != _BEFORE and {*names} >= {*_BEFORE}:
        # In another order, or with something more: it would get other things than these.
        remedy = "write (self, scope, receive, send) and nothing else, or (self, websocket, call_next, ...)"
        raise _not(f"{describe(method)} takes ({', '.join(names)})", location, remedy)


def _not(problem: str, location: Location, remedy: str) -> InvalidParameterError:
    return InvalidParameterError(
        location,
        problem=problem,
        expected=_EXPECTED,
        remedy=remedy,
    )
