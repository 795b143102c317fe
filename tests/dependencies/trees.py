"""Callables of every form that write down what is done with them, and do what a run asks of them.

A tree is built once. What its callables do is a matter of the `Run` in whose context they are called, so that one tree
serves for all of its failures.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, TypeAlias

import trio
from anyio import CancelScope
from anyio.lowlevel import checkpoint
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.websockets import WebSocketDisconnect

from wsroute import BackgroundTasks, Depends, Query, Security, SecurityScopes, WebSocket
from wsroute.dependencies.runtime import Runtime

Event: TypeAlias = tuple[str, ...]


class SetUpError(Exception):
    """What a set-up fails with."""


class CleanUpError(Exception):
    """What a clean-up fails with."""


class ReplacementError(Exception):
    """What a dependency puts in the place of the exception that it sees."""


FAILURES: Mapping[str, Callable[[], Exception]] = {
    "error": lambda: SetUpError("of no interest"),
    "http": lambda: HTTPException(401),
    "disconnect": lambda: WebSocketDisconnect(1001),
    "group of disconnects": lambda: ExceptionGroup("", [WebSocketDisconnect(1001), WebSocketDisconnect(1006)]),
}
CLEAN_UPS = ("fail", "replace", "swallow")
#: How an endpoint ends; empty: it returns.
ENDINGS = ("", *FAILURES)


@dataclass
class Run:
    """One run: what the callables are to do, and what has happened.

    Attributes:
        behaviours: By the name of a callable: a key of `FAILURES`, one of `CLEAN_UPS`, or `"end"`.
        cancel_at: At which `pause()` the run is cancelled; the first one is 1.
        cancel: Cancels the run.
        log: What has happened, in order.
        pauses: How often a callable has paused.
    """

    behaviours: Mapping[str, str] = field(default_factory=dict)
    cancel_at: int | None = None
    cancel: Callable[[], object] = lambda: None
    log: list[Event] = field(default_factory=list)
    pauses: int = 0
    calls: Counter[str] = field(default_factory=Counter)


#: A context variable, so that a worker thread writes to the run to which it belongs.
RUN: ContextVar[Run] = ContextVar("RUN")


class FakeSocket:
    """What generated code uses of a WebSocket."""

    def __init__(self, query_string: str = "") -> None:
        self.scope = {
            "type": "websocket",
            "query_string": query_string.encode(),
            "headers": [],
            "path_params": {},
            "route": "route",
        }
        self.ended = False
        self.finished = False

    async def send_text(self, data: str) -> None:
        """Send a frame."""
        RUN.get().log.append(("send", data))


async def finish(websocket: FakeSocket) -> None:
    """The normal end of a connection, once."""
    if not (websocket.ended or websocket.finished):
        websocket.finished = True
        RUN.get().log.append(("finish",))


async def run_background(tasks: BackgroundTasks) -> None:
    """Runs background tasks."""
    if tasks.tasks:
        RUN.get().log.append(("background",))
    await tasks()


RUNTIME = Runtime(
    request_view=lambda websocket, cls: "request view",
    handshake_response=lambda websocket: "response",
    finish=finish,
    run_background=run_background,
)


async def pause() -> None:
    """A point at which a run can be cancelled."""
    run = RUN.get()
    run.pauses += 1
    if run.pauses == run.cancel_at:
        run.cancel()
    await checkpoint()


@dataclass(frozen=True)
class Body:
    """What all forms of one callable have in common."""

    name: str

    def begin(self, *arguments: Any) -> str:
        """Called: write down with what, then fail or go on."""
        run = RUN.get()
        run.calls[self.name] += 1
        label = f"{self.name}#{run.calls[self.name]}"
        run.log.append(("call", label, *(_shown(argument, label) for argument in arguments if argument is not None)))
        behaviour = run.behaviours.get(self.name, "")
        if behaviour == "end":
            for argument in arguments:
                if isinstance(argument, FakeSocket):
                    argument.ended = True
        if behaviour in FAILURES:
            raise FAILURES[behaviour]()
        return label

    def opened(self, label: str) -> None:
        """About to hand over the value."""
        RUN.get().log.append(("open", label))

    def closing(self, label: str, exception: BaseException | None) -> None:
        """The beginning of the clean-up: write down what it sees."""
        RUN.get().log.append(("close", label, kind_of(exception)))

    def leave(self, label: str, exception: BaseException | None) -> None:
        """The end of the clean-up: write down that nothing has cut it, then fail or go on."""
        RUN.get().log.append(("closed", label))
        behaviour = RUN.get().behaviours.get(self.name, "")
        if behaviour == "fail":
            raise CleanUpError
        if exception is None or behaviour == "swallow":
            return
        raise ReplacementError if behaviour == "replace" else exception


def _shown(argument: Any, label: str) -> str:
    if isinstance(argument, FakeSocket):
        return "socket"
    if isinstance(argument, BackgroundTasks):
        argument.add_task(_background_task, label)
        return "tasks"
    if isinstance(argument, SecurityScopes):
        return f"scopes {argument.scope_str}"
    return str(getattr(argument, "label", argument))


async def _background_task(label: str) -> None:
    RUN.get().log.append(("task", label))


def kind_of(exception: BaseException | None) -> str:
    """The name of its class; the same for the cancellations of both event loops."""
    if isinstance(exception, (asyncio.CancelledError, trio.Cancelled)):
        return "cancelled"
    return type(exception).__name__


# Forms. All have five parameters, whose annotations are set from outside.


def coroutine(body: Body) -> Any:
    async def call(a: Any, b: Any, c: Any, d: Any, e: Any) -> str:
        label = body.begin(a, b, c, d, e)
        await pause()
        return label

    return call


def function(body: Body) -> Any:
    def call(a: Any, b: Any, c: Any, d: Any, e: Any) -> str:
        return body.begin(a, b, c, d, e)

    return call


def async_generator(body: Body) -> Any:
    async def call(a: Any, b: Any, c: Any, d: Any, e: Any) -> AsyncIterator[str]:
        label = body.begin(a, b, c, d, e)
        await pause()
        body.opened(label)
        try:
            yield label
        except BaseException as exception:
            body.closing(label, exception)
            await pause()
            body.leave(label, exception)
        else:
            body.closing(label, None)
            await pause()
            body.leave(label, None)

    return call


def async_generator_in_a_scope(body: Body) -> Any:
    """With the behaviour `"cancels"`, what is cancelled from the `yield` on is the generator's own scope."""

    async def call(a: Any, b: Any, c: Any, d: Any, e: Any) -> AsyncIterator[str]:
        label = body.begin(a, b, c, d, e)
        await pause()
        seen = None
        try:
            with CancelScope() as scope:
                if RUN.get().behaviours.get(body.name) == "cancels":
                    RUN.get().cancel = scope.cancel
                body.opened(label)
                try:
                    yield label
                except BaseException as exception:
                    seen = exception
                    raise
        finally:
            body.closing(label, seen)
            await pause()
            RUN.get().log.append(("closed", label))

    return call


def generator(body: Body) -> Any:
    def call(a: Any, b: Any, c: Any, d: Any, e: Any) -> Iterator[str]:
        label = body.begin(a, b, c, d, e)
        body.opened(label)
        try:
            yield label
        except BaseException as exception:
            body.closing(label, exception)
            body.leave(label, exception)
        else:
            body.closing(label, None)
            body.leave(label, None)

    return call


def _as_class(call: Any) -> Any:
    class Made:
        def __init__(self, a: Any, b: Any, c: Any, d: Any, e: Any) -> None:
            self.label = call(a, b, c, d, e)

    Made.__init__.__annotations__ = call.__annotations__
    return Made


def _as_instance(call: Any) -> Any:
    class Instance:
        async def __call__(self, a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
            return await call(a, b, c, d, e)

    Instance.__call__.__annotations__ = call.__annotations__
    return Instance()


def _as_generator_instance(call: Any) -> Any:
    class Instance:
        def __call__(self, a: Any, b: Any, c: Any, d: Any, e: Any) -> Iterator[Any]:
            yield from call(a, b, c, d, e)

    Instance.__call__.__annotations__ = call.__annotations__
    return Instance()


def _as_async_generator_instance(call: Any) -> Any:
    class Instance:
        async def __call__(self, a: Any, b: Any, c: Any, d: Any, e: Any) -> AsyncIterator[Any]:
            async with asynccontextmanager(call)(a, b, c, d, e) as value:
                yield value

    Instance.__call__.__annotations__ = call.__annotations__
    return Instance()


def _as_unhashable(call: Any) -> Any:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]  # this is how Python makes a class unhashable

        def __call__(self, a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
            return call(a, b, c, d, e)

    Unhashable.__call__.__annotations__ = call.__annotations__
    return Unhashable()


def _as_method(call: Any) -> Any:
    class Owner:
        async def method(self, a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
            return await call(a, b, c, d, e)

    Owner.method.__annotations__ = call.__annotations__
    return Owner().method


def _as_partial(call: Any) -> Any:
    async def longer(first: str, a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
        return await call(a, b, c, d, e)

    longer.__annotations__ = call.__annotations__ | {"first": str}
    return functools.partial(longer, "first")


def _as_wrapped(call: Any) -> Any:
    @functools.wraps(call)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    return wrapper


class Kind(NamedTuple):
    """One kind of callable.

    Attributes:
        form: The function that does the work.
        change: What is made of that function.
        threadpool: What its declarations say.
    """

    form: Callable[[Body], Any]
    change: Callable[[Any], Any] = lambda call: call
    threadpool: bool | None = None


CONTEXTS: Mapping[str, Kind] = {
    "async generator": Kind(async_generator),
    "generator": Kind(generator),
    "inline generator": Kind(generator, threadpool=False),
    "async context manager": Kind(async_generator, asynccontextmanager),
    "context manager": Kind(generator, contextmanager),
    "inline context manager": Kind(generator, contextmanager, threadpool=False),
    "async generator instance": Kind(async_generator, _as_async_generator_instance),
    "generator instance": Kind(generator, _as_generator_instance),
    "partial of an async generator": Kind(async_generator, functools.partial),
    "wrapped async generator": Kind(async_generator, _as_wrapped),
    "wrapped generator": Kind(generator, _as_wrapped),
}
VALUES: Mapping[str, Kind] = {
    "coroutine": Kind(coroutine),
    "function": Kind(function),
    "inline function": Kind(function, threadpool=False),
    "class": Kind(function, _as_class),
    "threaded class": Kind(function, _as_class, threadpool=True),
    "instance": Kind(coroutine, _as_instance),
    "unhashable instance": Kind(function, _as_unhashable),
    "method": Kind(coroutine, _as_method),
    "partial": Kind(coroutine, _as_partial),
    "wrapped coroutine": Kind(coroutine, _as_wrapped),
    "wrapped function": Kind(function, _as_wrapped),
}
SCOPES: Mapping[str, Kind] = {
    "scope": Kind(async_generator_in_a_scope),
    "scope, context manager": Kind(async_generator_in_a_scope, asynccontextmanager),
}
KINDS: Mapping[str, Kind] = {**CONTEXTS, **VALUES}

_SLOTS = "abcde"


class Made(NamedTuple):
    """A callable, and what a declaration of it says by default."""

    call: Any
    threadpool: bool | None


def make(kind: str, name: str, *needs: Any) -> Made:
    """A callable.

    Args:
        kind: A key of `KINDS` or `SCOPES`.
        name: Its name in the log.
        needs: The annotations of its parameters, at most five.
    """
    form, change, threadpool = {**KINDS, **SCOPES}[kind]
    call = form(Body(name))
    call.__name__ = call.__qualname__ = name
    # A dependency for both worlds asks for `Request | None`, and gets None on a socket.
    spare = [Request | None] * (len(_SLOTS) - len(needs))
    call.__annotations__ = dict(zip(_SLOTS, (*needs, *spare), strict=True))
    return Made(change(call), threadpool)


def use(made: Made, *, security_scopes: list[str] | None = None, **options: Any) -> Any:
    """The annotation of a parameter that gets what a callable gives."""
    if security_scopes is not None:
        return Annotated[Any, Security(made.call, scopes=security_scopes, **options)]
    return Annotated[Any, Depends(made.call, threadpool=made.threadpool, **options)]


ENDPOINT = "endpoint"

#: Which node needs which, in the order of its signature; node 0 is the endpoint.
SHAPES: Mapping[str, Sequence[Sequence[int]]] = {
    "chain": ([1], [2], [3], [4], [5], []),
    "fan-out": ([1, 2, 3, 4], [], [], [5], [], []),
    "diamonds": ([1, 2], [3, 4], [4, 3], [5], [5], []),
    "twice the same": ([1, 1, 2], [2, 2], [3], []),
}


def grow(
    shape: Sequence[Sequence[int]],
    kinds: Sequence[str],
    options: Callable[[tuple[int, int]], Mapping[str, Any]] = lambda edge: {},
    *,
    bare: bool = False,
) -> Any:
    """The endpoint of a tree, in which each node has a query parameter, and the smaller ones ask for the socket.

    Args:
        shape: A value of `SHAPES`.
        kinds: The kinds of its dependencies, from node 1 on; they are repeated as often as necessary.
        options: What each declaration says, by the node that declares and the position among its dependencies.
        bare: Whether the nodes ask for nothing but each other.
    """
    made: dict[int, Made] = {}
    for index in reversed(range(len(shape))):
        needs = [use(made[child], **options((index, position))) for position, child in enumerate(shape[index])]
        if not bare:
            needs.insert(len(needs) // 2, Annotated[int, Query(alias=f"q{index}")])
        if index == 0:
            break
        if len(needs) < 4 and not bare:
            needs += [WebSocket, BackgroundTasks] if index % 2 else [WebSocket]
        made[index] = make(kinds[(index - 1) % len(kinds)], f"n{index}", *needs)
    return make("coroutine", ENDPOINT, *needs).call


def query_for(size: int, *invalid: int) -> str:
    """A query string with all parameters of a tree, some of them invalid."""
    return "&".join(f"q{index}={'x' if index in invalid else index}" for index in range(size))
