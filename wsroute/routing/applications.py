"""What an application of FastAPI runs before the routes that are in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from typing import Any

from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import Location
from wsroute.routing.layers import Layer, layer_above

#: How many variants of a route are kept. Tests make an application each: without a bound, all would stay alive.
MAX_VARIANTS = 8


def dependencies_of(application: Any) -> Sequence[Any]:
    """What `FastAPI(dependencies=[...])` says, for an application of FastAPI; nothing for others.

    Args:
        application: What is in the scope of a connection, or gets a lifespan; FastAPI need not be installed.
    """
    declared = getattr(getattr(application, "router", None), "dependencies", None)
    # Elsewhere it is something else: Esmerald has a mapping by name.
    return declared if type(declared) is list else ()


class BelowApplications:
    """A route below the dependencies of each application that serves it.

    Args:
        below: Makes a route below a level.
    """

    def __init__(self, below: Callable[[Layer], Any]) -> None:
        self._below = below
        self._variants: list[tuple[tuple[Any, ...], Any]] = []

    def routes(self) -> list[Any]:
        """The variants of the route that have been made."""
        return [route for _, route in self._variants]

    def get(self, dependencies: Sequence[Any]) -> Any:
        """The route below these dependencies.

        Raises:
            DependencyError: They cannot work before it.
        """
        for known, route in self._variants:
            # By identity: markers of FastAPI need not be hashable, and to compare them takes time.
            if len(known) == len(dependencies) and all(map(is_, known, dependencies)):
                return route
        location = Location(chain=("FastAPI(dependencies=[...])",))
        route = self._below(layer_above(location, dependencies=dependencies, names=LocalNames()))
        self._variants = [(tuple(dependencies), route), *self._variants[: MAX_VARIANTS - 1]]
        return route
