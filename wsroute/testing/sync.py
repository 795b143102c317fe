"""The same for tests that are not async: the event loop runs in the test's own thread, while a call waits.

Nothing happens between two calls, so that such a test sees the same order each time that it runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from threading import local
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, overload

from starlette.types import Scope

from wsroute.testing.client import ClientWebSocket
from wsroute.testing.clock import Clock, fake_clock
from wsroute.testing.connecting import connect
from wsroute.testing.errors import SocketTestError, says_it_all
from wsroute.testing.lifespans import lifespan
from wsroute.testing.transcript import Transcript
from wsroute.testing.wire import Close, Frame

if TYPE_CHECKING:
    import httpx

__tracebackhide__ = says_it_all

T = TypeVar("T")
OpenedT = TypeVar("OpenedT")
GivenT = TypeVar("GivenT")
P = ParamSpec("P")


class _Stepper(local):
    """The event loop of this thread, while anything of this module is open: what is opened together shares it."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._users = 0

    def begin(self) -> None:
        _check_no_loop()
        if self._runner is None:
            # With a factory, it leaves alone which event loop the thread has set.
            self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._users += 1

    def end(self) -> None:
        self._users -= 1
        if self._users == 0 and self._runner is not None:
            self._runner.close()
            self._runner = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._runner is None:
            coroutine.close()
            raise RuntimeError("the connection is used outside of its `with` block, which has ended")
        try:
            return self._runner.run(coroutine, context=copy_context())
        except SocketTestError as error:
            # Its message says it all; what lies between are lines of asyncio.
            error.__traceback__ = None
            raise


_stepper = _Stepper()


def _check_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "what is not async is used in a thread in which an event loop is running; in an async test, write "
        "`async with connect(...)`"
    )


class SyncWebSocket:
    """One open connection, from the client's side: what `connect_sync` gives. As `ClientWebSocket`, without `await`."""

    def __init__(self, websocket: ClientWebSocket) -> None:
        self._websocket = websocket

    @property
    def scope(self) -> Scope:
        """The scope that the application was called with."""
        return self._websocket.scope

    @property
    def transcript(self) -> Transcript:
        """What both sides have said so far."""
        return self._websocket.transcript

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the application chose."""
        return self._websocket.subprotocol

    @property
    def headers(self) -> httpx.Headers:
        """The headers with which the application accepted."""
        return self._websocket.headers

    @property
    def exception(self) -> BaseException | None:
        """What the application has raised."""
        return self._websocket.exception

    def send_text(self, data: str) -> None:
        """Send one text frame."""
        _stepper.run(self._websocket.send_text(data))

    def send_bytes(self, data: bytes | bytearray | memoryview) -> None:
        """Send one binary frame."""
        _stepper.run(self._websocket.send_bytes(data))

    def send_json(self, data: Any, mode: Literal["text", "binary"] = "text") -> None:
        """Send a value as JSON, in one frame of the kind `mode`."""
        _stepper.run(self._websocket.send_json(data, mode))

    def send_model(self, model: Any) -> None:
        """Send a pydantic model, a dataclass, or what else pydantic knows, as JSON in a text frame."""
        _stepper.run(self._websocket.send_model(model))

    def flood(self, count: int, data: Frame | Callable[[int], Frame] = "flood") -> None:
        """Send many frames at once, without a look at what comes back."""
        _stepper.run(self._websocket.flood(count, data))

    @overload
    def receive(self, *, deadline: float | None = None) -> Frame: ...

    @overload
    def receive(self, model: type[T], *, deadline: float | None = None) -> T: ...

    @overload
    def receive(self, model: Any, *, deadline: float | None = None) -> Any: ...

    def receive(self, model: Any = None, *, deadline: float | None = None) -> Any:
        """The data of the next frame; with a model, what pydantic makes of it as JSON."""
        return _stepper.run(self._websocket.receive(model, deadline=deadline))

    def receive_text(self, *, deadline: float | None = None) -> str:
        """The data of the next frame, which has to be text."""
        return _stepper.run(self._websocket.receive_text(deadline=deadline))

    def receive_bytes(self, *, deadline: float | None = None) -> bytes:
        """The data of the next frame, which has to be binary."""
        return _stepper.run(self._websocket.receive_bytes(deadline=deadline))

    def receive_json(self, mode: Literal["text", "binary"] = "text", *, deadline: float | None = None) -> Any:
        """The JSON value of the next frame, which is of the kind `mode`."""
        return _stepper.run(self._websocket.receive_json(mode, deadline=deadline))

    def __iter__(self) -> Iterator[Frame]:
        """The data of all frames until the connection ends with 1000 or 1001; any other end is raised."""
        return iter(lambda: _stepper.run(self._websocket.next_frame()), None)

    def expect_close(
        self, code: int | None = None, reason: str | None = None, *, deadline: float | None = None
    ) -> Close:
        """Wait for the end of the connection, which has to be the next thing that happens."""
        return _stepper.run(self._websocket.expect_close(code, reason, deadline=deadline))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection from the client's side."""
        _stepper.run(self._websocket.close(code, reason))

    def drop(self) -> None:
        """Vanish, as a client does whose network is gone."""
        _stepper.run(self._websocket.drop())

    def pause_reading(self) -> None:
        """Stop reading, as a slow client does."""
        self._websocket.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._websocket.resume_reading()


class _Stepped(Generic[OpenedT, GivenT]):
    """An asynchronous context manager as one that is not.

    Args:
        manager: The asynchronous one.
        give: What its value becomes.
    """

    def __init__(self, manager: AbstractAsyncContextManager[OpenedT], give: Callable[[OpenedT], GivenT]) -> None:
        self._manager = manager
        self._give = give

    def __enter__(self) -> GivenT:
        _stepper.begin()
        try:
            return self._give(_stepper.run(_entered(self._manager)))
        except BaseException:
            _stepper.end()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            _stepper.run(_left(self._manager, kind, exception, traceback))
        finally:
            _stepper.end()


async def _entered(manager: AbstractAsyncContextManager[T]) -> T:
    return await manager.__aenter__()


async def _left(manager: AbstractAsyncContextManager[Any], *details: Any) -> None:
    await manager.__aexit__(*details)


def _takes_what(other: Callable[P, Any]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """For a type checker: a function takes what another one does."""
    return lambda function: function


@_takes_what(connect)
def connect_sync(*args: Any, **kwargs: Any) -> _Stepped[ClientWebSocket, SyncWebSocket]:
    """Open a connection in a test that is not async: `with connect_sync(app, "/rooms/7") as ws: ...`.

    The application runs in the test's own thread, on asyncio, while a call of the test waits. Connections that are open
    at the same time share their event loop.

    Args:
        args, kwargs: As in `connect`.
    """
    return _Stepped(connect(*args, **kwargs), SyncWebSocket)


@_takes_what(lifespan)
def lifespan_sync(*args: Any, **kwargs: Any) -> _Stepped[lifespan, lifespan]:
    """Run the startup of an application, and its shutdown at the end: `with lifespan_sync(app): ...`.

    Args:
        args, kwargs: As in `lifespan`.
    """
    return _Stepped(lifespan(*args, **kwargs), lambda running: running)


class SyncClock:
    """What `fake_clock_sync` gives: as `Clock`, without `await`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        _stepper.run(self._clock.advance(seconds))


def fake_clock_sync() -> _Stepped[Clock, SyncClock]:
    """A clock that a test which is not async puts forward: `with fake_clock_sync() as clock: ...`."""
    return _Stepped(fake_clock(), SyncClock)
