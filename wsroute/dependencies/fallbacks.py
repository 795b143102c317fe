"""What stands in for a value that was not sent."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from copy import deepcopy
from types import NoneType
from typing import TYPE_CHECKING, Any

from pydantic_core import CoreSchema, core_schema

from wsroute.dependencies.defaults import DefaultFactory
from wsroute.dependencies.markers import ParamMarker
from wsroute.exceptions import InvalidParameterError, Location
from wsroute.params import REQUIRED

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

#: Values that no one can change, which need no copy for each connection.
_IMMUTABLE = (NoneType, str, bytes, int, float, complex, bool, enum.Enum)


class Fallback:
    """Metadata for pydantic, whose own `Field` knows defaults of models only, and warns.

    Args:
        settings: `default` or `default_factory`.
        is_validated: Whether the value is validated as one that was sent.
    """

    __slots__ = ("is_validated", "settings")

    def __init__(self, settings: Mapping[str, Any], is_validated: bool) -> None:
        self.settings = settings
        self.is_validated = is_validated

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return self.around(handler(source))

    def around(self, schema: CoreSchema) -> CoreSchema:
        """The schema of the value that is sent, with this one for a value that is not."""
        return core_schema.with_default_schema(schema, validate_default=self.is_validated, **self.settings)


def fallback_of(marker: ParamMarker, default: Any, location: Location) -> Fallback | None:
    """What stands in for a parameter, or `None` if it has to be sent.

    Args:
        marker: Its marker.
        default: Its default, a `DefaultFactory`, or `REQUIRED`.
        location: Where it is declared.

    Raises:
        InvalidParameterError: The default cannot be copied.
    """
    if marker.default_factory is not None:
        settings = {"default_factory": marker.default_factory}
    elif isinstance(default, DefaultFactory):
        settings = {"default_factory": default.make}
    elif default is REQUIRED:
        return None
    elif isinstance(default, _IMMUTABLE):
        settings = {"default": default}
    else:
        _check_copy(default, location)
        settings = {"default_factory": lambda: deepcopy(default)}
    return Fallback(settings, bool(marker.validate_default))


def _check_copy(default: Any, location: Location) -> None:
    try:
        deepcopy(default)
    except Exception as error:
        raise InvalidParameterError(
            location,
            problem=f"the default cannot be copied, as it is for each connection: {error}",
            expected="a default that copy.deepcopy() takes, so that connections do not share it",
            remedy="get it from a dependency, with Depends(...)",
        ) from error
