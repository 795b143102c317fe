"""The server and its client, in process: what they send is there at once, so that only the application costs time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, cycle, islice, repeat
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Message, Scope

CONNECT: Message = {"type": "websocket.connect"}
DISCONNECT: Message = {"type": "websocket.disconnect", "code": 1000, "reason": ""}

_HEADERS = (
    (b"host", b"testserver"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-version", b"13"),
    (b"user-agent", b"benchmark"),
    (b"x-token", b"secret"),
)


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client asks for.

    Attributes:
        path: The path.
        query: The query string.
    """

    path: str
    query: str = ""

    def scope(self, state: dict[str, Any]) -> Scope:
        """A scope as uvicorn makes it, new for each connection: frameworks write into it.

        Args:
            state: What the application's lifespan has left; it is copied.
        """
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            "root_path": "",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query.encode(),
            "headers": list(_HEADERS),
            "subprotocols": [],
            "state": state.copy(),
            "extensions": {"websocket.http.response": {}},
        }


class Client:
    """One connection: connects, sends some messages, and leaves once the last one is answered.

    Args:
        texts: What it sends, in turn.
        times: How many messages.

    Attributes:
        sent: The last ASGI messages that the application has sent.
    """

    __slots__ = ("_messages", "sent")

    def __init__(self, *texts: str, times: int = 1) -> None:
        frames = [{"type": "websocket.receive", "text": text} for text in texts]
        said = repeat(frames[0], times) if len(frames) == 1 else islice(cycle(frames), times)
        self._messages: Iterator[Message] = chain((CONNECT,), said, repeat(DISCONNECT))
        self.sent: deque[Message] = deque(maxlen=8)

    async def receive(self) -> Message:
        """The receive channel."""
        return next(self._messages)

    async def send(self, message: Message) -> None:
        """The send channel."""
        self.sent.append(message)

    @property
    def accepted(self) -> bool:
        """Whether the handshake was accepted. Known as long as there were few messages."""
        return any(message["type"] == "websocket.accept" for message in self.sent)

    @property
    def replies(self) -> list[str]:
        """The texts of the last frames that it got."""
        return [message["text"] for message in self.sent if message["type"] == "websocket.send"]

    @property
    def reply(self) -> str | None:
        """The text of the last frame that it got."""
        replies = self.replies
        return replies[-1] if replies else None


class IdleClient(Client):
    """One connection that stays open after the last answer, until it is told to leave.

    Attributes:
        idle: Is done when the last message is answered.
    """

    __slots__ = ("_leaving", "idle")

    def __init__(self, *texts: str, times: int = 1) -> None:
        super().__init__(*texts, times=times)
        loop = asyncio.get_running_loop()
        self.idle, self._leaving = loop.create_future(), loop.create_future()

    async def receive(self) -> Message:
        """The receive channel."""
        message = await super().receive()
        if message["type"] == "websocket.disconnect":
            self.idle.set_result(None)
            await self._leaving
        return message

    def leave(self) -> None:
        """Disconnect."""
        self._leaving.set_result(None)


class Lifespan:
    """The life of an application, as a server runs it.

    Args:
        app: The application.

    Attributes:
        state: What the application's startup has left for its connections.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.state: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._started, self._stopping = loop.create_future(), loop.create_future()
        self._messages = iter(({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}))
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._task = asyncio.ensure_future(self.app(scope, self._receive, self._send))
        await asyncio.wait([self._task, self._started], return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set_result(None)
        await self._task

    async def _receive(self) -> Message:
        if self._started.done():
            await self._stopping
        return next(self._messages)

    async def _send(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            raise RuntimeError(message["message"])
        if message["type"] == "lifespan.startup.complete":
            self._started.set_result(None)
