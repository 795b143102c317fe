"""The public names as users write them: `mypy --strict` reads this file, and the declarations work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, assert_type

import pytest
from starlette.applications import Starlette
from starlette.datastructures import URLPath
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from wsroute import (
    AllowAny,
    APIWebSocketRoute,
    BackgroundTasks,
    BaseInterceptor,
    BasePermission,
    Cookie,
    DenyAll,
    Dependant,
    Depends,
    Header,
    HTTPConnection,
    Inject,
    Injects,
    Path,
    Query,
    Request,
    Security,
    SecurityScopes,
    WebSocket,
    WebSocketGateway,
    WebSocketRequestValidationError,
    WebSocketRouter,
    WebSocketView,
    get_dependant,
    solve_dependencies,
    websocket,
)
from wsroute.dependencies.plan import Plan
from wsroute.routing.handler import WebSocketHandler
from wsroute.testing import Peer

pytestmark = pytest.mark.anyio


@dataclass
class Settings:
    limit: Annotated[int, Query(ge=1)] = 10


class User:
    def __init__(self, token: str = Header("none")) -> None:
        self.token = token


async def session(settings: Annotated[Settings, Depends()]) -> AsyncIterator[str]:
    yield f"session of {settings.limit}"


def require_user(user: User = Depends(User), scopes: SecurityScopes = SecurityScopes()) -> User:
    return user


router = WebSocketRouter("/{shop}", dependencies=[Security(require_user, scopes=["chat"])])


@router.websocket("/rooms/{room}", name="room", dependencies=[Depends(require_user)], reject="accept")
async def room(
    websocket: WebSocket,
    room: Annotated[int, Path(gt=0)],
    tasks: BackgroundTasks,
    request: Request,
    connection: HTTPConnection,
    session: Annotated[str, Depends(session, scope="function", max_concurrency=3)],
    tags: Annotated[list[str] | None, Query(alias="tag", max_length=3)] = None,
    seen: Annotated[str | None, Cookie()] = None,
    agent: str = Header("unknown", alias="user-agent", convert_underscores=False),
    user: User = Depends(User, use_cache=False, threadpool=False),
) -> None:
    assert_type(websocket, WebSocket)
    assert_type(room, int)
    assert_type(session, str)
    assert_type(tags, list[str] | None)
    assert_type(user, User)
    await websocket.accept()
    await websocket.send_json([room, session, tags, seen, agent, user.token])


async def plain(websocket: WebSocket) -> str:
    return "the decorator keeps the type of what it decorates"


class HasToken(BasePermission):
    message = {"needs": "token"}

    def __init__(self, token: str = "none") -> None:
        self.token = token

    async def has_permission(self, websocket: WebSocket, route: BaseRoute, user: User) -> bool:
        return user.token == self.token


class Timing(BaseInterceptor):
    async def intercept(self, websocket: WebSocket, call_next: Callable[[], Awaitable[None]], user: User) -> None:
        await call_next()


class Locale(BaseInterceptor):
    async def intercept(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["locale"] = "en"


class Passing:
    def __init__(self, app: ASGIApp, times: int = 1) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


async def no_number(websocket: WebSocket, exc: ValueError) -> Response:
    return JSONResponse({"detail": str(exc)}, 400)


@websocket(
    "/{number: int}",
    name="one",
    dependencies=[Depends(require_user), {"limit": lambda: 3}],
    middleware=[Passing, Middleware(Passing, times=2)],
    interceptors=[Timing, Locale()],
    permissions=[AllowAny & ~DenyAll | HasToken("x"), ~DenyAll()],
    exception_handlers={ValueError: no_number, 404: no_number},
)
async def handler(websocket: WebSocket, number: int, user: User, limit: int = Injects()) -> None:
    assert_type(limit, int)
    await websocket.accept()
    await websocket.send_json([number, user.token, limit])


class View(WebSocketView):
    path = "/view"
    dependencies = {"limit": Inject(lambda: 4, use_cache=False)}
    permissions = [HasToken("t"), HasToken("t") | AllowAny]
    interceptors = [Timing]
    middleware = [Middleware(Passing)]
    exception_handlers = {ValueError: no_number}

    def __init__(self, user: User, limit: Annotated[int, Injects()]) -> None:
        self.user = user
        self.limit = limit

    @websocket("/one")
    async def one(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json([self.user.token, self.limit])

    @websocket("/static")
    @staticmethod
    async def static(websocket: WebSocket) -> None:
        await websocket.accept()


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[Mapping[str, Any]]:
    yield {"started": True}


async def test_the_endpoint_gets_what_its_signature_says() -> None:
    peer = Peer("/acme/rooms/7?tag=a&tag=b", headers={"cookie": "seen=yes", "token": "t", "user-agent": "me"})
    await peer.serve(router)
    assert peer.frames == ['[7,"session of 10",["a","b"],"yes","me","t"]']


async def test_a_decorated_function_keeps_its_type() -> None:
    peer = Peer()
    decorated = WebSocketRouter().websocket("/")(plain)
    said = await decorated(WebSocket(peer.scope, peer.receive, peer.send))
    assert_type(said, str)
    assert decorated is plain


def test_a_route_has_typed_attributes() -> None:
    route = APIWebSocketRoute("/items", plain, name="items", dependencies=[Depends(require_user)])

    assert_type(route.path, str)
    assert_type(route.name, str)
    assert_type(route.dependant, Dependant)
    assert_type(route.plan, Plan)
    assert_type(route.plan.explain(), str)
    assert_type(route.source, str)
    assert_type(route.matches({"type": "http"}), tuple[Match, Scope])
    as_route: BaseRoute = route
    as_application: ASGIApp = route
    assert as_route is as_application


def test_a_router_has_typed_attributes() -> None:
    outer = WebSocketRouter(routes=[router], lifespan=lifespan, reject="close")
    outer.include_router(router, prefix="/again", dependencies=[Depends(require_user)])
    outer.add_api_websocket_route("/plain", plain, name="plain")
    outer.dependency_overrides[require_user] = lambda: User("test")

    assert_type(outer.routes, tuple[BaseRoute, ...])
    assert_type(outer.url_path_for("plain"), URLPath)
    app = Starlette(routes=[outer])
    outer.attach(app)
    as_route: BaseRoute = outer
    as_application: ASGIApp = outer
    assert as_route is as_application


async def test_dependencies_are_resolved_outside_of_a_route() -> None:
    dependant = get_dependant(path="/", call=session)
    assert_type(dependant, Dependant)
    peer = Peer("/?limit=3")
    async with solve_dependencies(WebSocket(peer.scope, peer.receive, peer.send), dependant) as values:
        assert_type(values, dict[str, Any])
        assert values == {"settings": Settings(3)}


def test_errors_are_typed() -> None:
    assert_type(WebSocketRequestValidationError([]).errors(), Sequence[dict[str, Any]])


async def test_levels_are_written_in_every_style() -> None:
    levels = WebSocketRouter("/levels", dependencies={"user": Inject(User)}, permissions=[~DenyAll], name="levels")
    gateway = WebSocketGateway("/ws", handler=handler, name="gw", permissions=(AllowAny,), interceptors=[Locale])
    of_router = WebSocketRouter(routes=[gateway, WebSocketGateway(handler=View)])
    levels.include_router(of_router, permissions=[AllowAny()], exception_handlers={4000: no_number})

    peer = Peer("/levels/ws/7", headers={"token": "x"})
    await peer.serve(levels)
    assert peer.frames == ['[7,"x",3]']
    peer = Peer("/levels/view/one", headers={"token": "t"})
    await peer.serve(levels)
    assert peer.frames == ['["t",4]']


def test_gateways_and_handlers_have_typed_attributes() -> None:
    gateway = WebSocketGateway("/ws", handler=handler)
    assert_type(handler, WebSocketHandler)
    assert_type(handler.path, str)
    assert_type(handler.name, str | None)
    assert_type(gateway.routes, tuple[APIWebSocketRoute, ...])
    assert_type(gateway.url_path_for("one", number=1), URLPath)
    as_route: WebSocketRoute = gateway
    as_application: ASGIApp = gateway
    assert as_route is as_application
