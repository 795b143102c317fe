"""FastAPI, for test modules that have something to say without it as well.

They import it from here. Where it is not installed, a test that makes something of it is skipped. Modules that are
about FastAPI alone have `pytest.importorskip("fastapi")` instead.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

HAS_FASTAPI = find_spec("fastapi") is not None
#: Set to say that FastAPI is left out on purpose; without it, a run that lacks FastAPI is a mistake.
WITHOUT_FASTAPI = "WSROUTE_TESTS_WITHOUT_FASTAPI"

needs_fastapi = pytest.mark.skipif(not HAS_FASTAPI, reason="FastAPI is not installed")


def check_environment() -> None:
    """Let no test run pass that leaves FastAPI out by accident, or has it by accident.

    Raises:
        pytest.UsageError: FastAPI is missing, and nobody has said so; or the other way round.
    """
    if HAS_FASTAPI is (WITHOUT_FASTAPI in os.environ):
        raise pytest.UsageError(
            f"FastAPI is {'installed' if HAS_FASTAPI else 'not installed'}, and {WITHOUT_FASTAPI} is "
            f"{'set' if HAS_FASTAPI else 'not set'}: set it if, and only if, the tests are to run without FastAPI."
        )


class _Missing:
    """Stands for whatever is in FastAPI, for the time until a test makes something of it."""

    def __getattr__(self, name: str) -> _Missing:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Between tests, where cases are listed, it stands for what would be made, too.
        if "PYTEST_CURRENT_TEST" not in os.environ:
            return self
        pytest.skip("FastAPI is not installed")


if TYPE_CHECKING or HAS_FASTAPI:
    import fastapi
    from fastapi import APIRouter, FastAPI
else:
    fastapi = APIRouter = FastAPI = _Missing()

__all__ = ["HAS_FASTAPI", "WITHOUT_FASTAPI", "APIRouter", "FastAPI", "check_environment", "fastapi", "needs_fastapi"]
