"""`python -m docs.examples.gateway`: serve the desk on loopback, or check that it works."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys

import uvicorn

from docs.examples.gateway.app import create_app
from docs.examples.gateway.check import HOST, check
from docs.examples.gateway.desk import Desk, Ticket, User


def serve(port: int) -> None:
    """Serve until interrupted. Each user has a token; `python -m websockets URL` is a client."""
    ann, eve = (secrets.token_urlsafe() for _ in range(2))
    url = f"ws://{HOST}:{port}/desk"
    print(f"ann talks:   python -m websockets '{url}/tickets/7/talk?token={ann}'")
    print(f"eve talks:   python -m websockets '{url}/tickets/7/talk?token={eve}'")
    print(f"eve watches: python -m websockets '{url}/journal?token={eve}'")
    desk = Desk({ann: User("ann"), eve: User("eve", "agent")}, Ticket(7, "ann"))
    uvicorn.run(create_app(desk), host=HOST, port=port)


def main() -> int:
    """Read the command line, and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m docs.examples.gateway", description="A support desk.")
    parser.add_argument("--port", type=int, default=8000, help="the port to listen on (default: 8000)")
    parser.add_argument("--check", action="store_true", help="serve on a free port, try everything once, and exit")
    arguments = parser.parse_args()
    if arguments.check:
        return 0 if asyncio.run(check()) else 1
    serve(arguments.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
