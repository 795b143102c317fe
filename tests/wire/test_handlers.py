"""Exception handlers: which one is asked, and how it is called."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from anyio import fail_after, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException, WebSocketException
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from tests.asgi import Peer
from tests.frameworks import FastAPI, needs_fastapi
from wsroute.exceptions import WebSocketRequestValidationError, WsRouteError
from wsroute.wire.handlers import HandlerTable, call_handler, find_handler
from wsroute.wire.socket import Socket

pytestmark = pytest.mark.anyio

Handler = Callable[[Any, Any], Any]


class Teapot(HTTPException):
    def __init__(self) -> None:
        super().__init__(418)


class Base(Exception):
    pass


class Derived(Base):
    pass


def socket(handlers: Any = None) -> Socket:
    scope = {} if handlers is None else {"starlette.exception_handlers": handlers}
    peer = Peer(scope=scope)
    return Socket(peer.scope, peer.receive, peer.send)


def first(websocket: object, exc: object) -> str:
    return "first"


def second(websocket: object, exc: object) -> str:
    return "second"


# Which one


@pytest.mark.parametrize(
    ("classes", "codes", "exc", "found"),
    [
        ({Base: first}, {}, Base(), first),
        ({Base: first}, {}, Derived(), first),
        ({Base: first, Derived: second}, {}, Derived(), second),
        ({Derived: first}, {}, Base(), None),
        ({Exception: first}, {}, Base(), first),
        ({Exception: first, Base: second}, {}, Derived(), second),
        ({HTTPException: first}, {404: second}, HTTPException(404), second),
        ({HTTPException: first}, {404: second}, HTTPException(403), first),
        ({Teapot: first}, {418: second}, Teapot(), second),
        ({HTTPException: first, Teapot: second}, {}, Teapot(), second),
        ({WebSocketException: first}, {4001: second}, WebSocketException(4001), second),
        ({WebSocketException: first}, {4001: second}, WebSocketException(4002), first),
        ({}, {404: first}, Base(), None),
        ({WsRouteError: first}, {}, WebSocketRequestValidationError([]), first),
        ({WebSocketDisconnect: first}, {}, WebSocketDisconnect(), first),
        ({}, {}, Base(), None),
    ],
)
def test_a_code_comes_before_the_nearest_class(
    classes: dict[Any, Handler], codes: dict[int, Handler], exc: Exception, found: Handler | None
) -> None:
    assert HandlerTable(classes, codes).find(exc) is found
    assert find_handler((), socket((classes, codes)).scope, exc) is found


@pytest.mark.parametrize(
    "exc",
    [
        HTTPException(404),
        Teapot(),
        WebSocketException(4001),
        WebSocketRequestValidationError([]),
        WebSocketDisconnect(),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_a_handler_for_every_exception_does_not_take_what_has_an_ending_of_its_own(exc: Exception) -> None:
    assert HandlerTable({Exception: first}, {}).find(exc) is None


def test_without_a_table_there_is_no_handler() -> None:
    assert find_handler((), socket().scope, Base()) is None


async def handlers_of(app: Starlette) -> Socket:
    """A socket with the scope that an application gives its routes."""
    found: list[Socket] = []

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(Socket(scope, receive, send))

    app.router.routes.append(WebSocketRoute("/", endpoint))
    # A callable that is no function is an ASGI application to Starlette, which adds nothing around it.
    app.router.routes[-1].app = endpoint  # type: ignore[attr-defined]  # every WebSocketRoute has it
    peer = Peer()
    await app(peer.scope, peer.receive, peer.send)
    return found[0]


@pytest.mark.parametrize("application", [Starlette, FastAPI])
@pytest.mark.parametrize("exc", [HTTPException(404), WebSocketException(4001)], ids=lambda exc: type(exc).__name__)
async def test_the_defaults_of_the_frameworks_are_not_asked(application: type[Starlette], exc: Exception) -> None:
    websocket = await handlers_of(application())
    assert "starlette.exception_handlers" in websocket.scope
    assert find_handler((), websocket.scope, exc) is None


@pytest.mark.parametrize("application", [Starlette, FastAPI])
async def test_the_handlers_of_an_application_are_asked(application: type[Starlette]) -> None:
    handlers: dict[Any, Any] = {HTTPException: first, 418: second, Base: second, 4001: first}
    websocket = await handlers_of(application(exception_handlers=handlers))
    assert find_handler((), websocket.scope, HTTPException(404)) is first
    assert find_handler((), websocket.scope, HTTPException(418)) is second
    assert find_handler((), websocket.scope, Derived()) is second
    assert find_handler((), websocket.scope, WebSocketException(4001)) is first


@needs_fastapi
def test_behind_a_default_of_a_framework_the_search_goes_on() -> None:
    from fastapi.exception_handlers import http_exception_handler  # not everyone who runs the tests has it

    classes: dict[Any, Any] = {HTTPException: http_exception_handler, Base: first}
    codes: dict[int, Any] = {418: http_exception_handler}

    class Both(Teapot, Base):
        pass

    assert HandlerTable(classes, codes, has_defaults=True).find(Both()) is first
    assert HandlerTable(classes, codes).find(Both()) is http_exception_handler


# How it is called


class Instance:
    def __init__(self, calls: list[Any]) -> None:
        self.calls = calls

    def method(self, websocket: object, exc: object) -> str:
        self.calls.append((websocket, exc, threading.current_thread()))
        return "answer"

    __call__ = method

    async def asynchronous(self, websocket: object, exc: object) -> str:
        return self.method(websocket, exc)


class AsyncInstance(Instance):
    async def __call__(self, websocket: object, exc: object) -> str:  # type: ignore[override]  # another kind of it
        return self.method(websocket, exc)


def in_worker(instance: Instance) -> list[Handler]:
    return [instance.method, instance, partial(instance.method), lambda websocket, exc: instance.method(websocket, exc)]


def in_event_loop(instance: AsyncInstance) -> list[Handler]:
    return [instance.asynchronous, instance, partial(instance.asynchronous), partial(partial(instance))]


@pytest.mark.parametrize("number", range(4))
async def test_a_sync_handler_runs_in_a_worker_thread(number: int) -> None:
    calls: list[Any] = []
    websocket, exc = socket(), Base()
    assert await call_handler(in_worker(Instance(calls))[number], websocket, exc) == "answer"
    [(seen_websocket, seen_exc, thread)] = calls
    assert (seen_websocket, seen_exc) == (websocket, exc)
    assert thread is not threading.current_thread()


@pytest.fixture
async def no_thread() -> AsyncIterator[None]:
    """All worker threads are taken."""
    limiter = to_thread.current_default_thread_limiter()
    before = limiter.total_tokens
    limiter.total_tokens = 1
    async with limiter:
        yield
    limiter.total_tokens = before


@pytest.mark.parametrize("number", range(4))
async def test_an_async_handler_needs_no_thread(number: int, no_thread: None) -> None:
    calls: list[Any] = []
    with fail_after(1):
        assert await call_handler(in_event_loop(AsyncInstance(calls))[number], socket(), Base()) == "answer"
    [(_, _, thread)] = calls
    assert thread is threading.current_thread()


async def test_what_hides_that_it_is_async_is_awaited_as_well() -> None:
    calls: list[Any] = []
    instance = AsyncInstance(calls)

    def hidden(websocket: object, exc: object) -> Awaitable[str]:
        return instance.asynchronous(websocket, exc)

    assert await call_handler(hidden, socket(), Base()) == "answer"
    [(_, _, thread)] = calls
    assert thread is threading.current_thread()
