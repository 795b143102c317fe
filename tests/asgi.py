"""A server with one client, in process: a peer that does what a test tells it to, and notes what it is sent."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import anyio
from starlette.types import ASGIApp, Message, Scope


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


class Peer:
    """One connection, as an application sees it from the inside.

    What the client does is queued, before the application runs or while it does. The peer is strict: a message that is
    illegal after those before it (ASGI specification, "WebSocket") fails the test at the end of `serve()`.

    Args:
        target: The path, with a query string or without.
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
        self._violations: list[str] = []
        self._inbox: deque[Message] = deque([{"type": "websocket.connect"}])
        self._wake: anyio.Event | None = None
        self._failure: Exception | None = None
        self._blocked = False

    # What the client does.

    def deliver(self, *messages: Message) -> Peer:
        """Queue ASGI messages for the application."""
        self._inbox.extend(messages)
        if self._wake is not None:
            self._wake.set()
        return self

    def say(self, *frames: str | bytes) -> Peer:
        """Send frames: text for a string, binary for bytes."""
        kinds = [("text" if isinstance(frame, str) else "bytes", frame) for frame in frames]
        return self.deliver(*({"type": "websocket.receive", kind: frame} for kind, frame in kinds))

    def leave(self, code: int = 1000, reason: str = "") -> Peer:
        """Close the connection from the client's side."""
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
        assert not self._violations, self._violations

    async def receive(self) -> Message:
        """The receive channel of the connection."""
        while not self._inbox:
            self._wake = anyio.Event()
            await self._wake.wait()
        return self._inbox.popleft()

    async def send(self, message: Message) -> None:
        """The send channel of the connection."""
        if self._failure is not None:
            raise self._failure
        if self._blocked:
            await anyio.sleep_forever()
        if message["type"] not in self._legal():
            self._violations.append(f"{message['type']} after {[sent['type'] for sent in self.sent]}")
        self.sent.append(message)
        if message["type"] == "websocket.close":
            # Servers tell the application of its own close, too.
            self.leave(message["code"] if self.accepted else 1006)

    def _legal(self) -> tuple[str, ...]:
        if self.closed:
            return ()
        if self.accepted:
            return ("websocket.send", "websocket.close")
        if not self.sent:
            return ("websocket.accept", "websocket.close", "websocket.http.response.start")
        last = self.sent[-1]
        open_body = last["type"] == "websocket.http.response.start" or last.get("more_body", False)
        return ("websocket.http.response.body",) if open_body else ()

    # What the client saw.

    @property
    def accepted(self) -> Message | None:
        """The accept, if there was one."""
        return next((message for message in self.sent if message["type"] == "websocket.accept"), None)

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
        if not self.sent or self.sent[0]["type"] != "websocket.http.response.start":
            return None
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.sent[0]["headers"]]
        return Denial(self.sent[0]["status"], headers, b"".join(message["body"] for message in self.sent[1:]))
