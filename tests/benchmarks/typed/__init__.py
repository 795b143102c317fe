"""The applications of the cells of typed messages, in each framework. Each module has `APPS`.

They stand beside the adapters, which import none of them: pydantic's models would be in the way where starting is
measured.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import cast

from starlette.types import ASGIApp

Apps = Mapping[str, Callable[[], ASGIApp]]


def load(name: str) -> Apps:
    """The applications of one framework, by the names of the cells; what it cannot do is missing."""
    return cast(Apps, importlib.import_module(f"{__name__}.{name}").APPS)
