"""Connections in process, and what was said on them."""

from __future__ import annotations

import json
from typing import Any

from starlette.types import ASGIApp

from wsroute.testing import Peer


async def connect(app: ASGIApp, target: str = "/", **options: Any) -> Peer:
    """One connection, to its end.

    Args:
        app: The application.
        target, options: As for `Peer`.
    """
    peer = Peer(target, **options)
    await peer.serve(app)
    return peer


async def reply(app: ASGIApp, target: str = "/", **options: Any) -> Any:
    """The one frame that the application sends, which is JSON."""
    peer = await connect(app, target, **options)
    assert len(peer.frames) == 1, peer.sent
    return json.loads(peer.frames[0])


async def refusal(app: ASGIApp, target: str = "/", **options: Any) -> tuple[int, Any]:
    """Status and detail of the refusal."""
    peer = await connect(app, target, **options)
    assert peer.denial is not None, peer.sent
    return peer.denial.status, peer.denial.json()["detail"]
