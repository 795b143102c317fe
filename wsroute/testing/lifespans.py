"""The life of an application: its startup before a test, and its shutdown after it."""

from __future__ import annotations

from types import TracebackType
from typing import Any, NoReturn, Self

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wsroute.testing.backends import current_backend
from wsroute.testing.errors import DeadlinePassed, LifespanFailed, says_it_all
from wsroute.testing.running import Running

__tracebackhide__ = says_it_all

#: How long startup and shutdown may take, each, in seconds.
LIFESPAN_DEADLINE = 10.0

#: The running lifespans, by the identity of the application, the innermost last.
_running: dict[int, list[lifespan]] = {}


class lifespan:
    """Run the startup of an application, and its shutdown at the end: `async with lifespan(app): ...`.

    Connections that are opened inside have the state that the startup has left. Exceptions of the application are
    raised as they are. What it gives is the application with that state, for clients of HTTP that know nothing of
    lifespans: `httpx.ASGITransport(served)`.

    Args:
        app: The application.
        deadline: How long startup and shutdown may take, each, in seconds. Default 10.

    Attributes:
        state: What the startup has left in the scope's `state`.

    Raises:
        LifespanFailed: The application said that it failed, and raised nothing.
        DeadlinePassed: It took too long.
    """

    def __init__(self, app: ASGIApp, *, deadline: float = LIFESPAN_DEADLINE) -> None:
        self.app = app
        self.state: dict[str, Any] = {}
        self._deadline = deadline

    async def __aenter__(self) -> Self:
        backend = current_backend()
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._inbox: list[Message] = [{"type": "lifespan.startup"}]
        self._arrived, self._news = backend.bell(), backend.bell()
        self._sent: list[Message] = []
        self._task = Running(backend, self.app, scope, self._receive, self._send, self._news)
        await self._until("startup")
        _running.setdefault(id(self.app), []).append(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        others = _running[id(self.app)]
        others.remove(self)
        if not others:
            del _running[id(self.app)]
        self._inbox.append({"type": "lifespan.shutdown"})
        self._arrived.ring()
        with anyio.CancelScope(shield=True):
            try:
                await self._until("shutdown")
                await self._end("shutdown")
            except Exception as failure:
                if exception is None:
                    raise
                exception.add_note(f"besides, the application's shutdown failed: {type(failure).__name__}: {failure}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a connection with the state of the lifespan, as a server does."""
        await self.app({**scope, "state": {**self.state, **scope.get("state", {})}}, receive, send)

    async def _until(self, phase: str) -> None:
        """Wait until the application says that it has done it, and raise what went wrong."""
        while not any(message["type"].startswith(f"lifespan.{phase}.") for message in self._sent):
            if self._task.ended:
                self._raise(f"the application ended before it said that its {phase} was complete")
            if not await self._news.wait(self._deadline):
                await self._give_up(phase)
        if self._sent[-1]["type"] == f"lifespan.{phase}.failed":
            await self._end(phase)
            self._raise(f"the application's {phase} failed: {self._sent[-1].get('message', '')}")

    async def _end(self, phase: str) -> None:
        if not await self._task.wait(self._deadline):
            await self._give_up(phase)
        if self._task.exception is not None:
            raise self._task.exception

    async def _give_up(self, phase: str) -> NoReturn:
        known = self._task.whereabouts()
        self._task.cancel()
        await self._task.wait(self._deadline)
        raise DeadlinePassed(f"the application's {phase} was not complete within {self._deadline:g} s", *known)

    def _raise(self, problem: str) -> NoReturn:
        raise self._task.exception or LifespanFailed(problem)

    async def _receive(self) -> Message:
        while not self._inbox:
            await self._arrived.wait()
        return self._inbox.pop(0)

    async def _send(self, message: Message) -> None:
        self._sent.append(message)
        self._news.ring()


def state_of(app: ASGIApp) -> dict[str, Any]:
    """A copy of the state that the running lifespan of an application has left, as each connection gets one."""
    running = _running.get(id(app))
    return dict(running[-1].state) if running else {}
