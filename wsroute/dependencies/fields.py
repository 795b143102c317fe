"""Parameters that the handshake fills: where the value is found, what pydantic makes of it, and what is wrong with it.

The hot path is `Group.validate`: one positional tuple for each callable, by one call of pydantic's core. Only when that
fails, `Group.errors` looks at each parameter by itself.

Most of pydantic is loaded when a declaration first needs it: `import pydantic` alone loads little, and the types that
most parameters have need its core only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

from wsroute.dependencies.annotations import (
    is_json,
    is_scalar,
    is_simple,
    is_union,
    model_of,
    takes_scalars,
    takes_several,
    type_name,
    unwrap,
)
from wsroute.dependencies.fallbacks import Fallback, fallback_of
from wsroute.dependencies.lookups import UNSET, Lookup, ModelReader, wire_names
from wsroute.dependencies.markers import ParamMarker
from wsroute.dependencies.metadata import for_pydantic, refused, says_nothing
from wsroute.dependencies.sources import Grouped, group_source
from wsroute.exceptions import InvalidParameterError, Location, MissingPathParameterError
from wsroute.params import Source

#: What pydantic makes of the types of `is_simple`.
_SIMPLE_SCHEMAS: Mapping[Any, CoreSchema] = {
    str: core_schema.str_schema(),
    int: core_schema.int_schema(),
    float: core_schema.float_schema(),
    bool: core_schema.bool_schema(),
    bytes: core_schema.bytes_schema(),
}


@dataclass(frozen=True, slots=True, eq=False)
class ParamField:
    """One parameter that the handshake fills.

    Attributes:
        name: The parameter.
        source: Where its value comes from.
        alias: The name on the wire, as error locations show it.
        lookups: All names under which it may be sent, in the order in which they are tried.
        annotation: Its type, without `Annotated`.
        metadata: What `Annotated` carries, and what markers add to it, in the order in which it applies.
        fallback: What stands in for it if it was not sent.
        sequence: Whether it takes all values of its name.
        model: The pydantic model that takes a whole source, if it is one.
        location: Where it is declared.
    """

    name: str
    source: Source
    alias: str
    lookups: tuple[Lookup, ...]
    annotation: Any
    metadata: tuple[Any, ...]
    fallback: Fallback | None
    sequence: bool
    model: ModelReader | None
    location: Location

    @property
    def item(self) -> Any:
        """The type as pydantic gets it."""
        extra = [*for_pydantic(self.metadata), *filter(None, (self.fallback,))]
        return Annotated[(self.annotation, *extra)] if extra else self.annotation

    @property
    def schema(self) -> CoreSchema | None:
        """What pydantic makes of `item`, if that is known beforehand: pydantic takes six times as long to tell."""
        if self.metadata or not is_simple(self.annotation):
            return None
        schema = _SIMPLE_SCHEMAS[self.annotation]
        return schema if self.fallback is None else self.fallback.around(schema)

    @property
    def key(self) -> str:
        """The name under which a flat dictionary of its source has it."""
        return self.lookups[0].name

    @property
    def required(self) -> bool:
        """Whether it must be sent."""
        return self.fallback is None

    @property
    def is_simple(self) -> bool:
        """Whether one look at a flat dictionary finds its value."""
        return not (self.sequence or self.model or len(self.lookups) > 1 or self.lookups[0].steps)

    def pick(self, grouped: Grouped) -> Any:
        """The raw value among all values of its source; `UNSET` if it was not sent.

        Raises:
            KeyError: It was not sent, and it must be.
        """
        value, _ = self._find(grouped)
        if value is UNSET and self.required:
            raise KeyError(self.alias)
        return value

    def errors(self, grouped: Grouped, validate: Callable[[Any], Any]) -> list[dict[str, Any]]:
        """What is wrong with the value that was sent, in FastAPI's shape.

        Args:
            grouped: All values of its source.
            validate: What validates it alone.
        """
        value, alias = self._find(grouped)
        if value is UNSET:
            if self.fallback is None:
                return [self._missing(alias)]
            if not self.fallback.is_validated:
                return []
        try:
            validate(value)
        except ValidationError as error:
            return [self._located(dict(found), alias) for found in error.errors(include_url=False)]
        return []

    def _find(self, grouped: Grouped) -> tuple[Any, str]:
        if self.model is not None:
            return self.model.collect(grouped), self.alias
        for lookup in self.lookups:
            value = lookup.find(grouped, source=self.source, sequence=self.sequence)
            if value is not UNSET:
                return value, lookup.shown
        return UNSET, self.alias

    def _missing(self, alias: str) -> dict[str, Any]:
        if self.source == "path":
            raise MissingPathParameterError(self.location, self.alias)
        loc = (self.source, alias) if self.model is None else (self.source,)
        return {"type": "missing", "loc": loc, "msg": "Field required", "input": None}

    def _located(self, error: dict[str, Any], alias: str) -> dict[str, Any]:
        loc: tuple[Any, ...] = error["loc"]
        if self.model is None:
            error["loc"] = (self.source, alias, *loc)
        else:
            error["loc"] = (self.source, *self.model.shown(loc))
        return error


class Group:
    """The parameters of one callable, which are validated together.

    Args:
        fields: The parameters, at least one.
    """

    def __init__(self, fields: Sequence[ParamField]) -> None:
        self.fields = tuple(fields)

    @cached_property
    def validate(self) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
        """From the raw values to the valid ones, in order; `UNSET` becomes the default.

        A required value must be there: pydantic would hand the marker on to whatever accepts anything.
        """
        known = [schema for field in self.fields if (schema := field.schema) is not None]
        if len(known) == len(self.fields):
            return SchemaValidator(core_schema.tuple_schema(known)).validate_python
        return _validator(tuple[tuple(field.item for field in self.fields)])  # type: ignore[misc]  # made at run time

    def errors(self, scope: MutableMapping[str, Any]) -> list[dict[str, Any]]:
        """What is wrong with each of the parameters in a handshake.

        Raises:
            MissingPathParameterError: The application's routing has not provided a path parameter.
        """
        grouped = {source: group_source(source, scope) for source in {field.source for field in self.fields}}
        one_by_one = zip(self.fields, self._validate_alone, strict=True)
        return [error for field, validate in one_by_one for error in field.errors(grouped[field.source], validate)]

    @cached_property
    def _validate_alone(self) -> list[Callable[[Any], Any]]:
        return [
            _validator(field.item) if (schema := field.schema) is None else SchemaValidator(schema).validate_python
            for field in self.fields
        ]


def _validator(item: Any) -> Callable[[Any], Any]:
    from pydantic import TypeAdapter

    # The core validator: TypeAdapter's own method costs three times as much for the same result.
    validate: Callable[[Any], Any] = TypeAdapter(item).validator.validate_python
    return validate


def make_field(
    name: str, annotation: Any, marker: ParamMarker, default: Any, metadata: tuple[Any, ...], location: Location
) -> ParamField:
    """The field of one parameter.

    Args:
        name: The parameter.
        annotation: Its type, without `Annotated`.
        marker: Its marker, given or inferred.
        default: Its default, or `REQUIRED`.
        metadata: What `Annotated` carries, field markers among it, and the marker that is the default.
        location: Where it is declared.

    Raises:
        InvalidParameterError: pydantic has no schema for it, or the source cannot carry such a type.
    """
    one_string = is_simple(annotation) or is_json(metadata)
    model = None if one_string else model_of(annotation)
    sequence = not one_string and takes_several(annotation)
    if not (one_string or is_scalar(annotation)):
        _check_carries(name, annotation, marker.source, location)
    fallback = fallback_of(marker, default, location)
    reader = None
    if model is not None:
        reader = ModelReader(
            model,
            marker.source,
            optional=is_union(unwrap(annotation)[0]) or fallback is not None,
            convert_underscores=marker.convert_underscores,
        )
    lookups = wire_names(name, marker.alias, marker.source, convert_underscores=marker.convert_underscores)
    if marker.source == "header":
        _check_header_names(lookups, location)
    field = ParamField(
        name=name,
        source=marker.source,
        alias=name if model else lookups[0].shown,
        lookups=lookups,
        annotation=annotation,
        metadata=tuple(entry for entry in metadata if not says_nothing(entry)),
        fallback=fallback,
        sequence=sequence,
        model=reader,
        location=location,
    )
    if field.metadata or not is_simple(annotation):
        # pydantic certainly has a schema for the others, and building it would cost more than all of the analysis.
        _check_schema(field, annotation)
    return field


def _check_header_names(lookups: tuple[Lookup, ...], location: Location) -> None:
    for lookup in lookups:
        if not lookup.name.isascii():
            raise InvalidParameterError(
                location,
                problem=f"{lookup.name!r} is no name of a header",
                expected="a name of ASCII characters (RFC 9110, section 5.1)",
                remedy="give it another alias",
            )


def _check_carries(name: str, annotation: Any, source: Source, location: Location) -> None:
    """Check a type that does not fit into one string."""
    if source != "path" and (model_of(annotation) or takes_scalars(annotation)):
        return
    allowed = "a scalar" if source == "path" else "a scalar, a list of scalars, or a pydantic model"
    raise InvalidParameterError(
        location,
        problem=f"a {source} parameter cannot carry {type_name(annotation)}",
        expected=f"{allowed}; or Annotated[..., Json] for one that is sent as JSON",
        remedy=f"change the type of {name!r}, or get it from a dependency with Depends(...)",
    )


def _check_schema(field: ParamField, annotation: Any) -> None:
    from pydantic import PydanticSchemaGenerationError, TypeAdapter

    try:
        TypeAdapter(field.item)
    except PydanticSchemaGenerationError as error:
        raise InvalidParameterError(
            field.location,
            problem=f"nothing tells how to make {type_name(annotation)} of what a handshake carries",
            expected="a type that pydantic can validate, or a marker",
            remedy=f"if {field.name!r} is a dependency, write Annotated[{type_name(annotation)}, Depends(...)]",
        ) from error
    except Exception as error:
        raise refused(annotation, error, field.location) from error
