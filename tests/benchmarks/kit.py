"""What `wsroute.testing` adds to a test: a connection with one echo through `connect`, and with two queues by hand."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from starlette.types import ASGIApp, Message

from tests.benchmarks import adapters
from tests.benchmarks.cells import TEXT, WrongAnswer
from tests.benchmarks.client import CONNECT, DISCONNECT, Handshake, Lifespan
from tests.benchmarks.machine import cores, pin
from tests.benchmarks.processes import Process
from tests.benchmarks.results import Measured
from wsroute.testing import connect

CONNECTIONS = 200
BARE = Handshake("/bare")

Way = Callable[[ASGIApp, dict[str, Any]], Awaitable[str]]


def measure(*, rounds: int) -> Iterator[Measured]:
    """Both ways on the same application, in one process, in turns."""
    core, _ = cores()
    with Process("kit", core, rounds) as process:
        yield Measured("testing", "echo", "connect, echo and close in a test", "µs", process.answer())


async def by_hand(app: ASGIApp, state: dict[str, Any]) -> str:
    """The ASGI call that a test would make without a kit: a task, a queue each way, and nothing that looks at it."""
    received: asyncio.Queue[Message] = asyncio.Queue()
    sent: asyncio.Queue[Message] = asyncio.Queue()

    async def run() -> None:
        await app(BARE.scope(state), received.get, sent.put)

    task = asyncio.create_task(run())
    received.put_nowait(CONNECT)
    await sent.get()
    received.put_nowait({"type": "websocket.receive", "text": TEXT})
    reply: str = (await sent.get())["text"]
    received.put_nowait(DISCONNECT)
    await task
    return reply


async def with_kit(app: ASGIApp, state: dict[str, Any]) -> str:
    """The same with `wsroute.testing`."""
    async with connect(app, BARE.path, state=state) as ws:
        await ws.send_text(TEXT)
        reply = await ws.receive_text()
        await ws.close()
    return reply


WAYS: dict[str, Way] = {"raw": by_hand, "wsroute": with_kit}


async def sample(way: Way, life: Lifespan, count: int) -> float:
    """The CPU time of one connection, in microseconds."""
    gc.collect()
    start = time.process_time_ns()
    replies = {await way(life.app, life.state) for _ in range(count)}
    spent = time.process_time_ns() - start
    if replies != {TEXT}:
        raise WrongAnswer(f"a connection did not get its answer, but {replies}")
    return spent / count / 1000


async def samples(rounds: int, count: int = CONNECTIONS) -> dict[str, list[float]]:
    """One figure of each way for each round; the one that begins is another every time."""
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    async with Lifespan(adapters.load("wsroute").connect["a"]()) as life:
        for way in WAYS.values():
            await sample(way, life, 10)
        for turn in range(rounds):
            for name in sorted(WAYS, reverse=bool(turn % 2)):
                found[name].append(await sample(WAYS[name], life, count))
    return found


def main(core: int | None, rounds: int) -> None:
    """Answer."""
    pin(core)
    print(json.dumps(asyncio.run(samples(rounds))), flush=True)


if __name__ == "__main__":
    main(*map(json.loads, sys.argv[1:]))
