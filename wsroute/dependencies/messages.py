"""Which parameter of a handler is the message, and which types are messages?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from types import NoneType
from typing import Any, get_args, get_origin

from typing_extensions import is_typeddict

from wsroute.dependencies import specials
from wsroute.dependencies.annotations import is_simple, is_union, type_name, unwrap
from wsroute.dependencies.markers import PayloadMarker
from wsroute.dependencies.reading import Read
from wsroute.dependencies.signature import EMPTY, VAR_KINDS
from wsroute.exceptions import InvalidParameterError, Location


def candidates(signature: Iterable[Read], is_taken: Callable[[str], bool]) -> list[Read]:
    """The parameters that could be the message. It is clear which one it is if there is one.

    `Payload()` says so. Else it is a parameter without a marker: one of a type that only a message can be of, or, if
    there is none, a `str` that has no default.

    Args:
        signature: The parameters of a handler.
        is_taken: Whether a parameter of a name gets something else: a part of the path, or what a level provides.
    """
    reads = [read for read in signature if read.kind not in VAR_KINDS]
    marked = [read for read in reads if isinstance(read.marker, PayloadMarker)]
    if marked:
        return marked
    free = [read for read in reads if read.marker is None and not read.missing and not is_taken(read.name)]
    free = [read for read in free if specials.find(read.name, read.type, read.written) is None]
    typed = [read for read in free if is_message(read.type)]
    return typed or [read for read in free if read.type is str and read.default is EMPTY]


def is_message(annotation: Any) -> bool:
    """Whether a value of this type can only be a message: a model, a dataclass, a TypedDict or a union of these, a
    `dict`, or `bytes`.
    """
    annotation, _ = unwrap(annotation)
    return annotation is bytes or _is_dict(annotation) or all(is_record(option) for option in options_of(annotation))


def is_record(annotation: Any) -> bool:
    """Whether it is a type with named fields: a model, a dataclass or a TypedDict."""
    plain = get_origin(annotation) or annotation
    if not isinstance(plain, type) or is_simple(plain):
        return False
    if is_dataclass(plain) or is_typeddict(plain):
        return True
    from pydantic import BaseModel

    return issubclass(plain, BaseModel)


def options_of(annotation: Any) -> Iterator[Any]:
    """The types that a union is made of, all metadata taken off; of anything else, itself."""
    annotation, _ = unwrap(annotation)
    if is_union(annotation):
        for option in get_args(annotation):
            yield from options_of(option)
    else:
        yield annotation


def check_covers(wanted: Any, given: Any, where: Location) -> None:
    """Check that whatever message a handler is called for is one that a dependency of it takes.

    Args:
        wanted: The type that the dependency asks for.
        given: The type of the handler's messages.
        where: The parameter of the dependency.

    Raises:
        InvalidParameterError: It is not.
    """
    if all(any(_takes(option, message) for option in options_of(wanted)) for message in options_of(given)):
        return
    raise InvalidParameterError(
        where,
        problem=f"the handler is called for {type_name(given)}, and its dependency takes {type_name(wanted)}",
        expected="a dependency that takes all messages of the handlers that need it",
        remedy=f"annotate it with Annotated[{type_name(given)}, Payload()], or with a base class",
    )


def _takes(wanted: Any, given: Any) -> bool:
    if wanted is Any or wanted is object or wanted == given:
        return True
    wanted, given = get_origin(wanted) or wanted, get_origin(given) or given
    if not isinstance(wanted, type) or not isinstance(given, type):
        return False
    # A TypedDict is a dictionary when it comes; as a class it is none.
    given = dict if is_typeddict(given) else given
    return not is_typeddict(wanted) and wanted is not NoneType and issubclass(given, wanted)


def _is_dict(annotation: Any) -> bool:
    return annotation is dict or get_origin(annotation) in (dict, Mapping)
