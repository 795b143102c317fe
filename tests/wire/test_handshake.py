"""The handshake as HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute

from wsroute.testing import Peer
from wsroute.wire.handshake import can_deny, denial, request_view
from wsroute.wire.socket import Socket

pytestmark = pytest.mark.anyio


class Special(Request):
    pass


def socket(peer: Peer) -> Socket:
    return Socket(peer.scope, peer.receive, peer.send)


# The request


async def test_the_request_is_the_handshake_as_a_get_without_a_body() -> None:
    peer = Peer("/rooms/7?limit=3", headers={"Cookie": "c=v", "X-Token": "t"})
    request = request_view(socket(peer))
    assert type(request) is Request
    assert (request.scope["type"], request.method) == ("http", "GET")
    assert request.url.path == "/rooms/7"
    assert (request.query_params["limit"], request.headers["x-token"], request.cookies["c"]) == ("3", "t", "v")
    assert request.client is not None and request.client.host == "127.0.0.1"
    assert await request.body() == b""
    assert peer.scope["type"] == "websocket"


@pytest.mark.parametrize(("scheme", "seen"), [("ws", "http"), ("wss", "https"), ("https", "https")])
def test_the_request_has_the_scheme_of_http(scheme: str, seen: str) -> None:
    assert request_view(socket(Peer(scope={"scheme": scheme}))).url.scheme == seen


async def test_the_body_ends_and_then_the_channel_does() -> None:
    request = request_view(socket(Peer()))
    assert await request.receive() == {"type": "http.request", "body": b"", "more_body": False}
    assert await request.receive() == {"type": "http.disconnect"}
    assert await request.receive() == {"type": "http.disconnect"}
    with pytest.raises(ClientDisconnect):
        await request.body()


def test_there_is_one_request_for_each_class_and_connection() -> None:
    websocket = socket(Peer())
    plain, special = request_view(websocket), request_view(websocket, Special)
    assert (type(plain), type(special)) == (Request, Special)
    assert request_view(websocket) is plain
    assert request_view(websocket, Special) is special
    assert request_view(socket(Peer())) is not plain


@pytest.mark.parametrize("scope", [{}, {"state": {"kept": 1}}])
def test_the_state_is_shared_also_where_there_was_none(scope: dict[str, Any]) -> None:
    peer = Peer(scope=scope)
    if not scope:
        del peer.scope["state"]
    websocket = socket(peer)
    request = request_view(websocket)
    websocket.state.mine = 1
    request.state.theirs = 2
    assert (request.state.mine, websocket.state.theirs) == (1, 2)
    if scope:
        assert request.state.kept == 1


def test_what_middleware_added_is_shared() -> None:
    session: dict[str, Any] = {}
    app, user, auth = object(), object(), object()
    shared = {"session": session, "app": app, "user": user, "auth": auth, "path_params": {"room": 7}}
    request = request_view(socket(Peer(scope=shared)))
    request.session["seen"] = True
    assert session == {"seen": True}
    assert (request.app, request.user, request.auth) == (app, user, auth)
    assert request.path_params is shared["path_params"]


def test_other_writes_to_the_scope_stay_with_the_request() -> None:
    peer = Peer()
    request_view(socket(peer)).scope["path"] = "/elsewhere"
    assert peer.scope["path"] == "/"


def test_the_request_names_other_routes() -> None:
    async def room() -> None: ...

    app = Starlette(routes=[WebSocketRoute("/rooms/{number}", room, name="room")])
    peer = Peer(headers={"Host": "example.org"}, scope={"app": app, "scheme": "wss"})
    assert str(request_view(socket(peer)).url_for("room", number=7)) == "wss://example.org/rooms/7"


# The denial


@pytest.mark.parametrize(
    ("extensions", "can"), [({"websocket.http.response": {}}, True), ({}, False), ({"tls": {}}, False), (None, False)]
)
def test_a_denial_needs_the_servers_extension(extensions: Any, can: bool) -> None:
    assert can_deny(socket(Peer(scope={"extensions": extensions}))) is can


def test_a_server_may_name_no_extensions_at_all() -> None:
    peer = Peer()
    del peer.scope["extensions"]
    assert not can_deny(socket(peer))


def headers_of(response: Response) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode("latin-1")) for name, value in response.raw_headers]


def test_a_denial_is_json() -> None:
    response = denial(401, {"detail": "nö"}, {"WWW-Authenticate": "Bearer"})
    assert response.status_code == 401
    assert json.loads(bytes(response.body)) == {"detail": "nö"}
    assert headers_of(response) == [
        ("content-length", str(len(response.body))),
        ("content-type", "application/json"),
        ("www-authenticate", "Bearer"),
    ]


def test_a_denial_describes_its_own_body() -> None:
    response = denial(401, {"detail": "no"}, {"Content-Length": "1", "content-type": "text/plain", "x-a": "1"})
    assert dict(headers_of(response))["content-type"] == "application/json"
    assert [name for name, _ in headers_of(response)] == ["content-length", "content-type", "x-a"]


def test_a_denial_without_a_body_has_none() -> None:
    response = denial(304, {"detail": "Not Modified"}, {"ETag": "x"})
    assert response.body == b""
    assert headers_of(response) == [("etag", "x")]


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "detail", [object(), {1, 2}, float("nan"), CYCLE, {("a",): 1}, b"x"], ids=lambda detail: type(detail).__name__
)
def test_a_detail_that_is_not_json_is_left_out_and_logged(detail: object, caplog: pytest.LogCaptureFixture) -> None:
    response = denial(404, {"detail": detail})
    assert json.loads(bytes(response.body)) == {"detail": "Not Found"}
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_status_without_a_name_can_stand_for_a_detail() -> None:
    assert json.loads(bytes(denial(499, {"detail": object()}).body)) == {"detail": ""}


def test_a_lone_surrogate_does_no_harm() -> None:
    assert json.loads(bytes(denial(400, {"detail": "\ud800"}).body)) == {"detail": "\ud800"}


def test_a_header_that_http_cannot_carry_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    response = denial(429, {}, {"X-A": "€", "Retry-After": 5})  # type: ignore[dict-item]  # what people write
    assert headers_of(response)[2:] == [("retry-after", "5")]
    assert "x-a" in caplog.text
