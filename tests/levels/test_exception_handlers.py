"""Exception handlers of levels: which one takes an exception, how it is called, and what becomes of the connection."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import nullcontext
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

import anyio
import pytest
from anyio.abc import TaskGroup
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.asgi import Peer
from tests.frameworks import FastAPI
from wsroute import (
    APIWebSocketRoute,
    BaseInterceptor,
    BasePermission,
    DenyAll,
    Depends,
    HTTPException,
    Query,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    WebSocketRequestValidationError,
    WebSocketRouter,
)
from wsroute.routing.layers import Reject

pytestmark = pytest.mark.anyio

Handlers = dict[Any, Callable[..., Any]]


class Base(Exception):
    pass


class Derived(Base):
    pass


class Teapot(HTTPException):
    def __init__(self) -> None:
        super().__init__(418, "short and stout")


class Passing:
    """Middleware that adds nothing, but a session around it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


@pytest.fixture(params=[[], [Passing], [Passing, Passing]], ids=["bare", "behind middleware", "behind two"])
def middleware(request: pytest.FixtureRequest) -> list[Any]:
    """The middleware around the endpoint, which must not matter."""
    found: list[Any] = request.param
    return found


class Raising:
    """An endpoint that raises, and counts how often it is called."""

    def __init__(self, error: Exception, *, accept: bool = False) -> None:
        self._error = error
        self._accept = accept
        self.calls = 0

    async def __call__(self, websocket: WebSocket) -> None:
        self.calls += 1
        if self._accept:
            await websocket.accept()
        raise self._error


def nested(endpoint: Any, *levels: Handlers | None, middleware: Sequence[Any] = ()) -> WebSocketRouter:
    """A route below routers with exception handlers, outermost first; the last ones are its own."""
    *above, own = levels
    route: BaseRoute = APIWebSocketRoute("/", endpoint, exception_handlers=own)
    for handlers in reversed(above):
        route = WebSocketRouter(routes=[route], exception_handlers=handlers)
    return WebSocketRouter(routes=[route], middleware=middleware)


def noting(log: list[str], name: str) -> Callable[[WebSocket, Exception], Awaitable[None]]:
    """An exception handler that writes down its name and what it takes."""

    async def take(websocket: WebSocket, error: Exception) -> None:
        log.append(f"{name}: {type(error).__name__}")

    return take


# How one is called


async def asynchronous(websocket: WebSocket, error: Exception) -> JSONResponse:
    return answer(websocket, error)


def synchronous(websocket: WebSocket, error: Exception) -> JSONResponse:
    return answer(websocket, error, in_thread=True)


class Asynchronous:
    async def __call__(self, websocket: WebSocket, error: Exception) -> JSONResponse:
        return answer(websocket, error)

    async def method(self, websocket: WebSocket, error: Exception) -> JSONResponse:
        return answer(websocket, error)


class Synchronous:
    def __call__(self, websocket: WebSocket, error: Exception) -> JSONResponse:
        return answer(websocket, error, in_thread=True)


def answer(websocket: WebSocket, error: Exception, *, in_thread: bool = False) -> JSONResponse:
    thread = threading.current_thread() is not threading.main_thread()
    calls.append((websocket.path_params, type(error), thread is in_thread))
    return JSONResponse({"taken": str(error)}, 409)


calls: list[tuple[Any, type[Exception], bool]] = []


@pytest.mark.parametrize(
    "handler",
    [
        asynchronous,
        synchronous,
        Asynchronous(),
        Synchronous(),
        Asynchronous().method,
        partial(asynchronous),
        partial(synchronous),
        partial(Asynchronous()),
        lambda websocket, error: synchronous(websocket, error),
    ],
    ids=[
        "async def",
        "def",
        "async object",
        "object",
        "method",
        "partial of async def",
        "partial of def",
        "partial of async object",
        "lambda",
    ],
)
async def test_a_handler_is_called_once_and_the_endpoint_never_twice(
    handler: Callable[..., Any], middleware: list[Any]
) -> None:
    calls.clear()
    endpoint = Raising(Base("it"))
    peer = Peer()
    await peer.serve(nested(endpoint, {Base: handler}, middleware=middleware))
    assert calls == [({}, Base, True)]
    assert endpoint.calls == 1
    assert peer.denial is not None and (peer.denial.status, peer.denial.json()) == (409, {"taken": "it"})


async def test_a_lambda_may_hide_that_a_handler_is_asynchronous(middleware: list[Any]) -> None:
    log: list[str] = []
    take = noting(log, "handler")
    endpoint = Raising(Base())
    await Peer().serve(nested(endpoint, {Base: lambda websocket, error: take(websocket, error)}, middleware=middleware))
    assert (log, endpoint.calls) == (["handler: Base"], 1)


async def test_a_handler_gets_the_socket_of_the_endpoint() -> None:
    sockets: list[WebSocket] = []

    class Own(WebSocket):
        pass

    async def endpoint(websocket: Own) -> None:
        sockets.append(websocket)
        raise Base

    async def take(websocket: WebSocket, error: Exception) -> None:
        sockets.append(websocket)

    await Peer().serve(nested(endpoint, {Base: take}, middleware=[Passing]))
    assert len(sockets) == 2
    assert sockets[0] is sockets[1]


# Which one

CASES: list[tuple[Exception, list[list[Any]], str | None]] = [
    (Derived(), [[Base], [Derived]], "1 Derived"),
    (Derived(), [[Derived], [Base]], "1 Base"),
    (Derived(), [[Base, Derived]], "0 Derived"),
    (Derived(), [[Exception, Base]], "0 Base"),
    (Derived(), [[Derived], [Exception]], "1 Exception"),
    (Derived(), [[Derived], [KeyError], []], "0 Derived"),
    (Base(), [[Derived], [Derived]], None),
    (Base(), [[Exception], [Base], [Derived]], "1 Base"),
    (HTTPException(404), [[HTTPException, 404]], "0 404"),
    (HTTPException(404), [[HTTPException, HTTPStatus.NOT_FOUND]], "0 404"),
    (HTTPException(404), [[404], [HTTPException]], "1 HTTPException"),
    (HTTPException(404), [[HTTPException], [403]], "0 HTTPException"),
    (Teapot(), [[HTTPException, Teapot]], "0 Teapot"),
    (Teapot(), [[HTTPException, Teapot, 418]], "0 418"),
    (Teapot(), [[Teapot], [HTTPException]], "1 HTTPException"),
    (WebSocketException(4001), [[WebSocketException, 4001]], "0 4001"),
    (WebSocketException(4001), [[4001], [4002]], "0 4001"),
    (WebSocketException(4001), [[4001], [WebSocketException]], "1 WebSocketException"),
    (HTTPException(403), [[Exception]], None),
    (WebSocketException(4001), [[Exception]], None),
    (WebSocketRequestValidationError([]), [[Exception]], None),
    (WebSocketDisconnect(1001), [[Exception]], None),
    (HTTPException(403), [[HTTPException], [Exception]], "0 HTTPException"),
    (
        WebSocketRequestValidationError([]),
        [[WebSocketRequestValidationError], [Exception]],
        "0 WebSocketRequestValidationError",
    ),
    (WebSocketDisconnect(1001), [[Exception], [WebSocketDisconnect]], "1 WebSocketDisconnect"),
    (ExceptionGroup("", [Derived()]), [[Base]], "0 Base"),
    (ExceptionGroup("", [ExceptionGroup("", [HTTPException(404)])]), [[404]], "0 404"),
    (ExceptionGroup("", [Base(), Base()]), [[Base]], None),
    (ExceptionGroup("", [Base(), Base()]), [[Exception]], "0 Exception"),
    (ExceptionGroup("", [HTTPException(403)]), [[Exception]], None),
]


def shown(key: Any) -> str:
    """A key of a mapping of exception handlers, for people."""
    return key.__name__ if isinstance(key, type) else str(key)


@pytest.mark.parametrize("accept", [False, True], ids=["before the accept", "after it"])
@pytest.mark.parametrize(
    ("error", "levels", "taken_by"),
    CASES,
    ids=[
        f"{error!r} below {' > '.join(' '.join(map(shown, level)) for level in levels)}" for error, levels, _ in CASES
    ],
)
async def test_the_nearest_level_that_takes_an_exception_does(
    error: Exception, levels: list[list[Any]], taken_by: str | None, accept: bool, middleware: list[Any]
) -> None:
    log: list[str] = []
    handlers: list[Handlers] = [
        {key: noting(log, f"{depth} {shown(key)}") for key in keys} for depth, keys in enumerate(levels)
    ]
    endpoint = Raising(error, accept=accept)
    app = nested(endpoint, *handlers, middleware=middleware)
    bug = taken_by is None and "Base" in repr(error)  # all else here has an ending of its own
    with pytest.raises(type(error)) if bug else nullcontext():
        await Peer().serve(app)
    assert [entry.partition(":")[0] for entry in log] == ([taken_by] if taken_by else [])
    assert endpoint.calls == 1


@pytest.mark.parametrize("application", [Starlette, FastAPI])
async def test_the_handlers_of_the_application_are_asked_last(
    application: type[Starlette], middleware: list[Any]
) -> None:
    log: list[str] = []
    app = application(exception_handlers={Base: noting(log, "application"), Derived: noting(log, "application")})
    nested(Raising(Derived()), {Base: noting(log, "level")}, middleware=middleware).attach(app)
    await Peer().serve(app)
    assert log == ["level: Derived"]

    log.clear()
    app = application(exception_handlers={Base: noting(log, "application")})
    nested(Raising(Derived()), {KeyError: noting(log, "level")}, middleware=middleware).attach(app)
    await Peer().serve(app)
    assert log == ["application: Derived"]


@pytest.mark.parametrize("error", [Base(), WebSocketException(4001), HTTPException(404)], ids=repr)
@pytest.mark.parametrize("accept", [False, True], ids=["before the accept", "after it"])
async def test_the_handlers_of_the_application_are_called_once(
    error: Exception, accept: bool, middleware: list[Any]
) -> None:
    log: list[str] = []
    app = Starlette(exception_handlers={type(error): noting(log, "application")})
    endpoint = Raising(error, accept=accept)
    nested(endpoint, None, middleware=middleware).attach(app)
    await Peer().serve(app)
    assert (log, endpoint.calls) == ([f"application: {type(error).__name__}"], 1)


@pytest.mark.parametrize("accept", [False, True], ids=["before the accept", "after it"])
async def test_an_exception_that_a_handler_of_the_application_raises_is_not_handled_again(
    accept: bool, middleware: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []

    async def fail(websocket: WebSocket, error: Exception) -> None:
        log.append(type(error).__name__)
        raise Base

    app = Starlette(exception_handlers={Derived: fail, Base: noting(log, "again")})
    nested(Raising(Derived(), accept=accept), None, middleware=middleware).attach(app)
    await Peer().serve(app)
    assert log == ["Derived"]
    # Starlette would call the other handler for whatever is raised on, so it is logged instead.
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [Base]


async def test_an_unknown_path_is_for_the_handlers_of_the_router_that_is_the_application() -> None:
    async def take(websocket: WebSocket, error: HTTPException) -> Response:
        return PlainTextResponse("no such socket", error.status_code)

    app = WebSocketRouter(routes=[APIWebSocketRoute("/known", Raising(Base()))], exception_handlers={404: take})
    peer = Peer("/unknown")
    await peer.serve(app)
    assert peer.denial is not None and (peer.denial.status, peer.denial.body) == (404, b"no such socket")


# Where an exception may come from


async def test_an_exception_from_anywhere_inside_of_the_middleware_is_handled(middleware: list[Any]) -> None:
    log: list[str] = []

    class Interceptor(BaseInterceptor):
        async def intercept(self, websocket: WebSocket, call_next: Callable[[], Awaitable[None]], where: str) -> None:
            if where == "interceptor":
                raise Base
            await call_next()
            if where == "after":
                raise Base

    class Permission(BasePermission):
        async def has_permission(self, websocket: WebSocket, route: Any, where: str) -> bool:
            if where == "permission":
                raise Base
            return True

    async def dependency(where: str) -> AsyncIterator[None]:
        if where == "dependency":
            raise Base
        yield
        if where == "exit":
            raise Base

    async def task(where: str) -> None:
        if where == "task":
            raise Base

    async def endpoint(
        websocket: WebSocket, where: str, tasks: TaskGroup, dependency: Annotated[None, Depends(dependency)]
    ) -> None:
        await websocket.accept()
        if where == "task":
            tasks.start_soon(task, where)
            await anyio.sleep_forever()
        if where == "endpoint":
            raise Base

    router = WebSocketRouter(
        interceptors=[Interceptor()],
        permissions=[Permission()],
        middleware=middleware,
        exception_handlers={Base: noting(log, "level")},
    )
    router.websocket("/")(endpoint)
    refused = ["interceptor", "permission", "dependency"]
    for where in (*refused, "endpoint", "task", "exit", "after"):
        log.clear()
        peer = Peer(f"/?where={where}")
        await peer.serve(router)
        assert log == ["level: Base"], where
        if where in refused:
            assert peer.denial is not None and peer.denial.status == 500
        else:
            assert peer.closed == ((1011, "Internal Server Error") if where in ("endpoint", "task") else (1000, ""))


async def test_a_refused_handshake_is_handled_by_a_class_that_names_it(middleware: list[Any]) -> None:
    async def take(websocket: WebSocket, error: WebSocketRequestValidationError) -> PlainTextResponse:
        return PlainTextResponse(f"{len(error.errors())} wrong", 400)

    async def endpoint(limit: int, offset: Annotated[int, Query()]) -> None: ...

    peer = Peer("/?limit=x")
    await peer.serve(nested(endpoint, {WebSocketRequestValidationError: take}, middleware=middleware))
    assert peer.denial is not None and (peer.denial.status, peer.denial.body) == (400, b"2 wrong")


@pytest.mark.parametrize("key", [403, HTTPException], ids=shown)
async def test_a_denial_is_handled_by_its_status_or_its_class(key: Any, middleware: list[Any]) -> None:
    async def take(websocket: WebSocket, error: HTTPException) -> Response:
        return PlainTextResponse(f"handled: {error.detail}", 404)

    class Members(DenyAll):
        message = "Members only"

    endpoint = Raising(Base())
    app = WebSocketRouter(
        permissions=[Members],
        exception_handlers={key: take, Exception: noting([], "unused")},
        middleware=middleware,
        routes=[APIWebSocketRoute("/", endpoint)],
    )
    peer = Peer()
    await peer.serve(app)
    assert peer.denial is not None and (peer.denial.status, peer.denial.body) == (404, b"handled: Members only")
    assert endpoint.calls == 0


async def test_what_middleware_raises_is_for_the_handlers_of_the_application_only() -> None:
    log: list[str] = []

    class Failing(Passing):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            raise Base

    handlers: Handlers = {Base: noting(log, "level")}
    endpoint = Raising(Base())
    peer = Peer()
    with pytest.raises(Base):
        await peer.serve(nested(endpoint, handlers, handlers, middleware=[Passing, Failing]))
    assert (log, endpoint.calls) == ([], 0)
    assert peer.denial is not None and peer.denial.status == 500

    app = Starlette(exception_handlers={Base: noting(log, "application")})
    nested(endpoint, handlers, handlers, middleware=[Passing, Failing]).attach(app)
    peer = Peer()
    await peer.serve(app)
    assert (log, endpoint.calls) == (["application: Base"], 0)
    assert peer.denial is not None and peer.denial.status == 500


async def test_middleware_sees_only_what_no_handler_took() -> None:
    seen: list[str] = []

    class Seeing(Passing):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await super().__call__(scope, receive, send)
            except Exception as error:
                seen.append(type(error).__name__)
                raise

    app = nested(Raising(Derived()), {Base: noting([], "level")}, middleware=[Seeing])
    await Peer().serve(app)
    assert seen == []

    app = nested(Raising(Base()), {Derived: noting([], "level")}, middleware=[Seeing])
    with pytest.raises(Base):
        await Peer().serve(app)
    assert seen == ["Base"]


# What becomes of the connection

ENDINGS = [
    (Base("secret"), (500, {"detail": "Internal Server Error"}), (1011, "Internal Server Error")),
    (HTTPException(404, "no such room"), (404, {"detail": "no such room"}), (1008, "no such room")),
    (HTTPException(503), (503, {"detail": "Service Unavailable"}), (1011, "Service Unavailable")),
    (WebSocketException(4001, "why"), (403, {"code": 4001, "reason": "why"}), (4001, "why")),
    (WebSocketRequestValidationError([]), (422, {"detail": []}), (1008, "Invalid handshake parameters")),
]


@pytest.mark.parametrize(("error", "denial", "close"), ENDINGS, ids=[repr(row[0]) for row in ENDINGS])
async def test_what_a_handler_leaves_open_ends_as_the_exception_says(
    error: Exception, denial: Any, close: Any, middleware: list[Any]
) -> None:
    log: list[str] = []
    handlers: Handlers = {type(error): noting(log, "handler")}
    peer = Peer()
    await peer.serve(nested(Raising(error), handlers, middleware=middleware))
    assert peer.denial is not None and (peer.denial.status, peer.denial.json()) == denial

    peer = Peer()
    await peer.serve(nested(Raising(error, accept=True), handlers, middleware=middleware))
    assert peer.closed == close
    assert len(log) == 2


async def test_what_a_handler_accepts_and_leaves_open_ends_as_the_exception_says(middleware: list[Any]) -> None:
    async def accept(websocket: WebSocket, error: Exception) -> None:
        await websocket.accept()
        await websocket.send_text(str(error))

    peer = Peer()
    await peer.serve(nested(Raising(WebSocketException(4001, "why")), {4001: accept}, middleware=middleware))
    assert (peer.frames, peer.closed) == (["4001: why"], (4001, "why"))


async def test_a_handler_may_close(middleware: list[Any]) -> None:
    async def close(websocket: WebSocket, error: Exception) -> None:
        await websocket.close(4999, "its own")

    peer = Peer()
    await peer.serve(nested(Raising(Base(), accept=True), {Base: close}, middleware=middleware))
    assert [message["type"] for message in peer.sent] == ["websocket.accept", "websocket.close"]
    assert peer.closed == (4999, "its own")


@pytest.mark.parametrize(
    "respond",
    [
        lambda: JSONResponse({"why": "it"}, 409, {"x-own": "1"}),
        lambda: StreamingResponse(iter(['{"why"', ':"it"}']), 409, {"x-own": "1"}),
    ],
    ids=["JSON", "streaming"],
)
async def test_a_response_before_the_accept_is_the_denial(
    respond: Callable[[], Response], middleware: list[Any]
) -> None:
    def take(websocket: WebSocket, error: Exception) -> Response:
        return respond()

    peer = Peer()
    await peer.serve(nested(Raising(Base()), {Base: take}, middleware=middleware))
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.json(), peer.denial.header("x-own")) == (409, {"why": "it"}, ["1"])


@pytest.mark.parametrize(
    ("reject", "denials", "accepted"), [("close", True, False), ("accept", True, True), (None, False, False)]
)
async def test_a_response_where_none_can_be_sent_gives_way_to_the_close_of_the_exception(
    reject: Reject | None, denials: bool, accepted: bool
) -> None:
    async def take(websocket: WebSocket, error: Exception) -> Response:
        return PlainTextResponse("unseen", 409)

    peer = Peer(denials=denials)
    error = HTTPException(404, "no such room")
    await peer.serve(APIWebSocketRoute("/", Raising(error), exception_handlers={404: take}, reject=reject))
    assert (peer.denial, bool(peer.accepted), peer.closed) == (None, accepted, (1008, "no such room"))


async def test_a_response_after_the_accept_is_none(middleware: list[Any]) -> None:
    async def take(websocket: WebSocket, error: Exception) -> Any:
        return PlainTextResponse("too late")

    peer = Peer()
    await peer.serve(nested(Raising(HTTPException(404, "x"), accept=True), {404: take}, middleware=middleware))
    assert peer.closed == (1008, "x")


async def test_a_handler_takes_what_comes_after_the_end(middleware: list[Any]) -> None:
    log: list[str] = []

    async def late(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(4000)
        raise Base

    peer = Peer()
    await peer.serve(nested(late, {Base: noting(log, "level")}, middleware=middleware))
    assert (log, peer.closed) == (["level: Base"], (4000, ""))


async def test_a_handler_takes_what_comes_after_the_client_has_left(middleware: list[Any]) -> None:
    log: list[str] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect:
            raise Base from None

    peer = Peer().leave(1001)
    await peer.serve(nested(endpoint, {Base: noting(log, "level")}, middleware=middleware))
    assert log == ["level: Base"]
    assert [message["type"] for message in peer.sent] == ["websocket.accept"]


async def test_a_departure_is_handled_by_a_class_that_names_it(middleware: list[Any]) -> None:
    codes: list[int] = []

    async def take(websocket: WebSocket, error: WebSocketDisconnect) -> None:
        codes.append(error.code)

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    await Peer().leave(4321).serve(nested(endpoint, {WebSocketDisconnect: take}, middleware=middleware))
    assert codes == [4321]


# A handler that raises


async def test_what_a_handler_raises_ends_the_connection_in_place_of_what_it_took(middleware: list[Any]) -> None:
    log: list[str] = []

    async def refuse(websocket: WebSocket, error: Exception) -> None:
        log.append("inner")
        raise HTTPException(401, "log in", {"WWW-Authenticate": "Bearer"}) from error

    handlers: Handlers = {HTTPException: noting(log, "outer"), 401: noting(log, "outer")}
    peer = Peer()
    await peer.serve(nested(Raising(Base()), handlers, {Base: refuse}, middleware=middleware))
    assert log == ["inner"]
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.json()) == (401, {"detail": "log in"})
    assert peer.denial.header("www-authenticate") == ["Bearer"]


@pytest.mark.parametrize("threaded", [False, True], ids=["async def", "def"])
async def test_a_handler_that_fails_is_a_bug(threaded: bool, middleware: list[Any]) -> None:
    log: list[str] = []
    failure = Base("in the handler")

    async def fail(websocket: WebSocket, error: Exception) -> None:
        raise failure

    def fail_in_thread(websocket: WebSocket, error: Exception) -> None:
        raise failure

    own: Handlers = {Derived: fail_in_thread if threaded else fail, Base: noting(log, "inner")}
    peer = Peer()
    endpoint = Raising(Derived("in the endpoint"), accept=True)
    with pytest.raises(Base) as raised:
        await peer.serve(nested(endpoint, {Base: noting(log, "outer")}, own, middleware=middleware))
    assert raised.value is failure
    assert (log, endpoint.calls, peer.closed) == ([], 1, (1011, "Internal Server Error"))


async def test_a_handler_may_raise_what_it_took(middleware: list[Any]) -> None:
    error = Base()

    async def again(websocket: WebSocket, error: Exception) -> None:
        raise error

    peer = Peer()
    with pytest.raises(Base) as raised:
        await peer.serve(nested(Raising(error), {Base: again}, middleware=middleware))
    assert raised.value is error
    assert peer.denial is not None and peer.denial.status == 500


async def test_a_handler_may_find_that_the_client_has_left(middleware: list[Any]) -> None:
    async def send(websocket: WebSocket, error: Exception) -> None:
        await websocket.send_text("sorry")

    peer = Peer()

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        peer.fail(OSError())
        raise Base

    await peer.serve(nested(endpoint, {Base: send}, middleware=middleware))
    assert [message["type"] for message in peer.sent] == ["websocket.accept"]
