"""Dependency injection for WebSocket routes, on Starlette and pydantic."""

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
    InvalidParameterError,
    InvalidPathError,
    MisplacedMarkerError,
    MissingPathParameterError,
    RouterError,
    SwallowedExceptionError,
    UninjectedEndpointError,
    WebSocketRequestValidationError,
    WsRouteError,
)
from wsroute.param_functions import Cookie, Depends, Header, Path, Query, Security
from wsroute.routing.route import APIWebSocketRoute
from wsroute.routing.router import WebSocketRouter
from wsroute.wire.runtime import solve_dependencies

__version__ = "0.1.0"

__all__ = [
    "APIWebSocketRoute",
    "AnnotationError",
    "BackgroundTasks",
    "Cookie",
    "Dependant",
    "DependencyCycleError",
    "DependencyError",
    "DependencyScopeError",
    "Depends",
    "EndpointError",
    "HTTPConnection",
    "HTTPException",
    "Header",
    "InvalidParameterError",
    "InvalidPathError",
    "MisplacedMarkerError",
    "MissingPathParameterError",
    "Path",
    "Query",
    "Request",
    "RouterError",
    "Security",
    "SecurityScopes",
    "SwallowedExceptionError",
    "UninjectedEndpointError",
    "WebSocket",
    "WebSocketDisconnect",
    "WebSocketException",
    "WebSocketRequestValidationError",
    "WebSocketRouter",
    "WebSocketState",
    "WsRouteError",
    "get_dependant",
    "solve_dependencies",
]
