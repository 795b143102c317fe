"""The public names as users write them: `mypy --strict` reads this file, and the declarations work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, assert_type

import pytest
from starlette.applications import Starlette
from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Scope

from tests.asgi import Peer
from wsroute import (
    APIWebSocketRoute,
    BackgroundTasks,
    Cookie,
    Dependant,
    Depends,
    Header,
    HTTPConnection,
    Path,
    Query,
    Request,
    Security,
    SecurityScopes,
    WebSocket,
    WebSocketRequestValidationError,
    WebSocketRouter,
    get_dependant,
    solve_dependencies,
)
from wsroute.dependencies.plan import Plan

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
