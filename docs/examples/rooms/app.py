"""The rooms: what lives how long, the listener, and a stream.

The rooms live as long as the application, a member as long as a connection, and a session of the database as long as
one message: a thousand people who read and say nothing hold no session at all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path as FilePath
from typing import Annotated

from anyio.abc import TaskGroup
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse
from starlette.routing import Route

from docs.examples.rooms.messages import Backlog, Entered, Left, People, Said, Say, Welcome
from docs.examples.rooms.people import Member, Rooms
from docs.examples.rooms.store import Database, Session
from wsroute import Depends, Path, Query, WebSocket, WebSocketException, WebSocketListener, WebSocketRouter, on

PAGE = FilePath(__file__).with_name("page.html")
NAME = "^[a-z]{1,20}$"

# For the application

AllRooms = Annotated[Rooms, Depends(scope="app")]

# For a connection


async def enter(
    rooms: AllRooms, room_name: Annotated[str, Path(pattern=NAME)], user: Annotated[str, Query(pattern=NAME)]
) -> AsyncIterator[Member]:
    """The connection's place in the room. Who the user is would be found out here; see the chat example."""
    with rooms.entered(room_name, user) as member:
        yield member


async def get_database(connection: HTTPConnection) -> Database:
    """The database of the application that the connection came to."""
    database: Database = connection.app.state.database
    return database


CurrentMember = Annotated[Member, Depends(enter)]
CurrentDatabase = Annotated[Database, Depends(get_database)]

# For a message


async def open_session(database: CurrentDatabase, member: CurrentMember) -> AsyncIterator[Session]:
    """A transaction. What was said in it is told to the others once it is committed."""
    async with database.session() as session:
        yield session
    member.tell_others(*session.added)


CurrentSession = Annotated[Session, Depends(open_session, scope="message")]

router = WebSocketRouter(send_timeout=5)


@router.websocket("/rooms/{room_name}")
class Chat(WebSocketListener):
    """One user in one room."""

    max_message_size = 4096

    def __init__(self, member: CurrentMember) -> None:
        self.member = member

    async def on_connect(self, websocket: WebSocket, tasks: TaskGroup) -> Welcome:
        """The task ends with the connection."""
        tasks.start_soon(deliver, websocket, self.member)
        self.member.tell_others(Entered(user=self.member.user))
        return Welcome(room=self.member.room.name, people=self.member.room.people)

    @on
    async def say(self, message: Say, session: CurrentSession) -> Said:
        """The reply is sent once the session is closed, so who reads it knows that it is committed."""
        return await session.add(self.member.room.name, self.member.user, message.text)

    @on
    async def backlog(self, message: Backlog, session: CurrentSession) -> AsyncIterator[Said]:
        """The session stays open until the last row is sent."""
        async with aclosing(session.latest(self.member.room.name, message.limit)) as rows:
            async for said in rows:
                yield said

    async def on_disconnect(self) -> None:
        """However the connection has ended."""
        self.member.tell_others(Left(user=self.member.user))


async def deliver(websocket: WebSocket, member: Member) -> None:
    """Send what the member is told until the client is too slow."""
    async for news in member.news:
        await websocket.send_text(news.model_dump_json())
    raise WebSocketException(1013, "You read too slowly")


@router.stream("/people")
async def people(rooms: AllRooms) -> AsyncIterator[People]:
    """How many people are in which room, now and whenever that changes. Who reads slowly misses steps in between."""
    while True:
        changed = rooms.changed
        yield People(rooms=rooms.counts)
        await changed.wait()


async def page(request: Request) -> FileResponse:
    """The page to talk with in a browser."""
    return FileResponse(PAGE)


def create_app(database: Database) -> Starlette:
    """One Starlette application: the page at `/`, the sockets at `/rooms/{room_name}` and `/people`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await database.create()
        yield

    app = Starlette(routes=[Route("/", page)], lifespan=lifespan)
    app.state.database = database
    router.attach(app)
    return app
