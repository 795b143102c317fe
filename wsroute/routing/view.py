"""Views: classes whose methods are handlers, and whose instances belong to one connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from wsroute.dependencies.callables import describe
from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import EndpointError, Location, UninjectedEndpointError
from wsroute.routing.handler import WebSocketHandler
from wsroute.routing.layers import Layer, read_layer
from wsroute.routing.origins import Origins
from wsroute.routing.paths import read_gateway_path

if TYPE_CHECKING:
    from wsroute.routing.limits import MaxConnections


class WebSocketView:
    """Handlers that belong together: methods that `@websocket()` decorates, mounted by a `WebSocketGateway`.

    Each connection gets an instance of its own. Parameters of `__init__` are injected as those of the handlers are.
    Methods that a base class has decorated are handlers too, unless a subclass defines something else of that name.

    Attributes:
        path: The path below that of the gateway. Default `"/"`: the same.
        dependencies: Dependencies that run for their effect, or what is provided by name, or both, for all handlers.
        middleware, interceptors, permissions, exception_handlers, allowed_origins, max_connections: For all handlers,
            as in `APIWebSocketRoute`.

    Example:
        class Room(WebSocketView):
            path = "/{room}"
            permissions = [IsMember]

            def __init__(self, room: str, user: Annotated[User, Depends(current_user)]) -> None:
                self.room, self.user = room, user

            @websocket("/chat")
            async def chat(self, websocket: WebSocket) -> None: ...
    """

    path: ClassVar[str] = "/"
    dependencies: ClassVar[Sequence[Any] | Mapping[str, Any] | None] = None
    middleware: ClassVar[Sequence[Any] | None] = None
    interceptors: ClassVar[Sequence[Any] | None] = None
    permissions: ClassVar[Sequence[Any] | None] = None
    exception_handlers: ClassVar[Mapping[Any, Any] | None] = None
    allowed_origins: ClassVar[Origins | None] = None
    max_connections: ClassVar[MaxConnections | None] = None

    def __await__(self) -> NoReturn:
        # A framework that takes the class for an endpoint makes an instance, as the class is called, and awaits that.
        raise UninjectedEndpointError(describe(type(self)))


def layer_of(view: type[WebSocketView], names: LocalNames) -> Layer:
    """What a view adds as a level.

    Raises:
        InvalidPathError: Its path is none.
        InvalidParameterError: Another attribute has the wrong shape.
    """
    location = Location(chain=(describe(view),))
    return read_layer(
        location,
        path=read_gateway_path(view.path, location),
        dependencies=view.dependencies,
        middleware=view.middleware,
        interceptors=view.interceptors,
        permissions=view.permissions,
        exception_handlers=view.exception_handlers,
        allowed_origins=view.allowed_origins,
        max_connections=view.max_connections,
        names=names,
        is_gateway=True,
    )


def handlers_of(view: type[WebSocketView]) -> tuple[WebSocketHandler, ...]:
    """The handlers of a view, those of base classes first, each at the place where its name came first.

    Raises:
        EndpointError: It has none, or one whose decorators are in the wrong order, or no instance can be made of it.
    """
    missing = getattr(view, "__abstractmethods__", ())
    if missing:
        raise EndpointError(
            Location(chain=(describe(view),)),
            problem=f"the view is abstract: it does not define {', '.join(sorted(missing))}",
            expected="a class that an instance can be made of",
            remedy="define what is missing in a subclass, and mount that",
        )
    handlers = tuple(_handlers(view))
    if not handlers:
        raise EndpointError(
            Location(chain=(describe(view),)),
            problem="the view has no handlers",
            expected="at least one method that @websocket() decorates",
            remedy="decorate a method of it",
        )
    return handlers


def _handlers(view: type[WebSocketView]) -> Iterator[WebSocketHandler]:
    for name in dict.fromkeys(name for cls in reversed(view.__mro__) for name in vars(cls)):
        item = getattr_static(view, name)
        if isinstance(item, (staticmethod, classmethod)) and isinstance(item.__func__, WebSocketHandler):
            raise EndpointError(
                Location(chain=(describe(view), describe(item.__func__.fn))),
                problem=f"@{type(item).__name__} decorates a handler",
                expected="@websocket() as the outermost decorator",
                remedy=f"put @websocket() above @{type(item).__name__}",
            )
        if isinstance(item, WebSocketHandler):
            yield item
