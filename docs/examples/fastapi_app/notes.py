"""What was written down, and who is told of it: in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from pydantic import BaseModel

LAG = 64  # notes that a watcher may be behind; further ones pass it by


class Note(BaseModel):
    """One note."""

    number: int
    user: str
    text: str


class Notes:
    """All notes, in order."""

    def __init__(self) -> None:
        self._notes: list[Note] = []
        self._watchers: set[MemoryObjectSendStream[Note]] = set()

    def __len__(self) -> int:
        return len(self._notes)

    def all(self) -> list[Note]:
        """The notes until now."""
        return [*self._notes]

    def add(self, user: str, text: str) -> Note:
        """Write a note down, and tell the watchers. Never waits for one of them."""
        note = Note(number=len(self._notes) + 1, user=user, text=text)
        self._notes.append(note)
        for watcher in self._watchers:
            try:
                watcher.send_nowait(note)
            except anyio.WouldBlock:
                continue
        return note

    @contextmanager
    def watched(self) -> Iterator[MemoryObjectReceiveStream[Note]]:
        """Further notes, for as long as the block lasts."""
        entrance, exit = anyio.create_memory_object_stream[Note](LAG)
        with entrance, exit:
            self._watchers.add(entrance)
            try:
                yield exit
            finally:
                self._watchers.remove(entrance)
