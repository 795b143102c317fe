"""The names under which values are sent, and how a pydantic model collects a whole source by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import PydanticUndefined

from wsroute.dependencies.annotations import is_json, takes_several
from wsroute.dependencies.sources import Grouped
from wsroute.params import Source

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

#: "Not sent": pydantic puts the default in its place.
UNSET: Any = PydanticUndefined

#: What a client of RFC 6455 sends by itself: not "extra" in a header model that forbids extras.
_PROTOCOL_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "cache-control",
        "connection",
        "cookie",
        "dnt",
        "forwarded",
        "host",
        "origin",
        "pragma",
        "sec-gpc",
        "te",
        "upgrade",
        "user-agent",
        "via",
        "x-real-ip",
        "x-request-id",
    }
)
_PROTOCOL_PREFIXES = ("sec-websocket-", "sec-fetch-", "sec-ch-", "x-forwarded-")


class Lookup(NamedTuple):
    """One name under which a value may be sent.

    Attributes:
        name: The name on the wire; headers in lower case.
        shown: The same as it is written in the declaration, for the locations of errors.
        key: The name that pydantic knows it by, for fields of models.
        steps: What to follow inside the list of all values (`AliasPath`).
    """

    name: str
    shown: str
    key: str
    steps: tuple[str | int, ...] = ()

    def find(self, grouped: Grouped, *, source: Source, sequence: bool) -> Any:
        """The raw value, or `UNSET`."""
        values = grouped.get(self.name)
        if not values:
            return UNSET
        if self.steps:
            position, *deeper = self.steps
            # The values are strings, and what is inside of a string has no place of its own.
            if deeper or not isinstance(position, int) or not -len(values) <= position < len(values):
                return UNSET
            return values[position]
        if sequence:
            return list(values)
        return values[0 if source == "header" else -1]


class ModelReader:
    """Collects a whole source for one pydantic model.

    Args:
        model: The model.
        source: Where its fields come from.
        optional: Whether `None`, or a default, stands for "nothing of it was sent".
        convert_underscores: Whether fields of a header model without an alias have hyphens on the wire.
    """

    def __init__(self, model: type[BaseModel], source: Source, *, optional: bool, convert_underscores: bool) -> None:
        self.source = source
        self.optional = optional
        config: Mapping[str, Any] = model.model_config
        self.extra = config.get("extra")
        self._fields = tuple(
            (
                _of_field(name, info, source, getattr(info, "convert_underscores", convert_underscores), config),
                takes_several(info.annotation) and not is_json(info.metadata),
            )
            for name, info in model.model_fields.items()
        )
        self._converted = {
            lookup.key: lookup.shown for lookups, _ in self._fields for lookup in lookups if lookup.key != lookup.shown
        }
        # A converted name does not make the unconverted one an extra field, and even less another way to send it.
        self._unconverted = frozenset(key.lower() for key in self._converted)

    def collect(self, grouped: Grouped) -> Any:
        """What the model is made from; `UNSET` if it may be left out and nothing of it was sent."""
        values: dict[str, Any] = {}
        used = set(self._unconverted)
        for lookups, sequence in self._fields:
            for lookup in lookups:
                value = lookup.find(grouped, source=self.source, sequence=sequence)
                if value is not UNSET:
                    # pydantic follows an AliasPath by itself.
                    values[lookup.key] = list(grouped[lookup.name]) if lookup.steps else value
                    used.add(lookup.name)
                    break
        # Whatever becomes of them is for the model to say: for its `extra`, and for its own validators.
        leftovers = {name: found for name, found in self._others(grouped) if name not in used}
        if self.optional and not values and not (leftovers and self.extra in ("allow", "forbid")):
            return UNSET
        return values | leftovers

    def shown(self, loc: tuple[Any, ...]) -> tuple[Any, ...]:
        """A location in the model with the first name as it is on the wire."""
        return (self._converted.get(loc[0], loc[0]), *loc[1:]) if loc else loc

    def _others(self, grouped: Grouped) -> Iterator[tuple[str, Any]]:
        strict = self.source == "header" and self.extra == "forbid"
        for name, found in grouped.items():
            if not (strict and _is_protocol(name)):
                yield name, found[-1] if self.source == "cookie" or len(found) == 1 else found


def wire_names(name: str, alias: Any, source: Source, *, convert_underscores: bool) -> tuple[Lookup, ...]:
    """Under which names a value may be sent, in the order in which they are tried.

    Args:
        name: The parameter, or the field of a model.
        alias: A name, `AliasChoices`, `AliasPath`, or nothing for the name itself.
        source: Where it is sent.
        convert_underscores: Whether a header without an alias has hyphens for underscores.
    """
    if not alias:
        sent = name.replace("_", "-") if source == "header" and convert_underscores else name
        lookups: tuple[Lookup, ...] = (Lookup(sent, sent, name),)
    else:
        lookups = _of_alias(alias)
    if source == "header":
        # Header names are compared without regard to case, and ASGI servers send them in lower case.
        return tuple(lookup._replace(name=lookup.name.lower()) for lookup in lookups)
    return lookups


def _of_alias(alias: Any) -> tuple[Lookup, ...]:
    if isinstance(alias, str):
        return (Lookup(alias, alias, alias),)
    from pydantic import AliasChoices

    if isinstance(alias, AliasChoices):
        return tuple(lookup for choice in alias.choices for lookup in _of_alias(choice))
    first, *steps = alias.path  # an AliasPath
    return (Lookup(str(first), str(first), str(first), tuple(steps)),)


def _of_field(
    name: str, info: FieldInfo, source: Source, convert_underscores: bool, config: Mapping[str, Any]
) -> tuple[Lookup, ...]:
    alias = info.validation_alias or info.alias
    by_alias = wire_names(name, alias, source, convert_underscores=convert_underscores)
    by_name = wire_names(name, None, source, convert_underscores=convert_underscores)
    if config.get("validate_by_alias") is False:
        return by_name
    also_by_name = alias and (config.get("populate_by_name") or config.get("validate_by_name"))
    return by_alias + by_name if also_by_name else by_alias


def _is_protocol(name: str) -> bool:
    return name in _PROTOCOL_HEADERS or name.startswith(_PROTOCOL_PREFIXES)
