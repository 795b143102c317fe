"""How uvicorn serves the chat."""

from __future__ import annotations

import uvicorn
from starlette.applications import Starlette

HOST = "127.0.0.1"
FRAME_LIMIT = 65536  # bytes; uvicorn's own limit is 16 MiB


def configure(app: Starlette, *, port: int = 0, log_level: str = "info") -> uvicorn.Config:
    """Loopback only; a stop waits five seconds for connections that are open."""
    return uvicorn.Config(
        app, host=HOST, port=port, ws_max_size=FRAME_LIMIT, timeout_graceful_shutdown=5, log_level=log_level
    )
