"""Reading on while a message is handled, to see whether the client leaves."""

from __future__ import annotations

from collections import deque

import anyio
from anyio import CancelScope
from starlette.types import Message

from wsroute.wire.socket import Socket


class Ahead:
    """Reads messages for a listener, which is cancelled if the client leaves while it handles one.

    While it waits for a message, the listener reads itself. A task reads only while a handler waits for something else,
    since only then can it: changing from one task to another for each message takes longer than most handlers.

    Args:
        websocket: The WebSocket.
        most: How many messages are read while one is handled.
        listener: The scope of the listener.
    """

    def __init__(self, websocket: Socket, most: int, listener: CancelScope) -> None:
        self._websocket = websocket
        self._most = most
        self._listener = listener
        self._read: deque[Message] = deque()
        # Until it first waits for a message, the listener is taken to handle one: it welcomes the client.
        self._is_handling = True
        self._task_reads = False
        self._begun, self._arrived = anyio.Event(), anyio.Event()

    async def receive(self) -> Message:
        """The next message, for the listener, which handles it from then on."""
        self._is_handling = False
        if not self._read and self._task_reads:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        message = self._read.popleft() if self._read else await self._websocket.receive()
        self._is_handling = True
        self._begun.set()
        return message

    async def watch(self) -> None:
        """Read while messages are handled, until the connection has ended."""
        while not self._websocket.ended:
            if not self._is_handling or len(self._read) >= self._most:
                self._begun = anyio.Event()
                await self._begun.wait()
                continue
            self._task_reads = True
            message = await self._websocket.receive()
            self._task_reads = False
            if message["type"] == "websocket.disconnect" and self._is_handling:
                self._listener.cancel()
                return
            self._read.append(message)
            self._arrived.set()
