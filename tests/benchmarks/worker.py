"""The process of one framework, which lives as long as a run: it makes applications, checks them, and times them.

It is spoken to with one line of JSON for each request and each answer.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import Any

from tests.benchmarks import adapters
from tests.benchmarks.cells import Cell, WrongAnswer, all_cells, check
from tests.benchmarks.client import Lifespan
from tests.benchmarks.machine import pin

#: Connections whose scopes are made ahead, so that making them is not timed. Few, since the processor's cache is small.
BATCH = 50
#: Connections before each sample: they start what sleeps between two samples, such as worker threads.
WARM_UP = 5


class Bench:
    """The applications of one framework."""

    def __init__(self, framework: str) -> None:
        self._adapter = adapters.load(framework)
        self._cells = {f"{cell.group} {cell.name}": cell for cell in all_cells()}
        self._key = ""
        self._life: Lifespan | None = None
        self._cell: Cell | None = None

    async def prepare(self, name: str, nanoseconds: float) -> dict[str, Any]:
        """Make the application of a cell, check it, and see how many connections a sample takes.

        Args:
            name: Group and name of the cell.
            nanoseconds: How long a sample should take.
        """
        cell = self._cell = self._cells[name]
        if cell.key != self._key:
            await self._replace(cell)
        if self._life is None:
            return {"count": 0}
        await check(cell, self._life)
        await self.sample(10)
        once = await self.sample(10) * cell.messages
        return {"count": max(1, round(nanoseconds / once))}

    async def sample(self, count: int) -> float:
        """The CPU time of one connection, or of one message, in nanoseconds.

        Args:
            count: The connections of this sample.

        Raises:
            WrongAnswer: One of them did not get its answer.
        """
        await self._serve(WARM_UP)
        gc.collect()
        spent = 0
        for done in range(0, count, BATCH):
            spent += await self._serve(min(BATCH, count - done))
        return spent / count / self._cell.messages if self._cell else 0

    async def _serve(self, count: int) -> int:
        cell, life = self._cell, self._life
        assert cell and life
        app = life.app
        clients = [cell.client() for _ in range(count)]
        calls = [(cell.handshake.scope(life.state), client.receive, client.send) for client in clients]
        start = time.process_time_ns()
        for scope, receive, send in calls:
            await app(scope, receive, send)
        spent = time.process_time_ns() - start
        expected = cell.reply
        if any(client.reply != expected for client in clients):
            raise WrongAnswer("a connection did not get its answer")
        return spent

    async def _replace(self, cell: Cell) -> None:
        if self._life is not None:
            await self._life.__aexit__(None, None, None)
        # The old one is gone before the new one is made: it must not be in the way of the garbage collector.
        self._life = None
        gc.collect()
        self._key = cell.key
        app = cell.build(self._adapter)
        if app is not None:
            # It lives over many requests to this process, and so in no `async with`.
            self._life = await Lifespan(app).__aenter__()


def main(framework: str, core: int | None) -> None:
    """Answer requests until there are no more."""
    pin(core)
    bench = Bench(framework)
    # One loop for all: its worker threads live on between two samples, as in a server.
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            method, *arguments = json.loads(line)
            try:
                answer = runner.run(getattr(bench, method)(*arguments))
            except Exception as exc:
                answer = {"error": f"{type(exc).__name__}: {exc}"}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*map(json.loads, sys.argv[1:]))
