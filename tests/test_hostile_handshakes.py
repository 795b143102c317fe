"""Whatever a handshake carries: the result is a value or a refusal, and everything that was opened is closed, once."""

from __future__ import annotations

import datetime
import decimal
import logging
import socket
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, Json
from starlette.responses import Response

from tests.server import IMPLEMENTATIONS, LONG, Records, Server, WebSocketImplementation, tolerant
from wsroute import Cookie, Depends, Header, HTTPConnection, Query, Request, WebSocket, WebSocketRouter
from wsroute.testing import Peer

RawHeaders = list[tuple[bytes, bytes]]


class Page(BaseModel, extra="forbid"):
    number: int = 1
    order: Literal["new", "old"] = "new"
    tags: list[str] = []


class Client(BaseModel, extra="allow"):
    user_agent: str = ""
    x_version: int = 1


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    kind: Literal["square"]
    side: decimal.Decimal


Shape = Annotated[Circle | Square, Field(discriminator="kind")]


@dataclass
class Ledger:
    """What was opened and closed, and how many connections got to their endpoint."""

    opened: Counter[str] = field(default_factory=Counter)
    closed: Counter[str] = field(default_factory=Counter)
    served: int = 0

    def clear(self) -> None:
        self.opened.clear()
        self.closed.clear()
        self.served = 0


def application(ledger: Ledger) -> WebSocketRouter:
    """Routes that ask for a bit of everything, with dependencies to be closed before and after each mistake."""

    async def session(connection: HTTPConnection) -> AsyncIterator[str]:
        ledger.opened["session"] += 1
        try:
            yield "session"
        finally:
            ledger.closed["session"] += 1

    def transaction(session: Annotated[str, Depends(session)], limit: int = 1) -> Iterator[str]:
        ledger.opened["transaction"] += 1
        try:
            yield session
        finally:
            ledger.closed["transaction"] += 1

    async def audit(
        transaction: Annotated[str, Depends(transaction)], request: Request, x_token: Annotated[str, Header()] = ""
    ) -> AsyncIterator[str]:
        ledger.opened["audit"] += 1
        try:
            yield f"{request.method} {request.query_params} {x_token}"
        finally:
            ledger.closed["audit"] += 1

    router = WebSocketRouter(dependencies=[Depends(session)])

    @router.websocket("/scalars/{number}")
    async def scalars(
        websocket: WebSocket,
        response: Response,
        audit: Annotated[str, Depends(audit)],
        number: int,
        text: str = "",
        flag: bool = False,
        ratio: float = 0,
        price: decimal.Decimal = decimal.Decimal(0),
        day: datetime.date | None = None,
        moment: datetime.datetime | None = None,
        span: datetime.timedelta | None = None,
        id: uuid.UUID | None = None,
        raw: bytes = b"",
        order: Literal["new", "old"] = "new",
        session_id: Annotated[str, Cookie()] = "",
        retries: Annotated[int, Header()] = 0,
    ) -> None:
        ledger.served += 1
        await websocket.accept()

    @router.websocket("/several/{rest:path}")
    async def several(
        websocket: WebSocket,
        rest: str,
        transaction: Annotated[str, Depends(transaction)],
        numbers: Annotated[list[int], Query()],
        client: Annotated[Client, Header()],
        forwarded: Annotated[list[str] | None, Header()] = None,
        seen: Annotated[set[int] | None, Cookie()] = None,
        anything: Any = None,
        shape: Json[Shape] | None = None,
        tree: Json[Any] = None,
    ) -> None:
        ledger.served += 1
        await websocket.accept()

    @router.websocket("/model/{number:int}")
    async def model(
        websocket: WebSocket,
        number: int,
        audit: Annotated[str, Depends(audit)],
        page: Annotated[Page, Query()],
        cookies: Annotated[Page | None, Cookie()] = None,
    ) -> None:
        ledger.served += 1
        await websocket.accept()

    return router


NAMES = (
    b"number text flag ratio price day moment span id raw order limit numbers anything shape tree tags x-token "
    b"session_id"
).split()
NASTY = [
    b"",
    b"\0",
    b"%00",
    b"%",
    b"%zz",
    b"%ff%fe",
    b"%C3",
    b"%ED%A0%80",
    b"\xe9\xff",
    b"+",
    b"&",
    b"=",
    b"'\"<script>{}()",
    b"9" * 5000,
    b"-" + b"9" * 5000,
    b"1e" + b"9" * 300,
    b"0." + b"0" * 5000,
    b"NaN",
    b"-Infinity",
    b"9999-99-99",
    b"P" + b"9" * 300 + b"D",
    b"99999999999999999999",
    b"[" * 5000,
    b"{%22a%22:" * 2000,
    b"[" * 150 + b"]" * 150,
    b"[1,2",
    b"{%22kind%22:%22%00%22}",
    b"{%22kind%22:%22circle%22,%22radius%22:1e999}",
    b"{%22kind%22:[]}",
    b"%22%5Cud800%22",
    b"1,2;3",
    b"a" * 70_000,
]


LEDGER = Ledger()
APPLICATION = application(LEDGER)


async def connect(path: str, query_string: bytes, headers: RawHeaders) -> Peer:
    peer = Peer(scope={"path": path, "raw_path": b"", "query_string": query_string, "headers": headers})
    await peer.serve(APPLICATION, within=LONG)
    return peer


def check(path: str, query_string: bytes, headers: RawHeaders) -> Peer:
    """One connection, with everything that has to hold for every one of them."""
    LEDGER.clear()
    records = Records("")
    with records.attached():
        peer = anyio.run(connect, path, query_string, headers)

    assert [record.getMessage() for record in records.take() if record.levelno >= logging.ERROR] == []
    assert LEDGER.closed == LEDGER.opened
    assert set(LEDGER.opened.values()) <= {1}
    if LEDGER.served:
        assert peer.accepted
        assert peer.closed == (1000, "")
    else:
        assert peer.denial is not None
        assert 400 <= peer.denial.status < 500
    return peer


PATHS = ["/scalars/1", "/several/a/b", "/model/1"]


@pytest.mark.parametrize("path", PATHS)
def test_a_handshake_without_malice_is_served_or_told_what_is_missing(path: str) -> None:
    check(path, b"numbers=1" if path.startswith("/several") else b"", [(b"host", b"localhost")])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("value", NASTY, ids=lambda value: repr(value[:20]))
def test_no_value_in_a_query_string_breaks_anything(path: str, value: bytes) -> None:
    for name in (*NAMES, value):
        check(path, name + b"=" + value, [])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("value", NASTY, ids=lambda value: repr(value[:20]))
def test_no_header_and_no_cookie_breaks_anything(path: str, value: bytes) -> None:
    check(
        path,
        b"numbers=1",
        [
            (b"x-token", value),
            (b"x-token", b"2"),
            (b"retries", value),
            (b"forwarded", value),
            (b"forwarded", value),
            (b"x-version", value),
            (value.lower(), value),
            (b"cookie", b"session_id=" + value + b"; seen=" + value + b"; number=" + value),
            (b"cookie", value),
        ],
    )


@pytest.mark.parametrize(
    "number", ["9" * 5000, "-1", "", "\0", "é", "\N{REPLACEMENT CHARACTER}", "1.5", "٣", "1_000", "a" * 70_000, "%2e"]
)
@pytest.mark.parametrize("path", ["/scalars/{}", "/several/{}", "/model/{}", "/{}"])
def test_no_path_breaks_anything(path: str, number: str) -> None:
    check(path.format(number), b"numbers=1", [])


@pytest.mark.parametrize(
    "query_string",
    [
        pytest.param(b"&" * 100_000, id="separators"),
        pytest.param(b"=" * 100_000, id="equals signs"),
        pytest.param(b"%" * 100_000, id="percent signs"),
        pytest.param(b"a&" * 20_000, id="names without values"),
        pytest.param(b"&".join(b"x%d=1" % number for number in range(20_000)), id="many names"),
        pytest.param(b"numbers=1&" * 20_000, id="many values"),
        pytest.param(b"numbers=x&" * 5_000, id="many wrong values"),
        pytest.param(b"tags=" + b"%F0%9F%98%80" * 10_000, id="many escapes"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_an_oversized_query_string_breaks_nothing(path: str, query_string: bytes) -> None:
    check(path, query_string, [])


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([(b"cookie", b"a=b; " * 20_000)], id="many cookies"),
        pytest.param([(b"cookie", b";" * 50_000)], id="separators"),
        pytest.param([(b"cookie", b'session_id="' + b"\\" * 500_000 + b'"')], id="escapes in a cookie"),
        pytest.param([(b"cookie", b"session_id=1")] * 2_000, id="many lines of cookies"),
        pytest.param([(b"x-token", b"1")] * 20_000, id="a header many times"),
        pytest.param([(b"x-%d" % number, b"1") for number in range(20_000)], id="many headers"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_absurd_headers_break_nothing(path: str, headers: RawHeaders) -> None:
    check(path, b"numbers=1", headers)


VALUES = st.one_of(st.binary(max_size=30), st.sampled_from([value for value in NASTY if len(value) < 1000]))
PAIRS = st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), VALUES), VALUES), max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    path=st.one_of(st.sampled_from(PATHS), st.text(max_size=10).map(lambda text: f"/scalars/{text}")),
    query=PAIRS,
    headers=st.lists(st.tuples(st.sampled_from([*NAMES, b"cookie", b"host", b"forwarded"]), VALUES), max_size=6),
)
def test_nothing_at_all_breaks_anything(path: str, query: list[tuple[bytes, bytes]], headers: RawHeaders) -> None:
    check(path, b"&".join(name + b"=" + value for name, value in query), headers)


@pytest.mark.parametrize("value", [b"secret-5f3a", b"%73ecret-5f3a"])
def test_a_refusal_does_not_repeat_what_was_sent(value: bytes) -> None:
    query_string = b"&".join(name + b"=" + value for name in NAMES if name != b"shape")
    cookies = b"; ".join(name + b"=secret-5f3a" for name in NAMES)
    for path in PATHS:
        peer = check(
            path, query_string, [(b"retries", b"secret-5f3a"), (b"x-version", b"secret-5f3a"), (b"cookie", cookies)]
        )

        assert peer.denial is not None
        assert peer.denial.status == 422
        assert b"secret" not in peer.denial.body


# On a real server: what it lets through

SENT = [
    pytest.param(b"/scalars/" + b"9" * 5000, [], id="huge number in the path"),
    pytest.param(b"/model/" + b"9" * 5000, [], id="huge number for a convertor"),
    pytest.param(b"/scalars/%ff%00%zz", [], id="path that is no UTF-8"),
    pytest.param(b"/scalars/1?limit=" + b"9" * 5000, [], id="huge number in the query"),
    pytest.param(b"/scalars/1?text=%ff%00&id=%zz&raw=%", [], id="query that is no UTF-8"),
    pytest.param(b"/several/a?numbers=1&tree=" + b"[" * 5000, [], id="deep JSON"),
    pytest.param(b"/several/a?" + b"numbers=x&" * 700, [], id="many wrong values"),
    pytest.param(b"/model/1?" + b"&".join(b"x%d" % number for number in range(1000)), [], id="many unknown names"),
    pytest.param(b"/scalars/1?&&==&=&%", [], id="nothing but separators"),
    pytest.param(b"/scalars/1", [(b"X-Token", b"caf\xe9 \xff"), (b"X-Token", b"2")], id="headers that are no ASCII"),
    pytest.param(b"/scalars/1", [(b"Retries", b"9" * 5000)], id="huge number in a header"),
    pytest.param(b"/scalars/1", [(b"Cookie", b'session_id=(); =; ;;"; a=' + b"\\" * 500)], id="absurd cookie"),
    pytest.param(b"/several/a?numbers=1", [(b"Cookie", b"seen=1; seen=x"), (b"Forwarded", b"a")] * 20, id="many lines"),
]


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Ledger]]:
    implementation: WebSocketImplementation = request.param
    ledger = Ledger()
    with Server(application(ledger), implementation).running() as server:
        yield server, ledger


def status_of(server: Server, target: bytes, headers: RawHeaders) -> int:
    """The HTTP status with which a handshake is answered."""
    lines = [
        (b"Host", b"localhost"),
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
        *headers,
    ]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in lines)
    with closing(socket.create_connection(("127.0.0.1", server.port), LONG)) as raw:
        raw.sendall(b"GET " + target + b" HTTP/1.1\r\n" + head + b"\r\n")
        with raw.makefile("rb") as answer:
            return int(answer.readline().split()[1])


@tolerant
@pytest.mark.parametrize(("target", "headers"), SENT)
def test_a_server_answers_and_logs_no_error(served: tuple[Server, Ledger], target: bytes, headers: RawHeaders) -> None:
    server, ledger = served
    if server.uvicorn.config.ws == "websockets" and not all(value.isascii() for _, value in headers):
        pytest.skip("this implementation fails by itself, before there is an application")

    status = status_of(server, target, headers)

    assert status == 101 or 400 <= status < 500
    assert [record.getMessage() for record in server.settled() if record.levelno >= logging.ERROR] == []
    assert ledger.closed == ledger.opened
