"""The chat: its parts, each a dependency, and the endpoint that is made of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated

import anyio
from anyio.abc import TaskGroup
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse
from starlette.routing import Route

from docs.examples.chat.rooms import Inbox, Room, Rooms
from docs.examples.chat.store import Message, MessageStore, open_store
from wsroute import Depends, Header, HTTPException, Path, Query, WebSocket, WebSocketException, WebSocketRouter

PAGE = FilePath(__file__).with_name("page.html")


@dataclass(frozen=True)
class Settings:
    """What all parts share.

    Attributes:
        database: The SQLite file.
        users: The user's name by token; stands for a table of sessions.
        queue_size: How many messages a member may lag behind.
        send_timeout: How many seconds a client may take to make room for one message.
    """

    database: FilePath
    users: Mapping[str, str]
    queue_size: int = 64
    send_timeout: float = 5.0


@dataclass(frozen=True)
class User:
    """Who is speaking."""

    name: str


async def get_settings(connection: HTTPConnection) -> Settings:
    """The settings of the application that the connection came to."""
    settings: Settings = connection.app.state.settings
    return settings


CurrentSettings = Annotated[Settings, Depends(get_settings)]
RoomName = Annotated[str, Path(pattern="^[a-z]{1,20}$")]


async def get_user(
    settings: CurrentSettings,
    token: Annotated[str | None, Query()] = None,
    authorization: Annotated[str | None, Header()] = None,
) -> User:
    """The user of the token.

    Programs send it in a header. A browser's script can't set headers on a handshake, so the page sends it in the
    query string, which servers write to their access logs: let such a token live for a minute.
    """
    if token is None and authorization is not None:
        token = authorization.removeprefix("Bearer ")
    name = settings.users.get(token or "")
    if name is None:
        raise HTTPException(401, "A valid token is required", headers={"WWW-Authenticate": "Bearer"})
    return User(name)


async def get_room(connection: HTTPConnection, room_name: RoomName) -> Room:
    """The room that the path names."""
    rooms: Rooms = connection.app.state.rooms
    return rooms[room_name]


def get_store(settings: CurrentSettings, room_name: RoomName) -> Iterator[MessageStore]:
    """The room's messages. Opening a file blocks, so this is no coroutine, and runs in a worker thread."""
    with open_store(settings.database, room_name) as store:
        yield store


CurrentUser = Annotated[User, Depends(get_user)]
CurrentRoom = Annotated[Room, Depends(get_room)]
Store = Annotated[MessageStore, Depends(get_store)]


async def enter(settings: CurrentSettings, room: CurrentRoom) -> AsyncIterator[Inbox]:
    """The connection's place in the room, given up when the connection ends, however it ends."""
    with room.entered(settings.queue_size) as inbox:
        yield inbox


router = WebSocketRouter(prefix="/rooms", dependencies=[Depends(get_user)])


@router.websocket("/{room_name}")
async def chat(
    websocket: WebSocket,
    tasks: TaskGroup,
    settings: CurrentSettings,
    user: CurrentUser,
    room: CurrentRoom,
    store: Store,
    inbox: Annotated[Inbox, Depends(enter)],
    history: Annotated[int, Query(ge=0, le=100)] = 20,
) -> None:
    """Send what is said in the room, and say there what is received."""
    await websocket.accept()
    tasks.start_soon(deliver, websocket, inbox, await store.latest(history), settings.send_timeout)
    async for text in websocket.iter_text():
        room.say(await store.add(user.name, text))


async def deliver(websocket: WebSocket, inbox: Inbox, history: Sequence[Message], send_timeout: float) -> None:
    """Send an inbox to its client until the client is too slow."""
    async for message in inbox.messages(history):
        with anyio.move_on_after(send_timeout) as sending:
            await websocket.send_text(message.model_dump_json())
        if sending.cancelled_caught:
            break
    raise WebSocketException(1013, "You read too slowly")


async def page(request: Request) -> FileResponse:
    """The page to chat with in a browser."""
    return FileResponse(PAGE)


def create_app(settings: Settings) -> Starlette:
    """One Starlette application: the page at `/`, the sockets at `/rooms/{room_name}`."""
    app = Starlette(routes=[Route("/", page)])
    app.state.settings = settings
    app.state.rooms = Rooms()
    router.attach(app)
    return app
