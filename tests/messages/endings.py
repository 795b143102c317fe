"""A listener whose handlers end their connection in every way, and which writes down what happens then."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from starlette.types import Message, Receive, Scope, Send

from tests.asgi import Peer
from tests.messages.talking import Said, Say
from wsroute import (
    BackgroundTasks,
    BaseInterceptor,
    Depends,
    HTTPException,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    WebSocketListener,
    WebSocketRequestValidationError,
    WebSocketRouter,
    on,
)

#: What happens on the connection of a test, which clears it.
log: list[str] = []


def note(what: str) -> None:
    log.append(what)


class Problem(Exception):
    """A bug of the application."""


class Around(BaseInterceptor):
    async def intercept(self, websocket: WebSocket, call_next: Callable[[], Awaitable[None]]) -> None:
        try:
            await call_next()
        finally:
            note("interceptor out")


@contextmanager
def noted(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        note(f"{name} closed: {type(error).__name__}")
        raise
    except BaseException:
        note(f"{name} closed: cancelled")
        raise
    note(f"{name} closed")


async def connected(tasks: BackgroundTasks) -> AsyncIterator[None]:
    tasks.add_task(note, "background")
    with noted("connection"):
        yield


async def functional() -> AsyncIterator[None]:
    with noted("function"):
        yield


async def of_message() -> AsyncIterator[None]:
    with noted("message"):
        yield


async def fail(exc: Exception) -> None:
    raise exc


#: What a handler does when it is told so.
DOES: dict[str, Callable[[WebSocket, TaskGroup], Awaitable[Any]]] = {}


def does(act: Callable[[WebSocket, TaskGroup], Awaitable[Any]]) -> Callable[[WebSocket, TaskGroup], Awaitable[Any]]:
    DOES[act.__name__] = act
    return act


router = WebSocketRouter(interceptors=[Around])


@router.websocket(
    "/",
    dependencies=[Depends(connected), Depends(functional, scope="function"), Depends(of_message, scope="message")],
    exception_handlers={LookupError: lambda websocket, exc: note("handled")},
)
class Room(WebSocketListener):
    max_invalid = 2

    def __init__(self, tasks: BackgroundTasks) -> None:
        note("made")

    async def on_connect(self, websocket: WebSocket, tasks: TaskGroup) -> Said | None:
        if first := websocket.query_params.get("on_connect"):
            await DOES[first](websocket, tasks)
            return None
        return Said(text="welcome")

    @on
    async def say(self, message: Say, websocket: WebSocket, tasks: TaskGroup) -> Said | None:
        if message.text in DOES:
            await DOES[message.text](websocket, tasks)
            return None
        return Said(text=message.text)

    async def on_disconnect(self, code: int, reason: str) -> None:
        note(f"disconnected {code} {reason}".strip())
        await checkpoint()
        note("told")


@does
async def raises(websocket: WebSocket, tasks: TaskGroup) -> None:
    raise Problem


@does
async def raises_in_a_group(websocket: WebSocket, tasks: TaskGroup) -> None:
    raise ExceptionGroup("one", [ExceptionGroup("leaf", [HTTPException(404, "none")])])


@does
async def not_found(websocket: WebSocket, tasks: TaskGroup) -> None:
    raise HTTPException(404, "none")


@does
async def unavailable(websocket: WebSocket, tasks: TaskGroup) -> None:
    raise HTTPException(503)


@does
async def by_code(websocket: WebSocket, tasks: TaskGroup) -> None:
    raise WebSocketException(4000, "€" * 50)


@does
async def invalid_handshake(websocket: WebSocket, tasks: TaskGroup) -> None:
    raise WebSocketRequestValidationError([])


@does
async def another_has_left(websocket: WebSocket, tasks: TaskGroup) -> None:
    raise WebSocketDisconnect(4321, "another")


@does
async def closes(websocket: WebSocket, tasks: TaskGroup) -> None:
    await websocket.close(4001, "enough")


@does
async def fails_in_a_task(websocket: WebSocket, tasks: TaskGroup) -> None:
    tasks.start_soon(fail, Problem())
    await anyio.sleep_forever()


@does
async def refuses_in_a_task(websocket: WebSocket, tasks: TaskGroup) -> None:
    tasks.start_soon(fail, WebSocketException(4002, "task"))
    await anyio.sleep_forever()


@does
async def waits(websocket: WebSocket, tasks: TaskGroup) -> None:
    websocket.scope["waits"]()
    await anyio.sleep_forever()


async def serve(peer: Peer) -> list[str]:
    """Everything that happens on a connection, the client's part included."""

    async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            if message["type"] == "websocket.close":
                note(f"closed {message['code']} {message['reason']}".strip())
            await send(message)

        try:
            await router(scope, receive, noting)
        except Exception as error:
            note(f"raised {type(error).__name__}")

    await peer.serve(recorded)
    return log
