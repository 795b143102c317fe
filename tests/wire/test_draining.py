"""How connections end together when the server stops: what the client is told, and what their endpoints see."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocketDisconnect

from wsroute.dependencies.exits import Exits, Items
from wsroute.testing import Peer
from wsroute.wire import draining
from wsroute.wire import session as session_module
from wsroute.wire.draining import drain
from wsroute.wire.policy import Policy
from wsroute.wire.session import run_background, session
from wsroute.wire.socket import Socket

pytestmark = pytest.mark.anyio

Run = Callable[[Socket], Awaitable[None]]
RESTARTED = (1012, "Service restart")


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cancelled, and never ends, is not waited for long."""
    monkeypatch.setattr(draining, "CLEAN_UP", 0.1)
    monkeypatch.setattr(session_module, "CUT_OFF_TIMEOUT", 0.05)


class Connection:
    """A connection whose session runs in a task.

    Attributes:
        peer: The server with its client.
        websocket: The WebSocket.
        raised: What has come out of the session.
        has_ended: Whether the session has.
    """

    def __init__(self, run: Run, policy: Policy = Policy(), **options: Any) -> None:
        self.peer = Peer(**options)
        self.websocket = Socket(self.peer.scope, self.peer.receive, self.peer.send)
        self.raised: BaseException | None = None
        self.has_ended = False
        self._run, self._policy = run, policy

    async def serve(self) -> None:
        try:
            await session(self.websocket, self._run, self._policy)
        except BaseException as exc:
            self.raised = exc
            raise
        finally:
            self.has_ended = True


@asynccontextmanager
async def running(*connections: Connection) -> AsyncIterator[None]:
    """These connections run, as far as they come by themselves."""
    async with anyio.create_task_group() as tasks:
        for connection in connections:
            tasks.start_soon(connection.serve)
        await anyio.wait_all_tasks_blocked()
        yield


@asynccontextmanager
async def draining_of(*connections: Connection, deadline: float = 10) -> AsyncIterator[anyio.Event]:
    """These connections are drained meanwhile; the event tells that the drain has come back."""
    done = anyio.Event()

    async def call() -> None:
        await drain({connection.websocket for connection in connections}, deadline)
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        yield done


async def drained(*connections: Connection, deadline: float = 10) -> None:
    with anyio.fail_after(5):
        await drain({connection.websocket for connection in connections}, deadline)
    assert all(connection.has_ended for connection in connections)


# Who waits for its client


async def by_receive(websocket: Socket) -> None:
    message = await websocket.receive()
    assert message["type"] == "websocket.disconnect"
    raise WebSocketDisconnect(message["code"])


async def by_text(websocket: Socket) -> None:
    await websocket.receive_text()


async def by_bytes(websocket: Socket) -> None:
    await websocket.receive_bytes()


async def by_json(websocket: Socket) -> None:
    await websocket.receive_json()


async def by_binary_json(websocket: Socket) -> None:
    await websocket.receive_json("binary")


async def by_iteration(websocket: Socket) -> None:
    async for _ in websocket.iter_text():
        raise AssertionError("there was a message")
    raise WebSocketDisconnect(1012)


async def by_iteration_of_bytes(websocket: Socket) -> None:
    async for _ in websocket.iter_bytes():
        raise AssertionError("there was a message")
    raise WebSocketDisconnect(1012)


every_way = pytest.mark.parametrize(
    "wait", [by_receive, by_text, by_bytes, by_json, by_binary_json, by_iteration, by_iteration_of_bytes]
)


@every_way
async def test_it_is_closed_at_once_and_its_endpoint_sees_a_disconnect(wait: Run) -> None:
    seen: list[int] = []

    async def run(websocket: Socket) -> None:
        await websocket.accept()
        try:
            await wait(websocket)
        except WebSocketDisconnect as left:
            seen.append(left.code)
            raise

    connection = Connection(run)
    async with running(connection):
        await drained(connection)
    assert connection.peer.closed == RESTARTED
    assert seen == [1012]
    assert connection.websocket.end == RESTARTED


@every_way
async def test_who_asks_for_a_message_afterwards_gets_a_disconnect_and_the_client_the_close(wait: Run) -> None:
    seen: list[int] = []
    handled = anyio.Event()

    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await handled.wait()
        await websocket.send_text("handled")
        try:
            await wait(websocket)
        except WebSocketDisconnect as left:
            seen.append(left.code)
            raise

    connection = Connection(run)
    connection.peer.say("not read any more")
    async with running(connection), draining_of(connection) as done:
        assert (connection.peer.closed, done.is_set()) == (None, False)
        handled.set()
        await done.wait()
    assert connection.peer.frames == ["handled"]
    assert connection.peer.closed == RESTARTED
    assert seen == [1012]


@every_way
async def test_a_wait_that_was_given_up_is_no_waiting(wait: Run) -> None:
    handled = anyio.Event()

    async def run(websocket: Socket) -> None:
        await websocket.accept()
        with anyio.move_on_after(0):
            await wait(websocket)
        await handled.wait()
        await websocket.send_text("handled")

    connection = Connection(run)
    async with running(connection), draining_of(connection) as done:
        assert (connection.peer.closed, done.is_set()) == (None, False)
        handled.set()
        await done.wait()
    assert connection.peer.frames == ["handled"]
    assert connection.peer.closed == (1000, "")


async def test_a_message_that_comes_in_time_is_handled() -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await anyio.lowlevel.checkpoint()
            await websocket.send_text(text)

    connection = Connection(run)
    async with running(connection), anyio.create_task_group() as tasks:
        # The drain sees one that waits; before it closes it, the message is there.
        tasks.start_soon(drained, connection)
        connection.peer.say("hello")
    assert connection.peer.frames == ["hello"]
    assert connection.peer.closed == RESTARTED


async def test_a_peer_that_does_not_take_the_close_is_cut_off() -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    connection = Connection(run, Policy(close_timeout=0.05))
    async with running(connection):
        connection.peer.block()
        await drained(connection, deadline=1000)
    assert connection.peer.closed is None


async def test_a_peer_that_does_not_take_the_close_of_the_next_receive_is_not_waited_for() -> None:
    handled = anyio.Event()

    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await handled.wait()
        with pytest.raises(WebSocketDisconnect):
            await websocket.receive_text()

    connection = Connection(run, Policy(close_timeout=0.05))
    async with running(connection), draining_of(connection, deadline=1000) as done:
        connection.peer.block()
        handled.set()
        with anyio.fail_after(5):
            await done.wait()
    assert connection.has_ended


async def test_a_close_that_fails_is_logged_and_keeps_no_other_from_being_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    broken, *others = [Connection(run) for _ in range(5)]
    async with running(broken, *others):
        broken.peer.fail(ValueError("a server's own"))
        await drained(broken, *others)
    assert [other.peer.closed for other in others] == [RESTARTED] * 4
    [record] = caplog.records
    assert record.getMessage() == "a connection could not be ended as it should"


async def test_a_peer_that_has_gone_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    connection = Connection(run)
    async with running(connection):
        connection.peer.fail(OSError())
        async with draining_of(connection):
            connection.peer.leave()
    assert caplog.records == []


# Who has not been accepted


async def test_it_is_refused_with_the_time_to_come_again() -> None:
    goes_on = anyio.Event()
    seen: list[BaseException] = []

    async def run(websocket: Socket) -> None:
        await goes_on.wait()
        try:
            await websocket.accept()
        except HTTPException as refusal:
            seen.append(refusal)
            raise

    connection = Connection(run)
    async with running(connection), draining_of(connection) as done:
        assert not done.is_set()
        goes_on.set()
    denial = connection.peer.denial
    assert denial is not None
    assert (denial.status, denial.json(), denial.header("retry-after")) == (503, {"detail": "Service restart"}, ["1"])
    assert len(seen) == 1
    assert connection.raised is None


@pytest.mark.parametrize("headers", [None, [(b"x-a", b"1")]])
@pytest.mark.parametrize(
    ("reject", "sent"),
    [("denial", "websocket.http.response.start"), ("close", "websocket.close"), ("accept", "websocket.accept")],
)
async def test_it_is_refused_as_the_route_says(reject: Any, sent: str, headers: Any) -> None:
    goes_on = anyio.Event()

    async def run(websocket: Socket) -> None:
        await goes_on.wait()
        await websocket.accept(headers=headers)

    connection = Connection(run, Policy(reject))
    async with running(connection), draining_of(connection):
        goes_on.set()
    assert connection.peer.sent[0]["type"] == sent
    assert connection.peer.closed == (None if reject == "denial" else RESTARTED)


@pytest.mark.parametrize("reject", ["denial", "close", "accept"])
async def test_who_is_refused_for_another_reason_is_told_that_one(
    reject: Any, caplog: pytest.LogCaptureFixture
) -> None:
    goes_on = anyio.Event()

    async def run(websocket: Socket) -> None:
        await goes_on.wait()
        raise HTTPException(401, "no token")

    connection = Connection(run, Policy(reject))
    async with running(connection), draining_of(connection):
        goes_on.set()
    if reject == "denial":
        assert connection.peer.denial is not None and connection.peer.denial.status == 401
    else:
        assert connection.peer.closed == (1008, "no token")
    assert caplog.records == []


async def test_who_accepts_all_the_same_is_closed_when_it_asks_for_a_message() -> None:
    goes_on = anyio.Event()

    async def run(websocket: Socket) -> None:
        await goes_on.wait()
        with pytest.raises(HTTPException):
            await websocket.accept()
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.receive_text()

    connection = Connection(run)
    async with running(connection), draining_of(connection):
        goes_on.set()
    assert connection.peer.frames == ["hello"]
    assert connection.peer.closed == RESTARTED


async def test_who_waits_for_its_client_before_the_accept_is_cut_off_and_refused() -> None:
    async def run(websocket: Socket) -> None:
        assert (await websocket.receive())["type"] == "websocket.connect"
        await websocket.receive()

    connection = Connection(run)
    async with running(connection), draining_of(connection, deadline=0):
        pass
    assert connection.peer.denial is not None and connection.peer.denial.status == 503


# The deadline


def opened_dependency(log: list[str], clean_up: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint) -> Run:
    """What runs an endpoint that waits for ever, with a dependency that is closed after it."""

    async def dependency() -> AsyncIterator[None]:
        try:
            yield
        except BaseException as exc:
            log.append(type(exc).__name__)
            raise
        finally:
            await clean_up()
            log.append("closed")

    async def run(websocket: Socket) -> None:
        async with Exits("endpoint") as connection:
            await connection.start(dependency())  # type: ignore[arg-type]  # an asynchronous generator
            await websocket.accept()
            await anyio.sleep_forever()

    return run


async def test_what_is_left_is_cancelled_and_closes_what_it_has_opened() -> None:
    log: list[str] = []
    connection = Connection(opened_dependency(log))

    async with running(connection):
        await drained(connection, deadline=0.05)
    assert log in (["CancelledError", "closed"], ["Cancelled", "closed"])
    assert connection.peer.closed == RESTARTED
    assert not isinstance(connection.raised, Exception)


async def test_nothing_comes_out_of_a_connection_that_was_cut_off() -> None:
    """Servers log whatever does, a cancellation as well."""
    connection = Connection(opened_dependency([]))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.serve)
        await anyio.wait_all_tasks_blocked()
        await drained(connection, deadline=0)
        await anyio.lowlevel.checkpoint()  # a cancellation that is left over would come here
    assert connection.raised is None


async def test_before_the_accept_it_is_refused() -> None:
    async def run(websocket: Socket) -> None:
        await anyio.sleep_forever()

    connection = Connection(run)
    async with running(connection):
        await drained(connection, deadline=0)
    assert connection.peer.denial is not None
    assert (connection.peer.denial.status, connection.peer.denial.header("retry-after")) == (503, ["1"])


async def test_a_peer_that_does_not_read_takes_no_more_time() -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        connection.peer.block()
        await websocket.send_text("x")

    connection = Connection(run, Policy(close_timeout=1000))
    async with running(connection):
        await drained(connection, deadline=0)
    assert connection.peer.closed is None


async def test_clean_up_that_takes_its_time_is_waited_for() -> None:
    log: list[str] = []

    async def commit() -> None:
        await anyio.sleep(0.05)
        log.append("committed")

    connection = Connection(opened_dependency(log, commit))
    async with running(connection):
        await drained(connection, deadline=0)
    assert log[1:] == ["committed", "closed"]


async def ends_and_closes(websocket: Socket, closing: Callable[[], Awaitable[None]]) -> None:
    async def dependency() -> AsyncIterator[None]:
        yield
        await closing()

    async with Exits("endpoint") as connection:
        await connection.start(dependency())  # type: ignore[arg-type]  # an asynchronous generator
        await websocket.accept()


async def ends_and_has_tasks(websocket: Socket, closing: Callable[[], Awaitable[None]]) -> None:
    await websocket.accept()
    await run_background(BackgroundTask(closing))


async def leaves_a_generator(websocket: Socket, closing: Callable[[], Awaitable[None]]) -> None:
    async def items() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await closing()

    await websocket.accept()
    async with Items(items()) as generator:  # type: ignore[arg-type]  # an asynchronous generator
        await anext(generator)


@pytest.mark.parametrize("end", [ends_and_closes, ends_and_has_tasks, leaves_a_generator])
async def test_clean_up_that_runs_already_is_not_cut_short(end: Any) -> None:
    goes_on = anyio.Event()
    log: list[str] = []

    async def closing() -> None:
        await goes_on.wait()
        await anyio.lowlevel.checkpoint()
        log.append("closed")

    async def run(websocket: Socket) -> None:
        await end(websocket, closing)

    connection = Connection(run)
    async with running(connection):
        draining._cut_off({connection.websocket})
        await anyio.wait_all_tasks_blocked()
        goes_on.set()
    assert log == ["closed"]
    assert connection.raised is None


async def test_of_several_drains_the_first_deadline_counts_and_nothing_is_cancelled_twice() -> None:
    goes_on = anyio.Event()
    log: list[str] = []

    async def commit() -> None:
        await goes_on.wait()
        log.append("committed")

    connection = Connection(opened_dependency(log, commit))
    async with running(connection):
        async with draining_of(connection, deadline=1000) as late:
            for _ in range(2):
                draining._cut_off({connection.websocket})
                await anyio.wait_all_tasks_blocked()
            async with draining_of(connection, deadline=0):
                goes_on.set()
            await late.wait()
    assert log[1:] == ["committed", "closed"]
    assert not isinstance(connection.raised, Exception)


async def test_who_swallows_its_cancellation_is_named_and_not_waited_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    goes_on = anyio.Event()

    async def run(websocket: Socket) -> None:
        await websocket.accept()
        with anyio.CancelScope(shield=True):
            while not goes_on.is_set():
                try:
                    await goes_on.wait()
                except BaseException:
                    pass

    stubborn = [Connection(run, target=path) for path in ("/b", "/a", "/a")]
    async with running(*stubborn):
        await drain({connection.websocket for connection in stubborn}, 0)
        goes_on.set()
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "connections have not ended, though they were cancelled 0.1 s ago: /a, /b"


async def test_tasks_of_an_endpoint_end_with_it() -> None:
    log: list[str] = []

    async def ticks(websocket: Socket) -> None:
        try:
            while True:
                await websocket.send_text("tick")
                await anyio.sleep(0.01)
        finally:
            log.append("ticks")

    async def run(websocket: Socket) -> None:
        await websocket.accept()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ticks, websocket)
                tasks.start_soon(anyio.sleep_forever)
        finally:
            log.append("endpoint")

    connection = Connection(run)
    async with running(connection):
        await drained(connection, deadline=0.03)
    assert log == ["ticks", "endpoint"]
    assert connection.peer.closed == RESTARTED


async def test_a_task_that_waits_for_the_client_ends_the_others() -> None:
    async def ticks(websocket: Socket) -> None:
        while True:
            await websocket.send_text("tick")
            await anyio.sleep(0.001)

    async def read(websocket: Socket) -> None:
        await websocket.receive_text()

    async def run(websocket: Socket) -> None:
        await websocket.accept()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ticks, websocket)
            tasks.start_soon(read, websocket)

    connection = Connection(run)
    async with running(connection):
        await drained(connection)
    assert connection.peer.closed == RESTARTED
    assert connection.raised is None


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_of_somebody_elses_at_the_same_time_comes_out(anyio_backend: str) -> None:
    connection = Connection(opened_dependency([]))
    task = asyncio.create_task(connection.serve())
    await anyio.wait_all_tasks_blocked()

    draining._cut_off({connection.websocket})
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert connection.peer.closed == RESTARTED


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_around_a_connection_that_was_cut_off_goes_on(anyio_backend: str) -> None:
    connection = Connection(opened_dependency([]))

    async def around() -> int:
        async with asyncio.timeout(10):
            await connection.serve()
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    outer = asyncio.create_task(around())
    await anyio.wait_all_tasks_blocked()
    await drained(connection, deadline=0)
    assert await outer == 0


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_who_runs_a_connection_behind_a_generators_back_has_it_named(
    anyio_backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Python does not tell what such a generator waits for, so that its task is not found."""
    connection = Connection(opened_dependency([]))

    async def hidden() -> AsyncIterator[None]:
        await connection.serve()
        yield

    async def outside() -> None:
        async for _ in hidden():
            pass

    task = asyncio.create_task(outside())
    await anyio.wait_all_tasks_blocked()
    await drain({connection.websocket}, 0)
    assert [record.getMessage() for record in caplog.records] == [
        "connections have not ended, though they were cancelled 0.1 s ago: /"
    ]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# Who calls it


async def test_draining_nothing_is_done_at_once() -> None:
    with anyio.fail_after(1):
        await drain(set(), 1000)


async def test_a_connection_may_drain_itself_and_others() -> None:
    async def waiting(websocket: Socket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await drained_by(websocket)
        await websocket.send_text("done")
        await websocket.receive_text()

    async def drained_by(websocket: Socket) -> None:
        with anyio.fail_after(5):
            await drain({websocket, other.websocket}, 1000)

    other = Connection(waiting)
    async with running(other):
        calling = Connection(run)
        await calling.serve()
    assert (other.peer.closed, calling.peer.closed) == (RESTARTED, RESTARTED)
    assert calling.peer.frames == ["done"]
