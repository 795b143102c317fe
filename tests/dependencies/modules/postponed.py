"""Annotations that are strings (PEP 563), of names that are defined further down, or for type checkers only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from wsroute import Depends, Query

if TYPE_CHECKING:
    from decimal import Decimal


def forward(late: Late, many: Annotated[list[Late], Depends(later)], default: int = 1) -> Undefined:  # type: ignore[name-defined]  # noqa: F821  # a return annotation is nobody's business
    ...


def value_for_type_checkers(price: Annotated[Decimal, Depends(later)]) -> None: ...


def needed_from_type_checkers(price: Decimal, other: Annotated[list[Decimal] | None, Query()] = None) -> None: ...


def called_in_annotation(late: Annotated[str, Depends(lambda: GREETING)]) -> None: ...


class Late:
    def __init__(self, inner: Inner) -> None: ...

    def method(self, late: Late) -> None: ...

    @classmethod
    def of_class(cls, late: Late) -> None: ...

    @staticmethod
    def of_nobody(late: Late) -> None: ...

    def __call__(self, late: Late) -> None: ...


class Inner: ...


def later() -> int:
    return 1


@dataclass
class Base:
    inner: Inner


class Pair(NamedTuple):
    inner: Inner
    late: Late | None = None


def wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of this module, for functions of others."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


GREETING = "hello"
