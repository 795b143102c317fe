"""What the desk is about: users, tickets, and a journal of who did what. Nothing here knows of sockets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

LINE_LIMIT = 500  # characters


@dataclass(frozen=True)
class User:
    """Who connects."""

    name: str
    role: Literal["customer", "agent"] = "customer"


class DeskError(Exception):
    """The desk cannot do what it was asked to."""


class TicketNotFound(DeskError):
    """There is no such ticket."""


class TicketClosed(DeskError):
    """The ticket takes no further messages."""


@dataclass
class Ticket:
    """One customer's problem.

    Attributes:
        number: Its number.
        customer: The name of the user whose problem it is.
        lines: What was said about it.
        is_open: Whether it takes further lines.
    """

    number: int
    customer: str
    lines: list[str] = field(default_factory=list)
    is_open: bool = True

    def say(self, line: str) -> None:
        """Add a line.

        Raises:
            TicketClosed: It takes none.
            DeskError: The line is too long.
        """
        if len(line) > LINE_LIMIT:
            raise DeskError(f"A line has at most {LINE_LIMIT} characters")
        if not self.is_open:
            raise TicketClosed(f"Ticket {self.number} is closed")
        self.lines.append(line)


class Journal:
    """Who did what, for those who watch."""

    def __init__(self) -> None:
        self._watchers: set[MemoryObjectSendStream[str]] = set()

    def write(self, entry: str) -> None:
        """Tell an entry to all who watch. Never waits; a watcher who lags far behind misses it."""
        for watcher in self._watchers:
            try:
                watcher.send_nowait(entry)
            except anyio.WouldBlock:
                pass

    @contextmanager
    def watched(self) -> Iterator[MemoryObjectReceiveStream[str]]:
        """The entries from now on, for as long as the block lasts."""
        entrance, entries = anyio.create_memory_object_stream[str](100)
        self._watchers.add(entrance)
        try:
            with entrance, entries:
                yield entries
        finally:
            self._watchers.remove(entrance)


class Desk:
    """The tickets of one application, in memory.

    Args:
        users: The users by token; stands for a table of sessions.
        tickets: The tickets.
    """

    def __init__(self, users: Mapping[str, User], *tickets: Ticket) -> None:
        self.users = users
        self.tickets = {ticket.number: ticket for ticket in tickets}
        self.journal = Journal()

    def ticket(self, number: int) -> Ticket:
        """A ticket by its number.

        Raises:
            TicketNotFound: There is none.
        """
        try:
            return self.tickets[number]
        except KeyError:
            raise TicketNotFound(f"There is no ticket {number}") from None
