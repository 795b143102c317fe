"""What was said: an SQLite file. It blocks, so each query runs in a worker thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from anyio import to_thread
from pydantic import BaseModel

SCHEMA = "CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, room TEXT, user TEXT, text TEXT)"


class Message(BaseModel):
    """One line of a room. Ids grow, over all rooms."""

    id: int
    user: str
    text: str


class MessageStore:
    """The messages of one room."""

    def __init__(self, database: sqlite3.Connection, room: str) -> None:
        self._database = database
        self._room = room

    async def add(self, user: str, text: str) -> Message:
        """Keep a message, and give it its id."""
        return await to_thread.run_sync(self._insert, user, text)

    async def latest(self, count: int) -> list[Message]:
        """The last `count` messages, oldest first."""
        return await to_thread.run_sync(self._select, count)

    def _insert(self, user: str, text: str) -> Message:
        query = "INSERT INTO messages (room, user, text) VALUES (?, ?, ?) RETURNING id"
        with self._database:  # commits
            [(number,)] = self._database.execute(query, (self._room, user, text)).fetchall()
        return Message(id=number, user=user, text=text)

    def _select(self, count: int) -> list[Message]:
        query = "SELECT id, user, text FROM messages WHERE room = ? ORDER BY id DESC LIMIT ?"
        rows = self._database.execute(query, (self._room, count)).fetchall()
        return [Message(id=number, user=user, text=text) for number, user, text in reversed(rows)]


@contextmanager
def open_store(path: Path, room: str) -> Iterator[MessageStore]:
    """Open the file, with its table, for one room."""
    # Threads of a pool share the connection; `MessageStore` is used by one task, so never by two at once.
    with closing(sqlite3.connect(path, check_same_thread=False)) as database:
        database.execute(SCHEMA)
        yield MessageStore(database, room)
