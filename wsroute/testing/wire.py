"""The server's side of one connection: the channels that the application gets, and what has arrived at the client.

It does what a server does. After its own close, the application is told of the disconnect. Once the client is gone,
sends raise an OSError. What is illegal ends the connection, with 1006 for the client, and is raised where it is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from starlette.types import Message, Scope

from wsroute.testing.backends import Bell
from wsroute.testing.errors import IllegalMessage
from wsroute.testing.legality import Phase, violation
from wsroute.testing.transcript import Transcript

#: How far the application may be ahead of a client that reads, in frames, before its sends wait.
READ_AHEAD = 1024
#: What the way to a client that does not read holds, in frames and in bytes; from then on, sends wait.
PAUSED_FRAMES = 16
PAUSED_BYTES = 65536
#: The connection ended without a close frame (RFC 6455, section 7.4.1).
ABNORMAL = 1006

Frame = str | bytes


class Close(NamedTuple):
    """How a connection ended, as the client sees it.

    Attributes:
        code: The close code; 1006 if there was no close frame.
        reason: The close reason.
    """

    code: int
    reason: str


class Answer(NamedTuple):
    """The HTTP response that refuses a handshake.

    Attributes:
        status, headers, body: The response.
        is_of_application: Whether the application has made it, and not the server in its place.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    is_of_application: bool = True


#: What a server answers if the application does not.
_NO_ANSWER = Answer(500, [(b"content-type", b"text/plain; charset=utf-8")], b"Internal Server Error", False)


class ClientGone(OSError):
    """A send of the application after its client has gone, as servers raise it."""


class Wire:
    """One connection.

    Args:
        make_bell: Makes a bell.
        scope: The scope of the connection.
        transcript: Where all that is said is noted.

    Attributes:
        accepted: The message that accepted the handshake.
        refusal: The response that refused it.
        frames: What the client has got and not read.
        end: How the connection ended, once the client can know it.
        violation: The first illegal message of the application.
        left: Whether it was the client who ended the connection.
        news: Rings when the client has got something, and when the application has ended.
    """

    def __init__(self, make_bell: Callable[[], Bell], scope: Scope, transcript: Transcript) -> None:
        self.accepted: Message | None = None
        self.refusal: Answer | None = None
        self.frames: deque[Frame] = deque()
        self.end: Close | None = None
        self.violation: IllegalMessage | None = None
        self.news = make_bell()
        self._scope = scope
        self._transcript = transcript
        self._phase = Phase.CONNECTING
        self._gone = False
        self.left = False
        self._inbox: deque[Message] = deque(({"type": "websocket.connect"},))
        self._arrived = make_bell()
        self._drained = make_bell()
        #: What the way to a client that does not read holds: frames and bytes.
        self._held: tuple[int, int] | None = None

    # What the application calls

    async def receive(self) -> Message:
        """The receive channel."""
        while not self._inbox:
            await self._arrived.wait()
        return self._inbox.popleft()

    async def send(self, message: Message) -> None:
        """The send channel.

        Raises:
            OSError: The client is gone.
            IllegalMessage: The message may not be sent.
        """
        while not self._gone and self._is_full():
            await self._drained.wait()
        if self._gone:
            raise ClientGone("the client is gone")
        if (problem := violation(message, self._phase, self._scope)) is not None:
            raise self._violated(problem)
        kind = message["type"]
        if kind == "websocket.send":
            self._deliver(message)
        elif kind == "websocket.accept":
            self._phase = Phase.OPEN
            self.accepted = message
            self._transcript.note("application", "accepts")
        elif kind == "websocket.close":
            self._close(message)
        else:
            self._deny(message)
        self.news.ring()

    # What the client does

    def deliver(self, frame: Frame) -> None:
        """Send a frame to the application."""
        kind = "text" if isinstance(frame, str) else "bytes"
        self._transcript.note("client", "sends", frame)
        self.tell({"type": "websocket.receive", kind: frame})

    def leave(self, code: int, reason: str, how: str) -> None:
        """End the connection from the client's side, unless it has ended; whoever waits to send is let go.

        Args:
            code, reason: What the application is told.
            how: What the transcript says.
        """
        self._gone = True
        self._drained.ring()
        if self.end is None and self.refusal is None:
            self._transcript.note("client", how)
            self.left = True
            self.end = Close(code, reason)
            self.tell({"type": "websocket.disconnect", "code": code, "reason": reason})

    def pause(self) -> None:
        """From now on the client does not read: sends wait once the way to it is full."""
        self._held = (0, 0)

    def resume(self) -> None:
        """The client reads again."""
        self._held = None
        self._drained.ring()

    @property
    def is_paused(self) -> bool:
        """Whether the client does not read."""
        return self._held is not None

    def take(self) -> Frame:
        """The next frame that the client reads."""
        frame = self.frames.popleft()
        self._drained.ring()
        return frame

    # What the server does

    def tell(self, message: Message) -> None:
        """Hand a message to the application."""
        self._inbox.append(message)
        self._arrived.ring()

    def lose(self) -> None:
        """The application has ended: whatever it has left open ends as a server ends it."""
        if self._phase in (Phase.CONNECTING, Phase.DENYING):
            self._phase = Phase.REFUSED
            if self.end is None:
                self._answer(_NO_ANSWER)
        elif self.end is None:
            self.end = Close(ABNORMAL, "")

    def _is_full(self) -> bool:
        if self._held is None:
            return len(self.frames) >= READ_AHEAD
        frames, size = self._held
        return frames >= PAUSED_FRAMES or size >= PAUSED_BYTES

    def _deliver(self, message: Message) -> None:
        text = message.get("text")
        frame = bytes(message["bytes"]) if text is None else text
        if self._held is not None:
            frames, size = self._held
            self._held = frames + 1, size + len(frame)
        self.frames.append(frame)
        self._transcript.note("application", "sends", frame)

    def _close(self, message: Message) -> None:
        code, reason = message.get("code", 1000), message.get("reason") or ""
        if self._phase is Phase.CONNECTING:
            # The code does not reach any client: servers answer with an empty 403.
            self._phase = Phase.REFUSED
            self._transcript.note("application", f"closes with {code} before it has accepted")
            self._answer(Answer(403, [], b""))
            return
        self._phase = Phase.CLOSED
        self.end = Close(code, reason)
        self._transcript.note("application", f"closes with {code} {reason!r}")
        self.tell({"type": "websocket.disconnect", "code": code, "reason": reason})

    def _deny(self, message: Message) -> None:
        if message["type"] == "websocket.http.response.start":
            self._phase = Phase.DENYING
            self._begun = Answer(message["status"], list(message.get("headers") or ()), b"")
            return
        self._begun = self._begun._replace(body=self._begun.body + message.get("body", b""))
        if not message.get("more_body", False):
            self._phase = Phase.REFUSED
            self._transcript.note("application", f"refuses with HTTP {self._begun.status}", self._begun.body)
            self._answer(self._begun)

    def _answer(self, answer: Answer) -> None:
        self.refusal = answer
        self.tell({"type": "websocket.disconnect", "code": ABNORMAL, "reason": ""})

    def _violated(self, problem: str) -> IllegalMessage:
        error = IllegalMessage(f"the application sent {problem}")
        self._transcript.note("application", f"sends {problem}")
        if self.violation is None:
            self.violation = error
        if self._phase is Phase.OPEN:
            self._phase = Phase.CLOSED
            self.end = Close(ABNORMAL, "")
            self.tell({"type": "websocket.disconnect", "code": ABNORMAL, "reason": ""})
            self.news.ring()
        return error
