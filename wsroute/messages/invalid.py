"""What is wrong with a message, as a client is told: without anything of what was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticKnownError, from_json

from wsroute.exceptions import WebSocketPayloadValidationError
from wsroute.messages.texts import text_of

#: How many errors a client is told of: whoever sends thousands of bad values need not read of each.
MAX_ERRORS = 100

INVALID_JSON = "invalid_json"
UNKNOWN_TYPE = "unknown_type"
INVALID_MESSAGE = "invalid_message"
WRONG_FRAME = "wrong_frame"

_TAG_ERRORS = ("union_tag_invalid", "union_tag_not_found")


class InvalidMessages:
    """Reports what is wrong with messages of one type.

    Args:
        adapter: What validates them.
        tag_names: The names of the field by which a message says which one it is, if there is but one that it can be.
    """

    def __init__(self, adapter: TypeAdapter[Any], tag_names: Set[str]) -> None:
        self._adapter = adapter
        self._tag_names = tag_names

    def report(self, error: ValidationError, data: str | bytes) -> WebSocketPayloadValidationError:
        """The error that says so.

        Args:
            error: What pydantic found.
            data: What was sent.
        """
        errors = error.errors(include_url=False)
        message = _parsed(data) if any(found["loc"] for found in errors) else None
        detail = [
            {
                "loc": list(self._declared(found["loc"], message)),
                "msg": _text_of(found),
                "type": found["type"],
            }
            for found in errors[:MAX_ERRORS]
        ]
        return WebSocketPayloadValidationError(self._code_of(errors), [dict(found) for found in errors], detail)

    def _code_of(self, errors: Sequence[Any]) -> str:
        first = errors[0]
        if first["type"] == "json_invalid" and not first["loc"]:
            return INVALID_JSON
        for found in errors:
            loc = found["loc"]
            if (not loc and found["type"] in _TAG_ERRORS) or (len(loc) == 1 and loc[0] in self._tag_names):
                return UNKNOWN_TYPE
        return INVALID_MESSAGE

    def _declared(self, loc: Sequence[str | int], message: Any) -> Iterator[str | int]:
        """The part of a location that was declared: names of fields, and places in arrays.

        Keys of mappings are what was sent; tags of unions and the like are no fields.
        """
        inside = message
        for item in loc:
            if isinstance(item, int):
                if isinstance(inside, list):
                    yield item
            elif item in self._field_names:
                yield item
            if isinstance(inside, dict):
                inside = inside.get(str(item), inside)
            elif isinstance(inside, list) and isinstance(item, int) and item < len(inside):
                inside = inside[item]

    @cached_property
    def _field_names(self) -> frozenset[str]:
        """All names under which fields are declared or sent, at any depth."""
        return frozenset(_field_names(self._adapter.core_schema))


def wrong_frame(expected: str) -> WebSocketPayloadValidationError:
    """The error for a frame of the wrong kind.

    Args:
        expected: `"text"` or `"binary"`.
    """
    kind, text = "frame_type", f"Message should be a {expected} frame"
    error = {"type": kind, "loc": (), "msg": text, "input": None}
    return WebSocketPayloadValidationError(WRONG_FRAME, [error], [{"loc": [], "msg": text, "type": kind}])


def error_frame(code: str, detail: Sequence[Mapping[str, Any]]) -> str:
    """The text frame that tells a client of a message that was not handled.

    Args:
        code: What is wrong.
        detail: What is wrong where.
    """
    return json.dumps({"type": "error", "code": code, "detail": detail}, separators=(",", ":"))


def _text_of(found: Any) -> str:
    context = found.get("ctx", {})
    return text_of(found["type"], context if _is_of_pydantic(found["type"], found["msg"], context) else {})


def _is_of_pydantic(kind: str, message: str, context: Mapping[str, Any]) -> bool:
    """Whether an error is one of pydantic's own, which knows of the declaration only.

    An application may call its own as it likes, and put what was sent into the context.
    """
    if not context or "error" in context:
        return False
    try:
        return PydanticKnownError(kind, dict(context)).message() == message  # type: ignore[arg-type]  # or it raises
    except (KeyError, TypeError, ValueError):
        return False


def _parsed(data: str | bytes) -> Any:
    try:
        return from_json(data)
    except ValueError:  # a `str` or `bytes` that is a message as it is
        return None


def _field_names(schema: Any) -> Iterator[str]:
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            fields = part.get("fields")
            if isinstance(fields, Mapping):
                yield from fields
            elif isinstance(fields, list):
                yield from (item["name"] for item in fields if "name" in item)
            yield from _strings(part.get("validation_alias"))
            waiting.extend(part.values())
        elif isinstance(part, (list, tuple)):
            waiting.extend(part)


def _strings(alias: Any) -> Iterator[str]:
    if isinstance(alias, str):
        yield alias
    elif isinstance(alias, (list, tuple)):
        for item in alias:
            yield from _strings(item)
