"""Dependencies of one message: of every form, made for it and closed before its reply, whatever happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from threading import current_thread, main_thread
from typing import Annotated, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.asgi import Peer
from tests.messages.talking import Client, Say, say, talk, talking
from wsroute import (
    Depends,
    Header,
    HTTPException,
    Inject,
    Injects,
    Payload,
    Query,
    Security,
    SecurityScopes,
    SwallowedExceptionError,
    WebSocket,
    WebSocketDisconnect,
    WebSocketListener,
    WebSocketRouter,
    on,
)

pytestmark = pytest.mark.anyio

log: list[str] = []


@pytest.fixture(autouse=True)
def nothing_has_happened() -> None:
    log.clear()


@contextmanager
def noted(name: str) -> Iterator[str]:
    log.append(f"{name} opened")
    try:
        yield name
    except BaseException as error:
        log.append(f"{name} closed: {type(error).__name__ if isinstance(error, Exception) else 'cancelled'}")
        raise
    log.append(f"{name} closed")


async def coroutine() -> str:
    log.append("coroutine")
    return "coroutine"


def function() -> str:
    assert current_thread() is not main_thread()
    log.append("function")
    return "function"


async def async_generator() -> AsyncIterator[str]:
    with noted("async generator") as name:
        yield name


def generator() -> Iterator[str]:
    assert current_thread() is not main_thread()
    with noted("generator") as name:
        yield name


@asynccontextmanager
async def async_context_manager() -> AsyncIterator[str]:
    with noted("async context manager") as name:
        yield name


@contextmanager
def context_manager() -> Iterator[str]:
    with noted("context manager") as name:
        yield name


class Class:
    def __init__(self) -> None:
        log.append("class")

    def __str__(self) -> str:
        return "class"


@dataclass
class Dataclass:
    message: Annotated[Say, Payload()]

    def __str__(self) -> str:
        return f"dataclass of {self.message.text}"


class Called:
    def __call__(self) -> str:
        return "callable"

    async def method(self) -> str:
        return "method"


CONTEXTS: list[Any] = [async_generator, generator, async_context_manager, context_manager]
FORMS: list[Any] = [coroutine, function, *CONTEXTS, Class, Dataclass, Called(), Called().method]


def listening(*needs: Any, does: Callable[[], Any] = lambda: None, **options: Any) -> WebSocketRouter:
    """A listener with parameters, which it answers with."""
    router = WebSocketRouter()

    async def listener(message: Say, one: Any = None, two: Any = None, three: Any = None) -> str:
        log.append(f"handler {message.text}")
        does()
        await checkpoint()
        return f"{message.text}: {', '.join(str(value) for value in (one, two, three) if value is not None)}"

    listener.__annotations__.update(zip(("one", "two", "three"), needs, strict=False))
    router.listener("/", **options)(listener)
    return router


def of_message(dependency: Any, **how: Any) -> Any:
    return Annotated[Any, Depends(dependency, scope="message", **how)]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: getattr(form, "__name__", "callable"))
async def test_each_message_gets_its_own(form: Any) -> None:
    router = listening(of_message(form))
    [first] = (await talk(router, say("a"))).frames
    once = [*log]
    log.clear()
    assert (await talk(router, say("a"), say("a"))).frames == [first, first]
    assert log == once * 2


@pytest.mark.parametrize("form", CONTEXTS)
async def test_it_is_closed_before_the_reply_is_sent(form: Any) -> None:
    peer = Peer().say(say("a")).leave()
    send = peer.send

    async def noting(message: Any) -> None:
        log.append(message["type"])
        await send(message)

    peer.send = noting  # type: ignore[method-assign]  # to see when the reply is sent
    await peer.serve(listening(of_message(form)))
    name = form.__name__.replace("_", " ")
    assert log == ["websocket.accept", f"{name} opened", "handler a", f"{name} closed", "websocket.send"]


async def test_they_are_closed_last_opened_first() -> None:
    await talk(listening(of_message(async_generator), of_message(generator), of_message(context_manager)), say("a"))
    names = ["async generator", "generator", "context manager"]
    assert log == [
        *(f"{name} opened" for name in names),
        "handler a",
        *(f"{name} closed" for name in names[::-1]),
    ]


async def test_two_uses_in_one_message_are_one_and_in_two_messages_two() -> None:
    peer = await talk(listening(of_message(async_generator), of_message(async_generator)), say("a"), say("b"))
    assert len(peer.frames) == 2
    assert log.count("async generator opened") == 2


async def test_without_the_cache_each_use_is_its_own() -> None:
    needs = [of_message(async_generator, use_cache=False)] * 2
    await talk(listening(*needs), say("a"), say("b"))
    assert log.count("async generator opened") == log.count("async generator closed") == 4


async def test_what_outlives_messages_is_made_once_and_what_it_shares_with_them_too() -> None:
    async def connected(shared: Annotated[str, Depends(coroutine)]) -> str:
        log.append("connected")
        return "connected"

    async def short(connected: Annotated[str, Depends(connected)], shared: Annotated[str, Depends(coroutine)]) -> str:
        log.append("short")
        return "short"

    await talk(listening(of_message(short)), say("a"), say("b"))
    assert log == ["coroutine", "connected", "short", "handler a", "short", "handler b"]


async def test_what_needs_a_message_lives_for_it_though_nobody_has_said_so() -> None:
    async def sender(message: Annotated[Say, Payload()]) -> str:
        log.append(f"sender of {message.text}")
        return message.text.upper()

    async def middle(sender: Annotated[str, Depends(sender)]) -> str:
        return sender * 2

    peer = await talk(listening(Annotated[str, Depends(middle)]), say("a"), say("b"))
    assert peer.frames == ["a: AA", "b: BB"]
    assert log == ["sender of a", "handler a", "sender of b", "handler b"]


async def test_a_limit_holds_across_connections() -> None:
    most = now = 0

    async def limited() -> AsyncIterator[None]:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await checkpoint()
        yield
        now -= 1

    router = listening(of_message(limited, max_concurrency=2))
    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(talk, router, say("a"), say("b"))
    assert (most, now) == (2, 0)


async def test_security_scopes_reach_what_lives_for_a_message() -> None:
    async def user(scopes: SecurityScopes, session: Annotated[str, Depends(async_generator, scope="message")]) -> str:
        return "+".join(scopes.scopes)

    router = WebSocketRouter(dependencies=[Security(user, scopes=["outer"])])

    @router.listener("/")
    async def listener(
        message: Say,
        read: Annotated[str, Security(user, scopes=["read"])],
        write: Annotated[str, Security(user, scopes=["write"])],
    ) -> str:
        return f"{read} {write}"

    assert (await talk(router, say("a"))).frames == ["read write"]
    assert log == ["async generator opened", "async generator closed"]


async def test_what_it_reads_of_the_handshake_is_checked_before_the_accept() -> None:
    def tenant(number: Annotated[int, Query()], x_key: Annotated[str, Header()]) -> str:
        return f"{number} {x_key}"

    router = listening(of_message(tenant))
    peer = await talk(router, say("a"), target="/?number=x")
    assert peer.denial is not None and peer.denial.status == 422
    assert [error["loc"] for error in peer.denial.json()["detail"]] == [["query", "number"], ["header", "x-key"]]
    peer = Peer("/?number=7", headers={"x-key": "k"}).say(say("a"), say("b")).leave()
    await peer.serve(router)
    assert peer.frames == ["a: 7 k", "b: 7 k"]


# By name, and for their effect


async def test_a_provider_by_name() -> None:
    router = WebSocketRouter(dependencies={"session": Inject(async_generator, scope="message")})

    @router.listener("/")
    async def listener(message: Say, session: Any = Injects()) -> str:
        return f"{session}"

    assert (await talk(router, say("a"), say("b"))).frames == ["async generator"] * 2
    assert log == ["async generator opened", "async generator closed"] * 2


async def test_what_runs_for_its_effect_runs_for_each_message_and_first() -> None:
    async def count(message: Annotated[Say, Payload()]) -> None:
        log.append(f"counted {message.text}")
        if message.text == "refused":
            raise HTTPException(429, "too many")

    router = WebSocketRouter(dependencies=[Depends(count), Depends(coroutine)])
    router.include_router(listening(of_message(async_generator)))
    peer = await talk(router, say("a"), say("refused"), leave=False)
    assert peer.frames == ["a: async generator"] and peer.closed == (1008, "too many")
    assert log == [
        "coroutine",
        *("counted a", "async generator opened", "handler a", "async generator closed"),
        "counted refused",
    ]


async def test_the_methods_of_a_class_have_dependencies_of_their_own() -> None:
    class Room(WebSocketListener):
        dependencies = {"session": Inject(async_generator, scope="message")}

        def __init__(self, name: str = "room") -> None:
            self.name = name

        async def on_connect(self, session: Annotated[str, Injects()]) -> str:
            return f"{self.name} welcomes {session}"

        @on
        async def say(self, message: Say, session: Annotated[str, Injects()]) -> str:
            return f"{self.name} {session} {message.text}"

    router = WebSocketRouter()
    router.websocket("/")(Room)
    peer = await talk(router, say("a"), target="/?name=hall")
    assert peer.frames == ["hall welcomes async generator", "hall async generator a"]
    assert log == ["async generator opened", "async generator closed"] * 2


# Overrides


async def test_an_override_at_any_depth_is_seen_by_the_next_connection() -> None:
    async def lowest() -> str:
        return "lowest"

    def middle(lowest: Annotated[str, Depends(lowest, scope="message")]) -> str:
        return f"middle of {lowest}"

    async def override(message: Annotated[Say, Payload()]) -> AsyncIterator[str]:
        with noted("override"):
            yield f"override for {message.text}"

    router = listening(of_message(middle))
    assert (await talk(router, say("a"))).frames == ["a: middle of lowest"]
    router.dependency_overrides[lowest] = override
    assert (await talk(router, say("a"), say("b"))).frames == [
        "a: middle of override for a",
        "b: middle of override for b",
    ]
    assert log.count("override opened") == log.count("override closed") == 2
    router.dependency_overrides[middle] = lambda: "all of it"
    assert (await talk(router, say("a"))).frames == ["a: all of it"]
    router.dependency_overrides.clear()
    assert (await talk(router, say("a"))).frames == ["a: middle of lowest"]


async def test_a_connection_keeps_the_overrides_that_it_began_with() -> None:
    router = listening(of_message(coroutine))
    client = Client()
    client.say(say("a"))
    async with talking(router, client):
        await client.got(1)
        router.dependency_overrides[coroutine] = lambda: "override"
        client.say(say("b"))
        await client.got(2)
    assert client.frames == ["a: coroutine", "b: coroutine"]


async def test_a_provider_by_name_is_overridden() -> None:
    router = WebSocketRouter(dependencies={"session": Inject(async_generator, scope="message")})

    @router.listener("/")
    async def listener(message: Say, session: Any = Injects()) -> str:
        return f"{session}"

    for key in (async_generator, "session"):
        router.dependency_overrides[key] = lambda: "override"
        assert (await talk(router, say("a"))).frames == ["override"]
        router.dependency_overrides.clear()


# What goes wrong


class Problem(Exception):
    """A bug of the application."""


async def fails_to_open() -> AsyncIterator[None]:
    raise Problem
    yield


async def fails_to_close() -> AsyncIterator[None]:
    yield
    raise Problem


def fail() -> None:
    raise Problem


@pytest.mark.parametrize(
    ("broken", "closed"),
    [(fails_to_open, "async generator closed: Problem"), (fails_to_close, "async generator closed: Problem")],
)
async def test_nothing_is_sent_if_a_dependency_fails(broken: Any, closed: str) -> None:
    peer = Peer().say(say("a"), say("never read"))
    with pytest.raises(Problem):
        await peer.serve(listening(of_message(async_generator), of_message(broken)))
    assert peer.frames == [] and peer.closed == (1011, "Internal Server Error")
    assert log[-1] == closed and "handler never read" not in log


async def test_the_connection_goes_on_if_an_exception_handler_takes_it() -> None:
    def take(websocket: WebSocket, exc: Exception) -> None:
        log.append("handled")

    async def sometimes(message: Annotated[Say, Payload()]) -> AsyncIterator[str]:
        if message.text == "open":
            raise Problem
        yield "fine"
        if message.text == "close":
            raise Problem

    router = WebSocketRouter(exception_handlers={Problem: take})
    router.include_router(listening(of_message(async_generator), of_message(sometimes)))
    peer = await talk(router, say("open"), say("close"), say("a"))
    assert peer.frames == ["a: async generator, fine"] and peer.closed is None
    assert log == [
        *("async generator opened", "async generator closed: Problem", "handled"),
        *("async generator opened", "handler close", "async generator closed: Problem", "handled"),
        *("async generator opened", "handler a", "async generator closed"),
    ]


@pytest.mark.parametrize("form", CONTEXTS)
async def test_they_see_what_the_handler_raises_and_are_closed_before_it_is_handled(form: Any) -> None:
    router = WebSocketRouter(exception_handlers={Problem: lambda websocket, exc: log.append("handled")})
    router.include_router(listening(of_message(form), does=fail))
    peer = await talk(router, say("a"))
    name = form.__name__.replace("_", " ")
    assert log == [f"{name} opened", "handler a", f"{name} closed: Problem", "handled"]
    assert peer.frames == [] and peer.closed is None


async def swallows() -> AsyncIterator[None]:
    try:
        yield
    except Problem:
        pass


async def test_one_that_swallows_an_exception_is_an_error() -> None:
    peer = Peer().say(say("a"))
    with pytest.raises(SwallowedExceptionError, match="listener"):
        await peer.serve(listening(of_message(async_generator), of_message(swallows), does=fail))
    assert log[-1] == "async generator closed: SwallowedExceptionError"
    assert peer.frames == [] and peer.closed == (1011, "Internal Server Error")


async def test_one_that_swallows_a_disconnect_is_none_and_nothing_is_sent() -> None:
    async def careless() -> AsyncIterator[None]:
        try:
            yield
        except WebSocketDisconnect:
            log.append("swallowed")

    def leave() -> None:
        raise WebSocketDisconnect(1001)

    peer = await talk(listening(of_message(careless), does=leave), say("a"), say("b"))
    assert peer.frames == [] and peer.closed is None
    assert log == ["handler a", "swallowed", "handler b", "swallowed"]


async def test_one_may_put_another_exception_in_its_place() -> None:
    async def translates() -> AsyncIterator[None]:
        try:
            yield
        except Problem as error:
            raise HTTPException(409, "conflict") from error

    peer = await talk(listening(of_message(translates), does=fail), say("a"), leave=False)
    assert peer.frames == [] and peer.closed == (1008, "conflict")


async def test_one_that_closes_the_socket_has_refused_the_message() -> None:
    async def refuse(websocket: WebSocket, message: Annotated[Say, Payload()]) -> None:
        if message.text == "bad":
            await websocket.close(4000, "no")

    router = listening(of_message(async_generator), of_message(refuse), of_message(generator))
    peer = await talk(router, say("a"), say("bad"), say("never read"), leave=False)
    assert len(peer.frames) == 1 and peer.closed == (4000, "no")
    assert log[-2:] == ["async generator opened", "async generator closed"]


@pytest.mark.parametrize("where", ["opening", "handling", "closing"])
async def test_a_cancellation_closes_what_is_open_in_peace(where: str) -> None:
    waiting = anyio.Event()

    async def wait(here: str) -> None:
        if here == where:
            waiting.set()
            await anyio.sleep_forever()

    async def outer() -> AsyncIterator[None]:
        with noted("outer"):
            try:
                yield
            finally:
                await checkpoint()
                log.append("outer closed in peace")

    async def inner() -> AsyncIterator[None]:
        await wait("opening")
        with noted("inner"):
            yield
        if where == "closing":
            waiting.set()
            await checkpoint()
            log.append("inner closed in peace")

    router = WebSocketRouter()

    @router.listener("/")
    async def listener(
        message: Say,
        outer: Annotated[None, Depends(outer, scope="message")],
        inner: Annotated[None, Depends(inner, scope="message")],
    ) -> str:
        await wait("handling")
        return "reply"

    peer = Peer().say(say("a"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.serve, router)
        await waiting.wait()
        tasks.cancel_scope.cancel()
    assert peer.frames == [] and peer.closed == (1001, "")
    expected: Sequence[str] = {
        "opening": ["outer opened", "outer closed in peace", "outer closed: cancelled"],
        "handling": [
            *("outer opened", "inner opened", "inner closed: cancelled"),
            *("outer closed in peace", "outer closed: cancelled"),
        ],
        "closing": [
            *("outer opened", "inner opened", "inner closed", "inner closed in peace"),
            *("outer closed in peace", "outer closed"),
        ],
    }[where]
    assert log == expected
