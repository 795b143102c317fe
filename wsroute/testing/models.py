"""Frames as models and back. pydantic is loaded when a test first asks for that."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def dumped(model: Any) -> str:
    """A model, a dataclass, or what else pydantic knows, as JSON."""
    kind: Any = type(model)
    return _adapter(kind).dump_json(model).decode()


def loaded(model: Any, frame: str | bytes) -> Any:
    """The value of a type that a frame of JSON is.

    Raises:
        ValueError: It is none.
    """
    # A `ValidationError` is a ValueError.
    return _adapter(model).validate_json(frame)


@lru_cache(maxsize=256)
def _adapter(model: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(model)
