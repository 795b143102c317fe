"""The conversation of a listener: one message after the other, and what becomes of those that are none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import inf
from typing import Any, TypeAlias

from anyio.abc import TaskGroup
from starlette.exceptions import WebSocketException

from wsroute.dependencies.exits import EndpointTasks
from wsroute.exceptions import WebSocketPayloadValidationError
from wsroute.messages.ahead import Ahead
from wsroute.messages.codec import Codec
from wsroute.messages.conversation import OnDisconnect, accepted, running
from wsroute.messages.invalid import error_frame, wrong_frame
from wsroute.messages.options import MessageOptions
from wsroute.messages.patience import Patience, Receive
from wsroute.messages.rate import Bucket, bucket_of
from wsroute.wire.endings import MESSAGE_TOO_BIG, POLICY_VIOLATION, essence, is_departure
from wsroute.wire.handlers import call_handler, find_handler
from wsroute.wire.socket import Socket

_Handle: TypeAlias = Callable[[Any], Awaitable[None]]

#: RFC 3629: a character takes at most so many bytes in UTF-8.
_BYTES_PER_CHARACTER = 4


class Listening:
    """Holds the conversations of one listener.

    Messages are handled one at a time, and the next one is read when the last one was handled: replies come in the
    order of messages, and a client that sends more than is handled waits at its own end of the connection.

    Args:
        codec: How its messages are read and written.
        options: How it takes messages.

    Attributes:
        encoder: From a handler to what makes frames of what it returns or yields.
    """

    def __init__(self, codec: Codec, options: MessageOptions) -> None:
        self.encoder = codec.encoder
        self._decoder = codec.decoder
        self._options = options
        # What is certainly not too big, whatever its characters are.
        self._small = options.max_message_size // (1 if self._decoder.kind == "bytes" else _BYTES_PER_CHARACTER)

    async def converse(
        self,
        websocket: Socket,
        handlers: Sequence[_Handle],
        on_connect: Callable[[], Awaitable[None]] | None,
        on_disconnect: OnDisconnect | None,
        tasks: TaskGroup | None = None,
    ) -> None:
        """Hold the conversation of one connection, until one of the two has ended it."""
        async with accepted(websocket, on_disconnect), running(tasks):
            if not self._options.cancel_on_disconnect:
                if on_connect is not None:
                    await on_connect()
                await self._listen(websocket, websocket.receive, handlers)
                return
            async with EndpointTasks() as reading:
                ahead = Ahead(websocket, self._options.read_ahead, reading.cancel_scope)
                reading.start_soon(ahead.watch)
                if on_connect is not None:
                    await on_connect()
                await self._listen(websocket, ahead.receive, handlers)

    async def _listen(self, websocket: Socket, receive: Receive, handlers: Sequence[_Handle]) -> None:
        options = self._options
        bucket = bucket_of(options.max_rate)
        take = partial(self._take_messages, websocket, handlers, bucket)
        first = options.first_message_timeout or options.idle_timeout
        if first is None:
            await take(receive)
        else:
            await Patience(receive, first, options.idle_timeout or inf).listen(take)

    async def _take_messages(
        self, websocket: Socket, handlers: Sequence[_Handle], bucket: Bucket | None, receive: Receive
    ) -> None:
        decoder, options = self._decoder, self._options
        kind, decode = decoder.kind, decoder.decode
        only_handler = handlers[0] if len(handlers) == 1 else None
        invalid = 0
        while not websocket.ended:
            frame = await receive()
            data = frame.get(kind)
            if data is None and frame["type"] == "websocket.disconnect":
                return
            if bucket is not None and not await _is_in_rate(websocket, bucket):
                continue
            if data is None:
                self._check_size(frame.get(decoder.other_kind) or "")
            elif len(data) > self._small:
                self._check_size(data)
            try:
                if data is None:
                    raise wrong_frame("text" if kind == "text" else "binary")
                message = decode(data)
                if only_handler is not None:
                    await only_handler(message)
                else:
                    await handlers[decoder.number_of(message)](message)
                invalid = 0
            except WebSocketPayloadValidationError as error:
                invalid += 1
                if invalid >= options.max_invalid or not await self._goes_on_after(websocket, error):
                    raise
            except Exception as error:
                invalid = 0
                if not await _is_handled(websocket, error):
                    raise

    def _check_size(self, data: str | bytes) -> None:
        size = len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode("utf-8", "surrogatepass"))
        if size > self._options.max_message_size:
            raise WebSocketException(MESSAGE_TOO_BIG, "Message too big")

    async def _goes_on_after(self, websocket: Socket, error: WebSocketPayloadValidationError) -> bool:
        """Tell the client of an invalid message, if that is not what ends the connection."""
        if await _is_handled(websocket, error):
            return True
        if self._options.on_invalid == "close":
            return False
        websocket.asked_about = None  # its traceback has this socket in it
        await websocket.send_text(error_frame(error.code, error.detail))
        return True


async def _is_handled(websocket: Socket, error: Exception) -> bool:
    """Whether an exception handler takes what came of one message, so that the connection goes on."""
    exc = essence(error, ended=websocket.ended)
    if websocket.ended or is_departure(exc, ended=False):
        return False
    # Whatever comes of it, nobody is asked about it again when it ends the connection.
    websocket.asked_about = exc
    handler = find_handler(websocket.ending_policy.handlers, websocket.scope, exc)
    if handler is None:
        return False
    try:
        await call_handler(handler, websocket, exc)
    except Exception as raised:
        websocket.asked_about = essence(raised, ended=websocket.ended)
        raise
    websocket.asked_about = None
    return True


async def _is_in_rate(websocket: Socket, bucket: Bucket) -> bool:
    """Whether a message comes slowly enough to be handled; else its client is told, once.

    Raises:
        WebSocketException: It has been told already.
    """
    was_told = bucket.is_overdrawn
    if bucket.take():
        return True
    if was_told:
        raise WebSocketException(POLICY_VIOLATION, "Too many messages")
    await websocket.send_text(bucket.frame())
    return False
