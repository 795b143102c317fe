"""From frames to messages, and from what handlers return to frames: one pass of pydantic's core in each direction.

`str` and `bytes` are the data of frames as they are; everything else is JSON in text frames.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, Field, PydanticSchemaGenerationError, TypeAdapter, ValidationError
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_json
from typing_extensions import get_type_hints, is_typeddict

from wsroute.dependencies.annotations import type_name, unwrap
from wsroute.dependencies.callables import describe
from wsroute.dependencies.messages import is_record, options_of
from wsroute.dependencies.metadata import refused
from wsroute.dependencies.models import Conversation, Handler
from wsroute.dependencies.signature import EMPTY
from wsroute.exceptions import InvalidParameterError, Location, ReplyError
from wsroute.messages.invalid import InvalidMessages


class Codec:
    """How the messages of one listener, or of one stream, are read and written.

    Args:
        conversation: The listener, or the stream.

    Raises:
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
        decode: From the data of a frame to the message.

    Raises:
        InvalidParameterError: pydantic has no schema for the messages, or they cannot be told apart.
    """

    def __init__(self, conversation: Conversation) -> None:
        handlers = conversation.handlers
        types = [handler.message for handler in handlers]
        raw = {plain for item in types if (plain := unwrap(item)[0]) in (str, bytes)}
        self.kind: Literal["text", "bytes"] = "bytes" if bytes in raw else "text"
        self._tags = _tags(handlers, conversation.discriminator)
        self._discriminator = conversation.discriminator
        self._by_class = {
            get_origin(option) or option: number
            for number, item in enumerate(types)
            for option in options_of(item)
            if not is_typeddict(option)
        }
        message = types[0] if len(types) == 1 else Union[tuple(types)]  # noqa: UP007  # made at run time
        if self._tags and not _says_discriminator(message):
            message = Annotated[message, Field(discriminator=conversation.discriminator)]
        adapter = _adapter(message, _location(handlers[0], of_message=True))
        invalid = InvalidMessages(adapter, conversation.discriminator)
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


def _tags(handlers: Sequence[Handler], discriminator: str) -> Mapping[Hashable, int]:
    """Which value of the discriminator belongs to which handler; nothing, where nothing has to be told apart.

    Raises:
        InvalidParameterError: Some messages cannot be told apart.
    """
    options = [(number, option) for number, handler in enumerate(handlers) for option in options_of(handler.message)]
    if len(options) < 2:
        return {}
    tags: dict[Hashable, int] = {}
    owners: dict[Hashable, Any] = {}
    untold = []
    for number, option in options:
        own = tags_of(option, discriminator)
        untold += [] if own else [(number, option)]
        for tag in own:
            if tag in tags:
                raise InvalidParameterError(
                    _location(handlers[number], of_message=True),
                    problem=f"{type_name(owners[tag])} and {type_name(option)} both have {discriminator}={tag!r}",
                    expected=f"messages whose {discriminator!r} says which of them it is",
                    remedy="give each a Literal of its own",
                )
            tags[tag], owners[tag] = number, option
    if not untold or (not tags and len(handlers) == 1):
        # One handler may take whatever pydantic makes of a union.
        return tags
    number, option = untold[0]
    raise InvalidParameterError(
        _location(handlers[number], of_message=True),
        problem=f"{type_name(option)} is one of several messages, and has no field {discriminator!r} that is a Literal",
        expected="messages that say which of them they are",
        remedy=f'add {discriminator}: Literal["..."] to it, or name the field with discriminator=',
    )


def tags_of(option: Any, discriminator: str) -> tuple[Any, ...]:
    """The values that a field of a message can have, if it is a `Literal`."""
    if not is_record(option):
        return ()
    if issubclass(get_origin(option) or option, BaseModel):
        field = option.model_fields.get(discriminator)
        annotation = None if field is None else field.annotation
    else:
        annotation = get_type_hints(get_origin(option) or option, include_extras=True).get(discriminator)
    return tuple(_literals(annotation))


def _literals(annotation: Any) -> Iterator[Any]:
    annotation, _ = unwrap(annotation)
    if get_origin(annotation) is not Literal:
        return
    for value in get_args(annotation):
        yield getattr(value, "value", value)


def _says_discriminator(annotation: Any) -> bool:
    metadata = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return any(isinstance(entry, FieldInfo) and entry.discriminator is not None for entry in metadata)


class ReplyEncoder(NamedTuple):
    """What makes frames of what a handler returns or yields; attributes as in `Encoder`."""

    encode: Callable[[Any], Any]
    method: str = "send_text"
    sends: bool = True
    may_be_none: bool = False


def encoder_of(handler: Handler) -> ReplyEncoder:
    """What makes frames of what a handler returns or yields.

    Raises:
        InvalidParameterError: pydantic does not know how to write it.
    """
    name = describe(handler.node.call)
    if handler.reply is EMPTY:
        return ReplyEncoder(_encode_anything, may_be_none=True)
    options = [NoneType if option is None else option for option in options_of(handler.reply)]
    may_be_none = NoneType in options
    rest = [option for option in options if option is not NoneType]
    if not rest:
        return ReplyEncoder(_Checked(name, NoneType, may_be_none=True), sends=False, may_be_none=True)
    if rest in ([str], [bytes]):
        method = "send_text" if rest == [str] else "send_bytes"
        return ReplyEncoder(_Checked(name, rest[0], may_be_none=may_be_none), method, may_be_none=may_be_none)
    encode = _encoder_to_json(name, handler.reply, options, _location(handler, of_message=False))
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


def _encoder_to_json(name: str, reply: Any, options: Sequence[Any], location: Location) -> Callable[[Any], str | None]:
    """What writes values as JSON, under the names that messages have on the wire."""
    dump = _adapter(reply, location).serializer.to_json
    classes = tuple(get_origin(option) or option for option in options if option is not NoneType)
    may_be_none = NoneType in options

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


def _encode_anything(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else to_json(value, by_alias=True).decode()


def _adapter(annotation: Any, location: Location) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation)
    except PydanticSchemaGenerationError as error:
        raise InvalidParameterError(
            location,
            problem=f"nothing tells how {type_name(annotation)} is read from JSON, or written as JSON",
            expected="a type that pydantic has a schema for",
            remedy="use a model, a dataclass, a TypedDict or a built-in type",
        ) from error
    except Exception as error:
        raise refused(annotation, error, location) from error


def _location(handler: Handler, *, of_message: bool) -> Location:
    if not of_message:
        return handler.node.location.at("return")
    names = (item.name for item in handler.node.special_params if item.cls is handler.message)
    return handler.node.location.at(next(names, None))
