"""A listener that is declared before what its annotations name."""

from __future__ import annotations

from pydantic import BaseModel

from wsroute import WebSocketRouter

router = WebSocketRouter()


@router.listener("/")
async def listener(message: Later) -> Answer:
    return Answer(of=message)


class Answer(BaseModel):
    of: Later


class Later(BaseModel):
    number: int
