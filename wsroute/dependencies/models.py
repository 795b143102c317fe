"""The tree of what an endpoint needs: immutable, complete, and without any behaviour."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

from wsroute.dependencies.callables import Form, describe
from wsroute.dependencies.fields import ParamField
from wsroute.exceptions import Location
from wsroute.params import Source

#: How long a value lives. `"request"` is FastAPI's word for `"connection"` and does not occur below the markers.
Lifetime: TypeAlias = Literal["app", "connection", "function", "message"]

#: From the longest to the shortest; a dependency may need what comes before it, and its own.
LIFETIMES: tuple[Lifetime, ...] = ("app", "connection", "function", "message")


class Special(enum.Enum):
    """What a parameter can get from the connection itself, by its annotation."""

    WEBSOCKET = "websocket"
    REQUEST = "request"
    RESPONSE = "response"
    BACKGROUND_TASKS = "background_tasks"
    SECURITY_SCOPES = "security_scopes"
    TASK_GROUP = "task_group"
    ROUTE = "route"
    CALL_NEXT = "call_next"
    MESSAGE = "message"
    CODE = "code"
    REASON = "reason"
    NONE = "none"


class SpecialParam(NamedTuple):
    """A parameter that gets something of the connection.

    Attributes:
        name: The parameter.
        special: What it gets.
        cls: The class that its annotation asks for; an instance of exactly that class, or of a subclass, is given. Of
            the message, the type that it is validated as.
    """

    name: str
    special: Special
    cls: Any


class Dependant(NamedTuple):
    """One callable and all that it needs.

    Attributes:
        call: The callable.
        name: The parameter of the parent that gets its value; `None` for the endpoint and for what is run for its
            effect only.
        path: The path of the route.
        arguments: What each parameter gets, in the order of the signature.
        effects: Dependencies that are run for their effect, before the arguments.
        positional_only: The names of parameters that must be handed over by position.
        form: What calling it gives.
        threaded: Whether it runs in a worker thread.
        use_cache: Whether another use of the same callable may share its value.
        scope: The lifetime that the declaration asks for, or `None`.
        lifetime: How long its value lives.
        own_oauth_scopes: The security scopes that this declaration adds for itself and everything below it.
        uses_scopes: Whether it, or anything below it, asks for the security scopes.
        limit: The concurrency limit of the declaration, if it has one.
        location: Where it was found, for error messages.
        interceptors: Of an endpoint, what is called around all the rest, outermost first.
        permissions: Of an endpoint, what is asked before its dependencies.
        conversation: Of a listener or a stream, what is called in the course of a connection.
    """

    call: Callable[..., Any]
    name: str | None
    path: str | None
    arguments: tuple[Argument, ...]
    effects: tuple[Dependant, ...]
    positional_only: frozenset[str]
    form: Form
    threaded: bool
    use_cache: bool
    scope: str | None
    lifetime: Lifetime
    own_oauth_scopes: tuple[str, ...]
    uses_scopes: bool
    limit: Any
    location: Location
    interceptors: tuple[Dependant, ...] = ()
    permissions: tuple[Condition, ...] = ()
    conversation: Conversation | None = None

    # A tuple, since a frozen dataclass takes four times as long to make; but two nodes are two, however alike they are.

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return id(self)

    @property
    def dependencies(self) -> tuple[Dependant, ...]:
        """All direct sub-dependencies in the order in which they are resolved."""
        return (*self.effects, *[item for item in self.arguments if isinstance(item, Dependant)])

    @property
    def params(self) -> tuple[ParamField, ...]:
        """The parameters that the handshake fills, in the order of the signature."""
        return tuple(item for item in self.arguments if isinstance(item, ParamField))

    @property
    def path_params(self) -> tuple[ParamField, ...]:
        """Parameters from the path."""
        return self._from("path")

    @property
    def query_params(self) -> tuple[ParamField, ...]:
        """Parameters from the query string."""
        return self._from("query")

    @property
    def header_params(self) -> tuple[ParamField, ...]:
        """Parameters from headers."""
        return self._from("header")

    @property
    def cookie_params(self) -> tuple[ParamField, ...]:
        """Parameters from cookies."""
        return self._from("cookie")

    @property
    def special_params(self) -> tuple[SpecialParam, ...]:
        """Parameters that get something of the connection itself."""
        return tuple(item for item in self.arguments if isinstance(item, SpecialParam))

    def walk(self) -> Iterator[Dependant]:
        """This node and every node below it, each once, in the order of the declarations."""
        seen: set[int] = set()
        waiting = [self]
        while waiting:
            node = waiting.pop()
            if id(node) not in seen:
                seen.add(id(node))
                yield node
                waiting += reversed(node.dependencies)
                if node.conversation is not None:
                    waiting += reversed([handler.node for handler in node.conversation.calls])
                if node.interceptors or node.permissions:
                    asked = (question for condition in node.permissions for question in condition.questions())
                    waiting += reversed((*node.interceptors, *asked))

    def __repr__(self) -> str:
        needs = ", ".join(item.name or "" for item in self.arguments)
        return f"<Dependant {describe(self.call)}({needs})>"

    def _from(self, source: Source) -> tuple[ParamField, ...]:
        return tuple(field for field in self.params if field.source == source)


class Condition(NamedTuple):
    """A permission, or an expression of several.

    Attributes:
        operator: `"ask"` for one permission, else how its operands combine.
        operands: The conditions that it combines.
        question: Of one permission, the call that answers.
        permission: The permission or the expression, whose message a denial carries.
    """

    operator: Literal["ask", "and", "or", "not"]
    operands: tuple[Condition, ...]
    question: Dependant | None
    permission: Any

    def questions(self) -> Iterator[Dependant]:
        """The calls that answer, in the order in which they are asked."""
        if self.question is not None:
            yield self.question
        for operand in self.operands:
            yield from operand.questions()


class Handler(NamedTuple):
    """One callable of a conversation.

    Attributes:
        node: The call and all that it needs. What lives as long as a message lives as long as the call.
        reply: The type of what it returns, or of the items that it yields; `EMPTY` where it does not say.
    """

    node: Dependant
    reply: Any

    @property
    def message(self) -> Any:
        """The type of the messages that it is called for; `None` if it is not called for messages."""
        asked = (item.cls for item in self.node.special_params if item.special is Special.MESSAGE)
        return next(asked, None)


class Conversation(NamedTuple):
    """What is called in the course of a connection, once it is accepted.

    Attributes:
        handlers: What is called for messages; of a stream, what makes the items that are sent.
        is_stream: Whether it only sends.
        discriminator: The field by which a message says which of several types it is.
        on_connect: What is called before the first message.
        on_disconnect: What is called when the connection has ended, with its code and reason.
    """

    handlers: tuple[Handler, ...]
    is_stream: bool
    discriminator: str
    on_connect: Handler | None = None
    on_disconnect: Handler | None = None

    @property
    def calls(self) -> tuple[Handler, ...]:
        """All of them, in the order in which they may be called."""
        return tuple(filter(None, (self.on_connect, *self.handlers, self.on_disconnect)))


Argument: TypeAlias = Dependant | ParamField | SpecialParam
