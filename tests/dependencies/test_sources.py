"""The places in which a handshake carries values, compared with what Starlette reads in them."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers, QueryParams
from starlette.requests import cookie_parser

from wsroute.dependencies.sources import (
    group_cookies,
    group_headers,
    group_query,
    group_source,
    header_reader,
    read_cookies,
    read_query,
)
from wsroute.params import Source

#: Bytes that mean something in a query string or a cookie come often.
QUERIES = st.lists(
    st.one_of(st.sampled_from([b"&", b"=", b";", b"+", b"%", b"%41", b"%zz", b"%ff", b"%00", b"a", b"b"]), st.binary()),
    max_size=12,
).map(b"".join)
COOKIES = st.lists(
    st.one_of(st.sampled_from([b"; ", b";", b"=", b'"', b"\\", b"\\101", b" ", b"a", b"b"]), st.binary()), max_size=12
).map(b"".join)
NAMES = st.sampled_from([b"x-a", b"x-b", b"cookie", b"host", b"\xe9"])
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=5)), max_size=8)


@given(QUERIES)
def test_a_query_string_reads_as_starlette_reads_it(query_string: bytes) -> None:
    expected = QueryParams(query_string)

    assert read_query(query_string) == dict(expected)
    assert group_query(query_string) == {name: expected.getlist(name) for name in expected}


@given(st.lists(st.tuples(st.binary(min_size=1), st.binary()), max_size=5))
def test_what_was_quoted_reads_as_it_was(pairs: list[tuple[bytes, bytes]]) -> None:
    query_string = "&".join(f"{quote_from_bytes(name)}={quote_from_bytes(value)}" for name, value in pairs)
    expected = [(name.decode("utf-8", "replace"), value.decode("utf-8", "replace")) for name, value in pairs]

    assert read_query(query_string.encode()) == dict(expected)


@pytest.mark.parametrize(
    ("query_string", "expected"),
    [
        pytest.param(b"", {}, id="nothing"),
        pytest.param(b"a=1&b=2", {"a": ["1"], "b": ["2"]}, id="two names"),
        pytest.param(b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}, id="a name twice"),
        pytest.param(b"a&b=", {"a": [""], "b": [""]}, id="without values"),
        pytest.param(b"&&a=1&", {"a": ["1"]}, id="empty pieces"),
        pytest.param(b"a=b=c", {"a": ["b=c"]}, id="the first equals sign divides"),
        pytest.param(b"a=1;b=2", {"a": ["1;b=2"]}, id="a semicolon divides nothing"),
        pytest.param(b"a=1+2%2B", {"a": ["1 2+"]}, id="plus is a space"),
        pytest.param(b"a=%C3%A9", {"a": ["é"]}, id="UTF-8"),
        pytest.param(b"a=%FF", {"a": ["\N{REPLACEMENT CHARACTER}"]}, id="no UTF-8"),
        pytest.param(b"a=\xe9", {"a": ["é"]}, id="a byte that should be quoted"),
        pytest.param(b"a=%00", {"a": ["\0"]}, id="NUL"),
    ],
)
def test_a_query_string_has_all_values_of_each_name(query_string: bytes, expected: dict[str, list[str]]) -> None:
    assert group_query(query_string) == expected


@given(HEADERS)
def test_headers_read_as_starlette_reads_them(raw: list[tuple[bytes, bytes]]) -> None:
    expected = Headers(raw=raw)
    names = [name.decode("latin-1") for name, _ in raw]

    assert group_headers(raw) == {name: expected.getlist(name) for name in names}
    assert header_reader(names)(raw) == {name: expected[name] for name in names}


def test_only_the_headers_that_are_asked_for_are_read() -> None:
    read = header_reader(["x-a", "x-missing"])

    assert read([(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")]) == {"x-a": "1"}


@given(COOKIES)
def test_cookies_read_as_starlette_reads_them(header: bytes) -> None:
    expected = cookie_parser(header.decode("latin-1"))

    assert read_cookies([(b"cookie", header)]) == expected
    assert {name: values[-1] for name, values in group_cookies([(b"cookie", header)]).items()} == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(b"a=1; b=2", {"a": ["1"], "b": ["2"]}, id="two"),
        pytest.param(b" a = 1 ;; ;b=", {"a": ["1"], "b": [""]}, id="spaces and nothing"),
        pytest.param(b"a=b=c", {"a": ["b=c"]}, id="the first equals sign divides"),
        pytest.param(b"a; =b", {"": ["a", "b"]}, id="without names"),
        pytest.param(b'a="b c"', {"a": ["b c"]}, id="quoted"),
        pytest.param(rb'a="\"\\\101\400"', {"a": ['"\\A400']}, id="escaped"),
        pytest.param(rb"a=\101", {"a": [r"\101"]}, id="no escape without quotes"),
        pytest.param(b'a="; b="c', {"a": ['"'], "b": ['"c']}, id="one quote"),
        pytest.param(b"a=\xe9", {"a": ["é"]}, id="no ASCII"),
    ],
)
def test_a_cookie_header_has_all_values_of_each_name(header: bytes, expected: dict[str, list[str]]) -> None:
    assert group_cookies([(b"cookie", header)]) == expected


def test_cookies_come_from_all_lines_and_the_last_one_counts() -> None:
    headers = [(b"cookie", b"a=1; b=2; a=3"), (b"host", b"a=4"), (b"cookie", b'a="5"')]

    assert read_cookies(headers) == {"a": "5", "b": "2"}
    assert group_cookies(headers) == {"a": ["1", "3", "5"], "b": ["2"]}


def test_a_source_is_read_from_the_scope() -> None:
    scope = {
        "path_params": {"room": 1},
        "query_string": b"a=1&a=2",
        "headers": [(b"x-a", b"1"), (b"x-a", b"2"), (b"cookie", b"a=1; a=2")],
    }

    assert group_source("path", scope) == {"room": [1]}
    assert group_source("query", scope) == {"a": ["1", "2"]}
    assert group_source("header", scope) == {"x-a": ["1", "2"], "cookie": ["a=1; a=2"]}
    assert group_source("cookie", scope) == {"a": ["1", "2"]}


@pytest.mark.parametrize("source", ["path", "query", "header", "cookie"])
def test_what_the_scope_leaves_out_is_empty(source: Source) -> None:
    assert group_source(source, {}) == {}
