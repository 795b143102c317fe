"""Reading on while a message is handled, to see whether the client leaves."""

from __future__ import annotations

from collections import deque

import anyio
from anyio import CancelScope
from starlette.types import Message
from starlette.websockets import WebSocketState

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
        websocket.is_handling = True
        self._task_reads = False
        self._begun, self._arrived = anyio.Event(), anyio.Event()

    async def receive(self) -> Message:
        """The next message, for the listener, which handles it from then on."""
        websocket = self._websocket
        websocket.is_handling = False
        if websocket.is_draining:
            # What was read ahead is not handled any more, and what the task waits for does not come.
            return await websocket.receive()
        if not self._read and self._task_reads:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        message = self._read.popleft() if self._read else await websocket.receive()
        websocket.is_handling = True
        self._begun.set()
        return message

    async def watch(self) -> None:
        """Read while messages are handled, until the server has told of the end of the connection.

        It does so whoever has ended it: a handler may wait for what does not come any more.
        """
        websocket = self._websocket
        while websocket.client_state is not WebSocketState.DISCONNECTED:
            if not self._may_read():
                self._begun = anyio.Event()
                await self._begun.wait()
                continue
            self._task_reads = True
            message = await websocket.receive()
            self._task_reads = False
            if websocket.ended and websocket.is_handling:
                self._listener.cancel()
                return
            self._read.append(message)
            self._arrived.set()

    def _may_read(self) -> bool:
        # To ask for a message while the connection is draining closes it, which the listener does when it has ended.
        return self._websocket.is_handling and not self._websocket.is_draining and len(self._read) < self._most
