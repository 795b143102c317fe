"""`--check`: the desk on a free port, driven by the `websockets` client; every expectation is compared exactly."""

from __future__ import annotations

import asyncio

import uvicorn
from websockets.asyncio.client import connect

from docs.examples.checking import closed_with, held, refusal, served
from docs.examples.gateway.app import create_app
from docs.examples.gateway.desk import Desk, Ticket, User

HOST = "127.0.0.1"
TIME_LIMIT = 30.0  # seconds, for everything

USERS = {
    "token-of-ann": User("ann"),
    "token-of-bob": User("bob"),
    "token-of-eve": User("eve", "agent"),
}
MINE = {"X-Request-ID": "mine"}


async def check() -> bool:
    """Try everything once, print what was seen, and tell whether all of it was as expected."""
    app = create_app(Desk(USERS, Ticket(7, "ann")))
    scenarios = (routers, permissions, interceptors, views, exception_handlers, journal)
    try:
        async with asyncio.timeout(TIME_LIMIT), served(uvicorn.Config(app, HOST, log_level="warning")) as url:
            return all([await scenario(f"{url}/desk") for scenario in scenarios])
    except TimeoutError:
        print(f"FAIL not done after {TIME_LIMIT} s")
        return False


async def routers(url: str) -> bool:
    """A route of the outer router is open to all; below the inner one, there has to be a user."""
    async with connect(f"{url}/status", proxy=None, additional_headers=MINE) as client:
        request_id = client.response.headers["X-Request-ID"] if client.response else None
        status = [request_id, await client.recv(), await closed_with(client)]
    no_token = await refusal(f"{url}/journal", "WWW-Authenticate", "X-Request-ID", sending=MINE)
    no_number = await refusal(f"{url}/tickets/seven/talk?token=token-of-ann")
    parsing = "Input should be a valid integer, unable to parse string as an integer"
    detail = [{"type": "int_parsing", "loc": ["path", "ticket_number"], "msg": parsing}]
    return all(
        [
            held("the status, for everybody", status, ["mine", "open tickets: 1", (1000, "")]),
            held("without a token", no_token, (401, "Bearer", "mine", {"detail": "A valid token is required"})),
            held("a ticket that is no number", no_number, (422, {"detail": detail})),
        ]
    )


async def permissions(url: str) -> bool:
    """Those of gateways and of handlers, alone and combined, each with its own message."""
    journal = await refusal(f"{url}/journal?token=token-of-ann")
    talk = await refusal(f"{url}/tickets/7/talk?token=token-of-bob")
    notes = await refusal(f"{url}/tickets/7/notes?token=token-of-ann")
    return all(
        [
            held("a customer at the journal", journal, (403, {"detail": "Agents only"})),
            held("at somebody else's ticket", talk, (403, {"detail": "This is somebody else's ticket"})),
            held("at the notes on the own ticket", notes, (403, {"detail": "Agents only"})),
        ]
    )


async def interceptors(url: str) -> bool:
    """One has changed the number before the ticket is looked up."""
    async with connect(f"{url}/tickets/T-0007/notes?token=token-of-eve", proxy=None) as eve:
        return held("an agent at the notes on T-0007", await eve.recv(), "ann, 0 lines")


async def views(url: str) -> bool:
    """Each connection has an instance of its own; the ticket is the same."""
    async with connect(f"{url}/tickets/7/talk?token=token-of-ann", proxy=None) as ann:
        await ann.send("It is broken")
        seen_by_ann = await ann.recv()
        async with connect(f"{url}/tickets/7/talk?token=token-of-eve", proxy=None) as eve:
            seen_by_eve = [await eve.recv()]
            await eve.send("Is it plugged in?")
            seen_by_eve.append(await eve.recv())
    return all(
        [
            held("ann sees", seen_by_ann, "ann: It is broken"),
            held("eve sees", seen_by_eve, ["ann: It is broken", "eve: Is it plugged in?"]),
        ]
    )


async def exception_handlers(url: str) -> bool:
    """The router's answers before the accept; the view's is asked first, and closes with a code of its own."""
    missing = await refusal(f"{url}/tickets/8/talk?token=token-of-eve", "X-Request-ID", sending=MINE)
    async with connect(f"{url}/tickets/7/talk?token=token-of-ann", proxy=None) as ann:
        await ann.send("It is broken. " * 100)
        too_long = await closed_with(ann)
    async with connect(f"{url}/tickets/7/talk?token=token-of-eve", proxy=None) as eve:
        await eve.send("/close")
        closed = await closed_with(eve)
    return all(
        [
            held("a ticket that does not exist", missing, (404, "mine", {"detail": "There is no ticket 8"})),
            held("a line that is too long", too_long, (4400, "A line has at most 500 characters")),
            held("a ticket that was closed meanwhile", closed, (4409, "Ticket 7 is closed")),
        ]
    )


async def journal(url: str) -> bool:
    """The audit knows how each connection ended, also of those that another level has refused."""
    async with connect(f"{url}/journal?token=token-of-eve", proxy=None) as eve:
        await refusal(f"{url}/tickets/7/notes?token=token-of-ann")
        await refusal(f"{url}/tickets/8/notes?token=token-of-eve")
        async with connect(f"{url}/tickets/7/notes?token=token-of-eve", proxy=None) as other:
            await closed_with(other)
        entries = [await eve.recv() for _ in range(3)]
    expected = [
        "ann /desk/tickets/7/notes: HTTPException",
        "eve /desk/tickets/8/notes: TicketNotFound",
        "eve /desk/tickets/7/notes: done",
    ]
    return held("the journal says", entries, expected)
