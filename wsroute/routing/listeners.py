"""Listeners as endpoints of routes, and as levels.

What is only needed for them is loaded when there is the first one: most routes are endpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from wsroute.dependencies.callables import describe
from wsroute.dependencies.models import Conversation
from wsroute.dependencies.runtime import Runtime
from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import EndpointError, InvalidParameterError, Location
from wsroute.messages.options import MessageOptions
from wsroute.routing.layers import Layer, read_layer, read_options

if TYPE_CHECKING:
    from wsroute.dependencies.conversations import ConversationAnalysis, Listener
    from wsroute.messages.codec import Codec


def read_listener(endpoint: object) -> Listener | None:
    """The listener that an endpoint is; nothing, if it reads its messages itself.

    Raises:
        EndpointError: It is a class of listeners that cannot be one.
    """
    if not isinstance(endpoint, (type, tuple)):  # what most endpoints are
        return None
    from wsroute.dependencies.conversations import Listener
    from wsroute.messages.listener import is_listener, listener_of

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
    from wsroute.dependencies.conversations import Listener

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


def layers_of(listener: Listener | None, names: LocalNames, said: Mapping[str, Any]) -> tuple[Layer, ...]:
    """What a listener adds as a level: that of its class, if it is one.

    Args:
        listener: The listener of a route, if it has one.
        names: The names that were captured when the route was declared.
        said: What the route says about messages, which counts instead of what the class says.

    Raises:
        InvalidParameterError: An attribute has the wrong shape.
        RouterError: An option has a value that it cannot have.
    """
    if listener is None or not listener.is_class:
        return ()
    cls = listener.subject
    layer = read_layer(
        Location(chain=(describe(cls),)),
        dependencies=cls.dependencies,
        middleware=cls.middleware,
        interceptors=cls.interceptors,
        permissions=cls.permissions,
        exception_handlers=cls.exception_handlers,
        allowed_origins=cls.allowed_origins,
        max_connections=cls.max_connections,
        names=names,
    )
    own = read_options({name: getattr(cls, name) for name in MessageOptions._fields})
    return (layer._replace(options={name: value for name, value in own.items() if name not in said}),)


def analysis_of_listeners() -> type[ConversationAnalysis]:
    """What builds the trees of listeners."""
    from wsroute.dependencies.conversations import ConversationAnalysis

    return ConversationAnalysis


def codec_of(conversation: Conversation | None) -> Codec | None:
    """How the messages of a conversation are read and written; nothing for an endpoint.

    Raises:
        AnnotationError: A type names what is not known, or not yet.
        InvalidParameterError: pydantic has no schema for something, or messages cannot be told apart.
    """
    if conversation is None:
        return None
    from wsroute.messages.codec import Codec

    return Codec(conversation)


def speaking(
    runtime: Runtime, conversation: Conversation | None, codec: Codec | None, options: MessageOptions
) -> Runtime:
    """What generated code calls, with what a conversation is held with, if there is one.

    Args:
        runtime: What it calls without one.
        conversation: The listener, or the stream.
        codec: How its messages are read and written, if that is known already.
        options: How it takes messages.
    """
    codec = codec or codec_of(conversation)
    if conversation is None or codec is None:
        return runtime
    from wsroute.messages.listening import Listening
    from wsroute.messages.streaming import Streaming

    return runtime._replace(speech=Streaming(codec) if conversation.is_stream else Listening(codec, options))
