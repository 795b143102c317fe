"""Single steps of a plan as text, with the objects that the text names."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any

from pydantic import ValidationError

from wsroute.dependencies.application import values_of
from wsroute.dependencies.callables import Form, describe, short_name, takes_positions
from wsroute.dependencies.concurrency import context_factory, in_thread, limiter_of
from wsroute.dependencies.fields import Group, ParamField
from wsroute.dependencies.levels import forbidden, granted
from wsroute.dependencies.lookups import UNSET
from wsroute.dependencies.models import Condition
from wsroute.dependencies.source import Names, SourceWriter, quoted
from wsroute.dependencies.steps import AnyStep, Check, Shared, Step, hops


def exits_of(lifetime: str) -> str:
    """The variable of what closes all that lives as long as that."""
    return "turn" if lifetime == "message" else lifetime


class StepWriter:
    """Writes steps into the body of a function.

    Args:
        taken: Identifiers that the rest of the function uses.
        calls: All calls of the function.

    Attributes:
        namespace: The objects that the text names, for its globals.
        groups: The parameters that are validated together, in the order of the text.
    """

    def __init__(self, taken: Iterable[str], calls: Sequence[Step]) -> None:
        self.namespace: dict[str, Any] = {"__name__": "wsroute.generated", "UNSET": UNSET}
        self.groups: list[Group] = []
        self._writer = SourceWriter()
        self._line = self._writer.line
        self._block = self._writer.block
        self._names = Names(taken)
        self._globals: dict[int, str] = {}
        self._used = {argument.variable for step in calls for argument in step.arguments}
        self._written: set[str] = set()
        self._socket_handed_out = False

    def _write_steps(self, steps: Iterable[AnyStep], *, ends: bool) -> None:
        for hop in hops(steps):
            match hop:
                case (Shared() as shared,):
                    self._write_shared(shared)
                case (Check() as check,):
                    self._write_check(check, ends=ends)
                case (Step() as step,):
                    self._write_step(step)
                case _:
                    self._write_hop([step for step in hop if isinstance(step, Step)])
            self._socket_handed_out |= any(step.takes_socket for step in hop)
            self._write_ended(ends=ends)

    def _write_ended(self, *, ends: bool) -> None:
        if ends and self._socket_handed_out:
            # Whatever has closed the socket has refused the connection.
            with self._block("if websocket.ended:"):
                self._line("return")

    def _write_shared(self, shared: Shared) -> None:
        if "application" not in self._written:
            self._written.add("application")
            get = self._own("values_of", values_of)
            self._line(f"application = {get}(websocket.scope, {quoted(shared.value.name)})")
        name = self._name(f"value_of_{short_name(shared.value.node.call)}", shared.value)
        target = f"{shared.target} = " if shared.target in self._used else ""
        self._line(f"{target}await application.get({name})")

    def _write_check(self, check: Check, *, ends: bool) -> None:
        for question in check.calls:
            self._write_validation(question)
        condition, questions = check.condition, iter(check.calls)
        # Each operand of a chain of `&` is a check of its own, so that the one that denies says why.
        for number, part in enumerate(_conjuncts(condition)):
            if number:
                self._socket_handed_out = True
                self._write_ended(ends=ends)
            with self._block(f"if not {self._condition(part, questions)}:"):
                who = self._name(f"rule_{check.calls[0].name}", part.permission)
                self._line(f"raise {self._own('forbidden', forbidden)}({who})")

    def _condition(self, condition: Condition, questions: Iterator[Step]) -> str:
        if condition.operator == "ask":
            question = next(questions)
            name = quoted(describe(question.call))
            return f"{self._own('granted', granted)}({self._call(question)}, {name})"
        parts = [self._condition(operand, questions) for operand in condition.operands]
        return f"(not {parts[0]})" if condition.operator == "not" else f"({f' {condition.operator} '.join(parts)})"

    def _write_step(self, step: Step) -> None:
        self._write_validation(step)
        target = f"{step.target} = " if step.target in self._used else ""
        if step.form.is_context:
            if step.limit is not None:
                self._line(f"await {exits_of(step.lifetime)}.hold({self._limiter(step)}())")
            if inspect.isasyncgenfunction(step.call):
                self._line(f"{target}await {exits_of(step.lifetime)}.start({self._function(step)}({_arguments(step)}))")
                return
            factory = self._name(f"open_{step.name}", context_factory(step.call, step.form, threaded=step.threaded))
            enter = "open" if step.form.is_async else "hold"
            self._line(f"{target}await {exits_of(step.lifetime)}.{enter}({factory}({_arguments(step)}))")
        elif step.limit is not None:
            with self._block(f"async with {self._limiter(step)}():"):
                self._line(f"{target}{self._call(step)}")
        else:
            self._line(f"{target}{self._call(step)}")

    def _write_hop(self, steps: Sequence[Step]) -> None:
        """Several plain synchronous calls in one worker thread, each in its own copy of the context."""
        copy = self._own("copy_context", copy_context)
        hop = self._names.take(f"{steps[0].name}_to_{steps[-1].name}")
        targets = [step.target for step in steps if step.target in self._used]
        with self._block(f"def {hop}():"):
            for step in steps:
                self._write_validation(step)
                call = ", ".join(filter(None, (self._function(step), _arguments(step))))
                self._line(f"{f'{step.target} = ' if step.target in targets else ''}{copy}().run({call})")
            if targets:
                self._line(f"return {', '.join(targets)}")
        assigned = f"{', '.join(targets)} = " if targets else ""
        self._line(f"{assigned}await {self._own('in_thread', in_thread)}({hop})")

    def _write_validation(self, step: Step) -> None:
        if not step.fields:
            return
        group = Group(step.fields)
        check = self._names.take(f"check_{step.name}")
        self.namespace[check] = group.validate
        with self._block("try:"):
            self._line(f"{joined(step.field_targets)} = {check}(({joined(self._raw(item) for item in step.fields)}))")
        with self._block(f"except (KeyError, {self._own('ValidationError', ValidationError)}) as error:"):
            self._line(f"raise invalid({len(self.groups)}, websocket, error) from None")
        self.groups.append(group)

    def _raw(self, item: ParamField) -> str:
        if not item.is_simple:
            return f"{self._name(f'pick_{item.name}', item.pick)}(every_{item.source})"
        mapping = {"path": "path", "query": "query", "header": "headers", "cookie": "cookies"}[item.source]
        # A required value is subscripted: the marker for "not sent" must never reach a type that accepts anything.
        key = quoted(item.key)
        return f"{mapping}[{key}]" if item.required else f"{mapping}.get({key}, UNSET)"

    def _call(self, step: Step) -> str:
        function, arguments = self._function(step), _arguments(step)
        if step.form is Form.COROUTINE:
            return f"await {function}({arguments})"
        if not step.threaded:
            return f"{function}({arguments})"
        if any("=" in argument for argument in arguments.split(", ")):
            function, arguments = f"{self._own('partial', partial)}({function}, {arguments})", ""
        return f"await {self._own('in_thread', in_thread)}({', '.join(filter(None, (function, arguments)))})"

    # The objects that the text names

    def _function(self, step: Step) -> str:
        return self._name(step.name, step.call)

    def _limiter(self, step: Step) -> str:
        return self._name(f"slot_of_{step.name}", limiter_of(step.limit))

    def _own(self, name: str, value: Any) -> str:
        """The global that holds something of this package, under a name that is reserved for it."""
        self.namespace[name] = value
        return name

    def _name(self, wanted: str, value: Any) -> str:
        """The global that holds something of the application, which may be called anything."""
        if id(value) not in self._globals:
            name = self._names.take(wanted)
            self._globals[id(value)] = name
            self.namespace[name] = value  # which also keeps the object, and so its id, alive
        return self._globals[id(value)]


def joined(items: Iterable[str]) -> str:
    """The items of a tuple as text."""
    first, *rest = items
    return ", ".join((first, *rest)) if rest else f"{first},"


def _conjuncts(condition: Condition) -> Iterator[Condition]:
    if condition.operator != "and":
        yield condition
        return
    for operand in condition.operands:
        yield from _conjuncts(operand)


def _arguments(step: Step) -> str:
    by_position = takes_positions(step.call)
    return ", ".join(
        argument.variable if by_position or argument.positional_only else f"{argument.parameter}={argument.variable}"
        for argument in step.arguments
    )
