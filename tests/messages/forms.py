"""Dependencies of every form, which write down what happens to them, and a listener that needs some."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from threading import current_thread, main_thread
from typing import Annotated, Any

from anyio.lowlevel import checkpoint

from tests.messages.talking import Say
from wsroute import (
    Depends,
    Payload,
    WebSocketRouter,
)

#: What has happened; tests clear it.
log: list[str] = []


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
