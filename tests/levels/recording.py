"""Levels whose every part writes down what it does, and goes wrong where a test wants it to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import anyio
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wsroute import BaseInterceptor, BasePermission, Depends, HTTPException, WebSocket
from wsroute.testing import Peer

#: What has a part before the rest of a connection and one after it.
AROUND = ("middleware", "interceptor", "dependency")
LEVELS = ("router", "inclusion", "included", "gateway", "view", "handler", "route")

What = Literal[
    "denies",  # a permission returns False
    "stops",  # an interceptor does not call call_next()
    "refuses",  # middleware closes, and does not call the application
    "http",  # raises HTTPException(401)
    "raises",
    "raises afterwards",
    "raises accepted",  # the endpoint, after the accept
    "returns at once",  # the endpoint, without the accept
    "waits",  # for ever
    "waits accepted",  # the endpoint, after the accept
]


class Problem(Exception):
    """What goes wrong in these tests."""


#: What the exception handlers of one level take, and no other's.
PROBLEMS: dict[str | None, type[Problem]] = {
    None: Problem,
    **{level: type(f"{level.title()}Problem", (Problem,), {}) for level in LEVELS},
}


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        place: Where: `"permission gateway"`, `"endpoint"`.
        what: What happens there.
        taken_by: The level whose exception handler takes the exception; `None` if none does.
        handler_raises: What that handler raises itself.
    """

    place: str
    what: What
    taken_by: str | None = None
    handler_raises: bool = False

    def __str__(self) -> str:
        taken = f", taken by the {self.taken_by}" if self.taken_by else ""
        return f"{self.place} {self.what}{taken}{', whose handler raises' if self.handler_raises else ''}"


class Recorder:
    """What happens on connections, one at a time.

    Attributes:
        log: What has happened on the last one.
        fault: What goes wrong on the next one.
        waiting: Set when a place waits for ever; a test that wants that makes it.
    """

    waiting: anyio.Event

    def __init__(self) -> None:
        self.log: list[str] = []
        self.fault: Fault | None = None

    async def serve(self, app: ASGIApp, peer: Peer, fault: Fault | None = None) -> list[str]:
        """Everything that happens on one connection, what the client is sent included."""
        self.log, self.fault = [], fault

        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            async def noted(message: Message) -> None:
                if said := words(message):
                    self.log.append(said)
                await send(message)

            try:
                await app(scope, receive, noted)
            except Exception as error:
                self.log.append(f"raised {type(error).__name__}")
            except anyio.get_cancelled_exc_class():
                self.log.append("cancelled")
                raise

        await peer.serve(recorded)
        return self.log

    def level(self, name: str) -> dict[str, Any]:
        """One of each kind."""
        return {
            "dependencies": [Depends(self.dependency(name))],
            "middleware": [Middleware(RecordingMiddleware, recorder=self, name=name)],
            "interceptors": [RecordingInterceptor(self, name)],
            "permissions": [(AskedInThread if name in LEVELS[1::2] else Asked)(self, name)],
            "exception_handlers": {PROBLEMS.get(name, Problem): self.handler(name)},
        }

    def dependency(self, name: str) -> Callable[[], AsyncIterator[None]]:
        """A generator of the connection's lifetime."""

        async def dependency() -> AsyncIterator[None]:
            with self.around(f"dependency {name}") as does:
                await self.wait(does)
                yield

        return dependency

    def handler(self, name: str) -> Callable[[WebSocket, Exception], Any]:
        """An exception handler: asynchronous for some levels, in a thread for others."""

        def take(error: Exception) -> None:
            self.log.append(f"handler of {name}: {type(error).__name__}")
            if self.fault is not None and self.fault.handler_raises:
                raise LookupError

        async def asynchronous(websocket: WebSocket, error: Exception) -> None:
            take(error)

        def synchronous(websocket: WebSocket, error: Exception) -> None:
            take(error)

        return synchronous if name in LEVELS[::2] else asynchronous

    async def endpoint(self, websocket: WebSocket) -> None:
        """The endpoint of every route."""
        does = self.meet("endpoint")
        if does != "returns at once":
            await self.wait(does)
            await websocket.accept()
            self.meet("endpoint", "raises accepted")
            await self.wait(does, "waits accepted")

    def meet(self, place: str, what: What | None = None) -> What | None:
        """Write down that a place is reached, and do what goes wrong there; what the place has to do itself."""
        if what is None:
            self.log.append(f"{place} in" if place.startswith(AROUND) else place)
        fault = self.fault
        if fault is None or fault.place != place:
            return None
        if fault.what == "http" and what is None:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        if fault.what == (what or "raises"):
            raise PROBLEMS[fault.taken_by]
        return fault.what

    async def wait(self, does: What | None, what: What = "waits") -> None:
        """Wait for ever, if that is what goes wrong."""
        if does == what:
            self.waiting.set()
            await anyio.sleep_forever()

    def around(self, place: str) -> Around:
        """Write down when a place is reached and left, and what goes wrong there."""
        return Around(self, place)


class Around:
    """The two parts of what runs around something; `does` is what it has to do itself."""

    def __init__(self, recorder: Recorder, place: str) -> None:
        self._recorder = recorder
        self._place = place

    def __enter__(self) -> What | None:
        return self._recorder.meet(self._place)

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        if kind is None:
            self._recorder.log.append(f"{self._place} out")
        elif issubclass(kind, anyio.get_cancelled_exc_class()):
            self._recorder.log.append(f"{self._place} out: Cancellation")
        else:
            self._recorder.log.append(f"{self._place} out: {kind.__name__}")
        self._recorder.meet(self._place, "raises afterwards")


class RecordingMiddleware:
    """Middleware of a level."""

    def __init__(self, app: ASGIApp, recorder: Recorder, name: str) -> None:
        self._app = app
        self._recorder = recorder
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._recorder.around(f"middleware {self._name}") as does:
            if does == "refuses":
                await send({"type": "websocket.close", "code": 4000, "reason": ""})
            else:
                await self._recorder.wait(does)
                await self._app(scope, receive, send)


class RecordingInterceptor(BaseInterceptor):
    """An interceptor of a level."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._name = name

    async def intercept(self, websocket: WebSocket, call_next: Callable[[], Awaitable[None]]) -> None:
        with self._recorder.around(f"interceptor {self._name}") as does:
            if does != "stops":
                await self._recorder.wait(does)
                await call_next()


class Asked(BasePermission):
    """A permission of a level."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._name = name

    async def has_permission(self, websocket: WebSocket, route: object) -> bool:
        does = self._recorder.meet(f"permission {self._name}")
        await self._recorder.wait(does)
        return does != "denies"


class AskedInThread(BasePermission):
    """The same, which may block."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._name = name

    def has_permission(self, websocket: WebSocket, route: object) -> bool:
        return self._recorder.meet(f"permission {self._name}") != "denies"


def words(message: Message) -> str | None:
    """What a message says to the client; nothing for the body of a refusal."""
    match message["type"]:
        case "websocket.accept":
            return "accepted"
        case "websocket.close":
            return f"closed {message['code']}"
        case "websocket.http.response.start":
            return f"refused {message['status']}"
    return None
