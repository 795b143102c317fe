"""Corners of reading and writing that no client gets to."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

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
