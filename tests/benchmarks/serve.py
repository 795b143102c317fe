"""The process of one framework behind uvicorn, which tells what it has used when it is asked."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import sys
import time
from typing import Any

import uvicorn

from tests.benchmarks import adapters
from tests.benchmarks.machine import pin, resident


class Server(uvicorn.Server):
    """Tells its port once it can be connected to."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start."""
        await super().startup(sockets)
        _tell({"port": self.servers[0].sockets[0].getsockname()[1]})


async def serve(framework: str, cell: str) -> None:
    """Serve the application of a cell on a free port of the loopback until the standard input ends."""
    app = adapters.load(framework).connect[cell]()
    server = Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False))
    serving = asyncio.ensure_future(server.serve())
    while line := await asyncio.to_thread(sys.stdin.readline):
        [request] = json.loads(line)
        _tell(_ANSWERS[request]())
    server.should_exit = True
    await serving


def used_cpu() -> float:
    """The CPU time of this process, in microseconds."""
    return time.process_time_ns() / 1000


def used_memory() -> float:
    """The memory of this process without its garbage, in KiB."""
    gc.collect()
    return resident() / 1024


def _tell(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


_ANSWERS = {"cpu": used_cpu, "memory": used_memory}


def main(framework: str, core: int | None, cell: str) -> None:
    """Serve, on one core."""
    pin(core)
    asyncio.run(serve(framework, cell))


if __name__ == "__main__":
    main(*map(json.loads, sys.argv[1:]))
