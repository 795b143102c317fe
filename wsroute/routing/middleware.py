"""ASGI middleware around the connections of a level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp

from wsroute.dependencies.callables import show
from wsroute.exceptions import InvalidParameterError, Location


def read_middleware(middleware: Sequence[Any] | None, location: Location) -> tuple[Middleware, ...]:
    """The middleware of one level, which the caller may change afterwards.

    Raises:
        InvalidParameterError: One of them is neither a `Middleware` of Starlette nor a class.
    """
    if middleware is None:
        return ()
    if not isinstance(middleware, Sequence) or isinstance(middleware, str):
        raise _not(f"middleware= is {show(middleware)}", location, "put it into a list")
    return tuple(_read(item, location) for item in middleware)


def wrapped(app: ASGIApp, middleware: Iterable[Middleware]) -> ASGIApp:
    """The application with middleware around it, the first one outermost."""
    for cls, args, kwargs in reversed(tuple(middleware)):
        app = cls(app, *args, **kwargs)
    return app


def _read(item: Any, location: Location) -> Middleware:
    if isinstance(item, Middleware):
        return item
    if isinstance(item, type):
        cls: Any = item
        return Middleware(cls)
    raise _not(f"middleware= holds {show(item)}", location, "write Middleware(YourClass, option=...), or YourClass")


def _not(problem: str, location: Location, remedy: str) -> InvalidParameterError:
    return InvalidParameterError(
        location,
        problem=problem,
        expected="a list of ASGI middleware: classes that take the application, or Middleware(...) of Starlette",
        remedy=remedy,
    )
