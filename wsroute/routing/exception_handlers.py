"""The exception handlers of a level."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from wsroute.dependencies.callables import describe, form_of, show
from wsroute.exceptions import InvalidParameterError, Location
from wsroute.wire.handlers import HandlerTable


def read_exception_handlers(handlers: Mapping[Any, Any] | None, location: Location) -> HandlerTable | None:
    """The exception handlers of one level, which the caller may change afterwards.

    Raises:
        InvalidParameterError: A key is neither a class of exceptions nor a number, or a handler cannot be called with a
            WebSocket and an exception.
    """
    if handlers is None:
        return None
    if not isinstance(handlers, Mapping):
        raise _not(f"exception_handlers= is {show(handlers)}", location, "write {SomeError: your_handler}")
    classes, codes = {}, {}
    for key, handler in handlers.items():
        if not callable(handler):
            raise _not(f"exception_handlers= holds {show(handler)} for {show(key)}", location, "hand over a function")
        if form_of(handler).is_context:
            # Calling it would do nothing, and count as if it had handled the exception.
            raise _not(f"the exception handler {describe(handler)} yields", location, "declare it without yield")
        _check_signature(handler, location)
        if isinstance(key, type) and issubclass(key, Exception):
            classes[key] = handler
        elif isinstance(key, int) and not isinstance(key, bool):
            codes[key] = handler
        else:
            raise _not(f"exception_handlers= has the key {show(key)}", location, "use the class, or a number")
    return HandlerTable(classes, codes) if handlers else None


def _check_signature(handler: Callable[..., Any], location: Location) -> None:
    try:
        signature = inspect.signature(handler)
    except ValueError:  # not every builtin has one
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        problem = f"the exception handler {describe(handler)} does not take a WebSocket and an exception: {error}"
        raise _not(problem, location, "declare it with (websocket, exc)") from None


def _not(problem: str, location: Location, remedy: str) -> InvalidParameterError:
    return InvalidParameterError(
        location,
        problem=problem,
        expected="a mapping of exception classes, HTTP statuses or close codes to handler(websocket, exc)",
        remedy=remedy,
    )
