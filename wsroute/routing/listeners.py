"""Listeners as endpoints of routes, and as levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wsroute.dependencies.callables import describe
from wsroute.dependencies.conversations import Listener
from wsroute.exceptions import EndpointError, InvalidParameterError, Location
from wsroute.messages.listener import is_listener, listener_of
from wsroute.messages.options import MessageOptions
from wsroute.routing.layers import Layer, read_layer, read_options


def read_listener(endpoint: object) -> Listener | None:
    """The listener that an endpoint is; nothing, if it reads its messages itself.

    Raises:
        EndpointError: It is a class of listeners that cannot be one.
    """
    if isinstance(endpoint, Listener):
        return endpoint
    return listener_of(endpoint) if is_listener(endpoint) else None


def function_listener(
    call: Callable[..., Any], path: str, *, discriminator: str = "type", is_stream: bool = False
) -> Listener:
    """The listener, or the stream, that a function is.

    Args:
        call: The function.
        path: The path of its route, for error messages.
        discriminator, is_stream: As in `Listener`.

    Raises:
        EndpointError: It is a class.
    """
    if isinstance(call, type):
        raise EndpointError(
            Location(path, (describe(call),)),
            problem=f"@router.{'stream' if is_stream else 'listener'}() decorates a class",
            expected="an async def function",
            remedy="write @router.websocket(path) above a subclass of WebSocketListener",
        )
    return Listener(call, (call,), is_stream=is_stream, discriminator=discriminator)


def check_options_fit(listener: Listener | None, said: Mapping[str, Any], location: Location) -> None:
    """Check that who says something about messages gets some.

    Args:
        listener: The listener of the route, if it has one.
        said: What its declaration says.
        location: The route.

    Raises:
        InvalidParameterError: It has none.
    """
    if listener is not None and not listener.is_stream:
        return
    name = next((name for name in MessageOptions._fields if said.get(name) is not None), None)
    if name is None:
        return
    what = "an endpoint, which reads its messages itself" if listener is None else "a stream, which takes no messages"
    raise InvalidParameterError(
        location,
        problem=f"{name}= is about the messages of a listener, and {location.chain[-1]} is {what}",
        expected=f"{name}= at a listener, or at a router for the listeners below it",
        remedy=f"remove {name}=, or declare a listener: @router.listener(path)",
    )


def layers_of(listener: Listener, route: Layer | None = None) -> tuple[Layer, ...]:
    """What a listener adds as a level: that of its class, if it is one.

    Args:
        listener: The listener.
        route: The level of the route that it is the endpoint of: what that one says about messages counts.

    Raises:
        InvalidParameterError: An attribute has the wrong shape.
        RouterError: An option has a value that it cannot have.
    """
    cls = listener.subject
    if not listener.is_class:
        return ()
    layer = read_layer(
        Location(chain=(describe(cls),)),
        dependencies=cls.dependencies,
        middleware=cls.middleware,
        interceptors=cls.interceptors,
        permissions=cls.permissions,
        exception_handlers=cls.exception_handlers,
        names=Layer().names if route is None else route.names,
    )
    said = {} if route is None else route.options
    own = read_options({name: getattr(cls, name) for name in MessageOptions._fields})
    return (layer._replace(options={name: value for name, value in own.items() if name not in said}),)
