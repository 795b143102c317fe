"""The programs of the README and of `docs/examples` do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from types import ModuleType

import anyio
import pytest
from starlette.types import ASGIApp

from docs.examples.chat.rooms import Rooms
from docs.examples.chat.store import Message
from docs.examples.gateway.desk import Journal
from docs.examples.rooms import messages, people, store
from tests.frameworks import needs_fastapi
from tests.test_docs import BLOCK, findable, run
from wsroute.testing import HandshakeRefused, connect_sync

ROOT = Path(__file__).parents[1]


def readme_up_to(part: str) -> ModuleType:
    """The README's Python blocks up to the first one that has this in it, as a module."""
    readme = ROOT / "README.md"
    module = ModuleType("readme")
    with findable(module):
        for block in BLOCK.finditer(readme.read_text()):
            if block["language"] == "python":
                run(block["text"], 0, readme, module)
                if part in block["text"]:
                    return module
    raise LookupError(part)


@pytest.fixture
def first_example() -> ASGIApp:
    """The first block of the README, as an application."""
    app: ASGIApp = readme_up_to("@router.websocket").router
    return app


def test_the_readmes_first_example_answers_its_client(first_example: ASGIApp) -> None:
    with connect_sync(first_example, "/rooms/7?token=secret") as websocket:
        websocket.send_text("Hello")
        assert websocket.receive_text() == "ann@7: Hello"


@pytest.mark.parametrize(
    ("url", "status", "told"),
    [
        ("/rooms/7?token=other", 401, "Unknown token"),
        ("/rooms/seven", 422, [["query", "token"], ["path", "room_id"]]),
    ],
)
def test_the_readmes_first_example_refuses_who_does_not_fit(
    first_example: ASGIApp, url: str, status: int, told: object
) -> None:
    with pytest.raises(HandshakeRefused) as refusal, connect_sync(first_example, url):
        raise AssertionError("accepted")

    detail = refusal.value.json()["detail"]
    assert refusal.value.status_code == status
    assert (detail if isinstance(detail, str) else [error["loc"] for error in detail]) == told


def test_the_readmes_listener_answers_as_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text()
    said = re.findall(r"^- `(\{.+\})` is answered with\s+`(\{.+\})`", readme, flags=re.MULTILINE)
    app = readme_up_to("@router.listener").router

    with connect_sync(app, "/rooms/7/notes?token=secret") as websocket:
        for message, reply in said:
            websocket.send_text(message)
            assert websocket.receive_text() == reply
    assert len(said) == 2


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("example", "findings"),
    [("chat", 9), ("gateway", 13), ("rooms", 15), pytest.param("fastapi_app", 12, marks=needs_fastapi)],
)
def test_an_example_passes_its_own_check(example: str, findings: int) -> None:
    command = [sys.executable, "-m", f"docs.examples.{example}", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)

    assert done.returncode == 0, done.stdout + done.stderr
    assert [line[:5] for line in done.stdout.splitlines()] == ["ok   "] * findings
    assert "Traceback" not in done.stderr


def said(number: int) -> Message:
    return Message(id=number, user="ann", text="Hello")


@pytest.mark.anyio
async def test_a_message_that_is_in_the_history_and_in_the_queue_comes_once() -> None:
    with Rooms()["lobby"].entered(size=2) as inbox:
        for number in (2, 3, 4):  # the last one does not fit in, and closes the inbox
            inbox.put(said(number))

        assert [message.id async for message in inbox.messages(history=[said(1), said(2)])] == [1, 2, 3]


@pytest.mark.anyio
async def test_a_message_reaches_its_room_which_is_forgotten_with_its_last_member() -> None:
    rooms = Rooms()
    with rooms["lobby"].entered(size=1) as inbox:
        for room, number in (("lobby", 1), ("kitchen", 2), ("lobby", 3)):
            rooms[room].say(said(number))

        assert [message.id async for message in inbox.messages(history=())] == [1]
        assert len(rooms) == 1
    assert len(rooms) == 0


@pytest.mark.anyio
async def test_a_watcher_of_the_journal_who_lags_misses_entries_and_holds_nobody_up() -> None:
    journal = Journal()
    with journal.watched() as entries:
        for number in range(101):
            journal.write(str(number))

        assert [entries.receive_nowait() for _ in range(100)] == [str(number) for number in range(100)]
        with pytest.raises(anyio.WouldBlock):
            entries.receive_nowait()
    journal.write("nobody watches")


@pytest.mark.anyio
async def test_who_lags_behind_in_a_room_loses_the_place_in_it_and_holds_nobody_up() -> None:
    rooms = people.Rooms()
    with rooms.entered("lobby", "ann", queue_size=2) as ann, rooms.entered("lobby", "bob", queue_size=2) as bob:
        for user in ("x", "y", "z"):
            ann.tell_others(messages.Left(user=user))
        bob.tell_others(messages.Left(user="a"))

        assert [item.user async for item in bob.news] == ["x", "y"]
        assert (await ann.news.receive()).user == "a"
        assert rooms.counts == {"lobby": 2}
    assert rooms.counts == {}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # which aiosqlite is made for
async def test_a_session_that_fails_leaves_nothing_in_the_database(tmp_path: Path, anyio_backend: str) -> None:
    database = store.Database(tmp_path / "rooms.db")
    await database.create()
    with pytest.raises(ZeroDivisionError):
        async with database.session() as session:
            await session.add("lobby", "ann", "Hello")
            raise ZeroDivisionError
    async with database.session() as session:
        await session.add("lobby", "bob", "Hello")
    async with database.session() as session, aclosing(session.latest("lobby", 10)) as lines:
        said = [line async for line in lines]

    assert said == [messages.Said(id=1, user="bob", text="Hello")]
    assert (database.opened, database.open) == (3, 0)
