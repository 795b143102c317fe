"""The programs of the README and of `docs/examples` do what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import anyio
import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from docs.examples.chat.rooms import Rooms
from docs.examples.chat.store import Message
from docs.examples.gateway.desk import Journal
from tests.frameworks import needs_fastapi
from tests.test_docs import BLOCK, run

ROOT = Path(__file__).parents[1]


@pytest.fixture
def first_example() -> TestClient:
    """The first block of the README, as an application."""
    readme = ROOT / "README.md"
    block = next(BLOCK.finditer(readme.read_text()))
    module = ModuleType("first_example")
    run(block["text"], 0, readme, module)
    return TestClient(module.router)


def test_the_readmes_first_example_answers_its_client(first_example: TestClient) -> None:
    with first_example.websocket_connect("/rooms/7?token=secret") as websocket:
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
    first_example: TestClient, url: str, status: int, told: object
) -> None:
    with pytest.raises(WebSocketDenialResponse) as refusal:
        first_example.websocket_connect(url).__enter__()

    detail = refusal.value.json()["detail"]
    assert refusal.value.status_code == status
    assert (detail if isinstance(detail, str) else [error["loc"] for error in detail]) == told


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("example", "findings"),
    [("chat", 9), ("gateway", 13), pytest.param("fastapi_app", 12, marks=needs_fastapi)],
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
