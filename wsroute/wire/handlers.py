"""Exception handlers: which one is asked, and how it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from anyio import to_thread
from starlette.exceptions import HTTPException, WebSocketException
from starlette.types import Scope
from starlette.websockets import WebSocket, WebSocketDisconnect

from wsroute.exceptions import WebSocketPayloadValidationError, WebSocketRequestValidationError

#: Takes the WebSocket and the exception, and may return a Response; `def` or `async def`.
ExceptionHandler: TypeAlias = Callable[[Any, Any], Any]

#: A connection ends by these in ways of their own, so that a handler for every `Exception` does not mean them.
_HAVE_ENDINGS = (
    HTTPException,
    WebSocketException,
    WebSocketRequestValidationError,
    WebSocketPayloadValidationError,
    WebSocketDisconnect,
)
_FRAMEWORKS = ("starlette.", "fastapi.")


class HandlerTable(NamedTuple):
    """The exception handlers of one level.

    Attributes:
        classes: Handlers by the class of the exception.
        codes: Handlers by the HTTP status of an HTTPException, or the close code of a WebSocketException.
        has_defaults: Whether the frameworks' own defaults may be among them, which are none for a socket.
    """

    classes: Mapping[Any, ExceptionHandler]
    codes: Mapping[int, ExceptionHandler]
    has_defaults: bool = False

    def find(self, exc: Exception) -> ExceptionHandler | None:
        """The handler for an exception: by its code, else by the nearest of its classes."""
        if isinstance(exc, HTTPException):
            candidates = [self.codes.get(exc.status_code)]
        elif isinstance(exc, WebSocketException):
            candidates = [self.codes.get(exc.code)]
        else:
            candidates = []
        catch_all = not isinstance(exc, _HAVE_ENDINGS)
        candidates += [self.classes.get(cls) for cls in type(exc).__mro__ if catch_all or cls is not Exception]
        known = (handler for handler in candidates if handler is not None)
        return next((handler for handler in known if not (self.has_defaults and _is_default(handler))), None)


def find_handler(tables: Iterable[HandlerTable], scope: Scope, exc: Exception) -> ExceptionHandler | None:
    """The handler for an exception: of the levels around a route, else of the application.

    Args:
        tables: The handlers of the levels, nearest first; the first that has one decides.
        scope: The scope of the connection, in which Starlette puts those of the application.
        exc: The exception.
    """
    for table in tables:
        if (handler := table.find(exc)) is not None:
            return handler
    of_application = scope.get("starlette.exception_handlers")
    if of_application is None:
        return None
    classes, codes = of_application
    return HandlerTable(classes, codes, has_defaults=True).find(exc)


async def call_handler(handler: ExceptionHandler, websocket: WebSocket, exc: Exception) -> object:
    """Call a handler, in a worker thread unless it is asynchronous."""
    if _is_async(handler):
        return await handler(websocket, exc)

    def call() -> list[Any]:
        # In a list, since trio does not let a coroutine out of a thread.
        return [handler(websocket, exc)]

    [result] = await to_thread.run_sync(call)
    # A wrapper or a lambda may hide that what it calls is asynchronous.
    return await result if inspect.isawaitable(result) else result


def _is_default(handler: ExceptionHandler) -> bool:
    # They answer with HTTP messages also after the accept, where these are illegal.
    return str(getattr(handler, "__module__", "")).startswith(_FRAMEWORKS)


def _is_async(handler: ExceptionHandler) -> bool:
    while isinstance(handler, partial):
        handler = handler.func
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)
