"""Endpoints whose plans and sources are kept as text: together they have everything that generated code can have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Annotated, Any, Literal

from anyio.abc import TaskGroup
from pydantic import BaseModel
from starlette.responses import Response

from wsroute import (
    BackgroundTasks,
    Cookie,
    Depends,
    Header,
    Path,
    Payload,
    Query,
    Request,
    Security,
    SecurityScopes,
    WebSocket,
)


class Filters(BaseModel):
    """A model that takes a whole source."""

    limit: int = 10


# Coroutine functions only: nothing but calls.


async def get_settings() -> str:
    return "settings"


Settings = Annotated[str, Depends(get_settings)]


async def get_user(settings: Settings, token: Annotated[str, Header(alias="X-Token")]) -> str:
    return token


async def plain(websocket: WebSocket, user: Annotated[str, Depends(get_user)], settings: Settings, room: int) -> None:
    """Three calls, two of which share one value."""


# Generators: two lifetimes, tasks, background tasks.


async def get_session(settings: Settings) -> AsyncIterator[str]:
    yield "session"


def get_file() -> Iterator[str]:
    yield "file"


@asynccontextmanager
async def lock(session: Annotated[str, Depends(get_session)]) -> AsyncIterator[None]:
    yield


@contextmanager
def span(tasks: BackgroundTasks) -> Iterator[None]:
    yield


async def generators(
    websocket: WebSocket,
    span: Annotated[None, Depends(span, scope="function", threadpool=False)],
    lock: Annotated[None, Depends(lock, max_concurrency=3)],
    file: Annotated[str, Depends(get_file, scope="function")],
    group: TaskGroup,
    settings: Settings,
) -> None:
    """What lives longer is opened first, and everything is closed in the reverse order."""


# Synchronous functions: threads, hops, in place.


def get_flags() -> str:
    return "flags"


def get_prices(flags: Annotated[str, Depends(get_flags)], currency: str = "eur") -> str:
    return "prices"


def get_texts(*, flags: Annotated[str, Depends(get_flags)]) -> str:
    return "texts"


def get_report(socket: WebSocket, /, prices: Annotated[str, Depends(get_prices)]) -> str:
    return "report"


class Catalogue:
    """Constructed in place."""

    def __init__(self, texts: Annotated[str, Depends(get_texts)]) -> None:
        self.texts = texts


async def threads(
    catalogue: Annotated[Catalogue, Depends()],
    prices: Annotated[str, Depends(get_prices)],
    report: Annotated[str, Depends(get_report)],
    limited: Annotated[str, Depends(get_flags, use_cache=False, max_concurrency=2)],
    keywords: Annotated[str, Depends(partial(get_texts), use_cache=False)],
    inline: Annotated[str, Depends(get_flags, use_cache=False, threadpool=False)],
    one: Annotated[str, Depends(get_flags, use_cache=False)],
    two: Annotated[str, Depends(get_flags, use_cache=False)],
) -> None:
    """Neighbours share a hop into a worker thread."""


# Everything that a handshake carries.


def read(name: str) -> str:
    return name


async def sources(
    room: Annotated[int, Path()],
    filters: Annotated[Filters, Query()],
    tags: Annotated[list[str], Query(alias="tag")],
    limit: Annotated[int, Query(ge=1)] = 5,
    accept: Annotated[list[str] | None, Header()] = None,
    user_agent: Annotated[str, Header()] = "",
    visited: Annotated[bool, Cookie()] = False,
    parts: Annotated[list[int] | None, Cookie()] = None,
) -> None:
    """Scalars come from flat dictionaries, lists and models from grouped ones."""


# Everything that a connection gives.


async def check(scopes: SecurityScopes) -> str:
    return scopes.scope_str


async def special(
    request: Request,
    maybe: Request | None,
    response: Response,
    reader: Annotated[str, Security(check, scopes=["read", "it's"])],
    writer: Annotated[str, Security(check, scopes=["write"])],
    unscoped: Annotated[str, Depends(check)],
) -> None:
    """Made once at the start, before anything else happens."""


# Names that the source uses for itself, and names that are taken.


def query(headers: str) -> str:
    return headers


def websocket(scope: Annotated[Any, Depends(query)], partial: Annotated[Any, Depends(get_flags)]) -> str:
    return "websocket"


async def names(
    run: Annotated[Any, Depends(websocket)], connection: WebSocket, error: Annotated[Any, Depends(lambda: "x")]
) -> None:
    """An application may call things as it likes."""


# Conversations: what lives for one message, and what is called before and after.


class Say(BaseModel):
    type: Literal["say"]


class Backlog(BaseModel):
    type: Literal["backlog"]


async def audit(message: Annotated[Say, Payload()], user: Annotated[str, Depends(get_user)]) -> None: ...


Session = Annotated[str, Depends(get_session, scope="message")]


class Room:
    """The object that the handlers of one connection share."""

    def __init__(self, room: int, settings: Settings) -> None: ...

    async def on_connect(self, websocket: WebSocket) -> str | None: ...

    async def say(
        self, message: Say, session: Session, limit: int, tasks: BackgroundTasks, audit: Annotated[None, Depends(audit)]
    ) -> Say:
        return message

    async def history(self, message: Backlog, session: Session, socket: WebSocket) -> AsyncIterator[str | None]:
        yield ""

    async def on_disconnect(self, code: int, session: Session) -> None: ...


async def ticks(room: int, settings: Settings) -> AsyncIterator[bytes]:
    """A stream."""
    yield b""
