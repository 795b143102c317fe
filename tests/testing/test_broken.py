"""Tests that are broken on purpose: each fails within its deadline, and says what has happened."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic
from typing import Annotated

import anyio
import pytest
from starlette.types import Receive, Scope, Send

from wsroute import Depends, WebSocket, WebSocketRouter
from wsroute.testing import (
    ConnectionClosed,
    DeadlinePassed,
    IllegalMessage,
    LeftBehind,
    SocketTestError,
    UnexpectedMessage,
    UnusedOverride,
    connect,
    override,
)

pytestmark = pytest.mark.anyio

#: The deadline of each of these connections, in seconds.
SHORT = 0.1

router = WebSocketRouter()
Broken = Callable[[], Awaitable[None]]


async def get_user() -> str:
    return "ann"


async def get_users() -> list[str]:
    return ["ann"]


async def get_usr() -> str:
    return "nobody asks for this one"


async def open_session() -> AsyncIterator[str]:
    yield "session"


@router.websocket("/silent")
async def silent(websocket: WebSocket, session: Annotated[str, Depends(open_session)]) -> None:
    await websocket.accept()
    await websocket.receive_text()
    await anyio.sleep_forever()


@router.websocket("/echo")
async def echo(websocket: WebSocket, user: Annotated[str, Depends(get_user)]) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"{user}: {text}")


@router.websocket("/raises")
async def raises(websocket: WebSocket, accept: bool) -> None:
    if accept:
        await websocket.accept()
    raise ValueError("a bug")


@router.websocket("/never")
async def never(websocket: WebSocket) -> None:
    await anyio.sleep_forever()


@router.websocket("/stays")
async def stays(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive()
    with anyio.CancelScope(shield=True):
        await anyio.sleep(10 * SHORT)


leaked: list[asyncio.Task[None]] = []


async def watch() -> None:
    await anyio.sleep_forever()


@router.websocket("/leaks")
async def leaks(websocket: WebSocket) -> None:
    await websocket.accept()
    leaked.append(asyncio.create_task(watch(), name="the leak"))


@router.websocket("/greets")
async def greets(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("Hello")
    await websocket.receive()


async def closes_illegally(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 1006})


async def said_by(broken: Broken, kind: type[BaseException]) -> str:
    """What a broken test says; the numbers of lines are left out."""
    begin = monotonic()
    with pytest.raises(kind) as caught:
        await broken()
    # Twice: the reply, and the end.
    assert monotonic() - begin < 2 * SHORT + 1
    notes = getattr(caught.value, "__notes__", [])
    return re.sub(r"(\.py):\d+", r"\1:N", "\n".join([str(caught.value), *notes]))


async def test_a_reply_that_does_not_come() -> None:
    async def broken() -> None:
        async with connect(router, "/silent", deadline=SHORT) as ws:
            await ws.send_text("Hello?")
            await ws.receive_text()

    said = await said_by(broken, DeadlinePassed)
    assert said == (
        "expected a text frame, and nothing came within 0.1 s\n"
        "  the application waits in silent at tests/testing/test_broken.py:N\n"
        "      await anyio.sleep_forever()\n"
        "  open dependencies: open_session\n"
        "  transcript of /silent\n"
        "    client      connects\n"
        "    application accepts\n"
        "    client      sends 'Hello?'\n"
        "besides, the connection has ended, and the application has not within 0.1 s\n"
        "  the application waits in silent at tests/testing/test_broken.py:N\n"
        "      await anyio.sleep_forever()\n"
        "  open dependencies: open_session\n"
        "  transcript of /silent\n"
        "    client      connects\n"
        "    application accepts\n"
        "    client      sends 'Hello?'\n"
        "    client      leaves, as the test has ended"
    )


async def test_a_wrong_reply() -> None:
    async def broken() -> None:
        async with connect(router, "/echo", deadline=SHORT) as ws:
            await ws.send_text("Hello")
            assert await ws.receive_text() == "bob: Hello"

    said = await said_by(broken, AssertionError)
    assert said.startswith("assert 'ann: Hello' == 'bob: Hello'")
    assert said.endswith(
        "transcript of /echo\n"
        "  client      connects\n"
        "  application accepts\n"
        "  client      sends 'Hello'\n"
        "  application sends 'ann: Hello'\n"
        "  client      leaves, as the test has ended"
    )


async def test_a_reply_of_the_wrong_kind() -> None:
    async def broken() -> None:
        async with connect(router, "/greets", deadline=SHORT) as ws:
            await ws.receive_bytes()

    said = await said_by(broken, UnexpectedMessage)
    assert said.startswith(
        "expected a binary frame, and got the text frame 'Hello'\n"
        "  the application waits in greets at tests/testing/test_broken.py:N\n"
        "      await websocket.receive()\n"
        "  transcript of /greets\n"
    )


async def test_an_endpoint_that_raises_before_the_accept() -> None:
    async def broken() -> None:
        async with connect(router, "/raises?accept=0", deadline=SHORT):
            pytest.fail("not accepted")  # pragma: no cover

    assert await said_by(broken, ValueError) == "a bug"


async def test_an_endpoint_that_raises_after_the_accept() -> None:
    async def broken() -> None:
        async with connect(router, "/raises?accept=1", deadline=SHORT) as ws:
            await ws.receive_text()

    said = await said_by(broken, ValueError)
    assert said == (
        "a bug\n"
        "transcript of /raises?accept=1\n"
        "  client      connects\n"
        "  application accepts\n"
        "  application closes with 1011 'Internal Server Error'"
    )


async def test_an_endpoint_that_raises_when_the_test_has_ended() -> None:
    async def broken() -> None:
        async with connect(router, "/raises?accept=1", deadline=SHORT) as ws:
            await ws.expect_close(1011)

    assert await said_by(broken, ValueError) == "a bug"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_is_left_behind() -> None:
    async def broken() -> None:
        async with connect(router, "/leaks", deadline=SHORT) as ws:
            await ws.expect_close(1000)

    said = await said_by(broken, LeftBehind)
    assert said == (
        "the connection has left something behind\n"
        "  a task is still running: 'the leak', which waits in watch at tests/testing/test_broken.py:N\n"
        "      await anyio.sleep_forever()\n"
        "  transcript of /leaks\n"
        "    client      connects\n"
        "    application accepts\n"
        "    application closes with 1000 ''"
    )
    # It is not in the way of the next test.
    await asyncio.wait(leaked)
    assert all(task.cancelled() for task in leaked)


async def test_a_message_that_nobody_reads() -> None:
    async def broken() -> None:
        async with connect(router, "/greets", deadline=SHORT):
            pass

    assert await said_by(broken, LeftBehind) == (
        "the connection has left something behind\n"
        "  nobody has read the message 'Hello'\n"
        "  transcript of /greets\n"
        "    client      connects\n"
        "    application accepts\n"
        "    application sends 'Hello'\n"
        "    client      leaves, as the test has ended"
    )


async def test_an_override_that_is_not_used() -> None:
    async def broken() -> None:
        async with override(router, get_user, value="bob"), connect(router, "/greets", deadline=SHORT) as ws:
            await ws.receive_text()

    assert await said_by(broken, UnusedOverride) == (
        "the override of tests.testing.test_broken.get_user was never used: no connection and no request that needs it "
        "came while it was active; remove it, connect inside of the block, or say strict=False"
    )


async def test_an_override_of_something_else() -> None:
    async def broken() -> None:
        async with override(router, get_usr, value="bob"), connect(router, "/echo", deadline=SHORT) as ws:
            await ws.send_text("Hello")
            assert await ws.receive_text() == "bob: Hello"

    # Which is why the test fails.
    said = await said_by(broken, AssertionError)
    assert said.endswith(
        "besides, the override of tests.testing.test_broken.get_usr replaces nothing: no route of the WebSocketRouter "
        "needs it; did you mean tests.testing.test_broken.get_user?; override the very object that stands in "
        "Depends(...), on the application or the router that the test connects to"
    )


async def test_an_illegal_close_code() -> None:
    async def broken() -> None:
        async with connect(closes_illegally, deadline=SHORT) as ws:
            await ws.expect_close()

    said = await said_by(broken, IllegalMessage)
    assert said.startswith(
        "the application sent close code 1006, which may not be sent (RFC 6455, section 7.4); 1000, 1001 and 3000 to "
        "4999 may\ntranscript of /\n"
    )


async def test_a_handler_that_never_accepts() -> None:
    async def broken() -> None:
        async with connect(router, "/never", deadline=SHORT):
            pytest.fail("not accepted")  # pragma: no cover

    assert await said_by(broken, DeadlinePassed) == (
        "the handshake was not answered within 0.1 s\n"
        "  the application waits in never at tests/testing/test_broken.py:N\n"
        "      await anyio.sleep_forever()\n"
        "  transcript of /never\n"
        "    client      connects"
    )


async def test_a_handler_that_does_not_end() -> None:
    async def broken() -> None:
        async with connect(router, "/stays", deadline=SHORT):
            pass

    assert await said_by(broken, DeadlinePassed) == (
        "the connection has ended, and the application has not within 0.1 s\n"
        "  the application waits in stays at tests/testing/test_broken.py:N\n"
        "      await anyio.sleep(10 * SHORT)\n"
        "  transcript of /stays\n"
        "    client      connects\n"
        "    application accepts\n"
        "    client      leaves, as the test has ended"
    )


async def test_an_end_that_comes_too_early() -> None:
    async def broken() -> None:
        async with connect(router, "/greets", deadline=SHORT) as ws:
            await ws.receive_text()
            await ws.close(3000, "Bye")
            await ws.send_text("and another thing")

    assert await said_by(broken, ConnectionClosed) == (
        "cannot send 'and another thing', and the connection was closed with 3000 'Bye'\n"
        "  the application waits in greets at tests/testing/test_broken.py:N\n"
        "      await websocket.receive()\n"
        "  transcript of /greets\n"
        "    client      connects\n"
        "    application accepts\n"
        "    application sends 'Hello'\n"
        "    client      closes with 3000 'Bye'"
    )


def test_every_error_of_the_kit_is_a_failure_for_a_test_runner() -> None:
    assert issubclass(SocketTestError, AssertionError)
