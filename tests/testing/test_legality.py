"""What an application may send, as a table: which message, after which, and what is said of one that is illegal."""

from __future__ import annotations

from typing import Any

import pytest

from wsroute.testing.legality import Phase, violation

SCOPE = {"extensions": {"websocket.http.response": {}}, "subprotocols": ["chat"]}
CLOSE = "websocket.close"
ACCEPT = "websocket.accept"
SEND = "websocket.send"
START = "websocket.http.response.start"
BODY = "websocket.http.response.body"
LEGAL: list[tuple[Phase, dict[str, Any]]] = [
    (Phase.CONNECTING, {"type": ACCEPT}),
    (Phase.CONNECTING, {"type": ACCEPT, "subprotocol": None, "headers": [(b"a", b"b")]}),
    (Phase.CONNECTING, {"type": ACCEPT, "subprotocol": "chat"}),
    # Nobody sees code and reason.
    (Phase.CONNECTING, {"type": CLOSE, "code": 1, "reason": "x" * 1000}),
    (Phase.CONNECTING, {"type": START, "status": 300, "headers": []}),
    (Phase.CONNECTING, {"type": START, "status": 599}),
    (Phase.DENYING, {"type": BODY}),
    (Phase.DENYING, {"type": BODY, "body": b"x", "more_body": True}),
    (Phase.OPEN, {"type": SEND, "text": ""}),
    (Phase.OPEN, {"type": SEND, "text": None, "bytes": b""}),
    (Phase.OPEN, {"type": SEND, "bytes": memoryview(b"x")}),
    (Phase.OPEN, {"type": CLOSE}),
    (Phase.OPEN, {"type": CLOSE, "code": 4999, "reason": None}),
    (Phase.OPEN, {"type": CLOSE, "code": 3000, "reason": "ä" * 61 + "x"}),
]
ILLEGAL: list[tuple[Phase, dict[str, Any], str]] = [
    (
        Phase.CONNECTING,
        {"type": SEND, "text": "x"},
        "'websocket.send' before the handshake was answered, where 'websocket.accept' or 'websocket.close' or "
        "'websocket.http.response.start' can come",
    ),
    (
        Phase.DENYING,
        {"type": ACCEPT},
        "'websocket.accept' before the body of the refusal was complete, where 'websocket.http.response.body' can come",
    ),
    (
        Phase.OPEN,
        {"type": ACCEPT},
        "'websocket.accept' after the handshake was accepted, where 'websocket.send' or 'websocket.close' can come",
    ),
    (Phase.OPEN, {}, "None after the handshake was accepted, where 'websocket.send' or 'websocket.close' can come"),
    (Phase.REFUSED, {"type": BODY}, f"{BODY!r} after the handshake was refused, where nothing more can come"),
    (Phase.CLOSED, {"type": CLOSE}, "'websocket.close' after 'websocket.close', where nothing more can come"),
    (
        Phase.CONNECTING,
        {"type": ACCEPT, "subprotocol": "other"},
        "the subprotocol 'other', where the client offered ['chat'], so that it drops the connection (RFC 6455, "
        "section 4.1)",
    ),
    (Phase.CONNECTING, {"type": ACCEPT, "headers": [("a", b"b")]}, "the header 'a': b'b'; both are bytes"),
    (Phase.CONNECTING, {"type": START, "status": 404, "headers": [(b"a", "")]}, "the header b'a': ''; both are bytes"),
    *(
        (
            Phase.CONNECTING,
            {"type": START, "status": status},
            f"a refusal with the HTTP status {status!r}; 300 to 599 refuse, since 101 and 2xx would be acceptances",
        )
        for status in (101, 200, 204, 600, "404", None)
    ),
    (Phase.DENYING, {"type": BODY, "body": "x"}, "the body of a refusal as str; it is bytes"),
    (
        Phase.OPEN,
        {"type": SEND},
        "'websocket.send' with both text and bytes, or with neither; one of them is the data",
    ),
    (
        Phase.OPEN,
        {"type": SEND, "text": "x", "bytes": b"x"},
        "'websocket.send' with both text and bytes, or with neither; one of them is the data",
    ),
    (
        Phase.OPEN,
        {"type": SEND, "text": b"x"},
        "'websocket.send' with text of type bytes; text is str, and bytes are bytes",
    ),
    (
        Phase.OPEN,
        {"type": SEND, "bytes": "x"},
        "'websocket.send' with bytes of type str; text is str, and bytes are bytes",
    ),
    *(
        (
            Phase.OPEN,
            {"type": CLOSE, "code": code},
            f"close code {code!r}, which may not be sent (RFC 6455, section 7.4); 1000, 1001 and 3000 to 4999 may",
        )
        for code in (0, 999, 1004, 1005, 1006, 1015, 2000, 5000, "1000", None)
    ),
    (
        Phase.OPEN,
        {"type": CLOSE, "reason": "ä" * 62},
        "a close reason of 124 bytes in UTF-8; 123 are the most (RFC 6455, section 5.5)",
    ),
    (Phase.OPEN, {"type": CLOSE, "reason": b"x"}, "a close reason of type bytes; it is a string"),
]


@pytest.mark.parametrize(("phase", "message"), LEGAL)
def test_a_legal_message_is_no_violation(phase: Phase, message: dict[str, Any]) -> None:
    assert violation(message, phase, SCOPE) is None


@pytest.mark.parametrize(("phase", "message", "said"), ILLEGAL)
def test_an_illegal_message_is_named(phase: Phase, message: dict[str, Any], said: str) -> None:
    assert violation(message, phase, SCOPE) == said


@pytest.mark.parametrize("extensions", [{}, None])
def test_a_server_may_not_take_denials(extensions: dict[str, Any] | None) -> None:
    said = violation({"type": START, "status": 404}, Phase.CONNECTING, {"extensions": extensions})
    assert said == (
        "'websocket.http.response.start' on a server without the extension 'websocket.http.response'; it takes "
        "'websocket.close'"
    )


def test_a_client_that_offers_no_subprotocol_is_given_none() -> None:
    said = violation({"type": ACCEPT, "subprotocol": "chat"}, Phase.CONNECTING, {})
    assert said is not None and "the client offered []" in said
