"""Listeners and streams: compiled plans do what the oracle says, for each message, whatever fails."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import pytest

from tests.dependencies.comparison import Tree, compare, compare_cancelled
from tests.dependencies.conversation_oracle import ConversationOracle, overridden_conversation
from tests.dependencies.trees import (
    CLEAN_UPS,
    CONTEXTS,
    FAILURES,
    KINDS,
    RUN,
    RUNTIME,
    Body,
    FakeSocket,
    make,
    pause,
    use,
)
from wsroute import BackgroundTasks, Depends, Payload, Query, WebSocket
from wsroute.dependencies.conversations import ConversationAnalysis, Listener
from wsroute.dependencies.models import Dependant
from wsroute.dependencies.solver import Solver

pytestmark = pytest.mark.anyio

MESSAGES = ("first", "second", "third")
DEPENDENCIES = ("app", "connected", "shared", "short", "heard", "leaf")
HANDLERS = ("say", "list", "on_connect", "on_disconnect")
VALID = "a=1&b=2&c=3&d=4&e=5"


class Encoding(NamedTuple):
    """Sends values as they are."""

    method: str = "send_text"
    sends: bool = True
    may_be_none: bool = True

    @staticmethod
    def encode(value: Any) -> Any:
        """The value."""
        return value


class Scripted:
    """Hands each message to the handlers in turn, and tells of the end."""

    def encoder(self, call: Any) -> Encoding:
        return Encoding()

    async def converse(
        self, websocket: FakeSocket, handlers: Sequence[Any], on_connect: Any, on_disconnect: Any, tasks: Any = None
    ) -> None:
        RUN.get().log.append(("accept",))
        try:
            if on_connect is not None:
                await on_connect()
            for handle, message in zip(itertools.cycle(handlers), MESSAGES, strict=False):
                if not websocket.ended:
                    await handle(message)
        finally:
            if on_disconnect is not None:
                await on_disconnect(1000, "bye")


class Streamed(Scripted):
    """Calls the one handler once."""

    async def converse(
        self, websocket: FakeSocket, handlers: Sequence[Any], on_connect: Any, on_disconnect: Any, tasks: Any = None
    ) -> None:
        RUN.get().log.append(("accept",))
        (send_all,) = handlers
        await send_all()


def handler(name: str, *needs: Any) -> Any:
    """A method that answers, and fails where a run asks it to."""
    body = Body(name)

    async def method(self: Any, a: Any, b: Any, c: Any = 0, d: Any = 0, e: Any = 0) -> str:
        label = body.begin(self, a, b, c, d, e)
        await pause()
        return label

    method.__annotations__ = dict(zip("abcde", needs, strict=False))
    return _named(method, name)


def lister(name: str, *needs: Any) -> Any:
    """A method that answers twice."""
    body = Body(name)

    async def method(self: Any, a: Any, b: Any, c: Any = 0, d: Any = 0, e: Any = 0) -> AsyncIterator[str]:
        label = body.begin(self, a, b, c, d, e)
        body.opened(label)
        seen = None
        try:
            await pause()
            yield f"{label} one"
            await pause()
            yield f"{label} two"
        except BaseException as exception:
            seen = exception
            raise
        finally:
            body.closing(label, seen)

    method.__annotations__ = dict(zip("abcde", needs, strict=False))
    return _named(method, name)


def _named(method: Any, name: str) -> Any:
    method.__name__ = method.__qualname__ = name
    return method


def query(alias: str) -> Any:
    return Annotated[int, Query(alias=alias)]


MESSAGE = Annotated[str, Payload()]


def both(listener: Listener, effects: Sequence[Any] = (), overrides: Mapping[Any, Any] | None = None) -> Tree:
    """A listener in both forms."""
    runtime = RUNTIME._replace(speech=Streamed() if listener.is_stream else Scripted())

    def analyse(lookup: Any) -> Dependant:
        return ConversationAnalysis("/", overrides=lookup).listener(listener, effects)

    solver = Solver(analyse, runtime)
    tree = solver.program.dependant

    async def interpret(websocket: Any) -> None:
        await ConversationOracle(overridden_conversation(tree, overrides or {}), runtime, websocket).run()

    return Tree(solver.select([overrides] if overrides else []).run, interpret)


def listener(kind: str) -> Tree:
    """Two handlers, what is called before and after, and dependencies of all lifetimes that they share."""
    app = make("coroutine", "app")
    connected = make(kind, "connected", WebSocket, query("a"), BackgroundTasks)
    short = make(kind, "short", use(connected))
    shared = make(kind, "shared", use(connected), query("b"))
    heard = make(kind, "heard", MESSAGE, use(shared, scope="message"), WebSocket)
    leaf = make(kind, "leaf", BackgroundTasks, query("c"))
    scope: Any = {"scope": "function"} if kind in CONTEXTS else {}

    class Subject:
        label = "self"

        def __init__(self, connected: Any, short: Any) -> None:
            RUN.get().log.append(("made", *(str(getattr(value, "label", value)) for value in (connected, short))))

    Subject.__init__.__annotations__ = {"connected": use(connected), "short": use(short, **scope)}
    say = handler("say", MESSAGE, use(heard), use(leaf, scope="message"), query("d"), BackgroundTasks)
    list_ = lister(
        "list", MESSAGE, use(shared, scope="message"), use(leaf, scope="message", use_cache=False), WebSocket
    )
    on_connect = handler("on_connect", use(connected), use(shared, scope="message"))
    on_disconnect = handler("on_disconnect", int, str, use(leaf, scope="message"), query("e"))
    on_disconnect.__annotations__ = {"c": use(leaf, scope="message"), "d": query("e")}

    async def ended(self: Any, code: int, reason: str, c: Any, d: Any) -> None:
        await on_disconnect(self, code, reason, c, d)

    ended.__annotations__ |= on_disconnect.__annotations__
    declared = Listener(Subject, (say, list_), on_connect, ended)
    return both(declared, [Depends(app.call), Depends(leaf.call, scope="message")])


def misbehaving() -> Iterator[Mapping[str, str]]:
    """Each part in each way."""
    yield {}
    for name in (*DEPENDENCIES, *HANDLERS):
        yield from ({name: how} for how in (*FAILURES, "end"))


@pytest.mark.parametrize("kind", KINDS)
async def test_each_part_goes_wrong(kind: str) -> None:
    tree = listener(kind)
    for behaviours in misbehaving():
        await compare(tree, behaviours, query_string=VALID)


@pytest.mark.parametrize("ending", ["", "error", "disconnect"])
@pytest.mark.parametrize("kind", CONTEXTS)
async def test_dependencies_see_how_a_message_ends(kind: str, ending: str) -> None:
    tree = listener(kind)
    for failing, name, how in itertools.product(("say", "list"), DEPENDENCIES, CLEAN_UPS):
        await compare(tree, {failing: ending, name: how}, query_string=VALID)


@pytest.mark.parametrize("kind", ["async generator", "generator", "coroutine", "function"])
async def test_each_parameter_of_the_handshake_is_wrong(kind: str) -> None:
    tree = listener(kind)
    for wrong in ("a", "b", "c", "d", "e", "bc", "abcde"):
        query_string = "&".join(f"{name}={'x' if name in wrong else 1}" for name in "abcde")
        outcome = await compare(tree, {}, query_string=query_string)
        assert outcome.end[0] == "refused"
        assert sorted(loc[1] for loc, _ in outcome.end[1]) == sorted(wrong)
        assert ("accept",) not in outcome.log


@pytest.mark.parametrize("kind", ["async generator", "async context manager", "coroutine"])
@pytest.mark.parametrize("behaviours", [{}, {"say": "error"}, {"heard": "swallow", "say": "error"}, {"leaf": "fail"}])
async def test_it_is_cancelled_at_each_pause(kind: str, behaviours: Mapping[str, str]) -> None:
    await compare_cancelled(listener(kind), behaviours, query_string=VALID)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "unhashable" not in kind])
async def test_an_override_is_made_for_each_message_as_what_it_replaces(kind: str) -> None:
    leaf = make(kind, "leaf")
    other = make(kind, "other", WebSocket, MESSAGE)
    middle = make(kind, "middle", use(leaf))
    say = handler("say", MESSAGE, use(middle, scope="message"))

    class Subject:
        label = "self"

    for replaced in (leaf, middle):
        tree = both(Listener(Subject, (say,)), overrides={replaced.call: other.call})
        for behaviours in ({}, {"say": "error"}, {"other": "error"}, {"other": "end"}):
            await compare(tree, behaviours)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream(kind: str) -> None:
    connected = make(kind, "connected", WebSocket, query("a"))
    body = Body("stream")

    async def stream(a: Any, b: Any) -> AsyncIterator[str]:
        label = body.begin(a, b)
        body.opened(label)
        try:
            await pause()
            yield "one"
        finally:
            body.closing(label, None)

    stream.__annotations__ = {"a": use(connected), "b": query("b")}
    tree = both(Listener(stream, (stream,), is_stream=True))
    for behaviours in ({}, *({name: how} for name in ("stream", "connected") for how in (*FAILURES, "fail"))):
        await compare(tree, behaviours, query_string=VALID)
    await compare_cancelled(tree, {}, query_string=VALID)
