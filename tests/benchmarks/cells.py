"""What is measured, and what has to be true before it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from starlette.types import ASGIApp

from tests.benchmarks.adapters import Adapter
from tests.benchmarks.client import Client, Handshake, Lifespan
from tests.benchmarks.domain import TRACE

TEXT = "hello"
#: Messages on one connection where messages are what is measured.
MESSAGES = 2000
SIZES = (10, 100, 1000, 5000)
GROUPS, GROUP_SIZE = 20, 50


class WrongAnswer(Exception):
    """An application does not do what is to be measured."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing to measure, in each framework.

    Attributes:
        group: The table that it stands in.
        name: Its name there.
        title: What it is.
        key: Cells with the same key are measured on one application.
        build: Makes the application; none, if the framework can't.
        handshake: How the client asks.
        values: What the reply carries behind the client's text; none, if the connection is refused.
        made: The dependencies that are made, each once.
        opened: Those that are opened, and closed in the reverse order.
        refused: A handshake that has to be refused.
        messages: How many messages the client sends; the figure is for one of them if it is not 1.
    """

    group: str
    name: str
    title: str
    key: str
    build: Callable[[Adapter], ASGIApp | None]
    handshake: Handshake
    values: str | None = ""
    made: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    refused: Handshake | None = None
    messages: int = 1

    @property
    def reply(self) -> str | None:
        """What the client gets; none, if it is refused."""
        return None if self.values is None else TEXT + self.values


async def check(cell: Cell, life: Lifespan) -> None:
    """The gate: one connection, and every promise of the cell.

    Args:
        cell: The cell.
        life: The life of the application.

    Raises:
        WrongAnswer: The application breaks one of them.
    """
    TRACE.clear()
    client = Client(TEXT, 3 if cell.messages > 1 else 1)
    await life.app(cell.handshake.scope(life.state), client.receive, client.send)
    trace = list(TRACE)
    opened = [entry[1:] for entry in trace if entry.startswith("+")]
    closed = [entry[1:] for entry in trace if entry.startswith("-")]
    made = [entry for entry in trace if entry[0] not in "+-"]
    _expect(client.accepted, cell.values is not None, "accepted")
    _expect(client.reply, cell.reply, "the reply")
    _expect(sorted(made), sorted(cell.made), "what was made")
    _expect(opened, list(cell.opened), "what was opened")
    _expect(closed, opened[::-1], "what was closed")
    if cell.refused is not None:
        client = Client(TEXT)
        await life.app(cell.refused.scope(life.state), client.receive, client.send)
        _expect(client.accepted, False, "a bad handshake was accepted")


def _expect(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise WrongAnswer(f"{what}: found {found!r}, expected {expected!r}")


def all_cells() -> Iterator[Cell]:
    """Every cell, in the order of the report."""
    yield from connect_cells()
    yield from route_cells()
    yield from message_cells()


def connect_cells() -> Iterator[Cell]:
    """One connection with one echo."""
    items = Handshake("/items/30", "limit=12&q=tea")
    wrong = Handshake("/items/30", "limit=twelve&q=tea")
    fan = ("settings", "database", "cache", "user", "audit")
    generators = ("session", "transaction")
    sync = ("flags", "prices", "texts")
    common = " 42 tea secret"

    def cell(name: str, title: str, values: str, made: tuple[str, ...] = (), opened: tuple[str, ...] = ()) -> Cell:
        build = partial(_connect, name)
        return Cell("connect", name, title, f"connect {name}", build, items, values, made, opened, wrong)

    bare = partial(_connect, "a")
    yield Cell("connect", "a", "nothing injected but the socket", "connect a", bare, Handshake("/bare"))
    yield cell("b", "one path, two query and one header parameter", common)
    yield cell("c", "b, and five async dependencies, one of them shared", f"{common} database cache alice audit", fan)
    yield cell("d", "c, and two async generators", f"{common} cache alice audit transaction", fan, generators)
    yield cell("e", "b, and three sync dependencies in threads", f"{common} flags prices texts", sync)
    yield cell("e-inline", "the same, without threads", f"{common} flags prices texts", sync)
    yield cell("f", "c, with one override active", f"{common} database cache bob audit", fan)
    yield cell("g", "c, each dependency needs all before it", f"{common} database cache alice", fan)


def route_cells() -> Iterator[Cell]:
    """One connection with one echo, among many routes."""
    for size in SIZES:
        positions = {"first": 0, "middle": size // 2, "last": size - 1, "miss": None}
        for position, number in positions.items():
            path = "/nowhere/7" if number is None else f"/resource{number}/7"
            yield Cell(
                "route",
                f"{size} {position}",
                f"{size} routes, {position}",
                f"table {size}",
                partial(_table, size),
                Handshake(path),
                None if number is None else f" {number}",
            )
    for position, number in {"first": 0, "last": GROUPS * GROUP_SIZE - 1, "miss": None}.items():
        group, resource = divmod(number or 0, GROUP_SIZE)
        path = f"/group{GROUPS - 1}/nowhere/7" if number is None else f"/group{group}/resource{resource}/7"
        yield Cell(
            "route",
            f"{GROUPS}x{GROUP_SIZE} {position}",
            f"{GROUPS} included routers of {GROUP_SIZE} routes, {position}",
            "groups",
            _groups,
            Handshake(path),
            None if number is None else f" {number}",
        )


def message_cells() -> Iterator[Cell]:
    """One message and its echo, on a connection with many."""
    titles = {"receive_text": "text echo, receive_text()", "iter_text": "text echo, iter_text()"}
    for name, title in titles.items():
        yield Cell(
            "message",
            name,
            title,
            f"message {name}",
            partial(_message, name),
            Handshake("/bare"),
            messages=MESSAGES,
        )


def _connect(name: str, adapter: Adapter) -> ASGIApp | None:
    return adapter.connect[name]() if name in adapter.connect else None


def _table(size: int, adapter: Adapter) -> ASGIApp:
    return adapter.table(size)


def _groups(adapter: Adapter) -> ASGIApp:
    return adapter.groups(GROUPS, GROUP_SIZE)


def _message(name: str, adapter: Adapter) -> ASGIApp | None:
    return adapter.message[name]() if name in adapter.message else None
