"""Rules of permissions as data: what they are made of, and what they say."""

from __future__ import annotations

import operator
from types import NoneType
from typing import Any, get_args

import pytest

from wsroute.dependencies.rules import FORBIDDEN, Combinable, CombinableType, Rule, is_permission, message_of


class Base(Combinable, metaclass=CombinableType):
    def has_permission(self) -> bool:
        raise AssertionError("asked")


class P(Base):
    message = "P"


class Q(Base):
    message = {"code": "Q"}


class Silent(Base): ...


class Duck:
    has_permission = P.has_permission


Shape = Any


def shape(rule: Any) -> Shape:
    """A rule as nested tuples."""
    return (rule.operator, *map(shape, rule.operands)) if isinstance(rule, Rule) else rule


p, duck = P(), Duck()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (P & Q, ("and", P, Q)),
        (P | Q, ("or", P, Q)),
        (~P, ("not", P)),
        (P & p, ("and", P, p)),
        (p | Q, ("or", p, Q)),
        (~p, ("not", p)),
        (P & duck, ("and", P, duck)),
        (duck & P, ("and", duck, P)),
        (Duck | P, ("or", Duck, P)),
        (duck | p, ("or", duck, p)),
        (Duck & p, ("and", Duck, p)),
        (~~P, ("not", ("not", P))),
        (P & Q & p, ("and", ("and", P, Q), p)),
        (P | Q & ~p, ("or", P, ("and", Q, ("not", p)))),
        ((P | Q) & p, ("and", ("or", P, Q), p)),
        (Duck & (P | Q), ("and", Duck, ("or", P, Q))),
        (Duck | ~P, ("or", Duck, ("not", P))),
    ],
    ids=str,
)
def test_operators_make_rules_with_pythons_precedence(rule: Any, expected: Shape) -> None:
    assert shape(rule) == expected


def test_a_union_of_types_is_none() -> None:
    assert get_args(P | None) == (P, NoneType)
    assert get_args(None | P) == (NoneType, P)
    assert get_args(P | int | str) == (P, int, str)
    assert get_args(int | P) == (int, P)


@pytest.mark.parametrize("other", [3, "P", object(), None])
def test_what_cannot_be_asked_combines_with_nothing(other: Any) -> None:
    for operate, left, right in (
        (operator.and_, p, other),
        (operator.and_, other, p),
        (operator.or_, p, other),
        (operator.or_, other, p),
        (operator.and_, P, other),
    ):
        with pytest.raises(TypeError):
            operate(left, right)


@pytest.mark.parametrize(
    ("permission", "message"),
    [
        (P, "P"),
        (p, "P"),
        (Q, {"code": "Q"}),
        (Silent, FORBIDDEN),
        (duck, FORBIDDEN),
        (P & Q, {"code": "Q"}),
        (Q | P, "P"),
        (P | ~Q, FORBIDDEN),
        (~P | Q & P, "P"),
        (~P, FORBIDDEN),
        (~~P, FORBIDDEN),
    ],
    ids=str,
)
def test_a_denial_says_what_the_permission_that_is_asked_last_says(permission: Any, message: Any) -> None:
    assert message_of(permission) == message


@pytest.mark.parametrize("value", [P, p, Duck, duck, P & Q, ~p])
def test_what_can_be_asked(value: Any) -> None:
    assert is_permission(value)


@pytest.mark.parametrize("value", [3, None, int, object(), type("No", (), {"has_permission": True})], ids=str)
def test_what_cannot_be_asked(value: Any) -> None:
    assert not is_permission(value)


def test_the_same_rule_of_other_permissions() -> None:
    rule = (P & ~Q) | duck
    changed = rule.over(lambda permission: permission() if isinstance(permission, type) else permission)
    made_p, made_q = changed.operands[0].operands[0], changed.operands[0].operands[1].operands[0]
    assert (type(made_p), type(made_q)) == (P, Q)
    assert shape(changed) == ("or", ("and", made_p, ("not", made_q)), duck)
    assert shape(rule) == ("or", ("and", P, ("not", Q)), duck)


def test_a_rule_shows_itself_as_it_was_written() -> None:
    assert repr((P & ~Q) | p) == f"(({__name__}.P & ~{__name__}.Q) | <{__name__}.P object>)"


def test_a_rule_cannot_be_changed_and_is_equal_to_itself_only() -> None:
    rule = P & Q
    with pytest.raises(AttributeError):
        rule.operator = "or"
    assert rule == rule
    assert rule != (P & Q)
    assert len({rule, P & Q}) == 2
