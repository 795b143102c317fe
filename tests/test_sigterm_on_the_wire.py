"""SIGTERM on real servers with open connections: what the clients get, what is closed, and when the process exits."""

from __future__ import annotations

import asyncio
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.server import IMPLEMENTATIONS, LONG, WebSocketImplementation, connect_raw
from tests.stopping import Stopping, serving

pytestmark = pytest.mark.timeout(60)

every_implementation = pytest.mark.parametrize("ws", IMPLEMENTATIONS)

#: What connects, how many of it, and whether it has its server handle a message.
IDLE = {"/listener": 30, "/ahead": 15, "/class": 15, "/endpoint": 20}
HANDLING = {"/listener": 30, "/ahead": 15, "/class": 15, "/endpoint": 20}
STREAMS = {"/stream": 40}


async def opened(server: Stopping, paths: dict[str, int], *, says: bool = False) -> list[ClientConnection]:
    """Connections; what their server handles, or sends by itself, has begun."""

    async def one(path: str) -> ClientConnection:
        url = f"ws://127.0.0.1:{server.port}{path}"
        client = await connect(url, proxy=None, compression=None, open_timeout=LONG, close_timeout=LONG)
        if says:
            await client.send("work")
        if says or path in STREAMS:
            assert await client.recv() == "begun"
        return client

    return await asyncio.gather(*(one(path) for path, number in paths.items() for _ in range(number)))


async def ends(clients: list[ClientConnection]) -> Counter[tuple[str | None, int, str]]:
    """What clients get: the last message but those of a stream, and the close."""

    async def one(client: ClientConnection) -> tuple[str | None, int, str]:
        last = None
        try:
            while True:
                message = await client.recv()
                last = message if message != "begun" else last
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the connection was lost without a close frame"
            return last if isinstance(last, str) else None, closed.rcvd.code, closed.rcvd.reason

    async with asyncio.timeout(LONG):
        return Counter(await asyncio.gather(*map(one, clients)))


async def let_go_on(server: Stopping) -> None:
    url = f"http://127.0.0.1:{server.port}/go-on"
    await asyncio.to_thread(urllib.request.urlopen, url, timeout=LONG)


async def stopped(server: Stopping) -> tuple[int, dict[str, int], str]:
    return await asyncio.to_thread(server.stopped)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


RESTARTED = (1012, "Service restart")


@every_implementation
def test_messages_that_are_handled_are_handled_to_their_end_and_everybody_gets_1012(
    ws: WebSocketImplementation,
) -> None:
    async def test() -> None:
        idle = await opened(server, IDLE)
        handling = await opened(server, HANDLING, says=True)
        streams = await opened(server, STREAMS)
        assert len([*idle, *handling, *streams]) == 200

        begun = time.monotonic()
        server.terminate()
        assert await ends(idle) == {(None, *RESTARTED): len(idle)}
        assert await ends(streams) == {(None, *RESTARTED): len(streams)}
        # The server stops only when what it handles is handled, and takes nobody else.
        assert server.is_running
        with pytest.raises(InvalidStatus) as refused:
            await opened(server, {"/listener": 1})
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["retry-after"] == "1"
        await let_go_on(server)
        assert await ends(handling) == {("done", *RESTARTED): len(handling)}

        status, counted, logged = await stopped(server)
        assert time.monotonic() - begun < LONG
        assert status == -signal.SIGTERM
        assert counted == {
            "opened": 200,
            "closed": 200,
            "on_disconnect 1012": 30,
            "connections that outlived the pool": 0,
        }
        assert [line for line in logged.splitlines() if "ERROR" in line or "Traceback" in line] == []

    with serving(ws) as server:
        run(test())


@every_implementation
def test_what_is_left_at_the_deadline_is_cancelled_and_closes_what_it_has_opened(ws: WebSocketImplementation) -> None:
    async def test() -> None:
        clients = [
            *await opened(server, {"/listener": 3, "/ahead": 3, "/class": 3, "/endpoint": 3}, says=True),
            *await opened(server, {"/ticking": 3}),
        ]
        begun = time.monotonic()
        server.terminate()
        assert await ends(clients) == {(None, *RESTARTED): 15}

        status, counted, logged = await stopped(server)
        assert 0.3 <= time.monotonic() - begun < LONG
        assert status == -signal.SIGTERM
        assert (counted["opened"], counted["closed"], counted["connections that outlived the pool"]) == (15, 15, 0)
        assert [line for line in logged.splitlines() if "ERROR" in line or "Traceback" in line] == []

    with serving(ws, deadline=0.3) as server:
        run(test())


@every_implementation
def test_a_second_one_stops_the_server_at_once(ws: WebSocketImplementation) -> None:
    async def test() -> None:
        handling = await opened(server, {"/listener": 3}, says=True)
        [idle] = await opened(server, {"/listener": 1})
        server.terminate()
        assert await ends([idle]) == {(None, *RESTARTED): 1}
        server.terminate()
        # uvicorn's own close, which waits for nothing.
        found = await ends(handling)
        assert {(last, code) for last, code, _ in found} == {(None, 1012)}

        status, counted, _ = await stopped(server)
        assert status == -signal.SIGTERM
        assert (counted["opened"], counted["closed"]) == (4, 4)

    with serving(ws, deadline=LONG, grace=1) as server:
        run(test())


@every_implementation
def test_a_client_that_does_not_read_does_not_keep_the_server(ws: WebSocketImplementation) -> None:
    """uvicorn waits for its TCP connection, as long as `timeout_graceful_shutdown` says."""

    async def test() -> None:
        with connect_raw(server.port, "/flood", receive_buffer=4096) as stalled:
            assert stalled.recv(12) == b"HTTP/1.1 101"
            [other] = await opened(server, {"/listener": 1})
            server.terminate()
            assert await ends([other]) == {(None, *RESTARTED): 1}
            status, counted, _ = await stopped(server)
        assert status == -signal.SIGTERM
        assert (counted["opened"], counted["closed"]) == (2, 2)

    with serving(ws, deadline=0.3, grace=1) as server:
        run(test())
