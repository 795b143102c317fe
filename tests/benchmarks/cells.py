"""What is measured, and what has to be true before it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Message

from tests.benchmarks.adapters import Adapter
from tests.benchmarks.client import Client, Handshake, IdleClient, Lifespan
from tests.benchmarks.domain import TRACE
from tests.benchmarks.typed.frames import EDIT, EDITED, ERASE, ERASED, SAY, WRONG, said, tick

TEXT = "hello"
#: Messages on one connection where messages are what is measured.
MESSAGES = 2000
#: What the gate notes for each frame that the application sends.
REPLY = "reply"
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
        messages: How many messages the client sends, or gets; the figure is for one of them if it is not 1.
        says: What the client sends, in turn; nothing, if it stays until the application has no more to say.
        replies: What it gets, in turn, where that is not its own text.
        each: For each message, what is made, opened, closed and sent, in this order.
        wrong: A message that has to be refused.
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
    says: tuple[str, ...] = (TEXT,)
    replies: tuple[str, ...] = ()
    each: tuple[str, ...] = ()
    wrong: str | None = None

    @property
    def reply(self) -> str | None:
        """What the client gets at last; none, if it is refused."""
        return None if self.values is None else self.replies_to(self.messages)[-1]

    def replies_to(self, messages: int) -> list[str]:
        """What the client gets for so many messages."""
        if self.values is None:
            return []
        replies = self.replies or (TEXT + self.values,)
        return [replies[number % len(replies)] for number in range(messages)]

    def client(self) -> Client:
        """The client of one connection."""
        return Client(*self.says, times=self.messages) if self.says else IdleClient(times=0)


async def check(cell: Cell, life: Lifespan) -> None:
    """The gate: one connection, and every promise of the cell.

    Args:
        cell: The cell.
        life: The life of the application.

    Raises:
        WrongAnswer: The application breaks one of them.
    """
    TRACE.clear()
    # A stream cannot be asked for less than what is measured.
    messages = min(3, cell.messages) if cell.says else cell.messages
    client = replace(cell, messages=messages).client()
    client.sent = deque()

    async def send(message: Message) -> None:
        if cell.each and message["type"] == "websocket.send":
            TRACE.append(REPLY)
        await client.send(message)

    await life.app(cell.handshake.scope(life.state), client.receive, send)
    _expect(client.accepted, cell.values is not None, "accepted")
    _expect(client.replies, cell.replies_to(messages), "the replies")
    if cell.each:
        _expect(list(TRACE), [*cell.each * messages], "what was done for the messages")
    else:
        _check_trace(cell)
    if cell.refused is not None:
        client = Client(TEXT)
        await life.app(cell.refused.scope(life.state), client.receive, client.send)
        _expect(client.accepted, False, "a bad handshake was accepted")
    if cell.wrong is not None:
        TRACE.clear()
        client = Client(cell.wrong)
        await life.app(cell.handshake.scope(life.state), client.receive, client.send)
        _expect([reply for reply in client.replies if reply in cell.replies], [], "a bad message was answered")
        _expect(list(TRACE), [], "what was done for a bad message")


def _check_trace(cell: Cell) -> None:
    trace = list(TRACE)
    opened = [entry[1:] for entry in trace if entry.startswith("+")]
    closed = [entry[1:] for entry in trace if entry.startswith("-")]
    made = [entry for entry in trace if entry[0] not in "+-"]
    _expect(sorted(made), sorted(cell.made), "what was made")
    _expect(opened, list(cell.opened), "what was opened")
    _expect(closed, opened[::-1], "what was closed")


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
    """One message and its reply, on a connection with many."""
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
    yield from _typed_cells()


def _typed_cells() -> Iterator[Cell]:
    typed = Cell(
        "message",
        "typed",
        "typed: a model, answered with another",
        "message typed",
        partial(_typed, "typed"),
        Handshake("/bare"),
        messages=MESSAGES,
        says=(SAY,),
        replies=(said("nobody"),),
        each=(REPLY,),
        wrong=WRONG,
    )

    def cell(name: str, title: str, **others: Any) -> Cell:
        return replace(typed, name=name, title=title, key=f"message {name}", build=partial(_typed, name), **others)

    yield typed
    yield cell(
        "typed-two",
        "typed, and two async dependencies for each message",
        replies=(said("alice"),),
        each=("settings", "user", REPLY),
    )
    yield cell(
        "typed-generator",
        "typed, and an async generator for each message",
        replies=(said("session"),),
        each=("+session", "commit", "-session", REPLY),
    )
    yield cell(
        "typed-union",
        "typed, one of three models",
        says=(SAY, EDIT, ERASE),
        replies=(said("nobody"), EDITED, ERASED),
    )
    yield cell(
        "stream",
        "one item of a stream",
        handshake=Handshake(f"/ticks/{MESSAGES}"),
        says=(),
        replies=tuple(map(tick, range(MESSAGES))),
        each=(),
        wrong=None,
    )


def _connect(name: str, adapter: Adapter) -> ASGIApp | None:
    return adapter.connect[name]() if name in adapter.connect else None


def _table(size: int, adapter: Adapter) -> ASGIApp:
    return adapter.table(size)


def _groups(adapter: Adapter) -> ASGIApp:
    return adapter.groups(GROUPS, GROUP_SIZE)


def _message(name: str, adapter: Adapter) -> ASGIApp | None:
    return adapter.message[name]() if name in adapter.message else None


def _typed(name: str, adapter: Adapter) -> ASGIApp | None:
    apps = adapter.typed()
    return apps[name]() if name in apps else None
