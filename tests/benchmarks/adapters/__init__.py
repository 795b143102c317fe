"""The same applications in each framework. Each module has one `ADAPTER`."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from starlette.types import ASGIApp

from tests.benchmarks.typed import Apps

#: From the floor upwards, with what they are called.
NAMES = {
    "raw": "bare ASGI",
    "starlette": "Starlette by hand",
    "wsroute": "wsroute",
    "fastapi": "FastAPI",
    "litestar": "Litestar",
}
#: What everything is compared with.
BASELINE = "starlette"


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one framework does it.

    Attributes:
        connect: The applications of the cells `connect`, by the letter of the cell; what a framework cannot do is
            missing.
        table: The application with this many routes.
        groups: The application with this many included routers, of this many routes each.
        message: The applications of the cells `message`.
        startup: The application with this many routes of five dependencies each, whose functions are the same for all
            routes, or each route's own.
        typed: Imports the applications of the cells `message` in which messages are typed.
    """

    connect: Mapping[str, Callable[[], ASGIApp]]
    table: Callable[[int], ASGIApp]
    groups: Callable[[int, int], ASGIApp]
    message: Mapping[str, Callable[[], ASGIApp]]
    startup: Callable[[int, bool], ASGIApp]
    typed: Callable[[], Apps]


def is_installed(name: str) -> bool:
    """Whether the framework can be imported here."""
    return name == "raw" or importlib.util.find_spec(name) is not None


def load(name: str) -> Adapter:
    """The adapter of one framework, which is imported only now."""
    return cast(Adapter, importlib.import_module(f"{__name__}.{name}").ADAPTER)
