"""Conversations in tests: the messages, and one connection on which some are sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

import anyio
from pydantic import BaseModel
from starlette.types import ASGIApp, Message

from tests.asgi import Peer

PeerT = TypeVar("PeerT", bound=Peer)


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str = ""


class Count(BaseModel):
    type: Literal["count"] = "count"
    to: int = 0


class Said(BaseModel):
    type: Literal["said"] = "said"
    text: str


def say(text: str) -> str:
    """The frame that says something."""
    return json.dumps({"type": "say", "text": text})


def said(text: str) -> str:
    """The frame that answers it."""
    return f'{{"type":"said","text":"{text}"}}'


async def talk(app: ASGIApp, *frames: str | bytes, target: str = "/", leave: bool = True) -> Peer:
    """A connection on which a client sends frames and, if it is to, leaves."""
    peer = Peer(target).say(*frames)
    if leave:
        peer.leave()
    await peer.serve(app)
    return peer


@asynccontextmanager
async def talking(app: ASGIApp, peer: PeerT) -> AsyncIterator[PeerT]:
    """A connection that is served until the client leaves, at the end of the context."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.serve, app)
        yield peer
        peer.leave()


class Client(Peer):
    """A peer that can wait for what it is sent."""

    _news: anyio.Event | None = None

    async def send(self, message: Message) -> None:
        await super().send(message)
        if self._news is not None:
            self._news.set()

    async def got(self, count: int) -> None:
        """Wait until so many frames have come."""
        while len(self.frames) < count:
            self._news = anyio.Event()
            await self._news.wait()


def errors_of(frame: str | bytes) -> tuple[str, list[tuple[Sequence[str | int], str]]]:
    """The code of an error frame; and the location and the type of each error in it."""
    content: dict[str, Any] = json.loads(frame)
    assert content.keys() == {"type", "code", "detail"} and content["type"] == "error"
    return content["code"], [(error["loc"], error["type"]) for error in content["detail"]]
