"""What the checks of the examples share: a server on a free port, and what a client sees of it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from http.client import HTTPConnection
from typing import Any

import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


def held(what: str, seen: object, expected: object) -> bool:
    """Print what was seen, and what was expected if that is something else."""
    if seen == expected:
        print(f"ok   {what}: {seen}")
        return True
    print(f"FAIL {what}: {seen}\n     expected: {expected}")
    return False


@asynccontextmanager
async def served(config: uvicorn.Config, *, send_buffer: int | None = None) -> AsyncIterator[str]:
    """Serve on a free port, in this event loop, for as long as the block lasts.

    Args:
        config: The server; its port is not used.
        send_buffer: How many bytes the kernel keeps for a client that does not read them. Default: its own choice.
    """
    # The socket listens before uvicorn starts: a client that comes early waits in its queue.
    with socket.create_server((config.host, 0)) as listener:
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)  # connections inherit it
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"ws://{config.host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def page_at(url: str) -> tuple[int, str | None, bytes]:
    """Status, content type and body of the page at the root of a server."""

    def get() -> tuple[int, str | None, bytes]:
        with closing(HTTPConnection(*address(url), timeout=10)) as client:
            client.request("GET", "/")
            response = client.getresponse()
            return response.status, response.getheader("Content-Type"), response.read()

    return await asyncio.to_thread(get)


def address(url: str) -> tuple[str, int]:
    """Host and port."""
    host, port = url.split("/")[2].split(":")
    return host, int(port)


async def receive(client: ClientConnection) -> Any:
    """The next message."""
    return json.loads(await client.recv())


async def refusal(url: str, *headers: str, sending: Mapping[str, str] | None = None) -> tuple[Any, ...] | None:
    """Status, some headers, and the body of a handshake that is refused; None if it is not."""
    try:
        async with connect(url, proxy=None, additional_headers=sending):
            return None
    except InvalidStatus as invalid:
        response = invalid.response
        shown = [response.headers.get(name) for name in headers]
        return response.status_code, *shown, json.loads(response.body or "null")


async def closed_with(client: ClientConnection) -> tuple[int, str] | None:
    """The code and the reason of the close frame that a client is sent sooner or later; None without one."""
    try:
        while True:
            await client.recv()
    except ConnectionClosed as closed:
        return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else None
