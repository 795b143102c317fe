"""Paths: checked when they are declared, and read from the scope when a connection comes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.convertors import (
    CONVERTOR_TYPES,
    Convertor,
    FloatConvertor,
    IntegerConvertor,
    PathConvertor,
    StringConvertor,
    UUIDConvertor,
)
from starlette.types import Scope

from wsroute.dependencies.callables import show
from wsroute.exceptions import InvalidPathError, Location

_PARAMETER = re.compile(r"{([a-zA-Z_][a-zA-Z0-9_]*)(?::([a-zA-Z_][a-zA-Z0-9_]*))?}")
_SPACED_PARAMETER = re.compile(r"{\s*(\w+)\s*(?::\s*(\w+)\s*)?}", re.ASCII)
#: Of these, every path can be compiled.
_SOUND = frozenset(
    convertor.regex for convertor in (StringConvertor, PathConvertor, IntegerConvertor, FloatConvertor, UUIDConvertor)
)


class CompiledPath:
    """A path as Starlette compiles it; the regex when it is first needed, since it takes longer than all the rest.

    Args:
        path: The path, of which the parameters have been checked.

    Attributes:
        format: The path, its parameters without their convertors.
        convertors: The convertors of the parameters by their names.

    Raises:
        re.error: A convertor that is not Starlette's own has no regex that fits into one.
    """

    __slots__ = ("_regex", "convertors", "format")

    def __init__(self, path: str) -> None:
        self.format = _PARAMETER.sub(r"{\1}", path)
        self.convertors: dict[str, Convertor[Any]] = {
            name: CONVERTOR_TYPES[convertor or "str"] for name, convertor in _PARAMETER.findall(path)
        }
        self._regex: re.Pattern[str] | None = None
        if any(convertor.regex not in _SOUND for convertor in self.convertors.values()):
            self._regex = self._compile()

    @property
    def regex(self) -> re.Pattern[str]:
        """What decides whether a path is one of this route."""
        if self._regex is None:
            self._regex = self._compile()
        return self._regex

    def _compile(self) -> re.Pattern[str]:
        return re.compile(pattern_of(literals_of(self.format, self.convertors), self.convertors))


def literals_of(path_format: str, names: Iterable[str]) -> list[str]:
    """The texts before, between and behind the parameters of a path."""
    literals, rest = [], path_format
    for name in names:
        literal, _, rest = rest.partition(f"{{{name}}}")
        literals.append(literal)
    return [*literals, rest]


def pattern_of(literals: list[str], convertors: Mapping[str, Convertor[Any]]) -> str:
    """The regex of a path, as Starlette writes it."""
    parameters = [f"(?P<{name}>{convertor.regex})" for name, convertor in convertors.items()]
    pieces = zip(map(re.escape, literals), [*parameters, "$"], strict=True)
    return "^" + "".join(literal + parameter for literal, parameter in pieces)


def compile_route_path(path: str, location: Location) -> CompiledPath:
    """Compile the path of a route; an empty one is the prefix of the router above it, and no path without one.

    Raises:
        InvalidPathError: It does not start with a slash, repeats a name, or names no known convertor.
    """
    if path and not path.startswith("/"):
        raise InvalidPathError(
            location,
            problem=f"the path {path!r} does not start with '/'",
            expected="a path from the root, such as '/rooms/{room_id}'",
            remedy=f"write {'/' + path!r}",
        )
    check_parameters(path, location)
    return CompiledPath(path)


def join(above: str, below: str) -> str:
    """The path of a gateway below another path: one slash between all parts, and none at the end."""
    return "/" + "/".join(part for part in f"{above}/{below}".split("/") if part)


def read_gateway_path(path: str | None, location: Location) -> str:
    """The path of a gateway, a view or a handler, its parameters written as Starlette reads them.

    Raises:
        InvalidPathError: It is no string, or has bad parameters.
    """
    check_is_text(path := path or "/", location)
    clean = without_spaces(path)
    check_parameters(clean, location)
    return clean


def check_is_text(path: object, location: Location) -> None:
    """Check that a path is a string; a decorator that stands there without its call gets the function instead.

    Raises:
        InvalidPathError: It is none.
    """
    if not isinstance(path, str):
        raise InvalidPathError(
            location,
            problem=f"the path is {show(path)}",
            expected="a path as a string, such as '/rooms/{room_id}'",
            remedy="give the path before anything else",
        )


def without_spaces(path: str) -> str:
    """The path with its parameters written as Starlette reads them: `{age: int}` means `{age:int}`."""
    return _SPACED_PARAMETER.sub(lambda match: "{" + ":".join(filter(None, match.groups())) + "}", path)


def check_not_empty(path: str, location: Location) -> None:
    """Check that something of a path is left, whatever the levels above have added.

    Raises:
        InvalidPathError: It is empty.
    """
    if not path:
        raise InvalidPathError(
            location,
            problem="the path is empty, and no router above it has a prefix",
            expected="a path from the root, such as '/rooms/{room_id}'",
            remedy="write '/', or give the router a prefix",
        )


def check_prefix(prefix: str, location: Location) -> None:
    """Check the prefix of a router.

    Raises:
        InvalidPathError: It is not empty, and does not start with a slash, or ends with one, or has bad parameters.
    """
    if not prefix:
        return
    if not prefix.startswith("/") or prefix.endswith("/"):
        raise InvalidPathError(
            location,
            problem=f"the prefix {prefix!r} does not fit before a path",
            expected="a prefix that starts with '/' and does not end with one, such as '/rooms'",
            remedy=f"write {'/' + prefix.strip('/')!r}" if prefix.strip("/") else "leave it out",
        )
    check_parameters(prefix, location)


def check_parameters(path: str, location: Location) -> None:
    """Check the parameters in a path.

    Raises:
        InvalidPathError: A name occurs twice, a convertor is unknown, or braces are no parameter.
    """
    seen: set[str] = set()
    for name, convertor in _PARAMETER.findall(path):
        if name in seen:
            raise InvalidPathError(
                location,
                problem=f"the path {path!r} has two parameters {name!r}",
                expected="a name of its own for each parameter, those of all prefixes included",
                remedy="rename one of them",
            )
        if convertor and convertor not in CONVERTOR_TYPES:
            raise InvalidPathError(
                location,
                problem=f"the path {path!r} names an unknown convertor {convertor!r}",
                expected=f"one of {', '.join(CONVERTOR_TYPES)}",
                remedy="correct it, or register it with starlette.convertors.register_url_convertor() before the route",
            )
        seen.add(name)
    rest = _PARAMETER.sub("", path)
    if "{" in rest or "}" in rest:
        raise InvalidPathError(
            location,
            problem=f"the path {path!r} has braces that are no parameter",
            expected="{name} or {name:convertor}, without spaces",
            remedy="correct the parameter; Starlette would match the braces literally",
        )


def route_path(scope: Scope) -> str:
    """The path below the `root_path` of the mounts above (ASGI spec, "HTTP & WebSocket", connection scope)."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if not root or not path.startswith(root):
        return path
    rest = path[len(root) :]
    return rest if not rest or rest.startswith("/") else path
