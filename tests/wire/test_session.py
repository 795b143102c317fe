"""How connections end, in process: every row of the table, and what may go wrong meanwhile."""

from __future__ import annotations

import gc
import logging
import math
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.exceptions import HTTPException, WebSocketException
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import WebSocketRoute
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from wsroute.exceptions import SwallowedExceptionError, WebSocketRequestValidationError
from wsroute.testing import Peer
from wsroute.wire.handlers import HandlerTable
from wsroute.wire.session import Policy, finish, run_background, session
from wsroute.wire.socket import Socket, socket_class

pytestmark = pytest.mark.anyio

Run = Callable[[Socket], Awaitable[None]]
Reject = Literal["denial", "close", "accept"]

#: Long for a computer, and short for a test that waits for its end.
SHORT = 0.05


async def serve(peer: Peer, run: Run, policy: Policy = Policy(), base: type[WebSocket] = WebSocket) -> Socket:
    """Run a session on a peer, and hand out its WebSocket."""
    found: list[Socket] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(socket_class(base)(scope, receive, send))
        await session(found[0], run, policy)

    await peer.serve(app)
    return found[0]


async def returning(websocket: Socket) -> None:
    pass


async def accepting(websocket: Socket) -> None:
    await websocket.accept()


def raising(exc: BaseException, *, accept: bool) -> Run:
    async def run(websocket: Socket) -> None:
        if accept:
            await websocket.accept()
        raise exc

    return run


def handlers(by: dict[Any, Any]) -> dict[str, Any]:
    """What an application with these exception handlers adds to the scope."""
    codes = {key: handler for key, handler in by.items() if isinstance(key, int)}
    return {"starlette.exception_handlers": ({key: by[key] for key in by if key not in codes}, codes)}


VALIDATION = {"type": "missing", "loc": ("query", "limit"), "msg": "Field required"}


def validation_error() -> Exception:
    return WebSocketRequestValidationError([{**VALIDATION, "input": "secret", "ctx": {"e": "secret"}}])


# What is raised, what of it a denial tells, and what a close.
ROWS = [
    pytest.param(
        validation_error,
        (422, {"detail": [{**VALIDATION, "loc": ["query", "limit"]}]}),
        (1008, "Invalid handshake parameters"),
        id="validation",
    ),
    pytest.param(lambda: HTTPException(404, "no room"), (404, {"detail": "no room"}), (1008, "no room"), id="404"),
    pytest.param(lambda: HTTPException(404), (404, {"detail": "Not Found"}), (1008, "Not Found"), id="404 phrase"),
    pytest.param(
        lambda: HTTPException(403, {"why": [1]}),  # type: ignore[arg-type]  # FastAPI's takes anything
        (403, {"detail": {"why": [1]}}),
        (1008, "Forbidden"),
        id="structured",
    ),
    pytest.param(lambda: HTTPException(503, "later"), (503, {"detail": "later"}), (1011, "later"), id="503"),
    pytest.param(
        lambda: WebSocketException(4001, "why"), (403, {"code": 4001, "reason": "why"}), (4001, "why"), id="code"
    ),
    pytest.param(
        lambda: ExceptionGroup("", [ExceptionGroup("", [WebSocketException(4001, "why")])]),
        (403, {"code": 4001, "reason": "why"}),
        (4001, "why"),
        id="group",
    ),
]
Make = Callable[[], Exception]


# Returned


async def test_a_session_that_was_accepted_ends_with_1000() -> None:
    peer = Peer()
    websocket = await serve(peer, accepting)
    assert peer.closed == (1000, "")
    assert websocket.ended


async def test_a_session_that_was_never_accepted_is_refused_with_403() -> None:
    peer = Peer()
    await serve(peer, returning)
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.json()) == (403, {"detail": "Forbidden"})
    assert peer.denial.header("content-type") == ["application/json"]


@pytest.mark.parametrize("accept", [False, True])
async def test_what_the_endpoint_ended_is_left_alone(accept: bool) -> None:
    async def run(websocket: Socket) -> None:
        if accept:
            await websocket.accept()
        await websocket.close(4000, "mine")

    peer = Peer()
    await serve(peer, run)
    assert peer.closed == (4000, "mine")


async def test_a_denial_of_the_endpoints_own_is_left_alone() -> None:
    async def run(websocket: Socket) -> None:
        await websocket.send_denial_response(PlainTextResponse("mine", 418))

    peer = Peer()
    await serve(peer, run)
    assert peer.denial is not None and (peer.denial.status, peer.denial.body) == (418, b"mine")


@pytest.mark.parametrize("accept", [False, True])
async def test_an_end_that_run_asks_for_itself_comes_before_its_clean_up(accept: bool) -> None:
    async def run(websocket: Socket) -> None:
        if accept:
            await websocket.accept()
        await finish(websocket)
        await finish(websocket)
        peer.sent.append({"type": "clean-up"})

    peer = Peer()
    websocket = await serve(peer, run)
    types = [message["type"].rpartition(".")[2] for message in peer.sent]
    assert types == (["accept", "close", "clean-up"] if accept else ["start", "body", "clean-up"])
    assert websocket.ended


# Exceptions


@pytest.mark.parametrize(("make", "denial", "close"), ROWS)
async def test_an_exception_before_the_accept_is_a_denial(make: Make, denial: Any, close: Any) -> None:
    peer = Peer()
    await serve(peer, raising(make(), accept=False))
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.json()) == denial
    assert b"secret" not in peer.denial.body


@pytest.mark.parametrize(("make", "denial", "close"), ROWS)
async def test_an_exception_after_the_accept_is_a_close(make: Make, denial: Any, close: Any) -> None:
    peer = Peer()
    await serve(peer, raising(make(), accept=True))
    assert peer.closed == close


@pytest.mark.parametrize(("make", "denial", "close"), ROWS)
@pytest.mark.parametrize(("reject", "denials"), [("close", True), ("denial", False)])
async def test_where_no_denial_can_or_shall_be_sent_the_handshake_is_closed(
    make: Make, denial: Any, close: Any, reject: Reject, denials: bool
) -> None:
    peer = Peer(denials=denials)
    await serve(peer, raising(make(), accept=False), Policy(reject=reject))
    assert (peer.accepted, peer.closed) == (None, close)


@pytest.mark.parametrize(("make", "denial", "close"), ROWS)
async def test_for_a_browsers_script_the_handshake_is_accepted_and_closed(make: Make, denial: Any, close: Any) -> None:
    peer = Peer()
    await serve(peer, raising(make(), accept=False), Policy(reject="accept"))
    assert [message["type"] for message in peer.sent] == ["websocket.accept", "websocket.close"]
    assert peer.closed == close


@pytest.mark.parametrize(("reject", "denials"), [("close", True), ("accept", True), ("denial", False)])
async def test_a_session_that_was_never_accepted_is_refused_in_the_way_of_its_policy(
    reject: Reject, denials: bool
) -> None:
    peer = Peer(denials=denials)
    await serve(peer, returning, Policy(reject=reject))
    assert peer.closed == (1008, "Forbidden")
    assert (peer.accepted is not None) is (reject == "accept")


async def test_the_headers_of_an_http_exception_go_out() -> None:
    peer = Peer()
    await serve(peer, raising(HTTPException(401, headers={"WWW-Authenticate": "Bearer"}), accept=False))
    assert peer.denial is not None and peer.denial.header("www-authenticate") == ["Bearer"]


@pytest.mark.parametrize("reject", ["denial", "accept"])
async def test_the_headers_of_the_injected_response_go_out_with_a_refusal(reject: Reject) -> None:
    async def run(websocket: Socket) -> None:
        websocket.handshake_response = Response("x", headers={"X-A": "1"}, media_type="text/plain")
        websocket.handshake_response.set_cookie("c", "v")
        raise HTTPException(401)

    peer = Peer()
    await serve(peer, run, Policy(reject=reject))
    headers = peer.sent[0]["headers"]
    assert (b"x-a", b"1") in headers
    assert (b"set-cookie", b"c=v; Path=/; SameSite=lax") in headers
    assert (b"content-type", b"text/plain") not in headers


async def test_a_refusal_with_the_status_of_an_acceptance_is_500_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    peer = Peer()
    await serve(peer, raising(HTTPException(200, "fine"), accept=False))
    assert peer.denial is not None and peer.denial.status == 500
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_refusal_that_cannot_be_built_still_refuses(caplog: pytest.LogCaptureFixture) -> None:
    exc = HTTPException(401, headers=[("a", "b")])  # type: ignore[arg-type]  # a mistake of the application
    peer = Peer()
    await serve(peer, raising(exc, accept=False))
    assert peer.closed == (1008, "Unauthorized")
    assert "AttributeError" in caplog.text


# Bugs


@pytest.mark.parametrize("accept", [False, True])
async def test_a_bug_is_told_in_general_terms_and_raised_on(accept: bool, caplog: pytest.LogCaptureFixture) -> None:
    bug = ValueError("secret")
    peer = Peer()
    with pytest.raises(ValueError) as caught:
        await serve(peer, raising(bug, accept=accept))
    assert caught.value is bug
    assert bug.__context__ is None
    assert "run" in [frame.name for frame in traceback.extract_tb(bug.__traceback__)]
    if accept:
        assert peer.closed == (1011, "Internal Server Error")
    else:
        assert peer.denial is not None
        assert (peer.denial.status, peer.denial.json()) == (500, {"detail": "Internal Server Error"})
    # The server logs it; a second time would be once too often.
    assert not caplog.records


@pytest.mark.parametrize("reject", ["close", "accept"])
async def test_a_bug_before_the_accept_is_told_in_the_way_of_the_policy(reject: Reject) -> None:
    peer = Peer()
    with pytest.raises(ValueError, match="secret"):
        await serve(peer, raising(ValueError("secret"), accept=False), Policy(reject=reject))
    assert peer.closed == (1011, "Internal Server Error")


async def test_a_bug_after_the_end_is_raised_on() -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await websocket.close(4000)
        raise RuntimeError("a bug")

    peer = Peer()
    with pytest.raises(RuntimeError, match="a bug"):
        await serve(peer, run)
    assert peer.closed == (4000, "")


async def test_several_exceptions_of_a_group_are_a_bug() -> None:
    group = ExceptionGroup("", [HTTPException(404), WebSocketException(4001)])
    peer = Peer()
    with pytest.raises(ExceptionGroup) as caught:
        await serve(peer, raising(group, accept=True))
    assert caught.value is group
    assert peer.closed == (1011, "Internal Server Error")


@pytest.mark.parametrize("failure", [ConnectionResetError("gone"), ValueError("server"), RuntimeError("server")])
@pytest.mark.parametrize("accept", [False, True])
async def test_a_failing_end_does_not_mask_a_bug(accept: bool, failure: Exception) -> None:
    async def run(websocket: Socket) -> None:
        if accept:
            await websocket.accept()
        peer.fail(failure)
        raise LookupError

    peer = Peer()
    with pytest.raises(LookupError):
        await serve(peer, run)


@pytest.mark.parametrize("accept", [False, True])
async def test_a_lost_connection_cannot_be_ended_and_nobody_is_told(
    accept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(websocket: Socket) -> None:
        if accept:
            await websocket.accept()
        peer.fail(ConnectionResetError("gone"))

    peer = Peer()
    await serve(peer, run)
    assert not caplog.records


async def test_an_end_that_the_server_does_not_take_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        peer.fail(ValueError("a bug of a middleware"))

    peer = Peer()
    await serve(peer, run)
    [record] = caplog.records
    assert (record.name, record.levelno) == ("wsroute", logging.ERROR)
    assert "a bug of a middleware" in caplog.text


async def test_a_denial_that_the_server_does_not_take_is_logged_and_becomes_a_close(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class NoSuchStatus(Peer):
        async def send(self, message: Message) -> None:
            if message.get("status") == 499:
                raise ValueError("499 is not a valid HTTPStatus")
            await super().send(message)

    peer = NoSuchStatus()
    await serve(peer, raising(HTTPException(499, "no"), accept=False))
    assert peer.closed == (1008, "no")
    assert "not a valid HTTPStatus" in caplog.text


async def test_a_denial_that_was_begun_is_brought_to_its_end() -> None:
    async def run(websocket: Socket) -> None:
        await websocket.send({"type": "websocket.http.response.start", "status": 400, "headers": []})
        await websocket.send({"type": "websocket.http.response.body", "body": b"a", "more_body": True})
        raise ValueError("a bug")

    peer = Peer()
    with pytest.raises(ValueError, match="a bug"):
        await serve(peer, run)
    assert peer.denial is not None and (peer.denial.status, peer.denial.body) == (400, b"a")
    assert not peer.sent[-1].get("more_body", False)


# Disconnects


@pytest.mark.parametrize("wrap", [lambda exc: exc, lambda exc: ExceptionGroup("", [exc, WebSocketDisconnect()])])
async def test_an_uncaught_disconnect_is_quiet(
    wrap: Callable[[Exception], Exception], caplog: pytest.LogCaptureFixture
) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect as exc:
            raise wrap(exc) from None

    peer = Peer().leave(1001)
    await serve(peer, run)
    assert peer.closed is None
    assert not caplog.records


async def test_a_disconnect_before_the_accept_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.receive()
        await websocket.receive()
        await websocket.accept()

    peer = Peer().leave(1001)
    await serve(peer, run)
    # Nobody sees the answer; a server that waits for one does not log an error.
    assert [message["type"] for message in peer.sent] == ["websocket.close"]
    assert not caplog.records


@pytest.mark.parametrize("reject", ["denial", "close", "accept"])
async def test_a_return_after_the_client_left_the_handshake_is_quiet(
    reject: Reject, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.receive()
        await websocket.receive()

    peer = Peer().leave(1001)
    await serve(peer, run, Policy(reject=reject))
    assert [message["type"] for message in peer.sent] == ["websocket.close"]
    assert not caplog.records


async def test_a_send_that_fails_is_a_quiet_disconnect(caplog: pytest.LogCaptureFixture) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        peer.fail(BrokenPipeError("gone"))
        await websocket.send_text("x")

    peer = Peer()
    await serve(peer, run)
    assert not caplog.records


async def test_an_accept_that_fails_is_a_quiet_disconnect(caplog: pytest.LogCaptureFixture) -> None:
    peer = Peer()
    peer.fail(BrokenPipeError("gone"))
    await serve(peer, accepting)
    assert not caplog.records


@pytest.mark.parametrize("wrap", [lambda exc: exc, lambda exc: ExceptionGroup("", [exc])])
async def test_using_the_socket_after_the_end_is_a_quiet_disconnect(wrap: Callable[[Exception], Exception]) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await websocket.close(4000)
        try:
            await websocket.send_text("x")
        except RuntimeError as exc:
            raise wrap(exc) from None

    peer = Peer(scope=handlers({RuntimeError: lambda websocket, exc: pytest.fail("asked"), Exception: pytest.fail}))
    await serve(peer, run)
    assert peer.closed == (4000, "")


async def test_using_the_socket_before_the_accept_is_a_bug() -> None:
    async def run(websocket: Socket) -> None:
        await websocket.receive_text()

    peer = Peer()
    with pytest.raises(RuntimeError, match="accept"):
        await serve(peer, run)
    assert peer.denial is not None and peer.denial.status == 500


@pytest.mark.parametrize("accept", [False, True])
async def test_the_disconnect_of_another_connection_ends_this_one_as_a_return(accept: bool) -> None:
    peer = Peer()
    await serve(peer, raising(WebSocketDisconnect(1001), accept=accept))
    if accept:
        assert peer.closed == (1000, "")
    else:
        assert peer.denial is not None and peer.denial.status == 403


async def test_a_close_in_a_finally_after_a_disconnect_is_harmless(caplog: pytest.LogCaptureFixture) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        finally:
            await websocket.close()

    peer = Peer().leave()
    await serve(peer, run)
    assert peer.closed is None
    assert not caplog.records


@pytest.mark.parametrize(
    ("method", "frame", "close"),
    [
        ("receive_text", b"x", (1003, "Expected a text frame")),
        ("receive_bytes", "x", (1003, "Expected a binary frame")),
        ("receive_json", "{", (1007, "Invalid JSON")),
    ],
)
async def test_a_mistake_of_the_client_closes_without_a_traceback(
    method: str, frame: str | bytes, close: tuple[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await getattr(websocket, method)()

    peer = Peer().say(frame)
    await serve(peer, run)
    assert peer.closed == close
    assert not caplog.records


# Cancellation


async def cancel(peer: Peer, run: Run, policy: Policy = Policy()) -> None:
    """Cancel a session while `run` waits for ever at its end."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as group:
            waiting = anyio.Event()

            async def run_and_wait(websocket: Socket) -> None:
                await run(websocket)
                waiting.set()
                await anyio.sleep_forever()

            group.start_soon(session, Socket(scope, receive, send), run_and_wait, policy)
            await waiting.wait()
            group.cancel_scope.cancel()

    await peer.serve(app)


async def test_a_cancelled_session_says_that_the_server_goes_away() -> None:
    class Slow(Peer):
        async def send(self, message: Message) -> None:
            await checkpoint()
            await super().send(message)

    peer = Slow()
    await cancel(peer, accepting)
    assert peer.closed == (1001, "")


async def test_a_session_that_is_cancelled_before_the_accept_says_nothing() -> None:
    peer = Peer()
    await cancel(peer, returning)
    assert peer.sent == []


async def test_a_session_that_is_cancelled_after_the_end_says_nothing_more() -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await websocket.close(4000)

    peer = Peer()
    await cancel(peer, run)
    assert peer.closed == (4000, "")


@pytest.mark.parametrize("failure", [ConnectionResetError("gone"), ValueError("a bug")])
async def test_a_failing_end_does_not_mask_the_cancellation(failure: Exception) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        peer.fail(failure)

    peer = Peer()
    with anyio.CancelScope() as scope:
        await cancel(peer, run)
    assert not scope.cancelled_caught
    assert peer.closed is None


async def test_a_handler_that_is_cancelled_says_that_the_server_goes_away() -> None:
    async def handler(websocket: Socket, exc: Exception) -> None:
        scope.cancel()
        await checkpoint()

    peer = Peer(scope=handlers({ValueError: handler}))
    with anyio.CancelScope() as scope:
        await serve(peer, raising(ValueError(), accept=True))
    assert scope.cancelled_caught
    assert peer.closed == (1001, "")


async def test_an_exception_that_meets_a_cancellation_still_ends_the_connection() -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        scope.cancel()
        raise WebSocketException(4001, "why")

    class Slow(Peer):
        async def send(self, message: Message) -> None:
            if message["type"] == "websocket.close":
                await checkpoint()
            await super().send(message)

    peer = Slow()
    with anyio.CancelScope() as scope:
        await serve(peer, run)
    assert peer.closed == (4001, "why")


async def test_a_session_whose_coroutine_is_thrown_away_does_not_wait() -> None:
    peer = Peer()

    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await checkpoint()

    coroutine = session(Socket(peer.scope, peer.receive, peer.send), run, Policy())
    coroutine.send(None)
    coroutine.close()
    assert peer.closed is None


# A peer that stopped reading


@pytest.mark.parametrize("accept", [False, True])
@pytest.mark.parametrize("reject", ["denial", "close", "accept"])
async def test_an_end_that_a_peer_does_not_take_is_given_up_and_logged(
    accept: bool, reject: Reject, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(websocket: Socket) -> None:
        if accept:
            await websocket.accept()
        peer.block()

    peer = Peer("/stuck")
    websocket = await serve(peer, run, Policy(reject=reject, close_timeout=SHORT))
    assert websocket.ended
    [record] = caplog.records
    assert (record.name, record.levelno) == ("wsroute", logging.WARNING)
    assert "/stuck" in record.getMessage() and str(SHORT) in record.getMessage()


async def test_a_cancelled_session_does_not_wait_for_a_peer_that_does_not_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        peer.block()

    peer = Peer()
    await cancel(peer, run, Policy(close_timeout=SHORT))
    assert len(caplog.records) == 1


async def test_a_bug_is_raised_on_after_an_end_that_a_peer_does_not_take() -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        peer.block()
        raise LookupError

    peer = Peer()
    with pytest.raises(LookupError):
        await serve(peer, run, Policy(close_timeout=SHORT))


async def test_an_end_may_take_as_long_as_it_wants_if_the_policy_says_so() -> None:
    peer = Peer()
    await serve(peer, accepting, Policy(close_timeout=math.inf))
    assert peer.closed == (1000, "")


# Exception handlers of the application


@pytest.mark.parametrize("accept", [False, True])
async def test_a_handled_exception_ends_by_its_row_and_is_not_raised_on(accept: bool) -> None:
    calls: list[Any] = []

    async def handler(websocket: Socket, exc: Exception) -> None:
        calls.append((websocket, exc))

    bug = ValueError("secret")
    peer = Peer(scope=handlers({ValueError: handler}))
    websocket = await serve(peer, raising(bug, accept=accept))
    assert calls == [(websocket, bug)]
    if accept:
        assert peer.closed == (1011, "Internal Server Error")
    else:
        assert peer.denial is not None and peer.denial.status == 500


async def test_a_handler_may_end_the_connection_itself() -> None:
    async def handler(websocket: Socket, exc: Exception) -> None:
        await websocket.close(4002, "handled")

    peer = Peer(scope=handlers({ValueError: handler}))
    await serve(peer, raising(ValueError(), accept=True))
    assert peer.closed == (4002, "handled")


async def test_a_sync_handler_runs_in_a_thread_and_its_response_is_the_denial() -> None:
    threads: list[threading.Thread] = []

    def handler(websocket: Socket, exc: Exception) -> Response:
        threads.append(threading.current_thread())
        return PlainTextResponse("handled", 409, headers={"X-A": "1"})

    peer = Peer(scope=handlers({ValueError: handler}))
    await serve(peer, raising(ValueError(), accept=False))
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.body, peer.denial.header("x-a")) == (409, b"handled", ["1"])
    assert threads != [threading.current_thread()]


async def answering(websocket: Socket, exc: Exception) -> Response:
    return PlainTextResponse("handled", 409)


async def test_a_response_after_the_accept_is_ignored() -> None:
    peer = Peer(scope=handlers({4001: answering}))
    await serve(peer, raising(WebSocketException(4001, "why"), accept=True))
    assert peer.closed == (4001, "why")


@pytest.mark.parametrize(("reject", "denials"), [("close", True), ("accept", True), ("denial", False)])
async def test_a_response_where_no_denial_can_or_shall_be_sent_is_ignored(reject: Reject, denials: bool) -> None:
    peer = Peer(denials=denials, scope=handlers({ValueError: answering}))
    await serve(peer, raising(ValueError(), accept=False), Policy(reject=reject))
    assert peer.closed == (1011, "Internal Server Error")


async def test_a_response_is_sent_after_the_headers_of_the_injected_one() -> None:
    async def run(websocket: Socket) -> None:
        websocket.handshake_response = Response(headers={"X-A": "1"})
        raise ValueError

    peer = Peer(scope=handlers({ValueError: answering}))
    await serve(peer, run)
    assert peer.denial is not None
    assert (peer.denial.header("x-a"), peer.denial.header("content-length")) == (["1"], ["7"])


async def test_a_streamed_response_may_be_the_denial() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def handler(websocket: Socket, exc: Exception) -> Response:
        return StreamingResponse(chunks(), 409)

    peer = Peer(scope=handlers({ValueError: handler}))
    await serve(peer, raising(ValueError(), accept=False))
    assert peer.denial is not None and (peer.denial.status, peer.denial.body) == (409, b"ab")


async def test_a_streamed_response_is_sent_in_one_go() -> None:
    sent: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b"a", b"b"):
            sent.append(len(peer.sent))
            yield chunk
        sent.append(len(peer.sent))

    async def handler(websocket: Socket, exc: Exception) -> Response:
        return StreamingResponse(chunks(), 409)

    peer = Peer(scope=handlers({ValueError: handler}))
    await serve(peer, raising(ValueError(), accept=False))
    assert sent == [0, 0, 0]
    assert peer.denial is not None and peer.denial.status == 409


async def test_a_background_task_of_a_response_runs_after_it_was_sent() -> None:
    seen: list[Any] = []

    async def handler(websocket: Socket, exc: Exception) -> Response:
        return PlainTextResponse("handled", 409, background=BackgroundTask(lambda: seen.append(peer.denial)))

    peer = Peer(scope=handlers({ValueError: handler}))
    await serve(peer, raising(ValueError(), accept=False))
    assert seen == [peer.denial]


async def test_a_response_that_fails_is_logged_and_the_row_of_the_exception_counts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(websocket: Socket, exc: Exception) -> Response:
        return FileResponse("/no/such/file", 409)

    peer = Peer(scope=handlers({WebSocketException: handler}))
    await serve(peer, raising(WebSocketException(4001, "why"), accept=False))
    assert peer.denial is not None and peer.denial.json() == {"code": 4001, "reason": "why"}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_response_to_a_client_that_left_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    async def run(websocket: Socket) -> None:
        peer.fail(ConnectionResetError("gone"))
        raise ValueError

    peer = Peer(scope=handlers({ValueError: answering}))
    await serve(peer, run)
    assert not caplog.records


@pytest.mark.parametrize("accept", [False, True])
async def test_a_bug_in_a_handler_takes_the_place_of_the_exception(accept: bool) -> None:
    async def handler(websocket: Socket, exc: Exception) -> None:
        raise LookupError

    cause = WebSocketException(4001)
    peer = Peer(scope=handlers({WebSocketException: handler}))
    with pytest.raises(LookupError) as caught:
        await serve(peer, raising(cause, accept=accept))
    assert caught.value.__context__ is cause
    if accept:
        assert peer.closed == (1011, "Internal Server Error")
    else:
        assert peer.denial is not None and peer.denial.status == 500


@pytest.mark.parametrize("wrap", [lambda exc: exc, lambda exc: ExceptionGroup("", [exc])])
async def test_a_handler_may_raise_what_has_an_ending(wrap: Callable[[Exception], Exception]) -> None:
    async def handler(websocket: Socket, exc: Exception) -> None:
        raise wrap(WebSocketException(4002, "converted"))

    peer = Peer(scope=handlers({ValueError: handler, WebSocketException: pytest.fail}))
    await serve(peer, raising(ValueError(), accept=True))
    assert peer.closed == (4002, "converted")


async def test_a_handler_that_sends_to_a_client_that_left_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(websocket: Socket, exc: Exception) -> None:
        await websocket.send_text("sorry")

    async def run(websocket: Socket) -> None:
        await websocket.accept()
        peer.fail(ConnectionResetError("gone"))
        raise ValueError

    peer = Peer(scope=handlers({ValueError: handler}))
    await serve(peer, run)
    assert not caplog.records


async def test_a_handler_gets_the_one_leaf_of_a_group() -> None:
    leaf = ValueError()
    calls: list[Exception] = []
    peer = Peer(scope=handlers({ValueError: lambda websocket, exc: calls.append(exc)}))
    await serve(peer, raising(ExceptionGroup("", [ExceptionGroup("", [leaf])]), accept=True))
    assert calls == [leaf]


async def test_a_disconnect_may_be_handled() -> None:
    codes: list[int] = []

    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    peer = Peer(scope=handlers({WebSocketDisconnect: lambda websocket, exc: codes.append(exc.code)})).leave(1001)
    await serve(peer, run)
    assert codes == [1001]


@pytest.mark.parametrize(("make", "denial", "close"), ROWS)
async def test_a_handler_for_every_exception_is_not_asked_for_what_has_an_ending(
    make: Make, denial: Any, close: Any
) -> None:
    peer = Peer(scope=handlers({Exception: pytest.fail}))
    await serve(peer, raising(make(), accept=True))
    assert peer.closed == close


# The rest


async def test_a_subclass_takes_part_in_the_end() -> None:
    class Polite(WebSocket):
        async def close(self, code: int = 1000, reason: str | None = None) -> None:
            await super().close(code, reason or "bye")

    peer = Peer()
    await serve(peer, accepting, base=Polite)
    assert peer.closed == (1000, "bye")


async def test_background_tasks_are_not_cancelled_with_the_connection() -> None:
    done: list[str] = []

    async def slow(name: str) -> None:
        await checkpoint()
        done.append(name)

    tasks = BackgroundTasks()
    tasks.add_task(slow, "a")
    tasks.add_task(done.append, "b")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await run_background(tasks)
    assert done == ["a", "b"]


async def test_a_background_task_that_fails_is_a_bug_of_the_session() -> None:
    def fail() -> None:
        raise LookupError

    async def run(websocket: Socket) -> None:
        await websocket.accept()
        await finish(websocket)
        tasks = BackgroundTasks()
        tasks.add_task(fail)
        await run_background(tasks)

    peer = Peer()
    with pytest.raises(LookupError):
        await serve(peer, run)
    assert peer.closed == (1000, "")


async def test_an_exception_object_that_is_raised_again_and_again_does_not_grow() -> None:
    refusal = HTTPException(401)
    for _ in range(3):
        await serve(Peer(), raising(refusal, accept=False))
    assert refusal.__traceback__ is None


@pytest.mark.parametrize(
    "exc", [WebSocketException(4001), HTTPException(404), WebSocketDisconnect()], ids=lambda exc: type(exc).__name__
)
async def test_a_session_leaves_no_cyclic_garbage(exc: Exception) -> None:
    async def connection() -> None:
        peer = Peer()
        await session(Socket(peer.scope, peer.receive, peer.send), raising(exc, accept=True), Policy())

    await connection()
    gc.collect()
    gc.disable()
    try:
        await connection()
        assert gc.collect() == 0
    finally:
        gc.enable()


async def test_the_states_are_exact_at_the_end() -> None:
    websocket = await serve(Peer(), accepting)
    assert (websocket.client_state, websocket.application_state) == (
        WebSocketState.CONNECTED,
        WebSocketState.DISCONNECTED,
    )


@pytest.mark.parametrize("accept", [False, True])
async def test_what_a_handler_raises_is_logged_where_the_application_would_handle_it_after_the_end(
    accept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    raised = LookupError("raised by the handler")
    calls: list[Exception] = []

    async def of_application(websocket: WebSocket, exc: Exception) -> None:
        calls.append(exc)
        await websocket.close()

    def of_level(websocket: WebSocket, exc: Exception) -> None:
        raise raised

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        policy = Policy(handlers=(HandlerTable({ValueError: of_level}, {}),))
        await session(Socket(scope, receive, send), raising(ValueError(), accept=accept), policy)

    route = WebSocketRoute("/", endpoint)
    # A callable that is no function is an ASGI application to Starlette, which adds nothing around it.
    route.app = endpoint
    peer = Peer()
    await peer.serve(Starlette(routes=[route], exception_handlers={LookupError: of_application}))

    assert calls == []
    if accept:
        assert peer.closed == (1011, "Internal Server Error")
    else:
        assert peer.denial is not None
        assert peer.denial.status == 500
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is raised


@pytest.mark.parametrize("ended", [True, False])
async def test_to_swallow_what_only_says_that_the_connection_has_ended_is_no_bug(ended: bool) -> None:
    async def run(websocket: Socket) -> None:
        await websocket.accept()
        if ended:
            await websocket.close(4000)
        try:
            await websocket.send({"type": "websocket.accept"})
        except RuntimeError as error:
            raise SwallowedExceptionError("endpoint") from error

    peer = Peer()
    if ended:
        await serve(peer, run)
        assert peer.closed == (4000, "")
    else:
        with pytest.raises(SwallowedExceptionError):
            await serve(peer, run)
