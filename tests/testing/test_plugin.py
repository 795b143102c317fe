"""The fixtures for pytest: in our own run, and in those of others, with each plugin that runs async tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import connect as connect_to_server

from wsroute import Depends, WebSocket, WebSocketRouter
from wsroute.testing import LiveServer, SocketTestError, client, connect, override
from wsroute.testing.plugin import restore

router = WebSocketRouter()


async def get_word() -> str:
    return "original"


@router.websocket("/")
async def say(websocket: WebSocket, word: str = Depends(get_word)) -> None:
    await websocket.accept()
    await websocket.send_text(word)


@pytest.mark.anyio
async def test_a_fixture_connects(ws_connect: type[connect]) -> None:
    async with ws_connect(router) as ws:
        assert await ws.receive_text() == "original"


@pytest.fixture
def word(ws_override: Callable[..., None]) -> str:
    ws_override(router, get_word, value="by a fixture")
    return "by a fixture"


@pytest.mark.anyio
async def test_a_fixture_overrides_until_the_test_has_ended(word: str, ws_connect: type[connect]) -> None:
    async with ws_connect(router) as ws:
        assert await ws.receive_text() == word


def test_a_fixture_serves(ws_server: Callable[..., LiveServer]) -> None:
    with connect_to_server(ws_server(router).url(), proxy=None) as client:
        assert client.recv(5) == "original"


# Runs of others

HEAD = """
import anyio, pytest
from wsroute import Depends, WebSocket, WebSocketRouter

router = WebSocketRouter()

async def get_word() -> str:
    return "original"

@router.websocket("/")
async def say(websocket: WebSocket, word: str = Depends(get_word)) -> None:
    await websocket.accept()
    await websocket.send_text(word)

async def check(ws_connect, word="original"):
    async with ws_connect(router) as ws:
        assert await ws.receive_text() == word
"""
ANYIO = """
pytestmark = pytest.mark.anyio

async def test_connect(ws_connect):
    await check(ws_connect)

@pytest.fixture
async def ws(ws_connect):
    async with ws_connect(router) as ws:
        yield ws

async def test_in_an_async_fixture(ws):
    assert await ws.receive_text() == "original"

async def test_override(ws_connect, ws_override):
    ws_override(router, get_word, value="fake")
    await check(ws_connect, "fake")
"""
STRICT = """
import pytest_asyncio

@pytest.mark.asyncio
async def test_connect(ws_connect):
    await check(ws_connect)

@pytest_asyncio.fixture
async def ws(ws_connect):
    async with ws_connect(router) as ws:
        yield ws

@pytest.mark.asyncio
async def test_in_an_async_fixture(ws):
    assert await ws.receive_text() == "original"

@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared():
    from wsroute.testing import connect
    async with connect(router) as ws:
        yield ws

@pytest.mark.asyncio(loop_scope="module")
async def test_in_a_fixture_of_the_module(shared):
    assert await shared.receive_text() == "original"
"""
AUTO = """
async def test_connect(ws_connect):
    await check(ws_connect)

@pytest.fixture
async def ws(ws_connect):
    async with ws_connect(router) as ws:
        yield ws

async def test_in_an_async_fixture(ws, ws_override):
    assert await ws.receive_text() == "original"
"""
SYNC = """
from wsroute.testing import connect_sync

def test_connect_sync(ws_override):
    ws_override(router, get_word, value="fake")
    with connect_sync(router) as ws:
        assert ws.receive_text() == "fake"
"""
UNUSED = """
def test_override(ws_override):
    ws_override(router, get_word, value="fake")
"""
FAILING = """
import anyio
from wsroute.testing import Peer, connect_sync, override

@pytest.mark.anyio
async def test_async(ws_connect):
    async with ws_connect(router) as ws:
        assert await ws.receive_bytes() == b"original"

@pytest.mark.anyio
async def test_peer():
    await Peer().serve(lambda scope, receive, send: anyio.sleep_forever(), within=0.01)

def test_sync():
    with connect_sync(router) as ws:
        ws.expect_close()

def test_override():
    with override(router, check, value=None):
        pass
"""
#: As if the extras were not installed.
WITHOUT_EXTRAS = """
import sys
import pytest

def test_nothing_is_imported_before_it_is_used():
    assert not {"httpx", "uvicorn", "trio", "pydantic.main"} & set(sys.modules)

def test_what_is_missing_is_named(monkeypatch):
    import importlib.util
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("httpx", "uvicorn") else find(name))
    from wsroute.testing import LiveServer, connect_sync
    with pytest.raises(RuntimeError, match="pip install 'wsroute.testing.'"):
        connect_sync(None).__enter__()
    with pytest.raises(RuntimeError, match="pip install 'wsroute.testing.'"):
        connect_sync(None, params={"a": "b"}).__enter__()
    with pytest.raises(RuntimeError, match="pip install 'wsroute.server.'"):
        LiveServer(None)
"""


#: What pytest-asyncio wants to be told.
SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")


def run(directory: Path, text: str, *options: str) -> str:
    """What pytest prints about a file of tests, in a process of its own, with the plugins that are installed."""
    (directory / "test_it.py").write_text(text)
    (directory / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=20", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("text", "options", "outcome"),
    [
        (HEAD + ANYIO, [*SCOPE], "6 passed"),
        (HEAD + STRICT, [*SCOPE, "-o", "asyncio_mode=strict"], "3 passed"),
        (HEAD + AUTO, [*SCOPE, "-o", "asyncio_mode=auto"], "2 passed"),
        (HEAD + SYNC, [*SCOPE], "1 passed"),
        (WITHOUT_EXTRAS, ["-p", "no:anyio", "-p", "no:asyncio"], "2 passed"),
    ],
    ids=["anyio", "asyncio strict", "asyncio auto", "sync", "without extras"],
)
def test_it_plays_with_others(tmp_path: Path, text: str, options: list[str], outcome: str) -> None:
    printed = run(tmp_path, text, *options)
    assert outcome in printed.splitlines()[-1], printed


def test_an_override_that_nothing_used_is_a_failure_in_words_alone() -> None:
    overrides = ExitStack()
    with pytest.raises(pytest.fail.Exception, match=r"^the override of \S*get_word was never used"):
        overrides.enter_context(override(router, get_word, value="fake"))
        restore(overrides)


@pytest.mark.parametrize(("error", "says"), [(SocketTestError("late"), True), (ZeroDivisionError("a bug"), False)])
def test_lines_of_the_kit_are_left_out_where_its_message_says_it_all(error: Exception, says: bool) -> None:
    with pytest.raises(type(error)) as failure:
        raise error
    assert client.__tracebackhide__(failure) is says


def test_an_override_that_nothing_used_is_an_error_of_its_test(tmp_path: Path) -> None:
    printed = run(tmp_path, HEAD + UNUSED, *SCOPE)
    assert "the override of test_it.get_word was never used" in printed
    assert "contextlib" not in printed and "plugin.py" not in printed, printed
    assert "1 passed, 1 error" in printed.splitlines()[-1], printed


def test_a_failure_shows_the_line_of_the_test_and_none_of_the_kit(tmp_path: Path) -> None:
    printed = run(tmp_path, HEAD + FAILING, *SCOPE, "-k", "not trio")
    assert "4 failed" in printed.splitlines()[-1], printed
    shown = [line.removeprefix(">").strip() for line in printed.splitlines() if line.startswith(">")]
    assert shown == [
        'assert await ws.receive_bytes() == b"original"',
        "await Peer().serve(lambda scope, receive, send: anyio.sleep_forever(), within=0.01)",
        "ws.expect_close()",
        "with override(router, check, value=None):",
    ]
    assert "wsroute/testing/" not in printed.replace("\\", "/"), printed


def test_the_plugin_is_found_by_its_entry_point(pytestconfig: pytest.Config) -> None:
    plugin = pytestconfig.pluginmanager.get_plugin("wsroute")
    assert getattr(plugin, "__name__", None) == "wsroute.testing.plugin"
