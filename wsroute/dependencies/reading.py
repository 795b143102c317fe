"""What one parameter asks for: its annotation taken apart, its marker, its default, and the mistakes in them."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from starlette.responses import Response
from starlette.websockets import WebSocket

from wsroute.dependencies import specials
from wsroute.dependencies.annotations import is_json, is_scalar, is_simple, model_of, takes_scalars, type_name
from wsroute.dependencies.callables import show
from wsroute.dependencies.markers import (
    AnyMarker,
    BodyMarker,
    DependsMarker,
    FieldMarker,
    InjectsMarker,
    ParamMarker,
    PayloadMarker,
    holds_marker,
    is_uncalled_marker,
    read_marker,
)
from wsroute.dependencies.metadata import for_pydantic
from wsroute.dependencies.models import Special, SpecialParam
from wsroute.dependencies.signature import EMPTY, VAR_KINDS, Parameter
from wsroute.exceptions import InvalidParameterError, Location
from wsroute.params import REQUIRED, Source

_INFERRED: Mapping[Source, ParamMarker] = {"path": ParamMarker("path"), "query": ParamMarker("query")}


class Read(NamedTuple):
    """A parameter with its `Annotated` taken apart."""

    name: str
    kind: Any
    #: The names in its annotation that could not be found.
    missing: tuple[str, ...]
    #: Its whole annotation; `EMPTY` if there is none.
    written: Any
    type: Any
    marker: AnyMarker | None
    #: In its order, and field markers read.
    metadata: tuple[Any, ...]
    #: The default of the function; that of the marker, if the default is one.
    default: Any


def read_parameter(parameter: Parameter, location: Location) -> Read:
    """Take a parameter apart.

    Args:
        parameter: The parameter.
        location: The callable that has it.

    Raises:
        InvalidParameterError: Its marker contradicts another one, or stands where none can.
    """
    taken_apart = _take_apart(parameter, location)
    read = Read(parameter.name, parameter.kind, parameter.missing, parameter.annotation, *taken_apart)
    if read.marker is not None and parameter.kind in VAR_KINDS:
        raise InvalidParameterError(
            location.at(parameter.name),
            problem=f"a marker on {parameter.name!r}, which takes any number of values",
            expected="a parameter that takes one value",
            remedy="remove the asterisks, or the marker",
        )
    return read


def _take_apart(parameter: Parameter, location: Location) -> tuple[Any, AnyMarker | None, tuple[Any, ...], Any]:
    """The last four attributes of `Read`."""
    annotation = parameter.annotation
    metadata: list[Any] = []
    if get_origin(annotation) is Annotated:
        annotation, *metadata = get_args(annotation)
    elif parameter.default is EMPTY:
        return annotation, None, (), EMPTY
    entries = [_read_called(entry, parameter, location) or entry for entry in metadata]
    markers = [entry for entry in entries if isinstance(entry, AnyMarker)]
    rest = tuple(entry for entry in entries if not isinstance(entry, (DependsMarker, InjectsMarker, BodyMarker)))
    default = None if parameter.default is EMPTY else _read_called(parameter.default, parameter, location)
    if default is not None and markers:
        raise InvalidParameterError(
            location.at(parameter.name),
            problem=f"a marker in Annotated and another one, {show(parameter.default)}, as the default",
            expected="one marker",
            remedy="keep the one in Annotated",
        )
    if default is None:
        # As in FastAPI, the last one wins: an alias may be refined by wrapping it in another Annotated.
        return annotation, markers[-1] if markers else None, rest, parameter.default
    if not isinstance(default, AnyMarker):
        raise InvalidParameterError(
            location.at(parameter.name),
            problem="a pydantic Field() as the default",
            expected="a marker that says where the value comes from, or a value",
            remedy=f"write Query() for Field(), or {parameter.name}: Annotated[..., Field(...)]",
        )
    if isinstance(default, PayloadMarker):
        return annotation, default, (*rest, default), EMPTY
    if not isinstance(default, ParamMarker):
        return annotation, default, rest, EMPTY
    written = EMPTY if default.default is REQUIRED else default.default
    return annotation, default, (*rest, default.but(default=REQUIRED)), written


def _read_called(value: Any, parameter: Parameter, location: Location) -> AnyMarker | FieldMarker | None:
    """The marker that `value` is, or `None`; what makes markers was meant to be called."""
    marker = read_marker(value)
    if marker is None and is_uncalled_marker(value):
        raise InvalidParameterError(
            location.at(parameter.name),
            problem=f"{value.__name__} stands there without a call",
            expected=f"a marker, which calling {value.__name__} makes",
            remedy=f"write {value.__name__}()",
        )
    return marker


def special_param(special: specials.Found, read: Read, where: Location, *, is_endpoint: bool) -> SpecialParam:
    """The parameter that gets something of the connection itself.

    Raises:
        InvalidParameterError: It cannot be had there, or as that.
    """
    if read.marker is not None:
        raise InvalidParameterError(
            where,
            problem=f"{special.cls.__name__} is given by the connection, and a marker asks for something else",
            expected="one of the two",
            remedy="remove the marker, or change the annotation",
        )
    if special.special is Special.RESPONSE and special.cls is not Response:
        raise InvalidParameterError(
            where,
            problem=f"{special.cls.__name__} is a response with a body, and a socket sends none",
            expected="Response, whose headers and cookies go out with the accept or the refusal",
            remedy="annotate with starlette.responses.Response; to refuse, raise HTTPException",
        )
    if special.special is Special.TASK_GROUP and not is_endpoint:
        raise InvalidParameterError(
            where,
            problem="a dependency asks for a TaskGroup",
            expected="a TaskGroup in the signature of an endpoint: its tasks end before any dependency closes",
            remedy="open a task group inside of the dependency, around its yield, or move the parameter",
        )
    if special.special is Special.REQUEST and (read.default is None or special.optional):
        # "Is this HTTP?" is what such a parameter asks in a dependency for both worlds; the answer is no.
        return SpecialParam(read.name, Special.NONE, NoneType)
    return SpecialParam(read.name, special.special, special.cls)


def spoken_param(special: Special, read: Read, where: Location) -> SpecialParam:
    """The parameter that gets the message, or the code or the reason of an end.

    Raises:
        InvalidParameterError: It has a default, or no type that a message can be of.
    """
    if read.default is not EMPTY:
        raise InvalidParameterError(
            where,
            problem=f"{read.name!r} is the {special.value}, and has a default",
            expected="none: the function is called because there is one",
            remedy="remove the default",
        )
    if special is not Special.MESSAGE:
        return SpecialParam(read.name, special, str if special is Special.REASON else int)
    annotation = Any if read.type is EMPTY else read.type
    if not is_simple(annotation) and holds_marker(annotation):
        raise _marker_inside(where)
    extra = tuple(for_pydantic(read.metadata))
    return SpecialParam(read.name, special, Annotated[(annotation, *extra)] if extra else annotation)


def given_param(special: Special, read: Read, where: Location) -> SpecialParam:
    """A leading parameter of a method, which gets something whatever it is called.

    The first one may be annotated as what the connection is to be seen as: a subclass of WebSocket, or a Request.

    Raises:
        InvalidParameterError: It has a marker, or a type, that asks for something else.
    """
    found = None if read.missing else specials.find(read.name, read.type, read.written)
    fits = special is Special.WEBSOCKET and found and found.special in (Special.WEBSOCKET, Special.REQUEST)
    if read.marker is not None or (found and not fits):
        name = "self" if special is Special.NONE else special.value
        raise InvalidParameterError(
            where,
            problem=f"{read.name!r} stands where {name!r} is given, and asks for something else",
            expected="what is injected behind what is given by position",
            remedy=f"declare a parameter for {name!r} before it",
        )
    if found:
        return special_param(found, read, where, is_endpoint=False)
    return SpecialParam(read.name, special, WebSocket if special is Special.WEBSOCKET else object)


def param_marker(read: Read, where: Location, *, path: str, in_path: bool) -> ParamMarker:
    """The marker of a parameter that the handshake fills, given or inferred.

    Raises:
        InvalidParameterError: The marker says something that cannot be.
    """
    marker = read.marker
    if isinstance(marker, BodyMarker):
        raise InvalidParameterError(
            where,
            problem=f"{marker.name}() reads a body",
            expected="Path, Query, Header or Cookie: the handshake has no body (RFC 6455, section 4.1)",
            remedy="send it in the query string, or as the first message",
        )
    if not is_simple(read.type) and holds_marker(read.type):
        raise _marker_inside(where)
    if not isinstance(marker, ParamMarker):
        return _INFERRED["path" if in_path else "query"]
    if in_path and marker.source != "path":
        raise InvalidParameterError(
            where,
            problem=f"{marker.source.title()}() on a name of the path",
            expected=f"Path(), since the path {path!r} has {{{read.name}}}",
            remedy="use Path(), or rename the parameter and give it alias=",
        )
    return marker


def _marker_inside(where: Location) -> InvalidParameterError:
    return InvalidParameterError(
        where,
        problem="a marker inside of the type, where it would not be read",
        expected="the marker around the whole type",
        remedy="write Annotated[X | None, ...] for Annotated[X, ...] | None",
    )


def check_needs_no_marker(read: Read, where: Location) -> None:
    """Check that a parameter without a marker is one that a query string can carry.

    Raises:
        InvalidParameterError: It is not.
    """
    if is_scalar(read.type) or is_json(read.metadata):
        return
    shown = type_name(read.type)
    in_query = "Query()" if model_of(read.type) or takes_scalars(read.type) else "Json, Query()"
    raise InvalidParameterError(
        where,
        problem=f"{read.name!r} is {shown} and carries no marker",
        expected="a marker, since only scalars are read from the query string by themselves, and a handshake has no "
        "body",
        remedy=f"write Annotated[{shown}, {in_query}] to read it from the query string, "
        f"Annotated[{shown}, Depends(...)] if it is a dependency, or "
        f"Annotated[{shown}, Payload()] if it is the message of a listener",
    )


def default_of(read: Read, marker: ParamMarker, where: Location, *, is_endpoint: bool) -> Any:
    """What stands in for a parameter that was not sent, or `REQUIRED`.

    Raises:
        InvalidParameterError: It has two defaults, or one where there can be none.
    """
    for entry in read.metadata:
        if isinstance(entry, FieldMarker) and entry.default is not REQUIRED:
            raise InvalidParameterError(
                where,
                problem="a default inside of Annotated",
                expected="the default after the annotation, where Python puts it",
                remedy=f"write {read.name}: Annotated[...] = {show(entry.default)}",
            )
    default = REQUIRED if read.default is EMPTY or read.default is ... else read.default
    if default is not REQUIRED and marker.default_factory is not None:
        raise InvalidParameterError(
            where,
            problem=f"a default, {show(default)}, and a default_factory",
            expected="one of the two",
            remedy="remove one of them",
        )
    if marker.source != "path" or (default is REQUIRED and marker.default_factory is None):
        return default
    if not is_endpoint and read.marker is None:
        # A dependency may serve routes with and without this name in their paths. Here it is there.
        return REQUIRED
    raise InvalidParameterError(
        where,
        problem=f"the path parameter {read.name!r} has a default",
        expected="none: without it the path does not match, so it is always there",
        remedy="remove the default, or add a route for the path without it",
    )
