"""Annotations are evaluated as Python would evaluate them where they stand."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Optional, TypeVar

import pytest
from pydantic import BaseModel
from typing_extensions import TypeAliasType

from tests.dependencies.modules import module_of, postponed
from tests.dependencies.modules.postponed import Base, Inner, Late, Pair, later, wrapping
from wsroute import AnnotationError, Depends, InvalidParameterError, Query
from wsroute.dependencies.signature import EMPTY, LocalNames, Parameter, Unresolved, get_signature
from wsroute.exceptions import Location

T = TypeVar("T")


def read(call: Callable[..., Any], names: LocalNames | None = None) -> dict[str, Parameter]:
    parameters = get_signature(call, names or LocalNames(), Location("/items"))
    return {parameter.name: parameter for parameter in parameters}


def types_of(call: Callable[..., Any], names: LocalNames | None = None) -> dict[str, Any]:
    return {name: parameter.annotation for name, parameter in read(call, names).items()}


def here() -> LocalNames:
    """What a decorator sees that is called where this is called."""
    return LocalNames(sys._getframe(1))


# --- Parameters ----------------------------------------------------------------------------------------------------


def make_functions() -> list[Callable[..., Any]]:
    """Functions of all shapes that a signature can have, without an annotation that has to be evaluated."""

    def usual(a: int, b: str = "b", c: Annotated[int, "C"] = 3, d=None): ...  # type: ignore[no-untyped-def]  # d

    def without() -> None:
        local = 1
        del local

    def closing(a: int) -> Callable[[], int]:
        return lambda: a

    def by_position(a: int, /, b: int = 1) -> None: ...

    def by_name(a: int = 1, *, b: int, c: int = 2) -> None: ...

    def any_number(a: int, *args: int, b: int = 1, **kwargs: int) -> None: ...

    async def coroutine(a: int, b: int = 1) -> None: ...

    def said(a: int) -> None: ...

    said.__signature__ = inspect.signature(usual, eval_str=True)  # type: ignore[attr-defined]  # PEP 362

    class Class:
        def method(self, a: int, b: int = 1) -> None: ...

        partial = functools.partialmethod(method, b=2)

    wrapped = functools.wraps(usual)(lambda *args: None)
    methods: list[Callable[..., Any]] = [Class.method, Class.partial, Class().method]
    return [usual, without, closing, by_position, by_name, any_number, coroutine, said, wrapped, *methods]


@pytest.mark.parametrize("call", make_functions())
def test_parameters_are_those_that_inspect_shows(call: Callable[..., Any]) -> None:
    shown = inspect.signature(call, eval_str=True).parameters.values()
    assert get_signature(call, here(), Location()) == tuple(
        Parameter(parameter.name, parameter.annotation, parameter.default, parameter.kind) for parameter in shown
    )


# --- Strings -------------------------------------------------------------------------------------------------------


def test_a_string_is_evaluated_in_the_module_of_its_function() -> None:
    parameters = read(postponed.forward)

    assert parameters["late"] == Parameter("late", Late, EMPTY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    assert parameters["many"].annotation == Annotated[list[Late], Depends(later)]
    assert (parameters["default"].annotation, parameters["default"].default) == (int, 1)


def test_an_annotation_that_is_no_string_is_handed_on() -> None:
    def function(item, number, none):  # type: ignore[no-untyped-def]  # the point
        ...

    function.__annotations__ = {"number": 3, "none": None}
    assert types_of(function) == {"item": EMPTY, "number": 3, "none": type(None)}


def test_a_string_inside_of_a_type_is_evaluated() -> None:
    def function(inside: Any, deep: Any, marked: Any, either: Any) -> None: ...

    function.__annotations__ = {
        "inside": list["Late"],
        "deep": dict[str, list["Late"]],
        "marked": Annotated["Late", Depends(later)],
        "either": Optional["Late"],
    }
    assert types_of(function) == {
        "inside": list[Late],
        "deep": dict[str, list[Late]],
        "marked": Annotated[Late, Depends(later)],
        "either": Late | None,
    }


def test_a_function_in_a_string_keeps_the_globals_of_its_module() -> None:
    (marker,) = types_of(postponed.called_in_annotation)["late"].__metadata__

    assert marker.dependency() == postponed.GREETING


def test_a_name_that_cannot_be_found_is_listed_and_the_rest_is_read() -> None:
    price = read(postponed.value_for_type_checkers)["price"]

    assert price.missing == ("Decimal",)
    assert price.annotation.__metadata__ == (Depends(later),)
    assert [parameter.missing for parameter in read(postponed.needed_from_type_checkers).values()] == [
        ("Decimal",),
        ("Decimal",),
    ]


@pytest.mark.parametrize(
    "annotation",
    [
        "Missing.inner",
        "Missing[int]",
        "Missing | None",
        "None | Missing",
        "Missing()",
        "list[Missing]",
        "type[Missing]",
        "Annotated[Missing, Query()]",
        "Annotated[int, Depends(Missing)]",
        "Missing + 1",
    ],
)
def test_a_name_that_cannot_be_found_may_stand_anywhere(annotation: str) -> None:
    def function(item: Any) -> None: ...

    function.__annotations__["item"] = annotation
    assert read(function)["item"].missing == ("Missing",)


def test_what_stands_for_a_missing_name_says_which() -> None:
    missing = Unresolved("models")

    assert missing.users.User.name == "models.users.User"
    assert (missing | None, None | missing, missing[int], missing()) == (missing,) * 4
    with pytest.raises(AttributeError, match="__origin__"):
        _ = missing.__origin__


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ("1 / 0", "division by zero"),
        ("int[str]", "type 'int' is not subscriptable"),
        ("Late.missing", "type object 'Late' has no attribute 'missing'"),
    ],
)
def test_an_annotation_that_fails_is_an_error(annotation: str, reason: str) -> None:
    def function(item: Any) -> None: ...

    function.__annotations__["item"] = annotation
    with pytest.raises(AnnotationError) as raised:
        read(function)
    assert raised.value.problem == f"the annotation {annotation!r} cannot be evaluated: {reason}"
    assert raised.value.location == Location("/items", (), "item")


# --- Names that are local to a function ----------------------------------------------------------------------------


def test_local_names_are_found_in_the_frame_of_the_function_that_defines_the_callable() -> None:
    class Local: ...

    def function(local: Local) -> None: ...

    assert types_of(function, here()) == {"local": Local}


def test_local_names_of_all_functions_around_are_found_the_innermost_first() -> None:
    class Outer: ...

    class Both: ...

    def define() -> dict[str, Any]:
        class Both: ...

        def function(outer: Outer, both: Both) -> None: ...

        return {"outer": Outer, "both": Both, "found": types_of(function, here())}

    defined = define()
    assert defined["found"] == {"outer": defined["outer"], "both": defined["both"]}
    assert defined["both"] is not Both


def make_function() -> Callable[..., Any]:
    class Local: ...

    def function(local: Local) -> None: ...

    return function


def test_a_variable_of_the_same_name_in_another_frame_is_not_used() -> None:
    class Local: ...

    function = make_function()
    assert read(function, here())["local"].missing == ("Local",)


def test_a_frame_of_the_same_name_in_another_module_is_not_used() -> None:
    class Local: ...

    source = f"""
        from __future__ import annotations

        def {sys._getframe().f_code.co_name}():
            def function(local: Local): ...
            return function
        """
    with module_of(source) as made:
        function = getattr(made, sys._getframe().f_code.co_name)()
        assert read(function, here())["local"].missing == ("Local",)


def test_what_was_captured_stays_when_the_stack_is_released() -> None:
    class Local: ...

    def function(local: Local) -> None: ...

    names = here()
    read(function, names)
    names.release()
    assert types_of(function, names) == {"local": Local}


def test_nothing_is_captured_after_the_release() -> None:
    class Local: ...

    def function(local: Local) -> None: ...

    names = here()
    names.release()
    assert read(function, names)["local"].missing == ("Local",)


def test_joined_names_know_what_each_of_them_has_captured() -> None:
    class Local: ...

    def function(local: Local) -> None: ...

    names = here()
    read(function, names)
    joined = LocalNames.joined([LocalNames(), names])
    assert types_of(function, joined) == {"local": Local}


def test_the_closure_is_found_without_any_frame() -> None:
    def define() -> Callable[..., Any]:
        class Local: ...

        def function(local: Local) -> Any:
            return Local

        return function

    function = define()
    assert types_of(function) == {"local": function(None)}


def test_a_variable_of_the_closure_that_has_no_value_yet_is_not_found() -> None:
    def function(local: Local) -> Any:
        return Local

    assert read(function)["local"].missing == ("Local",)

    class Local: ...

    assert types_of(function) == {"local": Local}


def test_a_local_class_finds_the_names_around_it() -> None:
    class Local: ...

    @dataclass
    class Record:
        local: Local

    class Handwritten:
        def __init__(self, local: Local) -> None: ...

        def method(self, local: Local) -> None: ...

    for call in (Record, Handwritten, Handwritten.method):
        assert types_of(call, here())["local"] is Local


# --- What may be called --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        Late(Inner()).method,
        Late.of_class,
        Late.of_nobody,
        Late(Inner()),
        functools.partial(Late.of_nobody),
        functools.partial(Late(Inner())),
        wrapping(Late.of_nobody),
        wrapping(functools.partial(Late(Inner()).method)),
        functools.partial(wrapping(Late.of_nobody)),
    ],
    ids=[
        "method",
        "class method",
        "static method",
        "instance",
        "partial",
        "partial of an instance",
        "wrapped",
        "wrapped partial",
        "partial of a wrapped",
    ],
)
def test_a_callable_has_the_signature_that_it_is_called_with(call: Callable[..., Any]) -> None:
    assert types_of(call) == {"late": Late}


def test_a_class_has_the_signature_of_its_constructor() -> None:
    class New:
        def __new__(cls, inner: Inner) -> New:
            return super().__new__(cls)

    class Model(BaseModel):
        inner: int = 1

    class Repo(Generic[T]):
        def __init__(self, inner: Inner) -> None: ...

    assert types_of(Late) == types_of(New) == types_of(Repo[int]) == {"inner": Inner}
    assert types_of(Model) == {"inner": int}
    assert types_of(object) == {}


def test_a_wrapper_of_another_module_does_not_hide_the_names_of_what_it_wraps() -> None:
    @wrapping
    def function(known: KnownHere) -> None: ...

    assert types_of(function) == {"known": KnownHere}


class KnownHere:
    """And not to the module of the wrapper."""


def test_fields_of_a_base_class_are_evaluated_in_its_module() -> None:
    source = """
        from __future__ import annotations
        from dataclasses import dataclass
        from tests.dependencies.modules.postponed import Base

        class Own: ...
        class Inner: "Not what the base class means."

        @dataclass
        class Derived(Base):
            own: Own
        """
    with module_of(source) as made:
        assert types_of(made.Derived) == {"inner": Inner, "own": made.Own}
    assert types_of(Base) == {"inner": Inner}


def test_fields_of_a_named_tuple_are_evaluated_in_its_module() -> None:
    assert types_of(Pair) == {"inner": Inner, "late": Late | None}


def test_a_class_whose_module_is_gone_can_still_be_read() -> None:
    source = """
        from __future__ import annotations
        from dataclasses import dataclass

        @dataclass
        class Gone:
            number: list[int]
            late: Late
        """
    with module_of(source) as made:
        gone = made.Gone
    assert types_of(gone)["number"] == list[int]
    assert read(gone)["late"].missing == ("Late",)


def test_a_signature_that_is_given_counts_with_the_names_of_the_callable_that_has_it() -> None:
    def function(*args: Any) -> None: ...

    @functools.wraps(Late.of_nobody)
    def wrapper(*args: Any) -> None: ...

    given = inspect.signature(lambda known: None)
    given = given.replace(parameters=[given.parameters["known"].replace(annotation="KnownHere")])
    for call in (function, wrapper):
        call.__signature__ = given  # type: ignore[attr-defined]  # PEP 362
        assert types_of(call) == {"known": KnownHere}


def test_what_a_partial_has_given_is_no_parameter_any_more() -> None:
    def function(role: str, late: Late) -> None: ...

    assert types_of(functools.partial(function, "admin")) == {"late": Late}
    assert types_of(functools.partial(function, role="admin")) == {"late": Late}
    assert types_of(functools.partial(functools.partial(function, role="admin"))) == {"late": Late}
    assert types_of(wrapping(functools.partial(function, role="admin"))) == {"late": Late}


def test_a_callable_without_a_signature_is_an_error() -> None:
    with pytest.raises(InvalidParameterError) as raised:
        read(dict)
    assert raised.value.problem == "dict has no signature that Python can tell"


# --- Aliases -------------------------------------------------------------------------------------------------------

QUERY = Query()
Marked = TypeAliasType("Marked", Annotated[int, QUERY])
Again = TypeAliasType("Again", Marked)
Many = TypeAliasType("Many", list[T], type_params=(T,))
Forward = TypeAliasType("Forward", "Annotated[Late, Depends(later)]")


def test_an_alias_is_what_it_stands_for() -> None:
    def function(
        marked: Marked, again: Again, many: Many[int], forward: Forward, inside: Annotated[Marked, "more"]
    ) -> None: ...

    assert types_of(function) == {
        "marked": Annotated[int, QUERY],
        "again": Annotated[int, QUERY],
        "many": list[int],
        "forward": Annotated[Late, Depends(later)],
        "inside": Annotated[int, QUERY, "more"],
    }


def test_an_alias_of_a_name_that_cannot_be_found_lists_it() -> None:
    def function(late: Any) -> None: ...

    missing: Any = "Missing"
    function.__annotations__["late"] = TypeAliasType("Later", missing)
    assert read(function)["late"].missing == ("Missing",)


def test_a_name_that_is_missing_where_the_annotation_leads_is_listed() -> None:
    source = """
        def make():
            return Nowhere

        def function(item: "make()"): ...
        """
    with module_of(source) as made:
        assert read(made.function)["item"].missing == ("Nowhere",)


def test_the_type_parameters_of_a_function_are_names() -> None:
    def function(item: Any) -> None: ...

    parameter = TypeVar("parameter")
    function.__annotations__["item"] = "list[parameter]"
    name = "__type_params__"
    setattr(function, name, (parameter,))  # what the syntax of 3.12 does
    assert types_of(function)["item"] == list[parameter]  # type: ignore[valid-type]  # as 3.12 would read it


STATEMENTS = """
    from typing import Annotated
    from wsroute import Depends

    type Number = Annotated[int, Depends(later)]
    type Many[T] = list[T]
    type Missing = Annotated[Nowhere, Depends(later)]

    def function(number: Number, many: Many[int]): ...
    def missing(missing: Missing): ...
    def generic[T](item: "T"): ...

    def later(): ...
    """


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is new in 3.12")
def test_a_type_statement_is_what_it_stands_for() -> None:
    with module_of(STATEMENTS) as made:
        assert types_of(made.function) == {"number": Annotated[int, Depends(made.later)], "many": list[int]}
        assert read(made.missing)["missing"].missing == ("Nowhere",)
        assert isinstance(types_of(made.generic)["item"], TypeVar)
