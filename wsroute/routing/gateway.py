"""Gateways: where a handler or a view is mounted."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.routing import WebSocketRoute

from wsroute.dependencies.callables import describe, short_name, show
from wsroute.dependencies.markers import DependsMarker
from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import InvalidPathError, Location
from wsroute.routing.endpoint import InjectedEndpoint
from wsroute.routing.handler import handler_of
from wsroute.routing.layers import Dependencies, ExceptionHandlers, Layer, check_layer, fold, read_layer
from wsroute.routing.listeners import layers_of, read_listener
from wsroute.routing.origins import Origins
from wsroute.routing.paths import compile_route_path, read_gateway_path
from wsroute.routing.route import APIWebSocketRoute
from wsroute.routing.table import RouteTable
from wsroute.routing.view import WebSocketView, handlers_of, layer_of

if TYPE_CHECKING:
    from wsroute.dependencies.conversations import Listener
    from wsroute.routing.limits import MaxConnections


class WebSocketGateway(RouteTable, WebSocketRoute):
    """Mounts a handler or a view at a path, as a level of its own.

    It is a route: used in `Starlette(routes=[...])`, in `WebSocketRouter(routes=[...])`, or alone as an ASGI
    application. The handler stays as it is, and can be mounted in many places.

    Args:
        path: The path, before that of the view and the handler; slashes are cleaned where they join, and `{age: int}`
            means `{age:int}`. Default `"/"`.
        handler: A function that `@websocket()` decorates, a subclass of `WebSocketView` or of `WebSocketListener`, or a
            plain `async def`.
        name: The name for `url_path_for`: of a handler that has a name of its own, and of each handler of a view,
            `"gateway:handler"`. Default: the name of the handler.
        parent: Who owns the gateway; kept as it is, for those who look at it.
        dependencies: Dependencies that run for their effect, or what is provided by name, or both, as in
            `APIWebSocketRoute`.
        middleware: ASGI middleware around its connections.
        interceptors: What runs around the rest of a connection: see `BaseInterceptor`.
        permissions: What is asked before the dependencies: see `BasePermission`.
        exception_handlers: Handlers `handler(websocket, exc)` by class of the exception, HTTP status or close code.
        is_from_router: Whether `path` is the whole path already, so that that of the handler is left out.
        allowed_origins: The pages that may open a connection, as in `APIWebSocketRoute`.
        max_connections: How many may be open at once, as in `APIWebSocketRoute`.

    Attributes:
        path: The whole path; of a view, the part that its handlers share.
        handler, name, parent: As they were given; without a name, that of the handler.
        dependencies, middleware, interceptors, permissions, exception_handlers: As they were declared, in copies.
        routes: One `APIWebSocketRoute` for each handler.

    Raises:
        DependencyError: The declaration cannot work.
    """

    def __init__(
        self,
        path: str | None = None,
        *,
        handler: Any,
        name: str | None = None,
        parent: Any | None = None,
        dependencies: Dependencies | None = None,
        middleware: Sequence[Any] | None = None,
        interceptors: Sequence[Any] | None = None,
        permissions: Sequence[Any] | None = None,
        exception_handlers: ExceptionHandlers | None = None,
        is_from_router: bool = False,
        allowed_origins: Origins | None = None,
        max_connections: MaxConnections | None = None,
    ) -> None:
        super().__init__()
        names = LocalNames(sys._getframe(1))
        location = Location(chain=(f"WebSocketGateway({show(path or '/')})",))
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
            names=names,
            is_gateway=True,
        )
        try:
            check_layer(layer, location)
            if isinstance(handler, type) and issubclass(handler, WebSocketView):
                shared, self._routes = _mount_view(handler, layer, name, location, names, whole_path=is_from_router)
            elif (listener := read_listener(handler)) is not None:
                shared, self._routes = _mount_listener(listener, layer, name, names)
            else:
                shared, self._routes = _mount_handler(handler, layer, name, location, whole_path=is_from_router)
            for route in self._routes:
                route.declare()
        finally:
            names.release()
        self._policy = fold((layer,)).policy
        self.path = fold(shared).path
        compiled = compile_route_path(self.path, location)
        self.path_regex, self.path_format, self.param_convertors = compiled.regex, compiled.format, compiled.convertors
        self.handler = handler
        self.name = self._routes[0].name if name is None and len(self._routes) == 1 else name or short_name(handler)
        self.parent = parent
        by_name = dependencies is None or isinstance(dependencies, Mapping)
        self.dependencies = dict(dependencies or {}) if by_name else list(dependencies or ())
        self.middleware = list(middleware or ())
        self.interceptors = list(interceptors or ())
        self.permissions = list(permissions or ())
        self.exception_handlers = dict(exception_handlers or {})
        self.endpoint = handler if isinstance(handler, InjectedEndpoint) else InjectedEndpoint(handler)
        self.app = self

    @property
    def routes(self) -> tuple[APIWebSocketRoute, ...]:
        """One route for each handler, with its whole path and all that gateway and view add."""
        return self._routes


#: The layers whose path is the gateway's, and its routes.
_Mounted: TypeAlias = tuple[tuple[Layer, ...], tuple[APIWebSocketRoute, ...]]


def _mount_handler(handler: Any, layer: Layer, name: str | None, location: Location, *, whole_path: bool) -> _Mounted:
    handler = handler_of(handler, location)
    layers = (layer, _without_path(handler.layer) if whole_path else handler.layer)
    given = [part for part in (name, handler.name) if part is not None]
    return layers, (APIWebSocketRoute.folded(handler.fn, ":".join(given) or short_name(handler.fn), layers),)


def _mount_listener(listener: Listener, layer: Layer, name: str | None, names: LocalNames) -> _Mounted:
    shared = (layer, *layers_of(listener, names, {}))
    for level in shared[1:]:
        check_layer(level, Location(chain=(describe(listener.subject),)))
    own = short_name(listener.subject) if name is None else name
    return shared, (APIWebSocketRoute.folded(listener.subject, own, shared, listener=listener),)


def _mount_view(
    view: type[WebSocketView],
    layer: Layer,
    name: str | None,
    location: Location,
    names: LocalNames,
    *,
    whole_path: bool,
) -> _Mounted:
    handlers = handlers_of(view)
    level = layer_of(view, names)
    check_layer(level, Location(chain=(describe(view),)))
    if whole_path and len(handlers) > 1:
        raise InvalidPathError(
            location.inside(describe(view)),
            problem=f"is_from_router=True leaves out the paths of {len(handlers)} handlers, so that they have one path",
            expected="a handler, or a view with one handler",
            remedy="leave is_from_router out",
        )
    shared = (layer, _without_path(level) if whole_path else level)
    routes = []
    for handler in handlers:
        own = handler.name or short_name(handler.fn)
        layers = (*shared, _without_path(handler.layer) if whole_path else handler.layer)
        # The instance is made for the connection, with what its constructor needs.
        given = (DependsMarker(view),) if handler.is_method else ()
        routes.append(APIWebSocketRoute.folded(handler.fn, f"{name}:{own}" if name else own, layers, given))
    return shared, tuple(routes)


def _without_path(layer: Layer) -> Layer:
    return layer._replace(path="/")
