"""Bare ASGI, and what is below pydantic's own methods."""

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

from anyio import CancelScope, create_task_group
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from tests.benchmarks.adapters.raw import Endpoint, application
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
    Erased,
    Said,
    Say,
    get_session,
    ticks,
)

#: From the text of a message to that of the reply.
Answer = Callable[[str], Awaitable[str]]


def answering(answer: Answer) -> Endpoint:
    async def endpoint(scope: Scope, receive: Receive, send: Send, tail: str) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                reply = await answer(message["text"])
            except ValidationError:
                reply = INVALID
            await send({"type": "websocket.send", "text": reply})

    return endpoint


async def typed(text: str) -> str:
    message = read_say(text)
    return write_said(Said(room=message.room, text=message.text, by="nobody")).decode()


def typed_with_two(graph: Graph) -> Answer:
    async def answer(text: str) -> str:
        message = read_say(text)
        settings = await graph.settings()
        user = await graph.user(settings)
        return write_said(Said(room=message.room, text=message.text, by=user.name)).decode()

    return answer


async def typed_with_generator(text: str) -> str:
    message = read_say(text)
    async with open_session() as session:
        return write_said(Said(room=message.room, text=message.text, by=session)).decode()


async def typed_union(text: str) -> str:
    message = read_message(text)
    if isinstance(message, Say):
        return write_said(Said(room=message.room, text=message.text, by="nobody")).decode()
    if isinstance(message, Edit):
        return write_edited(Edited(number=message.number, text=message.text)).decode()
    return write_erased(Erased(number=message.number)).decode()


async def stream(scope: Scope, receive: Receive, send: Send, tail: str) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    async with create_task_group() as tasks:
        tasks.start_soon(watch, receive, tasks.cancel_scope)
        async for item in ticks(int(tail)):
            await send({"type": "websocket.send", "text": write_tick(item).decode()})
        tasks.cancel_scope.cancel()
    await send({"type": "websocket.close", "code": 1000, "reason": ""})


async def watch(receive: Receive, sending: CancelScope) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass
    sending.cancel()


read_say, read_message = SAYS.validator.validate_json, MESSAGES.validator.validate_json
write_said, write_edited, write_erased, write_tick = (
    adapter.serializer.to_json for adapter in (SAIDS, EDITEDS, ERASEDS, TICKS)
)
open_session = asynccontextmanager(get_session)


APPS = {
    "typed": lambda: application({"": answering(typed)}),
    "typed-two": lambda: application({"": answering(typed_with_two(make_fan(by_hand)))}),
    "typed-generator": lambda: application({"": answering(typed_with_generator)}),
    "typed-union": lambda: application({"": answering(typed_union)}),
    "stream": lambda: application({"/ticks": stream}),
}
