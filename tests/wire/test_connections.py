"""Which connections are open, and waiting for their ends."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager

import anyio
import pytest

from wsroute.testing import Peer
from wsroute.wire import connections
from wsroute.wire.connections import OPEN, all_ended, ended, open_connections
from wsroute.wire.session import Policy, session
from wsroute.wire.socket import Socket

pytestmark = pytest.mark.anyio


def open_socket() -> Socket:
    """A connection that is open, without a session."""
    peer = Peer()
    websocket = Socket(peer.scope, peer.receive, peer.send)
    OPEN[websocket] = threading.get_ident()
    return websocket


def of(*websockets: Socket) -> set[Socket]:
    """Those that are open of some connections."""
    return open_connections(websockets.__contains__)


@asynccontextmanager
async def waiting_for(*websockets: Socket) -> AsyncIterator[anyio.Event]:
    """Somebody waits until all of these have ended; the event tells that the wait is over."""
    over = anyio.Event()

    async def wait() -> None:
        await all_ended(set(websockets))
        over.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        yield over
        tasks.cancel_scope.cancel()


async def test_a_connection_is_open_while_its_session_runs() -> None:
    peer = Peer()
    websocket = Socket(peer.scope, peer.receive, peer.send)

    async def run(websocket: Socket) -> None:
        assert of(websocket) == {websocket}

    assert of(websocket) == set()
    await session(websocket, run, Policy())
    assert of(websocket) == set()
    assert websocket not in OPEN


async def test_a_session_that_fails_has_ended() -> None:
    peer = Peer()
    websocket = Socket(peer.scope, peer.receive, peer.send)

    async def run(websocket: Socket) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await session(websocket, run, Policy())
    assert websocket not in OPEN


async def test_what_only_relays_to_another_session_is_no_connection() -> None:
    peer = Peer()
    websocket = Socket(peer.scope, peer.receive, peer.send)
    websocket.has_inner_session = True

    async def run(websocket: Socket) -> None:
        assert of(websocket) == set()

    await session(websocket, run, Policy())


async def test_a_coroutine_that_is_thrown_away_has_ended() -> None:
    peer = Peer()
    websocket = Socket(peer.scope, peer.receive, peer.send)

    async def run(websocket: Socket) -> None:
        await Forever()

    class Forever:
        def __await__(self) -> Generator[None, None, None]:
            yield

    coroutine = session(websocket, run, Policy())
    coroutine.send(None)
    assert websocket in OPEN
    coroutine.close()
    assert websocket not in OPEN


async def test_waiting_for_none_is_no_waiting() -> None:
    gone = open_socket()
    ended(gone)

    with anyio.fail_after(1):
        await all_ended(set())
        await all_ended({gone})


async def test_the_wait_is_over_when_the_last_one_has_ended() -> None:
    one, other, third = open_socket(), open_socket(), open_socket()

    async with waiting_for(one, other) as over:
        ended(one)
        ended(third)
        await anyio.wait_all_tasks_blocked()
        assert not over.is_set()
        ended(other)
        await anyio.wait_all_tasks_blocked()
        assert over.is_set()


async def test_several_may_wait_for_the_same_connection() -> None:
    one, other = open_socket(), open_socket()

    async with waiting_for(one) as first, waiting_for(one, other) as second:
        ended(one)
        await anyio.wait_all_tasks_blocked()
        assert (first.is_set(), second.is_set()) == (True, False)
        ended(other)


async def test_a_wait_that_is_cancelled_leaves_nothing() -> None:
    one = open_socket()

    with anyio.move_on_after(0):
        await all_ended({one})
    assert connections._awaited == []
    ended(one)


async def test_to_end_twice_is_to_end_once() -> None:
    one, other = open_socket(), open_socket()

    async with waiting_for(one, other) as over:
        ended(one)
        ended(one)
        await anyio.wait_all_tasks_blocked()
        assert not over.is_set()
        ended(other)


async def test_the_connections_of_another_event_loop_are_its_own() -> None:
    """Nothing of one may be touched by the thread of the other: events and servers' protocols are not made for that."""
    here = open_socket()
    there: list[Socket] = []

    thread = threading.Thread(target=lambda: there.append(open_socket()))
    thread.start()
    thread.join()
    assert of(here, *there) == {here}

    async with waiting_for(here) as over:
        thread = threading.Thread(target=ended, args=there)
        thread.start()
        thread.join()
        await anyio.wait_all_tasks_blocked()
        assert not over.is_set()
        ended(here)
