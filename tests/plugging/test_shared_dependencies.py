"""One dependency for HTTP routes of FastAPI and for sockets of every kind: FastAPI's markers, schemes and overrides.

The annotations here are evaluated by Python, not strings, since older releases of FastAPI don't find the names in them.
"""

import inspect
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from starlette.requests import HTTPConnection, Request
from starlette.testclient import TestClient

import wsroute
from tests.asgi import Peer
from wsroute import (
    DependencyScopeError,
    WebSocket,
    WebSocketGateway,
    WebSocketListener,
    WebSocketRouter,
    WebSocketView,
    on,
    websocket,
)

pytest.importorskip("fastapi")

import fastapi  # not everyone who runs the tests has it
from fastapi import FastAPI, security

pytestmark = pytest.mark.anyio

needs_scopes = pytest.mark.skipif(
    "scope" not in inspect.signature(fastapi.Depends).parameters, reason="this FastAPI has no scopes"
)


class ThirdParty:
    """A scheme as other packages write them: for requests."""

    async def __call__(self, request: Request) -> str:
        if "x-user" not in request.headers:
            raise fastapi.HTTPException(401, "No user", {"WWW-Authenticate": "X-User"})
        return f"{request.headers['x-user']} by {request.method}"


scheme = security.OAuth2PasswordBearer("token", auto_error=False)


async def settings() -> str:
    return "settings"


async def shared(
    asked: security.SecurityScopes,
    settings: Annotated[str, fastapi.Depends(settings)],
    user: Annotated[str, fastapi.Depends(ThirdParty())],
    token: Annotated[str | None, fastapi.Security(scheme)],
    limit: Annotated[int, fastapi.Query(alias="n", le=9)] = 1,
    agent: Annotated[str, fastapi.Header(alias="x-agent")] = "none",
    theme: Annotated[str, fastapi.Cookie()] = "none",
) -> list[Any]:
    return [settings, user, token, limit, agent, theme, asked.scopes]


Shared = Annotated[list[Any], fastapi.Security(shared, scopes=["write"])]


async def over_http(shared: Shared) -> list[Any]:
    return shared


async def endpoint(websocket: WebSocket, shared: Shared) -> None:
    await websocket.accept()
    await websocket.send_json(shared)


async def listener(message: dict[str, Any], shared: Shared) -> list[Any]:
    return shared


async def stream(shared: Shared) -> AsyncIterator[list[Any]]:
    yield shared


class InConstructor(WebSocketListener):
    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    @on
    async def said(self, message: dict[str, Any]) -> list[Any]:
        return self.shared


class InHandler(WebSocketListener):
    @on
    async def said(self, message: dict[str, Any], shared: Shared) -> list[Any]:
        return shared


class OnConnect(WebSocketListener):
    async def on_connect(self, shared: Shared) -> list[Any]:
        return shared

    @on
    async def said(self, message: dict[str, Any]) -> None: ...


@websocket("/")
async def handler(socket: WebSocket, shared: Shared) -> None:
    await endpoint(socket, shared)


@websocket("/")
async def by_name(socket: WebSocket, value: list[Any]) -> None:
    await endpoint(socket, value)


class View(WebSocketView):
    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    @websocket("/")
    async def tell(self, socket: WebSocket) -> None:
        await endpoint(socket, self.shared)


USES: dict[str, Any] = {
    "an endpoint": lambda router: router.websocket("/")(endpoint),
    "a listener": lambda router: router.listener("/")(listener),
    "a stream": lambda router: router.stream("/")(stream),
    "the constructor of a listener": lambda router: router.websocket("/")(InConstructor),
    "the handler of a listener": lambda router: router.websocket("/")(InHandler),
    "on_connect": lambda router: router.websocket("/")(OnConnect),
    "a handler": lambda router: router.add_route(WebSocketGateway("/", handler=handler)),
    "a view": lambda router: router.add_route(WebSocketGateway("/", handler=View)),
    "by name": lambda router: router.add_route(
        WebSocketGateway("/", handler=by_name, dependencies={"value": fastapi.Security(shared, scopes=["write"])})
    ),
}
each_use = pytest.mark.parametrize("use", USES.values(), ids=USES)

SENT = {"x-user": "ann", "authorization": "Bearer t", "x-agent": "test", "cookie": "theme=dark"}


def both(use: Any) -> FastAPI:
    """An application with an HTTP route and a socket that share a dependency."""
    app, router = FastAPI(), WebSocketRouter()
    app.get("/")(over_http)
    use(router)
    router.attach(app)
    return app


async def connected(app: Any, target: str = "/", **headers: str) -> Peer:
    peer = Peer(target, headers=headers)
    await peer.say("{}").leave().serve(app)
    return peer


@each_use
async def test_a_socket_gets_what_an_http_route_gets(use: Any) -> None:
    app = both(use)
    [frame] = (await connected(app, "/?n=3", **SENT)).frames
    response = TestClient(app).get("/?n=3", headers=SENT)
    assert json.loads(frame) == response.json() == ["settings", "ann by GET", "t", 3, "test", "dark", ["write"]]


@each_use
async def test_a_socket_is_refused_as_an_http_route_is(use: Any) -> None:
    app = both(use)
    for target, headers in (("/", {}), ("/?n=10", {"x-user": "ann"})):
        response = TestClient(app).get(target, headers=headers)
        denial = (await connected(app, target, **headers)).denial
        assert denial is not None
        assert (denial.status, denial.header("www-authenticate")) == (
            response.status_code,
            response.headers.get_list("www-authenticate"),
        )


@each_use
async def test_one_override_replaces_it_in_both(use: Any) -> None:
    app = both(use)
    for overrides, told in (
        ({settings: lambda: "override"}, ["override", "ann by GET", None, 1, "none", "none", ["write"]]),
        ({shared: lambda: ["all of it"]}, ["all of it"]),
    ):
        app.dependency_overrides = overrides
        [frame] = (await connected(app, **{"x-user": "ann"})).frames
        assert json.loads(frame) == TestClient(app).get("/", headers={"x-user": "ann"}).json() == told


@needs_scopes
@each_use
async def test_a_scope_of_fastapi_is_one_of_the_socket(use: Any) -> None:
    calls: list[str] = []

    async def opened(connection: HTTPConnection) -> AsyncIterator[None]:
        calls.append("opened")
        yield
        calls.append("closed")

    scoped = [fastapi.Depends(opened, scope="function"), fastapi.Depends(opened, scope="request")]
    app, router = FastAPI(), WebSocketRouter(dependencies=scoped)
    use(router)
    router.attach(app)
    await connected(app, **SENT)
    assert calls == ["opened"] * 2 + ["closed"] * 2


@needs_scopes
async def test_a_marker_of_fastapi_may_say_that_something_lives_for_one_message() -> None:
    calls: list[str] = []

    async def transaction() -> AsyncIterator[int]:
        calls.append("begin")
        yield len(calls)
        calls.append("commit")

    per_message: Any = fastapi.Depends(transaction, scope="message")  # type: ignore[arg-type]  # it takes any scope

    async def each(message: str, begun: Annotated[int, per_message]) -> int:
        calls.append(f"message {message}")
        return begun

    router = WebSocketRouter()
    router.listener("/")(each)
    peer = Peer("/").say("7", "8").leave()
    await peer.serve(router)
    assert peer.frames == ["1", "4"]
    assert calls == ["begin", "message 7", "commit", "begin", "message 8", "commit"]


@needs_scopes
def test_what_lives_longer_cannot_need_what_a_marker_of_fastapi_gives_one_message() -> None:
    per_message: Any = fastapi.Depends(settings, scope="message")  # type: ignore[arg-type]  # it takes any scope

    async def longer(value: Annotated[str, per_message]) -> str:
        return value

    async def each(
        message: dict[str, Any], value: Annotated[str, wsroute.Depends(longer, scope="connection")]
    ) -> None: ...

    with pytest.raises(DependencyScopeError):
        WebSocketRouter().listener("/")(each)
