"""From a callable to a node of the tree: what each of its parameters gets, and everything below it.

Data: `Parameter` (signature) in, `Dependant` (models) out. Overrides enter here and nowhere else, so that everything
after it knows nothing of them. So does what the levels of an application provide by name, which becomes a dependency
like any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, get_origin
from weakref import WeakKeyDictionary

from wsroute.dependencies import specials
from wsroute.dependencies.annotations import is_union
from wsroute.dependencies.callables import Form, describe, form_of, identity, is_class, show
from wsroute.dependencies.fields import ParamField, make_field
from wsroute.dependencies.lifetimes import check_app_value, check_scope, lifetime_of
from wsroute.dependencies.markers import DependsMarker, InjectsMarker, PayloadMarker
from wsroute.dependencies.metadata import validator_of
from wsroute.dependencies.models import Argument, Dependant, Special, SpecialParam
from wsroute.dependencies.providers import Providers, Reach
from wsroute.dependencies.reading import (
    Read,
    check_needs_no_marker,
    default_of,
    given_param,
    param_marker,
    read_parameter,
    special_param,
    spoken_param,
)
from wsroute.dependencies.signature import (
    BY_POSITION,
    EMPTY,
    POSITIONAL_ONLY,
    VAR_KINDS,
    LocalNames,
    Unresolved,
    get_signature,
)
from wsroute.exceptions import AnnotationError, DependencyCycleError, InvalidParameterError, Location

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


_NO_PROVIDERS = Providers()
_NOTHING_NAMED: Mapping[str, Special] = MappingProxyType({})


class Place(NamedTuple):
    """Where in the tree a callable stands.

    Attributes:
        stack: The callables around it, and itself.
        inside: The callables whose overrides it stands inside of.
        reach: Which providers it can ask for by name; `None` for a function inside `Depends`: none of them.
        is_endpoint: Whether it is the endpoint, or called as one: a handler of messages.
        named: What parameters of a handler get because of their names: the message, under the name that was found.
    """

    stack: tuple[Hashable, ...] = ()
    inside: frozenset[Hashable] = frozenset()
    reach: Reach | None = None
    is_endpoint: bool = False
    named: Mapping[str, Special] = _NOTHING_NAMED


class Nodes:
    """Builds the nodes of one tree.

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

    def _dependency(
        self, marker: DependsMarker, name: str | None, location: Location, place: Place, reach: Reach | None = None
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
        inner = Place(place.stack, inside, reach, is_endpoint=not place.stack)
        return self._node(call, marker, name, location.inside(describe(call)), inner)

    def _node(
        self,
        call: Callable[..., Any],
        marker: DependsMarker,
        name: str | None,
        location: Location,
        place: Place,
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
        place = place._replace(stack=(*place.stack, here))
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
        self, given: tuple[Given, ...], signature: _Signature, location: Location, place: Place
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
        message = None
        below = [*effects]
        for item in arguments:
            if isinstance(item, Dependant):
                below.append(item)
            elif isinstance(item, SpecialParam) and item.special is Special.MESSAGE:
                message = item.name
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
            lifetime=lifetime_of(form, marker.scope, below, location, message=message),
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

    def _argument(self, read: Read, location: Location, place: Place) -> Argument | None:
        where = location.at(read.name)
        if read.kind in VAR_KINDS:
            return None
        if isinstance(read.marker, DependsMarker):
            marker = self._named(read.marker, read, where)
            return None if marker is None else self._dependency(marker, read.name, where, place)
        special = None if read.missing else specials.find(read.name, read.type, read.written)
        if special is not None:
            return special_param(special, read, where, is_endpoint=place.is_endpoint)
        named = place.named.get(read.name) if read.marker is None else None
        if isinstance(read.marker, PayloadMarker):
            named = Special.MESSAGE
        if named is not None:
            return self._spoken(named, read, where)
        if read.marker is None or isinstance(read.marker, InjectsMarker):
            provided = self._provided(read, where, place)
            if provided is not None or isinstance(read.marker, InjectsMarker):
                return provided
        if read.missing:
            self._unresolved(read.missing, where)
            return None
        return self._field(read, where, place)

    def _spoken(self, special: Special, read: Read, where: Location) -> SpecialParam | None:
        """The parameter that gets the message, or what is known of the end of a connection."""
        if read.missing:
            self._unresolved(read.missing, where)
            return None
        return spoken_param(special, read, where)

    def _provided(self, read: Read, where: Location, place: Place) -> Dependant | None:
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

    def _not_provided(self, name: str, where: Location, place: Place) -> None:
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

    def _field(self, read: Read, where: Location, place: Place) -> ParamField | None:
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


def path_names(path: str) -> frozenset[str]:
    """The names of the parameters in a path, whatever their convertors."""
    return frozenset(_PATH_NAMES.findall(path))


def _runs_in_thread(call: Callable[..., Any], form: Form, threadpool: bool | None) -> bool:
    if form.is_async:
        return False
    # A class is constructed in place: that is seldom slow, and a thread costs more than most constructors.
    return not is_class(call) if threadpool is None else threadpool


def _uses_scopes(item: Argument) -> bool:
    if isinstance(item, Dependant):
        return item.uses_scopes
    return isinstance(item, SpecialParam) and item.special is Special.SECURITY_SCOPES
