"""The conversation of a listener as text: a function for each handler, inside of that of the connection."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import anyio

from wsroute.dependencies.callables import Form, describe
from wsroute.dependencies.exits import Exits, Items, is_disconnect
from wsroute.dependencies.models import Special
from wsroute.dependencies.plan import Plan
from wsroute.dependencies.runtime import Runtime
from wsroute.dependencies.source import quoted
from wsroute.dependencies.step_writer import StepWriter, exits_of, joined
from wsroute.dependencies.steps import SOCKET, AnyStep, Exchange, Step, Turn, Value

if TYPE_CHECKING:
    from wsroute.dependencies.speech import Encoder


class TurnWriter(StepWriter):
    """Writes what is called in the course of a connection."""

    plan: Plan
    runtime: Runtime

    def _write_exchange(self, exchange: Exchange) -> None:
        speech = self.runtime.speech
        if speech is None:
            raise TypeError(f"nothing to hold the conversation of {describe(exchange.call)} with")
        for turn in exchange.turns:
            self._write_turn(turn, exchange, speech.encoder(turn.call.call))
        handlers = joined(turn.name for turn in exchange.handlers)
        beside = (turn.name if turn else "None" for turn in (exchange.on_connect, exchange.on_disconnect))
        converse = self._own("converse", speech.converse)
        arguments = [SOCKET, f"({handlers})", *beside]
        if (tasks := self.plan.value_of(Special.TASK_GROUP)) is not None:
            # Whoever is told of the end is told when the tasks have ended, which may be what it has come by.
            self._line(f"{tasks.target} = {self._own('create_task_group', anyio.create_task_group)}()")
            arguments.append(tasks.target)
        self._line(f"await {converse}({', '.join(arguments)})")

    def _write_turn(self, turn: Turn, exchange: Exchange, encoder: Encoder) -> None:
        parameters = "message"
        if exchange.is_stream or turn is exchange.on_connect:
            parameters = ""
        elif turn is exchange.on_disconnect:
            parameters = "code, reason"
        handed_out, self._socket_handed_out = self._socket_handed_out, False
        with self._block(f"async def {turn.name}({parameters}):"):
            for value in turn.values:
                self._write_value(value)
            background = [value.target for value in turn.values]
            with self._background_on_disconnect(background):
                self._write_call(turn, encoder, ends=turn is not exchange.on_disconnect)
            self._write_background(background)
        self._socket_handed_out = handed_out

    def _write_call(self, turn: Turn, encoder: Encoder, *, ends: bool) -> None:
        replies = turn.call.form is Form.COROUTINE and encoder.sends
        has_exits = needs_exits(turn.steps)
        if replies and has_exits:
            # A dependency may swallow a disconnect, and nothing else.
            self._line("reply = None")
        with self._exits("message", turn.steps, describe(turn.call.call)):
            # What they read of the handshake has been read. When the connection has ended, nobody can refuse it.
            self._write_steps(map(_without_fields, turn.steps), ends=ends)
            self._write_reply(turn.call, encoder)
        if replies:
            self._write_send(encoder, may_be_none=has_exits or encoder.may_be_none)

    def _write_reply(self, call: Step, encoder: Encoder) -> None:
        """Call a handler. What it returns becomes a frame while what it was made with is still open."""
        encode = self._name(f"encode_{call.name}", encoder.encode)
        if call.form is Form.ASYNC_GENERATOR:
            opened = f"async with {self._own('Items', Items)}({self._call(call)}) as items:"
            with self._block(opened), self._block("async for item in items:"):
                self._line(f"reply = {encode}(item)")
                self._write_send(encoder, may_be_none=encoder.may_be_none)
        else:
            target = "reply = " if encoder.sends else ""
            self._line(f"{target}{encode}({self._call(call)})")

    def _write_send(self, encoder: Encoder, *, may_be_none: bool) -> None:
        with self._block("if reply is not None:") if may_be_none else nullcontext():
            self._line(f"await {SOCKET}.{encoder.method}(reply)")

    @abstractmethod
    def _write_value(self, value: Value) -> None:
        """Write what makes a value of the connection."""

    @contextmanager
    def _exits(self, lifetime: str, steps: Iterable[AnyStep], who: str) -> Iterator[None]:
        if not needs_exits(steps):
            yield
            return
        exits = self._own("Exits", Exits)
        with self._block(f"async with {exits}({quoted(who)}) as {exits_of(lifetime)}:"):
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


def needs_exits(steps: Iterable[AnyStep]) -> bool:
    """Whether something among the steps has to be closed."""
    return any(isinstance(step, Step) and step.form.is_context for step in steps)


def _without_fields(step: AnyStep) -> AnyStep:
    return step._replace(fields=(), field_targets=()) if isinstance(step, Step) else step
