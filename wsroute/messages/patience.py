"""How long messages may take to come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import TypeAlias

from anyio import current_time, sleep_forever
from starlette.exceptions import WebSocketException
from starlette.types import Message

from wsroute.dependencies.shields import calm_scope
from wsroute.wire.endings import POLICY_VIOLATION

Receive: TypeAlias = Callable[[], Awaitable[Message]]


class Patience:
    """Limits how long a listener waits for each message.

    One cancel scope is around the whole conversation, since one around each message would cost more than the message.
    Its deadline moves: it is set when the listener begins to wait, and there is none while a message is handled.

    Args:
        receive: What waits for the next message.
        first: The seconds that the first one may take.
        further: The seconds that each further one may take.
    """

    def __init__(self, receive: Receive, first: float, further: float) -> None:
        self._receive = receive
        self._limit = first
        self._further = further
        self._late: Message | None = None

    async def listen(self, listen: Callable[[Receive], Awaitable[None]]) -> None:
        """Run a listener.

        Args:
            listen: What takes messages, from the function that it is given.

        Raises:
            WebSocketException: It has waited too long.
        """
        while True:
            with calm_scope() as self._scope:
                return await listen(self.receive)
            if self._late is None:
                raise WebSocketException(POLICY_VIOLATION, f"No message within {self._limit:g} s")

    async def receive(self) -> Message:
        """The next message, if it comes in time."""
        if self._late is not None:
            message, self._late = self._late, None
            return message
        self._scope.deadline = current_time() + self._limit
        message = await self._receive()
        self._scope.deadline = inf
        self._limit = self._further
        if self._scope.cancel_called:
            # It was there before anybody looked at the clock, as after a pause of the whole process. What handles it
            # must not be cancelled, and what is cancelled stays so: the listener begins anew.
            self._late = message
            await sleep_forever()
        return message
