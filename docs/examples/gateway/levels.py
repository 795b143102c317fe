"""What the levels of the desk add: dependencies, permissions, interceptors, middleware and exception handlers.

Parameters are filled by name: `desk`, `user` and `ticket` are what the levels in `app.py` provide under these names.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated
from uuid import uuid4

from anyio.streams.memory import MemoryObjectReceiveStream
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from docs.examples.gateway.desk import Desk, DeskError, Ticket, TicketClosed, TicketNotFound, User
from wsroute import BaseInterceptor, BasePermission, Header, HTTPException, Query, WebSocket

CallNext = Callable[[], Awaitable[None]]

# Dependencies


async def get_desk(connection: HTTPConnection) -> Desk:
    """The desk of the application that the connection came to."""
    desk: Desk = connection.app.state.desk
    return desk


async def get_user(
    desk: Desk,
    token: Annotated[str | None, Query()] = None,
    authorization: Annotated[str | None, Header()] = None,
) -> User:
    """The user of the token, from the query string or from the header."""
    if token is None and authorization is not None:
        token = authorization.removeprefix("Bearer ")
    user = desk.users.get(token or "")
    if user is None:
        raise HTTPException(401, "A valid token is required", headers={"WWW-Authenticate": "Bearer"})
    return user


async def get_ticket(desk: Desk, ticket_number: int) -> Ticket:
    """The ticket that the path names."""
    return desk.ticket(ticket_number)


def watch(desk: Desk) -> Iterator[MemoryObjectReceiveStream[str]]:
    """The journal's entries, for as long as the connection lasts."""
    with desk.journal.watched() as entries:
        yield entries


# Permissions


class IsAgent(BasePermission):
    """Those who work at the desk."""

    message = "Agents only"

    async def has_permission(self, websocket: WebSocket, route: BaseRoute, user: User) -> bool:
        return user.role == "agent"


class OwnsTicket(BasePermission):
    """The customer whose problem it is."""

    message = "This is somebody else's ticket"

    async def has_permission(self, websocket: WebSocket, route: BaseRoute, user: User, ticket: Ticket) -> bool:
        return user.name == ticket.customer


# Interceptors


class Audit(BaseInterceptor):
    """Writes into the journal who came where, and how that ended."""

    async def intercept(self, websocket: WebSocket, call_next: CallNext, user: User, desk: Desk) -> None:
        where = f"{user.name} {websocket.url.path}"
        try:
            await call_next()
        except Exception as exc:
            desk.journal.write(f"{where}: {type(exc).__name__}")
            raise
        desk.journal.write(f"{where}: done")


class OldNumbers(BaseInterceptor):
    """Takes ticket numbers as the old system wrote them: `T-0007` is 7."""

    async def intercept(self, scope: Scope, receive: Receive, send: Send) -> None:
        old = re.fullmatch(r"T-0*(\d{1,9})", scope["path_params"]["ticket_number"])
        if old:
            scope["path_params"]["ticket_number"] = old[1]


# Middleware


class RequestId:
    """Says in each answer to a handshake, accept or refusal, which handshake it answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = Headers(scope=scope).get("x-request-id", "")
        if not re.fullmatch(r"[\w-]{1,64}", request_id, flags=re.ASCII):
            request_id = uuid4().hex

        async def send_with_id(message: Message) -> None:
            if message["type"] in ("websocket.accept", "websocket.http.response.start"):
                MutableHeaders(scope=message).append("X-Request-ID", request_id)
            await send(message)

        await self.app(scope, receive, send_with_id)


# Exception handlers


async def not_found(websocket: WebSocket, exc: TicketNotFound) -> JSONResponse:
    """A refusal of our own, where the connection was not accepted yet."""
    return JSONResponse({"detail": str(exc)}, 404)


async def conflict(websocket: WebSocket, exc: DeskError) -> None:
    """Whatever the desk cannot do."""
    await websocket.close(4400, str(exc))


async def closed(websocket: WebSocket, exc: TicketClosed) -> None:
    """For the view, nearer than `conflict`, so that this one is asked."""
    await websocket.close(4409, str(exc))
