"""Tickets: what a client gets over HTTP, and gives back once, at once, to open a connection.

A browser's script can't set headers on a handshake, and what is in a URL ends up in logs. A ticket in a log is of no
use to anybody: it has been used, or it is about to expire.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from starlette.requests import HTTPConnection

from wsroute.exceptions import InvalidParameterError, Location
from wsroute.wire.origin import read_origin

#: Seconds. A page asks for a ticket and connects at once.
TTL = 30.0
_BYTES = 32


class TicketStore(Protocol):
    """Where tickets are from the moment they are issued to the one when they are redeemed.

    A server of several processes needs a store that all of them share, such as Redis: `SET key data EX ttl`, and
    `GETDEL key`. `MemoryTicketStore` is for a single process.
    """

    async def issue(self, data: Any, *, ttl: float = TTL) -> str:
        """Make a ticket that nobody can guess.

        Args:
            data: What redeeming it gives; anything but `None`. A `Bound` says where alone the ticket counts.
            ttl: How long it is valid, in seconds.
        """

    async def redeem(self, ticket: str) -> Any | None:
        """The data of a ticket, which is void from now on; `None` if it was never issued, was redeemed or has expired.

        Of several calls at the same time, one gets the data.
        """


@dataclass(frozen=True, slots=True)
class Bound:
    """The data of a ticket that counts for certain connections only.

    A ticket that comes with another one is refused, and is void as any that was redeemed.

    Attributes:
        data: What redeeming the ticket gives.
        path: The path of the connection, as in `scope["path"]`; `None` for any.
        origin: The origin of the page that connects, as `request.headers["origin"]` of the page's own request gives it;
            `None` for any. Something that is no origin, such as `null`, fits no connection.
        client: The address of the client, as `request.client.host` gives it; `None` for any.
    """

    data: Any
    path: str | None = None
    origin: str | None = None
    client: str | None = None

    def fits(self, connection: HTTPConnection) -> bool:
        """Whether a connection is one that the ticket was issued for."""
        return (
            (self.path is None or self.path == connection.scope["path"])
            and (self.origin is None or _comes_from(self.origin, connection))
            and (self.client is None or (connection.client is not None and self.client == connection.client.host))
        )


def _comes_from(origin: str, connection: HTTPConnection) -> bool:
    expected = read_origin(origin)
    return expected is not None and [expected] == [read_origin(sent) for sent in connection.headers.getlist("origin")]


class _Issued(NamedTuple):
    data: Any
    expires: float


class MemoryTicketStore:
    """Tickets in the memory of this process, and gone with it. It keeps a hash of each, not the ticket.

    Args:
        max_tickets: How many may wait to be redeemed. One more makes the oldest void, which most likely has been given
            up. Default 10,000.
        clock: What tells the time, in seconds.

    Raises:
        InvalidParameterError: There is room for none.
    """

    def __init__(self, *, max_tickets: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        if max_tickets < 1:
            raise _not(f"max_tickets={max_tickets!r}", "a number above 0", "leave it out, or write how many may wait")
        self._max_tickets = max_tickets
        self._clock = clock
        self._issued: dict[bytes, _Issued] = {}

    def __len__(self) -> int:
        """How many tickets are kept; some may have expired."""
        return len(self._issued)

    async def issue(self, data: Any, *, ttl: float = TTL) -> str:
        """Make a ticket: see `TicketStore`.

        Raises:
            InvalidParameterError: The data is `None`, which would mean that there is no such ticket, or the time is not
                above 0.
        """
        if data is None:
            raise _not("data=None", "anything else, which redeeming the ticket gives", "hand over who it is for")
        if not ttl > 0:
            raise _not(f"ttl={ttl!r}", "a number of seconds above 0", "leave it out, or write how long it is valid")
        now = self._clock()
        self._make_room(now)
        ticket = secrets.token_urlsafe(_BYTES)
        self._issued[_key(ticket)] = _Issued(data, now + ttl)
        return ticket

    async def redeem(self, ticket: str) -> Any | None:
        """The data of a ticket, once: see `TicketStore`."""
        # One step, so that of several calls one gets it.
        found = self._issued.pop(_key(ticket), None)
        return None if found is None or found.expires <= self._clock() else found.data

    def _make_room(self, now: float) -> None:
        """Forget what has expired, as far as nothing older is still valid, and else what is too much."""
        while self._issued:
            oldest = next(iter(self._issued))
            if self._issued[oldest].expires > now and len(self._issued) < self._max_tickets:
                break
            del self._issued[oldest]


def _key(ticket: str) -> bytes:
    # How long it takes to find a key may tell something of it, and nothing of the ticket that it is a hash of.
    return sha256(ticket.encode("utf-8", "surrogatepass")).digest()


def _not(problem: str, expected: str, remedy: str) -> InvalidParameterError:
    location = Location(chain=("MemoryTicketStore",))
    return InvalidParameterError(location, problem=f"{problem} cannot work", expected=expected, remedy=remedy)
