"""Listeners that gateways mount."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from wsroute import BasePermission, Inject, WebSocketGateway, WebSocketListener, WebSocketRouter, on
from wsroute.testing import HandshakeRefused, connect

pytestmark = pytest.mark.anyio


class Say(BaseModel):
    text: str


class Knows(BasePermission):
    async def has_permission(self, websocket: Any, route: Any, word: str = "") -> bool:
        return word == "please"


class Room(WebSocketListener):
    permissions = [Knows]
    max_message_size = 100

    def __init__(self, room: str, user: str) -> None:
        self.room, self.user = room, user

    @on
    async def say(self, message: Say) -> str:
        return f"{self.user}@{self.room}: {message.text}"


def gateway(path: str = "/rooms/{room}", name: str | None = None) -> WebSocketGateway:
    return WebSocketGateway(path, handler=Room, name=name, dependencies={"user": Inject(lambda: "ann")})


async def test_a_gateway_mounts_a_listener_with_all_that_both_add() -> None:
    async with connect(gateway(), "/rooms/7", params={"word": "please"}) as ws:
        await ws.send_json({"text": "Hello"})
        assert await ws.receive_text() == "ann@7: Hello"
        await ws.send_text("x" * 101)
        await ws.expect_close(code=1009)


async def test_the_permissions_of_the_listener_are_asked() -> None:
    with pytest.raises(HandshakeRefused) as refused:
        async with connect(gateway(), "/rooms/7"):
            raise AssertionError("it was accepted")

    assert refused.value.status_code == 403


async def test_it_can_be_mounted_many_times() -> None:
    router = WebSocketRouter(routes=[gateway("/a/{room}"), gateway("/b/{room}", name="second")])

    for path in ("/a/1", "/b/2"):
        async with connect(router, path, params={"word": "please"}) as ws:
            await ws.send_json({"text": "Hello"})
            assert await ws.receive_text() == f"ann@{path[-1]}: Hello"
    assert router.url_path_for("Room", room="1") == "/a/1"
    assert router.url_path_for("second", room="2") == "/b/2"
