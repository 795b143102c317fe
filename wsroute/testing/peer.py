"""One connection whose client is a script: what it does is queued, and the ASGI messages that it was sent are kept.

For tests of what is between a server and a client's words: middleware, a library such as this one. Those that talk to
an application use `connect`, which stands on the same server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self
from urllib.parse import unquote

import anyio
from starlette.types import ASGIApp, Message, Scope

from wsroute.testing.backends import Bell, current_backend
from wsroute.testing.client import DEADLINE
from wsroute.testing.errors import DeadlinePassed, says_it_all
from wsroute.testing.places import waiting_when_cancelled
from wsroute.testing.transcript import Transcript
from wsroute.testing.wire import Close, Denial, Frame, Wire

__tracebackhide__ = says_it_all


class Peer:
    """One connection, as an application sees it: `peer = await Peer("/rooms/7").say("Hello").leave().serve(app)`.

    What the client does is queued, before the application runs or while it does. A message that may not come after
    those before it raises `IllegalMessage` where it is sent, and again at the end of `serve()`. A subclass may override
    `receive` and `send`, to be a server with a will of its own.

    Args:
        target: The path, with a query string or without. It is taken as it is, however wrong.
        headers: The headers of the handshake, and no others.
        denials: Whether the server has the extension `websocket.http.response`. Default true.
        scope: Further keys of the scope, or other values of those that it has.

    Attributes:
        scope: The scope of the connection.
        sent: The ASGI messages that were sent and got through.
        transcript: What both sides have said so far.
    """

    def __init__(
        self,
        target: str = "/",
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        denials: bool = True,
        scope: Mapping[str, Any] | None = None,
    ) -> None:
        path, _, query = target.partition("?")
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        self.scope: Scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
            "client": ("127.0.0.1", 50000),
            "server": ("testserver", 80),
            "subprotocols": [],
            "state": {},
            "extensions": {"websocket.http.response": {}} if denials else {},
            **(scope or {}),
        }
        self.sent: list[Message] = []
        self.transcript = Transcript(target)
        self._wire = Wire(_LateBell, self.scope, self.transcript)
        self._failure: Exception | None = None
        self._is_blocked = False

    # What the client does

    def say(self, *frames: str | bytes) -> Self:
        """Send frames: text for a string, binary for bytes."""
        for frame in frames:
            self._wire.deliver(frame)
        return self

    def leave(self, code: int = 1000, reason: str = "") -> Self:
        """Close the connection from the client's side; what is sent before the application knows still gets through."""
        self.transcript.note("client", f"closes with {code} {reason!r}")
        return self.deliver({"type": "websocket.disconnect", "code": code, "reason": reason})

    # What the server does

    def deliver(self, *messages: Message) -> Self:
        """Queue ASGI messages for the application, as a server sends them or as none does."""
        for message in messages:
            self._wire.tell(message)
        return self

    def fail(self, failure: Exception | None) -> None:
        """From now on every send raises the exception, as when the connection is gone; None ends that."""
        self._failure = failure

    def block(self) -> None:
        """From now on no send comes to an end, as when the client stopped reading."""
        self._is_blocked = True

    async def serve(self, app: ASGIApp, *, within: float = DEADLINE) -> Self:
        """Run an application on this connection to its end, in the task of the caller.

        Args:
            app: Any ASGI application.
            within: The seconds after which it has to be done, by the clock of the event loop, which `fake_clock` puts
                forward. Default 2.

        Returns:
            The peer itself.

        Raises:
            DeadlinePassed: The application did not end; it is cancelled.
            IllegalMessage: It sent what may not be sent, even if it has caught that.
            Exception: What it raised.
        """
        waits: list[str] = []
        with anyio.move_on_after(within) as limit:
            try:
                await app(self.scope, self.receive, self.send)
            except anyio.get_cancelled_exc_class() as cancellation:
                waits = [f"the application waits {waiting_when_cancelled(cancellation, self._wire.receive)}"]
                raise
        if limit.cancelled_caught:
            raise DeadlinePassed(f"the application did not end within {within:g} s", *waits, str(self.transcript))
        if self._wire.violation is not None:
            raise self._wire.violation
        return self

    async def receive(self) -> Message:
        """The receive channel of the connection."""
        return await self._wire.receive()

    async def send(self, message: Message) -> None:
        """The send channel of the connection."""
        if self._failure is not None:
            raise self._failure
        if self._is_blocked:
            await anyio.sleep_forever()
        await self._wire.send(message)
        self._wire.frames.clear()
        self.sent.append(message)

    # What the client saw

    @property
    def accepted(self) -> Message | None:
        """The accept, if there was one."""
        return self._wire.accepted

    @property
    def frames(self) -> list[Frame]:
        """The data of the frames that were sent."""
        frames = [message for message in self.sent if message["type"] == "websocket.send"]
        return [message["text"] if message.get("text") is not None else bytes(message["bytes"]) for message in frames]

    @property
    def closed(self) -> Close | None:
        """The code and the reason of the close, if there was one; before the accept, no real client sees them."""
        closes = (message for message in self.sent if message["type"] == "websocket.close")
        return next((Close(message.get("code", 1000), message.get("reason") or "") for message in closes), None)

    @property
    def denial(self) -> Denial | None:
        """The HTTP response that refused the handshake, if the application sent one; a close is none."""
        return None if self.closed else self._wire.refusal


class _LateBell(Bell):
    """The bell of the event loop in which somebody first waits for it: a script is written before one is running."""

    def __init__(self) -> None:
        self._bell: Bell | None = None

    def ring(self) -> None:
        if self._bell is not None:
            self._bell.ring()

    async def wait(self, seconds: float | None = None) -> bool:
        if self._bell is None:
            self._bell = current_backend().bell()
        return await self._bell.wait(seconds)
