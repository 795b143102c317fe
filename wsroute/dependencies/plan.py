"""From the tree to the flat list of what happens on a connection, in order.

Everything that could vary is settled here: which uses share one value, what runs when, what lives how long, which
WebSocket class the connection gets. A plan is data; `Plan.explain()` prints it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from starlette.websockets import WebSocket

from wsroute.dependencies.callables import Form, describe, identity
from wsroute.dependencies.fields import ParamField
from wsroute.dependencies.models import LIFETIMES, Dependant, Lifetime, Special, SpecialParam
from wsroute.dependencies.source import Names
from wsroute.exceptions import InvalidParameterError, Location

#: Names that the generated source uses for itself.
RESERVED = frozenset(
    {
        "ValidationError",
        "EndpointTasks",
        "Exits",
        "connection",
        "cookies",
        "copy_context",
        "every_cookie",
        "every_header",
        "every_query",
        "ended",
        "error",
        "every_path",
        "finish",
        "function",
        "group_source",
        "handshake_response",
        "headers",
        "invalid",
        "in_thread",
        "is_disconnect",
        "partial",
        "path",
        "query",
        "read_cookies",
        "read_headers",
        "read_query",
        "request_view",
        "run",
        "run_background",
        "scope",
        "solve",
        "UNSET",
    }
)

SOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class Value:
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


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call: which variable goes into which parameter."""

    parameter: str
    variable: str
    positional_only: bool


@dataclass(frozen=True, slots=True)
class Step:
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

    @property
    def takes_socket(self) -> bool:
        """Whether it is handed the WebSocket, and so could end the connection."""
        return any(argument.variable == SOCKET for argument in self.arguments)

    @property
    def can_share_hop(self) -> bool:
        """Whether it can run in one worker-thread hop together with its neighbours."""
        return self.threaded and self.form is Form.VALUE and self.limit is None and not self.takes_socket


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What happens on a connection.

    Attributes:
        steps: The calls in their order; the last one is the endpoint.
        values: What of the connection they use, beside the socket.
    """

    steps: tuple[Step, ...]
    values: tuple[Value, ...]

    @property
    def dependencies(self) -> tuple[Step, ...]:
        """All steps but the endpoint."""
        return self.steps[:-1]

    @property
    def endpoint(self) -> Step:
        """The last step."""
        return self.steps[-1]

    def by_lifetime(self) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """The dependencies that live as long as the connection, and those that close before them."""
        outer = tuple(step for step in self.dependencies if step.lifetime == LIFETIMES[0])
        return outer, self.dependencies[len(outer) :]

    def value_of(self, special: Special) -> Value | None:
        """The first value of one kind, if the plan has one."""
        return next((value for value in self.values if value.special is special), None)

    def explain(self) -> str:
        """The plan as text, one line for each step: what runs, with what, where, and for how long it lives."""
        number = count(1)
        rows = []
        for hop in hops(self.dependencies):
            rows += [(str(next(number)), step.target, _call(step), _manner(step, len(hop))) for step in hop]
        rows.append((str(next(number)), "", _call(self.endpoint), "the endpoint"))
        width = max(len(target) for _, target, _, _ in rows)
        digits = len(rows[-1][0])
        lines = (
            f"{at:>{digits}}  {target:<{width}} {'=' if target else ' '} {call}  # {manner}"
            for at, target, call, manner in rows
        )
        return "\n".join(lines)


def hops(steps: Iterable[Step]) -> Iterator[tuple[Step, ...]]:
    """Steps, those together that can share one worker-thread hop."""
    hop: tuple[Step, ...] = ()
    for step in steps:
        if hop and step.can_share_hop and hop[-1].can_share_hop:
            hop = (*hop, step)
            continue
        if hop:
            yield hop
        hop = (step,)
    if hop:
        yield hop


def make_plan(dependant: Dependant) -> Plan:
    """Flatten a tree: depth first, in the order of the signatures, each shared dependency once."""
    planner = _Planner(dependant)
    planner.visit(dependant, ())
    steps = planner.steps
    if any(step.lifetime != LIFETIMES[0] for step in steps):
        # What lives longer is opened first, so that closing is last-opened-first throughout. The sort is stable, and
        # nothing needs what lives shorter, so every step still comes after what it needs.
        steps = [*sorted(steps[:-1], key=lambda step: LIFETIMES.index(step.lifetime)), steps[-1]]
    return Plan(tuple(steps), tuple(planner.values.values()))


class _Planner:
    def __init__(self, root: Dependant) -> None:
        self._root = root
        self.steps: list[Step] = []
        self.values: dict[Hashable, Value] = {}
        self._names = Names((*RESERVED, SOCKET))
        self._targets: dict[int, str] = {}
        self._keys: dict[Hashable, int] = {}
        self._key_of: dict[tuple[int, tuple[str, ...]], int] = {}
        # The first parameter that gets its value names a dependency, also where it is run for its effect before.
        self._wanted: dict[Hashable, str] = {}
        for node in root.walk():
            if node.name is not None:
                self._wanted.setdefault(identity(node.call), node.name)

    def visit(self, node: Dependant, oauth_scopes: tuple[str, ...]) -> str:
        """Plan one use of a dependency, unless an earlier one serves; the variable that holds its value."""
        oauth_scopes = tuple(dict.fromkeys((*oauth_scopes, *node.own_oauth_scopes)))
        key = self._key(node, oauth_scopes)
        if node.use_cache and key in self._targets:
            # Before anything below is planned: a shared parent does not make its unshared child run again.
            return self._targets[key]
        for effect in node.effects:
            self.visit(effect, oauth_scopes)
        arguments = []
        field_targets = []
        for item in node.arguments:
            if isinstance(item, Dependant):
                variable = self.visit(item, oauth_scopes)
            elif isinstance(item, SpecialParam):
                variable = self._value(item, oauth_scopes)
            else:
                variable = self._names.take(item.name)
                field_targets.append(variable)
            arguments.append(Argument(item.name or "", variable, item.name in node.positional_only))
        wanted = node.name or self._wanted.get(identity(node.call))
        target = self._names.take(wanted) if wanted and node is not self._root else ""
        if node.use_cache:
            self._targets[key] = target
        self.steps.append(
            Step(
                target,
                node.call,
                node.form,
                node.threaded,
                tuple(arguments),
                node.params,
                tuple(field_targets),
                node.lifetime,
                node.limit,
                node.location,
            )
        )
        return target

    def _key(self, node: Dependant, oauth_scopes: tuple[str, ...]) -> int:
        """A number that is equal for two uses iff they would be the same call with the same arguments."""
        relevant = oauth_scopes if node.uses_scopes else ()
        known = self._key_of.get((id(node), relevant))
        if known is not None:
            return known
        below = tuple(
            (child.use_cache, self._key(child, tuple(dict.fromkeys((*relevant, *child.own_oauth_scopes)))))
            for child in node.dependencies
        )
        shape = (identity(node.call), node.lifetime, relevant, below)
        key = self._keys.setdefault(shape, len(self._keys))
        self._key_of[id(node), relevant] = key
        return key

    def _value(self, param: SpecialParam, oauth_scopes: tuple[str, ...]) -> str:
        if param.special is Special.WEBSOCKET:
            return SOCKET
        if param.special is Special.NONE:
            return "None"
        scopes = oauth_scopes if param.special is Special.SECURITY_SCOPES else ()
        # FastAPI gives one BackgroundTasks to all; whoever asks for a subclass asks for it on behalf of all.
        key = (param.special, param.cls, scopes)
        if key not in self.values:
            name = self._names.take(param.special.value)
            self.values[key] = Value(name, param.special, param.cls, scopes)
        return self.values[key].target


def websocket_class(dependant: Dependant) -> type[WebSocket]:
    """The class that the WebSocket of a connection has to be an instance of, for all parameters that ask for one.

    Raises:
        InvalidParameterError: Two of them ask for classes that no object can have together.
    """
    asked = [
        (node.location.at(param.name), param.cls)
        for node in dependant.walk()
        for param in node.special_params
        if param.special is Special.WEBSOCKET
    ]
    chosen: type[WebSocket] = WebSocket
    for _, cls in asked:
        if issubclass(cls, chosen):
            chosen = cls
    for location, cls in asked:
        if not issubclass(chosen, cls):
            raise InvalidParameterError(
                location,
                problem=f"{describe(cls)} and {describe(chosen)} are asked for on one connection, which has "
                "one WebSocket",
                expected="classes of which one is a subclass of all others",
                remedy="annotate with a common subclass, or with WebSocket",
            )
    return chosen


def _call(step: Step) -> str:
    sources = {
        target: f"{field.source} {field.alias!r}" for target, field in zip(step.field_targets, step.fields, strict=True)
    }
    shown = ", ".join(
        sources.get(argument.variable, argument.variable)
        if argument.parameter == argument.variable and argument.variable not in sources
        else f"{argument.parameter}={sources.get(argument.variable, argument.variable)}"
        for argument in step.arguments
    )
    return f"{describe(step.call)}({shown})"


def _manner(step: Step, hop: int) -> str:
    words = [step.form.value if step.form.is_context or step.form is Form.COROUTINE else "call"]
    if step.threaded:
        words.append("in a worker thread" if hop == 1 else f"in a worker thread, {hop} in one hop")
    if step.limit is not None:
        words.append("limited")
    if step.form.is_context:
        words.append(f"open until the {step.lifetime} ends")
    return ", ".join(words)
