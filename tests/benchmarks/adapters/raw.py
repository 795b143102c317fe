"""Bare ASGI: the floor that nobody goes below. It routes with a dictionary, and parses only what it needs."""

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import parse_qsl

from anyio import to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.benchmarks import typed
from tests.benchmarks.adapters import Adapter
from tests.benchmarks.domain import Graph, by_hand, make_diamond, make_fan

#: Takes the last part of the path, too.
Endpoint = Callable[[Scope, Receive, Send, str], Awaitable[None]]


def application(endpoints: dict[str, Endpoint]) -> ASGIApp:
    """An application that takes everything but the last part of a path for the name of an endpoint."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        head, _, tail = scope["path"].rpartition("/")
        endpoint = endpoints.get(head)
        if endpoint is None:
            await refuse(send)
        else:
            await endpoint(scope, receive, send, tail)

    return app


async def live(receive: Receive, send: Send) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def refuse(send: Send) -> None:
    await send({"type": "websocket.close", "code": 1008, "reason": ""})


async def echo(receive: Receive, send: Send, suffix: str) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": message["text"] + suffix})


def parameters(scope: Scope, item_id: str) -> tuple[int, str, str] | None:
    """The sum of the two integers, and the two strings; nothing if they are not as they should be."""
    query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    headers = dict(scope["headers"])
    try:
        return int(item_id) + int(query["limit"]), query["q"], headers[b"x-token"].decode("latin-1")
    except (KeyError, ValueError):
        return None


async def bare(scope: Scope, receive: Receive, send: Send, tail: str) -> None:
    await echo(receive, send, "")


async def with_parameters(scope: Scope, receive: Receive, send: Send, tail: str) -> None:
    read = parameters(scope, tail)
    if read is None:
        return await refuse(send)
    total, q, x_token = read
    await echo(receive, send, f" {total} {q} {x_token}")


def with_dependencies(graph: Graph, *, override: bool = False) -> Endpoint:
    get_user = graph.other_user if override else graph.user

    async def endpoint(scope: Scope, receive: Receive, send: Send, tail: str) -> None:
        read = parameters(scope, tail)
        if read is None:
            return await refuse(send)
        total, q, x_token = read
        settings = await graph.settings()
        database = await graph.database(settings)
        cache = await graph.cache(settings)
        user = await get_user(settings)
        audit = await graph.audit()
        await echo(receive, send, f" {total} {q} {x_token} {database.name} {cache.name} {user.name} {audit}")

    return endpoint


def with_generators(graph: Graph) -> Endpoint:
    open_session = asynccontextmanager(graph.session)
    open_transaction = asynccontextmanager(graph.transaction)

    async def endpoint(scope: Scope, receive: Receive, send: Send, tail: str) -> None:
        read = parameters(scope, tail)
        if read is None:
            return await refuse(send)
        total, q, x_token = read
        settings = await graph.settings()
        database = await graph.database(settings)
        cache = await graph.cache(settings)
        user = await graph.user(settings)
        audit = await graph.audit()
        async with open_session(database) as session, open_transaction(session) as transaction:
            await echo(receive, send, f" {total} {q} {x_token} {cache.name} {user.name} {audit} {transaction.name}")

    return endpoint


def with_threads(graph: Graph) -> Endpoint:
    async def endpoint(scope: Scope, receive: Receive, send: Send, tail: str) -> None:
        read = parameters(scope, tail)
        if read is None:
            return await refuse(send)
        total, q, x_token = read
        flags = await to_thread.run_sync(graph.flags)
        prices = await to_thread.run_sync(graph.prices)
        texts = await to_thread.run_sync(graph.texts)
        await echo(receive, send, f" {total} {q} {x_token} {flags} {prices} {texts}")

    return endpoint


def with_sync(graph: Graph) -> Endpoint:
    async def endpoint(scope: Scope, receive: Receive, send: Send, tail: str) -> None:
        read = parameters(scope, tail)
        if read is None:
            return await refuse(send)
        total, q, x_token = read
        await echo(receive, send, f" {total} {q} {x_token} {graph.flags()} {graph.prices()} {graph.texts()}")

    return endpoint


def with_diamond(graph: Graph) -> Endpoint:
    async def endpoint(scope: Scope, receive: Receive, send: Send, tail: str) -> None:
        read = parameters(scope, tail)
        if read is None:
            return await refuse(send)
        total, q, x_token = read
        settings = await graph.settings()
        database = await graph.database(settings)
        cache = await graph.cache(settings, database)
        user = await graph.user(settings, database, cache)
        audit = await graph.audit(settings, database, cache, user)
        await echo(receive, send, f" {total} {q} {x_token} {audit}")

    return endpoint


def numbered(number: int) -> Endpoint:
    async def endpoint(scope: Scope, receive: Receive, send: Send, tail: str) -> None:
        await echo(receive, send, f" {number}")

    return endpoint


def table(count: int) -> ASGIApp:
    return application({f"/resource{number}": numbered(number) for number in range(count)})


def groups(count: int, size: int) -> ASGIApp:
    return application(
        {
            f"/group{group}/resource{number}": numbered(group * size + number)
            for group in range(count)
            for number in range(size)
        }
    )


def startup(count: int, shared: bool) -> ASGIApp:
    common = make_fan(by_hand)
    return application(
        {f"/resource{number}": with_dependencies(common if shared else make_fan(by_hand)) for number in range(count)}
    )


ADAPTER = Adapter(
    connect={
        "a": lambda: application({"": bare}),
        "b": lambda: application({"/items": with_parameters}),
        "c": lambda: application({"/items": with_dependencies(make_fan(by_hand))}),
        "d": lambda: application({"/items": with_generators(make_fan(by_hand))}),
        "e": lambda: application({"/items": with_threads(make_fan(by_hand))}),
        "e-inline": lambda: application({"/items": with_sync(make_fan(by_hand))}),
        "f": lambda: application({"/items": with_dependencies(make_fan(by_hand), override=True)}),
        "g": lambda: application({"/items": with_diamond(make_diamond(by_hand))}),
    },
    table=table,
    groups=groups,
    message={"receive_text": lambda: application({"": bare})},
    startup=startup,
    typed=partial(typed.load, "raw"),
)
