"""Corners of reading and writing that no client gets to."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import UUID4, Field, HttpUrl, TypeAdapter, ValidationError

from tests.messages.talking import Client, talking
from wsroute import AnnotationError, WebSocketRouter
from wsroute.exceptions import Location
from wsroute.messages.adapters import adapter_of
from wsroute.messages.codec import Codec
from wsroute.messages.invalid import MAX_ERRORS, InvalidMessages
from wsroute.messages.texts import TEXTS, text_of
from wsroute.routing.route import APIWebSocketRoute
from wsroute.wire.socket import Socket


def test_a_stream_reads_nothing() -> None:
    router = WebSocketRouter()

    @router.stream("/")
    async def stream() -> AsyncIterator[str]:
        yield "x"

    [route] = router.routes
    assert isinstance(route, APIWebSocketRoute) and route.dependant.conversation is not None
    with pytest.raises(TypeError, match="a stream has no messages to read"):
        _ = Codec(route.dependant.conversation).decoder


def failed(annotation: Any, value: Any) -> tuple[InvalidMessages, ValidationError]:
    adapter = TypeAdapter(annotation)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    return InvalidMessages(adapter, frozenset()), caught.value


def test_a_location_is_told_as_far_as_it_is_known_without_the_message() -> None:
    messages, error = failed(dict[str, list[int]], {"a": [1, "x"]})
    assert messages.report(error, '{"a":[1,"x"]}').detail[0]["loc"] == [1]
    assert messages.report(error, "what is no JSON").detail[0]["loc"] == []


def test_the_server_is_told_of_all_errors_and_the_client_of_some() -> None:
    messages, error = failed(list[int], ["x"] * 1000)
    report = messages.report(error, "[]")
    assert (len(report.errors()), len(report.detail)) == (1000, MAX_ERRORS)
    assert str(report).startswith("an invalid message: invalid_message\n  0: Value should be an integer [int_parsing]")


def test_an_error_of_the_application_that_is_called_as_one_of_pydantics() -> None:
    assert text_of("greater_than", {"gt": 5}) == "Value should be greater than 5"
    assert text_of("greater_than", {}) == text_of("what nobody knows", {"gt": 5}) == "Value is not valid"


@pytest.mark.parametrize(
    ("annotation", "frame", "text"),
    [
        (Annotated[int, Field(gt=3)], "1", "Value should be greater than 3"),
        (Annotated[float, Field(ge=3.5)], "1", "Value should be 3.5 or greater"),
        (Annotated[Decimal, Field(lt=3)], "9", "Value should be less than 3"),
        (Annotated[date, Field(le=date(2020, 1, 1))], '"2030-01-01"', "Value should be 2020-01-01 or less"),
        (Annotated[int, Field(multiple_of=3)], "1", "Value should be a multiple of 3"),
        (Annotated[Decimal, Field(max_digits=2)], '"1.23"', "Number of digits should be 2 or less"),
        (Annotated[Decimal, Field(decimal_places=1)], '"1.23"', "Number of decimal places should be 1 or less"),
        (Annotated[list[int], Field(min_length=3)], "[]", "Number of items should be 3 or more"),
        (Annotated[dict[str, int], Field(max_length=0)], '{"a":1}', "Number of items should be 0 or less"),
        (Annotated[str, Field(min_length=3)], '""', "Length of the string should be 3 or more"),
        (Annotated[str, Field(max_length=1)], '"ab"', "Length of the string should be 1 or less"),
        (Annotated[str, Field(pattern="^x{2}$")], '"ab"', "String should match the pattern ^x{2}$"),
        (Annotated[bytes, Field(max_length=1)], '"ab"', "Number of bytes should be 1 or less"),
        (Literal["a", "b"], '"c"', "Value should be 'a' or 'b'"),
        (HttpUrl, '"ftp://a"', "Scheme of the URL should be 'http' or 'https'"),
        (UUID4, '"123e4567-e89b-12d3-a456-426614174000"', "Value should be a UUID of version 4"),
    ],
    ids=repr,
)
def test_a_text_says_what_was_declared(annotation: Any, frame: str, text: str) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_json(frame)
    [detail] = InvalidMessages(adapter, frozenset()).report(caught.value, frame).detail
    assert detail["msg"].startswith(text)


@pytest.mark.parametrize("kind", TEXTS)
def test_every_text_says_something_with_what_pydantic_knows(kind: str) -> None:
    known = dict.fromkeys(
        (
            *("expected", "expected_tags", "discriminator", "gt", "ge", "lt", "le", "multiple_of", "max_digits"),
            *("decimal_places", "whole_digits", "min_length", "max_length", "pattern", "expected_schemes"),
            "expected_version",
        ),
        "7",
    )
    text = text_of(kind, known)
    assert text != text_of("what nobody knows", {}) and "{" not in text and text[0].isupper()


def test_an_undefined_name_is_an_error_of_the_annotation_however_it_is_raised() -> None:
    class Unfinished:
        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            raise NameError("Later")

    with pytest.raises(AnnotationError, match="the annotations of Unfinished name something that cannot be found"):
        adapter_of(Unfinished, Location("/"))


@pytest.mark.anyio
async def test_an_invalid_message_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    router = WebSocketRouter()
    sockets: list[Socket] = []

    @router.listener("/")
    async def listener(message: dict[str, int], websocket: Socket) -> str:
        sockets.append(websocket)
        return "handled"

    client = Client()
    client.say("{}", "x")
    with caplog.at_level(logging.DEBUG):
        async with talking(router, client):
            await client.got(2)
            assert sockets[0].asked_about is None
    assert caplog.records == []
