"""Which pages may open a connection, byte by byte, on each of uvicorn's WebSocket implementations."""

from __future__ import annotations

import base64
import logging
import os
import socket
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from starlette.applications import Starlette

from tests.server import IMPLEMENTATIONS, LONG, Server, tolerant
from wsroute import WebSocket, WebSocketRouter

pytestmark = tolerant

ACCEPTED = 101
REFUSED = 403


class Case(NamedTuple):
    """A handshake.

    Attributes:
        origins: The headers Origin that are sent.
        status: What the server answers.
        host: The header Host.
        proto: What a trusted proxy says of the scheme.
        path: The path.
    """

    origins: list[str]
    status: int = ACCEPTED
    host: str = "good.example"
    proto: str | None = None
    path: str = "/same"


#: The origin has to be that of the connection.
SAME: dict[str, Case] = {
    "no origin: no browser": Case([]),
    "the same": Case(["http://good.example"]),
    "the default port on one side": Case(["http://good.example:80"]),
    "the default port on the other side": Case(["http://good.example"], host="good.example:80"),
    "the same port": Case(["http://good.example:8000"], host="good.example:8000"),
    "another port": Case(["http://good.example:8001"], REFUSED, host="good.example:8000"),
    "no port for one": Case(["http://good.example"], REFUSED, host="good.example:8000"),
    "a port for none": Case(["http://good.example:8000"], REFUSED),
    "the default port of https": Case(["http://good.example:443"], REFUSED),
    "another scheme": Case(["https://good.example"], REFUSED),
    "the scheme of the socket": Case(["ws://good.example"], REFUSED),
    "upper case in the origin": Case(["HTTP://Good.Example"]),
    "upper case in the host": Case(["http://good.example"], host="GOOD.example"),
    "another host": Case(["http://evil.test"], REFUSED),
    "a subdomain": Case(["http://sub.good.example"], REFUSED),
    "the domain of a subdomain": Case(["http://good.example"], REFUSED, host="sub.good.example"),
    "the host as a prefix": Case(["http://good.example.evil.test"], REFUSED),
    "the host as a suffix": Case(["http://evilgood.example"], REFUSED),
    "the host as a path": Case(["http://evil.test/good.example"], REFUSED),
    "the host as a query": Case(["http://evil.test?good.example"], REFUSED),
    "the host as a fragment": Case(["http://evil.test#good.example"], REFUSED),
    "the host as a user": Case(["http://good.example@evil.test"], REFUSED),
    "the host as a user with a port": Case(["http://good.example:80@evil.test"], REFUSED),
    "a user before the host": Case(["http://evil.test@good.example"], REFUSED),
    "a dot at the end": Case(["http://good.example."], REFUSED),
    "a slash at the end": Case(["http://good.example/"], REFUSED),
    "a backslash": Case(["http://good.example\\.evil.test"], REFUSED),
    "a percent sign": Case(["http://good%2Eexample"], REFUSED),
    "null": Case(["null"], REFUSED),
    "null for a host that is called so": Case(["null"], REFUSED, host="null"),
    "an empty origin": Case([""], REFUSED),
    "no scheme": Case(["good.example"], REFUSED),
    "no host": Case(["http://"], REFUSED),
    "an empty port": Case(["http://good.example:"], REFUSED),
    "a port that is none": Case(["http://good.example:65616"], REFUSED),
    "two in one header": Case(["http://good.example http://evil.test"], REFUSED),
    "two with a comma": Case(["http://good.example, http://evil.test"], REFUSED),
    "a pattern": Case(["http://*"], REFUSED),
    "IDN": Case(["http://xn--bcher-kva.example"], host="xn--bcher-kva.example"),
    "IDN with a port": Case(["http://xn--bcher-kva.example:8000"], host="xn--bcher-kva.example:8000"),
    "another IDN": Case(["http://xn--bchr-0qa.example"], REFUSED, host="xn--bcher-kva.example"),
    "what looks like IDN": Case(["http://bucher.example"], REFUSED, host="xn--bcher-kva.example"),
    "an IPv4 address": Case(["http://127.0.0.1:8000"], host="127.0.0.1:8000"),
    "an IPv4 address and its name": Case(["http://localhost:8000"], REFUSED, host="127.0.0.1:8000"),
    "an IPv6 address": Case(["http://[::1]:8000"], host="[::1]:8000"),
    "an IPv6 address in another form": Case(["http://[::1]:8000"], host="[0:0:0:0:0:0:0:1]:8000"),
    "an IPv6 address in upper case": Case(["http://[2001:DB8::1]"], host="[2001:db8::1]"),
    "another IPv6 address": Case(["http://[::2]:8000"], REFUSED, host="[::1]:8000"),
    "an IPv6 address without brackets": Case(["http://::1"], REFUSED, host="[::1]"),
    "a page of a file": Case(["file://"], REFUSED),
    "an extension": Case(["chrome-extension://abcdef"], REFUSED),
    # Behind a proxy that ends TLS, and that the server trusts to say so.
    "https behind a proxy": Case(["https://good.example"], proto="https"),
    "wss behind a proxy": Case(["https://good.example:443"], proto="wss"),
    "http behind a proxy for https": Case(["http://good.example"], REFUSED, proto="https"),
    "the port of http behind a proxy for https": Case(["https://good.example:80"], REFUSED, proto="https"),
}
#: The origin has to be https://app.example, https://bücher.example or app://localhost.
LISTED: dict[str, Case] = {
    "no origin": Case([]),
    "one that is listed": Case(["https://app.example"]),
    "with its port": Case(["https://app.example:443"]),
    "in another scheme": Case(["http://app.example"], REFUSED),
    "the connection's own": Case(["http://good.example"], REFUSED),
    "one that is listed, as IDN": Case(["https://xn--bcher-kva.example"]),
    "one without a default port": Case(["app://localhost"]),
    "one that is longer": Case(["https://app.example.evil.test"], REFUSED),
    "null, where a list is": Case(["null"], REFUSED),
}
OPEN: dict[str, Case] = {
    "anybody": Case(["https://evil.test"]),
    "null, where anybody may": Case(["null"]),
    "what is none, where anybody may": Case(["http://good.example@evil.test"]),
}
CASES = {
    **SAME,
    **{name: case._replace(path="/listed") for name, case in LISTED.items()},
    **{name: case._replace(path="/open") for name, case in OPEN.items()},
}

router = WebSocketRouter()


@router.websocket("/same")
@router.websocket("/listed", allowed_origins=["https://app.example", "https://bücher.example", "app://localhost"])
@router.websocket("/open", allowed_origins="*")
async def endpoint(websocket: WebSocket) -> None:
    await websocket.accept()


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    app = Starlette()
    router.attach(app)
    with Server(app, request.param).running() as server:
        yield server


def answer(server: Server, case: Case) -> tuple[int, bytes]:
    """The status and the rest of the answer to a handshake."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {case.path} HTTP/1.1",
        f"Host: {case.host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *(f"Origin: {origin}" for origin in case.origins),
        *([] if case.proto is None else [f"X-Forwarded-Proto: {case.proto}"]),
    ]
    with socket.create_connection(("127.0.0.1", server.port), LONG) as raw:
        raw.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        received = b""
        # The server closes after either answer.
        while part := raw.recv(65536):
            received += part
            if received.startswith(b"HTTP/1.1 101") and b"\r\n\r\n" in received:
                break
    head, _, rest = received.partition(b"\r\n")
    return int(head.split()[1]), rest


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_page_may_open_a_connection_or_is_refused(server: Server, case: Case) -> None:
    server.settled()
    status, rest = answer(server, case)

    assert status == case.status
    assert (b'{"detail":"Origin not allowed"}' in rest) is (status == REFUSED)
    logged = [record.getMessage() for record in server.settled() if record.levelno > logging.INFO]
    assert len(logged) == (status == REFUSED)
    assert all("refused a page of the origin" in line for line in logged)


@pytest.mark.parametrize(
    "case",
    [
        Case(["http://good.example"] * 2),
        Case(["http://good.example", "http://evil.test"]),
        Case(["http://evil.test", "http://good.example"]),
        Case(["https://app.example", "https://app.example"], path="/listed"),
        Case(["http://bücher.example"], host="xn--bcher-kva.example"),
        Case(["https://bücher.example"], path="/listed"),
    ],
    ids=[
        "the same twice",
        "a foreign one later",
        "a foreign one first",
        "a listed one twice",
        "UTF-8",
        "listed, UTF-8",
    ],
)
def test_what_a_server_may_refuse_by_itself_is_refused(server: Server, case: Case) -> None:
    status, _ = answer(server, case)
    assert status in (400, REFUSED, 500)
    server.settled()
