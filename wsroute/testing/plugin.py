"""Fixtures for pytest. It is loaded in every run of everybody who has wsroute installed: nothing is imported early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wsroute.testing.connecting import connect
    from wsroute.testing.live import LiveServer


@pytest.fixture
def ws_connect() -> type[connect]:
    """Open a connection: `async with ws_connect(app, "/rooms/7") as ws: ...`, as `wsroute.testing.connect`.

    It runs in the event loop of the test, whichever plugin has made that: anyio, or pytest-asyncio in any of its modes.
    """
    from wsroute.testing.connecting import connect

    return connect


@pytest.fixture
def ws_override() -> Iterator[Callable[..., None]]:
    """Replace dependencies until the test has ended: `ws_override(app, get_user, value=user)`.

    The arguments are those of `wsroute.testing.override`. Fixtures that need it may do so, too.
    """
    from wsroute.testing.overrides import override

    stack = ExitStack()

    def replace(*args: Any, **kwargs: Any) -> None:
        stack.enter_context(override(*args, **kwargs))

    yield replace
    restore(stack)


@pytest.fixture
def ws_server() -> Iterator[Callable[..., LiveServer]]:
    """Serve an application until the test has ended: `server = ws_server(app)`, then `server.url("/rooms/7")`.

    The arguments are those of `wsroute.testing.LiveServer`.
    """
    from wsroute.testing.live import LiveServer

    with ExitStack() as stack:

        def serve(*args: Any, **kwargs: Any) -> LiveServer:
            return stack.enter_context(LiveServer(*args, **kwargs))

        yield serve


def restore(overrides: ExitStack) -> None:
    """Put back what a test has replaced.

    Raises:
        pytest.fail.Exception: Nothing has used it; the message says all that lines of a fixture could.
    """
    from wsroute.testing.errors import UnusedOverride

    try:
        overrides.close()
    except UnusedOverride as unused:
        pytest.fail(str(unused), pytrace=False)
