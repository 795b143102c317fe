"""What kind of callable it is, whatever it is wrapped in."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Generic, TypeVar
from unittest.mock import AsyncMock, Mock

import pytest

from wsroute.dependencies.callables import (
    Form,
    bound_by_name,
    describe,
    form_of,
    function_of,
    identity,
    is_class,
    short_name,
    show,
    takes_positions,
)

T = TypeVar("T")


def value(role: str = "") -> str:
    return role


async def coroutine() -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


class Plain:
    def method(self) -> None: ...

    async def async_method(self) -> None: ...

    @classmethod
    async def of_class(cls) -> None: ...

    @staticmethod
    def of_nobody() -> Iterator[int]:
        yield 1


class AsyncCall(Plain):
    async def __call__(self) -> None: ...


class Wraps:
    """A decorator that is a class."""

    def __init__(self, call: Callable[..., Any]) -> None:
        functools.update_wrapper(self, call)

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class WrapsMethod:
    @functools.wraps(generator)
    def __call__(self, *args: Any) -> Any: ...


class Repo(Generic[T]): ...


class Unhashable:
    __hash__ = None  # type: ignore[assignment]  # how Python itself spells it

    def __call__(self) -> None: ...

    def __eq__(self, other: object) -> bool:
        return True


def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("call", "form"),
    [
        (value, Form.VALUE),
        (lambda: 1, Form.VALUE),
        (len, Form.VALUE),
        (Plain, Form.VALUE),
        (Repo[int], Form.VALUE),
        (AsyncCall, Form.VALUE),
        (Plain().method, Form.VALUE),
        (functools.lru_cache(value), Form.VALUE),
        (coroutine, Form.COROUTINE),
        (Plain().async_method, Form.COROUTINE),
        (Plain.of_class, Form.COROUTINE),
        (AsyncCall(), Form.COROUTINE),
        (functools.partial(AsyncCall()), Form.COROUTINE),
        (functools.partial(functools.partial(coroutine)), Form.COROUTINE),
        (wrapped(coroutine), Form.COROUTINE),
        (Wraps(coroutine), Form.COROUTINE),
        (AsyncMock(), Form.COROUTINE),
        (generator, Form.GENERATOR),
        (Plain.of_nobody, Form.GENERATOR),
        (wrapped(wrapped(generator)), Form.GENERATOR),
        (WrapsMethod(), Form.GENERATOR),
        (async_generator, Form.ASYNC_GENERATOR),
        (functools.partial(async_generator), Form.ASYNC_GENERATOR),
        (contextmanager(generator), Form.CONTEXT_MANAGER),
        (functools.partial(contextmanager(generator)), Form.CONTEXT_MANAGER),
        (wrapped(contextmanager(generator)), Form.CONTEXT_MANAGER),
        (asynccontextmanager(async_generator), Form.ASYNC_CONTEXT_MANAGER),
        (wrapped(asynccontextmanager(async_generator)), Form.ASYNC_CONTEXT_MANAGER),
    ],
)
def test_the_outermost_layer_that_says_anything_decides_what_a_call_gives(call: Callable[..., Any], form: Form) -> None:
    assert form_of(call) is form


def test_a_coroutine_function_around_a_generator_function_is_a_coroutine_function() -> None:
    @functools.wraps(generator)
    async def first_item() -> int:
        return next(generator())

    assert form_of(first_item) is Form.COROUTINE


def test_what_wraps_itself_is_looked_at_once() -> None:
    def function() -> None: ...

    function.__wrapped__ = function  # type: ignore[attr-defined]  # what careless decorators do
    assert form_of(function) is Form.VALUE


@pytest.mark.parametrize(
    ("form", "is_async", "is_context"),
    [
        (Form.VALUE, False, False),
        (Form.COROUTINE, True, False),
        (Form.GENERATOR, False, True),
        (Form.ASYNC_GENERATOR, True, True),
        (Form.CONTEXT_MANAGER, False, True),
        (Form.ASYNC_CONTEXT_MANAGER, True, True),
    ],
)
def test_a_form_says_where_it_runs_and_whether_it_has_to_be_closed(
    form: Form, is_async: bool, is_context: bool
) -> None:
    assert (form.is_async, form.is_context) == (is_async, is_context)


def test_classes_aliases_of_them_and_partials_of_both_construct() -> None:
    for call in (Plain, Repo[int], functools.partial(Plain), functools.partial(Repo[int])):
        assert is_class(call)
    for other in (value, AsyncCall(), Plain().method, functools.partial(value)):
        assert not is_class(other)


def test_the_function_of_a_callable_is_the_one_with_the_annotations() -> None:
    class Init:
        def __init__(self) -> None: ...

    class New:
        def __new__(cls) -> New:
            return super().__new__(cls)

    def given() -> None: ...

    given.__signature__ = None  # type: ignore[attr-defined]  # PEP 362
    outer = functools.wraps(value)(given)

    assert function_of(value) is value
    assert function_of(wrapped(functools.partial(value))) is value
    assert function_of(Plain().method) is Plain.method
    assert function_of(AsyncCall()) is AsyncCall.__call__
    assert function_of(Init) is Init.__init__
    assert function_of(functools.partial(New)) is New.__new__
    assert function_of(Repo[int]) is Repo
    assert function_of(outer) is outer


def test_what_partials_have_given_by_name_is_found_through_all_layers() -> None:
    inner = functools.partial(value, role="admin")

    assert bound_by_name(value) == frozenset()
    assert bound_by_name(inner) == bound_by_name(wrapped(inner)) == frozenset({"role"})
    assert bound_by_name(functools.partial(wrapped(inner), other=1)) == frozenset({"role", "other"})


def test_only_plain_functions_take_their_arguments_by_position() -> None:
    def keyword_only(*, role: str) -> None: ...

    def given() -> None: ...

    class Class:
        method = functools.partialmethod(value, 1)

    given.__signature__ = None  # type: ignore[attr-defined]  # PEP 362
    assert takes_positions(value)
    assert takes_positions(Plain().method)
    partial, builtin = functools.partial(value), dict[str, str]().get
    for call in (keyword_only, given, Class.method, wrapped(value), partial, Plain, AsyncCall(), builtin):
        assert not takes_positions(call)


def test_equal_callables_have_equal_identities() -> None:
    plain = Plain()

    assert identity(value) == identity(value)
    assert identity(plain.method) == identity(plain.method)
    assert hash(identity(plain.method)) == hash(identity(plain.method))
    assert identity(Plain().method) != identity(plain.method)


def test_what_cannot_be_hashed_is_only_equal_to_itself() -> None:
    one, other = Unhashable(), Unhashable()

    assert identity(one) == identity(one)
    assert hash(identity(one)) == hash(identity(one))
    assert identity(one) != identity(other)
    assert identity(one) != one
    assert len({identity(one), identity(other), identity(one)}) == 2


@pytest.mark.parametrize(
    ("call", "name", "short"),
    [
        (value, f"{__name__}.value", "value"),
        (wrapped(value), f"{__name__}.value", "value"),
        (Plain, f"{__name__}.Plain", "Plain"),
        (Plain().method, f"{__name__}.Plain.method", "method"),
        (AsyncCall(), f"{__name__}.AsyncCall instance", "AsyncCall"),
        (functools.partial(value), f"partial({__name__}.value)", "value"),
        (functools.partial(functools.partial(Plain)), f"partial({__name__}.Plain)", "Plain"),
        (Repo[int], f"{__name__}.Repo[int]", "Repo"),
        (len, "len", "len"),
        (int, "int", "int"),
        (Mock(), "unittest.mock.Mock instance", "Mock"),
    ],
)
def test_a_callable_has_a_name_without_an_address(call: object, name: str, short: str) -> None:
    assert (describe(call), short_name(call)) == (name, short)


def test_any_value_is_shown_without_an_address() -> None:
    assert show(value) == f"{__name__}.value"
    assert show(Plain) == f"{__name__}.Plain"
    assert show(Plain()) == f"<{__name__}.Plain object>"
    assert show([value, 3, "text"]) == "[<function value>, 3, 'text']"
