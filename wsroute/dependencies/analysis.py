"""From a callable to the tree of what it needs.

Data: `Parameter` (signature) in, `Dependant` (models) out. One `Analysis` builds one tree; overrides enter here and
nowhere else, so that everything after it knows nothing of them.

Analysis runs twice. At declaration nothing is final: a name that cannot be found yet, or a parameter that an outer
level may still provide, is left alone, and the rest is read all the same: for its mistakes, and because names local to
functions can be found only now. At binding everything is decided, and what is still open is an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, get_origin
from weakref import WeakKeyDictionary

from wsroute.dependencies import specials
from wsroute.dependencies.annotations import is_union
from wsroute.dependencies.callables import Form, describe, form_of, identity, is_class, show
from wsroute.dependencies.fields import ParamField, make_field
from wsroute.dependencies.lifetimes import check_scope, lifetime_of
from wsroute.dependencies.markers import DependsMarker, read_marker
from wsroute.dependencies.models import Argument, Dependant, Special, SpecialParam
from wsroute.dependencies.reading import (
    Read,
    check_needs_no_marker,
    default_of,
    param_marker,
    read_parameter,
    special_param,
)
from wsroute.dependencies.signature import (
    EMPTY,
    POSITIONAL_ONLY,
    VAR_KINDS,
    LocalNames,
    Parameter,
    Unresolved,
    get_signature,
)
from wsroute.exceptions import (
    AnnotationError,
    DependencyCycleError,
    EndpointError,
    InvalidParameterError,
    Location,
)

_PATH_NAMES = re.compile(r"{\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(?::[^}]*)?}")

_Signature: TypeAlias = tuple[tuple[Parameter, Read], ...]

#: Signatures by callable: they do not depend on the route. Only complete ones are kept.
_signatures: WeakKeyDictionary[Any, _Signature] = WeakKeyDictionary()

#: The override of a callable, or `None`.
Overrides = Callable[[Callable[..., Any]], Callable[..., Any] | None]


class Undecided(Exception):
    """Declaration only: what the tree looks like depends on something that is not known yet."""


@dataclass(slots=True)
class Analysis:
    """Builds one tree.

    Attributes:
        path: The whole path of the route, as far as it is known.
        names: Where names local to functions are found.
        overrides: Looked up for every dependency, never for the endpoint.
        final: Whether this is binding, so that nothing may stay undecided.
    """

    path: str
    names: LocalNames = field(default_factory=LocalNames)
    overrides: Overrides | None = None
    final: bool = True
    _nodes: dict[Hashable, Dependant] = field(default_factory=dict)
    _path_names: frozenset[str] = field(init=False)
    _left_open: bool = False

    def __post_init__(self) -> None:
        self._path_names = path_names(self.path)

    def endpoint(self, call: Callable[..., Any], effects: Iterable[Any] = ()) -> Dependant:
        """The tree of an endpoint.

        Args:
            call: The endpoint.
            effects: Markers of dependencies that are run before it for their effect, outermost level first.

        Raises:
            DependencyError: The declaration cannot work.
            Undecided: At declaration only.
        """
        location = Location(self.path, (describe(call),))
        _check_endpoint(call, location)
        markers = [_effect(marker, location) for marker in effects]
        tree = self._node(call, DependsMarker(call), None, location, (), frozenset(), markers)
        if self._left_open:
            raise Undecided
        return tree

    def effects(self, values: Iterable[Any], location: Location) -> None:
        """Read the dependencies that one level adds for their effect, for their mistakes.

        Args:
            values: Their markers.
            location: The level.

        Raises:
            DependencyError: A declaration cannot work.
        """
        for value in values:
            # As if the level were an endpoint: whatever it runs is a dependency.
            self._dependency(_effect(value, location), None, location, (None,) * len(location.chain), frozenset())

    def dependency(self, marker: DependsMarker, name: str | None, location: Location) -> Dependant:
        """The tree of one dependency."""
        return self._dependency(marker, name, location, (), frozenset())

    def _dependency(
        self,
        marker: DependsMarker,
        name: str | None,
        location: Location,
        stack: tuple[Hashable, ...],
        inside: frozenset[Hashable],
    ) -> Dependant:
        call = marker.dependency
        if not callable(call):
            raise InvalidParameterError(
                location,
                problem=f"Depends() holds {show(call)}, which cannot be called",
                expected="a function, a class, or another callable",
                remedy="hand over the callable itself, without calling it",
            )
        check_scope(marker.scope, location if location.parameter else location.inside(describe(call)))
        if self.overrides is not None and (original := identity(call)) not in inside:
            replacement = self.overrides(call)
            if replacement is not None:
                # Inside the override of A, A means the original: an override may wrap what it replaces.
                call, inside = replacement, inside | {original}
        return self._node(call, marker, name, location.inside(describe(call)), stack, inside, ())

    def _node(
        self,
        call: Callable[..., Any],
        marker: DependsMarker,
        name: str | None,
        location: Location,
        stack: tuple[Hashable, ...],
        inside: frozenset[Hashable],
        effects: Iterable[DependsMarker],
    ) -> Dependant:
        me = identity(call)
        # A dependency that two need is analysed once: without this, a chain of diamonds would take for ever.
        key = (me, name, inside, marker.flags)
        known = self._nodes.get(key)
        if known is not None:
            return known
        # Inside of an override the same callable may need something else, so that coming back to it is no cycle.
        here = (me, inside)
        if here in stack:
            raise self._cycle(location, stack.index(here))
        stack = (*stack, here)
        signature = self._signature(call, location)
        ran = tuple(self._dependency(effect, None, location, stack, inside) for effect in effects)
        arguments = tuple(
            argument
            for parameter, read in signature
            if (argument := self._argument(parameter, read, location, stack, inside)) is not None
        )
        node = self._assemble(call, marker, name, location, arguments, ran, signature)
        self._nodes[key] = node
        return node

    def _assemble(
        self,
        call: Callable[..., Any],
        marker: DependsMarker,
        name: str | None,
        location: Location,
        arguments: tuple[Argument, ...],
        effects: tuple[Dependant, ...],
        signature: _Signature,
    ) -> Dependant:
        form = form_of(call)
        below = [*effects, *(item for item in arguments if isinstance(item, Dependant))]
        return Dependant(
            call=call,
            name=name,
            path=self.path,
            arguments=arguments,
            effects=effects,
            positional_only=frozenset(item.name for item, _ in signature if item.kind is POSITIONAL_ONLY),
            form=form,
            threaded=_runs_in_thread(call, form, marker.threadpool),
            use_cache=marker.use_cache,
            scope=marker.scope,
            lifetime=lifetime_of(form, marker.scope, below, location),
            own_oauth_scopes=marker.security_scopes,
            uses_scopes=_asks_for_scopes(arguments) or any(node.uses_scopes for node in below),
            limit=marker.limit,
            location=location,
        )

    def _signature(self, call: Callable[..., Any], location: Location) -> _Signature:
        try:
            known = _signatures.get(call)
        except TypeError:  # neither hashable nor weakly referable: nothing to remember it by
            return self._read_signature(call, location)
        if known is None:
            known = self._read_signature(call, location)
            if not any(parameter.missing for parameter, _ in known):
                _signatures[call] = known
        return known

    def _read_signature(self, call: Callable[..., Any], location: Location) -> _Signature:
        return tuple(
            (parameter, read_parameter(parameter, location.at(parameter.name)))
            for parameter in get_signature(call, self.names, location)
        )

    def _argument(
        self,
        parameter: Parameter,
        read: Read,
        location: Location,
        stack: tuple[Hashable, ...],
        inside: frozenset[Hashable],
    ) -> Argument | None:
        where = location.at(parameter.name)
        if parameter.kind in VAR_KINDS:
            return None
        if isinstance(read.marker, DependsMarker):
            marker = self._named(read.marker, read.type, parameter, where)
            return None if marker is None else self._dependency(marker, parameter.name, where, stack, inside)
        if parameter.missing:
            self._unresolved(parameter.missing, where)
            return None
        special = specials.find(parameter.name, read.type, parameter.annotation)
        if special is not None:
            return special_param(special, parameter.name, read, where, is_endpoint=len(stack) == 1)
        return self._field(parameter, read, where, is_endpoint=len(stack) == 1)

    def _named(
        self, marker: DependsMarker, annotation: Any, parameter: Parameter, where: Location
    ) -> DependsMarker | None:
        """The marker with the annotation put in where it names no dependency."""
        if isinstance(marker.dependency, Unresolved):
            self._unresolved((marker.dependency.name,), where)
            return None
        if marker.dependency is not None:
            return marker
        if parameter.missing:
            self._unresolved(parameter.missing, where)
            return None
        plain = get_origin(annotation) or annotation
        if parameter.annotation is EMPTY or is_union(annotation) or not isinstance(plain, type):
            raise InvalidParameterError(
                where,
                problem="Depends() names no dependency, and the annotation is no class",
                expected="a callable in Depends(...), or a class as the annotation",
                remedy=f"write Depends(your_dependency), or annotate {parameter.name!r} with the class to construct",
            )
        return replace(marker, dependency=annotation)

    def _field(self, parameter: Parameter, read: Read, where: Location, *, is_endpoint: bool) -> ParamField | None:
        in_path = parameter.name in self._path_names
        marker = param_marker(parameter.name, read, where, path=self.path, in_path=in_path).saying(read.metadata)
        default = default_of(parameter.name, read, marker, where, is_endpoint=is_endpoint)
        annotation = Any if read.type is EMPTY else read.type
        try:
            if read.marker is None and not in_path:
                check_needs_no_marker(parameter.name, read, where)
            return make_field(parameter.name, annotation, marker, default, read.metadata, where)
        except InvalidParameterError:
            if self.final or in_path or read.marker is not None or not is_endpoint:
                raise
            # An outer level may provide it by its name.
            self._left_open = True
            return None

    def _unresolved(self, missing: tuple[str, ...], where: Location) -> None:
        if not self.final:
            self._left_open = True
            return
        listed = ", ".join(repr(name) for name in missing)
        raise AnnotationError(
            where,
            problem=f"the annotation names {listed}, which cannot be found",
            expected="names of the module, or local names that exist when the route is declared",
            remedy="import it outside of `if TYPE_CHECKING:`, or move it to the module, or define it before the route",
        )

    def _cycle(self, location: Location, start: int) -> DependencyCycleError:
        round_trip = location.chain[start:]
        return DependencyCycleError(
            location,
            problem=f"a dependency needs itself: {' -> '.join(round_trip)}",
            expected="a tree",
            remedy=f"remove one Depends of {', '.join(dict.fromkeys(round_trip))}, or move what they share to a third",
        )


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


def path_names(path: str) -> frozenset[str]:
    """The names of the parameters in a path, whatever their convertors."""
    return frozenset(_PATH_NAMES.findall(path))


def _check_endpoint(call: Callable[..., Any], location: Location) -> None:
    form = form_of(call)
    if form is Form.COROUTINE:
        return
    if is_class(call):
        found, remedy = "a class", "hand over an async def function, or an instance with an async __call__"
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


def _effect(value: Any, location: Location) -> DependsMarker:
    marker = read_marker(value)
    if not isinstance(marker, DependsMarker) or not callable(marker.dependency):
        raise InvalidParameterError(
            location,
            problem=f"dependencies= holds {show(value)}",
            expected="Depends(...) or Security(...) with a callable inside",
            remedy="write dependencies=[Depends(your_dependency)]",
        )
    return marker


def _runs_in_thread(call: Callable[..., Any], form: Form, threadpool: bool | None) -> bool:
    if form.is_async:
        return False
    # A class is constructed in place: that is seldom slow, and a thread costs more than most constructors.
    return not is_class(call) if threadpool is None else threadpool


def _asks_for_scopes(arguments: tuple[Argument, ...]) -> bool:
    return any(isinstance(item, SpecialParam) and item.special is Special.SECURITY_SCOPES for item in arguments)
