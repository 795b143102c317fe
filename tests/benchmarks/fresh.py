"""What is measured in a new process each time: starting, importing, and the memory of open connections."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.benchmarks import adapters
from tests.benchmarks.cells import TEXT, Cell, WrongAnswer, check, connect_cells
from tests.benchmarks.client import Client, Handshake, IdleClient, Lifespan
from tests.benchmarks.machine import cores, pin, resident
from tests.benchmarks.processes import ROOT, Process, ProcessError
from tests.benchmarks.results import Measured
from tests.benchmarks.rounds import rotated

#: Is told what could not be measured.
Note = Callable[[str], None]

ROUTES = 1000
CONNECTIONS = 500

#: The baseline is what every application that uses wsroute has imported anyway.
IMPORTS = {
    "starlette": "import starlette.applications, starlette.websockets, pydantic",
    "wsroute": "import wsroute",
    "fastapi": "import fastapi",
    "litestar": "import litestar",
}

_STARTUP = {
    "seconds": ("CPU", "s"),
    "resident": ("memory", "MiB"),
    "first": ("the first connection on each route", "µs"),
    "resident_used": ("memory once all routes have been used", "MiB"),
}
_MEMORY = {
    "open": ("one open connection, in process", "KiB"),
    "garbage": ("cyclic garbage after one closed connection", "objects"),
}


def measure_startup(frameworks: Sequence[str], *, rounds: int, note: Note) -> Iterator[Measured]:
    """1000 routes of five dependencies each, started."""
    for shared in (False, True):
        whose = "shared functions" if shared else "functions of their own"
        found = _ask(frameworks, rounds, note, "startup", shared)
        for key, (what, unit) in _STARTUP.items():
            title = f"{ROUTES} routes, {whose}: {what}"
            yield Measured("startup", f"{'shared' if shared else 'own'} {key}", title, unit, _pick(found, key))


def measure_import(frameworks: Sequence[str], *, rounds: int) -> Iterator[Measured]:
    """The CPU time of an import, in a process that has imported nothing of it."""
    samples: dict[str, list[float]] = {name: [] for name in frameworks if name in IMPORTS}
    for name in samples:
        _import(name)  # from now on all of it is there as bytecode
    for order in rotated(list(samples), rounds):
        for name in order:
            samples[name].append(_import(name))
    yield Measured("import", "import", "import", "ms", samples)


def _import(name: str) -> float:
    code = f"import time; t = time.process_time(); {IMPORTS[name]}; print(time.process_time() - t)"
    # What was installed has been compiled to bytecode, and a checkout has to be allowed to.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout) * 1000


def measure_memory(frameworks: Sequence[str], *, rounds: int, note: Note) -> Iterator[Measured]:
    """What one connection holds on to."""
    for name in ("a", "c", "d"):
        found = _ask(frameworks, rounds, note, "memory", name)
        for key, (what, unit) in _MEMORY.items():
            yield Measured("memory", f"{name} {key}", f"{name}: {what}", unit, _pick(found, key))


def _ask(frameworks: Sequence[str], rounds: int, note: Note, *request: Any) -> dict[str, list[dict[str, float]]]:
    core, _ = cores()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in frameworks}
    for order in rotated(frameworks, rounds):
        for name in order:
            try:
                with Process("fresh", name, core, *request) as process:
                    found[name].append(process.answer())
            except ProcessError as exc:
                note(f"{name}, {request}: {exc}")
    # A framework that failed once has no figures that belong to the others' rounds.
    return {name: answers for name, answers in found.items() if len(answers) == rounds}


def _pick(found: dict[str, list[dict[str, float]]], key: str) -> dict[str, list[float]]:
    return {name: [one[key] for one in answers] for name, answers in found.items()}


# In the new process


async def startup(framework: str, shared: bool) -> dict[str, float]:
    """Make the application with many routes, start it, and use each route once."""
    adapter = adapters.load(framework)
    gc.collect()
    memory, start = resident(), time.process_time()
    async with Lifespan(adapter.startup(ROUTES, shared)) as life:
        seconds = time.process_time() - start
        gc.collect()
        started, start = resident(), time.process_time()
        for number in range(ROUTES):
            client = Client(TEXT)
            scope = Handshake(f"/resource{number}/30", "limit=12&q=tea").scope(life.state)
            await life.app(scope, client.receive, client.send)
            if client.reply != f"{TEXT} 42 tea secret database cache alice audit":
                raise WrongAnswer(client.reply)
        first = (time.process_time() - start) / ROUTES
        gc.collect()
        return {
            "seconds": seconds,
            "resident": (started - memory) / 2**20,
            "first": first * 1e6,
            "resident_used": (resident() - memory) / 2**20,
        }


async def memory(framework: str, name: str) -> dict[str, float]:
    """Open many connections, and close them. What stands for the server is in the figure, and the same for all."""
    [cell] = [cell for cell in connect_cells() if cell.name == name]
    app = cell.build(adapters.load(framework))
    assert app is not None
    async with Lifespan(app) as life:
        await check(cell, life)
        await _open_and_close(cell, life, 20)
        gc.collect()
        tracemalloc.start()
        held = await _open_and_close(cell, life, CONNECTIONS)
        return {"open": held / CONNECTIONS / 1024, "garbage": gc.collect() / CONNECTIONS}


async def _open_and_close(cell: Cell, life: Lifespan, count: int) -> int:
    """The bytes that are held while all connections are open. Leaves it to the caller to collect their garbage."""
    clients = [IdleClient(TEXT) for _ in range(count)]
    tasks = [
        asyncio.ensure_future(life.app(cell.handshake.scope(life.state), client.receive, client.send))
        for client in clients
    ]
    async with asyncio.timeout(60):
        for client in clients:
            await client.idle
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    gc.disable()
    for client in clients:
        client.leave()
    await asyncio.gather(*tasks)
    return held


def main(framework: str, core: int | None, what: str, *arguments: Any) -> None:
    """Answer one request."""
    pin(core)
    try:
        answer = asyncio.run(_ANSWERS[what](framework, *arguments))
    except Exception as exc:
        answer = {"error": f"{framework}, {what}: {type(exc).__name__}: {exc}"}
    print(json.dumps(answer), flush=True)


_ANSWERS: dict[str, Any] = {"startup": startup, "memory": memory}

if __name__ == "__main__":
    main(*map(json.loads, sys.argv[1:]))
