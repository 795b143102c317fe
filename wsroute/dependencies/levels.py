"""What the permissions and interceptors of levels do when a connection comes: what generated code calls for them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from anyio.lowlevel import checkpoint_if_cancelled
from starlette.exceptions import HTTPException

from wsroute.dependencies.exits import is_disconnect
from wsroute.dependencies.rules import message_of
from wsroute.exceptions import InterceptorError, PermissionAnswerError, SwallowedExceptionError


def granted(answer: object, permission: str) -> bool:
    """Whether the answer of a permission means yes.

    Args:
        answer: What it returned.
        permission: Its qualified name.

    Raises:
        PermissionAnswerError: It has yet to be awaited or run, and would count as yes whatever comes of it.
    """
    if inspect.isawaitable(answer) or inspect.isgenerator(answer) or inspect.isasyncgen(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise PermissionAnswerError(permission)
    return bool(answer)


def forbidden(permission: object) -> HTTPException:
    """What a connection that a permission denies ends by.

    Args:
        permission: The permission or the rule, whose `message` is the detail.
    """
    detail: Any = message_of(permission)
    return HTTPException(403, detail)


class CallNext:
    """What an interceptor calls, once, to let the connection go on.

    Args:
        rest: The rest of the connection.
        interceptor: The qualified name of the interceptor, for errors.

    Attributes:
        called: Whether it was called; an interceptor that does not call it refuses the connection.
    """

    __slots__ = ("_finished", "_interceptor", "_raised", "_rest", "called")

    def __init__(self, rest: Callable[[], Awaitable[None]], interceptor: str) -> None:
        self._rest = rest
        self._interceptor = interceptor
        self._raised: BaseException | None = None
        self._finished = False
        self.called = False

    async def __call__(self) -> None:
        """Run the rest of the connection, to its end.

        Raises:
            InterceptorError: It was called before.
        """
        if self.called:
            raise InterceptorError(
                f"{self._interceptor} called call_next() a second time. A connection has one endpoint, which runs "
                "once: call it once, and let what it raises pass, or raise something else."
            )
        self.called = True
        try:
            await self._rest()
        except BaseException as error:
            self._raised = error
            raise
        finally:
            self._finished = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        raised, self._raised = self._raised, None
        if exception is not None:
            return
        if raised is not None:
            await checkpoint_if_cancelled()
            if not is_disconnect(raised):
                raise SwallowedExceptionError(None, self._interceptor) from raised
        elif self.called and not self._finished:
            raise InterceptorError(
                f"{self._interceptor} returned while the rest of the connection still ran. Await call_next() before "
                "returning, and in the same task."
            )
