"""What of the connection itself a parameter asks for."""

from __future__ import annotations

from typing import Annotated, Any, NewType, Optional, Union

import pytest
from anyio.abc import TaskGroup
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket
from typing_extensions import TypeAliasType

from tests.handshakes import handshake
from wsroute import APIWebSocketRoute, Depends
from wsroute.dependencies.models import Special
from wsroute.dependencies.signature import EMPTY
from wsroute.dependencies.specials import Found, SecurityScopes, find


class Tagged(WebSocket):
    """A WebSocket of an application."""


class Signed(Request):
    """A request of an application."""


class Later(BackgroundTasks):
    """Background tasks of an application."""


#: What FastAPI's own looks like from here.
Foreign = type("SecurityScopes", (), {"__module__": "fastapi.security.oauth2"})
ForeignChild = type("Scopes", (Foreign,), {"__module__": "application"})
Impostor = type("SecurityScopes", (), {"__module__": "fastapi_lookalike"})


def look(annotation: Any, name: str = "x") -> Found | None:
    return find(name, annotation, annotation)


@pytest.mark.parametrize(
    ("annotation", "special", "cls"),
    [
        (WebSocket, Special.WEBSOCKET, WebSocket),
        (Tagged, Special.WEBSOCKET, Tagged),
        (HTTPConnection, Special.WEBSOCKET, HTTPConnection),
        (Request, Special.REQUEST, Request),
        (Signed, Special.REQUEST, Signed),
        (Response, Special.RESPONSE, Response),
        (JSONResponse, Special.RESPONSE, JSONResponse),
        (BackgroundTasks, Special.BACKGROUND_TASKS, BackgroundTasks),
        (Later, Special.BACKGROUND_TASKS, Later),
        (SecurityScopes, Special.SECURITY_SCOPES, SecurityScopes),
        (Foreign, Special.SECURITY_SCOPES, Foreign),
        (ForeignChild, Special.SECURITY_SCOPES, ForeignChild),
        (TaskGroup, Special.TASK_GROUP, TaskGroup),
        (NewType("Socket", WebSocket), Special.WEBSOCKET, WebSocket),
    ],
)
def test_the_class_of_an_annotation_decides(annotation: Any, special: Special, cls: type[Any]) -> None:
    assert look(annotation) == Found(special, cls, optional=False)


@pytest.mark.skipif(not hasattr(WebSocket, "__class_getitem__"), reason="this Starlette has no generic WebSocket")
def test_a_websocket_may_say_what_its_state_is() -> None:
    assert look(WebSocket[Any]) == Found(Special.WEBSOCKET, WebSocket, optional=False)


@pytest.mark.parametrize(
    ("annotation", "special"),
    [
        (WebSocket | None, Special.WEBSOCKET),
        (Optional[WebSocket], Special.WEBSOCKET),  # noqa: UP045  # as people write it
        (Union[None, WebSocket], Special.WEBSOCKET),  # noqa: UP007  # as people write it
        (Annotated[WebSocket, "documented"] | None, Special.WEBSOCKET),
        (TypeAliasType("Socket", WebSocket) | None, Special.WEBSOCKET),
        (Request | None, Special.REQUEST),
        (Response | None, Special.RESPONSE),
    ],
)
def test_it_may_also_take_none(annotation: Any, special: Special) -> None:
    found = look(annotation)

    assert found is not None
    assert (found.special, found.optional) == (special, True)


@pytest.mark.parametrize(
    "annotation",
    [int, str | None, WebSocket | Request, list[WebSocket], "WebSocket", None, BackgroundTask, Impostor, object],
)
def test_other_annotations_ask_for_nothing_of_the_connection(annotation: Any) -> None:
    assert look(annotation) is None


@pytest.mark.parametrize("name", ["websocket", "socket", "ws"])
def test_the_usual_names_of_a_socket_need_no_annotation(name: str) -> None:
    assert find(name, EMPTY, EMPTY) == Found(Special.WEBSOCKET, WebSocket, optional=False)
    assert find(name, int, int) is None


def test_no_other_name_means_anything() -> None:
    assert find("request", EMPTY, EMPTY) is None


def test_security_scopes_hold_a_list_and_the_same_as_a_string() -> None:
    scopes = SecurityScopes(["read", "write"])

    assert scopes.scopes == ["read", "write"]
    assert scopes.scope_str == "read write"


def test_security_scopes_without_any_are_empty() -> None:
    assert SecurityScopes().scopes == []
    assert SecurityScopes().scope_str == ""


# Through a whole route


def test_every_socket_of_a_connection_is_one_object() -> None:
    got: list[Any] = []

    async def dependency(ws, connection: HTTPConnection) -> list[Any]:  # type: ignore[no-untyped-def]  # what is tested
        return [ws, connection]

    async def endpoint(
        first: WebSocket, second: WebSocket | None, third: Tagged, others: Annotated[list[Any], Depends(dependency)]
    ) -> None:
        got.extend([first, second, third, *others])

    handshake(APIWebSocketRoute("/", endpoint))

    assert len(got) == 5
    assert all(socket is got[0] for socket in got)
    assert isinstance(got[0], Tagged)


def test_requests_of_one_class_are_one_object_for_a_connection() -> None:
    got: list[Any] = []

    async def dependency(request: Request) -> Request:
        return request

    async def endpoint(
        request: Request, same: Annotated[Request, Depends(dependency)], signed: Signed, absent: Request | None = None
    ) -> None:
        got.extend([request, same, signed, absent])

    handshake(APIWebSocketRoute("/", endpoint), "/?a=1")

    request, same, signed, absent = got
    assert request is same
    assert type(signed) is Signed
    assert absent is None
    assert (request.method, request.query_params["a"]) == ("GET", "1")


@pytest.mark.parametrize("accepts", [True, False])
def test_the_headers_and_cookies_of_the_response_go_out_with_the_answer(accepts: bool) -> None:
    async def dependency(response: Response) -> None:
        response.set_cookie("seen", "yes")

    async def endpoint(websocket: WebSocket, response: Response, nothing: Annotated[None, Depends(dependency)]) -> None:
        response.headers["x-room"] = "blue"
        if accepts:
            await websocket.accept()

    sent = handshake(APIWebSocketRoute("/", endpoint)).sent[0]

    assert sent["type"] == ("websocket.accept" if accepts else "websocket.http.response.start")
    assert (b"x-room", b"blue") in sent["headers"]
    assert [value.partition(b";")[0] for name, value in sent["headers"] if name == b"set-cookie"] == [b"seen=yes"]


def test_background_tasks_are_shared_and_run_after_the_endpoint() -> None:
    events: list[str] = []

    async def dependency(tasks: BackgroundTasks) -> None:
        tasks.add_task(events.append, "of the dependency")

    async def endpoint(tasks: BackgroundTasks, later: Later, nothing: Annotated[None, Depends(dependency)]) -> None:
        tasks.add_task(events.append, "of the endpoint")
        later.add_task(events.append, "of the subclass")
        events.append("endpoint")

    handshake(APIWebSocketRoute("/", endpoint))

    assert events == ["endpoint", "of the dependency", "of the endpoint", "of the subclass"]
