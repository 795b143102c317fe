"""The public surface: what the package hands on, and that it explains itself."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.resources import files
from types import ModuleType
from typing import Any

import pytest
import starlette.background
import starlette.exceptions
import starlette.requests
import starlette.websockets

import wsroute
import wsroute.testing
from wsroute import exceptions, security

#: Section by section, as the documentation lists it.
SURFACE = {
    "routing": {"APIWebSocketRoute", "WebSocketRouter"},
    "levels": {
        "AllowAny",
        "BaseInterceptor",
        "BasePermission",
        "ConnectionLimit",
        "DenyAll",
        "Inject",
        "Injects",
        "WebSocketGateway",
        "WebSocketView",
        "websocket",
    },
    "markers": {"Depends", "Security", "SecurityScopes", "Path", "Query", "Header", "Cookie"},
    "messages": {"Payload", "WebSocketListener", "on"},
    "for those who build on the package": {"Dependant", "get_dependant", "solve_dependencies"},
    "errors": {
        name for name, item in vars(exceptions).items() if isinstance(item, type) and issubclass(item, Exception)
    },
}
#: Handed on as it is.
STARLETTES: dict[str, ModuleType] = {
    "BackgroundTasks": starlette.background,
    "HTTPConnection": starlette.requests,
    "HTTPException": starlette.exceptions,
    "Request": starlette.requests,
    "WebSocket": starlette.websockets,
    "WebSocketDisconnect": starlette.websockets,
    "WebSocketException": starlette.exceptions,
    "WebSocketState": starlette.websockets,
}
OWN = sorted(name for names in SURFACE.values() for name in names)


def public_members(item: Any) -> list[tuple[str, Any]]:
    """What a class of the package offers itself, its inherited members left out."""
    if not isinstance(item, type):
        return []
    members = [(name, member) for name, member in vars(item).items() if not name.startswith("_")]
    return [(name, member) for name, member in members if callable(member) or isinstance(member, property)]


def test_the_surface_is_complete_and_sorted() -> None:
    assert wsroute.__all__ == sorted([*OWN, *STARLETTES])


def test_nothing_else_is_public() -> None:
    for name in wsroute.__all__:  # what is loaded when it is asked for
        getattr(wsroute, name)
    modules = {name for name, item in vars(wsroute).items() if isinstance(item, ModuleType)}
    public = {name for name in vars(wsroute) if not name.startswith("_")}
    assert public - modules == set(wsroute.__all__)


@pytest.mark.parametrize("name", STARLETTES)
def test_what_is_starlettes_is_the_same_object(name: str) -> None:
    assert getattr(wsroute, name) is getattr(STARLETTES[name], name)


@pytest.mark.parametrize("name", OWN)
def test_what_is_public_explains_itself(name: str) -> None:
    item = getattr(wsroute, name)
    undocumented = [member_name for member_name, member in public_members(item) if not inspect.getdoc(member)]

    assert vars(item).get("__doc__") if isinstance(item, type) else item.__doc__
    assert undocumented == []


@pytest.mark.parametrize("name", wsroute.testing.__all__)
def test_what_the_kit_offers_explains_itself(name: str) -> None:
    item = getattr(wsroute.testing, name)
    undocumented = [member_name for member_name, member in public_members(item) if not inspect.getdoc(member)]

    assert vars(item).get("__doc__") if isinstance(item, type) else item.__doc__
    assert undocumented == []


def test_the_names_of_the_kit_are_complete_and_sorted() -> None:
    modules = {name for name, item in vars(wsroute.testing).items() if isinstance(item, ModuleType)}
    public = {name for name in vars(wsroute.testing) if not name.startswith("_")}
    assert wsroute.testing.__all__ == sorted(public - modules)


@pytest.mark.parametrize("name", ["connect", "lifespan", "override", "LiveServer"])
def test_every_argument_of_the_kit_is_explained(name: str) -> None:
    assert unexplained(getattr(wsroute.testing, name)) == []


@pytest.mark.parametrize(
    "name",
    [
        *("Depends", "Security", "Inject", "Injects", "Path", "Query", "Header", "Cookie", "Payload"),
        *("get_dependant", "on", "websocket"),
    ],
)
def test_every_argument_of_a_function_is_explained(name: str) -> None:
    function = getattr(wsroute, name)
    assert unexplained(function) == []


@pytest.mark.parametrize("name", ["APIWebSocketRoute", "WebSocketRouter", "WebSocketGateway"])
def test_every_argument_of_a_class_is_explained(name: str) -> None:
    assert unexplained(getattr(wsroute, name)) == []


def unexplained(item: Any) -> list[str]:
    """The arguments that the documentation leaves out."""
    documentation = inspect.getdoc(item) or ""
    return [name for name in inspect.signature(item).parameters if f"\n    {name}: " not in documentation]


@pytest.mark.parametrize("name", sorted(SURFACE["errors"]))
def test_every_error_is_an_error_of_the_package(name: str) -> None:
    error = getattr(wsroute, name)
    assert issubclass(error, wsroute.WsRouteError)


def test_the_package_is_typed() -> None:
    assert files(wsroute).joinpath("py.typed").is_file()


# The room for security, which is imported by its own name

SECURITY = sorted(security.__all__)


def test_the_room_for_security_is_complete_and_sorted() -> None:
    modules = {name for name, item in vars(security).items() if isinstance(item, ModuleType)}
    public = {name for name in vars(security) if not name.startswith("_")}
    assert security.__all__ == sorted(public - modules)


@pytest.mark.parametrize("name", SECURITY)
def test_what_is_for_security_explains_itself(name: str) -> None:
    item = getattr(security, name)
    undocumented = [member_name for member_name, member in public_members(item) if not inspect.getdoc(member)]

    assert vars(item).get("__doc__") if isinstance(item, type) else item.__doc__
    assert undocumented == []


@pytest.mark.parametrize(
    "name",
    [name for name in SECURITY if name not in ("SecurityScheme", "TicketStore") and not name.endswith("Model")],
)
def test_every_argument_of_what_is_for_security_is_explained(name: str) -> None:
    assert unexplained(getattr(security, name)) == []


def test_the_room_for_security_is_loaded_by_those_alone_who_import_it() -> None:
    code = "import sys, wsroute; print([name for name in sys.modules if name.startswith('wsroute.security')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
