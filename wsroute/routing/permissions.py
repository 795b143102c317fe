"""Permissions: who may connect."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from starlette.websockets import WebSocket

from wsroute.dependencies.callables import describe, form_of, show
from wsroute.dependencies.rules import FORBIDDEN, Combinable, CombinableType, Rule, is_permission
from wsroute.exceptions import InvalidParameterError, Location
from wsroute.routing.lists import copied

_EXPECTED = "a list of permissions: classes or instances with has_permission(self, websocket, route, ...)"


class BasePermission(Combinable, metaclass=CombinableType):
    """Decides whether a connection may go on; asked once for each connection, before any dependency of the endpoint.

    A subclass defines `async def has_permission(self, websocket, route)`, or the same with `def`, which runs in a
    worker thread. The first two parameters get the WebSocket and the route, whatever they are called. Further
    parameters are injected as those of the endpoint are, and share their values with it.

    Classes and instances combine with `&`, `|` and `~`. An expression is asked from left to right, and no more of it
    than it takes.

    Attributes:
        message: What the client is told when the connection is denied, with HTTP 403; any JSON. Default `"Forbidden"`.

    Example:
        class IsMember(BasePermission):
            message = "Members only"

            async def has_permission(self, websocket: WebSocket, route: BaseRoute, user: User) -> bool:
                return websocket.path_params["room"] in user.rooms
    """

    message: Any = FORBIDDEN

    @abstractmethod
    def has_permission(self, *args: Any, **kwargs: Any) -> Any:
        """Whether the connection may go on: anything true, or not. An exception ends the connection as it says."""


class AllowAny(BasePermission):
    """Lets every connection pass."""

    async def has_permission(self, websocket: WebSocket, route: Any) -> bool:
        """Always `True`."""
        return True


class DenyAll(BasePermission):
    """Lets no connection pass."""

    async def has_permission(self, websocket: WebSocket, route: Any) -> bool:
        """Always `False`."""
        return False


def read_permissions(permissions: Sequence[Any] | None, location: Location) -> tuple[Any, ...]:
    """The permissions of one level, which the caller may change afterwards.

    Raises:
        InvalidParameterError: One of them cannot be asked.
    """
    listed = copied(permissions, "permissions", _EXPECTED, location)
    for permission in listed:
        _check(permission, location)
    return listed


def instances_of(permissions: Iterable[Any]) -> tuple[Any, ...]:
    """The permissions that a route asks: one instance of each class, each once, in the order of the levels."""
    made: dict[type[Any], Any] = {}

    def instance(permission: Any) -> Any:
        if not isinstance(permission, type):
            return permission
        if permission not in made:
            made[permission] = permission()
        return made[permission]

    asked = (item.over(instance) if isinstance(item, Rule) else instance(item) for item in permissions)
    return tuple({id(permission): permission for permission in asked}.values())


def _check(permission: Any, location: Location) -> None:
    if isinstance(permission, Rule):
        for operand in permission.operands:
            _check(operand, location)
        return
    if not is_permission(permission):
        raise _not(f"permissions= holds {show(permission)}", location, "derive it from BasePermission")
    if form_of(permission.has_permission).is_context:
        # What it gives would count as yes.
        problem = f"{describe(permission.has_permission)} yields, and so gives no answer"
        raise _not(problem, location, "return the answer, without yield")
    if not isinstance(permission, type):
        return
    if inspect.isabstract(permission):
        raise _not(f"{describe(permission)} does not define has_permission", location, "define it")
    check_needs_no_arguments(permission, location)


def check_needs_no_arguments(cls: type[Any], location: Location) -> None:
    """Check that a class can be instantiated as it is.

    Raises:
        InvalidParameterError: Its constructor has parameters without defaults.
    """
    try:
        inspect.signature(cls).bind()
    except TypeError as error:
        raise InvalidParameterError(
            location,
            problem=f"{describe(cls)} cannot be made without arguments: {error}",
            expected="a class whose constructor needs none, or an instance",
            remedy=f"write {cls.__name__}(...) with its arguments, and give it what differs between connections as "
            "parameters of its method",
        ) from None


def _not(problem: str, location: Location, remedy: str) -> InvalidParameterError:
    return InvalidParameterError(
        location,
        problem=problem,
        expected=_EXPECTED,
        remedy=remedy,
    )
