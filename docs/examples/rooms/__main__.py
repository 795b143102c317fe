"""`python -m docs.examples.rooms`: serve the rooms on loopback, or check that they work."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from docs.examples.rooms.app import create_app
from docs.examples.rooms.check import HOST, check
from docs.examples.rooms.store import Database


def serve(port: int, database: Database) -> None:
    """Serve until interrupted."""
    print(f"http://{HOST}:{port}/")
    # uvicorn has read a message before the listener sees how large it is, and takes 16 MiB by itself.
    uvicorn.run(create_app(database), host=HOST, port=port, ws_max_size=65536, timeout_graceful_shutdown=5)


def main() -> int:
    """Read the command line, and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m docs.examples.rooms", description="Rooms with typed messages.")
    parser.add_argument("--port", type=int, default=8000, help="the port to listen on (default: 8000)")
    parser.add_argument("--database", type=Path, help="the file that keeps what was said (default: a temporary one)")
    parser.add_argument("--check", action="store_true", help="serve on a free port, try everything once, and exit")
    arguments = parser.parse_args()
    with TemporaryDirectory() as directory:
        database = Database(arguments.database or Path(directory, "rooms.db"))
        if arguments.check:
            return 0 if asyncio.run(check(database)) else 1
        serve(arguments.port, database)
    return 0


if __name__ == "__main__":
    sys.exit(main())
