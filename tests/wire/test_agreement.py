"""The Socket and Starlette's WebSocket agree, call by call, wherever they are not meant to differ."""

from __future__ import annotations

from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import WebSocketException
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from tests.asgi import Peer
from wsroute.wire.socket import Socket

TEXT: Message = {"type": "websocket.receive", "text": "1"}
BINARY: Message = {"type": "websocket.receive", "bytes": b"1"}
LEAVE: Message = {"type": "websocket.disconnect", "code": 1001, "reason": "bye"}
CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("accept", ()),
    ("accept", ("chat", [(b"x-a", b"1")])),
    ("receive", ()),
    ("receive_text", ()),
    ("receive_bytes", ()),
    ("receive_json", ()),
    ("receive_json", ("binary",)),
    ("send_text", ("x",)),
    ("send_bytes", (b"x",)),
    ("send_json", ({"a": 1},)),
    ("send_json", (1, "binary")),
    ("send", ({"type": "websocket.send", "text": "x"},)),
    ("send", ({"type": "websocket.odd"},)),
    ("close", ()),
    ("close", (4000, "why")),
]


async def outcome(websocket: WebSocket, method: str, arguments: tuple[Any, ...]) -> object:
    try:
        return await getattr(websocket, method)(*arguments)
    except WebSocketDisconnect as exc:
        return "disconnect", exc.code, exc.reason
    except (KeyError, WebSocketException):
        return "wrong kind of frame"
    except RuntimeError as exc:
        # One is dropped, which is a difference that is meant.
        return None if method == "close" else (RuntimeError, str(exc))


async def compare(script: list[Message], calls: list[tuple[str, tuple[Any, ...]]]) -> None:
    peers = [Peer(scope={"subprotocols": ["chat"]}).deliver(*script, LEAVE) for _ in range(2)]
    theirs = WebSocket(peers[0].scope, peers[0].receive, peers[0].send)
    ours = Socket(peers[1].scope, peers[1].receive, peers[1].send)
    for method, arguments in calls:
        if theirs.client_state is WebSocketState.DISCONNECTED and method.startswith(("send", "accept", "close")):
            # From here on the Socket knows that the peer is gone, and Starlette's has to be told by the server.
            return
        with anyio.fail_after(1):
            expected = await outcome(theirs, method, arguments)
            assert await outcome(ours, method, arguments) == expected, (method, arguments)
        assert (ours.client_state, ours.application_state) == (theirs.client_state, theirs.application_state)
        assert peers[1].sent == peers[0].sent


@given(st.lists(st.sampled_from([TEXT, BINARY, LEAVE]), max_size=4), st.lists(st.sampled_from(CALLS), max_size=8))
@settings(max_examples=300, deadline=None)
def test_the_socket_agrees_with_starlettes(script: list[Message], calls: list[tuple[str, tuple[Any, ...]]]) -> None:
    anyio.run(compare, script, [CALLS[0], *calls])
    anyio.run(compare, script, calls)
