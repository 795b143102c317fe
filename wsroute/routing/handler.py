"""Handlers: endpoints that describe themselves, for gateways and views to mount."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.routing import BaseRoute

from wsroute.dependencies.analysis import Analysis, Undecided
from wsroute.dependencies.callables import describe, show
from wsroute.dependencies.models import Special
from wsroute.dependencies.providers import Providers
from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import EndpointError, Location
from wsroute.routing.endpoint import InjectedEndpoint
from wsroute.routing.layers import Dependencies, ExceptionHandlers, Layer, check_layer, read_layer
from wsroute.routing.origins import Origins
from wsroute.routing.paths import read_gateway_path

if TYPE_CHECKING:
    from wsroute.routing.limits import MaxConnections


class WebSocketHandler(InjectedEndpoint):
    """An endpoint with what it adds as a level; `websocket` makes it. Immutable, so that it can be mounted many times.

    Attributes:
        path: The path below that of the gateway or view.
        name: The name that it was given, or `None`.
        fn: The function.
        dependencies: Markers of dependencies that run for their effect.
        middleware, interceptors, permissions, exception_handlers: As they were declared.
        layer: All of this as a level.
        is_method: Whether it is a method of a view.
    """

    path: str
    name: str | None
    fn: Callable[..., Any]
    dependencies: tuple[Any, ...]
    middleware: tuple[Any, ...]
    interceptors: tuple[Any, ...]
    permissions: tuple[Any, ...]
    exception_handlers: Mapping[Any, Any]
    layer: Layer
    is_method: bool

    def __init__(self, fn: Callable[..., Any], layer: Layer, name: str | None, *, is_method: bool) -> None:
        super().__init__(fn)
        handlers = {} if layer.handlers is None else {**layer.handlers.classes, **layer.handlers.codes}
        vars(self).update(
            path=layer.path,
            name=name,
            fn=fn,
            dependencies=layer.dependencies,
            middleware=layer.middleware,
            interceptors=layer.interceptors,
            permissions=layer.permissions,
            exception_handlers=handlers,
            layer=layer,
            is_method=is_method,
        )

    def __setattr__(self, name: str, value: object) -> None:
        if "layer" in vars(self):
            raise _immutable(self)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> NoReturn:
        raise _immutable(self)

    def __repr__(self) -> str:
        return f"<@websocket({self.path!r}) {describe(self.fn)}>"


def websocket(
    path: str | None = None,
    *,
    name: str | None = None,
    dependencies: Dependencies | None = None,
    middleware: Sequence[Any] | None = None,
    interceptors: Sequence[Any] | None = None,
    permissions: Sequence[Any] | None = None,
    exception_handlers: ExceptionHandlers | None = None,
    allowed_origins: Origins | None = None,
    max_connections: MaxConnections | None = None,
) -> Callable[[Callable[..., Any]], WebSocketHandler]:
    """Make the decorated function a handler, for a `WebSocketGateway` or a `WebSocketView` to mount.

    Args:
        path: The path below that of the gateway and the view. Default `"/"`: the same.
        name: The name for `url_path_for`. Default: the name of the function.
        dependencies: Dependencies that run for their effect, or what is provided by name, or both; for this handler, as
            in `APIWebSocketRoute`.
        middleware: ASGI middleware around its connections, inside of that of gateway and view.
        interceptors: What runs around the rest of a connection, inside of those of gateway and view.
        permissions: What is asked after those of gateway and view.
        exception_handlers: Handlers that are asked before those of gateway and view.
        allowed_origins: The pages that may open a connection, in place of those that gateway and view name.
        max_connections: How many may be open at once, of those that gateway and view allow.

    Raises:
        DependencyError: The declaration cannot work.
    """
    if not isinstance(path, str | None):
        raise EndpointError(
            Location(chain=("@websocket",)),
            problem=f"@websocket is given {show(path)} for a path",
            expected="parentheses: @websocket(), or a path in them",
            remedy="write @websocket() above the function",
        )
    location = Location(chain=(f"@websocket({show(path)})" if path else "@websocket()",))
    layer = read_layer(
        location,
        path=read_gateway_path(path, location),
        dependencies=dependencies,
        middleware=middleware,
        interceptors=interceptors,
        permissions=permissions,
        exception_handlers=exception_handlers,
        allowed_origins=allowed_origins,
        max_connections=max_connections,
        names=LocalNames(sys._getframe(1)),
        is_gateway=True,
    )

    def declare(fn: Callable[..., Any]) -> WebSocketHandler:
        function = fn.__func__ if isinstance(fn, staticmethod) else fn
        is_method = function is fn and _is_in_class(fn) and not inspect.ismethod(fn)
        if not callable(function) or isinstance(function, (InjectedEndpoint, type, classmethod)):
            raise EndpointError(
                location,
                problem=f"@websocket() decorates {show(fn)}",
                expected="an async def function, or a method of a view",
                remedy="put it right above the function",
            )
        try:
            check_layer(layer, location)
            analysis = Analysis(layer.path, layer.names, final=False, providers=Providers((layer.provides,)))
            # What a view gives to its methods is that view's to say.
            analysis.endpoint(function, given=(Special.NONE,) if is_method else ())
        except Undecided:
            pass
        finally:
            layer.names.release()
        return WebSocketHandler(function, layer, name, is_method=is_method)

    return declare


def handler_of(endpoint: Any, location: Location) -> WebSocketHandler:
    """The handler that a gateway mounts; a plain function adds nothing.

    Raises:
        EndpointError: It is none, or a method that needs its view.
    """
    if not isinstance(endpoint, WebSocketHandler):
        if not callable(endpoint) or isinstance(endpoint, (InjectedEndpoint, type, BaseRoute)):
            raise EndpointError(
                location,
                problem=f"handler= is {show(endpoint)}",
                expected="a function that @websocket() decorates, a view class, or an async def function",
                remedy=_remedy(endpoint),
            )
        return WebSocketHandler(endpoint, Layer(path="/", is_gateway=True), None, is_method=False)
    if endpoint.is_method:
        raise EndpointError(
            location.inside(describe(endpoint.fn)),
            problem="handler= is a method of a class, and there is no instance to call it on",
            expected="the view that it belongs to, or a function",
            remedy="hand over the subclass of WebSocketView, or decorate a @staticmethod",
        )
    return endpoint


def _remedy(endpoint: Any) -> str:
    cls = endpoint if isinstance(endpoint, type) else type(endpoint)
    if any(isinstance(item, WebSocketHandler) for item in vars(cls).values()):
        return f"hand over the class {cls.__name__}, derived from WebSocketView"
    return "write WebSocketGateway(path, handler=your_handler)"


def _is_in_class(fn: Any) -> bool:
    return "." in getattr(fn, "__qualname__", "").rpartition("<locals>.")[2]


def _immutable(handler: WebSocketHandler) -> AttributeError:
    return AttributeError(f"{handler!r} cannot be changed: it may be mounted in many places. Declare another handler.")
