"""A connection with a scripted client: what the application gets, what is kept of what it sends, and what fails."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.testing.test_places import wait
from wsroute import APIWebSocketRoute, HTTPException, WebSocket
from wsroute.testing import Close, DeadlinePassed, IllegalMessage, Peer, fake_clock

pytestmark = pytest.mark.anyio

ACCEPT = {"type": "websocket.accept"}
CONNECT = {"type": "websocket.connect"}


class Sending:
    """An application that sends some messages, and returns.

    Args:
        messages: What it sends.
        swallows: Whether it goes on when it is told that a message is illegal.
    """

    def __init__(self, *messages: Message, swallows: bool = False) -> None:
        self.messages = messages
        self.swallows = swallows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for message in self.messages:
            try:
                await send(message)
            except IllegalMessage:
                if not self.swallows:
                    raise


class Reading:
    """An application that accepts, and keeps what it receives until the client leaves."""

    def __init__(self) -> None:
        self.received: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        while not self.received or self.received[-1]["type"] != "websocket.disconnect":
            self.received.append(await receive())


async def test_what_the_client_does_is_received_in_order() -> None:
    app = Reading()
    await Peer().say("text", b"bytes").leave(3000, "Bye").serve(app)
    assert app.received == [
        CONNECT,
        {"type": "websocket.receive", "text": "text"},
        {"type": "websocket.receive", "bytes": b"bytes"},
        {"type": "websocket.disconnect", "code": 3000, "reason": "Bye"},
    ]


async def test_what_no_server_delivers_can_be_delivered() -> None:
    app = Reading()
    await Peer().deliver({"type": "websocket.unheard_of"}).leave().serve(app)
    assert app.received[1] == {"type": "websocket.unheard_of"}


async def test_the_client_may_go_on_while_the_application_runs() -> None:
    app, peer = Reading(), Peer()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.serve, app)
        await anyio.wait_all_tasks_blocked()
        assert app.received == [CONNECT]
        peer.say("late")
        await anyio.wait_all_tasks_blocked()
        assert app.received[1:] == [{"type": "websocket.receive", "text": "late"}]
        peer.leave()


def test_a_script_is_written_before_an_event_loop_runs() -> None:
    app, peer = Reading(), Peer().say("early")
    anyio.run(peer.leave().serve, app)
    assert app.received[1] == {"type": "websocket.receive", "text": "early"}


async def test_what_got_through_is_kept() -> None:
    messages: list[Message] = [
        {**ACCEPT, "subprotocol": None},
        {"type": "websocket.send", "text": "text"},
        {"type": "websocket.send", "bytes": b"bytes", "text": None},
        {"type": "websocket.send", "bytes": bytearray(b"array")},
        {"type": "websocket.close", "code": 3000, "reason": "Bye"},
    ]
    peer = await Peer().serve(Sending(*messages))
    assert peer.sent == messages
    assert peer.accepted == messages[0]
    assert peer.frames == ["text", b"bytes", b"array"]
    assert (peer.closed, peer.denial) == (Close(3000, "Bye"), None)


async def test_before_anything_was_sent_there_is_nothing() -> None:
    peer = Peer()
    assert (peer.sent, peer.frames, peer.accepted, peer.closed, peer.denial) == ([], [], None, None, None)


@pytest.mark.parametrize("rest", [{}, {"code": 1000, "reason": None}])
async def test_a_close_that_says_nothing_is_1000(rest: Mapping[str, Any]) -> None:
    peer = await Peer().serve(Sending(ACCEPT, {"type": "websocket.close", **rest}))
    assert peer.closed == Close(1000, "")


async def test_a_close_before_the_accept_is_no_denial() -> None:
    peer = await Peer().serve(Sending({"type": "websocket.close", "code": 1008, "reason": "no"}))
    assert (peer.accepted, peer.closed, peer.denial) == (None, Close(1008, "no"), None)


async def refusing(websocket: WebSocket) -> None:
    raise HTTPException(401, "Who are you?", {"WWW-Authenticate": "Bearer"})


async def test_a_denial_is_a_response() -> None:
    denial = (await Peer().serve(APIWebSocketRoute("/", refusing))).denial
    assert denial is not None
    assert (denial.status, denial.json()) == (401, {"detail": "Who are you?"})
    assert denial.header("WWW-Authenticate") == denial.header("www-authenticate") == ["Bearer"]
    assert denial.header("x-other") == []


async def test_a_denial_has_all_values_of_a_header_and_all_parts_of_its_body() -> None:
    peer = await Peer().serve(
        Sending(
            {"type": "websocket.http.response.start", "status": 403, "headers": [(b"X-A", b"1"), (b"x-a", b"2")]},
            {"type": "websocket.http.response.body", "body": b'{"a"', "more_body": True},
            {"type": "websocket.http.response.body", "body": b": 1}"},
        )
    )
    assert peer.denial is not None
    assert (peer.denial.header("x-a"), peer.denial.json()) == (["1", "2"], {"a": 1})


async def test_a_server_without_the_extension_gets_a_close() -> None:
    peer = await Peer(denials=False).serve(APIWebSocketRoute("/", refusing))
    assert (peer.denial, peer.closed) == (None, Close(1008, "Who are you?"))


@pytest.mark.parametrize("headers", [{"X-A": "1"}, [("X-A", "1")]])
async def test_the_handshake_is_what_was_said_and_no_more(headers: Any) -> None:
    scope = Peer("/a%20b?c=%20", headers=headers).scope
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"c=%20")
    assert scope["headers"] == [(b"x-a", b"1")]


async def test_the_scope_may_have_further_keys_and_other_values() -> None:
    scope = Peer(scope={"scheme": "wss", "app": "an application"}).scope
    assert (scope["scheme"], scope["app"], scope["type"]) == ("wss", "an application", "websocket")


async def test_sends_fail_for_a_while() -> None:
    peer = Peer()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        peer.fail(OSError("gone"))
        with pytest.raises(OSError, match="gone"):
            await send({"type": "websocket.send", "text": "lost"})
        peer.fail(None)
        await send({"type": "websocket.send", "text": "heard"})

    await peer.serve(app)
    assert peer.frames == ["heard"]


async def test_sends_block() -> None:
    peer = Peer()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        peer.block()
        with anyio.move_on_after(0.01) as limit:
            await send({"type": "websocket.send", "text": "never"})
        assert limit.cancelled_caught

    await peer.serve(app)
    assert peer.sent == [ACCEPT]


async def test_there_is_no_limit_to_what_a_peer_is_sent() -> None:
    frames = [{"type": "websocket.send", "text": str(number)} for number in range(3000)]
    peer = await Peer().serve(Sending(ACCEPT, *frames))
    assert len(peer.frames) == 3000


@pytest.mark.parametrize("swallows", [False, True])
async def test_what_may_not_be_sent_fails_even_if_the_application_does_not_care(swallows: bool) -> None:
    peer = Peer()
    app = Sending(ACCEPT, {"type": "websocket.close", "code": 1006}, swallows=swallows)
    with pytest.raises(IllegalMessage, match=r"the application sent close code 1006, which may not be sent"):
        await peer.serve(app)
    assert peer.sent == [ACCEPT]


async def test_what_the_application_raises_is_raised() -> None:
    async def failing(websocket: WebSocket) -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        await Peer().serve(APIWebSocketRoute("/", failing))


async def endless(websocket: WebSocket) -> None:
    await websocket.accept()
    await wait()


async def test_an_application_that_does_not_end_is_cancelled_and_shown() -> None:
    peer = Peer("/?room=7").say("Hello")
    with pytest.raises(DeadlinePassed) as failure:
        await peer.serve(APIWebSocketRoute("/", endless), within=0.05)
    problem, place, source, *rest = str(failure.value).splitlines()
    assert problem == "the application did not end within 0.05 s"
    assert place.startswith("  the application waits in wait at tests/testing/test_places.py:")
    assert source == "      await anyio.sleep_forever()"
    assert rest == [
        "  transcript of /?room=7",
        "    client      sends 'Hello'",
        "    application accepts",
        "    application closes with 1001 ''",
    ]


async def test_its_time_is_that_of_the_event_loop() -> None:
    async def sleeping(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep(1000)

    async with fake_clock() as clock, anyio.create_task_group() as tasks:

        async def advance() -> None:
            await anyio.wait_all_tasks_blocked()
            await clock.advance(999)

        tasks.start_soon(advance)
        with pytest.raises(DeadlinePassed, match=r"the application did not end within 999 s\n"):
            await Peer().serve(sleeping, within=999)


async def test_the_application_runs_in_the_task_of_the_caller() -> None:
    found: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(anyio.get_current_task().id)
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                await anyio.wait_all_tasks_blocked()
                scope.cancel()

            tasks.start_soon(cancel)
            await Peer().serve(app)
    assert scope.cancelled_caught
    assert found == [anyio.get_current_task().id]


async def test_no_task_is_left_of_what_has_ended() -> None:
    before = {task.id for task in anyio.get_running_tasks()}
    await Peer().serve(Sending(ACCEPT))
    assert {task.id for task in anyio.get_running_tasks()} == before


def test_httpx_is_not_needed() -> None:
    code = (
        "import sys; sys.modules['httpx'] = None\n"
        "import anyio\n"
        "from wsroute.testing import Peer\n"
        "async def app(scope, receive, send): await send({'type': 'websocket.close'})\n"
        "peer = Peer('/')\n"
        "anyio.run(peer.serve, app)\n"
        "print(peer.closed.code)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=20)
    assert done.stdout.strip() == "1000"
