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
