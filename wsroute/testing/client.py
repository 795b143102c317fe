"""The client's end of a connection, as a test holds it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from starlette.types import Scope

from wsroute.dependencies.exits import is_disconnect
from wsroute.testing.errors import ConnectionClosed, DeadlinePassed, SocketTestError, UnexpectedMessage, says_it_all
from wsroute.testing.legality import reason_violation
from wsroute.testing.models import dumped, loaded
from wsroute.testing.running import Running
from wsroute.testing.transcript import Transcript, shown
from wsroute.testing.wire import ABNORMAL, ClientGone, Close, Frame, Wire
from wsroute.wire.frames import is_sendable_code

if TYPE_CHECKING:
    import httpx

__tracebackhide__ = says_it_all

T = TypeVar("T")

#: The default deadline of every wait, in seconds.
DEADLINE = 2.0
#: With these codes, a connection has done what it was for.
_GOOD_ENDINGS = (1000, 1001)
#: With these, the application may have raised something, which says more.
_FAILURES = (1006, 1011)


class ClientWebSocket:
    """One open connection, from the client's side: what `connect` gives.

    Every method that waits has a deadline, in seconds: that of the connection, or its own argument `deadline`.

    Attributes:
        scope: The scope that the application was called with.
        transcript: What both sides have said so far.
    """

    def __init__(
        self, wire: Wire, running: Running, scope: Scope, transcript: Transcript, deadline: float, raises: bool
    ) -> None:
        self.scope = scope
        self.transcript = transcript
        self._wire = wire
        self._running = running
        self._deadline = deadline
        #: Whether an exception of the application is raised in place of what it led to.
        self._raises = raises

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the application chose."""
        return (self._wire.accepted or {}).get("subprotocol")

    @cached_property
    def headers(self) -> httpx.Headers:
        """The headers with which the application accepted."""
        import httpx

        return httpx.Headers(list((self._wire.accepted or {}).get("headers") or ()))

    @property
    def exception(self) -> BaseException | None:
        """What the application has raised."""
        return self._running.exception

    @property
    def failures(self) -> list[BaseException]:
        """What the application did wrong; that it noticed in this way that the client has left is no failure."""
        raised = self._running.exception
        if raised is not None and self._wire.left and (is_disconnect(raised) or isinstance(raised, ClientGone)):
            raised = None
        return [failure for failure in dict.fromkeys((raised, self._wire.violation)) if failure is not None]

    # Sending

    async def send_text(self, data: str) -> None:
        """Send one text frame.

        Raises:
            ConnectionClosed: The connection has ended.
        """
        if not isinstance(data, str):
            raise TypeError(f"send_text() got {type(data).__name__}; it takes str, and send_bytes() takes bytes")
        await self._send(data)

    async def send_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """Send one binary frame.

        Raises:
            ConnectionClosed: The connection has ended.
        """
        await self._send(bytes(memoryview(data)))

    async def send_json(self, data: Any, mode: Literal["text", "binary"] = "text") -> None:
        """Send a value as JSON, in one frame of the kind `mode`."""
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        await self._send(text if mode == "text" else text.encode())

    async def send_model(self, model: Any) -> None:
        """Send a pydantic model, a dataclass, or what else pydantic knows, as JSON in a text frame."""
        await self._send(dumped(model))

    async def flood(self, count: int, data: Frame | Callable[[int], Frame] = "flood") -> None:
        """Send many frames at once, without a look at what comes back.

        Args:
            count: How many.
            data: The data of each, or a function that gives it by its number from 0.
        """
        for number in range(count):
            await self._send(data(number) if callable(data) else data)

    async def _send(self, frame: Frame) -> None:
        if self._wire.end is not None:
            raise await self._ended(f"cannot send {shown(frame)}")
        self._wire.deliver(frame)

    # Receiving

    @overload
    async def receive(self, *, deadline: float | None = None) -> Frame: ...

    @overload
    async def receive(self, model: type[T], *, deadline: float | None = None) -> T: ...

    @overload
    async def receive(self, model: Any, *, deadline: float | None = None) -> Any: ...

    async def receive(self, model: Any = None, *, deadline: float | None = None) -> Any:
        """The data of the next frame; with a model, what pydantic makes of it as JSON.

        Args:
            model: A pydantic model, a dataclass, a union of them, or any other type that pydantic knows.
            deadline: The seconds after which it has to be there. Default: that of the connection.

        Raises:
            DeadlinePassed: Nothing came.
            ConnectionClosed: The connection ended instead.
            UnexpectedMessage: What came is not what the model says.
        """
        frame = await self._next("a message" if model is None else _name(model), deadline)
        if model is None:
            return frame
        try:
            return loaded(model, frame)
        except ValueError as error:
            raise self._unexpected(f"expected {_name(model)}, and got {shown(frame)}", str(error)) from None

    async def receive_text(self, *, deadline: float | None = None) -> str:
        """The data of the next frame, which has to be text.

        Raises:
            DeadlinePassed, ConnectionClosed, UnexpectedMessage: As in `receive`.
        """
        frame = await self._next("a text frame", deadline)
        if isinstance(frame, str):
            return frame
        raise self._unexpected(f"expected a text frame, and got the binary frame {shown(frame)}")

    async def receive_bytes(self, *, deadline: float | None = None) -> bytes:
        """The data of the next frame, which has to be binary.

        Raises:
            DeadlinePassed, ConnectionClosed, UnexpectedMessage: As in `receive`.
        """
        frame = await self._next("a binary frame", deadline)
        if isinstance(frame, bytes):
            return frame
        raise self._unexpected(f"expected a binary frame, and got the text frame {shown(frame)}")

    async def receive_json(self, mode: Literal["text", "binary"] = "text", *, deadline: float | None = None) -> Any:
        """The JSON value of the next frame, which is of the kind `mode`.

        Raises:
            DeadlinePassed, ConnectionClosed, UnexpectedMessage: As in `receive`.
        """
        frame: Frame
        if mode == "text":
            frame = await self.receive_text(deadline=deadline)
        else:
            frame = await self.receive_bytes(deadline=deadline)
        try:
            return json.loads(frame)
        except ValueError as error:
            raise self._unexpected(f"expected JSON, and got {shown(frame)}", str(error)) from None

    def __aiter__(self) -> AsyncIterator[Frame]:
        """The data of all frames until the connection ends with 1000 or 1001; any other end is raised."""
        return self._all()

    async def _all(self) -> AsyncIterator[Frame]:
        while (frame := await self.next_frame()) is not None:
            yield frame

    async def next_frame(self) -> Frame | None:
        """The data of the next frame; None once the connection has ended with 1000 or 1001.

        Raises:
            DeadlinePassed, ConnectionClosed: As in `receive`.
        """
        try:
            return await self._next("a message or the end", None)
        except ConnectionClosed as closed:
            if closed.code in _GOOD_ENDINGS:
                return None
            raise

    async def _next(self, wanted: str, deadline: float | None) -> Frame:
        wire = self._wire
        if wire.is_paused:
            raise SocketTestError("this client does not read: call resume_reading() before it is to receive")
        while not wire.frames:
            if wire.end is not None:
                raise await self._ended(f"expected {wanted}")
            if not await wire.news.wait(self._deadline if deadline is None else deadline):
                raise self.late(f"expected {wanted}, and nothing came", deadline)
        return wire.take()

    # Ending

    async def expect_close(
        self, code: int | None = None, reason: str | None = None, *, deadline: float | None = None
    ) -> Close:
        """Wait for the end of the connection, which has to be the next thing that happens.

        Args:
            code: The expected close code; 1006 for an end without a close frame. Default: any.
            reason: The expected close reason. Default: any.
            deadline: As in `receive`.

        Returns:
            The code and the reason.

        Raises:
            DeadlinePassed: The connection stays open.
            UnexpectedMessage: A message came instead, or the code or the reason is another.
        """
        wire = self._wire
        expected = _expected_close(code, reason)
        while True:
            if wire.frames:
                raise self._unexpected(f"expected {expected}, and got the message {shown(wire.frames[0])}")
            if wire.end is not None:
                break
            if not await wire.news.wait(self._deadline if deadline is None else deadline):
                raise self.late(f"expected {expected}, and the connection stays open", deadline)
        if code not in (None, wire.end.code) or reason not in (None, wire.end.reason):
            if (failure := await self._failure()) is not None:
                raise failure
            raise self._unexpected(f"expected {expected}, and the connection was closed with {_shown_close(wire.end)}")
        if wire.end.code == ABNORMAL and (failure := await self._failure()) is not None:
            raise failure
        return wire.end

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection from the client's side; a second time, or after its end, nothing happens.

        Args:
            code: The close code.
            reason: The close reason, of at most 123 bytes in UTF-8.

        Raises:
            ValueError: No client may send this code or reason.
        """
        if not is_sendable_code(code):
            raise ValueError(f"close() got the code {code!r}; 1000, 1001 and 3000 to 4999 may be sent")
        if (problem := reason_violation(reason)) is not None:
            raise ValueError(f"close() got {problem}")
        self._wire.leave(code, reason, f"closes with {code} {reason!r}")

    async def drop(self) -> None:
        """Vanish, as a client does whose network is gone: the application is told 1006, and cannot send any more."""
        self._wire.leave(ABNORMAL, "", "vanishes")

    def pause_reading(self) -> None:
        """Stop reading, as a slow client does.

        The way to the client holds 16 frames, or 64 KiB; then the application's sends wait.
        """
        self._wire.pause()

    def resume_reading(self) -> None:
        """Read again."""
        self._wire.resume()

    # Failing

    async def _failure(self) -> BaseException | None:
        """What the application did wrong, if that says more than what came of it."""
        if not self._raises:
            return None
        # It may raise only after it has closed.
        await self._running.wait(self._deadline)
        return next(iter(self.failures), None)

    async def _ended(self, problem: str) -> BaseException:
        end = self._wire.end or Close(ABNORMAL, "")
        if end.code in _FAILURES and (failure := await self._failure()) is not None:
            return failure
        return ConnectionClosed(
            f"{problem}, and the connection was closed with {_shown_close(end)}", *end, *self._known()
        )

    def late(self, problem: str, deadline: float | None = None) -> DeadlinePassed:
        """The error for something that has not happened in time, which shows where the application waits.

        Args:
            problem: What has not happened.
            deadline: The seconds that it had. Default: those of the connection.
        """
        seconds = self._deadline if deadline is None else deadline
        return DeadlinePassed(f"{problem} within {seconds:g} s", *self._known())

    def _unexpected(self, problem: str, *details: str) -> UnexpectedMessage:
        return UnexpectedMessage(problem, *details, *self._known())

    def _known(self) -> list[str]:
        whereabouts = [] if self._running.ended else self._running.whereabouts()
        return [*whereabouts, str(self.transcript)]


def _name(model: Any) -> str:
    return getattr(model, "__name__", None) or str(model)


def _expected_close(code: int | None, reason: str | None) -> str:
    parts = [str(code)] if code is not None else []
    return " ".join(["a close", *(["with"] if code or reason else []), *parts, *([repr(reason)] if reason else [])])


def _shown_close(end: Close) -> str:
    return f"{end.code} {end.reason!r}" if end.reason else str(end.code)
