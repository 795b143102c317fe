"""Dependency injection for WebSocket routes, on Starlette and pydantic."""

import typing

from starlette.background import BackgroundTasks
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from wsroute.dependencies.analysis import get_dependant
from wsroute.dependencies.models import Dependant
from wsroute.dependencies.specials import SecurityScopes
from wsroute.exceptions import (
    AnnotationError,
    DependencyCycleError,
    DependencyError,
    DependencyScopeError,
    EndpointError,
    InterceptorError,
    InvalidParameterError,
    InvalidPathError,
    LifespanError,
    MisplacedMarkerError,
    MissingPathParameterError,
    PermissionAnswerError,
    ReplyError,
    RouterError,
    SwallowedExceptionError,
    UninjectedEndpointError,
    WebSocketPayloadValidationError,
    WebSocketRequestValidationError,
    WsRouteError,
)
from wsroute.param_functions import Cookie, Depends, Header, Inject, Injects, Path, Payload, Query, Security
from wsroute.routing.gateway import WebSocketGateway
from wsroute.routing.handler import websocket
from wsroute.routing.interceptors import BaseInterceptor
from wsroute.routing.permissions import AllowAny, BasePermission, DenyAll
from wsroute.routing.route import APIWebSocketRoute
from wsroute.routing.router import WebSocketRouter
from wsroute.routing.view import WebSocketView
from wsroute.wire.runtime import solve_dependencies

if typing.TYPE_CHECKING:
    from wsroute.messages.listener import WebSocketListener, on
    from wsroute.routing.limits import ConnectionLimit

__version__ = "0.1.0"

__all__ = [
    "APIWebSocketRoute",
    "AllowAny",
    "AnnotationError",
    "BackgroundTasks",
    "BaseInterceptor",
    "BasePermission",
    "ConnectionLimit",
    "Cookie",
    "DenyAll",
    "Dependant",
    "DependencyCycleError",
    "DependencyError",
    "DependencyScopeError",
    "Depends",
    "EndpointError",
    "HTTPConnection",
    "HTTPException",
    "Header",
    "Inject",
    "Injects",
    "InterceptorError",
    "InvalidParameterError",
    "InvalidPathError",
    "LifespanError",
    "MisplacedMarkerError",
    "MissingPathParameterError",
    "Path",
    "Payload",
    "PermissionAnswerError",
    "Query",
    "ReplyError",
    "Request",
    "RouterError",
    "Security",
    "SecurityScopes",
    "SwallowedExceptionError",
    "UninjectedEndpointError",
    "WebSocket",
    "WebSocketDisconnect",
    "WebSocketException",
    "WebSocketGateway",
    "WebSocketListener",
    "WebSocketPayloadValidationError",
    "WebSocketRequestValidationError",
    "WebSocketRouter",
    "WebSocketState",
    "WebSocketView",
    "WsRouteError",
    "get_dependant",
    "on",
    "solve_dependencies",
    "websocket",
]


if not typing.TYPE_CHECKING:  # pragma: no branch  # for a type checker, it would make any name right

    def __getattr__(name: str) -> typing.Any:
        # What most applications have no need of is loaded by those that have.
        if name == "ConnectionLimit":
            from wsroute.routing import limits as home
        elif name in ("WebSocketListener", "on"):
            from wsroute.messages import listener as home
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(home, name)
        return found
