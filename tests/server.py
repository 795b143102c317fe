"""A real server, and clients that look at what comes over the wire."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Self

import pytest
from starlette.types import ASGIApp
from websockets.sync.client import ClientConnection, connect

from wsroute.testing import LiveServer

WebSocketImplementation = Literal["websockets-sansio", "websockets", "wsproto"]
IMPLEMENTATIONS: tuple[WebSocketImplementation, ...] = ("websockets-sansio", "websockets", "wsproto")

#: For tests that run a server: websockets deprecates, at every connection, how uvicorn's `websockets` calls it.
tolerant = pytest.mark.filterwarnings("ignore:remove second argument of ws_handler:DeprecationWarning")

#: Longer than anything here takes, in seconds: a test that gets here has failed.
LONG = 10.0


class Records(logging.Handler):
    """Keeps the records of some loggers, whatever their levels are."""

    def __init__(self, *names: str) -> None:
        super().__init__(logging.INFO)
        self._loggers = [logging.getLogger(name) for name in names]
        self._found: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._found.append(record)

    def take(self) -> list[logging.LogRecord]:
        """The records since the last call."""
        found, self._found = self._found, []
        return found

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Listen while the context is open."""
        levels = [logger.level for logger in self._loggers]
        for logger in self._loggers:
            logger.addHandler(self)
            logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            for logger, level in zip(self._loggers, levels, strict=True):
                logger.removeHandler(self)
                logger.setLevel(level)


class Server(LiveServer):
    """The kit's server, with clients and its log at hand, and without the lifespan if nothing else is said.

    Args:
        app: The ASGI application.
        ws: The WebSocket implementation.
        send_buffer: The size of the kernel's send buffer of each connection, in bytes; the kernel's default if None.
        options: Further options of `uvicorn.Config`.
    """

    def __init__(
        self, app: ASGIApp, ws: WebSocketImplementation, *, send_buffer: int | None = None, **options: Any
    ) -> None:
        super().__init__(app, ws=ws, **{"lifespan": "off", **options})
        self.records = Records("uvicorn.error", "wsroute")
        self._send_buffer = send_buffer

    def __enter__(self) -> Self:
        with warnings.catch_warnings():
            # uvicorn and websockets deprecate this implementation, which people still run.
            warnings.filterwarnings("ignore", r"websockets\.legacy is deprecated", DeprecationWarning)
            warnings.filterwarnings("ignore", r"The `websockets` implementation is deprecated", Warning)
            super().__enter__()
        if self._send_buffer is not None:
            for listener in self._asyncio.sockets:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
        return self

    @contextmanager
    def running(self) -> Iterator[Server]:
        """Serve while the context is open, and keep what is logged."""
        with self.records.attached(), self:
            self.records.take()
            yield self

    def connect(self, target: str, **options: Any) -> ClientConnection:
        """A client's connection; a refusal raises `websockets.exceptions.InvalidStatus`."""
        options = {"proxy": None, "compression": None, "open_timeout": LONG, "close_timeout": LONG, **options}
        connection: ClientConnection = connect(self.url(target), **options)
        return connection

    def connect_raw(self, target: str, **options: Any) -> socket.socket:
        """A TCP connection on which a handshake was sent, and nothing read."""
        return connect_raw(self.port, target, **options)

    def settled(self) -> list[logging.LogRecord]:
        """What was logged since the last call, once no connection's application runs any more."""
        asyncio.run_coroutine_threadsafe(self._settle(), self._asyncio.get_loop()).result(LONG)
        return self.records.take()

    @property
    def _asyncio(self) -> asyncio.Server:
        """What accepts the connections; uvicorn makes it of the one listener that it is given."""
        [server] = self.uvicorn.servers
        return server

    async def _settle(self) -> None:
        while tasks := self.uvicorn.server_state.tasks:
            await asyncio.wait(tasks)


def connect_raw(
    port: int, target: str, *, receive_buffer: int | None = None, headers: Mapping[str, str] | None = None
) -> socket.socket:
    """A TCP connection on which a handshake was sent, and nothing read.

    Args:
        port: The port of the server, on loopback.
        target: The path, with a query string or without.
        receive_buffer: The size of the kernel's receive buffer, in bytes; the kernel's default if None.
        headers: Headers of the handshake, beside those that it has to have.
    """
    raw = socket.socket()
    raw.settimeout(LONG)
    if receive_buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.connect(("127.0.0.1", port))
    lines = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    raw.sendall(f"GET {target} HTTP/1.1\r\n{head}\r\n".encode())
    return raw
