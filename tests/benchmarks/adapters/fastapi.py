"""FastAPI, as its documentation says."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, WebSocket
from starlette.types import ASGIApp
from starlette.websockets import WebSocketDisconnect

from tests.benchmarks import typed
from tests.benchmarks.adapters import Adapter
from tests.benchmarks.domain import Graph, Part, make_diamond, make_fan

Endpoint = Callable[..., Any]


def one(path: str, endpoint: Endpoint) -> ASGIApp:
    app = FastAPI()
    app.websocket(path)(endpoint)
    return app


async def bare(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def with_parameters(
    websocket: WebSocket, item_id: int, limit: int, q: str, x_token: Annotated[str, Header()]
) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"{text} {item_id + limit} {q} {x_token}")


def with_dependencies(graph: Graph) -> Endpoint:
    async def endpoint(
        websocket: WebSocket,
        item_id: int,
        limit: int,
        q: str,
        x_token: Annotated[str, Header()],
        database: Annotated[Part, Depends(graph.database)],
        cache: Annotated[Part, Depends(graph.cache)],
        user: Annotated[Part, Depends(graph.user)],
        audit: Annotated[str, Depends(graph.audit)],
    ) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(
                f"{text} {item_id + limit} {q} {x_token} {database.name} {cache.name} {user.name} {audit}"
            )

    return endpoint


def with_generators(graph: Graph) -> Endpoint:
    async def endpoint(
        websocket: WebSocket,
        item_id: int,
        limit: int,
        q: str,
        x_token: Annotated[str, Header()],
        cache: Annotated[Part, Depends(graph.cache)],
        user: Annotated[Part, Depends(graph.user)],
        audit: Annotated[str, Depends(graph.audit)],
        transaction: Annotated[Part, Depends(graph.transaction)],
    ) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(
                f"{text} {item_id + limit} {q} {x_token} {cache.name} {user.name} {audit} {transaction.name}"
            )

    return endpoint


def with_sync(graph: Graph) -> Endpoint:
    async def endpoint(
        websocket: WebSocket,
        item_id: int,
        limit: int,
        q: str,
        x_token: Annotated[str, Header()],
        flags: Annotated[str, Depends(graph.flags)],
        prices: Annotated[str, Depends(graph.prices)],
        texts: Annotated[str, Depends(graph.texts)],
    ) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(f"{text} {item_id + limit} {q} {x_token} {flags} {prices} {texts}")

    return endpoint


def with_diamond(graph: Graph) -> Endpoint:
    async def endpoint(
        websocket: WebSocket,
        item_id: int,
        limit: int,
        q: str,
        x_token: Annotated[str, Header()],
        audit: Annotated[str, Depends(graph.audit)],
    ) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(f"{text} {item_id + limit} {q} {x_token} {audit}")

    return endpoint


def overridden() -> ASGIApp:
    graph = make_fan(Depends)
    app = FastAPI()
    app.websocket(PATH)(with_dependencies(graph))
    app.dependency_overrides[graph.user] = graph.other_user
    return app


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
    app = FastAPI()
    for number in range(count):
        app.websocket(f"/resource{number}/{{item_id}}")(numbered(number))
    return app


def groups(count: int, size: int) -> ASGIApp:
    app = FastAPI()
    for group in range(count):
        router = APIRouter(prefix=f"/group{group}")
        for number in range(size):
            router.websocket(f"/resource{number}/{{item_id}}")(numbered(group * size + number))
        app.include_router(router)
    return app


def startup(count: int, shared: bool) -> ASGIApp:
    common = make_fan(Depends)
    app = FastAPI()
    for number in range(count):
        graph = common if shared else make_fan(Depends)
        app.websocket(f"/resource{number}/{{item_id}}")(with_dependencies(graph))
    return app


PATH = "/items/{item_id}"

ADAPTER = Adapter(
    connect={
        "a": lambda: one("/bare", bare),
        "b": lambda: one(PATH, with_parameters),
        "c": lambda: one(PATH, with_dependencies(make_fan(Depends))),
        "d": lambda: one(PATH, with_generators(make_fan(Depends))),
        "e": lambda: one(PATH, with_sync(make_fan(Depends))),
        "f": overridden,
        "g": lambda: one(PATH, with_diamond(make_diamond(Depends))),
    },
    table=table,
    groups=groups,
    message={"receive_text": lambda: one("/bare", receive_text), "iter_text": lambda: one("/bare", bare)},
    startup=startup,
    typed=partial(typed.load, "fastapi"),
)
