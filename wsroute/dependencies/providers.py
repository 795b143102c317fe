"""What the levels of an application provide by name, and who gets it."""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from wsroute.dependencies.callables import show
from wsroute.dependencies.markers import DependsMarker, is_uncalled_marker, read_marker
from wsroute.exceptions import InvalidParameterError, Location


class Reach(NamedTuple):
    """Which providers a callable can ask for: all of them, but under its own name only those further out.

    Attributes:
        own: The name that it provides itself, if it does.
        level: The level from which on, inwards, nobody serves it under that name.
    """

    own: str | None = None
    level: int = 0


class Providers(NamedTuple):
    """The providers of all levels above an endpoint.

    Attributes:
        levels: What each level provides under which name, outermost level first.
    """

    levels: tuple[Mapping[str, DependsMarker], ...] = ()

    def find(self, name: str, reach: Reach) -> tuple[int, DependsMarker] | None:
        """The nearest provider of a name that a callable can ask for, with its level."""
        end = reach.level if name == reach.own else len(self.levels)
        for level in reversed(range(end)):
            if (marker := self.levels[level].get(name)) is not None:
                return level, marker
        return None

    def is_nearest(self, reach: Reach) -> bool:
        """Whether a provider is the one that an endpoint gets: an override by name replaces this one, and no other."""
        nearest = None if reach.own is None else self.find(reach.own, Reach())
        return nearest is not None and nearest[0] == reach.level

    def names(self) -> Iterator[str]:
        """All names that are provided, each once, outermost level first."""
        yield from dict.fromkeys(name for level in self.levels for name in level)


def read_dependencies(
    dependencies: Sequence[Any] | Mapping[str, Any] | None, location: Location
) -> tuple[tuple[Any, ...], dict[str, DependsMarker]]:
    """The dependencies of one level, which the caller may change afterwards.

    Args:
        dependencies: Markers of what is run for its effect, or a mapping of what is provided by name; or a sequence of
            both.
        location: The level.

    Returns:
        The markers of what is run for its effect, as they are; and what is provided, by name.

    Raises:
        InvalidParameterError: It is nothing of this, or provides one name twice.
    """
    if not dependencies and isinstance(dependencies, (Sequence, Mapping, type(None))):
        return (), {}
    if isinstance(dependencies, Mapping):
        return (), _read_providers(dependencies, {}, location)
    if not isinstance(dependencies, Sequence):
        raise InvalidParameterError(
            location,
            problem=f"dependencies= is {show(dependencies)}",
            expected="a list of Depends(...) or Security(...), or a mapping of names to Inject(...)",
            remedy="put it into a list",
        )
    provided: dict[str, DependsMarker] = {}
    effects = []
    for item in dependencies:
        if isinstance(item, Mapping):
            _read_providers(item, provided, location)
        else:
            effects.append(item)
    return tuple(effects), provided


def _read_providers(
    mapping: Mapping[str, Any], provided: dict[str, DependsMarker], location: Location
) -> dict[str, DependsMarker]:
    for name, value in mapping.items():
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise InvalidParameterError(
                location,
                problem=f"dependencies= provides something under {show(name)}, which no parameter can be called",
                expected="names of parameters",
                remedy="name it as the parameters that get it",
            )
        if name in provided:
            raise InvalidParameterError(
                location,
                problem=f"dependencies= provides {name!r} twice at one level",
                expected="one provider for each name of a level",
                remedy="remove one of them, or move it to another level: the nearest one counts",
            )
        provided[name] = _read_provider(name, value, location)
    return provided


def _read_provider(name: str, value: Any, location: Location) -> DependsMarker:
    marker = read_marker(value)
    if isinstance(marker, DependsMarker) and callable(marker.dependency):
        return marker
    if marker is None and callable(value) and not is_uncalled_marker(value):
        return DependsMarker(value)
    raise InvalidParameterError(
        location,
        problem=f"dependencies= provides {show(value)} under {name!r}",
        expected="Inject(...) with a callable inside, or the callable itself",
        remedy=f'write dependencies={{"{name}": Inject(your_dependency)}}; a value is lambda: value',
    )
