"""What was said: an SQLite file.

Each message of a client has a connection to the file of its own. A transaction belongs to a connection: on one that
messages share, the commit of one would commit what another has half done. Opening a file takes less than a
millisecond, so there is no pool.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite

from docs.examples.rooms.messages import Said

SCHEMA = "CREATE TABLE IF NOT EXISTS said (id INTEGER PRIMARY KEY, room TEXT, user TEXT, text TEXT)"
ADD = "INSERT INTO said (room, user, text) VALUES (?, ?, ?) RETURNING id"
LATEST = "SELECT * FROM (SELECT id, user, text FROM said WHERE room = ? ORDER BY id DESC LIMIT ?) ORDER BY id"


class Session:
    """One transaction.

    Attributes:
        added: What was said in it.
    """

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self.added: list[Said] = []
        self._connection = connection

    async def add(self, room: str, user: str, text: str) -> Said:
        """Keep what was said, and give it its id."""
        async with self._connection.execute(ADD, (room, user, text)) as cursor:
            [(number,)] = await cursor.fetchall()
        said = Said(id=number, user=user, text=text)
        self.added.append(said)
        return said

    async def latest(self, room: str, limit: int) -> AsyncGenerator[Said, None]:
        """What was said last in a room, oldest first, row by row."""
        async with self._connection.execute(LATEST, (room, limit)) as rows:
            async for number, user, text in rows:
                yield Said(id=number, user=user, text=text)


class Database:
    """The file.

    Attributes:
        opened: How many sessions there were.
        open: How many of them are open.
    """

    def __init__(self, path: Path) -> None:
        self.opened = 0
        self.open = 0
        self._path = path

    async def create(self) -> None:
        """Make the table, if it is not there."""
        async with aiosqlite.connect(self._path) as connection:
            # A backlog that a slow client reads keeps its session open. With a write-ahead log, which the file
            # remembers, nobody who writes has to wait for it.
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute(SCHEMA)
            await connection.commit()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A transaction: committed at the end of the block, and rolled back if that raises."""
        async with aiosqlite.connect(self._path) as connection:
            self.opened += 1
            self.open += 1
            try:
                yield Session(connection)
                await connection.commit()
            finally:
                self.open -= 1
