"""What generated code asks of whatever holds the conversation of a listener or a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from anyio.abc import TaskGroup


class Encoder(Protocol):
    """What makes frames of what handlers return and yield.

    Attributes:
        encode: From a value to the data of a frame.
        method: The method of the WebSocket that sends the data.
        sends: Whether there may be anything to send.
        may_be_none: Whether `encode` may give `None`, for nothing.
    """

    @property
    def encode(self) -> Callable[[Any], Any]: ...
    @property
    def method(self) -> str: ...
    @property
    def sends(self) -> bool: ...
    @property
    def may_be_none(self) -> bool: ...


class Speech(Protocol):
    """How the messages of a route are read and written, and when its handlers are called."""

    def encoder(self, call: Any) -> Encoder:
        """What makes frames of what a handler returns or yields."""

    async def converse(
        self, websocket: Any, handlers: Any, on_connect: Any, on_disconnect: Any, tasks: TaskGroup | None = None
    ) -> None:
        """Hold the conversation of one connection.

        Args:
            websocket: The WebSocket.
            handlers: A coroutine function for each handler, which takes the message; of a stream, one that takes
                nothing.
            on_connect: A coroutine function without parameters, or `None`.
            on_disconnect: A coroutine function that takes the code and the reason, or `None`.
            tasks: The task group of the handlers, which has not begun, if they ask for one. What fails in it ends the
                conversation, and `on_disconnect` is told of that.
        """
