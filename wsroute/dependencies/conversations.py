"""From a listener, or a stream, to the tree of what its handlers need.

Data: `Listener` in, `Dependant` out, whose `conversation` has a tree for each handler. What all messages share stands
in the trees like anything else, with the lifetime of the connection; what is made for each message has the lifetime
`"message"`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin

from wsroute.dependencies.analysis import Analysis, Undecided, effect_marker
from wsroute.dependencies.annotations import type_name
from wsroute.dependencies.callables import Form, describe, form_of
from wsroute.dependencies.lifetimes import check_outlives_messages
from wsroute.dependencies.markers import DependsMarker
from wsroute.dependencies.messages import candidates, check_covers
from wsroute.dependencies.models import Conversation, Dependant, Handler, Special
from wsroute.dependencies.nodes import Given, Place
from wsroute.dependencies.providers import Reach
from wsroute.dependencies.reading import Read
from wsroute.dependencies.signature import EMPTY, get_return
from wsroute.exceptions import EndpointError, InvalidParameterError, Location

#: What an asynchronous generator may be annotated with.
_ITERATORS = (AsyncIterator, AsyncGenerator, AsyncIterable)
#: What is known of the end of a connection, by the names of the parameters that get it.
_ENDS: Mapping[str, Special] = {"code": Special.CODE, "reason": Special.REASON}


class Listener(NamedTuple):
    """What a listener or a stream is declared by.

    Attributes:
        subject: The function; or the class whose methods the handlers are.
        handlers: What is called for messages; of a stream, what makes the items that are sent.
        on_connect, on_disconnect: The methods of these names.
        is_stream: Whether it only sends.
        discriminator: The field by which a message says which of several types it is.
    """

    subject: Any
    handlers: tuple[Callable[..., Any], ...]
    on_connect: Callable[..., Any] | None = None
    on_disconnect: Callable[..., Any] | None = None
    is_stream: bool = False
    discriminator: str = "type"

    @property
    def is_class(self) -> bool:
        """Whether its handlers are methods."""
        return isinstance(self.subject, type)


class ConversationAnalysis(Analysis):
    """Builds the tree of one listener; arguments as those of `Nodes`."""

    def listener(
        self,
        listener: Listener,
        effects: Iterable[Any] = (),
        *,
        interceptors: Iterable[Any] = (),
        permissions: Iterable[Any] = (),
    ) -> Dependant:
        """The tree of a listener, or of a stream.

        Args:
            listener: What it is declared by.
            effects: Markers of dependencies that are run for their effect, outermost level first: once for the
                connection, or before the dependencies of each message.
            interceptors, permissions: As for `Analysis.endpoint`.

        Raises:
            DependencyError: The declaration cannot work.
            Undecided: At declaration only.
        """
        location = Location(self.path, (describe(listener.subject),))
        self._check_names(location)
        around, conditions = self._guards(interceptors, permissions)
        # Whatever runs for its effect is a dependency, as if the listener were an endpoint.
        place = Place(stack=(None,))
        ran = tuple(self._dependency(effect_marker(value, location), None, location, place) for value in effects)
        per_message = tuple(node for node in ran if node.lifetime == "message")
        handlers = tuple(self._for_messages(listener, call, per_message) for call in listener.handlers)
        conversation = Conversation(
            handlers,
            listener.is_stream,
            listener.discriminator,
            self._beside_messages(listener, listener.on_connect, {}),
            self._beside_messages(listener, listener.on_disconnect, _ENDS),
        )
        root = self._instance(listener) if listener.is_class else handlers[0].node
        if self._left_open:
            raise Undecided
        return root._replace(
            effects=ran, lifetime="connection", interceptors=around, permissions=conditions, conversation=conversation
        )

    def _instance(self, listener: Listener) -> Dependant:
        """What makes the object that the methods belong to: once for the connection."""
        node = self._dependency(
            DependsMarker(listener.subject), None, Location(self.path), Place(stack=(None,)), Reach()
        )
        check_outlives_messages(
            node,
            what=f"{describe(listener.subject)} is made once for the connection, and",
            remedy="move the parameter to the handlers that need it, or leave scope= out",
        )
        return node

    def _for_messages(self, listener: Listener, call: Callable[..., Any], effects: tuple[Dependant, ...]) -> Handler:
        """A handler that is called for each message; or once, in a stream."""
        location = Location(self.path, (describe(call),))
        message: Mapping[str, Special] = {}
        if not listener.is_stream:
            found = self._message_in(listener, call, location)
            message = {} if found is None else {found.name: Special.MESSAGE}
        handler = self._handler(listener, call, message, location)
        if listener.is_stream:
            lifetime = "message" if effects else handler.node.lifetime
            check_outlives_messages(
                handler.node._replace(effects=effects, lifetime=lifetime),
                what=f"{location.chain[-1]} is a stream, which has no messages, and",
                remedy="give it scope='connection' or scope='function', or leave scope= out",
            )
            return handler
        for node in handler.node.walk():
            for item in node.special_params:
                if item.special is Special.MESSAGE and node is not handler.node and message:
                    check_covers(item.cls, handler.message, node.location.at(item.name))
        return handler._replace(node=handler.node._replace(effects=effects, lifetime="message"))

    def _beside_messages(
        self, listener: Listener, call: Callable[..., Any] | None, named: Mapping[str, Special]
    ) -> Handler | None:
        """What is called when a connection begins, or has ended. What lives for a message lives for this call."""
        if call is None:
            return None
        location = Location(self.path, (describe(call),))
        handler = self._handler(listener, call, named, location)
        for node in handler.node.walk():
            for item in node.special_params:
                if item.special is Special.MESSAGE:
                    raise InvalidParameterError(
                        node.location.at(item.name),
                        problem=f"{item.name!r} is the message, and {location.chain[-1]} is called for none",
                        expected="Payload() in handlers that @on decorates, and in what they need",
                        remedy="remove the parameter, or move it to a handler",
                    )
        if named:
            _check_comes_last(handler, location)
            handler = handler._replace(reply=None)
        return handler._replace(node=handler.node._replace(lifetime="message"))

    def _handler(
        self, listener: Listener, call: Callable[..., Any], named: Mapping[str, Special], location: Location
    ) -> Handler:
        form = form_of(call)
        _check_form(form, listener, call, location)
        given: tuple[Given, ...] = (DependsMarker(listener.subject),) if listener.is_class else ()
        place = Place(reach=Reach(), is_endpoint=True, named=named)
        node = self._node(call, DependsMarker(call), None, location, place, (), given)
        for item in node.special_params:
            if item.special is Special.RESPONSE:
                raise InvalidParameterError(
                    location.at(item.name),
                    problem="a handler asks for the Response, whose headers have gone out with the accept",
                    expected="a Response in dependencies that live as long as the connection",
                    remedy="set headers and cookies in a dependency, or in __init__ of a WebSocketListener",
                )
        return Handler(node, self._reply(call, form, location))

    def _message_in(self, listener: Listener, call: Callable[..., Any], location: Location) -> Read | None:
        """The parameter that gets the message; nothing at declaration, if an outer level may decide which one it is."""
        signature = self._signature(call, location)[1 if listener.is_class else 0 :]
        found = candidates(signature, self._is_taken)
        if len(found) == 1:
            return found[0]
        if not self.final and (found or any(read.missing for read in signature)):
            self._left_open = True
            return None
        for missing in (read for read in signature if read.missing and read.marker is None):
            self._unresolved(missing.missing, location.at(missing.name))
        if found:
            listed = " and ".join(repr(read.name) for read in found)
            raise InvalidParameterError(
                location.at(found[1].name),
                problem=f"{listed} could each be the message",
                expected="one parameter that gets the message",
                remedy=f"write Annotated[{type_name(found[0].type)}, Payload()] for one, and a marker for the other",
            )
        raise InvalidParameterError(
            location,
            problem=f"no parameter of {location.chain[-1]} gets the message",
            expected="a parameter without a marker that is a model, a dataclass, a TypedDict, a union of these, dict, "
            "bytes or str",
            remedy="add one, or write Annotated[..., Payload()] for a message of another type",
        )

    def _is_taken(self, name: str) -> bool:
        return name in self._path_names or self.providers.find(name, Reach()) is not None

    def _reply(self, call: Callable[..., Any], form: Form, location: Location) -> Any:
        """The type of what a handler sends."""
        returned = get_return(call, self.names, location)
        if returned.missing:
            self._unresolved(returned.missing, location.at("return"))
            return EMPTY
        annotation = returned.annotation
        is_iterator = get_origin(annotation) in _ITERATORS or annotation in _ITERATORS
        if form is Form.ASYNC_GENERATOR and annotation is not EMPTY:
            if not is_iterator:
                raise EndpointError(
                    location,
                    problem=f"{location.chain[-1]} yields what is sent, and is declared to return "
                    f"{type_name(annotation)}",
                    expected="AsyncIterator[...] of the type of the items",
                    remedy="write -> AsyncIterator[...]",
                )
            return next(iter(get_args(annotation)), EMPTY)
        if is_iterator:
            raise EndpointError(
                location,
                problem=f"{location.chain[-1]} is declared to return an iterator, and yields nothing itself",
                expected="async def with yield, or the type of one reply",
                remedy="write `async for item in ...: yield item` in it",
            )
        return annotation


def _check_comes_last(handler: Handler, location: Location) -> None:
    """Check that what is called when a connection has ended asks for nothing that has ended with it."""
    if handler.reply not in (None, NoneType, EMPTY):
        raise InvalidParameterError(
            location,
            problem=f"{location.chain[-1]} is declared to return {type_name(handler.reply)}, for nobody to get",
            expected="-> None: the connection has ended",
            remedy="return nothing",
        )
    for item in handler.node.special_params:
        if item.special is Special.TASK_GROUP:
            raise InvalidParameterError(
                location.at(item.name),
                problem=f"{location.chain[-1]} asks for a TaskGroup, and the connection's tasks have ended with it",
                expected="a TaskGroup in on_connect and in handlers",
                remedy="do what is left to do in it, or ask for BackgroundTasks",
            )


def _check_form(form: Form, listener: Listener, call: Callable[..., Any], location: Location) -> None:
    wanted = (Form.ASYNC_GENERATOR,) if listener.is_stream else (Form.COROUTINE, Form.ASYNC_GENERATOR)
    if call is listener.on_disconnect:
        wanted = (Form.COROUTINE,)
    if form in wanted:
        return
    article = "an" if form.value.startswith("a") else "a"
    found = f"{article} {form.value} function" if form.is_context or form is Form.COROUTINE else "synchronous"
    what = "an async generator function" if wanted[0] is Form.ASYNC_GENERATOR else "a coroutine function"
    raise EndpointError(
        location,
        problem=f"{location.chain[-1]} is {found}",
        expected=what if len(wanted) == 1 else f"{what}, or an async generator function whose items are sent",
        remedy="declare it with async def, with yield" if listener.is_stream else "declare it with async def",
    )
