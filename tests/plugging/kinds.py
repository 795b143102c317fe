"""Each kind of route, below the same levels: what is plugged in.

The annotations here are evaluated by Python, not strings, since older releases of FastAPI don't find the names in them.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, NamedTuple

from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute

from tests.frameworks import HAS_FASTAPI
from wsroute import (
    BasePermission,
    Depends,
    Header,
    HTTPException,
    WebSocket,
    WebSocketGateway,
    WebSocketListener,
    WebSocketRouter,
    WebSocketView,
    on,
    websocket,
)

if HAS_FASTAPI:
    from fastapi.security import OAuth2PasswordBearer
else:
    from wsroute.security import OAuth2PasswordBearer  # type: ignore[assignment]  # its namesake

SCHEME = OAuth2PasswordBearer("token")


class Trouble(Exception):
    """What an endpoint raises when it is told to."""


async def get_value() -> str:
    return "a value"


async def open_pool() -> AsyncIterator[str]:
    yield "a pool"


async def get_facts(
    connection: HTTPConnection,
    room: int,
    value: Annotated[str, Depends(get_value)],
    pool: Annotated[str, Depends(open_pool, scope="app")],
    trouble: bool = False,
) -> dict[str, Any]:
    if trouble:
        raise Trouble(f"in room {room}")
    state = getattr(connection.state, "of_lifespan", None)
    return {"room": room, "value": value, "pool": pool, "state": state}


Facts = Annotated[dict[str, Any], Depends(get_facts)]
#: What a client of room 7 is told.
EXPECTED = {"room": 7, "value": "a value", "pool": "a pool", "state": "of the lifespan"}


async def endpoint(websocket: WebSocket, facts: Facts) -> None:
    await websocket.accept()
    await websocket.send_json(facts)


async def listener(message: dict[str, Any], facts: Facts) -> dict[str, Any]:
    return facts


async def stream(facts: Facts) -> AsyncIterator[dict[str, Any]]:
    yield facts


class Room(WebSocketListener):
    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    @on
    async def said(self, message: dict[str, Any]) -> dict[str, Any]:
        return self.facts


@websocket("/{room}")
async def handler(socket: WebSocket, facts: Facts) -> None:
    await endpoint(socket, facts)


class Desk(WebSocketView):
    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    @websocket("/{room}")
    async def tell(self, socket: WebSocket) -> None:
        await endpoint(socket, self.facts)


PATH = "/rooms/{room}"

#: How each kind is declared in a router.
KINDS: dict[str, Callable[[WebSocketRouter], object]] = {
    "endpoint": lambda router: router.websocket(PATH)(endpoint),
    "listener": lambda router: router.listener(PATH)(listener),
    "listener class": lambda router: router.websocket(PATH)(Room),
    "stream": lambda router: router.stream(PATH)(stream),
    "gateway": lambda router: router.add_route(WebSocketGateway("/rooms", handler=handler)),
    "view": lambda router: router.add_route(WebSocketGateway("/rooms", handler=Desk)),
}
GATEWAYS: dict[str, Any] = {"gateway": handler, "view": Desk}


async def note_application(connection: HTTPConnection) -> None:
    connection.state.calls.append("application")


async def note_router(connection: HTTPConnection) -> None:
    connection.state.calls.append("router")


async def authenticate(user: Annotated[str | None, Header()] = None) -> None:
    if user is None:
        raise HTTPException(401, "Who are you?", {"WWW-Authenticate": "Name"})


class IsAnn(BasePermission):
    message = "Ann alone may"

    async def has_permission(self, websocket: WebSocket, route: object) -> bool:
        return websocket.headers.get("user") != "eve"


#: What is above each route: each refuses somebody.
LEVEL: dict[str, Any] = {
    "dependencies": [Depends(note_router), Depends(authenticate), Depends(SCHEME)],
    "permissions": [IsAnn],
}


class Plug(NamedTuple):
    """What is plugged in: a router with one route, or that route; and the lifespan that they need."""

    router: WebSocketRouter
    route: BaseRoute
    lifespan: Callable[[Any], AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    yield {"of_lifespan": "of the lifespan", "calls": []}


def plug(kind: str) -> Plug:
    """A router with one route of a kind, and that route by itself, each below the same level."""
    router = WebSocketRouter(lifespan=lifespan, **LEVEL)
    KINDS[kind](router)
    route: BaseRoute = router.routes[0]
    if kind in GATEWAYS:
        route = WebSocketGateway("/rooms", handler=GATEWAYS[kind], **LEVEL)
    return Plug(router, route, router.lifespan)
