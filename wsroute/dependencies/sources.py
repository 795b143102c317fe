"""The places in which a handshake carries values, read into dictionaries.

Two views of each: flat (one value for each name, the one that a scalar gets) and grouped (all values of each name).
They agree with Starlette's `QueryParams`, `Headers` and `cookies`, and read only what was declared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from wsroute.params import Source

Grouped: TypeAlias = Mapping[str, list[Any]]
RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]

#: A character in a quoted cookie, in octal or as itself.
_ESCAPE = re.compile(r"\\(?:([0-3][0-7]{2})|(.))")


def read_query(query_string: bytes) -> dict[str, str]:
    """The query string, the last value of each name."""
    text = query_string.decode("latin-1")
    if "%" in text or "+" in text:
        return dict(parse_qsl(text, keep_blank_values=True))
    # Nothing to unquote: what parse_qsl would do, in a fifth of its time.
    values: dict[str, str] = {}
    for piece in text.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            values[name] = value
    return values


def group_query(query_string: bytes) -> dict[str, list[str]]:
    """The query string, all values of each name in their order."""
    return _group(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))


def header_reader(names: Iterable[str]) -> Callable[[RawHeaders], dict[str, str]]:
    """A function that reads the first value of each of these headers, in one pass over all headers."""
    wanted = {name.lower().encode("latin-1"): name for name in names}

    def read_headers(headers: RawHeaders) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, value in headers:
            if key in wanted and (name := wanted[key]) not in found:
                found[name] = value.decode("latin-1")
        return found

    return read_headers


def group_headers(headers: RawHeaders) -> dict[str, list[str]]:
    """All headers by their names in lower case, all values of each."""
    return _group((key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in headers)


def read_cookies(headers: RawHeaders) -> dict[str, str]:
    """The cookies of all `Cookie` headers, the last value of each name."""
    cookies: dict[str, str] = {}
    for key, value in headers:
        if key == b"cookie":
            cookies.update(_cookie_pairs(value))
    return cookies


def group_cookies(headers: RawHeaders) -> dict[str, list[str]]:
    """The cookies of all `Cookie` headers, all values of each name."""
    return _group(pair for key, value in headers if key == b"cookie" for pair in _cookie_pairs(value))


def group_source(source: Source, scope: MutableMapping[str, Any]) -> Grouped:
    """All values that one source of a handshake carries."""
    if source == "path":
        return {name: [value] for name, value in scope.get("path_params", {}).items()}
    if source == "query":
        return group_query(scope.get("query_string", b""))
    return (group_headers if source == "header" else group_cookies)(scope.get("headers", ()))


def _cookie_pairs(header: bytes) -> list[tuple[str, str]]:
    """What Starlette's `cookie_parser` reads, in linear time also before Python 3.11.10 (CVE-2024-7592)."""
    pairs = []
    for chunk in header.decode("latin-1").split(";"):
        name, equals, value = chunk.partition("=")
        # Browsers take a piece without "=" for a value without a name.
        name, value = (name.strip(), value.strip()) if equals else ("", name.strip())
        if name or value:
            pairs.append((name, _unquoted(value)))
    return pairs


def _unquoted(value: str) -> str:
    if len(value) < 2 or not value[0] == value[-1] == '"':
        return value
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)) if found[1] else found[2], value[1:-1])


def _group(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped
