"""The WebSocket of a connection, message by message."""

from __future__ import annotations

import gc
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio
import pytest
from starlette.exceptions import WebSocketException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from tests.asgi import Peer
from wsroute.wire.socket import InvalidJSON, Socket, StateError, socket_class

pytestmark = pytest.mark.anyio

CONNECTING, CONNECTED, DISCONNECTED = (
    WebSocketState.CONNECTING,
    WebSocketState.CONNECTED,
    WebSocketState.DISCONNECTED,
)
GONE = ConnectionResetError("gone")
#: What uvicorn raises from a send after it has closed the connection by itself.
CLOSED_BY_SERVER = RuntimeError("Unexpected ASGI message 'websocket.send', after sending 'websocket.close'.")


class Relayed(WebSocket):
    """A subclass that sees every message."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.seen: list[str] = []

    async def receive(self) -> Message:
        message = await super().receive()
        self.seen.append(message["type"])
        return message

    async def send(self, message: Message) -> None:
        self.seen.append(message["type"])
        await super().send(message)


def socket(peer: Peer, base: type[WebSocket] = WebSocket) -> Socket:
    return socket_class(base)(peer.scope, peer.receive, peer.send)


async def accepted(peer: Peer, base: type[WebSocket] = WebSocket) -> Socket:
    websocket = socket(peer, base)
    await websocket.accept()
    return websocket


both = pytest.mark.parametrize("base", [WebSocket, Relayed])


# Life, as Starlette's


@both
async def test_a_conversation_is_starlettes(base: type[WebSocket]) -> None:
    peer = Peer(scope={"subprotocols": ["chat"]})
    peer.say("a", b"b", '{"c":1}', b'{"d":2}', "rest").leave(1001, "bye")
    websocket = socket(peer, base)
    assert (websocket.client_state, websocket.application_state, websocket.ended) == (CONNECTING, CONNECTING, False)
    await websocket.accept("chat")
    assert (websocket.client_state, websocket.application_state, websocket.ended) == (CONNECTED, CONNECTED, False)
    assert await websocket.receive_text() == "a"
    assert await websocket.receive_bytes() == b"b"
    assert await websocket.receive_json() == {"c": 1}
    assert await websocket.receive_json(mode="binary") == {"d": 2}
    await websocket.send_text("a")
    await websocket.send_bytes(b"b")
    await websocket.send_json({"ä": [1, 2]})
    await websocket.send_json({"ä": 1}, mode="binary")
    await websocket.send({"type": "websocket.send", "text": "raw"})
    assert [text async for text in websocket.iter_text()] == ["rest"]
    assert (websocket.client_state, websocket.application_state, websocket.ended) == (DISCONNECTED, CONNECTED, True)
    assert peer.frames == ["a", b"b", '{"ä":[1,2]}', '{"ä":1}'.encode(), "raw"]
    assert peer.accepted == {"type": "websocket.accept", "subprotocol": "chat", "headers": []}


def test_a_scope_of_another_kind_is_refused() -> None:
    peer = Peer(scope={"type": "http"})
    with pytest.raises(ValueError, match="not one of type 'http'"):
        socket(peer)


async def test_a_binary_frame_among_texts_is_the_clients_mistake() -> None:
    websocket = await accepted(Peer().say("a", b"b"))
    texts = websocket.iter_text()
    assert await anext(texts) == "a"
    with pytest.raises(WebSocketException) as caught:
        await anext(texts)
    assert caught.value.code == 1003


async def test_texts_are_iterated_through_a_subclass_that_reads_them_itself() -> None:
    class Shouting(WebSocket):
        async def receive_text(self) -> str:
            return (await super().receive_text()).upper()

    websocket = await accepted(Peer().say("a", "b").leave(), Shouting)
    assert [text async for text in websocket.iter_text()] == ["A", "B"]


async def test_an_iteration_ends_when_the_application_has_closed_meanwhile() -> None:
    websocket = await accepted(Peer().say("a", "b"))
    texts = websocket.iter_text()
    assert await anext(texts) == "a"
    await websocket.close()
    with pytest.raises(StateError):
        await anext(texts)


@both
async def test_a_close_ends_the_applications_side(base: type[WebSocket]) -> None:
    peer = Peer()
    websocket = await accepted(peer, base)
    await websocket.close(4000, "done")
    assert (websocket.client_state, websocket.application_state, websocket.ended) == (CONNECTED, DISCONNECTED, True)
    assert peer.closed == (4000, "done")


async def test_a_subclass_sees_every_message_of_every_method() -> None:
    peer = Peer().say("a", b"b", "1").leave()
    websocket = await accepted(peer, Relayed)
    await websocket.receive_text()
    await websocket.receive_bytes()
    await websocket.receive_json()
    await websocket.send_text("a")
    await websocket.send_bytes(b"a")
    await websocket.send_json(1)
    await websocket.close()
    assert isinstance(websocket, Relayed)
    receives = ["websocket.receive"] * 3
    sends = ["websocket.send"] * 3
    assert websocket.seen == ["websocket.connect", "websocket.accept", *receives, *sends, "websocket.close"]


class SeesReceives(WebSocket):
    async def receive(self) -> Message:
        self.state.seen = await super().receive()
        return self.state.seen  # type: ignore[no-any-return]  # any attribute of a State is Any


class SeesSends(WebSocket):
    async def send(self, message: Message) -> None:
        self.state.seen = message
        await super().send(message)


@pytest.mark.parametrize("base", [SeesReceives, SeesSends])
async def test_a_subclass_may_override_one_direction_alone(base: type[WebSocket]) -> None:
    websocket = await accepted(Peer().say("a"), base)
    await (websocket.receive_text() if base is SeesReceives else websocket.send_text("a"))
    assert websocket.state.seen["text"] == "a"


async def test_a_subclass_that_overrides_other_methods_comes_first_and_keeps_the_rest() -> None:
    class Shouting(WebSocket):
        async def send_text(self, data: str) -> None:
            await super().send_text(data.upper())

    peer = Peer()
    websocket = await accepted(peer, Shouting)
    await websocket.send_text("a")
    await websocket.send_json("a")
    # As in Starlette, send_json() does not go through send_text().
    assert peer.frames == ["A", '"a"']


def test_the_class_for_a_subclass_is_made_once_and_keeps_its_name() -> None:
    made = socket_class(Relayed)
    assert made is socket_class(Relayed)
    assert issubclass(made, Relayed) and issubclass(made, Socket)
    assert (made.__name__, made.__qualname__, made.__module__) == ("Relayed", "Relayed", __name__)


def test_no_class_is_made_where_there_is_one() -> None:
    class Own(Socket):
        pass

    assert socket_class(WebSocket) is Socket
    assert socket_class(Socket) is Socket
    assert socket_class(Own) is Own


def test_the_socket_is_starlettes_connection() -> None:
    peer = Peer("/rooms/7?limit=3", headers={"X-Token": "t"})
    websocket = socket(peer)
    assert isinstance(websocket, HTTPConnection)
    assert websocket.query_params["limit"] == "3"
    assert websocket.headers["x-token"] == "t"
    assert (websocket._receive, websocket._send) == (peer.receive, peer.send)


async def test_the_connect_message_may_be_received_before_the_accept() -> None:
    peer = Peer()
    websocket = socket(peer)
    assert await websocket.receive() == {"type": "websocket.connect"}
    assert websocket.client_state is CONNECTED
    await websocket.accept()
    assert peer.accepted is not None


async def test_an_accept_carries_its_headers() -> None:
    peer = Peer()
    await socket(peer).accept(headers=[(b"x-a", b"1"), (b"X-A", b"2")])
    assert peer.accepted is not None
    assert peer.accepted["headers"] == [(b"x-a", b"1, 2")]


@both
async def test_an_accept_carries_headers_and_cookies_of_the_injected_response(base: type[WebSocket]) -> None:
    peer = Peer()
    websocket = socket(peer, base)
    websocket.handshake_response = Response("body", headers={"X-A": "1"}, media_type="text/plain")
    websocket.handshake_response.set_cookie("c", "v")
    await websocket.accept(headers=[(b"x-b", b"2")])
    assert peer.accepted is not None
    assert peer.accepted["headers"] == [
        (b"x-a", b"1"),
        (b"x-b", b"2"),
        (b"set-cookie", b"c=v; Path=/; SameSite=lax"),
    ]


@pytest.mark.parametrize("method", ["receive", "receive_text", "receive_bytes"])
async def test_a_message_that_cannot_come_is_an_error(method: str) -> None:
    websocket = await accepted(Peer().deliver({"type": "websocket.odd"}))
    with pytest.raises(RuntimeError, match=r"websocket\.odd"):
        await getattr(websocket, method)()


async def test_a_first_message_other_than_connect_is_an_error() -> None:
    peer = Peer().say("x")
    await peer.receive()
    with pytest.raises(RuntimeError, match=r"websocket\.receive"):
        await socket(peer).accept()


async def test_an_unknown_mode_is_starlettes_error() -> None:
    websocket = await accepted(Peer())
    with pytest.raises(RuntimeError, match="mode"):
        await websocket.receive_json(mode="odd")
    with pytest.raises(RuntimeError, match="mode"):
        await websocket.send_json(1, mode="odd")


@pytest.mark.parametrize("method", ["receive_text", "receive_bytes", "receive_json"])
async def test_receiving_before_the_accept_is_a_state_error(method: str) -> None:
    peer = Peer().say("x")
    websocket = socket(peer)
    with pytest.raises(StateError, match="accept"):
        await getattr(websocket, method)()
    assert not websocket.ended


@pytest.mark.parametrize(
    ("method", "argument"), [("send_text", "x"), ("send_bytes", b"x"), ("send_json", 1), ("close", 1000)]
)
async def test_sending_before_the_accept_is_as_in_starlette(method: str, argument: Any) -> None:
    theirs, ours = Peer(), Peer()
    outcomes = []
    for websocket in (WebSocket(theirs.scope, theirs.receive, theirs.send), socket(ours)):
        try:
            outcomes.append(await getattr(websocket, method)(argument))
        except RuntimeError as exc:
            outcomes.append((type(exc), str(exc)))
    assert outcomes[0] == outcomes[1]
    assert theirs.sent == ours.sent


async def test_a_second_accept_is_starlettes_error() -> None:
    websocket = await accepted(Peer())
    with pytest.raises(RuntimeError, match=r"websocket\.accept"):
        await websocket.accept()
    assert websocket.application_state is CONNECTED


async def test_a_text_frame_and_a_binary_frame_are_told_apart_where_the_server_names_both() -> None:
    peer = Peer().deliver(
        {"type": "websocket.receive", "text": "a", "bytes": None},
        {"type": "websocket.receive", "text": None, "bytes": b"b"},
        {"type": "websocket.receive", "text": ""},
        {"type": "websocket.receive", "bytes": b""},
    )
    websocket = await accepted(peer)
    assert await websocket.receive_text() == "a"
    assert await websocket.receive_bytes() == b"b"
    assert await websocket.receive_text() == ""
    assert await websocket.receive_bytes() == b""


# The client's mistakes


@both
@pytest.mark.parametrize(
    ("method", "arguments", "frame"),
    [
        ("receive_text", {}, b"x"),
        ("receive_bytes", {}, "x"),
        ("receive_json", {}, b"1"),
        ("receive_json", {"mode": "binary"}, "1"),
    ],
)
async def test_a_frame_of_the_wrong_kind_is_the_clients_mistake(
    base: type[WebSocket], method: str, arguments: dict[str, str], frame: str | bytes
) -> None:
    websocket = await accepted(Peer().say(frame), base)
    with pytest.raises(WebSocketException) as caught:
        await getattr(websocket, method)(**arguments)
    assert caught.value.code == 1003
    assert not websocket.ended


async def test_a_frame_of_the_wrong_kind_with_both_keys_is_the_clients_mistake() -> None:
    websocket = await accepted(Peer().deliver({"type": "websocket.receive", "text": None, "bytes": b"x"}))
    with pytest.raises(WebSocketException, match="text"):
        await websocket.receive_text()


@pytest.mark.parametrize(
    ("mode", "frame"), [("text", "{"), ("text", ""), ("text", "[" * 200_000), ("binary", b"\xff"), ("binary", b"{")]
)
async def test_a_frame_that_is_not_json_is_the_clients_mistake(mode: str, frame: str | bytes) -> None:
    websocket = await accepted(Peer().say(frame))
    with pytest.raises(json.JSONDecodeError) as caught:
        await websocket.receive_json(mode)
    assert isinstance(caught.value, InvalidJSON) and isinstance(caught.value, WebSocketException)
    assert (caught.value.code, caught.value.reason) == (1007, "Invalid JSON")


async def test_the_error_of_bad_json_says_where() -> None:
    websocket = await accepted(Peer().say('{"a":}'))
    with pytest.raises(json.JSONDecodeError) as caught:
        await websocket.receive_json()
    assert (caught.value.doc, caught.value.pos, caught.value.lineno) == ('{"a":}', 5, 1)


# After the peer left

SENDS: Iterable[Any] = [
    pytest.param(lambda websocket: websocket.send_text("x"), id="send_text"),
    pytest.param(lambda websocket: websocket.send_bytes(b"x"), id="send_bytes"),
    pytest.param(lambda websocket: websocket.send_json(1), id="send_json"),
    pytest.param(lambda websocket: websocket.send_json(1, "binary"), id="send_json binary"),
    pytest.param(lambda websocket: websocket.send({"type": "websocket.send", "text": "x"}), id="send"),
]
Send = Callable[[Socket], Awaitable[None]]


@both
@pytest.mark.parametrize("send", SENDS)
async def test_a_send_after_a_received_disconnect_is_a_disconnect_with_the_received_code(
    base: type[WebSocket], send: Send
) -> None:
    peer = Peer().leave(4001, "bye")
    websocket = await accepted(peer, base)
    with pytest.raises(WebSocketDisconnect):
        await websocket.receive_text()
    with pytest.raises(WebSocketDisconnect) as caught:
        await send(websocket)
    assert (caught.value.code, caught.value.reason) == (4001, "bye")
    assert peer.frames == []


async def test_a_disconnect_without_code_and_reason_has_the_code_of_the_asgi_specification() -> None:
    websocket = await accepted(Peer().deliver({"type": "websocket.disconnect"}))
    with pytest.raises(WebSocketDisconnect) as caught:
        await websocket.receive_bytes()
    assert (caught.value.code, caught.value.reason) == (1005, "")


@both
@pytest.mark.parametrize("failure", [GONE, CLOSED_BY_SERVER], ids=["OSError", "closed by the server"])
@pytest.mark.parametrize("send", SENDS)
async def test_a_send_that_fails_because_the_connection_is_gone_is_a_disconnect(
    base: type[WebSocket], failure: Exception, send: Send
) -> None:
    peer = Peer()
    websocket = await accepted(peer, base)
    peer.fail(failure)
    with pytest.raises(WebSocketDisconnect) as caught:
        await send(websocket)
    assert caught.value.code == 1006
    assert (websocket.application_state, websocket.ended) == (DISCONNECTED, True)
    # The same from then on: other connections may send to this one and must be able to tell.
    with pytest.raises(WebSocketDisconnect):
        await send(websocket)


async def test_the_code_with_which_a_lost_peer_left_can_still_be_received() -> None:
    peer = Peer().leave(4001)
    websocket = await accepted(peer)
    peer.fail(GONE)
    with pytest.raises(WebSocketDisconnect):
        await websocket.send_text("x")
    assert (await websocket.receive())["code"] == 4001
    with pytest.raises(WebSocketDisconnect) as caught:
        await websocket.send_text("x")
    assert caught.value.code == 4001


async def test_a_send_that_fails_after_the_peer_left_has_the_code_with_which_it_left() -> None:
    class Slow(Peer):
        async def send(self, message: Message) -> None:
            if message["type"] == "websocket.send":
                await websocket.receive()
                raise GONE
            await super().send(message)

    websocket = await accepted(Slow().leave(4001))
    with pytest.raises(WebSocketDisconnect) as caught:
        await websocket.send_text("x")
    assert caught.value.code == 4001


@pytest.mark.parametrize("failure", [ValueError("a bug"), RuntimeError("a bug")])
@pytest.mark.parametrize("send", [*SENDS, pytest.param(lambda websocket: websocket.close(), id="close")])
async def test_another_error_of_a_send_is_raised_as_it_is(failure: Exception, send: Send) -> None:
    peer = Peer()
    websocket = await accepted(peer)
    peer.fail(failure)
    with pytest.raises(type(failure)) as caught:
        await send(websocket)
    assert caught.value is failure


@both
@pytest.mark.parametrize("headers", [None, [(b"x-a", b"1")]])
async def test_an_accept_that_fails_because_the_connection_is_gone_is_a_disconnect(
    base: type[WebSocket], headers: Any
) -> None:
    peer = Peer()
    peer.fail(GONE)
    websocket = socket(peer, base)
    with pytest.raises(WebSocketDisconnect) as caught:
        await websocket.accept(headers=headers)
    assert (caught.value.code, websocket.ended) == (1006, True)


async def test_an_accept_after_the_client_left_is_a_disconnect() -> None:
    peer = Peer().leave(1001)
    websocket = socket(peer)
    await websocket.receive()
    await websocket.receive()
    with pytest.raises(WebSocketDisconnect) as caught:
        await websocket.accept()
    assert caught.value.code == 1001
    assert peer.sent == []


@pytest.mark.parametrize("headers", [None, [(b"x-a", b"1")]])
@pytest.mark.parametrize("failure", [ValueError("a bug"), RuntimeError("a bug")])
async def test_an_accept_that_the_server_does_not_take_leaves_the_handshake_unanswered(
    headers: Any, failure: Exception
) -> None:
    peer = Peer()
    peer.fail(failure)
    websocket = socket(peer)
    with pytest.raises(type(failure), match="a bug"):
        await websocket.accept(headers=headers)
    assert websocket.application_state is CONNECTING
    peer.fail(None)
    await websocket.send_denial_response(Response(status_code=400))
    assert peer.denial is not None and peer.denial.status == 400


@both
async def test_receiving_after_the_disconnect_is_a_state_error(base: type[WebSocket]) -> None:
    websocket = await accepted(Peer().leave(), base)
    await websocket.receive()
    for receive in (websocket.receive, websocket.receive_text, websocket.receive_bytes, websocket.receive_json):
        with pytest.raises(StateError):
            await receive()


# After the application closed


@both
@pytest.mark.parametrize("send", SENDS)
async def test_using_the_socket_after_the_own_close_is_starlettes_error(base: type[WebSocket], send: Send) -> None:
    websocket = await accepted(Peer(), base)
    await websocket.close()
    with pytest.raises(StateError):
        await send(websocket)
    with pytest.raises(StateError):
        await websocket.receive_text()


def test_a_state_error_has_the_type_that_starlette_gives_it() -> None:
    from starlette import websockets

    assert issubclass(StateError, RuntimeError)
    assert StateError is getattr(websockets, "WebSocketDisconnected", StateError)
    assert StateError is not RuntimeError


@both
async def test_a_second_close_is_dropped(base: type[WebSocket]) -> None:
    peer = Peer()
    websocket = await accepted(peer, base)
    await websocket.close(4000)
    await websocket.close(4001)
    await websocket.send({"type": "websocket.close"})
    assert [message["type"] for message in peer.sent] == ["websocket.accept", "websocket.close"]


@both
async def test_a_close_after_a_received_disconnect_is_dropped(base: type[WebSocket]) -> None:
    peer = Peer().leave()
    websocket = await accepted(peer, base)
    await websocket.receive()
    await websocket.close()
    assert peer.closed is None
    assert websocket.application_state is DISCONNECTED


@both
@pytest.mark.parametrize("failure", [GONE, CLOSED_BY_SERVER], ids=["OSError", "closed by the server"])
async def test_a_close_of_a_lost_connection_does_not_mask_an_exception(
    base: type[WebSocket], failure: Exception
) -> None:
    peer = Peer()
    websocket = await accepted(peer, base)
    peer.fail(failure)
    with pytest.raises(LookupError):
        try:
            raise LookupError
        finally:
            await websocket.close()
    assert websocket.ended


async def test_a_handshake_that_the_client_left_is_still_answered_for_the_servers_sake() -> None:
    peer = Peer().leave()
    websocket = socket(peer)
    await websocket.receive()
    await websocket.receive()
    await websocket.close(4000)
    assert peer.closed == (4000, "")
    assert websocket.application_state is DISCONNECTED


async def test_an_answer_to_nobody_cannot_fail() -> None:
    peer = Peer().leave()
    websocket = socket(peer)
    await websocket.receive()
    await websocket.receive()
    peer.fail(RuntimeError("whatever"))
    await websocket.close()
    assert websocket.application_state is DISCONNECTED


@both
async def test_a_close_is_made_legal(base: type[WebSocket], caplog: pytest.LogCaptureFixture) -> None:
    peer = Peer()
    websocket = await accepted(peer, base)
    await websocket.close(1006, "ä" * 200)
    assert peer.closed == (1011, "ä" * 61)
    assert "1006" in caplog.text


async def test_a_close_message_is_made_legal(caplog: pytest.LogCaptureFixture) -> None:
    peer = Peer()
    websocket = await accepted(peer)
    await websocket.send({"type": "websocket.close", "code": 5000})
    assert peer.closed == (1011, "")
    assert "5000" in caplog.text


# Denials by the application


async def test_a_denial_of_the_applications_own_is_the_end() -> None:
    peer = Peer()
    websocket = socket(peer)
    websocket.handshake_response = Response(headers={"X-A": "1", "X-B": "1"})
    await websocket.send_denial_response(PlainTextResponse("no", 418, headers={"X-B": "2"}))
    assert websocket.ended
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.body) == (418, b"no")
    assert (peer.denial.header("x-a"), peer.denial.header("x-b")) == (["1"], ["2"])
    await websocket.close()
    assert peer.closed is None


async def test_a_denial_needs_the_servers_extension_as_in_starlette() -> None:
    websocket = socket(Peer(denials=False))
    with pytest.raises(RuntimeError, match="Denial Response"):
        await websocket.send_denial_response(Response(status_code=400))
    assert not websocket.ended


async def test_a_denial_that_would_accept_is_sent_as_500(caplog: pytest.LogCaptureFixture) -> None:
    peer = Peer()
    await socket(peer).send_denial_response(PlainTextResponse("fine", 200))
    assert peer.denial is not None and peer.denial.status == 500
    assert "200" in caplog.text


async def test_a_denial_to_a_lost_client_is_a_disconnect() -> None:
    peer = Peer()
    peer.fail(GONE)
    websocket = socket(peer)
    with pytest.raises(WebSocketDisconnect):
        await websocket.send_denial_response(Response(status_code=400))
    assert websocket.ended


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # the event loop of the server that needs it
async def test_a_denial_gives_the_event_loop_one_turn_at_its_end() -> None:
    turns = []

    async def other() -> None:
        turns.append("other")

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await socket(Peer()).send_denial_response(Response(status_code=400))
        assert turns == ["other"]


async def test_a_closed_connection_leaves_no_cyclic_garbage() -> None:
    peer = Peer().say("x").leave()

    async def converse() -> None:
        websocket = await accepted(peer)
        await websocket.send_text(await websocket.receive_text())
        try:
            await websocket.receive_text()
        except WebSocketDisconnect:
            await websocket.close()

    gc.collect()
    gc.disable()
    try:
        await converse()
        assert gc.collect() == 0
    finally:
        gc.enable()
