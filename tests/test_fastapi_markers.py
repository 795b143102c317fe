"""Dependencies that HTTP routes of FastAPI and sockets share: FastAPI's markers here, and ours there.

The annotations here are evaluated by Python, not strings, since FastAPI can't find the names of a function in them.
"""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import anyio
import pytest
from pydantic import BaseModel
from starlette.requests import HTTPConnection, Request
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message

import wsroute
from tests.handshakes import Headers, endpoint_asking_for, faults, handshake
from wsroute import APIWebSocketRoute, InvalidParameterError, MisplacedMarkerError, WebSocketRouter
from wsroute.testing import Peer

pytest.importorskip("fastapi")

import fastapi  # not everyone who runs the tests has it
from fastapi import params, security


class User(BaseModel):
    name: str


def both(dependency: Callable[..., Any], got: list[Any]) -> fastapi.FastAPI:
    """An application with an HTTP route and a socket that depend on the same thing."""
    app = fastapi.FastAPI()

    async def over_http(value: Annotated[Any, fastapi.Depends(dependency)]) -> None:
        got.append(("http", value))

    async def over_socket(value: Annotated[Any, fastapi.Depends(dependency)]) -> None:
        got.append(("socket", value))

    app.get("/")(over_http)
    router = WebSocketRouter()
    router.websocket("/")(over_socket)
    router.attach(app)
    return app


# FastAPI's markers


def test_all_parameter_markers_of_fastapi_are_understood() -> None:
    got: list[Any] = []

    async def endpoint(
        room: Annotated[int, fastapi.Path(gt=0)],
        limit: Annotated[int, fastapi.Query(alias="n", le=9)],
        x_token: Annotated[str, fastapi.Header()],
        x_tags: Annotated[list[str], fastapi.Header(convert_underscores=False)],
        session: Annotated[str, fastapi.Cookie()],
        page: int = fastapi.Query(1),
        sort: Annotated[str | None, fastapi.Query()] = None,
    ) -> None:
        got.extend([room, limit, x_token, x_tags, session, page, sort])

    headers = [("x-token", "t"), ("x_tags", "a"), ("x_tags", "b"), ("cookie", "session=s")]
    handshake(APIWebSocketRoute("/{room}", endpoint), "/3?n=4", headers)

    assert got == [3, 4, "t", ["a", "b"], "s", 1, None]


def test_their_errors_are_those_of_our_markers() -> None:
    async def endpoint(
        limit: Annotated[int, fastapi.Query(alias="n", le=9)], x_token: Annotated[str, fastapi.Header()]
    ) -> None: ...

    peer = handshake(APIWebSocketRoute("/", endpoint), "/?n=10")

    assert faults(peer) == [("less_than_equal", ("query", "n")), ("missing", ("header", "x-token"))]


@pytest.mark.parametrize("marker", [fastapi.Body(), fastapi.Form(), fastapi.File(), fastapi.Body(embed=True)])
@pytest.mark.parametrize("in_annotated", [True, False])
def test_what_reads_a_body_is_refused(marker: Any, in_annotated: bool) -> None:
    endpoint = endpoint_asking_for(Annotated[str, marker]) if in_annotated else endpoint_asking_for(str, marker)

    with pytest.raises(InvalidParameterError) as error:
        APIWebSocketRoute("/", endpoint)

    assert error.value.problem == f"{type(marker).__name__}() reads a body"


@pytest.mark.parametrize("annotation", [fastapi.UploadFile, fastapi.UploadFile | None, list[fastapi.UploadFile]])
def test_an_uploaded_file_is_refused(annotation: Any) -> None:
    with pytest.raises(InvalidParameterError):
        APIWebSocketRoute("/", endpoint_asking_for(annotation)).bind()


def test_a_form_of_fastapi_is_refused() -> None:
    async def endpoint(form: Annotated[Any, fastapi.Depends(security.OAuth2PasswordRequestForm)]) -> None: ...

    with pytest.raises(InvalidParameterError, match=r"Form\(\) reads a body"):
        APIWebSocketRoute("/", endpoint)


@pytest.mark.anyio
async def test_background_tasks_of_fastapi_run() -> None:
    done: list[str] = []

    async def endpoint(tasks: fastapi.BackgroundTasks) -> None:
        tasks.add_task(done.append, "task")

    await Peer().serve(APIWebSocketRoute("/", endpoint))

    assert done == ["task"]


def test_security_of_fastapi_adds_scopes_for_its_security_scopes() -> None:
    got: list[list[str]] = []

    async def check(scopes: security.SecurityScopes) -> None:
        assert type(scopes) is security.SecurityScopes
        got.append(scopes.scopes)

    async def user(checked: Annotated[None, fastapi.Security(check, scopes=["b", "a"])]) -> None: ...

    async def endpoint(user: Annotated[None, wsroute.Security(user, scopes=["a"])]) -> None: ...

    handshake(APIWebSocketRoute("/", endpoint))

    assert got == [["a", "b"]]


# One dependency for both


def test_one_dependency_serves_a_route_and_a_socket() -> None:
    got: list[Any] = []

    async def settings() -> str:
        return "settings"

    async def user(
        settings: Annotated[str, fastapi.Depends(settings)], name: str, x_team: Annotated[str, fastapi.Header()]
    ) -> User:
        return User(name=f"{name} of {x_team}, {settings}")

    app = both(user, got)
    TestClient(app).get("/?name=ann", headers={"x-team": "blue"})
    handshake(app, "/?name=ann", [("x-team", "blue")])

    assert got == [("http", User(name="ann of blue, settings")), ("socket", User(name="ann of blue, settings"))]


def test_overrides_of_the_application_act_for_both() -> None:
    got: list[Any] = []

    async def settings() -> str:
        return "settings"

    async def user(settings: Annotated[str, fastapi.Depends(settings)]) -> str:
        return f"user, {settings}"

    app = both(user, got)
    for override in (lambda: "override", None):
        app.dependency_overrides = {} if override is None else {settings: override}
        TestClient(app).get("/")
        handshake(app)

    assert got == [
        ("http", "user, override"),
        ("socket", "user, override"),
        ("http", "user, settings"),
        ("socket", "user, settings"),
    ]


def test_a_dependency_may_ask_whether_it_serves_http() -> None:
    got: list[Any] = []

    async def world(request: Request = None) -> str:  # type: ignore[assignment]  # how people write it
        return "socket" if request is None else request.method

    app = both(world, got)
    TestClient(app).get("/")
    handshake(app)

    assert got == [("http", "GET"), ("socket", "socket")]


async def get(app: ASGIApp, path: str = "/") -> int:
    """The status of an HTTP request."""
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if message["type"] == "http.response.start" else [])

    scope = {**Peer(path).scope, "type": "http", "method": "GET", "scheme": "http", "extensions": {}}
    await app(scope, receive, send)
    return statuses[0]


@pytest.mark.anyio
@pytest.mark.skipif(not hasattr(params.Depends, "max_concurrency"), reason="this FastAPI has no limits")
async def test_a_limit_of_fastapi_is_one_for_routes_and_sockets() -> None:
    inside: list[str] = []
    connected, leave = anyio.Event(), anyio.Event()

    async def connection(request: HTTPConnection) -> AsyncIterator[str]:
        inside.append(request.scope["type"])
        yield request.scope["type"]
        inside.append("out")

    limited = fastapi.Depends(connection, max_concurrency=1)
    app = fastapi.FastAPI()

    @app.get("/")
    async def over_http(kind: Any = limited) -> None: ...

    async def over_socket(kind: Any = limited) -> None:
        connected.set()
        await leave.wait()

    router = WebSocketRouter()
    router.websocket("/")(over_socket)
    router.attach(app)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Peer().serve, app)
        await connected.wait()
        tasks.start_soon(get, app)
        await anyio.wait_all_tasks_blocked()
        assert inside == ["websocket"]
        leave.set()

    assert inside == ["websocket", "out", "http", "out"]


# Security schemes, compared with what they do in an HTTP route

SCHEMES: dict[str, tuple[Any, str, Headers]] = {
    "APIKeyQuery": (security.APIKeyQuery(name="key"), "/?key=secret", []),
    "APIKeyHeader": (security.APIKeyHeader(name="X-Key"), "/", [("x-key", "secret")]),
    "APIKeyCookie": (security.APIKeyCookie(name="key"), "/", [("cookie", "key=secret")]),
    "HTTPBasic": (security.HTTPBasic(), "/", [("authorization", "Basic YW5uOnNlY3JldA==")]),
    "HTTPBearer": (security.HTTPBearer(), "/", [("authorization", "Bearer secret")]),
    "HTTPDigest": (security.HTTPDigest(), "/", [("authorization", "Digest secret")]),
    "OAuth2PasswordBearer": (
        security.OAuth2PasswordBearer(tokenUrl="token"),
        "/",
        [("authorization", "Bearer secret")],
    ),
    "OAuth2AuthorizationCodeBearer": (
        security.OAuth2AuthorizationCodeBearer(authorizationUrl="authorize", tokenUrl="token"),
        "/",
        [("authorization", "Bearer secret")],
    ),
    "OpenIdConnect": (security.OpenIdConnect(openIdConnectUrl="connect"), "/", [("authorization", "Bearer secret")]),
}


class ThirdParty:
    """A scheme as other packages write them: for requests."""

    async def __call__(self, request: Request) -> str:
        if request.headers.get("x-token") != "secret":
            raise fastapi.HTTPException(403, "Wrong token")
        return f"{request.method} {request.url.path} {await request.body()!r}"


SCHEMES["a third party's"] = (ThirdParty(), "/", [("x-token", "secret")])


@pytest.mark.parametrize(("scheme", "target", "headers"), SCHEMES.values(), ids=SCHEMES.keys())
def test_a_scheme_gives_what_it_gives_a_route(scheme: Any, target: str, headers: Headers) -> None:
    got: list[Any] = []
    app = both(scheme, got)

    TestClient(app).get(target, headers=dict(headers))
    handshake(app, target, headers)

    (_, over_http), (_, over_socket) = got
    assert over_socket == over_http
    assert over_socket is not None


@pytest.mark.parametrize("scheme", [scheme for scheme, _, _ in SCHEMES.values()], ids=SCHEMES.keys())
def test_a_scheme_refuses_as_it_refuses_a_route(scheme: Any) -> None:
    got: list[Any] = []
    app = both(scheme, got)

    response = TestClient(app).get("/")
    denial = handshake(app).denial

    assert got == []
    assert denial is not None
    assert (denial.status, denial.json()) == (response.status_code, response.json())
    assert denial.header("www-authenticate") == response.headers.get_list("www-authenticate")
    assert denial.status in (401, 403)


@pytest.mark.parametrize("cls", [security.HTTPBearer, security.HTTPBasic])
def test_a_scheme_that_does_not_insist_gives_none(cls: Any) -> None:
    got: list[Any] = []

    handshake(both(cls(auto_error=False), got))

    assert got == [("socket", None)]


# Our markers in an HTTP route


def dependency() -> str:
    return "the dependency"


@pytest.mark.parametrize("register", ["get", "post", "websocket"])
@pytest.mark.parametrize("annotation", [str, User, str | None, list[str], Any, Request], ids=repr)
@pytest.mark.parametrize(
    "marker",
    [
        wsroute.Depends(dependency),
        wsroute.Security(dependency),
        wsroute.Path(),
        wsroute.Query(),
        wsroute.Header(),
        wsroute.Cookie(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("in_annotated", [True, False], ids=["in Annotated", "as the default"])
def test_fastapi_refuses_our_markers(marker: Any, annotation: Any, register: str, in_annotated: bool) -> None:
    endpoint = endpoint_asking_for(*((Annotated[annotation, marker],) if in_annotated else (annotation, marker)))

    with pytest.raises(MisplacedMarkerError):
        getattr(fastapi.FastAPI(), register)("/")(endpoint)


def test_fastapi_refuses_our_markers_in_a_dependency_of_its_own() -> None:
    async def nested(value: str = wsroute.Depends(dependency)) -> None: ...

    async def endpoint(value: Annotated[None, fastapi.Depends(nested)]) -> None: ...

    with pytest.raises(MisplacedMarkerError):
        fastapi.FastAPI().get("/")(endpoint)


@pytest.mark.parametrize("marker", [wsroute.Depends(dependency), wsroute.Security(dependency, scopes=["a"])])
def test_fastapi_refuses_our_markers_as_the_dependencies_of_a_route(marker: Any) -> None:
    async def endpoint() -> None: ...

    with pytest.raises((MisplacedMarkerError, AttributeError)):
        fastapi.FastAPI().get("/", dependencies=[marker])(endpoint)
