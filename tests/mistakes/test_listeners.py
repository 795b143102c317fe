"""Listeners and streams that cannot work: each mistake, when it is reported, and in which words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel
from starlette.responses import Response

from tests.mistakes.said import Plain, at_binding, at_declaration, get_limit
from wsroute import (
    AnnotationError,
    DependencyScopeError,
    Depends,
    EndpointError,
    Inject,
    InvalidParameterError,
    Payload,
    RouterError,
    WebSocket,
    WebSocketListener,
    WebSocketRouter,
    on,
)


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str


class Shout(BaseModel):
    type: Literal["say"] = "say"
    text: str


class Move(BaseModel):
    type: Literal["move"] = "move"


class Untold(BaseModel):
    text: str


async def open_session() -> AsyncIterator[str]:
    yield "session"


MessageSession = Annotated[str, Depends(open_session, scope="message")]


# Which parameter is the message


@at_binding(
    InvalidParameterError,
    """
    'message' and 'other' could each be the message
      route '/items'
      HERE.listener
         parameter 'other'
      expected: one parameter that gets the message
      remedy: write Annotated[Say, Payload()] for one, and a marker for the other
    """,
)
def test_two_parameters_could_be_the_message(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(message: Say, other: Move) -> None: ...


@at_binding(
    InvalidParameterError,
    """
    'text' and 'other' could each be the message
      route '/items'
      HERE.listener
         parameter 'other'
      expected: one parameter that gets the message
      remedy: write Annotated[str, Payload()] for one, and a marker for the other
    """,
)
def test_two_strings_could_be_the_message(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(text: str, other: str) -> None: ...


def test_an_outer_level_may_decide_which_of_them_is_the_message() -> None:
    inner = WebSocketRouter()

    @inner.listener("/items")
    async def listener(text: str, user: str) -> str:
        return text

    outer = WebSocketRouter(dependencies={"user": Inject(get_limit)})
    outer.include_router(inner)
    outer.check()


@at_binding(
    InvalidParameterError,
    """
    'a' and 'b' could each be the message
      route '/items'
      HERE.listener
         parameter 'b'
      expected: one parameter that gets the message
      remedy: write Annotated[int, Payload()] for one, and a marker for the other
    """,
)
def test_two_markers_for_the_message(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(a: Annotated[int, Payload()], b: Annotated[int, Payload()]) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    no parameter of HERE.listener gets the message
      route '/items/{item}'
      HERE.listener
      expected: a parameter without a marker that is a model, a dataclass, a TypedDict, a union of these, dict, bytes \
or str
      remedy: add one, or write Annotated[..., Payload()] for a message of another type
    """,
)
def test_no_parameter_is_the_message(router: WebSocketRouter) -> None:
    @router.listener("/items/{item}")
    async def listener(item: str, websocket: WebSocket, limit: int = 10) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    'message' is the message, and has a default
      route '/items'
      HERE.listener
         parameter 'message'
      expected: none: the function is called because there is one
      remedy: remove the default
    """,
)
def test_a_message_with_a_default(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(message: Annotated[str, Payload()] = "nothing") -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    a marker inside of the type, where it would not be read
      route '/items'
      HERE.listener
         parameter 'message'
      expected: the marker around the whole type
      remedy: write Annotated[X | None, ...] for Annotated[X, ...] | None
    """,
)
def test_a_marker_inside_of_the_type_of_the_message(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(message: Annotated[list[Annotated[int, Depends(get_limit)]], Payload()]) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    nothing tells how Plain is read from JSON, or written as JSON
      route '/items'
      HERE.listener
         parameter 'message'
      expected: a type that pydantic has a schema for
      remedy: use a model, a dataclass, a TypedDict or a built-in type
    """,
)
def test_a_message_that_pydantic_does_not_know(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(message: Annotated[Plain, Payload()]) -> None: ...


@at_binding(
    AnnotationError,
    """
    the annotation names 'Missing', which cannot be found
      route '/items'
      HERE.listener
         └─ HERE.audit
            parameter 'message'
      expected: names of the module, or local names that exist when the route is declared
      remedy: import it outside of `if TYPE_CHECKING:`, or move it to the module, or define it before the route
    """,
)
def test_a_dependency_that_takes_messages_of_a_type_that_cannot_be_found(router: WebSocketRouter) -> None:
    def audit(message: Annotated[Missing, Payload()]) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    @router.listener("/items")
    async def listener(message: Say, audit: Annotated[None, Depends(audit)]) -> None: ...


def test_a_marker_as_the_default_of_the_message() -> None:
    router = WebSocketRouter()

    @router.listener("/items")
    async def listener(text: str = Payload(max_length=3), other: str = "") -> str:
        return text

    router.check()


# Messages that cannot be told apart


@at_declaration(
    InvalidParameterError,
    """
    Say and Shout both have type='say'
      route '/items'
      HERE.listener
         parameter 'message'
      expected: messages whose 'type' says which of them it is
      remedy: give each a Literal of its own
    """,
)
def test_two_messages_of_one_name(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(message: Say | Shout) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    Untold is one of several messages, and has no field 'type' that is a Literal
      route '/items'
      HERE.listener
         parameter 'message'
      expected: messages that say which of them they are
      remedy: add type: Literal["..."] to it, or name the field with discriminator=
    """,
)
def test_a_message_that_does_not_say_which_it_is(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(message: Say | Untold) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    str is one of several messages, and has no field 'type' that is a Literal
      route '/items'
      HERE.Room.shout
         parameter 'text'
      expected: messages that say which of them they are
      remedy: add type: Literal["..."] to it, or name the field with discriminator=
    """,
)
def test_a_raw_text_among_several_messages(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    class Room(WebSocketListener):
        @on
        async def say(self, message: Say) -> None: ...
        @on
        async def shout(self, text: str) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    Move is one of several messages, and has no field 'kind' that is a Literal
      route '/items'
      HERE.listener
         parameter 'message'
      expected: messages that say which of them they are
      remedy: add kind: Literal["..."] to it, or name the field with discriminator=
    """,
)
def test_another_discriminator_than_the_messages_have(router: WebSocketRouter) -> None:
    class Kind(BaseModel):
        kind: Literal["k"]

    @router.listener("/items", discriminator="kind")
    async def listener(message: Kind | Move) -> None: ...


# What is sent


@at_declaration(
    InvalidParameterError,
    """
    nothing tells how Plain is read from JSON, or written as JSON
      route '/items'
      HERE.listener
         parameter 'return'
      expected: a type that pydantic has a schema for
      remedy: use a model, a dataclass, a TypedDict or a built-in type
    """,
)
def test_a_reply_that_pydantic_does_not_know(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(message: Say) -> Plain:
        return Plain()


@at_declaration(
    EndpointError,
    """
    HERE.listener is declared to return an iterator, and yields nothing itself
      route '/items'
      HERE.listener
      expected: async def with yield, or the type of one reply
      remedy: write `async for item in ...: yield item` in it
    """,
)
def test_an_iterator_that_is_returned(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(message: Say) -> AsyncIterator[int]:
        raise NotImplementedError


@at_declaration(
    EndpointError,
    """
    HERE.listener yields what is sent, and is declared to return int
      route '/items'
      HERE.listener
      expected: AsyncIterator[...] of the type of the items
      remedy: write -> AsyncIterator[...]
    """,
)
def test_several_replies_that_are_declared_as_one(router: WebSocketRouter) -> None:
    async def listener(message: Say) -> Any:
        yield 1

    listener.__annotations__["return"] = int
    router.listener("/items")(listener)


@at_binding(
    AnnotationError,
    """
    the annotation names 'Missing', which cannot be found
      route '/items'
      HERE.listener
         parameter 'return'
      expected: names of the module, or local names that exist when the route is declared
      remedy: import it outside of `if TYPE_CHECKING:`, or move it to the module, or define it before the route
    """,
)
def test_a_reply_of_a_type_that_cannot_be_found(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(message: Say) -> Missing: ...  # type: ignore[name-defined]  # noqa: F821  # the mistake


@at_binding(
    AnnotationError,
    """
    the annotation names 'Missing', which cannot be found
      route '/items'
      HERE.listener
         parameter 'message'
      expected: names of the module, or local names that exist when the route is declared
      remedy: import it outside of `if TYPE_CHECKING:`, or move it to the module, or define it before the route
    """,
)
def test_a_message_of_a_type_that_cannot_be_found(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(message: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # the mistake


# Lifetimes


@at_declaration(
    DependencyScopeError,
    """
    HERE.endpoint is no listener, so that nothing in it lives for one message, and needs MODULE.open_session, which \
has scope='message' or needs the message
      route '/items'
      HERE.endpoint
         └─ MODULE.open_session
      expected: what lives for one message in listeners only: in their handlers, and in what these need
      remedy: give it scope='connection' or scope='function', or declare a listener: @router.listener(path)
    """,
)
def test_an_endpoint_that_needs_something_of_a_message(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, session: MessageSession) -> None: ...


@at_declaration(
    DependencyScopeError,
    """
    HERE.endpoint is no listener, so that nothing in it lives for one message, and needs the message
      route '/items'
      HERE.endpoint
         parameter 'message'
      expected: what lives for one message in listeners only: in their handlers, and in what these need
      remedy: declare a listener: @router.listener(path)
    """,
)
def test_an_endpoint_that_asks_for_the_message(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, message: Annotated[Say, Payload()]) -> None: ...


@at_declaration(
    DependencyScopeError,
    """
    HERE.stream is a stream, which has no messages, and needs MODULE.open_session, which has scope='message' or needs \
the message
      route '/items'
      HERE.stream
         └─ MODULE.open_session
      expected: what lives for one message in listeners only: in their handlers, and in what these need
      remedy: give it scope='connection' or scope='function', or leave scope= out
    """,
)
def test_a_stream_that_needs_something_of_a_message(router: WebSocketRouter) -> None:
    @router.stream("/items")
    async def stream(session: MessageSession) -> AsyncIterator[int]:
        yield 1


@at_declaration(
    DependencyScopeError,
    """
    HERE.stream is a stream, which has no messages, and needs MODULE.open_session, which has scope='message' or needs \
the message
      route '/items'
      HERE.stream
         └─ MODULE.open_session
      expected: what lives for one message in listeners only: in their handlers, and in what these need
      remedy: give it scope='connection' or scope='function', or leave scope= out
    """,
)
def test_a_stream_below_something_that_runs_for_each_message(router: WebSocketRouter) -> None:
    @router.stream("/items", dependencies=[Depends(open_session, scope="message")])
    async def stream() -> AsyncIterator[int]:
        yield 1


@at_declaration(
    DependencyScopeError,
    """
    HERE.Room is made once for the connection, and needs MODULE.open_session, which has scope='message' or needs the \
message
      route '/items'
      HERE.Room
         └─ MODULE.open_session
      expected: what lives for one message in listeners only: in their handlers, and in what these need
      remedy: move the parameter to the handlers that need it, or leave scope= out
    """,
)
def test_an_instance_that_needs_something_of_a_message(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    class Room(WebSocketListener):
        def __init__(self, session: MessageSession) -> None: ...

        @on
        async def say(self, message: Say) -> None: ...


@at_declaration(
    DependencyScopeError,
    """
    HERE.audit has scope='connection', and 'message' is the message, which lives shorter
      route '/items'
      HERE.listener
         └─ HERE.audit
            parameter 'message'
      expected: a dependency that ends no later than what it needs
      remedy: leave scope= out, or give HERE.audit scope='message'
    """,
)
def test_a_dependency_of_the_connection_that_asks_for_the_message(router: WebSocketRouter) -> None:
    def audit(message: Annotated[Say, Payload()]) -> None: ...

    @router.listener("/items")
    async def listener(message: Say, audit: Annotated[None, Depends(audit, scope="connection")]) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    the handler is called for MODULE.Say | MODULE.Move, and its dependency takes Say
      route '/items'
      HERE.listener
         └─ HERE.audit
            parameter 'message'
      expected: a dependency that takes all messages of the handlers that need it
      remedy: annotate it with Annotated[MODULE.Say | MODULE.Move, Payload()], or with a base class
    """,
)
def test_a_dependency_that_does_not_take_all_messages(router: WebSocketRouter) -> None:
    def audit(message: Annotated[Say, Payload()]) -> None: ...

    @router.listener("/items")
    async def listener(message: Say | Move, audit: Annotated[None, Depends(audit)]) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    'message' is the message, and HERE.Room.on_connect is called for none
      route '/items'
      HERE.Room.on_connect
         └─ HERE.audit
            parameter 'message'
      expected: Payload() in handlers that @on decorates, and in what they need
      remedy: remove the parameter, or move it to a handler
    """,
)
def test_a_message_when_there_is_none(router: WebSocketRouter) -> None:
    def audit(message: Annotated[Say, Payload()]) -> None: ...

    @router.websocket("/items")
    class Room(WebSocketListener):
        async def on_connect(self, audit: Annotated[None, Depends(audit)]) -> None: ...

        @on
        async def say(self, message: Say) -> None: ...


# Handlers


@at_declaration(
    EndpointError,
    """
    HERE.listener is synchronous
      route '/items'
      HERE.listener
      expected: a coroutine function, or an async generator function whose items are sent
      remedy: declare it with async def
    """,
)
def test_a_synchronous_listener(router: WebSocketRouter) -> None:
    def listener(message: Say) -> None: ...

    router.listener("/items")(listener)  # type: ignore[type-var]  # the mistake


@at_declaration(
    EndpointError,
    """
    HERE.stream is a coroutine function
      route '/items'
      HERE.stream
      expected: an async generator function
      remedy: declare it with async def, with yield
    """,
)
def test_a_stream_that_yields_nothing(router: WebSocketRouter) -> None:
    async def stream() -> None: ...

    router.stream("/items")(stream)  # type: ignore[type-var]  # the mistake


@at_declaration(
    EndpointError,
    """
    HERE.Room.on_disconnect is an async generator function
      route '/items'
      HERE.Room.on_disconnect
      expected: a coroutine function
      remedy: declare it with async def
    """,
)
def test_replies_to_a_client_that_has_left(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    class Room(WebSocketListener):
        @on
        async def say(self, message: Say) -> None: ...

        async def on_disconnect(self) -> AsyncIterator[int]:
            yield 1


@at_declaration(
    InvalidParameterError,
    """
    HERE.Room.on_disconnect is declared to return int, for nobody to get
      route '/items'
      HERE.Room.on_disconnect
      expected: -> None: the connection has ended
      remedy: return nothing
    """,
)
def test_a_reply_to_a_client_that_has_left(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    class Room(WebSocketListener):
        @on
        async def say(self, message: Say) -> None: ...

        async def on_disconnect(self) -> int:
            return 1


@at_declaration(
    InvalidParameterError,
    """
    a handler asks for the Response, whose headers have gone out with the accept
      route '/items'
      HERE.listener
         parameter 'response'
      expected: a Response in dependencies that live as long as the connection
      remedy: set headers and cookies in a dependency, or in __init__ of a WebSocketListener
    """,
)
def test_headers_for_an_answer_that_has_been_given(router: WebSocketRouter) -> None:
    @router.listener("/items")
    async def listener(message: Say, response: Response) -> None: ...


@at_declaration(
    EndpointError,
    """
    the listener has no handlers
      HERE.Room
      expected: at least one method that @on decorates
      remedy: write @on above the methods that take messages
    """,
)
def test_a_listener_without_handlers(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    class Room(WebSocketListener):
        async def say(self, message: Say) -> None: ...


@at_declaration(
    EndpointError,
    """
    nobody calls 'on_receive'
      HERE.Room
         └─ HERE.Room.on_receive
      expected: on_connect, on_disconnect, and handlers that @on decorates
      remedy: write @on above it if it takes messages, or give it another name
    """,
)
def test_a_method_that_nobody_calls(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    class Room(WebSocketListener):
        async def on_receive(self, message: Say) -> None: ...


@at_declaration(
    EndpointError,
    """
    'say' takes the place of a handler, and is none itself
      HERE.Room
         └─ HERE.Room.say
      expected: @on above it as well
      remedy: write @on above it, or say = None for no handler
    """,
)
def test_a_handler_that_is_overridden_without_the_decorator(router: WebSocketRouter) -> None:
    class Base(WebSocketListener):
        @on
        async def say(self, message: Say) -> None: ...

    @router.websocket("/items")
    class Room(Base):
        async def say(self, message: Say) -> None: ...


@at_declaration(
    EndpointError,
    """
    a handler is a staticmethod
      HERE.Room
         └─ HERE.Room.say
      expected: a method, which gets the instance of its connection
      remedy: remove @staticmethod
    """,
)
def test_a_handler_without_an_instance(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    class Room(WebSocketListener):
        @staticmethod
        @on
        async def say(message: Say) -> None: ...


@at_declaration(
    EndpointError,
    """
    @on decorates MODULE.Say
      @on
      expected: an async def method of a WebSocketListener
      remedy: write @on right above the method
    """,
)
def test_a_handler_that_is_no_method(router: WebSocketRouter) -> None:
    on(Say)  # type: ignore[type-var]  # the mistake


@at_declaration(
    EndpointError,
    """
    @router.listener() decorates a class
      route '/items'
      HERE.Room
      expected: an async def function
      remedy: write @router.websocket(path) above a subclass of WebSocketListener
    """,
)
def test_a_class_where_a_function_is_wanted(router: WebSocketRouter) -> None:
    class Room(WebSocketListener):
        @on
        async def say(self, message: Say) -> None: ...

    router.listener("/items")(Room)  # type: ignore[type-var]  # the mistake


# Options


@at_declaration(
    InvalidParameterError,
    """
    idle_timeout= is about the messages of a listener, and HERE.endpoint is an endpoint, which reads its messages itself
      route '/items'
      HERE.endpoint
      expected: idle_timeout= at a listener, or at a router for the listeners below it
      remedy: remove idle_timeout=, or declare a listener: @router.listener(path)
    """,
)
def test_an_option_for_messages_at_an_endpoint(router: WebSocketRouter) -> None:
    @router.websocket("/items", idle_timeout=10)
    async def endpoint(websocket: WebSocket) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    max_message_size= is about the messages of a listener, and HERE.stream is a stream, which takes no messages
      route '/items'
      HERE.stream
      expected: max_message_size= at a listener, or at a router for the listeners below it
      remedy: remove max_message_size=, or declare a listener: @router.listener(path)
    """,
)
def test_an_option_for_messages_at_a_stream(router: WebSocketRouter) -> None:
    @router.stream("/items", max_message_size=10)
    async def stream() -> AsyncIterator[int]:
        yield 1


@at_declaration(RouterError, "idle_timeout=0 cannot be. It is a number of seconds above 0; math.inf for no limit.")
def test_an_option_with_a_value_that_it_cannot_have(router: WebSocketRouter) -> None:
    @router.listener("/items", idle_timeout=0)
    async def listener(message: Say) -> None: ...
