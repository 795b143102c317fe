"""What generated code calls of a connection, and resolving dependencies outside of a route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from wsroute import (
    APIWebSocketRoute,
    DenyAll,
    Depends,
    Header,
    InvalidParameterError,
    WebSocketRequestValidationError,
    get_dependant,
    solve_dependencies,
)
from wsroute.testing import Peer
from wsroute.wire.runtime import handshake_response
from wsroute.wire.socket import Socket

pytestmark = pytest.mark.anyio


def connection(cls: type[WebSocket] = WebSocket, **headers: str) -> WebSocket:
    peer = Peer(headers={name.replace("_", "-"): value for name, value in headers.items()})
    return cls(peer.scope, peer.receive, peer.send)


def get_name(x_name: Annotated[str, Header()] = "nobody") -> str:
    return x_name


async def greet(name: Annotated[str, Depends(get_name)], request: Request, response: Response) -> str:
    return f"{name} {request.method} {response.status_code}"


async def test_arguments_are_resolved_without_calling() -> None:
    dependant = get_dependant(path="/", call=greet)

    async with solve_dependencies(connection(x_name="ann"), dependant) as values:
        assert await dependant.call(**values) == "ann GET 200"
        assert values["name"] == "ann"


async def test_what_was_opened_is_closed_at_the_end() -> None:
    log: list[str] = []

    async def session() -> AsyncIterator[str]:
        log.append("opened")
        yield "session"
        log.append("closed")

    async def use(session: Annotated[str, Depends(session)]) -> None: ...

    async with solve_dependencies(connection(), get_dependant(path="/", call=use)) as values:
        assert (values, log) == ({"session": "session"}, ["opened"])
    assert log == ["opened", "closed"]


async def test_overrides_apply_while_they_are_set() -> None:
    dependant = get_dependant(path="/", call=greet)
    provider = SimpleNamespace(dependency_overrides={get_name: lambda: "bob"})

    async with solve_dependencies(connection(), dependant, dependency_overrides_provider=provider) as values:
        assert values["name"] == "bob"

    provider.dependency_overrides.clear()
    async with solve_dependencies(connection(), dependant, dependency_overrides_provider=provider) as values:
        assert values["name"] == "nobody"


async def test_a_handshake_that_lacks_something_is_an_error() -> None:
    async def use(x_token: Annotated[str, Header()]) -> None: ...

    with pytest.raises(WebSocketRequestValidationError) as caught:
        async with solve_dependencies(connection(), get_dependant(path="/", call=use)):
            raise AssertionError("resolved")
    assert [error["loc"] for error in caught.value.errors()] == [("header", "x-token")]


def test_a_socket_has_one_response_for_its_handshake() -> None:
    socket = connection(Socket)

    assert handshake_response(socket) is handshake_response(socket)


@pytest.mark.parametrize("level", [{"permissions": [DenyAll]}, {"dependencies": [Depends(get_name)]}])
async def test_the_tree_of_a_route_is_refused_rather_than_resolved_without_what_its_levels_run(level: Any) -> None:
    route = APIWebSocketRoute("/", greet, **level)

    with pytest.raises(InvalidParameterError, match="belongs to the route's own connections"):
        async with solve_dependencies(connection(), route.dependant):
            pytest.fail("nothing was resolved")
