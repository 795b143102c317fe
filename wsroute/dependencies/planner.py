"""From the tree to the flat list of what happens on a connection, in order.

Everything that could vary is settled here: which uses share one value, what runs when, what lives how long, which
WebSocket class the connection gets.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Hashable
from typing import Any

from starlette.websockets import WebSocket

from wsroute.dependencies.application import app_value
from wsroute.dependencies.callables import describe, identity, short_name
from wsroute.dependencies.models import Conversation, Dependant, Handler, Special, SpecialParam
from wsroute.dependencies.plan import Plan
from wsroute.dependencies.source import Names
from wsroute.dependencies.steps import SOCKET, AnyStep, Argument, Check, Exchange, Shared, Step, Turn, Value
from wsroute.exceptions import InvalidParameterError

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

#: Names that it uses in the functions of a conversation.
OF_CONVERSATIONS = frozenset(
    {
        "Items",
        "code",
        "converse",
        "create_task_group",
        "item",
        "items",
        "message",
        "reason",
        "reply",
        "turn",
    }
)

_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


#: What is a parameter of the function that is written for a call, or is defined before it.
_NAMED_AS_THEY_ARE = frozenset({Special.CALL_NEXT, Special.MESSAGE, Special.CODE, Special.REASON})


def make_plan(dependant: Dependant) -> Plan:
    """Flatten a tree: depth first, in the order of the signatures, each shared dependency once."""
    planner = _Planner(dependant)
    for interceptor in dependant.interceptors:
        planner.steps.append(planner.step(interceptor, (), is_interceptor=True))
    for condition in dependant.permissions:
        calls = tuple(planner.step(question, ()) for question in condition.questions())
        planner.steps.append(Check(condition, calls))
    exchange = None
    endpoint: list[AnyStep] = []
    if dependant.conversation is None:
        planner.visit(dependant, ())
        endpoint = [planner.steps.pop()]
    else:
        exchange = planner.exchange(dependant, dependant.conversation)
    steps = planner.steps
    if any(step.lifetime == "function" for step in steps):
        # What lives longer is opened first, so that closing is last-opened-first throughout. The sort is stable,
        # interceptors and permissions come first in it, and nothing needs what lives shorter, so every step still
        # comes after what it needs.
        steps = sorted(steps, key=lambda step: step.lifetime == "function")
    return Plan((*steps, *endpoint), tuple(planner.values.values()), exchange)


class _Planner:
    def __init__(self, root: Dependant) -> None:
        self._root = root
        self.steps: list[AnyStep] = []
        self.values: dict[Hashable, Value] = {}
        self._names = Names((*RESERVED, SOCKET, *(OF_CONVERSATIONS if root.conversation else ())))
        self._targets: dict[int, str] = {}
        # What lives as long as one call of a handler.
        self._turn_steps: list[AnyStep] = []
        self._turn_values: dict[Hashable, Value] = {}
        self._turn_targets: dict[int, str] = {}
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
        is_of_turn = node.lifetime == "message"
        targets = self._turn_targets if is_of_turn else self._targets
        if node.use_cache and key in targets:
            # Before anything below is planned: a shared parent does not make its unshared child run again.
            return targets[key]
        step: Step | Shared
        if node.lifetime == "app":
            step = Shared(self._target(node), app_value(node))
        else:
            step = self.step(node, oauth_scopes)
        if node.use_cache:
            targets[key] = step.target
        (self._turn_steps if is_of_turn else self.steps).append(step)
        return step.target

    def exchange(self, root: Dependant, conversation: Conversation) -> Exchange:
        """Plan a conversation: what lives as long as the connection now, and all else in a turn for each handler."""
        for effect in root.effects:
            if effect.lifetime != "message":
                self.visit(effect, ())
        on_connect = conversation.on_connect and self._turn(conversation.on_connect)
        handlers = tuple(map(self._turn, conversation.handlers))
        on_disconnect = conversation.on_disconnect and self._turn(conversation.on_disconnect)
        return Exchange(root.call, handlers, on_connect, on_disconnect, conversation.is_stream)

    def _turn(self, handler: Handler) -> Turn:
        self._turn_steps, self._turn_values, self._turn_targets = [], {}, {}
        call = self.step(handler.node, ())
        name = self._names.take(f"call_{call.name}")
        return Turn(name, tuple(self._turn_steps), call, handler.reply, tuple(self._turn_values.values()))

    def step(self, node: Dependant, oauth_scopes: tuple[str, ...], *, is_interceptor: bool = False) -> Step:
        """Plan what a call needs, and make its step."""
        is_of_turn = node.lifetime == "message"
        for effect in node.effects:
            self.visit(effect, oauth_scopes)
        arguments = []
        field_targets = []
        for item in node.arguments:
            if isinstance(item, Dependant):
                variable = self.visit(item, oauth_scopes)
            elif isinstance(item, SpecialParam):
                variable = self._value(item, oauth_scopes, self._turn_values if is_of_turn else self.values)
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

    def _value(self, param: SpecialParam, oauth_scopes: tuple[str, ...], of_turn: dict[Hashable, Value]) -> str:
        if param.special is Special.WEBSOCKET:
            return SOCKET
        if param.special is Special.NONE:
            return "None"
        if param.special in _NAMED_AS_THEY_ARE:
            return str(param.special.value)
        scopes = oauth_scopes if param.special is Special.SECURITY_SCOPES else ()
        # FastAPI gives one BackgroundTasks to all; whoever asks for a subclass asks for it on behalf of all.
        key = (param.special, param.cls, scopes)
        # Only what is run at the end of a turn belongs to it: all else is the same for the whole connection.
        values = of_turn if param.special is Special.BACKGROUND_TASKS else self.values
        if key not in values:
            name = self._names.take(param.special.value)
            values[key] = Value(name, param.special, param.cls, scopes)
        return values[key].target


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
