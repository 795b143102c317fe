"""A server in a process of its own, for tests that stop it: what it serves, and how a test runs and watches it.

`python -m tests.stopping SOCKET IMPLEMENTATION DEADLINE GRACE` serves on a socket that it inherits. When it has stopped
it prints what was opened and closed.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.server import LONG, WebSocketImplementation
from wsroute import Depends, WebSocket, WebSocketListener, WebSocketRouter, on

counts: Counter[str] = Counter()


async def pool() -> AsyncIterator[str]:
    """What lives as long as the application, and has to outlive the connections."""
    yield "pool"
    counts["connections that outlived the pool"] = counts["opened"] - counts["closed"]


async def session(pool: Annotated[str, Depends(pool, scope="app")]) -> AsyncIterator[None]:
    """What each connection opens."""
    counts["opened"] += 1
    try:
        yield
    finally:
        await asyncio.sleep(0)
        counts["closed"] += 1


router = WebSocketRouter(dependencies=[Depends(session)])
goes_on = asyncio.Event()


@router.listener("/listener")
async def work(text: str) -> AsyncIterator[str]:
    """Handle a message until the test lets it end."""
    yield "begun"
    await goes_on.wait()
    yield "done"


@router.listener("/ahead", cancel_on_disconnect=True, read_ahead=3)
async def work_ahead(text: str) -> AsyncIterator[str]:
    yield "begun"
    await goes_on.wait()
    yield "done"


@router.websocket("/class")
class Work(WebSocketListener):
    @on
    async def work(self, text: str) -> AsyncIterator[str]:
        yield "begun"
        await goes_on.wait()
        yield "done"

    async def on_disconnect(self, code: int) -> None:
        counts[f"on_disconnect {code}"] += 1


@router.websocket("/endpoint")
async def endpoint(websocket: WebSocket) -> None:
    await websocket.accept()
    async for _ in websocket.iter_text():
        await websocket.send_text("begun")
        await goes_on.wait()
        await websocket.send_text("done")


@router.stream("/stream")
async def ticks() -> AsyncIterator[str]:
    while True:
        yield "begun"
        await asyncio.sleep(0.02)


@router.stream("/flood")
async def flood() -> AsyncIterator[str]:
    yield "begun"
    while True:
        yield "x" * 1_000_000


@router.websocket("/ticking")
async def never_receiving(websocket: WebSocket) -> None:
    await websocket.accept()
    while True:
        await websocket.send_text("begun")
        await asyncio.sleep(0.02)


async def let_go_on(request: Request) -> PlainTextResponse:
    goes_on.set()
    return PlainTextResponse("")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    print(json.dumps(counts), flush=True)  # noqa: T201  # what the test reads


class Stopping:
    """A server that runs in a process of its own.

    Attributes:
        port: The port that it listens on.
    """

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.port = port

    @property
    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def terminate(self) -> None:
        """Send SIGTERM to it."""
        self._process.send_signal(signal.SIGTERM)

    def stopped(self) -> tuple[int, dict[str, int], str]:
        """Wait for its end: the exit status, what was counted, and what was logged."""
        counted, logged = self._process.communicate(timeout=LONG)
        return self._process.returncode, json.loads(counted), logged


@contextmanager
def serving(
    implementation: WebSocketImplementation, *, deadline: float = LONG, grace: int | None = None
) -> Iterator[Stopping]:
    """Run a server while the context is open.

    Args:
        implementation: The WebSocket implementation of uvicorn.
        deadline: How long, in seconds, its connections may take to end.
        grace: uvicorn's `timeout_graceful_shutdown`, in seconds.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = [str(listener.fileno()), implementation, str(deadline), str(grace or "")]
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", __name__, *arguments],
            cwd=Path(__file__).parents[1],
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield Stopping(process, listener.getsockname()[1])
        finally:
            process.kill()
            process.communicate()


def main(listener: str, implementation: Any, deadline: str, grace: str) -> None:
    """Serve until SIGTERM comes."""
    app = Starlette(routes=[Route("/go-on", let_go_on)], lifespan=lifespan)
    router.attach(app, drain_on_sigterm=True, drain_deadline=float(deadline))
    config = uvicorn.Config(
        app, ws=implementation, access_log=False, timeout_graceful_shutdown=int(grace) if grace else None
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(listener))])


if __name__ == "__main__":
    main(*sys.argv[1:])
