"""Listeners as classes, and what is found in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from inspect import getattr_static, isfunction, unwrap
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias, TypeGuard, TypeVar, overload
from weakref import WeakSet

from wsroute.dependencies.callables import describe, show
from wsroute.dependencies.conversations import Listener
from wsroute.exceptions import EndpointError, Location, UninjectedEndpointError
from wsroute.messages.options import OnInvalid

#: What can be called for messages: it returns the reply, or yields several.
Handles: TypeAlias = Callable[..., Coroutine[Any, Any, Any]] | Callable[..., AsyncIterator[Any]]
HandlerT = TypeVar("HandlerT", bound=Handles)
StreamT = TypeVar("StreamT", bound=Callable[..., AsyncIterator[Any]])

_BESIDE = ("on_connect", "on_disconnect")

#: The functions that `on` has decorated: they stay as they are.
_decorated: WeakSet[Any] = WeakSet()


class WebSocketListener:
    """Typed messages of several kinds, and what all of them share: `@router.websocket(path)` takes the class.

    Each connection gets an instance of its own, once its dependencies are resolved and before it is accepted; the
    parameters of `__init__` are injected. A method that `@on` decorates is called for each message of the type that it
    declares, which the message's `Literal` field tells; what it returns, or each item that it yields, is sent. Further
    parameters are injected, and those with `scope="message"` are made for that message.

    `on_connect` is called when the connection is accepted, and what it returns is sent. `on_disconnect` is called once
    when an accepted connection has ended, however it has; its parameters `code` and `reason` say how. Both get further
    parameters injected.

    Attributes:
        discriminator: The field by which messages say of which type they are. Default `"type"`.
        max_message_size, first_message_timeout, idle_timeout, on_invalid, max_invalid, cancel_on_disconnect,
            read_ahead, max_rate: As in `WebSocketRouter.listener`; what the route says of them counts instead.
        dependencies, middleware, interceptors, permissions, exception_handlers, allowed_origins, max_connections: For
            all its connections, as in `APIWebSocketRoute`, below the levels of the route.

    Example:
        @router.websocket("/rooms/{room}")
        class Room(WebSocketListener):
            def __init__(self, room: str, user: Annotated[User, Depends(current_user)]) -> None:
                self.room, self.user = room, user

            @on
            async def say(self, message: Say, db: Annotated[Session, Depends(session, scope="message")]) -> Said: ...
    """

    discriminator: ClassVar[str] = "type"
    max_message_size: ClassVar[float | None] = None
    first_message_timeout: ClassVar[float | None] = None
    idle_timeout: ClassVar[float | None] = None
    on_invalid: ClassVar[OnInvalid | None] = None
    max_invalid: ClassVar[float | None] = None
    cancel_on_disconnect: ClassVar[bool | None] = None
    read_ahead: ClassVar[int | None] = None
    max_rate: ClassVar[tuple[float, float] | None] = None
    max_connections: ClassVar[Any | None] = None

    dependencies: ClassVar[Sequence[Any] | Mapping[str, Any] | None] = None
    middleware: ClassVar[Sequence[Any] | None] = None
    interceptors: ClassVar[Sequence[Any] | None] = None
    permissions: ClassVar[Sequence[Any] | None] = None
    exception_handlers: ClassVar[Mapping[Any, Any] | None] = None
    allowed_origins: ClassVar[Literal["same-origin", "*"] | Sequence[str] | None] = None

    def __await__(self) -> NoReturn:
        # A framework that takes the class for an endpoint makes an instance, as the class is called, and awaits that.
        raise UninjectedEndpointError(describe(type(self)))


@overload
def on(handler: HandlerT, /) -> HandlerT: ...
@overload
def on() -> Callable[[HandlerT], HandlerT]: ...
def on(handler: Any = None, /) -> Any:
    """Make a method of a `WebSocketListener` a handler of messages. The method itself stays as it is.

    Args:
        handler: The method: `async def`, with one parameter that gets the message. With `yield`, each item is sent.

    Raises:
        EndpointError: It is no method.
    """
    if handler is None:
        return on
    if not isfunction(handler):
        raise EndpointError(
            Location(chain=("@on",)),
            problem=f"@on decorates {show(handler)}",
            expected="an async def method of a WebSocketListener",
            remedy="write @on right above the method",
        )
    _decorated.add(handler)
    return handler


def is_listener(endpoint: object) -> TypeGuard[type[WebSocketListener]]:
    """Whether it is a class of listeners."""
    return isinstance(endpoint, type) and issubclass(endpoint, WebSocketListener)


def listener_of(cls: type[WebSocketListener]) -> Listener:
    """What a listener consists of: its handlers, those of base classes first.

    Raises:
        EndpointError: It has none, or a method that looks like one and is none.
    """
    location = Location(chain=(describe(cls),))
    missing = getattr(cls, "__abstractmethods__", ())
    if missing:
        raise EndpointError(
            location,
            problem=f"the listener is abstract: it does not define {', '.join(sorted(missing))}",
            expected="a class that an instance can be made of",
            remedy="define what is missing in a subclass, and declare that",
        )
    handlers = tuple(_handlers(cls, location))
    if not handlers:
        raise EndpointError(
            location,
            problem="the listener has no handlers",
            expected="at least one method that @on decorates",
            remedy="write @on above the methods that take messages",
        )
    on_connect, on_disconnect = (getattr_static(cls, name, None) for name in _BESIDE)
    return Listener(cls, handlers, on_connect, on_disconnect, discriminator=cls.discriminator)


def _handlers(cls: type[WebSocketListener], location: Location) -> Iterator[Callable[..., Any]]:
    for name in dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base)):
        item = getattr_static(cls, name)
        if isinstance(item, (staticmethod, classmethod)) and (_is_decorated(item.__func__) or name in _BESIDE):
            raise EndpointError(
                location.inside(describe(item.__func__)),
                problem=f"a handler is a {type(item).__name__}",
                expected="a method, which gets the instance of its connection",
                remedy=f"remove @{type(item).__name__}",
            )
        if _is_decorated(item):
            yield item
        elif item is not None and any(_is_decorated(vars(base).get(name)) for base in cls.__mro__):
            raise EndpointError(
                location.inside(describe(item)),
                problem=f"{name!r} takes the place of a handler, and is none itself",
                expected="@on above it as well",
                remedy=f"write @on above it, or {name} = None for no handler",
            )
        elif name.startswith("on_") and name not in (*_BESIDE, "on_invalid") and callable(item):
            raise EndpointError(
                location.inside(describe(item)),
                problem=f"nobody calls {name!r}",
                expected="on_connect, on_disconnect, and handlers that @on decorates",
                remedy="write @on above it if it takes messages, or give it another name",
            )


def _is_decorated(item: Any) -> bool:
    """Whether it is a handler, or a decorator's wrapper around one."""
    return isfunction(item) and (item in _decorated or unwrap(item, stop=_decorated.__contains__) in _decorated)
