"""What each outcome of an endpoint tells the client."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import (
    VERSION,
    AfterValidator,
    BaseModel,
    ByteSize,
    Field,
    ImportString,
    TypeAdapter,
    ValidationError,
)
from starlette.exceptions import HTTPException, WebSocketException
from starlette.websockets import WebSocketDisconnect

from wsroute.exceptions import WebSocketRequestValidationError
from wsroute.wire.endings import FAILED, Ending, ending_of, essence, is_departure
from wsroute.wire.socket import StateError


def test_a_validation_error_tells_what_is_wrong_and_not_what_was_sent() -> None:
    error = {"type": "missing", "loc": ("query", "limit"), "msg": "Field required", "input": "secret", "ctx": {"a": 1}}
    assert ending_of(WebSocketRequestValidationError([error])) == Ending(
        422,
        {"detail": [{"type": "missing", "loc": ("query", "limit"), "msg": "Field required"}]},
        1008,
        "Invalid handshake parameters",
    )


PYDANTIC = tuple(map(int, VERSION.split(".")[:2]))


class Circle(BaseModel):
    kind: Literal["circle"]


class Square(BaseModel):
    kind: Literal["square"]


def name_or_complain(value: str) -> str:
    raise ValueError("no such name")


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Annotated[Circle | Square, Field(discriminator="kind")], {"kind": "zebra"}),
        (ByteSize, "12zebra"),
        (ImportString, "zebra"),
        (UUID, "zebra"),
        pytest.param(ZoneInfo, "zebra", marks=pytest.mark.skipif(PYDANTIC < (2, 10), reason="new in pydantic 2.10")),
    ],
)
def test_no_text_of_pydantic_repeats_the_input(annotation: Any, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(annotation).validate_python(value)
    errors = caught.value.errors(include_url=False)
    # Those that do not are no business of this table.
    assert "z" in errors[0]["msg"].removeprefix("Input should be a valid zoneinfo")

    content = ending_of(WebSocketRequestValidationError([dict(error) for error in errors])).content

    assert [error["type"] for error in content["detail"]] == [errors[0]["type"]]
    assert "zebra" not in str(content) and "`z`" not in str(content)


def test_the_applications_own_text_is_told() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Annotated[str, AfterValidator(name_or_complain)]).validate_python("zebra")
    ending = ending_of(WebSocketRequestValidationError([dict(error) for error in caught.value.errors()]))
    assert [error["msg"] for error in ending.content["detail"]] == ["Value error, no such name"]


def test_an_email_address_that_is_none_is_not_repeated() -> None:
    msg = "value is not a valid email address: The part after the @-sign contains invalid characters: 'z'."
    error = {"type": "value_error", "loc": ("query", "to"), "msg": msg, "input": "z", "ctx": {"reason": msg}}
    detail = ending_of(WebSocketRequestValidationError([error])).content["detail"]
    assert [error["msg"] for error in detail] == ["Input should be a valid email address"]


def test_a_refusal_lists_a_hundred_errors_at_most() -> None:
    errors = [{"type": "missing", "loc": ("query", str(number)), "msg": "Field required"} for number in range(101)]
    detail = ending_of(WebSocketRequestValidationError(errors)).content["detail"]
    assert [error["loc"] for error in detail] == [("query", str(number)) for number in range(100)]


@pytest.mark.parametrize(
    ("status", "code"), [(300, 1008), (307, 1008), (404, 1008), (499, 1008), (500, 1011), (599, 1011)]
)
def test_an_http_exception_closes_as_its_status_says(status: int, code: int) -> None:
    ending = ending_of(HTTPException(status, "why", {"X-A": "1"}))
    assert ending == Ending(status, {"detail": "why"}, code, "why", {"X-A": "1"})


def test_an_http_exception_that_would_accept_is_an_error_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    ending = ending_of(HTTPException(204))
    assert (ending.status, ending.code) == (500, 1011)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("detail", [{"a": 1}, ["a"], 42, object()])
def test_a_detail_that_is_no_string_is_no_reason(detail: Any) -> None:
    ending = ending_of(HTTPException(404, detail))
    assert ending.content["detail"] is detail
    assert ending.reason == "Not Found"


def test_a_websocket_exception_closes_with_its_code() -> None:
    assert ending_of(WebSocketException(4001, "why")) == Ending(403, {"code": 4001, "reason": "why"}, 4001, "why")


def test_a_websocket_exception_with_a_code_that_may_not_be_sent_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ending = ending_of(WebSocketException(1006))
    assert (ending.content, ending.code) == ({"code": 1011, "reason": ""}, 1011)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("exc", [ValueError("secret"), ExceptionGroup("secret", [HTTPException(404), ValueError()])])
def test_a_bug_tells_nothing(exc: Exception) -> None:
    assert ending_of(exc) is FAILED
    assert "secret" not in repr(FAILED)


@pytest.mark.parametrize("ended", [False, True])
def test_a_group_with_one_leaf_is_that_leaf(ended: bool) -> None:
    leaf = ValueError()
    assert essence(leaf, ended=ended) is leaf
    assert essence(ExceptionGroup("", [leaf]), ended=ended) is leaf
    assert essence(ExceptionGroup("", [ExceptionGroup("", [leaf])]), ended=ended) is leaf


def test_a_group_with_two_leaves_is_itself() -> None:
    group = ExceptionGroup("", [ExceptionGroup("", [HTTPException(404)]), WebSocketDisconnect(1001)])
    assert essence(group, ended=True) is group


def test_a_group_of_tasks_that_all_saw_the_peer_leave_is_one_disconnect() -> None:
    first = WebSocketDisconnect(1001)
    assert essence(ExceptionGroup("", [first, WebSocketDisconnect(1006)]), ended=False) is first
    group = ExceptionGroup("", [first, ExceptionGroup("", [StateError("closed")])])
    assert essence(group, ended=True) is first
    assert essence(group, ended=False) is group


@pytest.mark.parametrize(
    ("exc", "ended", "departure"),
    [
        (WebSocketDisconnect(), False, True),
        (WebSocketDisconnect(), True, True),
        (StateError(), True, True),
        (StateError(), False, False),
        (RuntimeError(), True, False),
    ],
)
def test_a_state_error_says_that_the_connection_ended_once_it_has(exc: Exception, ended: bool, departure: bool) -> None:
    assert is_departure(exc, ended=ended) is departure
