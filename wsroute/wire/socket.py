"""The one WebSocket of a connection: Starlette's, with short ways for what every message takes.

Three things differ from Starlette's, and all of them are about ends:

- The peer's leaving has one name. `WebSocketDisconnect` is raised by a send to a peer that is known to be gone,
  whichever way the server told so, and carries the code that was received, else 1006.
- Only what may be sent is sent: see `wsroute.wire.frames`. A close after the end is dropped.
- A client's mistake is not the server's error. A frame of the wrong kind is a `WebSocketException` of code 1003, and a
  frame that is not JSON one of code 1007, so that the connection is closed without a traceback.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, ClassVar, Protocol, TypeVar, cast

import anyio
from anyio import lowlevel
from starlette import websockets
from starlette.exceptions import WebSocketException
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from wsroute.wire.frames import close_message, sendable
from wsroute.wire.policy import Policy

_T = TypeVar("_T")

logger = logging.getLogger("wsroute")

# Looked up at every message.
_CONNECTING = WebSocketState.CONNECTING
_CONNECTED = WebSocketState.CONNECTED
_DISCONNECTED = WebSocketState.DISCONNECTED

#: What a send raises if the peer is gone, be it the server's or that of a session around this one.
_FAILURES = (OSError, RuntimeError, WebSocketDisconnect)
#: What using a WebSocket outside its life raises. Older versions of Starlette raise a bare RuntimeError, which could
#: not be told from a bug in the endpoint.
StateError: type[RuntimeError] = getattr(
    websockets, "WebSocketDisconnected", cast("type[RuntimeError]", type("WebSocketDisconnected", (RuntimeError,), {}))
)


class InvalidJSON(WebSocketException, json.JSONDecodeError):
    """A received frame is not JSON: the client's mistake, and still the error that `json.loads()` raises."""

    def __init__(self, msg: str, doc: str = "", pos: int = 0) -> None:
        json.JSONDecodeError.__init__(self, msg, doc, pos)
        WebSocketException.__init__(self, 1007, "Invalid JSON")


class Canceller(Protocol):
    """What cancels a connection."""

    def cancel(self) -> object:
        """Cancel it."""


class Socket(WebSocket):
    """The one WebSocket of a connection.

    Attributes:
        handshake_response: The Response that the endpoint or a dependency asked for. Its headers and cookies go out
            with the answer to the handshake, be that an accept or a refusal.
        subprotocol: The one that an accept answers with if it names none, as a dependency wants it: one of those that
            the client has offered (RFC 6455, section 4.2.2).
        ending_policy: How the route wants the connection to end.
        has_inner_session: Whether it only relays for another one, which a session inside of a route's middleware has:
            whatever happens to a connection that has ended is that session's to handle.
    """

    handshake_response: Response | None = None
    subprotocol: str | None = None
    ending_policy: Policy = Policy()
    has_inner_session: bool = False
    #: The exception for which exception handlers have been asked already, if it is to end the connection.
    asked_about: Exception | None = None
    #: Whether it is to end as soon as nobody handles a message, since the server stops.
    is_draining: bool = False
    #: What cancels it, where that is known: a cancel scope around it, or the task that runs it.
    canceller: Canceller | None = None
    #: Whether it was cancelled since it had not ended in time when the server stops.
    is_cut_off: bool = False
    #: Whether a message is handled while the next one is waited for.
    is_handling: bool = False
    #: Whether it has ended, and what has to be told so is being told.
    is_closing: bool = False
    #: Whether somebody waits for the next message.
    is_waiting: bool = False
    # Whether a subclass overrides receive() or send(), which every frame then has to go through.
    _relays: ClassVar[bool] = False
    # The code and the reason with which the peer left.
    _left: tuple[int, str | None] | None = None
    # Those with which the application has closed.
    _closed: tuple[int, str] | None = None

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What Starlette's constructors do, one for each class, in one step.
        if scope["type"] != "websocket":
            raise ValueError(f"a WebSocket has the scope of a WebSocket, not one of type {scope['type']!r}")
        self.scope = scope
        # Starlette's own references are private to it, but its slow paths look there.
        self._receive = self._asgi_receive = receive
        self._send = self._asgi_send = send
        self.client_state = self.application_state = _CONNECTING

    @property
    def ended(self) -> bool:
        """Whether nothing can be sent any more: the application closed or refused, or the peer left."""
        return self.application_state is _DISCONNECTED or self.client_state is _DISCONNECTED

    @property
    def end(self) -> tuple[int, str] | None:
        """The code and the reason with which an accepted connection has ended; of whoever ended it first."""
        if self._closed is not None:
            return self._closed
        return None if self._left is None else (self._left[0], self._left[1] or "")

    def limit_sends(self, seconds: float, give_up: Callable[[], None]) -> None:
        """Take a peer that does not take a frame in time for one that is gone.

        Args:
            seconds: How long each frame may take.
            give_up: Called when one takes longer, before whoever sent it gets a `WebSocketDisconnect`.
        """
        send = self._asgi_send

        async def send_in_time(message: Message) -> None:
            with anyio.move_on_after(seconds):
                await send(message)
                return
            logger.warning("%s: the peer did not take a frame within %s s", self.scope["path"], seconds)
            give_up()
            raise TimeoutError("the peer has stopped reading")

        self._send = self._asgi_send = send_in_time

    @property
    def is_idle(self) -> bool:
        """Whether the client of an accepted connection is waited for, and nothing that it has sent is handled."""
        return self.is_waiting and not self.is_handling and self.application_state is _CONNECTED

    def end_when_idle(self, code: int, reason: str, refusal: Exception) -> None:
        """Close the connection when the next message is asked for, as if the client had left then.

        Args:
            code: The close code.
            reason: The close reason.
            refusal: What is raised for it if it is not accepted by then.
        """
        self.is_draining = True
        asgi_receive = self._asgi_receive

        async def receive() -> Message:
            if self.application_state is _CONNECTING:
                if not self.is_draining:
                    return await asgi_receive()
                self.is_draining = False  # some refusals accept first
                raise refusal
            with anyio.move_on_after(self.ending_policy.close_timeout):
                await self.close(code, reason)
            return {"type": "websocket.disconnect", "code": code, "reason": reason}

        self._receive = self._asgi_receive = receive

    async def accept(
        self, subprotocol: str | None = None, headers: Iterable[tuple[bytes, bytes]] | None = None
    ) -> None:
        """Accept the handshake, with the headers and cookies of the injected Response."""
        if subprotocol is None:
            subprotocol = self.subprotocol
        if (
            self.client_state is not _CONNECTING
            or self.application_state is not _CONNECTING
            or headers is not None
            or self.handshake_response is not None
            or self._relays
        ):
            return await super().accept(subprotocol, headers)
        message = await self._asgi_receive()
        if message["type"] != "websocket.connect":
            raise _unexpected(message)
        self.client_state = self.application_state = _CONNECTED
        try:
            await self._asgi_send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
        except Exception as exc:
            self._check_lost(exc)
            # What the server refused is not sent: the handshake can still be answered in another way.
            self.application_state = _CONNECTING
            raise

    async def receive(self) -> Message:
        """The next ASGI message, as in Starlette."""
        if self.client_state is _CONNECTED:
            self.is_waiting = True
            try:
                message = await self._asgi_receive()
            finally:
                self.is_waiting = False
            if message["type"] == "websocket.disconnect":
                self._leave(message)
            elif message["type"] != "websocket.receive":
                raise _unexpected(message)
            return message
        if self.client_state is _DISCONNECTED:
            return await _outside_life(super().receive())
        return await super().receive()

    async def send(self, message: Message) -> None:
        """Send one ASGI message.

        Raises:
            WebSocketDisconnect: The peer is gone.
            RuntimeError: The message is not one that may come next, as in Starlette.
        """
        kind = message["type"]
        if kind == "websocket.send" and self.application_state is _CONNECTED and self.client_state is _CONNECTED:
            try:
                await self._asgi_send(message)
            except _FAILURES as exc:
                self._check_lost(exc)
                raise
        elif not self.ended:
            await self._advance(message)
        elif kind == "websocket.close":
            # A server may take it for an error that a handshake is never answered, even if the peer left.
            if self.application_state is _CONNECTING:
                with suppress(Exception):
                    await super().send(sendable(message))
            self.application_state = _DISCONNECTED
        elif self._left is not None:
            raise WebSocketDisconnect(*self._left)
        else:
            await _outside_life(super().send(message))

    async def receive_text(self) -> str:
        """The data of the next frame, which has to be text."""
        if self.application_state is not _CONNECTED:
            return await _outside_life(super().receive_text())
        if self.client_state is _CONNECTED and not self._relays:
            self.is_waiting = True
            try:
                message = await self._asgi_receive()
            finally:
                self.is_waiting = False
        else:
            message = await self.receive()
        text: str | None = message.get("text")
        if text is None:
            raise self._no_data(message, "text")
        return text

    async def iter_text(self) -> AsyncIterator[str]:
        """The data of all frames, which have to be text, until the peer leaves."""
        if type(self).receive_text is Socket.receive_text and not self._relays:
            while self.application_state is _CONNECTED and self.client_state is _CONNECTED:
                self.is_waiting = True
                try:
                    message = await self._asgi_receive()
                finally:
                    self.is_waiting = False
                text: str | None = message.get("text")
                if text is not None:
                    yield text
                elif message["type"] == "websocket.disconnect":
                    self._leave(message)
                    return
                else:
                    raise self._no_data(message, "text")
        async for text in super().iter_text():
            yield text

    async def receive_bytes(self) -> bytes:
        """The data of the next frame, which has to be binary."""
        if self.application_state is not _CONNECTED:
            return await _outside_life(super().receive_bytes())
        if self.client_state is _CONNECTED and not self._relays:
            self.is_waiting = True
            try:
                message = await self._asgi_receive()
            finally:
                self.is_waiting = False
        else:
            message = await self.receive()
        data: bytes | None = message.get("bytes")
        if data is None:
            raise self._no_data(message, "binary")
        return data

    async def receive_json(self, mode: str = "text") -> Any:
        """The JSON value of the next frame; `mode` is the kind of the frame, `"text"` or `"binary"`."""
        if mode == "text":
            data: str | bytes = await Socket.receive_text(self)
        elif mode == "binary":
            data = await Socket.receive_bytes(self)
        else:
            return await super().receive_json(mode)
        try:
            return json.loads(data if isinstance(data, str) else data.decode())
        except json.JSONDecodeError as exc:
            raise InvalidJSON(exc.msg, exc.doc, exc.pos) from None
        except (UnicodeDecodeError, RecursionError) as exc:
            raise InvalidJSON(str(exc)) from None

    async def send_text(self, data: str) -> None:
        """Send one text frame."""
        if self.application_state is not _CONNECTED or self.client_state is not _CONNECTED or self._relays:
            return await super().send_text(data)
        try:
            await self._asgi_send({"type": "websocket.send", "text": data})
        except _FAILURES as exc:
            self._check_lost(exc)
            raise

    async def send_bytes(self, data: bytes) -> None:
        """Send one binary frame."""
        if self.application_state is not _CONNECTED or self.client_state is not _CONNECTED or self._relays:
            return await super().send_bytes(data)
        try:
            await self._asgi_send({"type": "websocket.send", "bytes": data})
        except _FAILURES as exc:
            self._check_lost(exc)
            raise

    async def send_json(self, data: Any, mode: str = "text") -> None:
        """Send a value as JSON in one frame; `mode` is the kind of the frame, `"text"` or `"binary"`."""
        if mode != "text":
            return await super().send_json(data, mode)
        # Not self.send_text(): Starlette's send_json() does not go through a subclass's own either.
        await Socket.send_text(self, json.dumps(data, separators=(",", ":"), ensure_ascii=False))

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close the connection, or refuse the handshake; do nothing where it has already ended.

        Args:
            code: The close code; 1011 is sent for one that may not be sent.
            reason: The close reason, cut to 123 bytes of UTF-8.
        """
        if self.application_state is not _CONNECTED or self.client_state is not _CONNECTED or self._relays:
            return await super().close(code, reason)
        self.application_state = _DISCONNECTED
        message = close_message(code, reason)
        self._closed = (message["code"], message["reason"])
        try:
            await self._asgi_send(message)
        except _FAILURES as exc:
            # In a `finally`, an exception from here would take the place of the one that matters.
            if self._lost(exc) is None:
                raise

    async def _advance(self, message: Message) -> None:
        """Send a message that takes the connection from one state to the next."""
        before = self.application_state
        injected = () if self.handshake_response is None else self.handshake_response.raw_headers
        message = sendable(message, injected)
        if message["type"] == "websocket.close":
            self._closed = (message["code"], message["reason"])
        try:
            await super().send(message)
        except Exception as exc:
            if message["type"] != "websocket.close":
                self._check_lost(exc)
            elif self._lost(exc) is not None:
                return
            # As in accept().
            if before is _CONNECTING:
                self.application_state = before
            raise
        if before is WebSocketState.RESPONSE and self.application_state is _DISCONNECTED:
            # uvicorn's websockets-sansio does not count a denial as an answer before it has lost the connection, which
            # takes one turn of the event loop; it would log an error if the application returned before.
            await lowlevel.cancel_shielded_checkpoint()

    def _no_data(self, message: Message, kind: str) -> Exception:
        """What to raise for a message that does not carry what was asked for."""
        if message["type"] == "websocket.disconnect":
            return WebSocketDisconnect(*self._leave(message))
        if message["type"] == "websocket.receive":
            return WebSocketException(1003, f"Expected a {kind} frame")
        return _unexpected(message)

    def _leave(self, message: Message) -> tuple[int, str | None]:
        self.client_state = _DISCONNECTED
        # The ASGI specification's default, for servers that leave it out.
        self._left = (message.get("code", 1005), message.get("reason"))
        return self._left

    def _check_lost(self, exc: Exception) -> None:
        """Raise WebSocketDisconnect if the failure of a send means that the connection is gone."""
        if (lost := self._lost(exc)) is not None:
            raise lost from exc

    def _lost(self, exc: Exception) -> WebSocketDisconnect | None:
        if not isinstance(exc, (OSError, WebSocketDisconnect)) and not _is_closed_by_server(exc):
            return None
        self.application_state = _DISCONNECTED
        if self._left is None:
            # receive() may still tell the code with which the peer left; a session around this one may know it already.
            self._left = (exc.code, exc.reason) if isinstance(exc, WebSocketDisconnect) else (1006, None)
        return WebSocketDisconnect(*self._left)


def _is_closed_by_server(exc: Exception) -> bool:
    # uvicorn closes by itself after an unanswered ping and an oversized message. While the peer does not take what was
    # sent before, it blames the application for sending after a close, though this application has sent none.
    return isinstance(exc, RuntimeError) and str(exc).startswith("Unexpected ASGI message")


async def _outside_life(call: Awaitable[_T]) -> _T:
    """Let Starlette raise its own error for a call outside the life of the connection, and give it one type."""
    try:
        return await call
    except RuntimeError as exc:
        raise StateError(*exc.args) from None


def _unexpected(message: Message) -> RuntimeError:
    return RuntimeError(f"the server sent the ASGI message {message['type']!r} where none of that type can come")


@functools.cache
def socket_class(base: type[WebSocket]) -> type[Socket]:
    """The class that a connection's WebSocket needs, to be what a route's annotations ask for.

    Args:
        base: The most derived class that is asked for.
    """
    if issubclass(Socket, base):
        return Socket
    if issubclass(base, Socket):
        return base
    relays = base.receive is not WebSocket.receive or base.send is not WebSocket.send
    namespace = {"__module__": base.__module__, "__qualname__": base.__qualname__, "_relays": relays}
    return cast("type[Socket]", type(base.__name__, (base, Socket), namespace))
