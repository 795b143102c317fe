"""Questions about annotations: what fits into a string, what takes several, and which model is it?

pydantic is imported where it is asked, since the simple types that most parameters have need none of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, NewType, Union, get_args, get_origin

from starlette.datastructures import UploadFile
from typing_extensions import is_typeddict

from wsroute.dependencies.signature import without_alias

if TYPE_CHECKING:
    from pydantic import BaseModel

_SEQUENCES = (list, set, frozenset, tuple, deque, Sequence, Set)
_STRINGS = (str, bytes, bytearray)
#: pydantic would go through one string, character by character, and only when the endpoint does.
_LAZY = (Iterable, Iterator, Generator, Collection)
_SIMPLE = frozenset({str, int, float, bool, bytes})


def is_simple(annotation: Any) -> bool:
    """Whether it is one of the types that most parameters have, of which everything is known without asking."""
    return isinstance(annotation, type) and annotation in _SIMPLE


def is_scalar(annotation: Any) -> bool:
    """Whether a value of this type fits into one string of a query, as FastAPI decides it."""
    if is_simple(annotation):
        return True
    annotation, as_json = unwrap(annotation)
    if is_union(annotation):
        return as_json or all(is_scalar(option) for option in get_args(annotation))
    plain = get_origin(annotation) or annotation
    if as_json or not isinstance(plain, type):
        return True
    if is_dataclass(plain) or is_typeddict(plain) or plain in _LAZY:
        return False
    from pydantic import BaseModel

    return not (takes_several(plain) or issubclass(plain, (BaseModel, Mapping, UploadFile)))


def takes_several(annotation: Any) -> bool:
    """Whether it takes all values of a name: a list or another sequence, or a union with one."""
    annotation, as_json = unwrap(annotation)
    if as_json:
        return False
    if is_union(annotation):
        return any(takes_several(option) for option in get_args(annotation))
    plain = get_origin(annotation) or annotation
    return isinstance(plain, type) and issubclass(plain, _SEQUENCES) and not issubclass(plain, _STRINGS)


def takes_scalars(annotation: Any) -> bool:
    """Whether it is a sequence of scalars, or a union of such and of scalars."""
    return takes_several(annotation) and all(is_scalar(part) for part in element_types(annotation))


def element_types(annotation: Any) -> list[Any]:
    """The types inside of all sequences of an annotation, and those beside them."""
    plain, as_json = unwrap(annotation)
    if as_json:
        return [annotation]
    if is_union(plain):
        return [part for option in get_args(plain) for part in element_types(option)]
    if takes_several(plain):
        return [part for part in get_args(plain) if part is not ...]
    return [plain]


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model that it is, or that it is beside `None`."""
    annotation, as_json = unwrap(annotation)
    if is_union(annotation):
        options = [option for option in get_args(annotation) if option is not NoneType]
        annotation, as_json = unwrap(options[0]) if len(options) == 1 else (None, as_json)
    return annotation if is_model(annotation) and not as_json else None


def is_model(annotation: Any) -> bool:
    """Whether it is a pydantic model that has fields to be filled by name."""
    from pydantic import BaseModel, RootModel

    return isinstance(annotation, type) and issubclass(annotation, BaseModel) and not issubclass(annotation, RootModel)


def unwrap(annotation: Any) -> tuple[Any, bool]:
    """What is inside of `Annotated`, aliases (PEP 695) and `NewType`, and whether one of them says that it is JSON."""
    as_json = False
    while not is_simple(annotation):
        if get_origin(annotation) is Annotated:
            annotation, *metadata = get_args(annotation)
            as_json = as_json or is_json(metadata)
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif (inner := without_alias(annotation)) is not annotation:
            annotation = inner
        else:
            break
    return annotation, as_json


def is_json(metadata: Iterable[Any]) -> bool:
    """Whether pydantic's `Json` is among the metadata: the value is one string, whatever its type."""
    from pydantic import Json

    return any(entry is Json or type(entry) is Json for entry in metadata)


def is_union(annotation: Any) -> bool:
    """Whether it is written `A | B`, `Union[A, B]` or `Optional[A]`."""
    return get_origin(annotation) in (Union, UnionType)


def type_name(annotation: Any) -> str:
    """A type as people write it."""
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else repr(annotation)
