"""One call of an application, in a task of its own."""

from __future__ import annotations

from collections.abc import Callable

from anyio import get_cancelled_exc_class
from anyio.lowlevel import checkpoint
from starlette.types import ASGIApp, Receive, Scope, Send

from wsroute.testing.backends import Backend, Bell, Stray, belong_to
from wsroute.testing.places import open_dependencies, waiting

#: How often the tasks that an application has cancelled get to run, before they count as left behind.
TURNS = 20


def _nothing() -> None:
    """Nothing is left to do."""


class Running:
    """An application that serves one scope.

    Args:
        backend: The event loop.
        app: The application.
        scope, receive, send: What it is called with.
        news: Rings when it has ended.
        on_end: Called before that.

    Attributes:
        ended: Whether it has.
        exception: What it raised.
    """

    def __init__(
        self,
        backend: Backend,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
        news: Bell,
        on_end: Callable[[], object] = _nothing,
    ) -> None:
        self.ended = False
        self.exception: BaseException | None = None
        self._coroutine: object = None
        self._backend = backend
        self._call = app, scope, receive, send
        self._on_end = on_end
        self._news = news
        self._cancel: Callable[[], object] = backend.spawn(self._run)

    async def _run(self) -> None:
        belong_to(self)
        app, scope, receive, send = self._call
        try:
            coroutine = self._coroutine = app(scope, receive, send)
            await coroutine
        except BaseException as exc:
            if isinstance(exc, get_cancelled_exc_class()):
                raise
            self.exception = exc
        finally:
            self.ended = True
            self._coroutine = None
            # The task keeps its context, and that this object: nothing here is left to the garbage collector.
            self._cancel = _nothing
            self._on_end()
            self._news.ring()

    async def wait(self, seconds: float) -> bool:
        """Wait until it has ended, and tell whether it has."""
        while not self.ended:
            if not await self._news.wait(seconds):
                return False
        return True

    def cancel(self) -> None:
        """Cancel it."""
        self._cancel()

    def whereabouts(self) -> list[str]:
        """Where it waits, where the tasks that it has started wait, and which dependencies are open."""
        receive = self._call[2]
        waits = waiting(self._coroutine, receive)
        found = [f"the application waits {waits}" if waits else "the application has not begun"]
        others = {stray.name: waiting(stray.coroutine, receive) for stray in self._backend.strays(self)}
        found += [f"its task {name!r} waits {inner}" for name, inner in others.items() if inner not in (None, waits)]
        if names := open_dependencies(self._coroutine):
            found.append(f"open dependencies: {', '.join(names)}")
        return found

    async def strays(self) -> list[Stray]:
        """The tasks that it has left behind, once it has ended; those that are about to end get some turns to do so."""
        for _ in range(TURNS):
            found = self._backend.strays(self)
            if not found:
                break
            await checkpoint()
        return found
