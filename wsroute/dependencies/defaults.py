"""Defaults that a class makes anew for each instance.

Dataclasses and pydantic show a placeholder in their signatures, which only the first of them understand when it comes
back as an argument.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, get_origin

from wsroute.exceptions import InvalidParameterError, Location

#: What both call the class of their placeholders.
_PLACEHOLDER = "_HAS_DEFAULT_FACTORY_CLASS"
#: Where classes keep their fields: pydantic of today, pydantic before 2.10, dataclasses.
_TABLES = ("__pydantic_fields__", "model_fields", "__dataclass_fields__")


class DefaultFactory(NamedTuple):
    """A default that is made for each connection."""

    make: Callable[[], Any]


def default_of(parameter: inspect.Parameter, call: Callable[..., Any], location: Location) -> Any:
    """The default of a parameter as `inspect` tells it, or the `DefaultFactory` behind a placeholder.

    Args:
        parameter: A parameter of `call`.
        call: Any callable.
        location: Where the parameter stands.

    Raises:
        InvalidParameterError: The default is made from other fields of the class.
    """
    default = parameter.default
    if default is not None and type(default).__name__ != _PLACEHOLDER:
        return default
    owner = _owner_of(call)
    if default is None:
        from pydantic import BaseModel  # most of pydantic, which few signatures need

        if getattr(owner, "__init__", None) is not BaseModel.__init__:
            return None  # which pydantic before 2.8 shows for a factory of a model
    field = _field_of(owner, parameter.name)
    if getattr(field, "default_factory_takes_validated_data", False):
        raise InvalidParameterError(
            location,
            problem="a default_factory that takes the other fields",
            expected="one without parameters: the values of a handshake are found before there is an object",
            remedy="give the field another default, or make the object in a function",
        )
    factory = getattr(field, "default_factory", None)
    return DefaultFactory(factory) if callable(factory) else default


def _owner_of(call: Any) -> Any:
    while isinstance(call, functools.partial):
        call = call.func
    return inspect.unwrap(get_origin(call) or call)


def _field_of(owner: Any, name: str) -> Any:
    for table in _TABLES:
        fields: Mapping[str, Any] = getattr(owner, table, {})
        for own_name, field in fields.items():
            if name in (own_name, getattr(field, "alias", None)):
                return field
    return None
