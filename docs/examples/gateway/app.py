"""The desk: where its handlers are mounted, and which level adds what.

/desk                                 router: request ids, the desk, exception handlers
├── /status                           route: open to everybody
└── (included)                        included router: the user, the audit
    ├── /journal                      gateway: agents only
    │   └── journal                   handler: the entries
    └── /tickets/{ticket_number}      gateway: the ticket; its customer, or an agent
        └── Conversation              view: an exception handler; an instance for each connection
            ├── /talk                 handler
            └── /notes                handler: agents only
"""

from __future__ import annotations

from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream
from starlette.applications import Starlette

from docs.examples.gateway.desk import Desk, DeskError, Ticket, TicketClosed, TicketNotFound, User
from docs.examples.gateway.levels import (
    Audit,
    IsAgent,
    OldNumbers,
    OwnsTicket,
    RequestId,
    closed,
    conflict,
    get_desk,
    get_ticket,
    get_user,
    not_found,
    watch,
)
from wsroute import Inject, WebSocket, WebSocketGateway, WebSocketRouter, WebSocketView, websocket


@websocket(dependencies={"entries": Inject(watch)})
async def journal(socket: WebSocket, tasks: TaskGroup, entries: MemoryObjectReceiveStream[str]) -> None:
    """Send what happens at the desk until the client leaves."""
    await socket.accept()
    tasks.start_soon(until_left, socket)
    async for entry in entries:
        await socket.send_text(entry)


async def until_left(socket: WebSocket) -> None:
    """Notice that the client has left, which who only sends may not be told."""
    while True:
        await socket.receive_text()


class Conversation(WebSocketView):
    """One user's connection to one ticket."""

    exception_handlers = {TicketClosed: closed}

    def __init__(self, user: User, ticket: Ticket) -> None:
        self.user = user
        self.ticket = ticket

    @websocket("/talk")
    async def talk(self, socket: WebSocket) -> None:
        """What customer and agent say to each other; an agent's `/close` closes the ticket."""
        await socket.accept()
        for line in self.ticket.lines:
            await socket.send_text(line)
        async for text in socket.iter_text():
            if text == "/close" and self.user.role == "agent":
                self.ticket.is_open = False
            self.ticket.say(f"{self.user.name}: {text}")
            await socket.send_text(self.ticket.lines[-1])

    @websocket("/notes", permissions=[IsAgent])
    async def notes(self, socket: WebSocket) -> None:
        """What agents should know."""
        await socket.accept()
        await socket.send_text(f"{self.ticket.customer}, {len(self.ticket.lines)} lines")


members = WebSocketRouter(
    name="members",
    dependencies={"user": Inject(get_user)},
    interceptors=[Audit],
    routes=[
        WebSocketGateway("/journal", handler=journal, permissions=[IsAgent]),
        WebSocketGateway(
            "/tickets/{ticket_number}",
            handler=Conversation,
            name="tickets",
            dependencies={"ticket": Inject(get_ticket)},
            permissions=[IsAgent | OwnsTicket],
            interceptors=[OldNumbers],
        ),
    ],
)

router = WebSocketRouter(
    "/desk",
    dependencies={"desk": Inject(get_desk)},
    middleware=[RequestId],
    exception_handlers={TicketNotFound: not_found, DeskError: conflict},
)
router.include_router(members)


@router.websocket("/status")
async def status(websocket: WebSocket, desk: Desk) -> None:
    """How much there is to do."""
    await websocket.accept()
    await websocket.send_text(f"open tickets: {sum(ticket.is_open for ticket in desk.tickets.values())}")


def create_app(desk: Desk) -> Starlette:
    """An application with one desk."""
    app = Starlette()
    app.state.desk = desk
    router.attach(app)
    return app
