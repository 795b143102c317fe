"""Litestar: its handlers get parameters and dependencies by name."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeAlias, cast

from litestar import Litestar, Router, WebSocket, websocket
from litestar.di import Provide
from litestar.exceptions import WebSocketDisconnect
from litestar.params import Parameter
from starlette.types import ASGIApp

from tests.benchmarks import typed
from tests.benchmarks.adapters import Adapter
from tests.benchmarks.domain import Graph, Part, by_hand, make_diamond, make_fan

Socket: TypeAlias = WebSocket[Any, Any, Any]
Handler = Callable[..., Any]
Token = Annotated[str, Parameter(header="X-Token")]


def handler(path: str, endpoint: Handler, dependencies: dict[str, Any] | None = None) -> Any:
    # Called, not written as a decorator: where Litestar is not installed, type checkers know nothing about it.
    return websocket(path, dependencies=dependencies)(endpoint)


def application(*handlers: Any) -> ASGIApp:
    # The documentation of an HTTP API is nothing that the others make for sockets.
    return cast(ASGIApp, Litestar(route_handlers=list(handlers), openapi_config=None))


def one(path: str, endpoint: Handler, dependencies: dict[str, Any] | None = None) -> ASGIApp:
    return application(handler(path, endpoint, dependencies))


def providers(graph: Graph, *names: str, sync_to_thread: bool | None = None) -> dict[str, Any]:
    return {name: Provide(getattr(graph, name), sync_to_thread=sync_to_thread) for name in names}


async def bare(socket: Socket) -> None:
    await socket.accept()
    async for text in socket.iter_data("text"):
        await socket.send_text(text)


async def with_parameters(socket: Socket, item_id: int, limit: int, q: str, x_token: Token) -> None:
    await socket.accept()
    async for text in socket.iter_data("text"):
        await socket.send_text(f"{text} {item_id + limit} {q} {x_token}")


async def with_dependencies(
    socket: Socket,
    item_id: int,
    limit: int,
    q: str,
    x_token: Token,
    database: Part,
    cache: Part,
    user: Part,
    audit: str,
) -> None:
    await socket.accept()
    async for text in socket.iter_data("text"):
        await socket.send_text(
            f"{text} {item_id + limit} {q} {x_token} {database.name} {cache.name} {user.name} {audit}"
        )


async def with_generators(
    socket: Socket,
    item_id: int,
    limit: int,
    q: str,
    x_token: Token,
    cache: Part,
    user: Part,
    audit: str,
    transaction: Part,
) -> None:
    await socket.accept()
    async for text in socket.iter_data("text"):
        await socket.send_text(
            f"{text} {item_id + limit} {q} {x_token} {cache.name} {user.name} {audit} {transaction.name}"
        )


async def with_sync(
    socket: Socket, item_id: int, limit: int, q: str, x_token: Token, flags: str, prices: str, texts: str
) -> None:
    await socket.accept()
    async for text in socket.iter_data("text"):
        await socket.send_text(f"{text} {item_id + limit} {q} {x_token} {flags} {prices} {texts}")


async def with_diamond(socket: Socket, item_id: int, limit: int, q: str, x_token: Token, audit: str) -> None:
    await socket.accept()
    async for text in socket.iter_data("text"):
        await socket.send_text(f"{text} {item_id + limit} {q} {x_token} {audit}")


def numbered(number: int) -> Handler:
    async def endpoint(socket: Socket) -> None:
        await socket.accept()
        async for text in socket.iter_data("text"):
            await socket.send_text(f"{text} {number}")

    return endpoint


async def receive_text(socket: Socket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


def table(count: int) -> ASGIApp:
    return application(*(handler(f"/resource{number}/{{item_id:str}}", numbered(number)) for number in range(count)))


def groups(count: int, size: int) -> ASGIApp:
    def handlers(group: int) -> list[Any]:
        return [
            handler(f"/resource{number}/{{item_id:str}}", numbered(group * size + number)) for number in range(size)
        ]

    return application(*(Router(path=f"/group{group}", route_handlers=handlers(group)) for group in range(count)))


def startup(count: int, shared: bool) -> ASGIApp:
    common = make_fan(by_hand)

    def make(number: int) -> Any:
        async def endpoint(
            socket: Socket,
            item_id: int,
            limit: int,
            q: str,
            x_token: Token,
            database: Part,
            cache: Part,
            user: Part,
            audit: str,
        ) -> None:
            await with_dependencies(socket, item_id, limit, q, x_token, database, cache, user, audit)

        graph = common if shared else make_fan(by_hand)
        return handler(f"/resource{number}/{{item_id:int}}", endpoint, providers(graph, *FAN))

    return application(*map(make, range(count)))


PATH = "/items/{item_id:int}"
FAN = ("settings", "database", "cache", "user", "audit")
OPENED = ("session", "transaction")
SYNC = ("flags", "prices", "texts")

ADAPTER = Adapter(
    connect={
        "a": lambda: one("/bare", bare),
        "b": lambda: one(PATH, with_parameters),
        "c": lambda: one(PATH, with_dependencies, providers(make_fan(by_hand), *FAN)),
        "d": lambda: one(PATH, with_generators, providers(make_fan(by_hand), *FAN, *OPENED)),
        "e": lambda: one(PATH, with_sync, providers(make_fan(by_hand), *SYNC, sync_to_thread=True)),
        "e-inline": lambda: one(PATH, with_sync, providers(make_fan(by_hand), *SYNC, sync_to_thread=False)),
        "g": lambda: one(PATH, with_diamond, providers(make_diamond(by_hand), *FAN)),
    },
    table=table,
    groups=groups,
    message={"receive_text": lambda: one("/bare", receive_text), "iter_text": lambda: one("/bare", bare)},
    startup=startup,
    typed=partial(typed.load, "litestar"),
)
