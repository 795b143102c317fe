"""Frames that are no message: what the client is told, and that the conversation goes on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, Json

from tests.asgi import Peer
from tests.messages.talking import Count, Say, errors_of, say, talk
from wsroute import (
    Depends,
    Payload,
    WebSocket,
    WebSocketListener,
    WebSocketPayloadValidationError,
    WebSocketRouter,
    on,
)

pytestmark = pytest.mark.anyio

INVALID = "x"


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: Annotated[int, Field(ge=0, lt=10)] = 0
    inner: Inner | None = None


class Everything(BaseModel):
    text: Annotated[str, Field(max_length=5, alias="Text")] = ""
    inner: Inner = Inner()
    items: list[Inner] = []
    scores: dict[str, int] = {}
    pairs: list[tuple[int, str]] = []
    when: Literal["now", "later"] = "now"
    encoded: Json[int] = 0


def listening(message: Any = Everything, **options: Any) -> WebSocketRouter:
    """A listener that says what it got, and how many dependencies are open while it does."""
    router = WebSocketRouter()
    open_now = []

    async def session() -> AsyncIterator[int]:
        open_now.append(1)
        yield len(open_now)
        open_now.pop()

    async def listener(
        message: Any,
        session: Annotated[int, Depends(session, scope="message")],
    ) -> str:
        return f"{session} {message}"

    listener.__annotations__["message"] = Annotated[message, Payload()]
    router.listener("/", **options)(listener)
    return router


async def error_of(frame: str | bytes, message: Any = Everything) -> Any:
    """What the client is told of a frame; and that the next one is handled, with one dependency open."""
    good = b"good" if message is bytes else "good" if message is str else "{}"
    peer = await talk(listening(message), frame, good)
    told, handled = peer.frames
    assert isinstance(handled, str) and handled.startswith("1 ")
    assert peer.closed is None
    return errors_of(told)


Told = tuple[str, list[tuple[list[str | int], str]]]

NO_JSON: Told = ("invalid_json", [([], "json_invalid")])


@pytest.mark.parametrize(
    "frame",
    ["", " ", "x", "{", '{"Text":', '{"Text":"a"', "{} {}", "{'a': 1}", "[1,]", '{"a":1,}', "nul", "\x00", "\ufeff{}"],
)
async def test_what_is_not_json(frame: str) -> None:
    assert await error_of(frame) == NO_JSON


@pytest.mark.parametrize("levels", [1_000, 10_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
async def test_json_that_is_nested_too_deeply(levels: int, opening: str, closing: str) -> None:
    frame = opening * levels + "1" + closing * levels
    assert await error_of(frame) == NO_JSON
    assert await error_of(frame, dict[str, Any]) == NO_JSON


async def test_a_number_of_more_digits_than_python_reads() -> None:
    assert await error_of(f'{{"inner":{{"number":{"1" * 50_000}}}}}') == NO_JSON


@pytest.mark.parametrize("text", [r"\ud800", r"\udc00\ud800", r"\ud800x"])
async def test_half_a_character_in_json(text: str) -> None:
    assert await error_of(f'{{"Text":"{text}"}}') == NO_JSON


async def test_half_a_character_in_a_frame() -> None:
    # No server hands it on; but nothing of it reaches a server again.
    assert await error_of('{"Text":"\ud800"}') == ("invalid_message", [([], "string_unicode")])


@pytest.mark.parametrize("frame", ["null", "5", '"text"', "[]", "true"])
async def test_json_that_is_no_object(frame: str) -> None:
    assert await error_of(frame) == ("invalid_message", [([], "model_type")])


@pytest.mark.parametrize(
    ("frame", "loc", "kind"),
    [
        ('{"Text":"longer"}', ["Text"], "string_too_long"),
        ('{"Text":null}', ["Text"], "string_type"),
        ('{"inner":{"number":10}}', ["inner", "number"], "less_than"),
        ('{"inner":{"number":-1}}', ["inner", "number"], "greater_than_equal"),
        ('{"inner":{"number":1.5}}', ["inner", "number"], "int_from_float"),
        ('{"inner":{"number":NaN}}', ["inner", "number"], "finite_number"),
        ('{"inner":{"number":1e999}}', ["inner", "number"], "finite_number"),
        ('{"inner":{"number":1, "number":"x"}}', ["inner", "number"], "int_parsing"),
        ('{"inner":{"unknown":1}}', ["inner"], "extra_forbidden"),
        ('{"items":[{},{"number":"x"}]}', ["items", 1, "number"], "int_parsing"),
        ('{"items":{}}', ["items"], "list_type"),
        ('{"items":[{"inner":{"inner":{"number":11}}}]}', ["items", 0, "inner", "inner", "number"], "less_than"),
        ('{"scores":{"of ann":"x"}}', ["scores"], "int_parsing"),
        ('{"scores":{"items":"x"}}', ["scores", "items"], "int_parsing"),  # a name that is declared elsewhere
        ('{"scores":{"7":"x"}}', ["scores"], "int_parsing"),
        ('{"pairs":[[1,"a"],[1]]}', ["pairs", 1, 1], "missing"),
        ('{"pairs":[[1,"a","b"]]}', ["pairs", 0], "too_long"),
        ('{"when":"never"}', ["when"], "literal_error"),
        ('{"encoded":"x"}', ["encoded"], "json_invalid"),
        ('{"encoded":"[5]"}', ["encoded"], "int_type"),
    ],
)
async def test_a_value_that_is_not_what_its_field_declares(frame: str, loc: list[str | int], kind: str) -> None:
    assert await error_of(frame) == ("invalid_message", [(loc, kind)])


async def test_a_model_in_a_model_may_be_as_deep_as_json() -> None:
    frame = '{"inner":' * 150 + '{"number":"x"}' + "}" * 150
    assert await error_of(frame) == ("invalid_message", [(["inner"] * 150 + ["number"], "int_parsing")])


async def test_all_errors_of_a_message_are_told() -> None:
    frame = '{"Text":5,"scores":{"a":"x"},"when":5}'
    assert await error_of(frame) == (
        "invalid_message",
        [(["Text"], "string_type"), (["scores"], "int_parsing"), (["when"], "literal_error")],
    )


async def test_no_more_than_a_hundred_errors_are_told() -> None:
    code, errors = await error_of(json.dumps({"items": [{"number": "x"}] * 1000}))
    assert code == "invalid_message"
    assert errors == [(["items", index, "number"], "int_parsing") for index in range(100)]


async def test_the_last_of_two_equal_keys_counts() -> None:
    peer = await talk(listening(dict[str, int]), '{"a":1,"a":2}')
    assert peer.frames == ["1 {'a': 2}"]


@pytest.mark.parametrize(
    ("extra", "told"), [("ignore", "1 text=''"), ("allow", "1 text='' more=1"), ("forbid", "extra_forbidden")]
)
async def test_further_fields_are_what_the_model_makes_of_them(extra: Any, told: str) -> None:
    class Message(BaseModel):
        model_config = ConfigDict(extra=extra)
        text: str = ""

    [frame] = (await talk(listening(Message), '{"more":1}')).frames
    assert told in str(frame)


# Which message it is


class Room(WebSocketListener):
    @on
    async def say(self, message: Say) -> str:
        return f"say {message.text}"

    @on
    async def count(self, message: Count) -> str:
        return f"count {message.to}"


def room(**options: Any) -> WebSocketRouter:
    router = WebSocketRouter()
    router.websocket("/", **options)(Room)
    return router


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ("{}", "union_tag_not_found"),
        ('{"text":"x"}', "union_tag_not_found"),
        ('{"type":null}', "union_tag_invalid"),
        ('{"type":"other"}', "union_tag_invalid"),
        ('{"type":"Say"}', "union_tag_invalid"),
        ('{"type":5}', "union_tag_invalid"),
        ('{"type":[]}', "union_tag_invalid"),
        ('{"type":{"type":"say"}}', "union_tag_invalid"),
    ],
)
async def test_a_type_that_no_handler_takes(frame: str, kind: str) -> None:
    peer = await talk(room(), frame, say("x"))
    assert errors_of(peer.frames[0]) == ("unknown_type", [([], kind)])
    assert peer.frames[1:] == ["say x"]


async def test_the_fields_of_the_type_that_was_sent_are_what_counts() -> None:
    peer = await talk(room(), '{"type":"count","to":"x"}', '{"type":"say","to":"x"}')
    assert errors_of(peer.frames[0]) == ("invalid_message", [(["to"], "int_parsing")])
    assert peer.frames[1:] == ["say "]


async def test_a_single_message_may_leave_its_type_out_and_say_no_other() -> None:
    peer = await talk(listening(Say), "{}", '{"type":"say"}', '{"type":"count"}')
    assert peer.frames[:2] == ["1 type='say' text=''"] * 2
    assert errors_of(peer.frames[2]) == ("unknown_type", [(["type"], "literal_error")])


async def test_a_single_message_without_a_default_has_to_say_its_type() -> None:
    class Message(BaseModel):
        kind: Literal["a"] = Field(alias="t")

    router = WebSocketRouter()

    @router.listener("/", discriminator="kind")
    async def listener(message: Message) -> None: ...

    peer = await talk(router, "{}", '{"t":"b"}', '{"t":"a"}')
    assert [errors_of(frame) for frame in peer.frames] == [
        ("unknown_type", [(["t"], "missing")]),
        ("unknown_type", [(["t"], "literal_error")]),
    ]


async def test_a_field_of_that_name_which_is_no_literal_is_a_field() -> None:
    class Message(BaseModel):
        type: int

    peer = await talk(listening(Message), '{"type":"x"}')
    assert errors_of(peer.frames[0]) == ("invalid_message", [(["type"], "int_parsing")])


# Frames of the wrong kind


WRONG_FRAME: Told = ("wrong_frame", [([], "frame_type")])


@pytest.mark.parametrize("message", [Everything, str, dict[str, Any]])
async def test_a_binary_frame_where_text_is_expected(message: Any) -> None:
    assert await error_of(b"{}", message) == WRONG_FRAME


async def test_a_text_frame_where_binary_is_expected() -> None:
    assert await error_of("{}", bytes) == WRONG_FRAME


@pytest.mark.parametrize("frame", [{}, {"text": None, "bytes": None}, {"text": None}])
async def test_a_frame_without_data(frame: dict[str, None]) -> None:
    peer = Peer().deliver({"type": "websocket.receive", **frame}).leave()
    await peer.serve(listening())
    assert [errors_of(told) for told in peer.frames] == [WRONG_FRAME]


async def test_servers_may_send_both_keys() -> None:
    peer = Peer().deliver({"type": "websocket.receive", "text": "hello", "bytes": None}).leave()
    await peer.serve(listening(str))
    assert peer.frames == ["1 hello"]


@pytest.mark.parametrize(("message", "frame"), [(str, ""), (bytes, b"")])
async def test_an_empty_frame_is_a_message_where_frames_are_messages(message: Any, frame: str | bytes) -> None:
    peer = await talk(listening(message), frame)
    assert peer.frames == [f"1 {frame!s}"]


# What closes the connection


async def test_ten_invalid_messages_in_a_row_are_too_many() -> None:
    peer = await talk(listening(), *[INVALID] * 10, leave=False)
    assert len(peer.frames) == 9
    assert peer.closed == (1007, "Invalid message")


async def test_a_valid_message_begins_a_new_row() -> None:
    peer = await talk(listening(max_invalid=2), INVALID, "{}", INVALID, "{}", INVALID, INVALID, leave=False)
    assert len(peer.frames) == 5
    assert peer.closed == (1007, "Invalid message")


async def test_a_row_may_be_of_any_kind_and_the_last_one_says_how_it_ends() -> None:
    peer = await talk(listening(max_invalid=3), INVALID, '{"Text":5}', b"", leave=False)
    assert [errors_of(frame)[0] for frame in peer.frames] == ["invalid_json", "invalid_message"]
    assert peer.closed == (1003, "Invalid message")


async def test_one_invalid_message_may_be_too_many() -> None:
    peer = await talk(listening(max_invalid=1), INVALID, leave=False)
    assert peer.frames == [] and peer.closed == (1007, "Invalid message")


async def test_there_may_be_no_limit() -> None:
    peer = await talk(listening(max_invalid=float("inf")), *[INVALID] * 500)
    assert len(peer.frames) == 500 and peer.closed is None


@pytest.mark.parametrize(("frame", "code"), [("x", 1007), ('{"Text":5}', 1007), (b"{}", 1003)])
async def test_an_invalid_message_may_close_at_once(frame: str | bytes, code: int) -> None:
    peer = await talk(listening(on_invalid="close"), "{}", frame, leave=False)
    assert len(peer.frames) == 1
    assert peer.closed == (code, "Invalid message")


# Exception handlers


def handling(handler: Callable[[WebSocket, Any], Any], kind: type[Exception], **options: Any) -> WebSocketRouter:
    router = listening(**options)
    outer = WebSocketRouter(exception_handlers={kind: handler})
    outer.include_router(router)
    return outer


async def send_code(websocket: WebSocket, exc: WebSocketPayloadValidationError) -> None:
    await websocket.send_text(f"{exc.code} {exc.errors()[0]['input']!r}")


@pytest.mark.parametrize("on_invalid", ["error", "close"])
async def test_a_handler_of_exceptions_may_answer_in_place_of_the_error_frame(on_invalid: Any) -> None:
    router = handling(send_code, WebSocketPayloadValidationError, on_invalid=on_invalid)
    peer = await talk(router, '{"Text":5}', "{}")
    assert peer.frames[0] == "invalid_message 5" and len(peer.frames) == 2 and peer.closed is None


async def test_it_may_close() -> None:
    async def close(websocket: WebSocket, exc: Exception) -> None:
        await websocket.close(4000, "no")

    peer = await talk(handling(close, WebSocketPayloadValidationError), INVALID, "{}", leave=False)
    assert peer.frames == [] and peer.closed == (4000, "no")


async def test_it_may_raise_what_it_got() -> None:
    def again(websocket: WebSocket, exc: Exception) -> None:
        raise exc

    peer = await talk(handling(again, WebSocketPayloadValidationError), INVALID, leave=False)
    assert peer.frames == [] and peer.closed == (1007, "Invalid message")


async def test_it_is_asked_once_about_what_closes() -> None:
    asked: list[Exception] = []
    router = handling(lambda websocket, exc: asked.append(exc), WebSocketPayloadValidationError, max_invalid=2)
    peer = await talk(router, INVALID, INVALID, leave=False)
    assert len(asked) == 2 and peer.closed == (1007, "Invalid message")


async def test_a_handler_of_all_exceptions_does_not_mean_invalid_messages() -> None:
    asked: list[Exception] = []
    router = handling(lambda websocket, exc: asked.append(exc), Exception)
    peer = await talk(router, INVALID, "{}")
    assert asked == [] and errors_of(peer.frames[0]) == NO_JSON


async def test_a_handler_of_messages_may_raise_it_itself() -> None:
    router = WebSocketRouter()

    @router.listener("/")
    async def listener(message: Say) -> None:
        raise WebSocketPayloadValidationError("room_full", [], [])

    peer = await talk(router, say("x"), say("y"))
    assert [errors_of(frame) for frame in peer.frames] == [("room_full", [])] * 2
