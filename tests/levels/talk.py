"""What an application answers with, which is JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.types import ASGIApp

from wsroute.testing import HandshakeRefused, connect


async def reply(app: ASGIApp, target: str = "/", **options: Any) -> Any:
    """The one frame that the application sends before it ends the connection.

    Args:
        app: The application.
        target, options: As for `connect`.
    """
    async with connect(app, target, **options) as ws:
        [frame] = [frame async for frame in ws]
    return json.loads(frame)


async def refusal(app: ASGIApp, target: str = "/", **options: Any) -> tuple[int, Any]:
    """Status and detail of the refusal.

    Args:
        app: The application.
        target, options: As for `connect`.
    """
    with pytest.raises(HandshakeRefused) as refused:
        async with connect(app, target, **options):
            pass
    return refused.value.status_code, refused.value.json()["detail"]
