"""What may be sent."""

from __future__ import annotations

import logging
from enum import IntEnum
from typing import Any

import pytest

from wsroute.wire.frames import (
    is_sendable_code,
    merge_headers,
    sendable,
    sendable_code,
    sendable_reason,
    sendable_status,
)


class Code(IntEnum):
    TEAPOT = 4018


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999])
def test_a_legal_close_code_is_sent_as_it_is(code: int, caplog: pytest.LogCaptureFixture) -> None:
    assert is_sendable_code(code)
    assert sendable_code(code) == code
    assert not caplog.records


def test_an_enumeration_of_codes_is_sent_as_plain_numbers() -> None:
    assert type(sendable_code(Code.TEAPOT)) is int


@pytest.mark.parametrize(
    "code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 10**9, True, None, "1000", 1000.0, [1000]]
)
def test_an_illegal_close_code_is_sent_as_1011_and_logged(code: object, caplog: pytest.LogCaptureFixture) -> None:
    assert not is_sendable_code(code)
    assert not caplog.records
    assert sendable_code(code) == 1011
    [record] = caplog.records
    assert (record.name, record.levelno) == ("wsroute", logging.ERROR)
    assert repr(code) in record.getMessage()


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("", ""),
        ("bye", "bye"),
        ("x" * 200, "x" * 123),
        ("ä" * 61 + "x", "ä" * 61 + "x"),
        ("ä" * 200, "ä" * 61),
        ("€" * 200, "€" * 41),
        ("x" + "😀" * 200, "x" + "😀" * 30),
        ("a\ud800b", "a?b"),
        (None, ""),
    ],
)
def test_a_reason_is_cut_between_two_characters(
    reason: str | None, sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert sendable_reason(reason) == sent
    assert len(sent.encode()) <= 123
    assert not caplog.records


@pytest.mark.parametrize("reason", [[{"input": "secret"}], b"secret", ValueError("secret"), 42])
def test_a_reason_that_is_no_string_is_left_out_and_logged_without_its_content(
    reason: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert sendable_reason(reason) == ""
    [record] = caplog.records
    assert type(reason).__name__ in record.getMessage()
    assert "secret" not in record.getMessage()


@pytest.mark.parametrize("status", [300, 304, 401, 499, 599])
def test_a_status_that_refuses_is_sent_as_it_is(status: int, caplog: pytest.LogCaptureFixture) -> None:
    assert sendable_status(status) == status
    assert not caplog.records


@pytest.mark.parametrize("status", [0, 101, 200, 204, 299, 600, 1000, "404", None])
def test_a_status_that_cannot_refuse_is_sent_as_500_and_logged(
    status: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert sendable_status(status) == 500
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_header_name_goes_out_once_with_its_values_joined() -> None:
    headers = [(b"Vary", b"origin"), (b"x-a", b"1"), (b"vary", b"cookie")]
    assert merge_headers(headers) == [(b"vary", b"origin, cookie"), (b"x-a", b"1")]


def test_cookies_are_never_joined() -> None:
    assert merge_headers([(b"set-cookie", b"a=1"), (b"Set-Cookie", b"b=2")], [(b"set-cookie", b"c=3")]) == [
        (b"set-cookie", b"c=3"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
    ]


def test_the_own_headers_of_an_answer_come_before_injected_ones_of_the_same_name() -> None:
    assert merge_headers([(b"x-a", b"own")], [(b"x-a", b"1"), (b"x-a", b"2"), (b"x-b", b"1"), (b"X-B", b"2")]) == [
        (b"x-a", b"own"),
        (b"x-b", b"1, 2"),
    ]


def test_an_injected_response_does_not_describe_the_body_of_an_answer() -> None:
    own = [(b"content-length", b"2"), (b"content-type", b"application/json")]
    injected = [(b"content-length", b"0"), (b"Content-Type", b"text/plain"), (b"x-a", b"1")]
    assert sorted(merge_headers(own, injected)) == [*own, (b"x-a", b"1")]
    assert merge_headers([], injected) == [(b"x-a", b"1")]


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        ({"type": "websocket.send", "text": "x"}, {"type": "websocket.send", "text": "x"}),
        ({"type": "websocket.close"}, {"type": "websocket.close", "code": 1000, "reason": ""}),
        (
            {"type": "websocket.close", "code": 1006, "reason": "x" * 200},
            {"type": "websocket.close", "code": 1011, "reason": "x" * 123},
        ),
        (
            {"type": "websocket.accept", "subprotocol": "chat"},
            {"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"x-a", b"1")]},
        ),
        (
            {"type": "websocket.http.response.start", "status": 200, "headers": [(b"X-B", b"2")]},
            {"type": "websocket.http.response.start", "status": 500, "headers": [(b"x-a", b"1"), (b"x-b", b"2")]},
        ),
    ],
)
def test_a_message_is_made_sendable_and_itself_left_alone(message: dict[str, Any], sent: dict[str, Any]) -> None:
    before = dict(message)
    assert sendable(message, [(b"x-a", b"1")]) == sent
    assert message == before
