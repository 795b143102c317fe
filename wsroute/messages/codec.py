"""From frames to messages, and from what handlers return to frames: one pass of pydantic's core in each direction.

`str` and `bytes` are the data of frames as they are; everything else is JSON in text frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_origin

from pydantic import BaseModel, Field, ValidationError
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic_core import PydanticSerializationError, to_json
from typing_extensions import is_typeddict

from wsroute.dependencies.annotations import type_name, unwrap
from wsroute.dependencies.callables import describe
from wsroute.dependencies.messages import options_of
from wsroute.dependencies.models import Conversation, Handler
from wsroute.dependencies.signature import EMPTY
from wsroute.exceptions import Location, ReplyError
from wsroute.messages.adapters import adapter_of
from wsroute.messages.invalid import InvalidMessages
from wsroute.messages.tags import location_of, says_discriminator, tag_names, tags

#: What a handler without a return annotation is said to declare.
_UNSAID = "text or JSON, having no return annotation"


class Codec:
    """How the messages of one listener, or of one stream, are read and written.

    Args:
        conversation: The listener, or the stream.

    Raises:
        AnnotationError: A type names what is not known, or not yet.
        InvalidParameterError: pydantic has no schema for something, or messages cannot be told apart.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._decoder = None if conversation.is_stream else Decoder(conversation)
        self._encoders = {id(handler.node.call): encoder_of(handler) for handler in conversation.calls}

    @property
    def decoder(self) -> Decoder:
        """What reads messages; a stream has none."""
        if self._decoder is None:
            raise TypeError("a stream has no messages to read")
        return self._decoder

    def encoder(self, call: Any) -> ReplyEncoder:
        """What makes frames of what a handler returns or yields."""
        return self._encoders[id(call)]


class Decoder:
    """Makes messages of the frames of one listener.

    Args:
        conversation: The listener, which has at least one handler.

    Attributes:
        kind: The key of the data in the ASGI message: `"text"` or `"bytes"`.
        other_kind: The other one, under which there is data of the wrong kind.
        decode: From the data of a frame to the message.

    Raises:
        AnnotationError: A type names what is not known, or not yet.
        InvalidParameterError: pydantic has no schema for the messages, or they cannot be told apart.
    """

    def __init__(self, conversation: Conversation) -> None:
        handlers = conversation.handlers
        types = [handler.message for handler in handlers]
        raw = {plain for item in types if (plain := unwrap(item)[0]) in (str, bytes)}
        self.kind: Literal["text", "bytes"] = "bytes" if bytes in raw else "text"
        self.other_kind: Literal["text", "bytes"] = "text" if bytes in raw else "bytes"
        self._tags = tags(handlers, conversation.discriminator)
        self._discriminator = conversation.discriminator
        self._by_class = {
            get_origin(option) or option: number
            for number, item in enumerate(types)
            for option in options_of(item)
            if not is_typeddict(option)
        }
        message = types[0] if len(types) == 1 else Union[tuple(types)]  # noqa: UP007  # made at run time
        if self._tags and not says_discriminator(message):
            message = Annotated[message, Field(discriminator=conversation.discriminator)]
        adapter = adapter_of(message, location_of(handlers[0]))
        invalid = InvalidMessages(adapter, tag_names(message, conversation.discriminator))
        self.decode: Callable[[Any], Any]
        if message in (str, bytes):
            self.decode = _as_it_is
        else:
            validator = adapter.validator
            self.decode = _decoder(validator.validate_python if raw else validator.validate_json, invalid)

    def number_of(self, message: Any) -> int:
        """The handler for a message, among several."""
        number = self._by_class.get(type(message))
        if number is not None:
            return number
        if isinstance(message, dict):
            return self._tags[message[self._discriminator]]
        # A validator of the application has made something of its own of it.
        return next(number for cls, number in self._by_class.items() if isinstance(message, cls))


def _decoder(validate: Callable[[Any], Any], invalid: InvalidMessages) -> Callable[[Any], Any]:
    def decode(data: Any) -> Any:
        try:
            return validate(data)
        except ValidationError as error:
            raise invalid.report(error, data) from None

    return decode


def _as_it_is(data: Any) -> Any:
    return data


class ReplyEncoder(NamedTuple):
    """What makes frames of what a handler returns or yields; attributes as in `Encoder`."""

    encode: Callable[[Any], Any]
    method: str = "send_text"
    sends: bool = True
    may_be_none: bool = False


def encoder_of(handler: Handler) -> ReplyEncoder:
    """What makes frames of what a handler returns or yields.

    Raises:
        AnnotationError: Its type names what is not known, or not yet.
        InvalidParameterError: pydantic does not know how to write it.
    """
    name = describe(handler.node.call)
    if handler.reply is EMPTY:
        return ReplyEncoder(partial(_encode_anything, name), may_be_none=True)
    options = [NoneType if option is None else option for option in options_of(handler.reply)]
    may_be_none = any(option in (NoneType, Any, object) for option in options)
    rest = [option for option in options if option is not NoneType]
    if not rest:
        return ReplyEncoder(_Checked(name, NoneType, may_be_none=True), sends=False, may_be_none=True)
    if rest in ([str], [bytes]):
        method = "send_text" if rest == [str] else "send_bytes"
        return ReplyEncoder(_Checked(name, rest[0], may_be_none=may_be_none), method, may_be_none=may_be_none)
    location = handler.node.location.at("return")
    encode = _encoder_to_json(name, handler.reply, options, location, may_be_none=may_be_none)
    return ReplyEncoder(encode, may_be_none=may_be_none)


class _Checked:
    """A value that is the data of a frame as it is, once it is seen to be of its type."""

    def __init__(self, name: str, cls: type[Any], *, may_be_none: bool) -> None:
        self._name = name
        self._cls = cls
        self._may_be_none = may_be_none

    def __call__(self, value: Any) -> Any:
        if isinstance(value, self._cls) or (value is None and self._may_be_none):
            return value
        raise ReplyError(self._name, type_name(self._cls), value)


def _encoder_to_json(
    name: str, reply: Any, options: Sequence[Any], location: Location, *, may_be_none: bool
) -> Callable[[Any], str | None]:
    """What writes values as JSON, under the names that messages have on the wire."""
    dump = adapter_of(reply, location).serializer.to_json
    classes = tuple(get_origin(option) or option for option in options if option is not NoneType)

    def encode_record(value: Any) -> str | None:
        if value is None and may_be_none:
            return None
        if not isinstance(value, classes):
            raise ReplyError(name, type_name(reply), value)
        try:
            return dump(value, by_alias=True).decode()
        except PydanticSerializationError as error:
            raise ReplyError(name, type_name(reply), value) from error

    def encode(value: Any) -> str | None:
        if value is None and may_be_none:
            return None
        try:
            return dump(value, by_alias=True, warnings="error").decode()
        except PydanticSerializationError as error:
            raise ReplyError(name, type_name(reply), value) from error

    # What is in a model was looked at when it was made. To have pydantic look again takes longer than all else that
    # happens to a message.
    return encode_record if all(map(_is_valid_once_made, classes)) else encode


def _is_valid_once_made(cls: Any) -> bool:
    return isinstance(cls, type) and (issubclass(cls, BaseModel) or is_pydantic_dataclass(cls))


def _encode_anything(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        # Who wants them in a binary frame has to say so; as JSON, nobody wants them.
        raise ReplyError(name, _UNSAID, value)
    try:
        return to_json(value, by_alias=True, inf_nan_mode="null").decode()
    except PydanticSerializationError as error:
        raise ReplyError(name, _UNSAID, value) from error
