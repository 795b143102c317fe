"""Which dependencies the routes of an application need, wherever they are: what an override could replace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from wsroute.routing.route import APIWebSocketRoute


class Needs:
    """What the routes below something need.

    Args:
        target: An application, a router, a gateway, or a route.

    Attributes:
        names: The names that levels provide dependencies by.
    """

    def __init__(self, target: Any) -> None:
        self._calls: list[Any] = []
        self.names: set[str] = set()
        for route in _routes(target):
            if isinstance(route, APIWebSocketRoute):
                tree = route.dependant
                # The endpoint is no dependency.
                self._calls += [node.call for node in tree.walk() if node is not tree]
                self.names.update(route.provided_names)
            else:
                self._calls += _calls(getattr(route, "dependant", None))

    def __contains__(self, key: object) -> bool:
        return key in self.names if isinstance(key, str) else any(call == key for call in self._calls)

    def named(self) -> Iterator[tuple[str, Any]]:
        """The names of all that they need, each with the key that an override of it has."""
        yield from ((name, name) for name in self.names)
        for call in self._calls:
            if isinstance(name := getattr(call, "__name__", None), str):
                yield name, call


def _routes(target: Any) -> Iterator[Any]:
    """All routes in something, the inner ones of mounts and included routers among them, each once."""
    seen: set[int] = set()
    waiting = [target]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        waiting += _inside(item)


def _inside(item: Any) -> Iterable[Any]:
    """What is in a route or an application. FastAPI is not imported: its routers are known by their attributes."""
    inner = list(getattr(item, "routes", None) or ())
    candidates = getattr(item, "effective_candidates", None)
    if callable(candidates):
        inner += candidates()
    # A mount has the application that it mounts, and a route of FastAPI the one that it was made from.
    inner += [part for name in ("app", "original_route") if (part := getattr(item, name, None)) is not None]
    return inner


def _calls(dependant: Any) -> Iterator[Any]:
    """The callables of a tree of FastAPI, without the endpoint's."""
    waiting = [] if dependant is None else list(dependant.dependencies)
    while waiting:
        node = waiting.pop()
        yield node.call
        waiting += node.dependencies
