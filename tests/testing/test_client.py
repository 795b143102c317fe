"""The client's end: what it sends, what it receives, and how it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import pytest
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wsroute import WebSocket, WebSocketDisconnect, WebSocketRouter
from wsroute.testing import (
    ClientWebSocket,
    Close,
    ConnectionClosed,
    DeadlinePassed,
    SocketTestError,
    UnexpectedMessage,
    connect,
)
from wsroute.testing.wire import PAUSED_BYTES, PAUSED_FRAMES, READ_AHEAD

pytestmark = pytest.mark.anyio

SHORT = 0.05

router = WebSocketRouter()


class Said(BaseModel):
    type: Literal["said"] = "said"
    text: str


class Left(BaseModel):
    type: Literal["left"] = "left"


@dataclass
class Point:
    x: int
    y: int


@router.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    while (message := await websocket.receive())["type"] == "websocket.receive":
        await websocket.send({**message, "type": "websocket.send"})


@router.websocket("/closes")
async def closes(websocket: WebSocket, code: int, first: str | None = None) -> None:
    await websocket.accept()
    if first is not None:
        await websocket.send_text(first)
    await websocket.close(code, "that is all")


def speaking(run: Callable[[Receive, Send], Awaitable[None]]) -> ASGIApp:
    """An application that accepts, and goes on by hand."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await run(receive, send)

    return app


def sending(frame: str | bytes) -> ASGIApp:
    """An application that sends one frame and waits for the end."""

    async def run(receive: Receive, send: Send) -> None:
        await send({"type": "websocket.send", "text" if isinstance(frame, str) else "bytes": frame})
        await receive()

    return speaking(run)


# Frames


async def test_text_and_bytes_go_both_ways() -> None:
    async with connect(router, "/echo") as ws:
        await ws.send_text("a")
        await ws.send_bytes(b"b")
        await ws.send_bytes(bytearray(b"c"))
        assert (await ws.receive_text(), await ws.receive_bytes(), await ws.receive()) == ("a", b"b", b"c")


@pytest.mark.parametrize("mode", ["text", "binary"])
async def test_json_goes_both_ways(mode: Literal["text", "binary"]) -> None:
    async with connect(router, "/echo") as ws:
        for _ in range(2):
            await ws.send_json({"ä": [1, None]}, mode)
        assert await ws.receive() == ('{"ä":[1,null]}' if mode == "text" else '{"ä":[1,null]}'.encode())
        assert await ws.receive_json(mode) == {"ä": [1, None]}


async def test_models_go_both_ways() -> None:
    async with connect(router, "/echo") as ws:
        await ws.send_model(Said(text="hi"))
        await ws.send_model(Left())
        await ws.send_model(Point(1, 2))
        said = await ws.receive(Said)
        assert said.text == "hi"
        assert await ws.receive(Said | Left) == Left()
        assert await ws.receive(Point) == Point(1, 2)


async def test_what_is_not_the_model_is_shown() -> None:
    with pytest.raises(UnexpectedMessage) as caught:
        async with connect(sending('{"type":"left"}')) as ws:
            await ws.receive(Said)
    lines = str(caught.value).splitlines()
    assert lines[0] == """expected Said, and got '{"type":"left"}'"""
    assert "  text" in lines  # pydantic's own words follow


async def test_a_union_has_a_name_in_an_error() -> None:
    with pytest.raises(UnexpectedMessage, match=r"^expected tests\S*Said \| tests\S*Left, and got '1'"):
        async with connect(sending("1")) as ws:
            await ws.receive(Said | Left)


async def test_what_is_not_json_is_shown() -> None:
    with pytest.raises(UnexpectedMessage, match=r"^expected JSON, and got 'no'"):
        async with connect(sending("no")) as ws:
            await ws.receive_json()


async def test_a_binary_frame_is_no_text() -> None:
    with pytest.raises(UnexpectedMessage, match=r"^expected a text frame, and got the binary frame b'x'"):
        async with connect(sending(b"x")) as ws:
            await ws.receive_text()


async def test_bytes_are_no_text_to_send() -> None:
    async with connect(router, "/echo") as ws:
        with pytest.raises(TypeError, match=r"send_text\(\) got bytes; it takes str, and send_bytes\(\) takes bytes"):
            await ws.send_text(b"x")  # type: ignore[arg-type]  # the mistake
        with pytest.raises(TypeError):
            await ws.send_bytes("x")  # type: ignore[arg-type]  # the mistake


async def test_a_deadline_is_that_of_the_call_or_of_the_connection() -> None:
    async with connect(router, "/echo", deadline=SHORT) as ws:
        with pytest.raises(DeadlinePassed, match=f"nothing came within {SHORT:g} s"):
            await ws.receive()
        with pytest.raises(DeadlinePassed, match="nothing came within 0 s"):
            await ws.receive_json(deadline=0)


async def test_a_message_in_time_keeps_a_wait_within_its_deadline() -> None:
    async def late(receive: Receive, send: Send) -> None:
        await anyio.sleep(SHORT)
        await send({"type": "websocket.send", "text": "late"})
        await receive()

    async with connect(speaking(late), deadline=20 * SHORT) as ws:
        assert await ws.receive_text() == "late"


async def test_two_may_wait_for_messages_at_once() -> None:
    got: list[str] = []

    async def read(ws: ClientWebSocket) -> None:
        got.append(await ws.receive_text())

    async with connect(router, "/echo") as ws:
        async with anyio.create_task_group() as tasks:
            for text in ("a", "b"):
                tasks.start_soon(read, ws)
                await ws.send_text(text)
    assert sorted(got) == ["a", "b"]


async def test_a_wait_can_be_cancelled() -> None:
    async with connect(router, "/echo") as ws:
        with anyio.move_on_after(SHORT) as scope:
            await ws.receive()
        assert scope.cancelled_caught
        await ws.send_text("still there")
        assert await ws.receive_text() == "still there"


# The end


@pytest.mark.parametrize("code", [1000, 1001])
async def test_iteration_ends_with_the_connection(code: int) -> None:
    async with connect(router, f"/closes?code={code}&first=one") as ws:
        assert [frame async for frame in ws] == ["one"]


async def test_iteration_raises_what_is_no_good_end() -> None:
    frames = []
    async with connect(router, "/closes?code=4000&first=one") as ws:
        with pytest.raises(ConnectionClosed) as closed:
            async for frame in ws:
                frames.append(frame)  # noqa: PERF401  # up to the exception
    assert frames == ["one"]
    assert (closed.value.code, closed.value.reason) == (4000, "that is all")


async def test_a_close_is_what_was_expected() -> None:
    async with connect(router, "/closes?code=4000") as ws:
        assert await ws.expect_close() == Close(4000, "that is all")
        assert await ws.expect_close(4000) == await ws.expect_close(reason="that is all") == (4000, "that is all")


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({"code": 4001}, "a close with 4001"),
        ({"reason": "no"}, "a close with 'no'"),
        ({"code": 4000, "reason": "no"}, "a close with 4000 'no'"),
    ],
)
async def test_another_close_is_not(expected: Any, words: str) -> None:
    async with connect(router, "/closes?code=4000") as ws:
        with pytest.raises(UnexpectedMessage) as caught:
            await ws.expect_close(**expected)
    assert caught.value.problem == f"expected {words}, and the connection was closed with 4000 'that is all'"


async def test_a_message_is_no_close() -> None:
    with pytest.raises(UnexpectedMessage, match=r"^expected a close with 1000, and got the message 'x'\n"):
        async with connect(sending("x"), deadline=SHORT) as ws:
            await ws.expect_close(1000)


async def test_an_open_connection_is_no_close() -> None:
    with pytest.raises(DeadlinePassed, match=r"^expected a close, and the connection stays open within 0.05 s\n"):
        async with connect(router, "/echo", deadline=SHORT) as ws:
            await ws.expect_close()


async def test_an_exception_of_the_application_is_why_its_close_is_another() -> None:
    async def fail(receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 1011})
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        async with connect(speaking(fail)) as ws:
            await ws.expect_close(1000)


async def test_the_client_closes_with_a_code_and_a_reason() -> None:
    seen: list[Message] = []

    async def watch(receive: Receive, send: Send) -> None:
        seen.append(await receive())

    async with connect(speaking(watch)) as ws:
        await ws.close(3000, "Bye")
        await ws.close(4000, "too late")
        assert await ws.expect_close(3000, "Bye")
    assert seen == [{"type": "websocket.disconnect", "code": 3000, "reason": "Bye"}]


@pytest.mark.parametrize("code", [999, 1004, 1005, 1006, 1015, 2999, 5000])
async def test_the_client_cannot_close_with_a_code_that_nobody_may_send(code: int) -> None:
    async with connect(router, "/echo") as ws:
        with pytest.raises(ValueError, match=rf"close\(\) got the code {code}"):
            await ws.close(code)


async def test_the_client_cannot_close_with_a_reason_that_is_too_long() -> None:
    async with connect(router, "/echo") as ws:
        with pytest.raises(ValueError, match=r"close\(\) got a close reason of 124 bytes"):
            await ws.close(1000, "ä" * 62)


async def test_a_client_that_vanishes_is_told_as_1006_and_cannot_be_sent_to() -> None:
    seen: list[object] = []

    async def watch(receive: Receive, send: Send) -> None:
        seen.append(await receive())
        for kind in ("websocket.send", "websocket.close"):
            try:
                await send({"type": kind, "text": "x"})
            except OSError as gone:
                seen.append(str(gone))

    async with connect(speaking(watch)) as ws:
        await ws.drop()
        with pytest.raises(ConnectionClosed) as closed:
            await ws.send_text("x")
        assert (closed.value.code, closed.value.reason) == (1006, "")
    assert seen == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}, *["the client is gone"] * 2]


async def test_a_vanished_client_is_a_disconnect_for_an_endpoint() -> None:
    left: list[int] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect as gone:
            left.append(gone.code)

    async with connect(WebSocketRouter(routes=[route_to(endpoint)])) as ws:
        await ws.drop()
    assert left == [1006]


def route_to(endpoint: Callable[..., Awaitable[None]]) -> Any:
    from wsroute import APIWebSocketRoute

    return APIWebSocketRoute("/", endpoint)


async def test_after_its_own_close_the_application_is_told_of_the_disconnect() -> None:
    seen: list[Message] = []

    async def watch(receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 3000, "reason": "Bye"})
        seen.append(await receive())

    async with connect(speaking(watch)) as ws:
        await ws.expect_close(3000, "Bye")
        # It has ended: the client cannot leave any more.
        await ws.drop()
        await ws.expect_close(3000)
    assert seen == [{"type": "websocket.disconnect", "code": 3000, "reason": "Bye"}]


# Slow and fast clients


@pytest.mark.parametrize(
    ("size", "frames"), [(1, PAUSED_FRAMES), (PAUSED_BYTES // 4, 4), (PAUSED_BYTES // 4 - 1, 5), (2 * PAUSED_BYTES, 1)]
)
async def test_a_client_that_does_not_read_makes_sends_wait(size: int, frames: int) -> None:
    sent: list[int] = []

    async def flood(receive: Receive, send: Send) -> None:
        await receive()
        while True:
            await send({"type": "websocket.send", "bytes": b"x" * size})
            sent.append(size)

    async with connect(speaking(flood), allow=["messages"], raise_app_exceptions=False) as ws:
        ws.pause_reading()
        await ws.send_text("go")
        await anyio.wait_all_tasks_blocked()
        assert len(sent) == frames
        with pytest.raises(SocketTestError, match=r"does not read: call resume_reading\(\) before"):
            await ws.receive()

        ws.resume_reading()
        assert len(await ws.receive_bytes()) == size
    assert isinstance(ws.exception, OSError)


async def test_a_client_that_reads_again_gets_everything() -> None:
    async def flood(receive: Receive, send: Send) -> None:
        for number in range(3 * PAUSED_FRAMES):
            await send({"type": "websocket.send", "text": str(number)})
        await send({"type": "websocket.close"})

    async with connect(speaking(flood)) as ws:
        ws.pause_reading()
        await anyio.wait_all_tasks_blocked()
        ws.resume_reading()
        assert [frame async for frame in ws] == [str(number) for number in range(3 * PAUSED_FRAMES)]


@pytest.mark.parametrize("kind", ["websocket.send", "websocket.close"])
async def test_a_close_waits_behind_what_is_not_read(kind: str) -> None:
    reached: list[str] = []

    async def flood(receive: Receive, send: Send) -> None:
        await receive()
        for _ in range(PAUSED_FRAMES):
            await send({"type": "websocket.send", "text": "x"})
        reached.append("full")
        try:
            await send({"type": kind, "text": "y"})
        except OSError:
            reached.append("gone")

    async with connect(speaking(flood), allow={"messages"}) as ws:
        ws.pause_reading()
        await ws.send_text("go")
        await anyio.wait_all_tasks_blocked()
        assert reached == ["full"]
        await ws.drop()
    assert reached == ["full", "gone"]


async def test_an_application_is_at_most_so_far_ahead_of_its_client() -> None:
    sent: list[int] = []

    async def flood(receive: Receive, send: Send) -> None:
        while True:
            await send({"type": "websocket.send", "text": str(len(sent))})
            sent.append(len(sent))

    async with connect(speaking(flood), allow=["messages"], raise_app_exceptions=False) as ws:
        assert await ws.receive_text() == "0"
        assert len(sent) == READ_AHEAD


async def test_a_flood_is_sent_at_once() -> None:
    async with connect(router, "/echo") as ws:
        await ws.flood(2)
        await ws.flood(3, str)
        await ws.flood(1, b"x")
        assert [await ws.receive() for _ in range(6)] == ["flood", "flood", "0", "1", "2", b"x"]
