"""One scheme for HTTP routes of FastAPI and for sockets.

The annotations here are evaluated by Python, not strings, since FastAPI can't find the names of a function in them.
"""

from typing import Annotated, Any

import pytest
from starlette.testclient import TestClient

import wsroute
from wsroute import HTTPException, WebSocket, WebSocketRouter
from wsroute.security import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    BearerSubprotocol,
    HTTPBasic,
    HTTPBearer,
    MemoryTicketStore,
    OAuth2PasswordBearer,
    SecurityScopes,
    Ticket,
)
from wsroute.testing import HandshakeRefused, connect_sync, override

pytest.importorskip("fastapi")

import fastapi  # not everyone who runs the tests has it

BASIC = {"Authorization": "Basic YW5uOnNlY3JldA=="}
BEARER = {"Authorization": "Bearer t"}
SENT: list[tuple[Any, str, dict[str, str]]] = [
    (APIKeyCookie(name="key"), "/", {"Cookie": "key=k"}),
    (APIKeyHeader(name="key"), "/", {"key": "k"}),
    (APIKeyQuery(name="key"), "/?key=k", {}),
    (HTTPBasic(realm="here"), "/", BASIC),
    (HTTPBearer(), "/", BEARER),
    (OAuth2PasswordBearer("token"), "/", BEARER),
]


def both(scheme: Any) -> fastapi.FastAPI:
    """An application with an HTTP route and a socket that answer with what the scheme gives."""
    app = fastapi.FastAPI()
    router = WebSocketRouter()

    async def over_http(value: Annotated[Any, fastapi.Depends(scheme)]) -> str:
        return repr(value)

    async def over_socket(websocket: WebSocket, value: Annotated[Any, wsroute.Security(scheme)]) -> None:
        await websocket.accept()
        await websocket.send_text(repr(value))

    app.get("/")(over_http)
    router.websocket("/")(over_socket)
    router.attach(app)
    return app


def refusal(app: Any, headers: dict[str, str] | None = None) -> HandshakeRefused:
    """How a handshake is refused."""
    with pytest.raises(HandshakeRefused) as caught, connect_sync(app, headers=headers):
        pass  # pragma: no cover
    return caught.value


@pytest.mark.parametrize(("scheme", "target", "headers"), SENT)
def test_a_scheme_gives_the_same_in_an_http_route_and_in_a_socket(
    scheme: Any, target: str, headers: dict[str, str]
) -> None:
    app = both(scheme)
    with connect_sync(app, target, headers=headers) as ws:
        assert ws.receive_text() == TestClient(app).get(target, headers=headers).json()


@pytest.mark.parametrize(
    "scheme", [*(scheme for scheme, _, _ in SENT), BearerSubprotocol(), Ticket(MemoryTicketStore())]
)
def test_a_scheme_refuses_in_the_same_way_in_both(scheme: Any) -> None:
    app = both(scheme)
    response = TestClient(app).get("/")
    refused = refusal(app)
    assert (refused.status_code, refused.json()) == (response.status_code, response.json())
    assert refused.headers["WWW-Authenticate"] == response.headers["WWW-Authenticate"]


def test_a_ticket_is_redeemed_in_an_http_route() -> None:
    tickets = MemoryTicketStore()
    app = fastapi.FastAPI()
    scheme = Ticket(tickets)

    async def issue() -> str:
        return await tickets.issue("ann")

    async def redeem(user: Annotated[str, fastapi.Depends(scheme)]) -> str:
        return user

    app.post("/tickets")(issue)
    app.get("/download")(redeem)
    client = TestClient(app)
    ticket = client.post("/tickets").json()

    assert client.get(f"/download?ticket={ticket}").json() == "ann"
    assert client.get(f"/download?ticket={ticket}").status_code == 401


def test_an_http_route_has_no_subprotocols() -> None:
    response = TestClient(both(BearerSubprotocol())).get("/", headers={"Sec-WebSocket-Protocol": "bearer, t"})
    assert response.status_code == 401


def test_an_override_takes_the_place_of_a_scheme() -> None:
    router = WebSocketRouter()
    scheme = HTTPBearer()

    async def endpoint(websocket: WebSocket, token: Annotated[Any, wsroute.Depends(scheme)]) -> None:
        await websocket.accept()
        await websocket.send_text(token)

    router.websocket("/")(endpoint)
    with override(router, scheme, value="from the test"), connect_sync(router) as ws:
        assert ws.receive_text() == "from the test"


def test_the_scopes_that_are_asked_for_are_those_that_a_refusal_names() -> None:
    router = WebSocketRouter()
    scheme = OAuth2PasswordBearer("token", scopes={"users:read": "May read"})

    async def require(asked: SecurityScopes, token: Annotated[str, wsroute.Depends(scheme)]) -> None:
        raise scheme.make_insufficient_scope_error(asked)

    async def endpoint(user: Annotated[None, wsroute.Security(require, scopes=["users:read"])]) -> None: ...

    router.websocket("/")(endpoint)
    refused = refusal(router, BEARER)
    assert refused.status_code == 403
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="users:read"'


def test_after_the_accept_a_refusal_is_a_close() -> None:
    router = WebSocketRouter()
    scheme = HTTPBearer()

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        raise scheme.make_invalid_token_error("The token has expired")

    router.websocket("/")(endpoint)
    with connect_sync(router) as ws:
        ws.expect_close(1008, "The token has expired")


def test_an_application_may_still_say_no_in_its_own_words() -> None:
    async def never(token: Annotated[Any, wsroute.Depends(HTTPBearer())]) -> None:
        raise HTTPException(401, "Unknown", {"WWW-Authenticate": 'Bearer error="invalid_token"'})

    router = WebSocketRouter(dependencies=[wsroute.Depends(never)])

    async def endpoint() -> None: ...

    router.websocket("/")(endpoint)
    assert refusal(router, BEARER).json() == {"detail": "Unknown"}
