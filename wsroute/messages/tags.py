"""How the messages of one listener are told apart: by the values of one field of theirs, each a `Literal`."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, Discriminator
from pydantic.fields import FieldInfo
from typing_extensions import get_type_hints

from wsroute.dependencies.annotations import type_name, unwrap
from wsroute.dependencies.messages import is_record, options_of
from wsroute.dependencies.models import Handler
from wsroute.exceptions import InvalidParameterError, Location
from wsroute.messages.adapters import adapter_of


def tags(handlers: Sequence[Handler], discriminator: str) -> Mapping[Hashable, int]:
    """Which value of the discriminator belongs to which handler; nothing, where nothing has to be told apart.

    Args:
        handlers: The handlers of the listener.
        discriminator: The name of the field.

    Raises:
        AnnotationError: A type names what is not known, or not yet.
        InvalidParameterError: Some messages cannot be told apart.
    """
    options = [(number, option) for number, handler in enumerate(handlers) for option in options_of(handler.message)]
    if len(options) < 2:
        return {}
    found: dict[Hashable, int] = {}
    owners: dict[Hashable, Any] = {}
    untold = []
    for number, option in options:
        adapter_of(option, location_of(handlers[number]))  # after which all of its fields are known
        own = [_sent(tag, discriminator, option, handlers[number]) for tag in _literals(option, discriminator)]
        untold += [] if own else [(number, option)]
        for tag in own:
            if tag in found:
                raise InvalidParameterError(
                    location_of(handlers[number]),
                    problem=f"{type_name(owners[tag])} and {type_name(option)} both have {discriminator}={tag!r}",
                    expected=f"messages whose {discriminator!r} says which of them it is",
                    remedy="give each a Literal of its own",
                )
            found[tag], owners[tag] = number, option
    if not untold or (not found and len(handlers) == 1):
        # One handler may take whatever pydantic makes of a union.
        return found
    number, option = untold[0]
    raise InvalidParameterError(
        location_of(handlers[number]),
        problem=f"{type_name(option)} is one of several messages, and has no field {discriminator!r} that is a Literal",
        expected="messages that say which of them they are",
        remedy=f'add {discriminator}: Literal["..."] to it, or name the field with discriminator=',
    )


def tag_names(message: Any, discriminator: str) -> frozenset[str]:
    """The names under which a message that is the only one says which one it is; none, if it has nothing to say.

    Args:
        message: The type of the message.
        discriminator: The name of the field.
    """
    option, *others = options_of(message)
    if others or not any(True for _ in _literals(option, discriminator)):
        return frozenset()
    model = get_origin(option) or option
    field = _fields(model).get(discriminator)
    alias = None if field is None else field.validation_alias
    return frozenset({discriminator, alias} if isinstance(alias, str) else {discriminator})


def says_discriminator(annotation: Any) -> bool:
    """Whether a type says itself how pydantic tells its messages apart."""
    metadata = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return any(
        isinstance(entry, Discriminator) or (isinstance(entry, FieldInfo) and entry.discriminator is not None)
        for entry in metadata
    )


def location_of(handler: Handler) -> Location:
    """The parameter of a handler that gets the message."""
    names = (item.name for item in handler.node.special_params if item.cls is handler.message)
    return handler.node.location.at(next(names, None))


def _literals(option: Any, discriminator: str) -> Iterator[Any]:
    """The values that a field of a message can have, if it is a `Literal`."""
    if not is_record(option):
        return
    plain = get_origin(option) or option
    field = _fields(plain).get(discriminator)
    annotation: Any = get_type_hints(plain).get(discriminator) if field is None else field.annotation
    annotation, _ = unwrap(annotation)
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)


def _fields(record: type[Any]) -> Mapping[str, FieldInfo]:
    """The fields that pydantic has found in a model, or in a dataclass of its own."""
    if issubclass(record, BaseModel):
        return record.model_fields
    return getattr(record, "__pydantic_fields__", {})


def _sent(tag: Any, discriminator: str, option: Any, handler: Handler) -> Hashable:
    """What a client sends for a value of the discriminator.

    Raises:
        InvalidParameterError: Nothing that a client can send is equal to it, which is how pydantic finds a message.
    """
    if not isinstance(tag, Enum):
        return tag  # type: ignore[no-any-return]  # of a Literal: a string, a number or the like
    if isinstance(tag, (str, int)):
        return tag.value  # type: ignore[no-any-return]  # as above
    raise InvalidParameterError(
        location_of(handler),
        problem=f"{type_name(option)} has {discriminator}={tag}, and nothing that can be sent is equal to that",
        expected="a Literal of strings, or of members of an enumeration that are strings",
        remedy=f"derive {type(tag).__name__} from StrEnum or IntEnum, or write the value itself",
    )
