"""Tickets: valid once, for a while, and where their issuer says."""

from __future__ import annotations

import gc
import math
import re
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Annotated, Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import InvalidStatus

from tests.security.connections import Refusal, connection, outcome
from tests.server import IMPLEMENTATIONS, LONG, Server, tolerant
from wsroute import APIWebSocketRoute, Depends, InvalidParameterError, WebSocket, WebSocketRouter
from wsroute.security import Bound, MemoryTicketStore, Ticket, TicketStore
from wsroute.testing import Peer

MISSING = Refusal(401, "Not authenticated", "Ticket")
INVALID = Refusal(401, "Invalid ticket", 'Ticket error="invalid_ticket"')
MISPLACED = Refusal(403, "The ticket was issued for another connection", 'Ticket error="misplaced_ticket"')

every_loop = pytest.mark.anyio


class Clock:
    """A time that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def issued(store: TicketStore, data: Any, **options: Any) -> str:
    async def issue() -> str:
        return await store.issue(data, **options)

    return anyio.run(issue)


# The store


@every_loop
async def test_a_ticket_gives_its_data_once() -> None:
    store: TicketStore = MemoryTicketStore()
    user = object()
    ticket = await store.issue(user)

    assert await store.redeem(ticket) is user
    assert await store.redeem(ticket) is None


@every_loop
async def test_what_was_never_issued_gives_nothing() -> None:
    store = MemoryTicketStore()
    ticket = await store.issue("ann")

    for other in ("", ticket[:-1], ticket + "A", ticket.swapcase(), "schön", "\udcff"):
        assert await store.redeem(other) is None
    assert await store.redeem(ticket) == "ann"


@every_loop
async def test_of_many_at_once_one_gets_the_data() -> None:
    store = MemoryTicketStore()
    ticket = await store.issue("ann")
    got: list[Any] = []

    async def redeem() -> None:
        got.append(await store.redeem(ticket))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(redeem)

    assert sorted(got, key=str) == [None] * 49 + ["ann"]


@every_loop
@pytest.mark.parametrize(("ttl", "after", "valid"), [(30, 29.9, True), (30, 30, False), (0.5, 0.6, False)])
async def test_a_ticket_is_valid_for_a_while(ttl: float, after: float, valid: bool) -> None:
    clock = Clock()
    store = MemoryTicketStore(clock=clock)
    ticket = await store.issue("ann", ttl=ttl)
    clock.now += after

    assert (await store.redeem(ticket) == "ann") is valid


@every_loop
async def test_tickets_can_not_be_guessed_and_go_into_a_url_as_they_are() -> None:
    store = MemoryTicketStore()
    tickets = {await store.issue("ann") for _ in range(100)}

    assert len(tickets) == 100
    # 256 bits.
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", ticket) for ticket in tickets)


@every_loop
async def test_the_store_does_not_keep_the_tickets_themselves() -> None:
    store = MemoryTicketStore()
    ticket = await store.issue("ann")

    kept = gc.get_referents(store)
    while kept:
        item = kept.pop()
        assert item not in (ticket, ticket.encode())
        kept += gc.get_referents(item) if isinstance(item, (dict, tuple)) else []
    assert ticket not in repr(vars(store))


@every_loop
async def test_expired_tickets_make_room() -> None:
    clock = Clock()
    store = MemoryTicketStore(clock=clock)
    for _ in range(10):
        await store.issue("ann", ttl=10)
    clock.now += 5
    await store.issue("bob", ttl=10)
    assert len(store) == 11
    clock.now += 5
    ticket = await store.issue("eve", ttl=10)

    assert len(store) == 2
    assert await store.redeem(ticket) == "eve"


@every_loop
async def test_a_ticket_too_many_makes_the_oldest_void() -> None:
    store = MemoryTicketStore(max_tickets=3)
    tickets = [await store.issue(number) for number in range(5)]

    assert len(store) == 3
    assert [await store.redeem(ticket) for ticket in tickets] == [None, None, 2, 3, 4]


@pytest.mark.parametrize(
    ("options", "problem"), [({"ttl": 0}, "ttl=0"), ({"ttl": -1.0}, "ttl=-1.0"), ({"ttl": math.nan}, "ttl=nan")]
)
def test_a_ticket_that_is_never_valid_is_an_error(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"{problem} cannot work"):
        issued(MemoryTicketStore(), "ann", **options)


def test_a_ticket_for_nothing_is_an_error() -> None:
    with pytest.raises(InvalidParameterError) as error:
        issued(MemoryTicketStore(), None)

    assert str(error.value) == (
        "data=None cannot work\n  MemoryTicketStore\n"
        "  expected: anything else, which redeeming the ticket gives\n"
        "  remedy: hand over who it is for"
    )


def test_a_store_without_room_is_an_error() -> None:
    with pytest.raises(InvalidParameterError, match="max_tickets=0 cannot work"):
        MemoryTicketStore(max_tickets=0)


# The dependency


@pytest.fixture
def store() -> MemoryTicketStore:
    return MemoryTicketStore()


@pytest.fixture
def scheme(store: MemoryTicketStore) -> Ticket:
    return Ticket(store)


@pytest.mark.parametrize("target", ["/", "/?ticket=", "/?Ticket=x", "/?ticket=&ticket="])
def test_a_connection_without_a_ticket_is_refused(scheme: Ticket, target: str) -> None:
    assert outcome(scheme, connection(target)) == MISSING


def test_a_ticket_is_redeemed_by_the_connection_that_brings_it(store: MemoryTicketStore, scheme: Ticket) -> None:
    target = f"/?ticket={issued(store, 'ann')}"
    assert outcome(scheme, connection(target)) == "ann"
    assert outcome(scheme, connection(target)) == INVALID


def test_two_tickets_are_none_and_neither_is_used_up(store: MemoryTicketStore, scheme: Ticket) -> None:
    first, second = issued(store, "ann"), issued(store, "bob")
    assert outcome(scheme, connection(f"/?ticket={first}&ticket={second}")) == INVALID
    assert outcome(scheme, connection(f"/?ticket={first}")) == "ann"


def test_an_invalid_ticket_is_refused_where_a_missing_one_is_not(store: MemoryTicketStore) -> None:
    scheme = Ticket(store, name="once", auto_error=False)
    assert outcome(scheme, connection("/")) is None
    assert outcome(scheme, connection("/?once=x")) == INVALID
    assert outcome(scheme, connection(f"/?once={issued(store, 'ann')}")) == "ann"


BROWSER = [("origin", "https://app.example")]


@pytest.mark.parametrize(
    ("bound", "target", "headers", "fits"),
    [
        ({}, "/feed", [], True),
        ({"path": "/feed"}, "/feed", [], True),
        ({"path": "/feed"}, "/feed/", [], False),
        ({"path": "/feed"}, "/other", [], False),
        ({"path": "/räume"}, "/r%C3%A4ume", [], True),
        ({"origin": "https://app.example"}, "/", BROWSER, True),
        ({"origin": "HTTPS://App.Example:443"}, "/", BROWSER, True),
        ({"origin": "https://app.example"}, "/", [], False),
        ({"origin": "https://app.example"}, "/", [*BROWSER, *BROWSER], False),
        ({"origin": "http://app.example"}, "/", BROWSER, False),
        ({"origin": "null"}, "/", [("origin", "null")], False),
        ({"origin": ""}, "/", [("origin", "")], False),
        ({"client": "127.0.0.1"}, "/", [], True),
        ({"client": "127.0.0.2"}, "/", [], False),
        ({"path": "/feed", "origin": "https://app.example", "client": "127.0.0.1"}, "/feed", BROWSER, True),
        ({"path": "/feed", "origin": "https://app.example", "client": "127.0.0.1"}, "/", BROWSER, False),
    ],
)
def test_a_ticket_counts_where_its_issuer_says(
    store: MemoryTicketStore, scheme: Ticket, bound: dict[str, str], target: str, headers: Any, fits: bool
) -> None:
    ticket = issued(store, Bound("ann", **bound))

    result = outcome(scheme, connection(f"{target}?ticket={ticket}", headers))

    assert result == ("ann" if fits else MISPLACED)
    assert outcome(scheme, connection(f"{target}?ticket={ticket}", headers)) == INVALID


def test_a_connection_from_nowhere_fits_no_client(store: MemoryTicketStore, scheme: Ticket) -> None:
    ticket = issued(store, Bound("ann", client="127.0.0.1"))
    assert outcome(scheme, connection(f"/?ticket={ticket}", client=None)) == MISPLACED


def test_it_describes_itself_as_the_parameter_that_it_reads(scheme: Ticket) -> None:
    assert scheme.model.document() == {"type": "apiKey", "name": "ticket", "in": "query"}


def test_a_router_and_its_endpoint_share_one_redemption(store: MemoryTicketStore, scheme: Ticket) -> None:
    got: list[str] = []

    async def endpoint(user: Annotated[str, Depends(scheme)]) -> None:
        got.append(user)

    router = WebSocketRouter(dependencies=[Depends(scheme)])
    router.websocket("/")(endpoint)
    anyio.run(Peer(f"/?ticket={issued(store, 'ann')}").serve, router)

    assert got == ["ann"]


def test_neither_a_refusal_nor_the_log_tells_the_ticket(
    store: MemoryTicketStore, scheme: Ticket, caplog: pytest.LogCaptureFixture
) -> None:
    ticket = issued(store, Bound("ann", path="/other"))

    async def endpoint(user: Annotated[str, Depends(scheme)]) -> None: ...

    caplog.set_level(0)
    for _ in range(2):
        peer = Peer(f"/?ticket={ticket}")
        anyio.run(peer.serve, APIWebSocketRoute("/", endpoint))
        assert peer.denial is not None
        assert ticket not in repr(peer.sent)
    assert ticket not in caplog.text


# On the wire

tickets = MemoryTicketStore()
router = WebSocketRouter()


@router.websocket("/feed")
async def feed(websocket: WebSocket, user: Annotated[str, Depends(Ticket(tickets))]) -> None:
    await websocket.accept()
    await websocket.send_text(f"hello {user}")


async def get_ticket(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await tickets.issue(Bound("ann", path="/feed")))


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    app = Starlette(routes=[Route("/tickets", get_ticket, methods=["POST"])])
    router.attach(app)
    with Server(app, request.param).running() as server:
        yield server


@tolerant
def test_a_page_gets_a_ticket_over_http_and_connects_with_it_once(server: Server) -> None:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=LONG)) as http:
        http.request("POST", "/tickets")
        ticket = http.getresponse().read().decode()

    with server.connect(f"/feed?ticket={ticket}") as client:
        assert client.recv(LONG) == "hello ann"
    with pytest.raises(InvalidStatus) as caught, server.connect(f"/feed?ticket={ticket}"):
        pass  # pragma: no cover
    response = caught.value.response
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Ticket error="invalid_ticket"')
    assert response.body == b'{"detail":"Invalid ticket"}'
