"""From the tree to the flat list of what happens on a connection, in order.

Everything that could vary is settled here: which uses share one value, what runs when, what lives how long, which
WebSocket class the connection gets. A plan is data; `Plan.explain()` prints it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple, TypeAlias, TypeVar

from starlette.websockets import WebSocket

from wsroute.dependencies.application import AppValue, app_value
from wsroute.dependencies.callables import Form, describe, identity, short_name
from wsroute.dependencies.fields import ParamField
from wsroute.dependencies.models import Condition, Dependant, Lifetime, Special, SpecialParam
from wsroute.dependencies.source import Names
from wsroute.exceptions import InvalidParameterError, Location

#: Names that the generated source uses for itself.
RESERVED = frozenset(
    {
        "CallNext",
        "EndpointTasks",
        "Exits",
        "ValidationError",
        "application",
        "call_next",
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
        "forbidden",
        "function",
        "granted",
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
        "values_of",
    }
)

SOCKET = "websocket"

_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


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


#: Whatever a plan has a line for.
AnyStep: TypeAlias = Step | Check | Shared


class Stage(NamedTuple):
    """Some steps, and the call that they are for: an interceptor, in which the next stage runs, or the endpoint.

    Attributes:
        steps: What comes before the call.
        call: The call.
    """

    steps: tuple[AnyStep, ...]
    call: Step

    def by_lifetime(self) -> tuple[tuple[AnyStep, ...], tuple[AnyStep, ...]]:
        """The steps before the call that live as long as the connection, and those that close before them."""
        outer = tuple(step for step in self.steps if _lifetime(step) != "function")
        return outer, self.steps[len(outer) :]

    @property
    def calls(self) -> tuple[Step, ...]:
        """All calls of this stage, in their order."""
        return (*_calls(self.steps), self.call)


@dataclass(frozen=True, eq=False)
class Plan:
    """What happens on a connection.

    Attributes:
        steps: The calls in their order; the last one is the endpoint.
        values: What of the connection they use, beside the socket.
    """

    steps: tuple[AnyStep, ...]
    values: tuple[Value, ...]

    @property
    def calls(self) -> tuple[Step, ...]:
        """All calls, those that permissions make included."""
        return _calls(self.steps)

    @property
    def endpoint(self) -> Step:
        """The last step."""
        return self.calls[-1]

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The steps, cut behind each interceptor."""
        stages = []
        before: list[AnyStep] = []
        for step in self.steps:
            if isinstance(step, Step) and (step.is_interceptor or step is self.steps[-1]):
                stages.append(Stage(tuple(before), step))
                before = []
            else:
                before.append(step)
        return tuple(stages)

    def value_of(self, special: Special) -> Value | None:
        """The first value of one kind, if the plan has one."""
        return next((value for value in self.values if value.special is special), None)

    def explain(self) -> str:
        """The plan as text, one line for each step: what runs, with what, where, and for how long it lives."""
        rows = [row for hop in hops(self.steps[:-1]) for step in hop for row in _rows(step, len(hop))]
        rows.append(("", _call(self.endpoint), "the endpoint"))
        width = max(len(target) for target, _, _ in rows)
        digits = len(str(len(rows)))
        lines = (
            f"{number:>{digits}}  {target:<{width}} {'=' if target else ' '} {call}  # {manner}"
            for number, (target, call, manner) in enumerate(rows, start=1)
        )
        return "\n".join(lines)


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


def make_plan(dependant: Dependant) -> Plan:
    """Flatten a tree: depth first, in the order of the signatures, each shared dependency once."""
    planner = _Planner(dependant)
    for interceptor in dependant.interceptors:
        planner.steps.append(planner.step(interceptor, (), is_interceptor=True))
    for condition in dependant.permissions:
        calls = tuple(planner.step(question, ()) for question in condition.questions())
        planner.steps.append(Check(condition, calls))
    planner.visit(dependant, ())
    steps = planner.steps
    if any(_lifetime(step) == "function" for step in steps):
        # What lives longer is opened first, so that closing is last-opened-first throughout. The sort is stable,
        # interceptors and permissions come first in it, and nothing needs what lives shorter, so every step still
        # comes after what it needs.
        steps = [*sorted(steps[:-1], key=lambda step: _lifetime(step) == "function"), steps[-1]]
    return Plan(tuple(steps), tuple(planner.values.values()))


def _calls(steps: Iterable[AnyStep]) -> tuple[Step, ...]:
    return tuple(chain.from_iterable(step.calls for step in steps))


def _lifetime(step: AnyStep) -> Lifetime:
    # What permissions need, and values of the application, are there for the whole connection.
    return step.lifetime if isinstance(step, Step) else "connection"


class _Planner:
    def __init__(self, root: Dependant) -> None:
        self._root = root
        self.steps: list[AnyStep] = []
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
        step: Step | Shared
        if node.lifetime == "app":
            step = Shared(self._target(node), app_value(node))
        else:
            step = self.step(node, oauth_scopes)
        if node.use_cache:
            self._targets[key] = step.target
        self.steps.append(step)
        return step.target

    def step(self, node: Dependant, oauth_scopes: tuple[str, ...], *, is_interceptor: bool = False) -> Step:
        """Plan what a call needs, and make its step."""
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
        return Step(
            self._target(node),
            node.call,
            node.form,
            node.threaded,
            tuple(arguments),
            node.params,
            tuple(field_targets),
            node.lifetime,
            node.limit,
            node.location,
            _short_name(node.call),
            is_interceptor,
        )

    def _target(self, node: Dependant) -> str:
        """The variable for the value of a dependency; empty if nothing asks for it."""
        wanted = node.name or self._wanted.get(identity(node.call))
        return self._names.take(wanted) if wanted and node is not self._root else ""

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
        if param.special is Special.CALL_NEXT:
            return "call_next"
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
        (node, param)
        for node in dependant.walk()
        for param in node.arguments
        if isinstance(param, SpecialParam) and param.special is Special.WEBSOCKET
    ]
    chosen: type[WebSocket] = WebSocket
    for _, param in asked:
        if issubclass(param.cls, chosen):
            chosen = param.cls
    for node, param in asked:
        if not issubclass(chosen, cls := param.cls):
            raise InvalidParameterError(
                node.location.at(param.name),
                problem=f"{describe(cls)} and {describe(chosen)} are asked for on one connection, which has "
                "one WebSocket",
                expected="classes of which one is a subclass of all others",
                remedy="annotate with a common subclass, or with WebSocket",
            )
    return chosen


def _short_name(call: Any) -> str:
    """The name of a callable; of the method of a permission or an interceptor, that of its class: `is_member`."""
    if inspect.ismethod(call) and call.__name__ in ("has_permission", "intercept"):
        return _CASE.sub("_", type(call.__self__).__name__).lower()
    return short_name(call)


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


def _rows(step: AnyStep, hop: int) -> list[tuple[str, str, str]]:
    """What an explanation says of a step: its variable, its call, and how that is done."""
    if isinstance(step, Shared):
        return [(step.target, f"{step.value.name}()", "once for the application")]
    if isinstance(step, Step):
        return [(step.target, _call(step), _manner(step, hop))]
    said = "a permission" if len(step.calls) == 1 else f"one of {len(step.calls)} permissions in one rule"
    return [("", _call(call), f"{said}, {_manner(call, 1)}") for call in step.calls]


def _manner(step: Step, hop: int) -> str:
    words = [step.form.value if step.form.is_context or step.form is Form.COROUTINE else "call"]
    if step.threaded:
        words.append("in a worker thread" if hop == 1 else f"in a worker thread, {hop} in one hop")
    if step.limit is not None:
        words.append("limited")
    if step.is_interceptor:
        words.append("an interceptor around all that follows")
    if step.form.is_context:
        words.append(f"open until the {step.lifetime} ends")
    return ", ".join(words)
