"""What permissions combine to: `P & Q`, `P | Q` and `~P`, of classes and of instances alike."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable
from typing import Any, Literal, NoReturn, cast

from wsroute.dependencies.callables import show

#: What is said of a denial where a permission says nothing of its own.
FORBIDDEN = "Forbidden"
_SIGNS = {"and": " & ", "or": " | "}


class Combinable:
    """Something that `&`, `|` and `~` make rules of."""

    __slots__ = ()

    def __and__(self, other: object) -> Rule:
        return _combined("and", self, other)

    def __or__(self, other: object) -> Rule:
        return _combined("or", self, other)

    def __rand__(self, other: object) -> Rule:
        return _combined("and", other, self)

    def __ror__(self, other: object) -> Rule:
        return _combined("or", other, self)

    def __invert__(self) -> Rule:
        return Rule("not", (self,))


class CombinableType(ABCMeta):
    """The type of classes that `&`, `|` and `~` make rules of, as if they were instances."""

    def __and__(cls, other: object) -> Rule:
        return _combined("and", cls, other)

    def __or__(cls, other: Any) -> Any:
        # `type[P] | None` and the like are annotations.
        return _combined("or", cls, other) if is_permission(other) else super().__or__(other)

    def __rand__(cls, other: object) -> Rule:
        return _combined("and", other, cls)

    def __ror__(cls, other: Any) -> Any:
        return _combined("or", other, cls) if is_permission(other) else super().__ror__(other)

    def __invert__(cls) -> Rule:
        return Rule("not", (cls,))


class Rule(Combinable):
    """An expression of permissions, asked from left to right and no further than it takes. Immutable.

    Args:
        operator: What combines them.
        operands: Permissions, and rules.
    """

    __slots__ = ("operands", "operator")

    operator: Literal["and", "or", "not"]
    operands: tuple[Any, ...]

    # By hand: to make a frozen dataclass takes longer than to load the rest of this module.

    def __init__(self, operator: Literal["and", "or", "not"], operands: tuple[Any, ...]) -> None:
        object.__setattr__(self, "operator", operator)
        object.__setattr__(self, "operands", operands)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{self!r} cannot be changed: it may stand at several levels. Write another rule.")

    @property
    def message(self) -> object:
        """What a denial says: what the operand that is asked last says; of a negation, nothing of its own."""
        return FORBIDDEN if self.operator == "not" else message_of(self.operands[-1])

    def over(self, change: Callable[[Any], Any]) -> Rule:
        """The same expression of other permissions.

        Args:
            change: Takes each permission, and gives what takes its place.
        """
        operands = (item.over(change) if isinstance(item, Rule) else change(item) for item in self.operands)
        return Rule(self.operator, tuple(operands))

    def __repr__(self) -> str:
        shown = [show(item) for item in self.operands]
        return f"~{shown[0]}" if self.operator == "not" else f"({_SIGNS[self.operator].join(shown)})"


def is_permission(value: object) -> bool:
    """Whether it can be asked: a class or an instance with `has_permission`, or a rule."""
    return isinstance(value, Rule) or callable(getattr(value, "has_permission", None))


def message_of(permission: object) -> object:
    """What a denial by a permission says."""
    return getattr(permission, "message", FORBIDDEN)


def _combined(operator: Literal["and", "or"], left: object, right: object) -> Rule:
    if not (is_permission(left) and is_permission(right)):
        return cast("Rule", NotImplemented)  # Python's way to say that an operator does not know its operands
    return Rule(operator, (left, right))
