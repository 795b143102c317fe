"""`python -m docs.examples.fastapi_app`: serve the notes on loopback, or check that they work."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys

import uvicorn

from docs.examples.fastapi_app.app import create_app
from docs.examples.fastapi_app.check import HOST, check


def serve(port: int) -> None:
    """Serve until interrupted, and say how to be a client."""
    token = secrets.token_urlsafe()
    url, header = f"http://{HOST}:{port}", f"Authorization: Bearer {token}"
    print(f"write:    curl -H '{header}' -H 'Content-Type: application/json' -d '{{\"text\": \"Milk\"}}' {url}/notes")
    print(f"a ticket: curl -H '{header}' -X POST {url}/tickets")
    print(f"connect:  python -m websockets 'ws://{HOST}:{port}/live/notes?ticket=...'")
    uvicorn.run(create_app({token: "ann"}), host=HOST, port=port)


def main() -> int:
    """Read the command line, and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m docs.examples.fastapi_app", description="Notes, in FastAPI.")
    parser.add_argument("--port", type=int, default=8000, help="the port to listen on (default: 8000)")
    parser.add_argument("--check", action="store_true", help="serve on a free port, try everything once, and exit")
    arguments = parser.parse_args()
    if arguments.check:
        return 0 if asyncio.run(check()) else 1
    serve(arguments.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
