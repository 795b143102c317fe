"""What an annotation tells pydantic beside the type, and what validates a value that is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

from wsroute.dependencies.annotations import type_name
from wsroute.dependencies.markers import FieldMarker
from wsroute.exceptions import InvalidParameterError, Location

#: What `pydantic.Field` takes that says nothing about validation, or that is looked at elsewhere.
_NO_CONSTRAINTS = frozenset(
    {
        "alias_priority",
        "serialization_alias",
        "title",
        "description",
        "examples",
        "deprecated",
        "json_schema_extra",
        "validate_default",
    }
)


def validator_of(annotation: Any, metadata: tuple[Any, ...], location: Location) -> Callable[[Any], Any] | None:
    """What validates a value that is there already; `None` if the annotation does not ask for that.

    It does by metadata that only pydantic reads: `Annotated[int, Field(gt=0)]`, `InstanceOf[User]`.

    Args:
        annotation: The type, without `Annotated`.
        metadata: What `Annotated` carries, field markers among it.
        location: Where it is declared.

    Raises:
        InvalidParameterError: pydantic has no schema for it.
    """
    if not any(_asks_for_validation(entry) for entry in metadata):
        return None
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    asked = Annotated[(annotation, *for_pydantic(metadata))]
    try:
        try:
            adapter = TypeAdapter(asked, config=ConfigDict(arbitrary_types_allowed=True))
        except PydanticUserError:  # models have a configuration of their own
            adapter = TypeAdapter(asked)
    except Exception as error:
        raise refused(annotation, error, location) from error
    validate: Callable[[Any], Any] = adapter.validator.validate_python
    return validate


def _asks_for_validation(entry: Any) -> bool:
    if isinstance(entry, FieldMarker):
        return not says_nothing(entry)
    packages = {base.__module__.partition(".")[0] for base in type(entry).__mro__}
    return hasattr(entry, "__get_pydantic_core_schema__") or not packages.isdisjoint(("annotated_types", "pydantic"))


def says_nothing(entry: Any) -> bool:
    """Whether it is a field marker without anything that concerns validation."""
    return isinstance(entry, FieldMarker) and not (entry.metadata or entry.constraints.keys() - _NO_CONSTRAINTS)


def for_pydantic(metadata: Iterable[Any]) -> Iterator[Any]:
    """The metadata, with markers as pydantic understands them."""
    for entry in metadata:
        if not isinstance(entry, FieldMarker):
            yield entry
            continue
        yield from entry.metadata
        constraints = {name: value for name, value in entry.constraints.items() if name not in _NO_CONSTRAINTS}
        if constraints:
            from pydantic import Field

            yield Field(**constraints)


def refused(annotation: Any, error: Exception, location: Location) -> InvalidParameterError:
    """The error for a type that pydantic refuses, in its words."""
    return InvalidParameterError(
        location,
        problem=f"pydantic refuses {type_name(annotation)} as it is declared: {_text_of(error)}",
        expected="a type with constraints and metadata that fit it",
        remedy="correct the declaration",
    )


def _text_of(error: Exception) -> str:
    return " ".join(str(error).partition("For further information visit")[0].split())
