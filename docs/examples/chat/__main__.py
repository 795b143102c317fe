"""`python -m docs.examples.chat`: serve the chat on loopback, or check that it works."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn

from docs.examples.chat.app import Settings, create_app
from docs.examples.chat.check import check
from docs.examples.chat.server import HOST, configure


def serve(port: int, database: Path) -> None:
    """Serve until interrupted. Each user gets a link with a token, in the part of the URL that is not sent."""
    users = {secrets.token_urlsafe(): name for name in ("ann", "bob")}
    for token, name in users.items():
        print(f"{name}: http://{HOST}:{port}/#{token}")
    uvicorn.Server(configure(create_app(Settings(database, users)), port=port)).run()


def main() -> int:
    """Read the command line, and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m docs.examples.chat", description="A chat server with rooms.")
    parser.add_argument("--port", type=int, default=8000, help="the port to listen on (default: 8000)")
    parser.add_argument("--database", type=Path, help="the file that keeps the messages (default: a temporary one)")
    parser.add_argument("--check", action="store_true", help="serve on a free port, try everything once, and exit")
    arguments = parser.parse_args()
    with TemporaryDirectory() as directory:
        database = arguments.database or Path(directory, "chat.db")
        if arguments.check:
            return 0 if asyncio.run(check(database)) else 1
        serve(arguments.port, database)
    return 0


if __name__ == "__main__":
    sys.exit(main())
