"""From a callable to the tree of what it needs.

Data: `Parameter` (signature) in, `Dependant` (models) out. One `Analysis` builds one tree; overrides enter here and
nowhere else, so that everything after it knows nothing of them. So do the levels of an application: what they provide
by name becomes a dependency like any other.

Analysis runs twice. At declaration nothing is final: a name that cannot be found yet, or a parameter that an outer
level may still provide, is left alone, and the rest is read all the same: for its mistakes, and because names local to
functions can be found only now. At binding everything is decided, and what is still open is an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple, TypeAlias, get_origin
from weakref import WeakKeyDictionary

from wsroute.dependencies import specials
from wsroute.dependencies.annotations import is_union
from wsroute.dependencies.callables import Form, describe, form_of, identity, is_class, method_of, show
from wsroute.dependencies.fields import ParamField, make_field, validator_of
from wsroute.dependencies.lifetimes import check_app_value, check_lasts, check_scope, lifetime_of
from wsroute.dependencies.markers import DependsMarker, InjectsMarker, read_marker
from wsroute.dependencies.models import Argument, Condition, Dependant, Special, SpecialParam
from wsroute.dependencies.providers import Providers, Reach
from wsroute.dependencies.reading import (
    Read,
    check_needs_no_marker,
    default_of,
    given_param,
    param_marker,
    read_parameter,
    special_param,
)
from wsroute.dependencies.rules import Rule
from wsroute.dependencies.signature import (
    BY_POSITION,
    EMPTY,
    POSITIONAL_ONLY,
    VAR_KINDS,
    LocalNames,
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

_Signature: TypeAlias = tuple[Read, ...]

#: Shared by all nodes: each empty set would be one of its own.
_NO_NAMES: frozenset[str] = frozenset()

#: Signatures by callable: they do not depend on the route. Only complete ones are kept.
_signatures: WeakKeyDictionary[Any, _Signature] = WeakKeyDictionary()

#: The override of a callable, or of what is provided under a name; or `None`.
Overrides = Callable[[Any], Callable[..., Any] | None]

#: What a leading parameter of a method gets, whatever it is called.
Given: TypeAlias = Special | DependsMarker


#: Of these, those with names of their own; the others are the instance of a method.
_NAMED = (Special.WEBSOCKET, Special.ROUTE, Special.CALL_NEXT)


class Undecided(Exception):
    """Declaration only: what the tree looks like depends on something that is not known yet."""


_NO_PROVIDERS = Providers()


class _Place(NamedTuple):
    """Where in the tree a callable stands.

    Attributes:
        stack: The callables around it, and itself.
        inside: The callables whose overrides it stands inside of.
        reach: Which providers it can ask for by name; `None` for a function inside `Depends`: none of them.
        is_endpoint: Whether it is the endpoint.
    """

    stack: tuple[Hashable, ...] = ()
    inside: frozenset[Hashable] = frozenset()
    reach: Reach | None = None
    is_endpoint: bool = False


class Analysis:
    """Builds one tree.

    Args:
        path: The whole path of the route, as far as it is known.
        names: Where names local to functions are found.
        overrides: Looked up for every dependency, never for the endpoint.
        final: Whether this is binding, so that nothing may stay undecided.
        providers: What the levels above the endpoint, and its own, provide by name.
    """

    def __init__(
        self,
        path: str,
        names: LocalNames | None = None,
        overrides: Overrides | None = None,
        final: bool = True,
        providers: Providers = _NO_PROVIDERS,
    ) -> None:
        self.path = path
        self.names = names or LocalNames()
        self.overrides = overrides
        self.final = final
        self.providers = providers
        self._nodes: dict[Hashable, Dependant] = {}
        self._path_names = path_names(path)
        self._left_open = False

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
        around = tuple(self._interceptor(method, Location(self.path), _Place()) for method in interceptors)
        conditions = tuple(self._condition(permission, Location(self.path), _Place()) for permission in permissions)
        markers = [_effect(marker, location) for marker in effects]
        place = _Place(reach=Reach(), is_endpoint=True)
        tree = self._node(call, DependsMarker(call), None, location, place, markers, given)
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
        place = _Place(stack=(None,) * len(location.chain))
        for value in effects:
            self._dependency(_effect(value, location), None, location, place)
        for number, level in enumerate(self.providers.levels):
            for name, marker in level.items():
                self._dependency(marker, None, location, place, Reach(name, number))
        for method in interceptors:
            self._interceptor(method, location, place)
        for permission in permissions:
            self._condition(permission, location, place)

    def dependency(self, marker: DependsMarker, name: str | None, location: Location) -> Dependant:
        """The tree of one dependency."""
        return self._dependency(marker, name, location, _Place())

    def _check_names(self, location: Location) -> None:
        for name in self.providers.names():
            if name in self._path_names:
                raise InvalidParameterError(
                    location,
                    problem=f"{name!r} is provided by name, and is a parameter of the path {self.path!r} as well",
                    expected="names of the path and names that are provided to be different",
                    remedy=f"rename {{{name}}} in the path, or what dependencies= provides",
                )

    def _interceptor(self, method: Callable[..., Any], location: Location, place: _Place) -> Dependant:
        return self._method(method, location, place, (Special.WEBSOCKET, Special.CALL_NEXT))

    def _condition(self, permission: Any, location: Location, place: _Place) -> Condition:
        if isinstance(permission, Rule):
            operands = tuple(self._condition(operand, location, place) for operand in permission.operands)
            return Condition(permission.operator, operands, None, permission)
        method = method_of(permission, "has_permission")
        question = self._method(method, location, place, (Special.WEBSOCKET, Special.ROUTE))
        return Condition("ask", (), question, permission)

    def _method(
        self, method: Callable[..., Any], location: Location, place: _Place, given: tuple[Given, ...]
    ) -> Dependant:
        """The tree of what a level calls beside the endpoint; what it needs is open for the whole connection."""
        location = location.inside(describe(method))
        marker = DependsMarker(method, use_cache=False)
        node = self._node(method, marker, None, location, place._replace(reach=Reach()), (), given)
        check_lasts(node)
        return node

    def _dependency(
        self, marker: DependsMarker, name: str | None, location: Location, place: _Place, reach: Reach | None = None
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
        inside = place.inside
        if self.overrides is not None and (original := identity(call)) not in inside:
            replacement = self.overrides(call)
            if replacement is None and reach is not None and self.providers.is_nearest(reach):
                replacement = self.overrides(reach.own)
            if replacement is not None:
                # Inside the override of A, A means the original: an override may wrap what it replaces.
                call, inside = replacement, inside | {original}
                reach = reach and reach._replace(level=reach.level + 1)
        # What stands alone is analysed as if it were an endpoint.
        inner = _Place(place.stack, inside, reach, is_endpoint=not place.stack)
        return self._node(call, marker, name, location.inside(describe(call)), inner)

    def _node(
        self,
        call: Callable[..., Any],
        marker: DependsMarker,
        name: str | None,
        location: Location,
        place: _Place,
        effects: Iterable[DependsMarker] = (),
        given: tuple[Given, ...] = (),
    ) -> Dependant:
        me = identity(call)
        # A dependency that two need is analysed once: without this, a chain of diamonds would take for ever.
        key = (me, name, place.inside, place.reach, marker.flags)
        known = self._nodes.get(key)
        if known is not None:
            return known
        # Inside of an override, and further out, the same callable may need something else: coming back to it is no
        # cycle.
        here = (me, place.inside, place.reach)
        if here in place.stack:
            by_name = place.reach is not None and place.reach.own is not None
            raise self._cycle(location, place.stack.index(here), "parameter" if by_name else "Depends")
        place = _Place((*place.stack, here), place.inside, place.reach, place.is_endpoint)
        signature = self._signature(call, location)
        ran = [self._dependency(effect, None, location, place) for effect in effects]
        arguments: list[Argument] = [*self._given(given, signature, location, place)] if given else []
        for read in signature[len(given) :]:
            argument = self._argument(read, location, place)
            if argument is not None:
                arguments.append(argument)
        node = self._assemble(call, marker, name, location, tuple(arguments), tuple(ran), signature)
        if node.lifetime == "app":
            check_app_value(node)
        self._nodes[key] = node
        return node

    def _given(
        self, given: tuple[Given, ...], signature: _Signature, location: Location, place: _Place
    ) -> tuple[Argument, ...]:
        """The leading parameters of a method, which get what they get whatever they are called."""
        leading = signature[: len(given)]
        if len(leading) < len(given) or any(read.kind not in BY_POSITION for read in leading):
            names = ", ".join(item.value if item in _NAMED else "self" for item in given)
            found = ", ".join(read.name for read in signature)
            raise InvalidParameterError(
                location,
                problem=f"it takes ({found})",
                expected=f"the parameters ({names}), by position and under any names, before those that are injected",
                remedy=f"declare them as ({names}, ...)",
            )
        return tuple(
            self._dependency(item, read.name, location.at(read.name), place, Reach())
            if isinstance(item, DependsMarker)
            else given_param(item, read, location.at(read.name))
            for item, read in zip(given, leading, strict=True)
        )

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
        below = [*effects, *[item for item in arguments if isinstance(item, Dependant)]]
        return Dependant(
            call=call,
            name=name,
            path=self.path,
            arguments=arguments,
            effects=effects,
            positional_only=frozenset([read.name for read in signature if read.kind is POSITIONAL_ONLY]) or _NO_NAMES,
            form=form,
            threaded=_runs_in_thread(call, form, marker.threadpool),
            use_cache=marker.use_cache,
            scope=marker.scope,
            lifetime=lifetime_of(form, marker.scope, below, location),
            own_oauth_scopes=marker.security_scopes,
            uses_scopes=any(map(_uses_scopes, (*effects, *arguments))),
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
            if not any(read.missing for read in known):
                _signatures[call] = known
        return known

    def _read_signature(self, call: Callable[..., Any], location: Location) -> _Signature:
        return tuple(read_parameter(parameter, location) for parameter in get_signature(call, self.names, location))

    def _argument(self, read: Read, location: Location, place: _Place) -> Argument | None:
        where = location.at(read.name)
        if read.kind in VAR_KINDS:
            return None
        if isinstance(read.marker, DependsMarker):
            marker = self._named(read.marker, read, where)
            return None if marker is None else self._dependency(marker, read.name, where, place)
        special = None if read.missing else specials.find(read.name, read.type, read.written)
        if special is not None:
            return special_param(special, read, where, is_endpoint=place.is_endpoint)
        if read.marker is None or isinstance(read.marker, InjectsMarker):
            provided = self._provided(read, where, place)
            if provided is not None or isinstance(read.marker, InjectsMarker):
                return provided
        if read.missing:
            self._unresolved(read.missing, where)
            return None
        return self._field(read, where, place)

    def _provided(self, read: Read, where: Location, place: _Place) -> Dependant | None:
        """What a level provides under the name of a parameter, if one does."""
        found = None if place.reach is None else self.providers.find(read.name, place.reach)
        if found is None:
            if isinstance(read.marker, InjectsMarker):
                self._not_provided(read.name, where, place)
            return None
        level, marker = found
        value = self._dependency(marker, read.name, where, place, Reach(read.name, level))
        validate = None if read.missing else validator_of(read.type, read.metadata, where)
        return value if validate is None else self._validated(value, validate)

    def _validated(self, value: Dependant, validate: Callable[[Any], Any]) -> Dependant:
        """The value of a dependency as its parameter's annotation wants it: a dependency of its own."""
        return value._replace(
            call=validate,
            arguments=(value,),
            effects=(),
            positional_only=frozenset({value.name or ""}),
            form=Form.VALUE,
            threaded=False,
            use_cache=True,
            own_oauth_scopes=(),
            limit=None,
        )

    def _not_provided(self, name: str, where: Location, place: _Place) -> None:
        if place.reach is not None and not self.final:
            self._left_open = True
            return
        if place.reach is None:
            problem = "Injects() in a function inside Depends(...), which providers by name do not reach"
            remedy = "write Depends(...) with what provides it, or provide this function by name as well"
        else:
            known = ", ".join(map(repr, self.providers.names())) or "nothing"
            problem = f"no level provides {name!r}; by name there is {known}"
            remedy = f'add dependencies={{"{name}": Inject(...)}} to the route or to a level above it'
        raise InvalidParameterError(
            where, problem=problem, expected=f"a provider of {name!r} at one of the levels", remedy=remedy
        )

    def _named(self, marker: DependsMarker, read: Read, where: Location) -> DependsMarker | None:
        """The marker with the annotation put in where it names no dependency."""
        if isinstance(marker.dependency, Unresolved):
            self._unresolved((marker.dependency.name,), where)
            return None
        if marker.dependency is not None:
            return marker
        if read.missing:
            self._unresolved(read.missing, where)
            return None
        plain = get_origin(read.type) or read.type
        if read.written is EMPTY or is_union(read.type) or not isinstance(plain, type):
            raise InvalidParameterError(
                where,
                problem="Depends() names no dependency, and the annotation is no class",
                expected="a callable in Depends(...), or a class as the annotation",
                remedy=f"write Depends(your_dependency), or annotate {read.name!r} with the class to construct",
            )
        return marker._replace(dependency=read.type)

    def _field(self, read: Read, where: Location, place: _Place) -> ParamField | None:
        in_path = read.name in self._path_names
        marker = param_marker(read, where, path=self.path, in_path=in_path).saying(read.metadata)
        default = default_of(read, marker, where, is_endpoint=place.is_endpoint)
        annotation = Any if read.type is EMPTY else read.type
        try:
            if read.marker is None and not in_path:
                check_needs_no_marker(read, where)
            return make_field(read.name, annotation, marker, default, read.metadata, where)
        except InvalidParameterError:
            if self.final or in_path or read.marker is not None or place.reach is None:
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

    def _cycle(self, location: Location, start: int, need: str) -> DependencyCycleError:
        round_trip = location.chain[start:]
        return DependencyCycleError(
            location,
            problem=f"a dependency needs itself: {' -> '.join(round_trip)}",
            expected="a tree",
            remedy=f"remove one {need} of {', '.join(dict.fromkeys(round_trip))}, or move what they share to a third",
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


def _uses_scopes(item: Argument) -> bool:
    if isinstance(item, Dependant):
        return item.uses_scopes
    return isinstance(item, SpecialParam) and item.special is Special.SECURITY_SCOPES
