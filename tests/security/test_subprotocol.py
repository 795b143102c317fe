"""The token among the subprotocols: how it is read, and what the accept answers."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Annotated, Any

import anyio
import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.security.connections import Refusal, connection, outcome
from tests.server import IMPLEMENTATIONS, LONG, Server, tolerant
from wsroute import APIWebSocketRoute, Depends, HTTPException, InvalidParameterError, WebSocket, WebSocketRouter
from wsroute.security import BearerSubprotocol
from wsroute.testing import Peer

UNAUTHORIZED = Refusal(401, "Not authenticated", "Bearer")
BROKEN = Refusal(
    401,
    "The token is not base64url",
    'Bearer error="invalid_token", error_description="The token is not base64url"',
)


def encoded(token: str) -> str:
    return base64.urlsafe_b64encode(token.encode()).rstrip(b"=").decode()


# Reading


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ([], UNAUTHORIZED),
        (["chat"], UNAUTHORIZED),
        (["bearer"], UNAUTHORIZED),
        (["chat", "bearer"], UNAUTHORIZED),
        (["Bearer", "t"], UNAUTHORIZED),
        (["bearer", "t"], "t"),
        (["bearer", "eyJhbGciOiJIUzI1NiJ9.e30.x-_Y"], "eyJhbGciOiJIUzI1NiJ9.e30.x-_Y"),
        (["chat", "bearer", "t"], "t"),
        (["bearer", "t", "chat"], "t"),
        (["bearer", "a", "bearer", "b"], UNAUTHORIZED),
        (["bearer", "bearer"], UNAUTHORIZED),
    ],
)
def test_the_token_is_what_follows_the_marker(offered: list[str], expected: Any) -> None:
    assert outcome(BearerSubprotocol(), connection(subprotocols=offered)) == expected


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ([], None),
        (["chat"], None),
        (["bearer"], None),
        (["bearer", "t"], "t"),
        # Broken is not missing.
        (["bearer", "a", "bearer"], UNAUTHORIZED),
    ],
)
def test_an_optional_token_may_be_missing(offered: list[str], expected: Any) -> None:
    assert outcome(BearerSubprotocol(auto_error=False), connection(subprotocols=offered)) == expected


@pytest.mark.parametrize("token", ["t", "ab", "abc", "a token/with=all sorts", "schön", "\N{GRINNING FACE}??>>"])
def test_a_token_of_any_characters_is_sent_in_base64url(token: str) -> None:
    request = connection(subprotocols=["auth", encoded(token)])
    assert outcome(BearerSubprotocol("auth", encoding="base64url"), request) == token


@pytest.mark.parametrize("token", ["a", "a+b=", "a.b", "dA==", "_w", "$$"])
@pytest.mark.parametrize("auto_error", [True, False])
def test_what_is_not_base64url_of_a_text_is_refused(token: str, auto_error: bool) -> None:
    scheme = BearerSubprotocol(encoding="base64url", auto_error=auto_error)
    assert outcome(scheme, connection(subprotocols=["bearer", token])) == BROKEN


def test_a_request_without_subprotocols_has_no_token() -> None:
    request = connection()
    del request.scope["subprotocols"]
    assert outcome(BearerSubprotocol(), request) == UNAUTHORIZED


def test_it_describes_itself_as_the_header_that_it_reads() -> None:
    assert BearerSubprotocol(description="A token").model.document() == {
        "type": "apiKey",
        "description": "A token",
        "name": "Sec-WebSocket-Protocol",
        "in": "header",
    }


@pytest.mark.parametrize("marker", ["", "my bearer", "a,b", "träger", None])
def test_a_marker_that_is_no_subprotocol_is_an_error(marker: Any) -> None:
    with pytest.raises(InvalidParameterError) as error:
        BearerSubprotocol(marker)

    assert str(error.value) == (
        f"{marker!r} is no token of HTTP\n  BearerSubprotocol\n     parameter 'marker'\n"
        "  expected: letters, digits and -_.!#$%&'*+^`|~, at least one\n"
        "  remedy: choose a name of these characters"
    )


def test_an_unknown_encoding_is_an_error() -> None:
    with pytest.raises(InvalidParameterError, match="encoding='base64' is unknown"):
        BearerSubprotocol(encoding="base64")  # type: ignore[arg-type]  # that is the mistake


# Accepting


def accepting(scheme: BearerSubprotocol, answer: str | None = None) -> APIWebSocketRoute:
    async def endpoint(websocket: WebSocket, token: Annotated[str | None, Depends(scheme)]) -> None:
        await websocket.accept(answer)

    return APIWebSocketRoute("/", endpoint)


def served(app: APIWebSocketRoute, *offered: str) -> Peer:
    peer = Peer(scope={"subprotocols": [*offered]})
    anyio.run(peer.serve, app)
    return peer


def accepted(app: APIWebSocketRoute, *offered: str) -> Any:
    peer = served(app, *offered)
    assert peer.accepted is not None
    return peer.accepted["subprotocol"]


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        (["bearer", "t"], "bearer"),
        (["chat", "bearer", "t"], "bearer"),
        # A browser drops a connection that takes nothing of what it has offered.
        (["bearer"], "bearer"),
        (["chat"], None),
        (["Bearer", "t"], None),
        ([], None),
    ],
)
def test_the_accept_answers_with_the_marker_if_it_was_offered(offered: list[str], answered: str | None) -> None:
    assert accepted(accepting(BearerSubprotocol(auto_error=False)), *offered) == answered


def test_what_the_endpoint_answers_with_counts() -> None:
    assert accepted(accepting(BearerSubprotocol(), "chat"), "chat", "bearer", "t") == "chat"


def test_an_accept_with_headers_answers_with_the_marker_too() -> None:
    async def endpoint(websocket: WebSocket, token: Annotated[str, Depends(BearerSubprotocol())]) -> None:
        await websocket.accept(headers=[(b"x-tag", b"a")])

    assert accepted(APIWebSocketRoute("/", endpoint), "bearer", "t") == "bearer"


def test_a_subclass_of_websocket_answers_with_the_marker_too() -> None:
    class Relayed(WebSocket):
        async def send(self, message: Any) -> None:
            await super().send(message)

    async def endpoint(websocket: Relayed, token: Annotated[str, Depends(BearerSubprotocol())]) -> None:
        await websocket.accept()

    assert accepted(APIWebSocketRoute("/", endpoint), "bearer", "t") == "bearer"


def test_a_refusal_that_accepts_first_answers_with_the_marker() -> None:
    """Else a browser would drop the connection before its script could read the code."""

    async def check(token: Annotated[str, Depends(BearerSubprotocol())]) -> None:
        raise HTTPException(401, "Unknown token")

    async def endpoint(websocket: WebSocket, user: Annotated[None, Depends(check)]) -> None: ...

    app = APIWebSocketRoute("/", endpoint, reject="accept")
    assert accepted(app, "bearer", "t") == "bearer"


def test_a_refusal_does_not_tell_the_token() -> None:
    peer = served(accepting(BearerSubprotocol(encoding="base64url")), "bearer", "not.base64")

    assert peer.denial is not None
    assert peer.denial.status == 401
    assert "not.base64" not in repr(peer.sent)


# On the wire

router = WebSocketRouter()


@router.websocket("/")
async def endpoint(websocket: WebSocket, token: Annotated[str, Depends(BearerSubprotocol())]) -> None:
    await websocket.accept()
    await websocket.send_text(token)


@router.websocket("/optional")
async def optional(
    websocket: WebSocket, token: Annotated[str | None, Depends(BearerSubprotocol(auto_error=False))]
) -> None:
    await websocket.accept()
    await websocket.send_text(repr(token))


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(router, request.param).running() as server:
        yield server


@tolerant
@pytest.mark.parametrize(
    ("target", "offered", "answered", "received"),
    [
        ("/", ["bearer", "s3cret"], "bearer", "s3cret"),
        ("/", ["chat", "bearer", "s3cret"], "bearer", "s3cret"),
        ("/optional", ["bearer"], "bearer", "None"),
        ("/optional", ["chat"], None, "None"),
        ("/optional", None, None, "None"),
    ],
)
def test_a_client_connects_and_sees_the_marker_alone(
    server: Server, target: str, offered: list[Subprotocol] | None, answered: str | None, received: str
) -> None:
    with server.connect(target, subprotocols=offered) as client:
        assert client.subprotocol == answered
        assert client.response is not None
        assert client.response.headers.get("Sec-WebSocket-Protocol") == answered
        assert client.recv(LONG) == received


@tolerant
@pytest.mark.parametrize("offered", [None, ["chat"], ["bearer"]])
def test_a_client_without_a_token_is_refused_with_a_challenge(server: Server, offered: Any) -> None:
    with pytest.raises(InvalidStatus) as caught, server.connect("/", subprotocols=offered):
        pass  # pragma: no cover
    response = caught.value.response
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert response.body == b'{"detail":"Not authenticated"}'
