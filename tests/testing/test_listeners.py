"""The kit and typed messages: overrides of what lives for one message, timeouts by the clock, and slow clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Literal

import anyio
import pytest
from pydantic import BaseModel

from wsroute import Depends, WebSocketListener, WebSocketRouter, on
from wsroute.testing import DeadlinePassed, Peer, UnusedOverride, connect, fake_clock, override
from wsroute.testing.wire import PAUSED_FRAMES

pytestmark = pytest.mark.anyio

SHORT = 0.05


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str


class Said(BaseModel):
    type: Literal["said"] = "said"
    text: str


async def open_session() -> AsyncIterator[str]:
    yield "session"


async def unknown() -> str:
    return "unknown"


router = WebSocketRouter()
MessageSession = Annotated[str, Depends(open_session, scope="message")]


@router.listener("/say", idle_timeout=60, send_timeout=5)
async def say(message: Say, session: MessageSession) -> Said:
    return Said(text=f"{session}: {message.text}")


@router.websocket("/room")
class Room(WebSocketListener):
    @on
    async def say(self, message: Say, session: MessageSession) -> Said:
        if message.text == "wait":
            await anyio.sleep_forever()
        return Said(text=f"{session}: {message.text}")


@pytest.mark.parametrize("path", ["/say", "/room"])
async def test_what_lives_for_one_message_is_overridden(path: str) -> None:
    with override(router, open_session, value="fake"):
        async with connect(router, path) as ws:
            await ws.send_model(Say(text="Hello"))
            assert await ws.receive(Said) == Said(text="fake: Hello")


async def test_an_override_of_it_in_vain_is_told_from_one_of_something_else() -> None:
    with pytest.raises(UnusedOverride, match="open_session was never used"):
        with override(router, open_session, value="fake"):
            pass
    with pytest.raises(UnusedOverride, match="unknown replaces nothing"):
        with override(router, unknown, value="fake"):
            pass


async def test_an_idle_client_is_closed_when_the_clock_says_so() -> None:
    async with fake_clock() as clock, connect(router, "/say") as ws:
        await clock.advance(59)
        await ws.send_model(Say(text="Hello"))
        await ws.receive(Said)
        await clock.advance(61)
        assert (await ws.expect_close()).code == 1008


async def test_a_client_that_does_not_read_is_left_when_the_clock_says_so() -> None:
    async with fake_clock() as clock, connect(router, "/say") as ws:
        ws.pause_reading()
        for number in range(PAUSED_FRAMES + 2):
            await ws.send_model(Say(text=str(number)))
        await clock.advance(6)
        ws.resume_reading()
        assert [(await ws.receive(Said)).text for _ in range(PAUSED_FRAMES)][-1] == f"session: {PAUSED_FRAMES - 1}"
        await ws.expect_close(1006)


async def test_a_message_that_hangs_shows_its_line_and_what_it_holds_open() -> None:
    with pytest.raises(DeadlinePassed) as caught:
        async with connect(router, "/room", deadline=SHORT) as ws:
            await ws.send_model(Say(text="wait"))
            await ws.receive(Said)
    lines = str(caught.value).splitlines()
    assert lines[1].startswith("  the application waits in Room.say at tests/testing/test_listeners.py:")
    assert lines[3] == "  open dependencies: open_session"


async def test_a_listener_that_waits_for_its_client_is_said_to() -> None:
    with pytest.raises(DeadlinePassed, match=r"(?m)^  the application waits for a message$"):
        async with connect(router, "/say") as ws:
            await ws.receive(deadline=SHORT)
    with pytest.raises(DeadlinePassed, match=r"(?m)^  the application waits for a message$"):
        await Peer("/say").serve(router, within=SHORT)
