"""One connection of the kit's server, driven by a script: what the client does is queued, what it is sent is kept.

For tests that look at ASGI messages, or run an application to its end in one go. Those that talk to an application use
`wsroute.testing.connect`, which stands on the same server.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import anyio
from starlette.types import ASGIApp, Message, Scope

from wsroute.testing.backends import Bell, current_backend
from wsroute.testing.transcript import Transcript
from wsroute.testing.wire import Wire


@dataclass(frozen=True)
class Denial:
    """The HTTP response that refused the handshake."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def header(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return [value for other, value in self.headers if other == name]


class LateBell(Bell):
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


class Peer:
    """One connection, as an application sees it from the inside.

    What the client does is queued, before the application runs or while it does. A message that is illegal after those
    before it is raised where it is sent, and fails the test at the end of `serve()` at the latest.

    Args:
        target: The path, with a query string or without. It is taken as it is, however wrong.
        headers: The headers of the handshake.
        denials: Whether the server offers the extension `websocket.http.response`.
        scope: Further keys of the scope.

    Attributes:
        scope: The scope of the connection.
        sent: The ASGI messages that were sent and got through.
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
        self._wire = Wire(LateBell, self.scope, Transcript(target))
        self._failure: Exception | None = None
        self._blocked = False

    # What the client does.

    def deliver(self, *messages: Message) -> Peer:
        """Queue ASGI messages for the application, as a server sends them or as none does."""
        for message in messages:
            self._wire.tell(message)
        return self

    def say(self, *frames: str | bytes) -> Peer:
        """Send frames: text for a string, binary for bytes."""
        for frame in frames:
            self._wire.deliver(frame)
        return self

    def leave(self, code: int = 1000, reason: str = "") -> Peer:
        """Close the connection from the client's side; what is sent before the application knows still gets through."""
        return self.deliver({"type": "websocket.disconnect", "code": code, "reason": reason})

    # What the server does.

    def fail(self, failure: Exception | None) -> None:
        """From now on every send raises the exception, as when the connection is gone; None ends that."""
        self._failure = failure

    def block(self) -> None:
        """From now on no send comes to an end, as when the client stopped reading."""
        self._blocked = True

    async def serve(self, app: ASGIApp, *, within: float = 2) -> None:
        """Run an application on this connection.

        Args:
            app: The application.
            within: The seconds after which it has to be done.
        """
        with anyio.fail_after(within):
            await app(self.scope, self.receive, self.send)
        if self._wire.violation is not None:
            raise self._wire.violation

    async def receive(self) -> Message:
        """The receive channel of the connection."""
        return await self._wire.receive()

    async def send(self, message: Message) -> None:
        """The send channel of the connection."""
        if self._failure is not None:
            raise self._failure
        if self._blocked:
            await anyio.sleep_forever()
        await self._wire.send(message)
        self._wire.frames.clear()
        self.sent.append(message)

    # What the client saw.

    @property
    def accepted(self) -> Message | None:
        """The accept, if there was one."""
        return self._wire.accepted

    @property
    def frames(self) -> list[str | bytes]:
        """The data of the frames that were sent."""
        frames = [message for message in self.sent if message["type"] == "websocket.send"]
        return [message["text"] if message.get("text") is not None else message["bytes"] for message in frames]

    @property
    def closed(self) -> tuple[int, str] | None:
        """The code and the reason of the close, if there was one; before the accept, no real client sees them."""
        closes = (message for message in self.sent if message["type"] == "websocket.close")
        return next(((message["code"], message["reason"]) for message in closes), None)

    @property
    def denial(self) -> Denial | None:
        """The HTTP response that refused the handshake, if there was one."""
        answer = self._wire.refusal
        if answer is None or self.closed:
            return None
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
        return Denial(answer.status, headers, answer.body)
