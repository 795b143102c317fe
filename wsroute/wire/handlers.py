"""Exception handlers: which one is asked, and how it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from anyio import to_thread
from starlette.exceptions import HTTPException, WebSocketException
from starlette.websockets import WebSocketDisconnect

from wsroute.exceptions import WebSocketRequestValidationError
from wsroute.wire.socket import Socket

#: Takes the WebSocket and the exception, and may return a Response; `def` or `async def`.
ExceptionHandler: TypeAlias = Callable[[Any, Any], Any]

#: A connection ends by these in ways of their own, so that a handler for every `Exception` does not mean them.
_HAVE_ENDINGS = (HTTPException, WebSocketException, WebSocketRequestValidationError, WebSocketDisconnect)
_FRAMEWORKS = ("starlette.", "fastapi.")


@dataclass(frozen=True, slots=True)
class HandlerTable:
    """The exception handlers of one level.

    Attributes:
        classes: Handlers by the class of the exception.
        codes: Handlers by the HTTP status of an HTTPException, or the close code of a WebSocketException.
    """

    classes: Mapping[Any, ExceptionHandler]
    codes: Mapping[int, ExceptionHandler]

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
        return next((handler for handler in candidates if handler is not None and not _is_default(handler)), None)


def find_handler(websocket: Socket, exc: Exception) -> ExceptionHandler | None:
    """The handler that the application has for an exception; the frameworks' own defaults are none."""
    tables = websocket.scope.get("starlette.exception_handlers")
    return None if tables is None else HandlerTable(*tables).find(exc)


async def call_handler(handler: ExceptionHandler, websocket: Socket, exc: Exception) -> object:
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
