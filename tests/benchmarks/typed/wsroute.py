"""wsroute: listeners and a stream."""

from functools import partial
from typing import Annotated

from starlette.types import ASGIApp

from tests.benchmarks.adapters.wsroute import Endpoint, attached, one
from tests.benchmarks.domain import Graph, Part, make_fan
from tests.benchmarks.typed.talk import Edit, Edited, Erase, Erased, Said, Say, get_session, ticks
from wsroute import Depends, WebSocketListener, WebSocketRouter, on


def listening(handler: Endpoint) -> ASGIApp:
    router = WebSocketRouter()
    router.listener("/bare")(handler)
    return attached(router)


async def typed(message: Say) -> Said:
    return Said(room=message.room, text=message.text, by="nobody")


def typed_with_two(graph: Graph) -> Endpoint:
    async def handler(message: Say, user: Annotated[Part, Depends(graph.user, scope="message")]) -> Said:
        return Said(room=message.room, text=message.text, by=user.name)

    return handler


async def typed_with_generator(message: Say, session: Annotated[str, Depends(get_session, scope="message")]) -> Said:
    return Said(room=message.room, text=message.text, by=session)


class Room(WebSocketListener):
    @on
    async def say(self, message: Say) -> Said:
        return Said(room=message.room, text=message.text, by="nobody")

    @on
    async def edit(self, message: Edit) -> Edited:
        return Edited(number=message.number, text=message.text)

    @on
    async def erase(self, message: Erase) -> Erased:
        return Erased(number=message.number)


def stream() -> ASGIApp:
    router = WebSocketRouter()
    router.stream("/ticks/{count}")(ticks)
    return attached(router)


APPS = {
    "typed": lambda: listening(typed),
    "typed-two": lambda: listening(typed_with_two(make_fan(partial(Depends, scope="message")))),
    "typed-generator": lambda: listening(typed_with_generator),
    "typed-union": lambda: one("/bare", Room),
    "stream": stream,
}
