"""The conversation of a stream: items are sent until there are no more, or the client leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from anyio import CancelScope
from anyio.abc import TaskGroup

from wsroute.dependencies.exits import EndpointTasks
from wsroute.messages.codec import Codec
from wsroute.messages.conversation import OnDisconnect, accepted, running
from wsroute.wire.socket import Socket


class Streaming:
    """Holds the conversations of one stream.

    Args:
        codec: How its items are written.

    Attributes:
        encoder: From the stream's function to what makes frames of the items.
    """

    def __init__(self, codec: Codec) -> None:
        self.encoder = codec.encoder

    async def converse(
        self,
        websocket: Socket,
        handlers: Sequence[Callable[[], Awaitable[None]]],
        on_connect: None,
        on_disconnect: OnDisconnect | None,
        tasks: TaskGroup | None = None,
    ) -> None:
        """Send what the stream yields. Whatever the client sends is read, to see when it leaves, and discarded."""
        (send_all,) = handlers
        async with accepted(websocket, on_disconnect), running(tasks), EndpointTasks() as reading:
            reading.start_soon(_discard, websocket, reading.cancel_scope)
            await send_all()


async def _discard(websocket: Socket, stream: CancelScope) -> None:
    while not websocket.ended:
        await websocket.receive()
    stream.cancel()
