"""Which routes of a table may match a path, without asking them all.

The index is a trie by path segment. It knows nothing about parameters but where they stand; what it yields is a
superset in order of declaration, and the routes' own regexes decide. So whatever a regex can do is right by
construction, as long as the index never leaves out a route, and it only has to know for sure what a route *cannot*
match. Where it does not know, the route is a candidate for every path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, TypeVar
from weakref import WeakSet

from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute
from starlette.types import Scope

from wsroute.routing.paths import literals_of, pattern_of

#: To ask so few routes takes less time than to look for those that may match.
FEW = 4

_Matches = TypeVar("_Matches", bound=Callable[..., tuple[Match, Scope]])

# Promises belong to functions, not to classes: a subclass that overrides `matches` does not inherit the promise.
_STARLETTES = (Route.matches, WebSocketRoute.matches, Mount.matches)
_DECIDED_BY_PATH_REGEX: WeakSet[Callable[..., Any]] = WeakSet(_STARLETTES)

# What Starlette's str, int, float and uuid convertors compile to: never empty and never with a slash. Spelled out
# instead of read from these classes, because that property is known of these texts, not of what a release may change.
_WITHIN_ONE_SEGMENT = frozenset(
    {
        "[^/]+",
        "[0-9]+",
        r"[0-9]+(\.[0-9]+)?",
        "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}",
    }
)


def decided_by_path_regex(matches: _Matches) -> _Matches:
    """Declare that a route class's own `matches` never matches a path that its `path_regex` does not match.

    A route whose `matches` is neither Starlette's nor declared is a candidate for every path. The route has
    `path_regex`, `path_format` and `param_convertors` as `starlette.routing.compile_path` gives them; the first of
    them is not asked for here.

    Args:
        matches: The method, in the class that defines it.
    """
    _DECIDED_BY_PATH_REGEX.add(matches)
    return matches


def candidates_in(routes: Sequence[BaseRoute]) -> Callable[[str], Sequence[BaseRoute]]:
    """A function that gives the routes of a table that may match a path, in order of declaration.

    Args:
        routes: The table; what is changed in it or its routes afterwards may not show.
    """
    table = tuple(routes)
    if len(table) <= FEW:
        return lambda path: table
    return PathIndex(table).candidates


class PathIndex:
    """The routes of a table by path; what is changed in the table or its routes afterwards does not show.

    Args:
        routes: The table, in order of declaration.
    """

    __slots__ = ("_depth", "_everywhere", "_literal", "_root", "_routes")

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = tuple(routes)
        self._root = _Node()
        self._depth = 0
        self._everywhere: list[int] = []
        literal: list[str] = []
        for position, route in enumerate(self._routes):
            template = _template_of(route)
            if template is None:
                self._everywhere.append(position)
            else:
                self._depth = max(self._depth, self._root.insert(position, *template))
                if not template[1]:
                    literal.append(f"/{template[0][0]}")
        # What the trie says of a path without parameters is asked once.
        self._literal = {path: self._look_up(path) for path in literal}

    def candidates(self, path: str) -> Sequence[BaseRoute]:
        """The routes that may match, in order of declaration.

        Args:
            path: What Starlette's routes look at: the scope's path without its root path, percent-decoded.
        """
        known = self._literal.get(path)
        return self._look_up(path) if known is None else known

    def _look_up(self, path: str) -> Sequence[BaseRoute]:
        found = self._find(path)
        if path.endswith("\n"):
            # `$` in a regex also matches before one newline at the very end.
            found = list({*found, *self._find(path[:-1])})
        if len(found) == 1:  # as in most tables for most paths
            return [self._routes[found[0]]]
        return [self._routes[position] for position in sorted(found)]

    def _find(self, path: str) -> list[int]:
        """The positions of the routes that may match all of the path, unsorted, each once."""
        found = self._everywhere.copy()
        if not path.startswith("/"):
            return found
        # All alive branches advance together, so that no path costs more than the nodes it keeps alive. What is
        # deeper than every route is left in one piece, that no node at that depth has a child for.
        alive = [self._root]
        for segment in path[1:].split("/", self._depth):
            advanced = []
            for node in alive:
                child = node.literals.get(segment)
                if child is not None:
                    advanced.append(child)
                for length in node.prefix_lengths:
                    if length > len(segment):
                        break
                    child = node.prefixes.get(segment[:length])
                    if child is not None:
                        found += child.open_ends
                        if length < len(segment):
                            advanced.append(child)
            alive = advanced
            if not alive:
                break
        for node in alive:
            found += node.ends
        return found


class _Node:
    """The routes that agree in everything the index knows of their path up to here; routes are positions."""

    __slots__ = ("ends", "literals", "open_ends", "prefix_lengths", "prefixes")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        # Segments with a parameter, by the text before it: "" in `/{x}`, "v" in `/v{major}.{minor}`.
        self.prefixes: dict[str, _Node] = {}
        self.prefix_lengths: list[int] = []
        self.ends: list[int] = []
        # Routes that match, from the text before the parameter on, whatever follows: also nothing, also slashes.
        self.open_ends: list[int] = []

    def insert(self, position: int, literals: list[str], regexes: list[str]) -> int:
        """Add a route below this node and return how many segments of its path the index looks at."""
        node, depth = self, 1
        prefix, has_parameter = "", False
        for index, literal in enumerate(literals):
            head, *following = literal.split("/")
            if not has_parameter:
                prefix = head
            for segment in following:
                node, depth = node._child(prefix, has_parameter), depth + 1
                prefix, has_parameter = segment, False
            if index < len(regexes):
                if regexes[index] not in _WITHIN_ONE_SEGMENT:
                    node._child(prefix, has_parameter=True).open_ends.append(position)
                    return depth
                has_parameter = True
        node._child(prefix, has_parameter).ends.append(position)
        return depth

    def _child(self, prefix: str, has_parameter: bool) -> _Node:
        children = self.prefixes if has_parameter else self.literals
        child = children.get(prefix)
        if child is None:
            child = children[prefix] = _Node()
            if has_parameter and len(prefix) not in self.prefix_lengths:
                self.prefix_lengths.append(len(prefix))
                self.prefix_lengths.sort()
        return child


def _template_of(route: BaseRoute) -> tuple[list[str], list[str]] | None:
    """The literal texts of a route's path after its first slash and the regexes between them, if they are certain."""
    matches = getattr(route, "matches", None)
    if not (isinstance(matches, MethodType) and matches.__self__ is route):
        return None
    if matches.__func__ not in _DECIDED_BY_PATH_REGEX:
        return None
    described: Any = route
    try:
        path_format, convertors = described.path_format, described.param_convertors
        # Whoever declares a `matches` says that this is what it is; it may not have been compiled yet.
        path_regex = described.path_regex if matches.__func__ in _STARLETTES else None
    except AttributeError:
        return None
    literals = literals_of(path_format, convertors)
    # What decides is the regex: nothing is concluded from the other attributes unless they say the same.
    if path_regex is not None:
        if path_regex.pattern != pattern_of(literals, convertors) or path_regex.flags != re.UNICODE:
            return None
    regexes = [convertor.regex for convertor in convertors.values()]
    if not literals[0].startswith("/"):
        return None
    if not all(regex in _WITHIN_ONE_SEGMENT or _stands_alone(regex) for regex in regexes):
        return None
    literals[0] = literals[0][1:]
    return literals, regexes


def _stands_alone(regex: str) -> bool:
    """Whether a convertor's regex means the same inside a path's regex: `a)|(.*` would be another way past it."""
    try:
        re.compile(regex)
    except re.error:
        return False
    return True
