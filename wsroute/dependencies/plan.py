"""The flat list of what happens on a connection, in order. It is data; `Plan.explain()` prints it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple, NoReturn, TypeAlias

from wsroute.dependencies.callables import Form, describe
from wsroute.dependencies.models import Special
from wsroute.dependencies.steps import AnyStep, Exchange, Shared, Step, Turn, Value, calls_of, hops


class Stage(NamedTuple):
    """Some steps, and what they are for: an interceptor, in which the next stage runs, the endpoint, or a conversation.

    Attributes:
        steps: What comes before the call.
        call: The call, or the conversation.
    """

    steps: tuple[AnyStep, ...]
    call: Step | Exchange

    def by_lifetime(self) -> tuple[tuple[AnyStep, ...], tuple[AnyStep, ...]]:
        """The steps before the call that live as long as the connection, and those that close before them."""
        outer = tuple(step for step in self.steps if step.lifetime != "function")
        return outer, self.steps[len(outer) :]

    @property
    def calls(self) -> tuple[Step, ...]:
        """All calls of this stage, in their order."""
        return (*calls_of(self.steps), *self.call.calls)


class Plan:
    """What happens on a connection.

    Attributes:
        steps: The calls in their order; without a conversation, the last one is the endpoint.
        values: What of the connection they use, beside the socket.
        exchange: The conversation, if the endpoint is a listener or a stream.
    """

    # By hand: to make a frozen dataclass takes longer than to load the rest of this module.

    def __init__(self, steps: tuple[AnyStep, ...], values: tuple[Value, ...], exchange: Exchange | None = None) -> None:
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "exchange", exchange)

    steps: tuple[AnyStep, ...]
    values: tuple[Value, ...]
    exchange: Exchange | None

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a plan cannot be changed: it is what a compiled function does, and {name!r} was not set")

    @property
    def calls(self) -> tuple[Step, ...]:
        """All calls, those that permissions make included."""
        spoken = () if self.exchange is None else self.exchange.calls
        return (*calls_of(self.steps), *spoken)

    @property
    def endpoint(self) -> Step:
        """The call of the endpoint; of a conversation, the last of its calls."""
        return self.calls[-1]

    @property
    def name(self) -> str:
        """The qualified name of what the connection is for."""
        return describe(self.endpoint.call if self.exchange is None else self.exchange.call)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The steps, cut behind each interceptor."""
        stages = []
        before: list[AnyStep] = []
        endpoint = None if self.exchange is not None else self.endpoint
        for step in self.steps:
            if isinstance(step, Step) and (step.is_interceptor or step is endpoint):
                stages.append(Stage(tuple(before), step))
                before = []
            else:
                before.append(step)
        if self.exchange is not None:
            stages.append(Stage(tuple(before), self.exchange))
        return tuple(stages)

    def value_of(self, special: Special) -> Value | None:
        """The first value of one kind, if the plan has one."""
        return next((value for value in self.values if value.special is special), None)

    def explain(self) -> str:
        """The plan as text, one line for each step: what runs, with what, where, and for how long it lives."""
        if self.exchange is not None:
            turns = [row for turn in self.exchange.turns for row in _rows_of_turn(turn, self.exchange)]
            rows = [*_rows_of(self.steps), *turns]
        else:
            rows = [*_rows_of(self.steps[:-1]), ("", _call(self.endpoint), "the endpoint")]
        width = max(len(target) for target, _, _ in rows)
        digits = len(str(len(rows)))
        lines = (
            f"{number:>{digits}}  {target:<{width}} {'=' if target else ' '} {call}  # {manner}"
            for number, (target, call, manner) in enumerate(rows, start=1)
        )
        return "\n".join(lines)


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


_Row: TypeAlias = tuple[str, str, str]


def _rows_of(steps: Iterable[AnyStep]) -> list[_Row]:
    return [row for hop in hops(steps) for step in hop for row in _rows(step, len(hop))]


def _rows_of_turn(turn: Turn, exchange: Exchange) -> list[_Row]:
    """What is made for one call of a handler, indented, and the call."""
    if exchange.is_stream:
        said = "the stream"
    elif turn is exchange.on_connect:
        said = "when the connection is accepted"
    elif turn is exchange.on_disconnect:
        said = "when the connection has ended"
    else:
        said = "for each message"
    rows = [(target, call, f"{manner}, {said}") for target, call, manner in _rows_of(turn.steps)]
    return [*rows, ("", _call(turn.call), f"a handler, {said}" if said != "the stream" else said)]


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
