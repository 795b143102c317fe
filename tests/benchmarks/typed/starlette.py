"""Starlette, written by hand: an adapter for each type, made once, and an answer to whatever is no message."""

from contextlib import asynccontextmanager

from anyio import CancelScope, create_task_group
from pydantic import ValidationError
from starlette.websockets import WebSocket

from tests.benchmarks.adapters.starlette import Endpoint, one
from tests.benchmarks.domain import Graph, by_hand, make_fan
from tests.benchmarks.typed.talk import (
    EDITEDS,
    ERASEDS,
    INVALID,
    MESSAGES,
    SAIDS,
    SAYS,
    TICKS,
    Edit,
    Edited,
    Erase,
    Erased,
    Said,
    Say,
    get_session,
    ticks,
)


async def typed(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        try:
            message = SAYS.validate_json(text)
        except ValidationError:
            await websocket.send_text(INVALID)
            continue
        reply = Said(room=message.room, text=message.text, by="nobody")
        await websocket.send_text(SAIDS.dump_json(reply).decode())


def typed_with_two(graph: Graph) -> Endpoint:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            try:
                message = SAYS.validate_json(text)
            except ValidationError:
                await websocket.send_text(INVALID)
                continue
            settings = await graph.settings()
            user = await graph.user(settings)
            reply = Said(room=message.room, text=message.text, by=user.name)
            await websocket.send_text(SAIDS.dump_json(reply).decode())

    return endpoint


open_session = asynccontextmanager(get_session)


async def typed_with_generator(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        try:
            message = SAYS.validate_json(text)
        except ValidationError:
            await websocket.send_text(INVALID)
            continue
        async with open_session() as session:
            reply = SAIDS.dump_json(Said(room=message.room, text=message.text, by=session))
        await websocket.send_text(reply.decode())


async def typed_union(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        try:
            message = MESSAGES.validate_json(text)
        except ValidationError:
            await websocket.send_text(INVALID)
            continue
        match message:
            case Say():
                reply = SAIDS.dump_json(Said(room=message.room, text=message.text, by="nobody"))
            case Edit():
                reply = EDITEDS.dump_json(Edited(number=message.number, text=message.text))
            case Erase():
                reply = ERASEDS.dump_json(Erased(number=message.number))
        await websocket.send_text(reply.decode())


async def stream(websocket: WebSocket) -> None:
    await websocket.accept()
    async with create_task_group() as tasks:
        tasks.start_soon(watch, websocket, tasks.cancel_scope)
        async for item in ticks(websocket.path_params["count"]):
            await websocket.send_text(TICKS.dump_json(item).decode())
        tasks.cancel_scope.cancel()
    await websocket.close()


async def watch(websocket: WebSocket, sending: CancelScope) -> None:
    """Stop sending when the client leaves."""
    async for _ in websocket.iter_text():
        pass
    sending.cancel()


APPS = {
    "typed": lambda: one("/bare", typed),
    "typed-two": lambda: one("/bare", typed_with_two(make_fan(by_hand))),
    "typed-generator": lambda: one("/bare", typed_with_generator),
    "typed-union": lambda: one("/bare", typed_union),
    "stream": lambda: one("/ticks/{count:int}", stream),
}
