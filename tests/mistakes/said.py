"""When a mistake is reported, and in which words.

A test declares something wrong, as a user would. Its decorator holds the text of the error; `HERE` in it stands for the
qualified name of what is local to the test, and `MODULE` for the test's module.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from textwrap import dedent
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter
from starlette.applications import Starlette

from wsroute import WebSocketRouter, WsRouteError
from wsroute.testing import lifespan_sync

Declare = Callable[[WebSocketRouter], None]


class Filter(BaseModel):
    limit: int = 10


class Plain:
    """Nothing that pydantic knows."""


def get_limit() -> int:
    return 10


def said_by_pydantic(annotation: Any) -> str:
    """What pydantic says of a type that it refuses."""
    with pytest.raises(Exception) as raised:  # its kind and its words depend on the release
        TypeAdapter(annotation)
    return " ".join(str(raised.value).partition("For further information visit")[0].split())


def at_declaration(error: type[WsRouteError], text: str) -> Callable[[Declare], Callable[[], None]]:
    """The decorator, or the constructor, raises."""

    def decorate(declare: Declare) -> Callable[[], None]:
        @functools.wraps(declare)
        def test() -> None:
            with says(error, text, declare):
                declare(WebSocketRouter())

        return _without_parameters(test)

    return decorate


def at_binding(error: type[WsRouteError], text: str) -> Callable[[Declare], Callable[[], None]]:
    """The declaration is accepted; whatever binds raises."""

    def decorate(declare: Declare) -> Callable[[], None]:
        @functools.wraps(declare)
        def test() -> None:
            router = WebSocketRouter()
            declare(router)
            app = Starlette()
            for bind in (router.check, partial(router.attach, app), partial(_start, router), partial(_match, router)):
                with says(error, text, declare):
                    bind()

        return _without_parameters(test)

    return decorate


@contextmanager
def says(error: type[WsRouteError], text: str, test: Callable[..., object]) -> Iterator[None]:
    """Whatever is inside raises exactly this.

    Args:
        error: The class of the error.
        text: Its text; it may be indented.
        test: What `HERE` and `MODULE` in the text refer to.
    """
    with pytest.raises(WsRouteError) as raised:
        yield
    assert type(raised.value) is error
    here = f"{test.__module__}.{test.__qualname__}.<locals>"
    assert str(raised.value) == dedent(text).strip().replace("MODULE", test.__module__).replace("HERE", here)
    assert " at 0x" not in str(raised.value)


def _without_parameters(test: Callable[[], None]) -> Callable[[], None]:
    # pytest would look for a fixture of the name of the wrapped function's parameter.
    del test.__wrapped__  # type: ignore[attr-defined]  # functools.wraps has just set it
    return test


def _start(router: WebSocketRouter) -> None:
    with lifespan_sync(router):
        raise AssertionError("a server starts")


def _match(router: WebSocketRouter) -> None:
    router.matches({"type": "websocket", "path": "/any", "root_path": ""})
