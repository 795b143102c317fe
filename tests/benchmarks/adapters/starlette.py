"""Starlette, written by hand: what a careful engineer writes who has no dependency injection."""

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.benchmarks import typed
from tests.benchmarks.adapters import Adapter
from tests.benchmarks.domain import Graph, by_hand, make_diamond, make_fan

Endpoint = Callable[[WebSocket], Awaitable[None]]


def one(path: str, endpoint: Endpoint) -> ASGIApp:
    """An application with one route."""
    return Starlette(routes=[WebSocketRoute(path, endpoint)])


def parameters(websocket: WebSocket) -> tuple[int, int, str, str]:
    """The parameters of the handshake: one of the path, two of the query, one header."""
    query = websocket.query_params
    try:
        return websocket.path_params["item_id"], int(query["limit"]), query["q"], websocket.headers["x-token"]
    except (KeyError, ValueError):
        raise HTTPException(422, "limit, q and x-token are required, and limit is an integer") from None


async def bare(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def with_parameters(websocket: WebSocket) -> None:
    item_id, limit, q, x_token = parameters(websocket)
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"{text} {item_id + limit} {q} {x_token}")


def with_dependencies(graph: Graph, *, override: bool = False) -> Endpoint:
    get_user = graph.other_user if override else graph.user

    async def endpoint(websocket: WebSocket) -> None:
        item_id, limit, q, x_token = parameters(websocket)
        settings = await graph.settings()
        database = await graph.database(settings)
        cache = await graph.cache(settings)
        user = await get_user(settings)
        audit = await graph.audit()
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(
                f"{text} {item_id + limit} {q} {x_token} {database.name} {cache.name} {user.name} {audit}"
            )

    return endpoint


def with_generators(graph: Graph) -> Endpoint:
    open_session = asynccontextmanager(graph.session)
    open_transaction = asynccontextmanager(graph.transaction)

    async def endpoint(websocket: WebSocket) -> None:
        item_id, limit, q, x_token = parameters(websocket)
        settings = await graph.settings()
        database = await graph.database(settings)
        cache = await graph.cache(settings)
        user = await graph.user(settings)
        audit = await graph.audit()
        async with open_session(database) as session, open_transaction(session) as transaction:
            await websocket.accept()
            async for text in websocket.iter_text():
                await websocket.send_text(
                    f"{text} {item_id + limit} {q} {x_token} {cache.name} {user.name} {audit} {transaction.name}"
                )

    return endpoint


def with_threads(graph: Graph) -> Endpoint:
    async def endpoint(websocket: WebSocket) -> None:
        item_id, limit, q, x_token = parameters(websocket)
        flags = await run_in_threadpool(graph.flags)
        prices = await run_in_threadpool(graph.prices)
        texts = await run_in_threadpool(graph.texts)
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(f"{text} {item_id + limit} {q} {x_token} {flags} {prices} {texts}")

    return endpoint


def with_sync(graph: Graph) -> Endpoint:
    async def endpoint(websocket: WebSocket) -> None:
        item_id, limit, q, x_token = parameters(websocket)
        flags = graph.flags()
        prices = graph.prices()
        texts = graph.texts()
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(f"{text} {item_id + limit} {q} {x_token} {flags} {prices} {texts}")

    return endpoint


def with_diamond(graph: Graph) -> Endpoint:
    async def endpoint(websocket: WebSocket) -> None:
        item_id, limit, q, x_token = parameters(websocket)
        settings = await graph.settings()
        database = await graph.database(settings)
        cache = await graph.cache(settings, database)
        user = await graph.user(settings, database, cache)
        audit = await graph.audit(settings, database, cache, user)
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(f"{text} {item_id + limit} {q} {x_token} {audit}")

    return endpoint


def numbered(number: int) -> Endpoint:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(f"{text} {number}")

    return endpoint


async def receive_text(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


def table(count: int) -> ASGIApp:
    return Starlette(
        routes=[WebSocketRoute(f"/resource{number}/{{item_id}}", numbered(number)) for number in range(count)]
    )


def groups(count: int, size: int) -> ASGIApp:
    def routes(group: int) -> list[BaseRoute]:
        return [
            WebSocketRoute(f"/resource{number}/{{item_id}}", numbered(group * size + number)) for number in range(size)
        ]

    return Starlette(routes=[Mount(f"/group{group}", routes=routes(group)) for group in range(count)])


def startup(count: int, shared: bool) -> ASGIApp:
    common = make_fan(by_hand)
    return Starlette(
        routes=[
            WebSocketRoute(
                f"/resource{number}/{{item_id:int}}", with_dependencies(common if shared else make_fan(by_hand))
            )
            for number in range(count)
        ]
    )


PATH = "/items/{item_id:int}"

ADAPTER = Adapter(
    connect={
        "a": lambda: one("/bare", bare),
        "b": lambda: one(PATH, with_parameters),
        "c": lambda: one(PATH, with_dependencies(make_fan(by_hand))),
        "d": lambda: one(PATH, with_generators(make_fan(by_hand))),
        "e": lambda: one(PATH, with_threads(make_fan(by_hand))),
        "e-inline": lambda: one(PATH, with_sync(make_fan(by_hand))),
        "f": lambda: one(PATH, with_dependencies(make_fan(by_hand), override=True)),
        "g": lambda: one(PATH, with_diamond(make_diamond(by_hand))),
    },
    table=table,
    groups=groups,
    message={"receive_text": lambda: one("/bare", receive_text), "iter_text": lambda: one("/bare", bare)},
    startup=startup,
    typed=partial(typed.load, "starlette"),
)
