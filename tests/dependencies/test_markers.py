"""Which marker a value is: ours by their classes, FastAPI's by their shapes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from types import GenericAlias, SimpleNamespace
from typing import Annotated, Any, Literal, NewType
from unittest.mock import Mock

import pytest
from annotated_types import Gt
from pydantic import AliasChoices, Field
from pydantic.fields import FieldInfo
from typing_extensions import TypeAliasType

import wsroute
from wsroute.dependencies import markers
from wsroute.dependencies.markers import (
    BodyMarker,
    DependsMarker,
    FieldMarker,
    ParamMarker,
    holds_marker,
    is_uncalled_marker,
    read_marker,
)
from wsroute.params import REQUIRED


def dependency() -> None: ...


class ForeignDepends:
    """The shape of FastAPI's `Depends`."""

    def __init__(self, dependency: Any, **attributes: Any) -> None:
        self.dependency = dependency
        self.use_cache = True
        vars(self).update(attributes)


def foreign(name: str, base: type[Any] = FieldInfo, **attributes: Any) -> Any:
    """A subclass of pydantic's `FieldInfo`, which is final for type checkers, and which FastAPI's markers are."""
    return type(name, (base,), attributes)


ForeignParam = foreign("Param", in_=SimpleNamespace(value="query"))
ForeignHeader = foreign("Header", in_=SimpleNamespace(value="header"), convert_underscores=False)
Body = foreign("Body")
File = foreign("File", Body)
Upload = foreign("Upload", File)


# Ours


def test_depends_is_read() -> None:
    marker = read_marker(wsroute.Depends(dependency, use_cache=False, scope="function", threadpool=True))

    assert marker == DependsMarker(dependency, use_cache=False, scope="function", threadpool=True)


def test_the_limit_of_depends_is_its_own() -> None:
    depends = wsroute.Depends(dependency, max_concurrency=2)
    marker = read_marker(depends)

    assert isinstance(marker, DependsMarker)
    assert marker.limit is depends.limit


def test_security_adds_its_scopes() -> None:
    marker = read_marker(wsroute.Security(dependency, scopes=["a", "b"]))

    assert marker == DependsMarker(dependency, security_scopes=("a", "b"))


@pytest.mark.parametrize(
    ("make", "source"),
    [
        (wsroute.Path, "path"),
        (wsroute.Query, "query"),
        (wsroute.Header, "header"),
        (wsroute.Cookie, "cookie"),
    ],
)
def test_a_parameter_marker_is_read(make: Callable[..., Any], source: Any) -> None:
    marker = read_marker(make(3, alias="a", gt=1, validate_default=True))

    constraints = {"gt": 1, "validate_default": True}
    assert marker == ParamMarker(source, default=3, alias="a", validate_default=True, constraints=constraints)


def test_a_validation_alias_goes_before_an_alias() -> None:
    choices = AliasChoices("b", "c")

    assert read_marker(wsroute.Query(alias="a", validation_alias=choices)) == ParamMarker("query", alias=choices)


def test_an_empty_alias_is_none() -> None:
    assert read_marker(wsroute.Query(alias="")) == ParamMarker("query")


def test_a_header_may_keep_its_underscores() -> None:
    assert read_marker(wsroute.Header(convert_underscores=False)) == ParamMarker("header", False)


# FastAPI's, by their shapes


def test_a_foreign_depends_is_read_by_its_shape() -> None:
    assert read_marker(ForeignDepends(dependency)) == DependsMarker(dependency)


def test_what_newer_versions_add_to_it_is_read_where_it_is_there() -> None:
    limit = object()
    marker = read_marker(ForeignDepends(dependency, scope="function", scopes=["a"], _concurrency=limit))

    assert marker == DependsMarker(dependency, scope="function", limit=limit, security_scopes=("a",))


def test_a_foreign_parameter_marker_is_read_by_its_shape() -> None:
    marker = read_marker(ForeignParam(default=3, gt=1, alias="a", validate_default=True, discriminator="kind"))

    assert marker == ParamMarker(
        "query",
        default=3,
        alias="a",
        validate_default=True,
        constraints={"discriminator": "kind"},
        metadata=(Gt(1),),
    )


def test_a_foreign_header_may_keep_its_underscores() -> None:
    assert read_marker(ForeignHeader()) == ParamMarker("header", False)


def test_a_foreign_default_factory_is_no_default() -> None:
    assert read_marker(ForeignParam(default_factory=list)) == ParamMarker("query", default_factory=list)


def test_a_plain_field_says_nothing_about_the_source() -> None:
    assert read_marker(Field(gt=1, alias="a")) == FieldMarker(alias="a", metadata=(Gt(1),))
    assert read_marker(Field(3)) == FieldMarker(default=3)
    assert read_marker(Field(...)) == FieldMarker()


@pytest.mark.parametrize(("value", "name"), [(Body(), "Body"), (File(), "File"), (Upload(), "File")])
def test_what_reads_a_body_is_told_by_its_name(value: object, name: str) -> None:
    assert read_marker(value) == BodyMarker(name)


# Nothing else


class Stubborn:
    """A proxy that is not bound to anything yet."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("working outside of a context")


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        "dependency",
        object(),
        dependency,
        Mock(),
        Stubborn(),
        wsroute.Depends,
        ForeignDepends,
        type("Depends", (), {"dependency": None, "use_cache": True}),
        SimpleNamespace(dependency=dependency),
        SimpleNamespace(default_factory=list),
        REQUIRED,
    ],
    ids=repr,
)
def test_no_other_value_is_a_marker(value: object) -> None:
    assert read_marker(value) is None


# Merging


def test_for_each_setting_the_last_marker_that_says_something_counts() -> None:
    first = ParamMarker("query", alias="a", default_factory=list)
    second = FieldMarker(alias="b", validate_default=True)
    last = ParamMarker("header")

    merged = last.saying(["documented", first, second, last])

    assert merged == ParamMarker("header", alias="b", default_factory=list, validate_default=True)


def test_a_marker_to_which_nothing_is_added_stays_itself() -> None:
    marker = ParamMarker("query", constraints={"gt": 1})

    assert marker.saying([marker, "documented"]) is marker


# In the wrong place

User = TypeAliasType("User", Annotated[str, wsroute.Depends(dependency)])


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[str, wsroute.Depends(dependency)] | None,
        list[Annotated[str, wsroute.Query()]],
        dict[str, list[Annotated[str, ForeignDepends(dependency)]]],
        Annotated[list[Annotated[str, Body()]], "documented"],
        User | None,
        list[User],
    ],
    ids=repr,
)
def test_a_marker_inside_of_a_type_is_found(annotation: Any) -> None:
    assert holds_marker(annotation)


@pytest.mark.parametrize(
    "annotation",
    [
        int,
        int | None,
        list[Annotated[int, Field(gt=3)]],
        dict[str, list[int]],
        Literal["a", 1],
        Callable[[int], str],
        NewType("Id", int),
        Any,
    ],
    ids=repr,
)
def test_other_types_hold_none(annotation: Any) -> None:
    assert not holds_marker(annotation)


def test_an_alias_may_hold_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy:
        """What `type Tree = dict[str, Tree]` makes where there is such a statement."""

        @property
        def __value__(self) -> Any:
            return GenericAlias(dict, (str, self))

    monkeypatch.setattr(markers, "ALIASES", (Lazy,))

    assert not holds_marker(Lazy())


@pytest.mark.parametrize("name", ["Depends", "Security", "Path", "Query", "Header", "Cookie"])
def test_a_marker_that_was_not_called_is_told_by_its_name(name: str) -> None:
    assert is_uncalled_marker(getattr(wsroute, name))


@pytest.mark.parametrize("value", [wsroute.Query(), dependency, "Query", None, Field, wsroute.WebSocket, Body])
def test_other_values_are_no_uncalled_markers(value: object) -> None:
    assert not is_uncalled_marker(value)


def test_the_flags_of_a_dependency_tell_declarations_apart() -> None:
    plain = DependsMarker(dependency)

    assert plain.flags == DependsMarker(print).flags
    assert plain.flags != DependsMarker(dependency, use_cache=False).flags
    assert plain.flags != DependsMarker(dependency, security_scopes=("a",)).flags
    assert plain.flags != DependsMarker(dependency, limit=object()).flags


def test_a_marker_that_was_read_shows_what_it_says() -> None:
    assert "alias='a'" in repr(ParamMarker("query", alias="a"))
