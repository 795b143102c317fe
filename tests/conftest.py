"""What every test may use."""

from __future__ import annotations

import pytest

from tests.frameworks import check_environment


def pytest_sessionstart() -> None:
    """Refuse to start where tests would be left out without anybody having said so."""
    check_environment()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every test that is marked `anyio` runs on both event loops."""
    backend: str = request.param
    return backend
