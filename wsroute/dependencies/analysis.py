"""From an endpoint, or from one dependency, to the tree of what it needs.

One `Analysis` builds one tree. It runs twice. At declaration nothing is final: a name that cannot be found yet, or a
parameter that an outer level may still provide, is left alone, and the rest is read all the same: for its mistakes, and
because names local to functions can be found only now. At binding everything is decided, and what is still open is an
error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from wsroute.dependencies.callables import Form, describe, form_of, is_class, method_of, show
from wsroute.dependencies.lifetimes import check_lasts, check_outlives_messages
from wsroute.dependencies.markers import DependsMarker, read_marker
from wsroute.dependencies.models import Condition, Dependant, Special
from wsroute.dependencies.nodes import Given, Nodes, Place
from wsroute.dependencies.providers import Reach
from wsroute.dependencies.rules import Rule
from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import EndpointError, InvalidParameterError, Location


class Undecided(Exception):
    """Declaration only: what the tree looks like depends on something that is not known yet."""


class Analysis(Nodes):
    """Builds one tree; arguments as those of `Nodes`."""

    def endpoint(
        self,
        call: Callable[..., Any],
        effects: Iterable[Any] = (),
        *,
        given: tuple[Given, ...] = (),
        interceptors: Iterable[Any] = (),
        permissions: Iterable[Any] = (),
    ) -> Dependant:
        """The tree of an endpoint.

        Args:
            call: The endpoint.
            effects: Markers of dependencies that are run before it for their effect, outermost level first.
            given: What its first parameters get, whatever they are called.
            interceptors: Bound methods `intercept(websocket, call_next, ...)`, outermost level first.
            permissions: Permissions and rules of permissions, outermost level first.

        Raises:
            DependencyError: The declaration cannot work.
            Undecided: At declaration only.
        """
        location = Location(self.path, (describe(call),))
        _check_endpoint(call, location)
        self._check_names(location)
        around, conditions = self._guards(interceptors, permissions)
        markers = [effect_marker(marker, location) for marker in effects]
        place = Place(reach=Reach(), is_endpoint=True)
        tree = self._node(call, DependsMarker(call), None, location, place, markers, given)
        check_outlives_messages(
            tree,
            what=f"{location.chain[-1]} is no listener, so that nothing in it lives for one message, and",
            remedy="give it scope='connection' or scope='function', or declare a listener: @router.listener(path)",
        )
        if self._left_open:
            raise Undecided
        return tree._replace(interceptors=around, permissions=conditions) if around or conditions else tree

    def level(
        self,
        location: Location,
        *,
        effects: Iterable[Any] = (),
        interceptors: Iterable[Any] = (),
        permissions: Iterable[Any] = (),
    ) -> None:
        """Read what one level adds, for its mistakes; what it provides by name is the innermost level of `providers`.

        Args:
            location: The level.
            effects, interceptors, permissions: As for `endpoint`.

        Raises:
            DependencyError: A declaration cannot work, whatever stands above or below the level.
        """
        self._check_names(location)
        # As if the level were an endpoint: whatever it runs is a dependency.
        place = Place(stack=(None,) * len(location.chain))
        for value in effects:
            self._dependency(effect_marker(value, location), None, location, place)
        for number, level in enumerate(self.providers.levels):
            for name, marker in level.items():
                self._dependency(marker, None, location, place, Reach(name, number))
        for method in interceptors:
            self._interceptor(method, location, place)
        for permission in permissions:
            self._condition(permission, location, place)

    def dependency(self, marker: DependsMarker, name: str | None, location: Location) -> Dependant:
        """The tree of one dependency."""
        return self._dependency(marker, name, location, Place())

    def _guards(
        self, interceptors: Iterable[Any], permissions: Iterable[Any]
    ) -> tuple[tuple[Dependant, ...], tuple[Condition, ...]]:
        """What runs around the dependencies, and what is asked before them."""
        location = Location(self.path)
        around = tuple(self._interceptor(method, location, Place()) for method in interceptors)
        return around, tuple(self._condition(permission, location, Place()) for permission in permissions)

    def _check_names(self, location: Location) -> None:
        for name in self.providers.names():
            if name in self._path_names:
                raise InvalidParameterError(
                    location,
                    problem=f"{name!r} is provided by name, and is a parameter of the path {self.path!r} as well",
                    expected="names of the path and names that are provided to be different",
                    remedy=f"rename {{{name}}} in the path, or what dependencies= provides",
                )

    def _interceptor(self, method: Callable[..., Any], location: Location, place: Place) -> Dependant:
        return self._method(method, location, place, (Special.WEBSOCKET, Special.CALL_NEXT))

    def _condition(self, permission: Any, location: Location, place: Place) -> Condition:
        if isinstance(permission, Rule):
            operands = tuple(self._condition(operand, location, place) for operand in permission.operands)
            return Condition(permission.operator, operands, None, permission)
        method = method_of(permission, "has_permission")
        question = self._method(method, location, place, (Special.WEBSOCKET, Special.ROUTE))
        return Condition("ask", (), question, permission)

    def _method(
        self, method: Callable[..., Any], location: Location, place: Place, given: tuple[Given, ...]
    ) -> Dependant:
        """The tree of what a level calls beside the endpoint; what it needs is open for the whole connection."""
        location = location.inside(describe(method))
        marker = DependsMarker(method, use_cache=False)
        node = self._node(method, marker, None, location, place._replace(reach=Reach()), (), given)
        check_lasts(node)
        return node


def get_dependant(
    *,
    path: str,
    call: Callable[..., Any],
    name: str | None = None,
    use_cache: bool = True,
    scope: str | None = None,
) -> Dependant:
    """Analyse a callable into the tree of what it needs.

    Args:
        path: The path of the route; its parameters are recognised by name.
        call: An endpoint or a dependency.
        name: The parameter that gets its value.
        use_cache: Whether another use of the same callable may share its value.
        scope: The lifetime, as in `Depends`.

    Raises:
        DependencyError: The declaration cannot work.
    """
    names = LocalNames(sys._getframe(1))
    try:
        return Analysis(path, names).dependency(DependsMarker(call, use_cache, scope), name, Location(path))
    finally:
        names.release()


def _check_endpoint(call: Callable[..., Any], location: Location) -> None:
    form = form_of(call)
    if form is Form.COROUTINE:
        return
    if is_class(call):
        found = "a class"
        remedy = "hand over an async def function, an instance with an async __call__, or a WebSocketListener"
    else:
        article = "an" if form.is_async else "a"
        found = f"{article} {form.value} function" if form.is_context else "synchronous"
        remedy = "declare it with async def, without yield"
    raise EndpointError(
        location,
        problem=f"the endpoint is {found}",
        expected="a coroutine function, which can wait for messages",
        remedy=remedy,
    )


def effect_marker(value: Any, location: Location) -> DependsMarker:
    """The marker of a dependency that is run for its effect.

    Raises:
        InvalidParameterError: It is none.
    """
    marker = read_marker(value)
    if not isinstance(marker, DependsMarker) or not callable(marker.dependency):
        raise InvalidParameterError(
            location,
            problem=f"dependencies= holds {show(value)}",
            expected="Depends(...) or Security(...) with a callable inside",
            remedy="write dependencies=[Depends(your_dependency)]",
        )
    return marker
