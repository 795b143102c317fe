"""Overrides in applications of FastAPI: of sockets, of HTTP routes, and of security schemes that both share."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import pytest

from tests.testing.test_overrides import endpoint, make_router, said_by, unknown
from tests.testing.test_overrides import get_user as get_user_of_socket
from wsroute import APIWebSocketRoute, Security, WebSocket, WebSocketRouter
from wsroute.testing import UnusedOverride, override

fastapi = pytest.importorskip("fastapi")

from fastapi import APIRouter, FastAPI  # noqa: E402  # only where it is there
from fastapi.security import HTTPBearer  # noqa: E402

pytestmark = pytest.mark.anyio


async def get_user() -> str:
    return "ann"


async def get_name(user: Annotated[str, fastapi.Depends(get_user)]) -> str:
    return f"name of {user}"


async def test_a_router_that_is_attached_uses_an_override_of_the_application() -> None:
    app = FastAPI()
    make_router().attach(app)
    before = app.dependency_overrides
    with override(app, get_user_of_socket, value="bob"):
        assert await said_by(app) == "name of bob"
    assert app.dependency_overrides is before
    assert await said_by(app) == "name of ann"


@pytest.mark.parametrize(
    ("dependency", "said"), [(get_user_of_socket, "was never used"), (endpoint, "no route of the FastAPI")]
)
async def test_an_override_in_vain_fails_in_an_application_of_fastapi_too(dependency: Any, said: str) -> None:
    app = FastAPI()
    make_router().attach(app)
    with pytest.raises(UnusedOverride, match=said):
        with override(app, dependency, value="bob"):
            pass


async def test_a_security_scheme_is_replaced() -> None:
    scheme = HTTPBearer()

    async def secret(websocket: WebSocket, token: Annotated[Any, Security(scheme)]) -> None:
        await websocket.accept()
        await websocket.send_text(token)

    router = WebSocketRouter(routes=[APIWebSocketRoute("/", secret)])
    with override(router, scheme, value="token"):
        assert await said_by(router) == "token"


def fastapi_app() -> FastAPI:
    app, router, inner, sub = FastAPI(), APIRouter(), APIRouter(), FastAPI()

    @app.get("/direct")
    async def direct(name: Annotated[str, fastapi.Depends(get_name)]) -> str:
        return name

    @router.get("/included")
    async def included(name: Annotated[str, fastapi.Depends(get_name)]) -> str:
        return name

    @inner.get("/deep")
    async def deep(user: Annotated[str, fastapi.Depends(unknown)]) -> str:
        return user

    @inner.websocket("/socket")
    async def socket(websocket: WebSocket, user: Annotated[str, fastapi.Depends(get_user)]) -> None:
        await websocket.accept()
        await websocket.send_text(user)
        await websocket.close()

    router.include_router(inner, prefix="/inner")
    app.include_router(router, prefix="/router")
    app.mount("/sub", sub)
    return app


@pytest.mark.parametrize("path", ["/direct", "/router/included"])
async def test_a_request_to_fastapi_uses_an_override(path: str) -> None:
    app = fastapi_app()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        with override(app, get_user, value="bob"):
            assert (await client.get(path)).json() == "name of bob"


async def test_a_socket_of_fastapi_uses_an_override() -> None:
    app = fastapi_app()
    with override(app, get_user, value="bob"):
        assert await said_by(app, "/router/inner/socket") == "bob"


@pytest.mark.parametrize("dependency", [get_name, unknown])
async def test_what_fastapis_routes_need_is_known(dependency: Any) -> None:
    with pytest.raises(UnusedOverride, match="was never used"):
        with override(fastapi_app(), dependency, value="x"):
            pass
