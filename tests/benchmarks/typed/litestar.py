"""Litestar: a message is of one type, and what is injected is made for the connection."""

from litestar import websocket_listener, websocket_stream
from litestar.plugins.pydantic import PydanticDTO

from tests.benchmarks.adapters.litestar import application
from tests.benchmarks.typed.talk import Said, Say, ticks


async def typed(data: Say) -> Said:
    return Said(room=data.room, text=data.text, by="nobody")


APPS = {
    "typed": lambda: application(
        websocket_listener("/bare", dto=PydanticDTO[Say], return_dto=PydanticDTO[Said])(typed)
    ),
    "stream": lambda: application(websocket_stream("/ticks/{count:int}")(ticks)),
}
