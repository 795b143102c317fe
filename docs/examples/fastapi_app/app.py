"""The application: HTTP routes of FastAPI and sockets side by side, with one set of dependencies.

GET    /notes                 all notes
POST   /notes                 a further one
POST   /tickets               a ticket, with which a browser's script can open the sockets
socket /live/notes            typed messages: write notes, as whom the ticket was issued for
socket /live/watch            each further note, to whom the access token says it is

What HTTP routes share with sockets uses FastAPI's markers. What is about sockets alone uses those of wsroute.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import fastapi
from anyio.streams.memory import MemoryObjectReceiveStream
from fastapi import FastAPI, HTTPException, Request
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, Field
from starlette.requests import HTTPConnection

from docs.examples.fastapi_app.notes import Note, Notes
from wsroute import Depends, WebSocketListener, WebSocketRouter, on
from wsroute.security import Bound, MemoryTicketStore, Ticket

LIVE = "/live"  # what is below it are sockets
NOTES = f"{LIVE}/notes"

tickets = MemoryTicketStore()

# For both


async def get_notes(connection: HTTPConnection) -> Notes:
    """The notes, which the lifespan of the application has set up."""
    notes: Notes = connection.state.notes
    return notes


async def get_users(connection: HTTPConnection) -> Mapping[str, str]:
    """The user's name by access token; stands for whatever issues tokens."""
    users: Mapping[str, str] = connection.app.state.users
    return users


async def current_user(
    token: Annotated[str, fastapi.Depends(OAuth2PasswordBearer("token"))],
    users: Annotated[Mapping[str, str], fastapi.Depends(get_users)],
) -> str:
    """The user of the access token."""
    if token not in users:
        raise HTTPException(401, "Unknown token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return users[token]


CurrentUser = Annotated[str, fastapi.Depends(current_user)]
AllNotes = Annotated[Notes, fastapi.Depends(get_notes)]

# HTTP


class Text(BaseModel):
    """What is to be written down."""

    text: str = Field(min_length=1, max_length=200)


api = fastapi.APIRouter()


@api.get("/notes")
async def list_notes(notes: AllNotes, user: CurrentUser) -> list[Note]:
    """All notes."""
    return notes.all()


@api.post("/notes")
async def write(body: Text, notes: AllNotes, user: CurrentUser) -> Note:
    """Write one down."""
    return notes.add(user, body.text)


@api.post("/tickets")
async def issue(request: Request, user: CurrentUser) -> str:
    """A ticket for one connection to the notes, from the page that asks for it. It is void after ten seconds."""
    return await tickets.issue(Bound(user, path=NOTES, origin=request.headers.get("origin")), ttl=10)


# Sockets

sockets = WebSocketRouter()


class Write(BaseModel):
    """Asks for a note to be written down."""

    type: Literal["write"] = "write"
    text: str = Field(min_length=1, max_length=200)


class Count(BaseModel):
    """Asks how many there are."""

    type: Literal["count"]


class Counted(BaseModel):
    """How many there are, and how many of them the user has written over sockets."""

    type: Literal["counted"] = "counted"
    notes: int
    yours: int


@dataclass
class Ledger:
    """Who has written how many notes over sockets, since the application has started."""

    written: dict[str, int]


async def open_ledger() -> Ledger:
    """One for the application: sockets alone need it, so the first of them makes it."""
    return Ledger({})


@sockets.websocket("/notes")
class Desk(WebSocketListener):
    """Notes by typed messages."""

    def __init__(
        self,
        user: Annotated[str, Depends(Ticket(tickets))],
        notes: AllNotes,
        ledger: Annotated[Ledger, Depends(open_ledger, scope="app")],
    ) -> None:
        self.user = user
        self.notes = notes
        self.written = ledger.written

    async def on_connect(self) -> Counted:
        """Say what is there."""
        return self._counted()

    @on
    async def write(self, message: Write) -> Note:
        """Write a note down, and send it back with its number."""
        self.written[self.user] = self.written.get(self.user, 0) + 1
        return self.notes.add(self.user, message.text)

    @on
    async def count(self, message: Count) -> Counted:
        """Say what is there now."""
        return self._counted()

    def _counted(self) -> Counted:
        return Counted(notes=len(self.notes), yours=self.written.get(self.user, 0))


def watch(notes: AllNotes) -> Iterator[MemoryObjectReceiveStream[Note]]:
    """Further notes, for as long as the connection lasts."""
    with notes.watched() as further:
        yield further


@sockets.stream("/watch", dependencies=[Depends(current_user)])
async def watched(
    further: Annotated[MemoryObjectReceiveStream[Note], Depends(watch, threadpool=False)],
) -> AsyncIterator[Note]:
    """Each further note."""
    async for note in further:
        yield note


# The application


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """What HTTP routes and sockets share while the application runs."""
    yield {"notes": Notes()}


def create_app(users: Mapping[str, str]) -> FastAPI:
    """One application.

    Args:
        users: The user's name by access token.
    """
    app = FastAPI(lifespan=lifespan)
    app.state.users = users
    app.include_router(api)
    sockets.attach(app, prefix=LIVE)
    return app
