"""What a plan consists of: calls, permissions that are asked, values of the application, and what all of them use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple, TypeAlias, TypeVar

from wsroute.dependencies.application import AppValue
from wsroute.dependencies.callables import Form
from wsroute.dependencies.fields import ParamField
from wsroute.dependencies.models import Condition, Lifetime, Special
from wsroute.exceptions import Location

#: The variable of the WebSocket.
SOCKET = "websocket"


class Value(NamedTuple):
    """Something of the connection that steps use, made once at the start.

    Attributes:
        target: The variable that holds it.
        special: What it is.
        cls: Its class.
        oauth_scopes: For security scopes, what they hold.
    """

    target: str
    special: Special
    cls: type[Any]
    oauth_scopes: tuple[str, ...] = ()


class Argument(NamedTuple):
    """One argument of a call: which variable goes into which parameter."""

    parameter: str
    variable: str
    positional_only: bool


class Step(NamedTuple):
    """One call.

    Attributes:
        target: The variable that gets its value; empty where nothing asks for it.
        call: The callable.
        form: What calling it gives.
        threaded: Whether it runs in a worker thread.
        arguments: What it is called with, in the order of its signature.
        fields: The parameters that are read and validated just before it.
        field_targets: The variables that get them, in the same order.
        lifetime: How long its value lives.
        limit: The concurrency limit of its declaration, if any.
        location: Where it is declared.
        name: What generated code calls the callable.
        is_interceptor: Whether all that follows runs inside of it, when it calls `call_next`.
    """

    target: str
    call: Any
    form: Form
    threaded: bool
    arguments: tuple[Argument, ...]
    fields: tuple[ParamField, ...]
    field_targets: tuple[str, ...]
    lifetime: Lifetime
    limit: Any
    location: Location
    name: str
    is_interceptor: bool = False

    @property
    def calls(self) -> tuple[Step, ...]:
        """The calls that it makes: itself."""
        return (self,)

    @property
    def takes_socket(self) -> bool:
        """Whether it is handed the WebSocket, and so could end the connection."""
        return any(argument.variable == SOCKET for argument in self.arguments)

    @property
    def can_share_hop(self) -> bool:
        """Whether it can run in one worker-thread hop together with its neighbours."""
        return self.threaded and self.form is Form.VALUE and self.limit is None and not self.takes_socket


class Check(NamedTuple):
    """A permission, or an expression of several, without which the connection is refused.

    Attributes:
        condition: How the answers combine; its questions are asked from left to right, and no more than it takes.
        calls: The calls of these questions, in the same order.
    """

    condition: Condition
    calls: tuple[Step, ...]

    @property
    def lifetime(self) -> Lifetime:
        """How long what it needs lives."""
        return "connection"

    @property
    def takes_socket(self) -> bool:
        """Whether it is handed the WebSocket, and so could end the connection."""
        return True

    @property
    def can_share_hop(self) -> bool:
        """Whether it can run in one worker-thread hop together with its neighbours."""
        return False


class Shared(NamedTuple):
    """A value of the application, which is built if this connection is the first to need it.

    Attributes:
        target: The variable that gets it.
        value: What it is.
    """

    target: str
    value: AppValue

    @property
    def lifetime(self) -> Lifetime:
        """How long its value lives."""
        return "app"

    @property
    def calls(self) -> tuple[Step, ...]:
        """The calls that it makes: none of this connection's own."""
        return ()

    @property
    def takes_socket(self) -> bool:
        """Whether it is handed the WebSocket."""
        return False

    @property
    def can_share_hop(self) -> bool:
        """Whether it can run in one worker-thread hop together with its neighbours."""
        return False


class Turn(NamedTuple):
    """One call in the course of a conversation: for a message, when it begins, or when it has ended.

    Attributes:
        name: What generated code calls the function that does it.
        steps: What is made for this call alone, and closed after it.
        call: The call of the handler.
        reply: The type of what is sent.
        values: What of the connection is made anew for each call.
    """

    name: str
    steps: tuple[AnyStep, ...]
    call: Step
    reply: Any
    values: tuple[Value, ...]

    @property
    def calls(self) -> tuple[Step, ...]:
        """All calls of a turn, in their order."""
        return (*calls_of(self.steps), self.call)


class Exchange(NamedTuple):
    """What a connection of a listener, or of a stream, is for, once it is accepted.

    Attributes:
        call: The function or the class that was declared.
        handlers: A turn for each handler.
        on_connect: The turn before the first message.
        on_disconnect: The turn after the end.
        is_stream: Whether it only sends.
    """

    call: Any
    handlers: tuple[Turn, ...]
    on_connect: Turn | None
    on_disconnect: Turn | None
    is_stream: bool

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All turns, in the order in which they may be taken."""
        return tuple(filter(None, (self.on_connect, *self.handlers, self.on_disconnect)))

    @property
    def calls(self) -> tuple[Step, ...]:
        """All calls of all turns."""
        return tuple(chain.from_iterable(turn.calls for turn in self.turns))


#: Whatever comes before an endpoint, or a conversation.
AnyStep: TypeAlias = Step | Check | Shared


StepT = TypeVar("StepT", bound=AnyStep)


def hops(steps: Iterable[StepT]) -> Iterator[tuple[StepT, ...]]:
    """Steps, those together that can share one worker-thread hop."""
    hop: tuple[StepT, ...] = ()
    for step in steps:
        if hop and step.can_share_hop and hop[-1].can_share_hop:
            hop = (*hop, step)
            continue
        if hop:
            yield hop
        hop = (step,)
    if hop:
        yield hop


def calls_of(steps: Iterable[AnyStep]) -> tuple[Step, ...]:
    """All calls that some steps make, in their order."""
    return tuple(chain.from_iterable(step.calls for step in steps))
