"""The names under which values are sent, and how a model collects a whole source by them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, Json
from pydantic.fields import FieldInfo

from wsroute.dependencies.lookups import UNSET, Lookup, ModelReader, wire_names
from wsroute.params import Source


def names(alias: Any = None, *, source: Source = "query", convert_underscores: bool = True) -> list[tuple[str, str]]:
    """The name on the wire and the shown one of each lookup of a parameter `x_tok`."""
    lookups = wire_names("x_tok", alias, source, convert_underscores=convert_underscores)
    return [(lookup.name, lookup.shown) for lookup in lookups]


@pytest.mark.parametrize("source", ["path", "query", "cookie"])
def test_a_parameter_is_sent_under_its_own_name(source: Source) -> None:
    assert names(source=source) == [("x_tok", "x_tok")]
    assert names("", source=source) == [("x_tok", "x_tok")]


def test_a_header_has_hyphens_for_underscores_unless_told_otherwise() -> None:
    assert names(source="header") == [("x-tok", "x-tok")]
    assert names(source="header", convert_underscores=False) == [("x_tok", "x_tok")]


def test_an_alias_is_taken_as_it_is_written() -> None:
    assert names("Tok_En") == [("Tok_En", "Tok_En")]
    assert names("X-Tok_En", source="header") == [("x-tok_en", "X-Tok_En")]


def test_choices_are_tried_in_their_order() -> None:
    choices = AliasChoices("b", AliasPath("c", 1), "a")

    assert names(choices) == [("b", "b"), ("c", "c"), ("a", "a")]


@pytest.mark.parametrize(
    ("source", "sequence", "expected"),
    [
        ("query", False, "3"),
        ("cookie", False, "3"),
        ("header", False, "1"),
        ("query", True, ["1", "2", "3"]),
        ("header", True, ["1", "2", "3"]),
        ("cookie", True, ["1", "2", "3"]),
    ],
)
def test_of_several_values_the_source_decides_which_one_a_scalar_gets(
    source: Source, sequence: bool, expected: str | list[str]
) -> None:
    lookup = Lookup("a", "a", "a")

    assert lookup.find({"a": ["1", "2", "3"]}, source=source, sequence=sequence) == expected


@pytest.mark.parametrize("grouped", [{}, {"b": ["1"]}, {"a": []}])
def test_what_was_not_sent_is_unset(grouped: dict[str, list[str]]) -> None:
    assert Lookup("a", "a", "a").find(grouped, source="query", sequence=True) is UNSET


@pytest.mark.parametrize(
    ("steps", "expected"),
    [((0,), "1"), ((1,), "2"), ((-1,), "2"), ((-2,), "1"), ((2,), UNSET), ((-3,), UNSET), (("a",), UNSET)],
)
def test_a_path_leads_to_one_of_the_values(steps: tuple[int | str, ...], expected: object) -> None:
    assert Lookup("a", "a", "a", steps).find({"a": ["1", "2"]}, source="query", sequence=False) == expected


def test_a_path_leads_into_no_string() -> None:
    assert Lookup("a", "a", "a", (0, 0)).find({"a": ["1", "2"]}, source="query", sequence=False) is UNSET


class Page(BaseModel):
    limit: int = 10
    sort_by: list[str] = []


def collect(
    model: type[BaseModel],
    grouped: dict[str, list[str]],
    *,
    source: Source = "query",
    optional: bool = False,
    convert_underscores: bool = True,
) -> Any:
    return ModelReader(model, source, optional=optional, convert_underscores=convert_underscores).collect(grouped)


def test_a_model_gets_scalars_and_lists_by_their_names() -> None:
    assert collect(Page, {"limit": ["1", "2"], "sort_by": ["a"]}) == {"limit": "2", "sort_by": ["a"]}


def test_a_model_of_headers_has_hyphens_for_underscores_unless_told_otherwise() -> None:
    headers = {"sort-by": ["a"], "sort_by": ["b"]}

    assert collect(Page, headers, source="header") == {"sort_by": ["a"]}
    assert collect(Page, headers, source="header", convert_underscores=False) == {"sort_by": ["b"], "sort-by": "a"}


def test_a_field_of_a_model_of_headers_may_say_whether_its_underscores_are_converted() -> None:
    class Literally(FieldInfo):  # type: ignore[misc]  # final for type checkers, and what FastAPI's Header is
        convert_underscores = False

    class Headers(BaseModel):
        x_tok: str
        x_id: str

    Headers.model_fields["x_tok"] = Literally(annotation=str)

    assert collect(Headers, {"x_tok": ["a"], "x-id": ["b"]}, source="header") == {"x_tok": "a", "x_id": "b"}


def test_the_model_sees_what_no_field_takes() -> None:
    assert collect(Page, {"a": ["1"], "b": ["1", "2"]}) == {"a": "1", "b": ["1", "2"]}
    assert collect(Page, {"a": ["1"], "b": ["1", "2"]}, source="cookie") == {"a": "1", "b": "2"}


def test_json_in_a_field_is_one_string() -> None:
    class Filter(BaseModel):
        tags: Json[list[int]]

    assert collect(Filter, {"tags": ["[1]", "[2]"]}) == {"tags": "[2]"}


class Aliased(BaseModel):
    value: int = Field(alias="Value")


class AliasedOrNamed(Aliased):
    model_config = ConfigDict(populate_by_name=True)


class OnlyNamed(Aliased):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=False)


class Chosen(BaseModel):
    value: int = Field(validation_alias=AliasChoices("a", AliasPath("b", 1)))


@pytest.mark.parametrize(
    ("model", "sent", "expected"),
    [
        pytest.param(Aliased, {"Value": ["1"]}, {"Value": "1"}, id="alias"),
        pytest.param(Aliased, {"value": ["1"]}, {"value": "1"}, id="the name, which is no field then"),
        pytest.param(AliasedOrNamed, {"Value": ["1"], "value": ["2"]}, {"Value": "1", "value": "2"}, id="alias first"),
        pytest.param(AliasedOrNamed, {"value": ["1", "2"]}, {"value": "2"}, id="name"),
        pytest.param(OnlyNamed, {"Value": ["1"], "value": ["2", "3"]}, {"value": "3", "Value": "1"}, id="name only"),
        pytest.param(Chosen, {"a": ["1"], "b": ["2", "3"]}, {"a": "1", "b": ["2", "3"]}, id="first choice"),
        pytest.param(Chosen, {"b": ["2", "3"]}, {"b": ["2", "3"]}, id="a path, which pydantic follows"),
        pytest.param(Chosen, {"b": ["2"]}, {"b": "2"}, id="a path that leads nowhere"),
    ],
)
def test_the_fields_of_a_model_are_found_by_their_aliases(
    model: type[BaseModel], sent: dict[str, list[str]], expected: dict[str, object]
) -> None:
    assert collect(model, sent) == expected


@pytest.mark.parametrize(
    ("extra", "sent", "expected"),
    [
        ("ignore", {}, UNSET),
        ("ignore", {"a": ["1"]}, UNSET),
        ("ignore", {"limit": ["1"]}, {"limit": "1"}),
        ("allow", {}, UNSET),
        ("allow", {"a": ["1"]}, {"a": "1"}),
        ("forbid", {}, UNSET),
        ("forbid", {"a": ["1"]}, {"a": "1"}),
    ],
)
def test_a_model_that_may_be_left_out_is_unset_if_nothing_of_it_was_sent(
    extra: Any, sent: dict[str, list[str]], expected: object
) -> None:
    class Extra(Page, extra=extra):
        """A page with more in it."""

    assert collect(Extra, sent, optional=True) == expected


def test_a_model_that_must_be_there_is_made_from_nothing() -> None:
    assert collect(Page, {}, optional=False) == {}


HANDSHAKE = {
    name: ["-"]
    for name in (
        "host upgrade connection origin user-agent cookie authorization accept-encoding accept-language cache-control "
        "pragma sec-websocket-key sec-websocket-version sec-websocket-extensions sec-websocket-protocol "
        "sec-fetch-mode sec-ch-ua x-forwarded-for x-forwarded-proto x-real-ip forwarded via"
    ).split()
}


@pytest.mark.parametrize(("extra", "seen"), [("forbid", {"x-tok"}), ("allow", {"x-tok", *HANDSHAKE})])
def test_headers_of_the_protocol_are_no_extra_for_a_model_that_forbids_them(extra: Any, seen: set[str]) -> None:
    class Extra(BaseModel, extra=extra):
        """Headers of an application."""

    assert collect(Extra, {**HANDSHAKE, "x-tok": ["1"]}, source="header").keys() == seen


def test_only_headers_have_such_exceptions() -> None:
    class Strict(BaseModel, extra="forbid"):
        """No query at all."""

    assert collect(Strict, {"host": ["-"]}) == {"host": "-"}


def test_an_unconverted_name_is_neither_another_way_to_send_a_field_nor_an_extra_one() -> None:
    class Strict(BaseModel, extra="forbid"):
        X_tok: str = ""

    assert collect(Strict, {"x_tok": ["-"]}, source="header") == {}


def test_a_location_shows_the_name_on_the_wire() -> None:
    reader = ModelReader(Page, "header", optional=False, convert_underscores=True)

    assert reader.shown(("sort_by", 0)) == ("sort-by", 0)
    assert reader.shown(("limit",)) == ("limit",)
    assert reader.shown(("x-other",)) == ("x-other",)
    assert reader.shown(()) == ()
