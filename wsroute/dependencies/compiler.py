"""From a plan to one coroutine function: source that reads as a person would have written it, compiled.

The only `exec` of the package. Nothing gets into the source but identifiers that `Names` has allocated and the `repr()`
of strings; every object goes in as a global.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, cast
from weakref import finalize

from pydantic import ValidationError
from starlette.requests import HTTPConnection

from wsroute.dependencies.callables import Form, describe, takes_positions
from wsroute.dependencies.concurrency import InlineContext, ThreadedContext, in_thread, limiter_of
from wsroute.dependencies.exits import EndpointTasks, Exits, is_disconnect
from wsroute.dependencies.fields import Group, ParamField
from wsroute.dependencies.levels import CallNext, forbidden, granted
from wsroute.dependencies.lookups import UNSET
from wsroute.dependencies.models import LIFETIMES, Condition, Special
from wsroute.dependencies.plan import RESERVED, SOCKET, Check, Plan, Stage, Step, Value, hops
from wsroute.dependencies.source import Names, SourceWriter, quoted
from wsroute.dependencies.sources import group_source, header_reader, read_cookies, read_query
from wsroute.exceptions import WebSocketRequestValidationError

_FILENAMES = count(1)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What generated code calls that belongs to the connection, not to injection.

    Attributes:
        request_view: `(websocket, cls)`: the handshake as an HTTP request.
        handshake_response: `(websocket)`: the response whose headers go out with the accept or the refusal.
        finish: `(websocket)`: the normal end of a connection.
        run_background: `(tasks)`: runs background tasks, shielded from cancellation.
    """

    request_view: Callable[..., Any]
    handshake_response: Callable[..., Any]
    finish: Callable[..., Awaitable[None]]
    run_background: Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A plan as a function.

    Attributes:
        function: The function.
        source: Its text.
    """

    function: Any
    source: str


def compile_plan(plan: Plan, runtime: Runtime) -> Compiled:
    """The coroutine function `run(websocket)` that resolves everything and calls the endpoint."""
    writer = _PlanWriter(plan, runtime)
    return _execute(writer.write_run(), writer.namespace, "run", plan)


def compile_solver(plan: Plan, runtime: Runtime) -> Compiled:
    """The asynchronous generator function `solve(websocket)` that yields the endpoint's arguments instead."""
    writer = _PlanWriter(plan, runtime)
    compiled = _execute(writer.write_solve(), writer.namespace, "solve", plan)
    return Compiled(asynccontextmanager(compiled.function), compiled.source)


def _execute(source: str, namespace: dict[str, Any], name: str, plan: Plan) -> Compiled:
    filename = f"<wsroute {describe(plan.endpoint.call)} #{next(_FILENAMES)}>"
    exec(compile(source, filename, "exec"), namespace)  # noqa: S102  # the source is ours: see the module docstring
    function = namespace[name]
    # Tracebacks, pdb and inspect find the lines here. Without a time stamp checkcache() leaves the entry alone.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    finalize(function, linecache.cache.pop, filename, None)
    return Compiled(function, source)


class _PlanWriter:
    """Writes one plan as a function, and collects the objects that its text names."""

    def __init__(self, plan: Plan, runtime: Runtime) -> None:
        self.plan = plan
        self.runtime = runtime
        self.namespace: dict[str, Any] = {"__name__": "wsroute.generated", "UNSET": UNSET}
        self._writer = SourceWriter()
        self._line = self._writer.line
        self._block = self._writer.block
        self._groups: list[Group] = []
        self._written: set[str] = set()
        self._socket_handed_out = False
        self._used = {argument.variable for step in plan.calls for argument in step.arguments}
        targets = [target for step in plan.calls for target in (step.target, *step.field_targets)]
        self._names = Names((*RESERVED, SOCKET, *targets, *(value.target for value in plan.values)))
        self._globals: dict[int, str] = {}

    def write_run(self) -> str:
        """The function that calls the endpoint."""
        self._write("async def run(websocket):", self._write_endpoint, ends=True)
        return self._writer.text()

    def write_solve(self) -> str:
        """The generator function that yields the endpoint's arguments."""
        self._write("async def solve(websocket):", self._write_yield, ends=False)
        return self._writer.text()

    def _write(self, header: str, write_tail: Callable[[], None], *, ends: bool) -> None:
        with self._block(header):
            self._write_stage(self.plan.stages, write_tail, ends=ends)
        self.namespace["invalid"] = _refusal(self._groups)

    def _write_stage(self, stages: Sequence[Stage], write_tail: Callable[[], None], *, ends: bool) -> None:
        stage, *further = stages
        self._write_sources(stage)
        self._write_values(stage)
        if further:
            self._write_interceptor(stage, further, write_tail, ends=ends)
        else:
            self._write_innermost(stage, write_tail, ends=ends)

    def _write_interceptor(
        self, stage: Stage, further: Sequence[Stage], write_tail: Callable[[], None], *, ends: bool
    ) -> None:
        interceptor = stage.call
        rest = self._names.take(f"after_{interceptor.name}")
        with self._exits(LIFETIMES[0], stage.steps):
            self._write_steps(stage.steps, ends=ends)
            self._write_validation(interceptor)
            self._socket_handed_out = True
            with self._block(f"async def {rest}():"):
                self._write_ended(ends=ends)
                # In a function of its own, it reads the scope again, which the interceptor may have changed.
                self._write_stage(further, write_tail, ends=ends)
            call_next = self._own("CallNext", CallNext)
            with self._block(f"async with {call_next}({rest}, {quoted(describe(interceptor.call))}) as call_next:"):
                self._line(self._call(interceptor))
            with self._block("if not call_next.called:"):
                self._line(f"await {self._own('finish', self.runtime.finish)}(websocket)")

    def _write_innermost(self, stage: Stage, write_tail: Callable[[], None], *, ends: bool) -> None:
        outer, inner = stage.by_lifetime()
        tasks = [value.target for value in self.plan.values if value.special is Special.BACKGROUND_TASKS]
        background = tasks if ends else []
        with self._exits(LIFETIMES[0], outer):
            with self._background_on_disconnect(background):
                self._write_steps(outer, ends=ends)
                with self._exits(LIFETIMES[1], inner):
                    self._write_steps(inner, ends=ends)
                    self._write_validation(stage.call)
                    with self._task_group():
                        write_tail()
            if ends and (background or _needs_exits(outer) or len(self.plan.stages) > 1):
                # Before the connection's dependencies close, and before interceptors go on; without any of them, the
                # session does it.
                self._line(f"await {self._own('finish', self.runtime.finish)}(websocket)")
            self._write_background(background)

    @contextmanager
    def _exits(self, lifetime: str, steps: Iterable[Step | Check]) -> Iterator[None]:
        if not _needs_exits(steps):
            yield
            return
        exits = self._own("Exits", Exits)
        with self._block(f"async with {exits}({quoted(describe(self.plan.endpoint.call))}) as {lifetime}:"):
            yield

    @contextmanager
    def _background_on_disconnect(self, targets: list[str]) -> Iterator[None]:
        if not targets:
            yield
            return
        with self._block("try:"):
            yield
        with self._block("except Exception as error:"):
            with self._block(f"if {self._own('is_disconnect', is_disconnect)}(error):"):
                self._write_background(targets)
            self._line("raise")

    def _write_background(self, targets: list[str]) -> None:
        for target in targets:
            self._line(f"await {self._own('run_background', self.runtime.run_background)}({target})")

    @contextmanager
    def _task_group(self) -> Iterator[None]:
        tasks = self.plan.value_of(Special.TASK_GROUP)
        if tasks is None:
            yield
            return
        with self._block(f"async with {self._own('EndpointTasks', EndpointTasks)}() as {tasks.target}:"):
            yield

    # What the steps read

    def _write_sources(self, stage: Stage) -> None:
        fields = [item for step in stage.calls for item in step.fields]
        simple = {item.source for item in fields if item.is_simple}
        grouped = {item.source for item in fields if not item.is_simple}
        if fields:
            self._line("scope = websocket.scope")
        if "path" in simple:
            self._line("path = scope.get('path_params', {})")
        if "query" in simple:
            self._line(f"query = {self._own('read_query', read_query)}(scope.get('query_string', b''))")
        if "header" in simple:
            read = header_reader(item.key for item in fields if item.source == "header" and item.is_simple)
            self._line(f"headers = {self._own('read_headers', read)}(scope.get('headers', ()))")
        if "cookie" in simple:
            self._line(f"cookies = {self._own('read_cookies', read_cookies)}(scope.get('headers', ()))")
        for source in ("path", "query", "header", "cookie"):
            if source in grouped:
                group = self._own("group_source", group_source)
                self._line(f"every_{source} = {group}({source!r}, scope)")

    def _write_values(self, stage: Stage) -> None:
        used = {argument.variable for step in stage.calls for argument in step.arguments}
        for value in self.plan.values:
            if value.target not in used or value.target in self._written:
                continue
            self._written.add(value.target)
            if value.special is Special.ROUTE:
                made = f"{SOCKET}.scope['route']"
            elif value.special is Special.REQUEST:
                made = f"{self._own('request_view', self.runtime.request_view)}(websocket, {self._class(value)})"
            elif value.special is Special.RESPONSE:
                made = f"{self._own('handshake_response', self.runtime.handshake_response)}(websocket)"
            elif value.special is Special.BACKGROUND_TASKS:
                made = f"{self._class(value)}()"
            elif value.special is Special.SECURITY_SCOPES:
                made = f"{self._class(value)}([{', '.join(map(quoted, value.oauth_scopes))}])"
            else:
                continue  # the task group: it is opened around the endpoint
            self._line(f"{value.target} = {made}")

    def _class(self, value: Value) -> str:
        return self._name(value.cls.__name__, value.cls)

    # The steps

    def _write_steps(self, steps: Iterable[Step | Check], *, ends: bool) -> None:
        for hop in hops(steps):
            match hop:
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
                self._line(f"await {step.lifetime}.hold({self._limiter(step)}())")
            if inspect.isasyncgenfunction(step.call):
                self._line(f"{target}await {step.lifetime}.start({self._function(step)}({_arguments(step)}))")
                return
            factory = self._name(f"open_{step.name}", _context_factory(step))
            enter = "open" if step.form.is_async else "hold"
            self._line(f"{target}await {step.lifetime}.{enter}({factory}({_arguments(step)}))")
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
            self._line(f"{_tuple(step.field_targets)} = {check}(({_tuple(self._raw(item) for item in step.fields)}))")
        with self._block(f"except (KeyError, {self._own('ValidationError', ValidationError)}) as error:"):
            self._line(f"raise invalid({len(self._groups)}, websocket, error) from None")
        self._groups.append(group)

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

    def _write_endpoint(self) -> None:
        self._line(self._call(self.plan.endpoint))

    def _write_yield(self) -> None:
        items = (f"{item.parameter!r}: {item.variable}" for item in self.plan.endpoint.arguments)
        self._line(f"yield {{{', '.join(items)}}}")

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


def _tuple(items: Iterable[str]) -> str:
    first, *rest = items
    return ", ".join((first, *rest)) if rest else f"{first},"


def _needs_exits(steps: Iterable[Step | Check]) -> bool:
    return any(isinstance(step, Step) and step.form.is_context for step in steps)


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


def _context_factory(step: Step) -> Callable[..., Any]:
    """What makes the asynchronous context manager that `Exits.open` wants."""
    call = step.call
    if step.form is Form.ASYNC_CONTEXT_MANAGER:
        return cast(Callable[..., Any], call)
    if step.form is Form.ASYNC_GENERATOR:
        return asynccontextmanager(call)
    manager = call if step.form is Form.CONTEXT_MANAGER else contextmanager(call)
    adapter = ThreadedContext if step.threaded else InlineContext
    return lambda *args, **kwargs: adapter(manager(*args, **kwargs))


def _refusal(groups: list[Group]) -> Callable[[int, HTTPConnection, Exception], Exception]:
    """The cold path: which parameters are wrong, from the group that failed to the last one."""

    def invalid(first: int, websocket: HTTPConnection, error: Exception) -> Exception:
        errors: dict[Any, dict[str, Any]] = {}
        for group in groups[first:]:
            for found in group.errors(websocket.scope):
                errors.setdefault((found["loc"], found["type"], found["msg"]), found)
        # Nothing wrong with any of them: a validator of the application has failed in its own right.
        return WebSocketRequestValidationError(list(errors.values())) if errors else error

    return invalid
