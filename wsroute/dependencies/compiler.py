"""From a plan to one coroutine function: source that reads as a person would have written it, compiled.

The only `exec` of the package. Nothing gets into the source but identifiers that `Names` has allocated and the `repr()`
of strings; every object goes in as a global.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import Any, NamedTuple
from weakref import finalize

from starlette.requests import HTTPConnection

from wsroute.dependencies.callables import describe
from wsroute.dependencies.exits import EndpointTasks
from wsroute.dependencies.fields import Group
from wsroute.dependencies.levels import CallNext
from wsroute.dependencies.models import Special
from wsroute.dependencies.plan import Plan, Stage
from wsroute.dependencies.planner import OF_CONVERSATIONS, RESERVED
from wsroute.dependencies.runtime import Runtime
from wsroute.dependencies.source import quoted
from wsroute.dependencies.sources import group_source, header_reader, read_cookies, read_query
from wsroute.dependencies.steps import SOCKET, Step, Value
from wsroute.dependencies.turn_writer import TurnWriter, needs_exits
from wsroute.exceptions import WebSocketRequestValidationError

_FILENAMES = count(1)


class Compiled(NamedTuple):
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
    filename = f"<wsroute {plan.name} #{next(_FILENAMES)}>"
    exec(compile(source, filename, "exec"), namespace)  # noqa: S102  # the source is ours: see the module docstring
    function = namespace[name]
    # Tracebacks, pdb and inspect find the lines here. Without a time stamp checkcache() leaves the entry alone.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    finalize(function, linecache.cache.pop, filename, None)
    return Compiled(function, source)


class _PlanWriter(TurnWriter):
    """Writes one plan as a function."""

    def __init__(self, plan: Plan, runtime: Runtime) -> None:
        targets = [target for step in plan.calls for target in (step.target, *step.field_targets)]
        values = [*plan.values]
        taken: list[str] = [SOCKET, *RESERVED]
        if plan.exchange is not None:
            values += [value for turn in plan.exchange.turns for value in turn.values]
            taken += [*OF_CONVERSATIONS, *(turn.name for turn in plan.exchange.turns)]
        super().__init__((*taken, *targets, *(value.target for value in values)), plan.calls)
        self.plan = plan
        self.runtime = runtime

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
        self.namespace["invalid"] = _refusal(self.groups)

    def _write_stage(self, stages: Sequence[Stage], write_tail: Callable[[], None], *, ends: bool) -> None:
        stage, *further = stages
        self._write_sources(stage)
        self._write_values(stage)
        if further and isinstance(stage.call, Step):
            self._write_interceptor(stage, stage.call, further, write_tail, ends=ends)
        else:
            self._write_innermost(stage, write_tail, ends=ends)

    def _write_interceptor(
        self,
        stage: Stage,
        interceptor: Step,
        further: Sequence[Stage],
        write_tail: Callable[[], None],
        *,
        ends: bool,
    ) -> None:
        rest = self._names.take(f"after_{interceptor.name}")
        with self._exits("connection", stage.steps, self.plan.name):
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
        with self._exits("connection", outer, self.plan.name):
            with self._background_on_disconnect(background):
                self._write_steps(outer, ends=ends)
                with self._exits("function", inner, self.plan.name):
                    self._write_steps(inner, ends=ends)
                    # What a conversation reads of the handshake is checked before the accept, and once.
                    for call in stage.call.calls:
                        self._write_validation(call)
                    with self._task_group():
                        write_tail()
            if ends and (background or needs_exits(outer) or len(self.plan.stages) > 1):
                # Before the connection's dependencies close, and before interceptors go on; without any of them, the
                # session does it.
                self._line(f"await {self._own('finish', self.runtime.finish)}(websocket)")
            self._write_background(background)

    @contextmanager
    def _task_group(self) -> Iterator[None]:
        tasks = self.plan.value_of(Special.TASK_GROUP)
        if tasks is None or self.plan.exchange is not None:  # a conversation opens its own, once it is accepted
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
            if value.target in used and value.target not in self._written:
                self._written.add(value.target)
                self._write_value(value)

    def _write_value(self, value: Value) -> None:
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
            return  # the task group: it is opened around the endpoint
        self._line(f"{value.target} = {made}")

    def _class(self, value: Value) -> str:
        return self._name(value.cls.__name__, value.cls)

    def _write_endpoint(self) -> None:
        if self.plan.exchange is not None:
            self._write_exchange(self.plan.exchange)
        else:
            self._line(self._call(self.plan.endpoint))

    def _write_yield(self) -> None:
        items = (f"{item.parameter!r}: {item.variable}" for item in self.plan.endpoint.arguments)
        self._line(f"yield {{{', '.join(items)}}}")


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
