"""What each level of an application adds to the routes below it.

A route is the fold of the layers above it, outermost first, and of its own. Layers are frozen, and folding makes new
routes: one declaration can stand below many levels, and none of them writes onto it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Required, TypeAlias, TypedDict, Unpack, get_args

from starlette.middleware import Middleware

from wsroute.dependencies.analysis import Analysis
from wsroute.dependencies.callables import show
from wsroute.dependencies.markers import DependsMarker
from wsroute.dependencies.providers import Providers, read_dependencies
from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import Location, RouterError
from wsroute.messages.options import USUAL, MessageOptions, OnInvalid, check_options
from wsroute.routing.exception_handlers import read_exception_handlers
from wsroute.routing.interceptors import method_around, read_interceptors
from wsroute.routing.middleware import read_middleware
from wsroute.routing.origins import Origins, read_allowed_origins
from wsroute.routing.paths import check_prefix, join
from wsroute.routing.permissions import read_permissions
from wsroute.wire.handlers import HandlerTable
from wsroute.wire.origin import SAME_ORIGIN, AllowedOrigins
from wsroute.wire.policy import Policy

if TYPE_CHECKING:  # loaded by who limits connections
    from wsroute.routing.limits import ConnectionLimit, MaxConnections

Reject: TypeAlias = Literal["denial", "close", "accept"]

#: What `dependencies=` takes: what runs for its effect, what is provided by name, or both.
Dependencies: TypeAlias = Sequence[Any] | Mapping[str, Any]
#: What `exception_handlers=` takes: handlers by class of the exception, HTTP status or close code.
ExceptionHandlers: TypeAlias = Mapping[Any, Callable[..., Any]]

_USUAL = Policy()
_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


#: A level that was declared nowhere has captured nothing.
_NO_NAMES = LocalNames()


class Layer(NamedTuple):
    """One level: a router, an inclusion, a gateway, a view, a handler, or a route.

    Attributes:
        path: What it puts before the paths below it.
        dependencies: Markers of dependencies that run for their effect.
        providers: Objects with a `dependency_overrides` mapping, nearest first.
        reject: How a connection is refused; `None` leaves it to the levels above.
        close_timeout: How long, in seconds, a frame that ends a connection may take; `None` as for `reject`.
        names: The names local to functions that were captured when it was declared.
        provides: What it provides by name.
        middleware: ASGI middleware, outermost first.
        interceptors: What runs around the connections, outermost first: classes and instances.
        permissions: What is asked before the dependencies: classes, instances and rules of both.
        handlers: Its exception handlers.
        name: What it puts before the names of the routes below it.
        is_gateway: Whether slashes are cleaned where its path joins the one above it.
        send_timeout: How long, in seconds, the peer may take for a frame; `None` as for `reject`.
        options: What it says about messages: some of `MessageOptions`, by name.
        origins: Which pages may open its connections; `None` leaves it to the levels above.
        limits: How many connections may be open at once below it, in all.
    """

    path: str = ""
    dependencies: tuple[Any, ...] = ()
    providers: tuple[Any, ...] = ()
    reject: Reject | None = None
    close_timeout: float | None = None
    names: LocalNames = _NO_NAMES
    provides: Mapping[str, DependsMarker] = MappingProxyType({})
    middleware: tuple[Middleware, ...] = ()
    interceptors: tuple[Any, ...] = ()
    permissions: tuple[Any, ...] = ()
    handlers: HandlerTable | None = None
    name: str | None = None
    is_gateway: bool = False
    send_timeout: float | None = None
    options: Mapping[str, Any] = _NO_OPTIONS
    origins: AllowedOrigins | None = None
    limits: tuple[ConnectionLimit, ...] = ()

    @property
    def changes_tree(self) -> bool:
        """Whether the tree of an endpoint depends on it, beside its path."""
        return bool(self.dependencies or self.provides or self.has_guards)

    @property
    def has_guards(self) -> bool:
        """Whether it has interceptors or permissions."""
        return bool(self.interceptors or self.permissions)


class MessageLevel(TypedDict, total=False):
    """What routers, and routes of listeners, say about messages; see `MessageOptions`."""

    max_message_size: float | None
    first_message_timeout: float | None
    idle_timeout: float | None
    on_invalid: OnInvalid | None
    max_invalid: float | None
    cancel_on_disconnect: bool | None
    read_ahead: int | None
    max_rate: tuple[float, float] | None


class Level(MessageLevel, total=False):
    """What people can write at every level of routers and routes."""

    dependencies: Dependencies | None
    middleware: Sequence[Any] | None
    permissions: Sequence[Any] | None
    interceptors: Sequence[Any] | None
    exception_handlers: ExceptionHandlers | None
    reject: Reject | None
    close_timeout: float | None
    send_timeout: float | None
    allowed_origins: Origins | None
    max_connections: MaxConnections | None


class Declaration(Level, total=False):
    """What a level adds, as it was declared."""

    path: str
    dependency_overrides_provider: Any | None
    names: Required[LocalNames]
    name: str | None
    is_gateway: bool


_KNOWN = frozenset(Declaration.__annotations__)
_OPTIONS = frozenset(MessageOptions._fields)


def read_layer(location: Location, **declared: Unpack[Declaration]) -> Layer:
    """The layer that a declaration adds: a copy of what was handed over, each part of the right shape.

    Args:
        location: The declaration, for error messages.
        declared: What it says.

    Raises:
        InvalidParameterError: Something has the wrong shape.
        RouterError: A setting has a value that it cannot have.
        TypeError: There is no such setting.
    """
    if not declared.keys() <= _KNOWN:
        unknown = declared.keys() - _KNOWN
        raise TypeError(
            f"unexpected keyword argument {min(unknown)!r}. What can be said about messages is "
            f"{', '.join(MessageOptions._fields)}."
        )
    effects, provides = read_dependencies(declared.get("dependencies"), location)
    counted, limits = _read_limits(declared.get("max_connections"), location)
    provider = declared.get("dependency_overrides_provider")
    reject, close_timeout = declared.get("reject"), declared.get("close_timeout")
    send_timeout = declared.get("send_timeout")
    _check_settings(reject, provider, close_timeout=close_timeout, send_timeout=send_timeout)
    return Layer(
        declared.get("path", ""),
        (*counted, *effects),
        () if provider is None else (provider,),
        reject,
        close_timeout,
        declared["names"],
        provides,
        read_middleware(declared.get("middleware"), location),
        read_interceptors(declared.get("interceptors"), location),
        read_permissions(declared.get("permissions"), location),
        read_exception_handlers(declared.get("exception_handlers"), location),
        declared.get("name"),
        declared.get("is_gateway", False),
        send_timeout,
        read_options(declared),
        read_allowed_origins(declared.get("allowed_origins"), location),
        limits,
    )


def _read_limits(
    declared: MaxConnections | None, location: Location
) -> tuple[tuple[Any, ...], tuple[ConnectionLimit, ...]]:
    """What counts connections by a key, as markers of dependencies; and what counts all of them."""
    if declared is None:
        return (), ()
    from wsroute.routing.limits import read_limits

    limits = read_limits(declared, location)
    # What is counted by a key needs what gives the key, and is a dependency like any other.
    counted = tuple(limit.dependency for limit in limits if limit.dependency is not None)
    return counted, tuple(limit for limit in limits if limit.key is None)


def read_options(declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a declaration says about messages.

    Args:
        declared: What it says, by name.

    Raises:
        RouterError: An option has a value that it cannot have.
    """
    if _OPTIONS.isdisjoint(declared):
        return _NO_OPTIONS
    said = {name: value for name in MessageOptions._fields if (value := declared.get(name)) is not None}
    try:
        check_options(said)
    except ValueError as error:
        raise RouterError(str(error)) from None
    return said or _NO_OPTIONS


def _check_settings(reject: object, provider: object, **times: float | None) -> None:
    for name, seconds in times.items():
        if seconds is not None and not (isinstance(seconds, (int, float)) and seconds > 0):
            raise RouterError(f"{name}={seconds!r} is no time. It is a number of seconds above 0.")
    if reject not in (None, *get_args(Reject)):
        known = ", ".join(repr(name) for name in get_args(Reject))
        raise RouterError(f"reject={reject!r} is no way to refuse a connection. It is one of {known}.")
    if provider is not None and not hasattr(provider, "dependency_overrides"):
        raise RouterError(
            f"dependency_overrides_provider= is {show(provider)}, which has no dependency_overrides. It takes an "
            "object with such a mapping, like a FastAPI application or a router."
        )


def layer_above(location: Location, **declared: Unpack[Declaration]) -> Layer:
    """The layer of a level above routes: a router, or an inclusion.

    Args:
        location: The declaration, for error messages.
        declared: What it says.

    Raises:
        DependencyError: A declaration cannot work, whatever stands above or below it.
    """
    check_prefix(declared.get("path", ""), location)
    layer = read_layer(location, **declared)
    try:
        check_layer(layer, location)
    finally:
        layer.names.release()
    return layer


def check_layer(layer: Layer, location: Location, *, effects: bool = True) -> None:
    """Report what cannot work about a layer, whatever stands above or below it.

    Args:
        layer: The layer.
        location: Its declaration, for error messages.
        effects: Whether to look at what it runs for its effect as well.

    Raises:
        DependencyError: A declaration cannot work.
    """
    analysis = Analysis(layer.path, layer.names, final=False, providers=Providers((layer.provides,)))
    analysis.level(
        location,
        effects=layer.dependencies if effects else (),
        interceptors=map(method_around, layer.interceptors),
        permissions=layer.permissions,
    )


class Folded(NamedTuple):
    """The layers above a route, and its own, as one; attributes as in `Layer`, settings as the session wants them."""

    path: str
    dependencies: tuple[Any, ...]
    providers: tuple[Any, ...]
    policy: Policy
    names: LocalNames
    provides: Providers
    middleware: tuple[Middleware, ...]
    interceptors: tuple[Any, ...]
    permissions: tuple[Any, ...]
    name: str
    options: MessageOptions
    origins: AllowedOrigins
    limits: tuple[ConnectionLimit, ...]


def fold(layers: Sequence[Layer]) -> Folded:
    """Fold layers, outermost first: providers and settings nearest first, everything else in that order."""
    path = ""
    for layer in layers:
        path = join(path, layer.path) if layer.is_gateway else path + layer.path
    nearest = layers[::-1]
    return Folded(
        path,
        _chained([layer.dependencies for layer in layers]),
        _chained([layer.providers for layer in nearest]),
        _policy(nearest),
        LocalNames.joined([layer.names for layer in nearest]),
        Providers(tuple([layer.provides for layer in layers if layer.provides])),
        _chained([layer.middleware for layer in layers]),
        _chained([layer.interceptors for layer in layers]),
        _chained([layer.permissions for layer in layers]),
        ":".join([layer.name for layer in layers if layer.name]),
        _options(layers),
        next((layer.origins for layer in nearest if layer.origins is not None), SAME_ORIGIN),
        _limits(layers),
    )


def _limits(layers: Sequence[Layer]) -> tuple[ConnectionLimit, ...]:
    found = [limit for layer in layers for limit in layer.limits]
    # One object that stands at several levels counts a connection once.
    return tuple(dict.fromkeys(found)) if found else ()


def _options(layers: Sequence[Layer]) -> MessageOptions:
    said: dict[str, Any] = {}
    for layer in layers:
        said.update(layer.options)
    return MessageOptions(**said) if said else USUAL


def _policy(nearest: Sequence[Layer]) -> Policy:
    if not any(layer.reject or layer.close_timeout or layer.handlers or layer.send_timeout for layer in nearest):
        return _USUAL
    return Policy(
        next((layer.reject for layer in nearest if layer.reject), _USUAL.reject),
        next((layer.close_timeout for layer in nearest if layer.close_timeout), _USUAL.close_timeout),
        tuple(layer.handlers for layer in nearest if layer.handlers),
        next((layer.send_timeout for layer in nearest if layer.send_timeout), None),
    )


def _chained(parts: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(chain.from_iterable(parts))
