"""The dependency that redeems a ticket."""

# No postponed annotations here: FastAPI can't find what a string means in the `__call__` of an object.

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from wsroute.security.challenges import challenge
from wsroute.security.schemes import SchemeModel, SecurityScheme
from wsroute.security.tickets import Bound, TicketStore


class Ticket(SecurityScheme):
    """Redeems the ticket in the query string: `new WebSocket(url + "?ticket=" + ticket)`.

    It gives the data that the ticket was issued with. The ticket is void afterwards, whatever becomes of the
    connection. Where several dependencies of a connection need it, they have to share one of these objects.

    Args:
        store: The store that it was issued by.
        name: The name of the query parameter.
        scheme_name: The name of the scheme in documents; default: that of the class.
        description: What documents say of it.
        auto_error: Whether a connection without a ticket is refused with 401; if not, the dependency gives `None`. A
            ticket that does not count is refused in any case: with 401, or with 403 if it was issued for another
            connection.

    Example:
        tickets = MemoryTicketStore()

        @app.post("/tickets")
        async def get_ticket(user: Annotated[User, Depends(current_user)]) -> str:
            return await tickets.issue(Bound(user, path="/feed"))

        @router.websocket("/feed")
        async def feed(websocket: WebSocket, user: Annotated[User, Depends(Ticket(tickets))]) -> None: ...
    """

    def __init__(
        self,
        store: TicketStore,
        *,
        name: str = "ticket",
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        model = SchemeModel(type_="apiKey", name=name, in_="query", description=description)
        super().__init__(model, scheme_name=scheme_name, auto_error=auto_error)
        self.store = store
        self._name = name

    def make_authenticate_headers(self) -> dict[str, str]:
        """`WWW-Authenticate: Ticket`, since there is no registered name, and there has to be one."""
        return {"WWW-Authenticate": challenge("Ticket")}

    def make_invalid_ticket_error(self) -> HTTPException:
        """What is raised for a ticket that was never issued, was redeemed before or has expired: status 401."""
        return HTTPException(401, "Invalid ticket", {"WWW-Authenticate": challenge("Ticket", error="invalid_ticket")})

    def make_misplaced_ticket_error(self) -> HTTPException:
        """What is raised for a ticket that was issued for another connection: status 403."""
        header = challenge("Ticket", error="misplaced_ticket")
        return HTTPException(403, "The ticket was issued for another connection", {"WWW-Authenticate": header})

    async def __call__(self, request: HTTPConnection) -> Any | None:
        """The data of the ticket."""
        given = request.query_params.getlist(self._name)
        if not any(given):
            self.refuse_unless_optional()
            return None
        data = await self.store.redeem(given[0]) if len(given) == 1 else None
        if data is None:
            raise self.make_invalid_ticket_error()
        if not isinstance(data, Bound):
            return data
        if not data.fits(request):
            raise self.make_misplaced_ticket_error()
        return data.data
