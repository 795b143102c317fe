"""Where a suspended coroutine is: the chain of what awaits what, down to the innermost line of the user's code."""

from __future__ import annotations

import gc
import linecache
import os
import traceback
from collections.abc import Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, NamedTuple

from wsroute.dependencies.exits import Exits

#: What is between the user's code and the event loop: a place in there says nothing about the user's application.
_BETWEEN = frozenset(
    ("anyio", "asyncio", "contextlib", "fastapi", "outcome", "sniffio", "starlette", "threading", "trio", "wsroute")
)
#: What awaits on behalf of another object, and has no attribute that tells which one: see `_inner`.
_WRAPPERS = frozenset(("anext_awaitable", "async_generator_asend", "async_generator_athrow", "coroutine_wrapper"))


class Place(NamedTuple):
    """One line of source.

    Attributes:
        function: The qualified name of the function.
        file: The path of the file, relative to the working directory if it is below that.
        line: The number of the line.
        source: The line.
    """

    function: str
    file: str
    line: int
    source: str

    def __str__(self) -> str:
        return f"{self.function} at {self.file}:{self.line}\n    {self.source}"


def place_of(coroutine: object) -> Place | None:
    """Where a coroutine is suspended: the innermost frame of the user's code, or of any code if there is none.

    Args:
        coroutine: A coroutine, or whatever else an application returned to be awaited.
    """
    return _innermost([(frame, frame.f_lineno) for frame in frames_of(coroutine)])


def waiting(coroutine: object, receive: Any) -> str | None:
    """What a suspended coroutine waits for, as "waits ..." goes on; None if it has not begun, or has ended.

    Args:
        coroutine: The coroutine.
        receive: The receive channel of its application.
    """
    return _waiting([(frame, frame.f_lineno) for frame in frames_of(coroutine)], receive)


def waiting_when_cancelled(cancellation: BaseException, receive: Any) -> str | None:
    """What a coroutine was waiting for when it was cancelled.

    A task group may raise the cancellation anew: then that is where the user's code has opened it.
    """
    return _waiting(list(traceback.walk_tb(cancellation.__traceback__)), receive)


def _waiting(lines: list[tuple[FrameType, int]], receive: Any) -> str | None:
    if not any(_is_users(frame) for frame, _ in lines) and any(frame.f_code is receive.__code__ for frame, _ in lines):
        return "for a message"
    return f"in {_innermost(lines)}" if lines else None


def open_dependencies(coroutine: object) -> list[str]:
    """The dependencies with `yield` that a suspended connection holds open, first opened first."""
    found: list[str] = []
    for frame in frames_of(coroutine):
        for value in frame.f_locals.values():
            if isinstance(value, Exits):
                found += value.still_open()
    return found


def frames_of(coroutine: object) -> Iterator[FrameType]:
    """The frames of a suspended coroutine, outermost first."""
    inner: Any = coroutine
    while inner is not None:
        frame = _frame(inner)
        if frame is not None:
            yield frame
        inner = _inner(inner)


def _frame(awaited: Any) -> FrameType | None:
    if isinstance(awaited, CoroutineType):
        return awaited.cr_frame
    if isinstance(awaited, GeneratorType):
        return awaited.gi_frame
    if isinstance(awaited, AsyncGeneratorType):
        return awaited.ag_frame
    return None


def _inner(awaited: Any) -> Any:
    """What an awaitable awaits itself; None for what waits for the event loop."""
    if isinstance(awaited, CoroutineType):
        return awaited.cr_await
    if isinstance(awaited, GeneratorType):
        return awaited.gi_yieldfrom
    if isinstance(awaited, AsyncGeneratorType):
        return awaited.ag_await
    if type(awaited).__name__ in _WRAPPERS:
        return next(iter(gc.get_referents(awaited)), None)
    return None


def _innermost(lines: list[tuple[FrameType, int]]) -> Place | None:
    of_user = [(frame, line) for frame, line in lines if _is_users(frame)]
    return _place(*(of_user or lines)[-1]) if lines else None


def _is_users(frame: FrameType) -> bool:
    module: str = frame.f_globals.get("__name__", "wsroute")  # code that wsroute generates has none
    return module.partition(".")[0] not in _BETWEEN


def _place(frame: FrameType, line: int) -> Place:
    file = frame.f_code.co_filename
    source = linecache.getline(file, line, frame.f_globals).strip()
    below = os.path.join(os.getcwd(), "")
    return Place(frame.f_code.co_qualname, file.removeprefix(below), line, source)
