"""How many connections may be open at once: in all, and for each key."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, TypeAlias
from weakref import WeakKeyDictionary

from starlette.exceptions import HTTPException
from starlette.types import Scope
from starlette.websockets import WebSocket

from wsroute.dependencies.callables import show
from wsroute.exceptions import InvalidParameterError, Location
from wsroute.params import Depends
from wsroute.wire.endings import TRY_AGAIN_LATER, Unavailable

TOO_MANY = "Too many connections"
#: Who is counted where no key is asked for.
_EVERYBODY = "everybody"


class _NoApplication:
    """Stands for the application of connections that have none: of a router, or a route, that is served alone."""


_NO_APPLICATION = _NoApplication()


class ConnectionLimit:
    """How many connections may be open at once below a level; `max_connections=` takes it.

    Each application that serves the level counts its own. A connection counts until what belongs to it, and came after
    its being counted, is closed. Where one object stands at several places, all connections below them are counted
    together.

    Args:
        limit: How many.
        key: A dependency; each value that it gives is counted by itself. It is resolved before the other dependencies
            of its level, after permissions. Default: all connections are counted together, and before anything else
            runs for them.
        retry_after: The seconds after which who was refused may try again, for the header `Retry-After` (RFC 9110,
            section 10.2.3). Default 10.

    Raises:
        InvalidParameterError: A number is none that it can be, or the key cannot be called.

    Example:
        WebSocketRouter(max_connections=[1000, ConnectionLimit(5, key=current_user_id)])
    """

    def __init__(self, limit: int, *, key: Callable[..., Any] | None = None, retry_after: float = 10) -> None:
        if type(limit) is not int or limit < 1:
            raise _invalid(f"ConnectionLimit({show(limit)}) is no limit", "a whole number from 1")
        if key is not None and not callable(key):
            raise _invalid(f"key= is {show(key)}, which cannot be called", "a dependency that gives the key")
        if not _is_time(retry_after):
            raise _invalid(f"retry_after={show(retry_after)} is no time", "a number of seconds")
        self.limit = limit
        self.key = key
        self.retry_after = retry_after
        #: The marker of a dependency that counts a connection by its key. One for all levels, since it counts once.
        self.dependency = None if key is None else self._dependency_on(key)
        self._counts: WeakKeyDictionary[Any, Counter[Any]] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"ConnectionLimit({self.limit}{'' if self.key is None else f', key={show(self.key)}'})"

    @contextmanager
    def held(self, scope: Scope, key: Any = _EVERYBODY) -> Iterator[None]:
        """Count a connection while it is open.

        Args:
            scope: Its scope.
            key: What it counts for.

        Raises:
            HTTPException: There are enough: 503, or 429 if they are counted by keys.
            TypeError: The key cannot be counted.
        """
        app = scope.get("app")
        counts = self._counts.setdefault(_NO_APPLICATION if app is None else app, Counter())
        if counts[self._countable(key)] >= self.limit:
            raise self._refusal()
        counts[key] += 1
        try:
            yield
        finally:
            counts[key] -= 1
            if not counts[key]:
                del counts[key]  # whoever has come once is not remembered for ever

    def _countable(self, key: Any) -> Any:
        try:
            hash(key)
        except TypeError as error:
            # Without the value, which may be a user with all that is known of one.
            raise TypeError(
                f"{self!r} got a key of type {type(key).__qualname__}, which is not hashable, so that connections "
                "cannot be counted by it. Let the dependency give what tells them apart, such as the user's id."
            ) from error
        return key

    def _refusal(self) -> HTTPException:
        if self.key is None:
            return Unavailable(TOO_MANY, code=TRY_AGAIN_LATER, retry_after=self.retry_after)
        return HTTPException(429, TOO_MANY, {"Retry-After": str(math.ceil(self.retry_after))})

    def _dependency_on(self, key: Callable[..., Any]) -> Any:
        async def count_connection(websocket: WebSocket, key: Any) -> AsyncIterator[None]:
            with self.held(websocket.scope, key):
                yield

        # What the annotation names is local to this method.
        count_connection.__annotations__["key"] = Annotated[Any, Depends(key)]
        count_connection.__qualname__ = "ConnectionLimit.count_connection"
        return Depends(count_connection, scope="connection")


def _is_time(seconds: object) -> bool:
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    return is_number and 0 <= seconds < math.inf  # type: ignore[operator]  # which has just been asked


#: What `max_connections=` takes.
MaxConnections: TypeAlias = int | ConnectionLimit | Sequence[int | ConnectionLimit]


def read_limits(limits: MaxConnections | None, location: Location) -> tuple[ConnectionLimit, ...]:
    """The limits of a level.

    Raises:
        InvalidParameterError: One of them is none.
    """
    if limits is None:
        return ()
    items: Iterable[Any] = (
        limits if isinstance(limits, Sequence) and not isinstance(limits, (str, bytes)) else (limits,)
    )
    return tuple(_read(item, location) for item in items)


def _read(item: Any, location: Location) -> ConnectionLimit:
    if isinstance(item, ConnectionLimit):
        return item
    if type(item) is int and item >= 1:
        return ConnectionLimit(item)
    raise InvalidParameterError(
        location,
        problem=f"max_connections= holds {show(item)}",
        expected="whole numbers from 1, and ConnectionLimit(...) with a key",
        remedy="write max_connections=1000, or max_connections=[1000, ConnectionLimit(5, key=current_user_id)]",
    )


def _invalid(problem: str, expected: str) -> InvalidParameterError:
    remedy = "write ConnectionLimit(5, key=current_user_id)"
    return InvalidParameterError(Location(), problem=problem, expected=expected, remedy=remedy)
