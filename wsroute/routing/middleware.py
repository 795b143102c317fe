"""ASGI middleware around the connections of a level."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp

from wsroute.dependencies.callables import describe, short_name, show
from wsroute.exceptions import InvalidParameterError, Location
from wsroute.routing.lists import copied

_EXPECTED = "a list of ASGI middleware: classes that take the application, or Middleware(...) of Starlette"


def read_middleware(middleware: Sequence[Any] | None, location: Location) -> tuple[Middleware, ...]:
    """The middleware of one level, which the caller may change afterwards.

    Raises:
        InvalidParameterError: One of them is neither a `Middleware` of Starlette nor a class, or cannot be made.
    """
    return tuple(_read(item, location) for item in copied(middleware, "middleware", _EXPECTED, location))


def wrapped(app: ASGIApp, middleware: Iterable[Middleware]) -> ASGIApp:
    """The application with middleware around it, the first one outermost."""
    for cls, args, kwargs in reversed(tuple(middleware)):
        app = cls(app, *args, **kwargs)
    return app


def _read(item: Any, location: Location) -> Middleware:
    if not isinstance(item, (Middleware, type)):
        raise _not(f"middleware= holds {show(item)}", location, "write Middleware(YourClass, option=...), or YourClass")
    cls: Any = item
    middleware = item if isinstance(item, Middleware) else Middleware(cls)
    _check_signature(middleware, location)
    return middleware


def _check_signature(middleware: Middleware, location: Location) -> None:
    cls, args, kwargs = middleware
    try:
        signature = inspect.signature(cls)
    except (TypeError, ValueError):  # not everything has one
        return
    try:
        signature.bind(None, *args, **kwargs)
    except TypeError as error:
        problem = f"{describe(cls)} cannot be made with the application and the options that are given: {error}"
        raise _not(problem, location, f"write Middleware({short_name(cls)}, option=...) with its options") from None


def _not(problem: str, location: Location, remedy: str) -> InvalidParameterError:
    return InvalidParameterError(
        location,
        problem=problem,
        expected=_EXPECTED,
        remedy=remedy,
    )
