"""A connection from its handshake to its end, around the block of a test."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, get_args

import anyio
from starlette.types import ASGIApp

from wsroute.testing.backends import Stray, current_backend
from wsroute.testing.client import DEADLINE, ClientWebSocket
from wsroute.testing.errors import HandshakeRefused, LeftBehind, SocketTestError, says_it_all
from wsroute.testing.handshake import Auth, Cookies, Handshake, Headers, Params, auth_of
from wsroute.testing.lifespans import lifespan as run_lifespan
from wsroute.testing.lifespans import state_of
from wsroute.testing.places import open_dependencies, place_of
from wsroute.testing.running import Running
from wsroute.testing.transcript import Transcript, shown
from wsroute.testing.wire import ABNORMAL, Denial, Wire

if TYPE_CHECKING:
    import httpx

__tracebackhide__ = says_it_all

#: What a connection may leave behind.
Leftover: TypeAlias = Literal["messages", "tasks"]

_DENIALS: Mapping[str, Mapping[str, Any]] = {"websocket.http.response": {}}


class connect:
    """Open a connection to an application, in process: `async with connect(app, "/rooms/7") as ws: ...`.

    The application runs in a task of the caller's event loop. When the block ends, the client leaves if the connection
    is still open, and the application has to end: what it raised is raised then, unless it was before, and what it has
    left behind is reported.

    Args:
        app: Any ASGI application: of Starlette or FastAPI, a router, a route, a gateway.
        target: The path, with a query string or without; or a URL with `ws:` or `wss:`.
        params: Further query parameters.
        headers: Headers of the handshake.
        cookies: Cookies.
        auth: A pair of user and password, an `httpx.Auth`, or a function that changes an `httpx.Request`.
        origin: The header `Origin`, which every browser sends.
        subprotocols: The subprotocols that the client offers.
        state: Further entries of the scope's `state`, beside those of the lifespan.
        extensions: The extensions of the server. Default: `websocket.http.response`, as most servers have it.
        scope: Further keys of the scope.
        lifespan: Whether the lifespan of the application is run around the connection. A running `lifespan(app)` is
            found without it.
        deadline: How long each wait may take, in seconds of real time. Default 2.
        raise_app_exceptions: Whether what the application raises is raised in the test. If not, the test sees what a
            client would, and `ws.exception` is what was raised. A `WebSocketDisconnect` once the client has left is
            how many endpoints end, and is not raised.
        allow: What the connection may leave behind: `"messages"` that nobody reads, `"tasks"` that are still running.

    Raises:
        HandshakeRefused: The application refused the handshake.
        DeadlinePassed: It did not answer, or did not end.
        LeftBehind: It has left something behind.
        Exception: What the application raised.
    """

    def __init__(
        self,
        app: ASGIApp,
        target: str = "/",
        *,
        params: Params | None = None,
        headers: Headers | None = None,
        cookies: Cookies | None = None,
        auth: Auth | None = None,
        origin: str | None = None,
        subprotocols: Sequence[str] = (),
        state: Mapping[str, Any] | None = None,
        extensions: Mapping[str, Any] | None = None,
        scope: Mapping[str, Any] | None = None,
        lifespan: bool = False,
        deadline: float = DEADLINE,
        raise_app_exceptions: bool = True,
        allow: Collection[Leftover] = (),
    ) -> None:
        _check_allowed(allow)
        self._app = app
        self._handshake = Handshake(target, params, headers, cookies, auth, origin, subprotocols)
        self._state = state
        self._extensions = _DENIALS if extensions is None else extensions
        self._scope = scope
        self._lifespan = run_lifespan(app) if lifespan else None
        self._deadline = deadline
        self._raises = raise_app_exceptions
        self._allow = allow

    async def __aenter__(self) -> ClientWebSocket:
        if self._lifespan is not None:
            await self._lifespan.__aenter__()
        try:
            return await self._open()
        except BaseException as exc:
            if self._lifespan is not None:
                await self._lifespan.__aexit__(type(exc), exc, exc.__traceback__)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._close(exception)
        except BaseException as exc:
            kind, exception, trace = type(exc), exc, exc.__traceback__
            raise
        finally:
            if self._lifespan is not None:
                await self._lifespan.__aexit__(kind, exception, trace)

    # The handshake

    async def _open(self) -> ClientWebSocket:
        if self._handshake.is_plain:
            return await self._shake_hands(None)
        request = self._handshake.request()
        auth = auth_of(self._handshake.auth, request.url)
        if auth is None:
            return await self._shake_hands(request)
        flow = auth.async_auth_flow(request)
        try:
            request = await anext(flow)
            while True:
                try:
                    return await self._shake_hands(request)
                except HandshakeRefused as refused:
                    # A scheme such as Digest answers a refusal with another handshake.
                    try:
                        request = await flow.asend(_response(refused, request))
                    except StopAsyncIteration:
                        raise refused from None
        finally:
            await flow.aclose()

    async def _shake_hands(self, request: httpx.Request | None) -> ClientWebSocket:
        backend = current_backend()
        scope = self._handshake.scope_of(request)
        scope["state"] = {**state_of(self._app), **(self._state or {})}
        scope["extensions"] = dict(self._extensions)
        scope.update(self._scope or {})
        transcript = Transcript(self._handshake.target)
        transcript.note("client", "connects")
        self._wire = wire = Wire(backend.bell, scope, transcript)
        self._running = Running(backend, self._app, scope, wire.receive, wire.send, wire.news, wire.lose)
        self._client = client = ClientWebSocket(wire, self._running, scope, transcript, self._deadline, self._raises)
        try:
            while wire.accepted is None and wire.refusal is None:
                if not await wire.news.wait(self._deadline):
                    raise client.late("the handshake was not answered")
        except BaseException:
            wire.leave(ABNORMAL, "", "gives up")
            await self._stop()
            raise
        if wire.refusal is not None:
            await self._refuse(wire.refusal)
        return client

    async def _refuse(self, denial: Denial) -> NoReturn:
        failures = await self._failures()
        hint = [] if denial.is_of_application else ["the application ended without an answer to the handshake"]
        refused = HandshakeRefused(denial.status, denial.headers, denial.body, *hint, str(self._client.transcript))
        if failures:
            raise _with_notes(failures) from None
        raise refused from self._running.exception

    # The end

    async def _close(self, exception: BaseException | None) -> None:
        self._wire.leave(1000, "", "leaves, as the test has ended")
        failures = await self._failures(is_failing=exception is not None)
        failures = [failure for failure in failures if failure is not exception]
        if exception is None:
            if failures:
                raise _with_notes(failures)
            return
        for failure in failures:
            exception.add_note(_note(failure))
        if not isinstance(exception, SocketTestError):
            exception.add_note(str(self._client.transcript))

    async def _failures(self, *, is_failing: bool = False) -> list[BaseException]:
        """Wait for the end of the application, and list what is wrong, the most important first.

        Args:
            is_failing: Whether the test fails anyway, so that nobody is surprised by messages that it has not read.
        """
        found: list[BaseException] = []
        try:
            if not await self._running.wait(self._deadline):
                found.append(self._client.late("the connection has ended, and the application has not"))
                await self._stop()
            looks = self._running.ended and "tasks" not in self._allow
            strays = await self._running.strays() if looks else []
        except BaseException:
            await self._stop()
            raise
        left = [f"a task is still running: {_described(stray)}" for stray in strays]
        if not is_failing and "messages" not in self._allow:
            left += [f"nobody has read the message {shown(frame)}" for frame in self._wire.frames]
        for stray in strays:
            if stray.cancel is not None:
                stray.cancel()
        if left:
            found.append(LeftBehind("the connection has left something behind", *left, str(self._client.transcript)))
        return [*self._client.failures, *found] if self._raises else found

    async def _stop(self) -> None:
        """Cancel the application; one that does not care is left to the end of the event loop."""
        self._running.cancel()
        # The test may be cancelled; this takes no longer than the deadline.
        with anyio.CancelScope(shield=True):
            await self._running.wait(self._deadline)


def _check_allowed(allow: Collection[str]) -> None:
    unknown = set(allow) - set(get_args(Leftover)) if not isinstance(allow, str) else {allow}
    if unknown:
        expected = " and ".join(map(repr, get_args(Leftover)))
        raise ValueError(f"connect() got allow={allow!r}; it takes a collection of {expected}")


def _response(refused: HandshakeRefused, request: httpx.Request) -> httpx.Response:
    import httpx

    return httpx.Response(refused.status_code, headers=refused.headers, content=refused.content, request=request)


def _described(stray: Stray) -> str:
    place = place_of(stray.coroutine)
    names = open_dependencies(stray.coroutine)
    held = f"\n    it holds dependencies open: {', '.join(names)}" if names else ""
    return f"{stray.name!r}, which waits in {place}{held}"


def _with_notes(failures: list[BaseException]) -> BaseException:
    first, *others = failures
    for other in others:
        first.add_note(_note(other))
    return first


def _note(failure: BaseException) -> str:
    if isinstance(failure, SocketTestError):
        return f"besides, {failure}"
    return f"besides, the application raised {''.join(traceback.format_exception(failure))}"
