"""Dependencies of one message: of every form, made for it and closed before its reply, whatever happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.asgi import Peer
from tests.messages.forms import (
    CONTEXTS,
    FORMS,
    async_generator,
    context_manager,
    coroutine,
    generator,
    listening,
    log,
    noted,
    of_message,
)
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
    WebSocketListener,
    WebSocketRouter,
    on,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def nothing_has_happened() -> None:
    log.clear()


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
