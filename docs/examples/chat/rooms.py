"""Who is in which room, and how a message reaches them.

A server that sends to one peer after another waits for ever as soon as one of them stops reading. So nobody here sends
to somebody else: `Room.say` puts the message into the bounded queue of each member and never waits, and each
connection sends its own queue to its own client. A queue that is full belongs to a member who lags too far behind; it
is closed, and so is that member's connection.

This is one process. Several need a broker between them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakValueDictionary

import anyio

from docs.examples.chat.store import Message


class Inbox:
    """What one member has still to be sent."""

    def __init__(self, size: int) -> None:
        self._entrance, self._exit = anyio.create_memory_object_stream[Message](size)

    def put(self, message: Message) -> None:
        """Queue a message, or close an inbox that is full. Never waits."""
        try:
            self._entrance.send_nowait(message)
        except (anyio.WouldBlock, anyio.ClosedResourceError):
            self._entrance.close()

    async def messages(self, history: Sequence[Message]) -> AsyncIterator[Message]:
        """The history, then what was said since the member entered. Ends once a full inbox was emptied.

        The member entered before the history was read, so nothing is missing, and what is in both comes once.
        """
        for message in history:
            yield message
        newest = history[-1].id if history else 0
        async for message in self._exit:
            if message.id > newest:
                yield message

    def close(self) -> None:
        """Forget what was not sent."""
        self._entrance.close()
        self._exit.close()


class Room:
    """The members of one room."""

    def __init__(self) -> None:
        self._inboxes: set[Inbox] = set()

    def say(self, message: Message) -> None:
        """Hand a message to every member."""
        for inbox in self._inboxes:
            inbox.put(message)

    @contextmanager
    def entered(self, size: int) -> Iterator[Inbox]:
        """Be a member for as long as the block lasts."""
        inbox = Inbox(size)
        self._inboxes.add(inbox)
        try:
            yield inbox
        finally:
            self._inboxes.remove(inbox)
            inbox.close()


class Rooms:
    """All rooms of one application. A room exists while somebody is in it."""

    def __init__(self) -> None:
        self._rooms: WeakValueDictionary[str, Room] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._rooms)

    def __getitem__(self, name: str) -> Room:
        return self._rooms.setdefault(name, Room())
