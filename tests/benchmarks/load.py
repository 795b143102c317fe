"""What a server uses for real connections: uvicorn on the loopback, and clients in this process.

The clients do each step on all connections before the next one, so that the server always finds work in its queue. If
it waited for the client, a faster server would wait more often, and pay for that.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from tests.benchmarks.cells import TEXT, WrongAnswer, connect_cells
from tests.benchmarks.machine import cores, pin
from tests.benchmarks.processes import Process
from tests.benchmarks.results import Measured
from tests.benchmarks.rounds import rotated

#: At once; a sample of the cell `message` sends this many messages on each of them.
CONNECTIONS, MESSAGES = 40, 50
IDLE = 200
CELL = "c"


class Connection:
    """The client's end of one connection, with blocking calls.

    Args:
        port: The port of the server on the loopback.
    """

    def __init__(self, port: int) -> None:
        self._protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/items/30?limit=12&q=tea"))
        self._events: deque[object] = deque()
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = self._protocol.connect()
        request.headers["X-Token"] = "secret"
        self._protocol.send_request(request)
        self._flush()

    def opened(self) -> None:
        """Wait until the handshake is answered."""
        if not isinstance(answer := self._next(), Response) or answer.status_code != 101:
            raise WrongAnswer(f"the handshake was answered with {answer}")

    def say(self, times: int = 1) -> None:
        """Send messages."""
        for _ in range(times):
            self._protocol.send_text(TEXT.encode())
        self._flush()

    def hear(self, expected: str, times: int = 1) -> None:
        """Wait for the answers to as many messages."""
        for _ in range(times):
            answer = self._next()
            if not isinstance(answer, Frame) or bytes(answer.data).decode() != expected:
                raise WrongAnswer(f"a message was answered with {answer}")

    def leave(self) -> None:
        """Begin to close."""
        self._protocol.send_close(1000)
        self._flush()

    def left(self) -> None:
        """Wait until the connection is closed."""
        if not isinstance(answer := self._next(), Frame) or answer.opcode is not Opcode.CLOSE:
            raise WrongAnswer(f"a close was answered with {answer}")
        self._socket.close()

    def _next(self) -> object:
        while not self._events:
            data = self._socket.recv(65536)
            if not data:
                raise WrongAnswer("the server has closed the connection")
            self._protocol.receive_data(data)
            self._events.extend(self._protocol.events_received())
            self._flush()
        return self._events.popleft()

    def _flush(self) -> None:
        # In one piece: how many pieces a server finds at once would depend on how fast it is.
        self._socket.sendall(b"".join(self._protocol.data_to_send()))


def measure(frameworks: Sequence[str], *, rounds: int) -> Iterator[Measured]:
    """CPU for a connection and for a message, and memory for an idle connection."""
    core, other = cores()
    pin(other)
    kinds: dict[str, Callable[[Process, int], float]] = {"connection": _connections, "message": _messages}
    samples = {kind: {name: list[float]() for name in frameworks} for kind in kinds}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Process("serve", name, core, CELL)) for name in frameworks}
        ports = {name: server.answer()["port"] for name, server in servers.items()}
        for port in ports.values():
            _close(_open(port, CONNECTIONS))
        for order in rotated(frameworks, rounds):
            for name in order:
                for kind, spend in kinds.items():
                    samples[kind][name].append(spend(servers[name], ports[name]))
    for kind, by_framework in samples.items():
        yield Measured("server", kind, f"one {kind}, CPU of the server", "µs", by_framework)
    idle: dict[str, list[float]] = {name: [] for name in frameworks}
    for order in rotated(frameworks, max(1, rounds // 4)):
        for name in order:
            with Process("serve", name, core, CELL) as server:
                idle[name].append(_idle(server, server.answer()["port"]))
    yield Measured("server", "idle", "one idle connection, memory of the server", "KiB", idle)


def _reply() -> str:
    [reply] = [cell.reply for cell in connect_cells() if cell.name == CELL]
    assert reply is not None
    return reply


def _open(port: int, count: int) -> list[Connection]:
    """Connections that have had one message and its echo."""
    connections = [Connection(port) for _ in range(count)]
    for connection in connections:
        connection.opened()
    _echo(connections, 1)
    return connections


def _echo(connections: Sequence[Connection], times: int) -> None:
    reply = _reply()
    for connection in connections:
        connection.say(times)
    for connection in connections:
        connection.hear(reply, times)


def _close(connections: Sequence[Connection]) -> None:
    for connection in connections:
        connection.leave()
    for connection in connections:
        connection.left()


def _connections(server: Process, port: int) -> float:
    before = server.ask("cpu")
    _close(_open(port, CONNECTIONS))
    spent: float = server.ask("cpu") - before
    return spent / CONNECTIONS


def _messages(server: Process, port: int) -> float:
    connections = _open(port, CONNECTIONS)
    before = server.ask("cpu")
    _echo(connections, MESSAGES)
    spent: float = server.ask("cpu") - before
    _close(connections)
    return spent / CONNECTIONS / MESSAGES


def _idle(server: Process, port: int) -> float:
    _close(_open(port, CONNECTIONS))
    before = server.ask("memory")
    connections = _open(port, IDLE)
    spent: float = server.ask("memory") - before
    _close(connections)
    return spent / IDLE
