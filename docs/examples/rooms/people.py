"""Who is in which room, and how a message reaches them.

Nobody here sends to somebody else, who may have stopped reading: `Member.tell` puts a message into the member's bounded
queue and never waits, and each connection sends its own queue to its own client.

This is one process. Several need a broker between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import anyio

from docs.examples.rooms.messages import Entered, Left, Said

News: TypeAlias = Said | Entered | Left


class Member:
    """One connection's place in a room.

    Args:
        user: The name of the user.
        room: The room.
        queue_size: How many messages the member may lag behind.

    Attributes:
        news: What the member is told. Ends once a full queue was emptied.
    """

    def __init__(self, user: str, room: Room, queue_size: int) -> None:
        self.user = user
        self.room = room
        self._entrance, self.news = anyio.create_memory_object_stream[News](queue_size)

    def tell(self, news: News) -> None:
        """Queue a message, or close a queue that is full. Never waits."""
        try:
            self._entrance.send_nowait(news)
        except (anyio.WouldBlock, anyio.ClosedResourceError):
            self._entrance.close()

    def tell_others(self, *news: News) -> None:
        """Queue messages for everybody else in the room."""
        for other in self.room.members - {self}:
            for item in news:
                other.tell(item)

    def close(self) -> None:
        """Forget what was not sent."""
        self._entrance.close()
        self.news.close()


class Room:
    """The members of one room."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: set[Member] = set()

    @property
    def people(self) -> list[str]:
        """The names of those who are in it."""
        return sorted(member.user for member in self.members)


class Rooms:
    """All rooms of one application. A room exists while somebody is in it.

    Attributes:
        changed: Is set when somebody enters or leaves; then there is a new one.
    """

    def __init__(self) -> None:
        self.changed = anyio.Event()
        self._rooms: dict[str, Room] = {}

    @property
    def counts(self) -> dict[str, int]:
        """How many people are in which room."""
        return {name: len(room.members) for name, room in sorted(self._rooms.items())}

    @contextmanager
    def entered(self, name: str, user: str, queue_size: int = 64) -> Iterator[Member]:
        """Be a member of a room for as long as the block lasts."""
        room = self._rooms.setdefault(name, Room(name))
        member = Member(user, room, queue_size)
        room.members.add(member)
        self._change()
        try:
            yield member
        finally:
            room.members.remove(member)
            if not room.members:
                del self._rooms[name]
            member.close()
            self._change()

    def _change(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()
