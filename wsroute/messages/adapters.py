"""What pydantic reads and writes the messages of a type with."""

from __future__ import annotations

from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter

from wsroute.dependencies.annotations import type_name
from wsroute.dependencies.metadata import refused
from wsroute.exceptions import AnnotationError, InvalidParameterError, Location


def adapter_of(annotation: Any, location: Location) -> TypeAdapter[Any]:
    """What pydantic reads and writes values of a type with.

    Args:
        annotation: The type.
        location: Where it is declared.

    Raises:
        AnnotationError: It names what is not known, or not yet.
        InvalidParameterError: pydantic has no schema for it.
    """
    try:
        adapter = TypeAdapter(annotation)
        _ = adapter.validator.title  # which a model does not have before all that it names is known
    except PydanticSchemaGenerationError as error:
        raise InvalidParameterError(
            location,
            problem=f"nothing tells how {type_name(annotation)} is read from JSON, or written as JSON",
            expected="a type that pydantic has a schema for",
            remedy="use a model, a dataclass, a TypedDict or a built-in type",
        ) from error
    except Exception as error:
        if not _is_unfinished(error):
            raise refused(annotation, error, location) from error
        raise AnnotationError(
            location,
            problem=f"the annotations of {type_name(annotation)} name something that cannot be found",
            expected="names of the module, or of a model whose model_rebuild() was called when they were known",
            remedy="define it before the route, or import it outside of `if TYPE_CHECKING:`",
        ) from error
    return adapter


def _is_unfinished(error: Exception) -> bool:
    if isinstance(error, PydanticUserError):
        return error.code == "class-not-fully-defined"
    return isinstance(error, (PydanticUndefinedAnnotation, NameError))
