"""What one parameter asks for: its annotation taken apart, its marker, its default, and the mistakes in them."""

from __future__ import annotations

from dataclasses import replace
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
    holds_marker,
    is_uncalled_marker,
    read_marker,
)
from wsroute.dependencies.models import Special, SpecialParam
from wsroute.dependencies.signature import EMPTY, VAR_KINDS, Parameter
from wsroute.exceptions import InvalidParameterError, Location
from wsroute.params import REQUIRED


class Read(NamedTuple):
    """A parameter with its `Annotated` taken apart."""

    type: Any
    marker: AnyMarker | None
    #: In its order, and field markers read.
    metadata: tuple[Any, ...]
    #: The default of the function; that of the marker, if the default is one.
    default: Any


def read_parameter(parameter: Parameter, where: Location) -> Read:
    """Take a parameter apart.

    Raises:
        InvalidParameterError: Its marker contradicts another one, or stands where none can.
    """
    read = _taken_apart(parameter, where)
    if parameter.kind in VAR_KINDS and read.marker is not None:
        raise InvalidParameterError(
            where,
            problem=f"a marker on {parameter.name!r}, which takes any number of values",
            expected="a parameter that takes one value",
            remedy="remove the asterisks, or the marker",
        )
    return read


def _taken_apart(parameter: Parameter, where: Location) -> Read:
    annotation = parameter.annotation
    metadata: list[Any] = []
    if get_origin(annotation) is Annotated:
        annotation, *metadata = get_args(annotation)
    for entry in (*metadata, parameter.default):
        if is_uncalled_marker(entry):
            raise InvalidParameterError(
                where,
                problem=f"{entry.__name__} stands there without a call",
                expected=f"a marker, which calling {entry.__name__} makes",
                remedy=f"write {entry.__name__}()",
            )
    entries = [entry if (marker := read_marker(entry)) is None else marker for entry in metadata]
    markers = [entry for entry in entries if isinstance(entry, AnyMarker)]
    rest = tuple(entry for entry in entries if not isinstance(entry, (DependsMarker, InjectsMarker, BodyMarker)))
    default = read_marker(parameter.default)
    if default is not None and markers:
        raise InvalidParameterError(
            where,
            problem=f"a marker in Annotated and another one, {show(parameter.default)}, as the default",
            expected="one marker",
            remedy="keep the one in Annotated",
        )
    if default is None:
        # As in FastAPI, the last one wins: an alias may be refined by wrapping it in another Annotated.
        return Read(annotation, markers[-1] if markers else None, rest, parameter.default)
    if not isinstance(default, AnyMarker):
        raise InvalidParameterError(
            where,
            problem="a pydantic Field() as the default",
            expected="a marker that says where the value comes from, or a value",
            remedy=f"write Query() for Field(), or {parameter.name}: Annotated[..., Field(...)]",
        )
    if not isinstance(default, ParamMarker):
        return Read(annotation, default, rest, EMPTY)
    written = EMPTY if default.default is REQUIRED else default.default
    return Read(annotation, default, (*rest, replace(default, default=REQUIRED)), written)


def special_param(
    special: specials.Found, name: str, read: Read, where: Location, *, is_endpoint: bool
) -> SpecialParam:
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
        return SpecialParam(name, Special.NONE, NoneType)
    return SpecialParam(name, special.special, special.cls)


def given_param(special: Special, parameter: Parameter, read: Read, where: Location) -> SpecialParam:
    """A leading parameter of a method, which gets something whatever it is called.

    The first one may be annotated as what the connection is to be seen as: a subclass of WebSocket, or a Request.

    Raises:
        InvalidParameterError: It has a marker, or a type, that asks for something else.
    """
    found = None if parameter.missing else specials.find(parameter.name, read.type, parameter.annotation)
    fits = special is Special.WEBSOCKET and found and found.special in (Special.WEBSOCKET, Special.REQUEST)
    if read.marker is not None or (found and not fits):
        name = "self" if special is Special.NONE else special.value
        raise InvalidParameterError(
            where,
            problem=f"{parameter.name!r} stands where {name!r} is given, and asks for something else",
            expected="what is injected behind what is given by position",
            remedy=f"declare a parameter for {name!r} before it",
        )
    if found:
        return special_param(found, parameter.name, read, where, is_endpoint=False)
    return SpecialParam(parameter.name, special, WebSocket if special is Special.WEBSOCKET else object)


def param_marker(name: str, read: Read, where: Location, *, path: str, in_path: bool) -> ParamMarker:
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
        raise InvalidParameterError(
            where,
            problem="a marker inside of the type, where it would not be read",
            expected="the marker around the whole type",
            remedy="write Annotated[X | None, ...] for Annotated[X, ...] | None",
        )
    if not isinstance(marker, ParamMarker):
        return ParamMarker("path" if in_path else "query")
    if in_path and marker.source != "path":
        raise InvalidParameterError(
            where,
            problem=f"{marker.source.title()}() on a name of the path",
            expected=f"Path(), since the path {path!r} has {{{name}}}",
            remedy="use Path(), or rename the parameter and give it alias=",
        )
    return marker


def check_needs_no_marker(name: str, read: Read, where: Location) -> None:
    """Check that a parameter without a marker is one that a query string can carry.

    Raises:
        InvalidParameterError: It is not.
    """
    if is_json(read.metadata) or is_scalar(read.type):
        return
    shown = type_name(read.type)
    in_query = "Query()" if model_of(read.type) or takes_scalars(read.type) else "Json, Query()"
    raise InvalidParameterError(
        where,
        problem=f"{name!r} is {shown} and carries no marker",
        expected="a marker, since only scalars are read from the query string by themselves, and a handshake has no "
        "body",
        remedy=f"write Annotated[{shown}, {in_query}] to read it from the query string, or "
        f"Annotated[{shown}, Depends(...)] if it is a dependency",
    )


def default_of(name: str, read: Read, marker: ParamMarker, where: Location, *, is_endpoint: bool) -> Any:
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
                remedy=f"write {name}: Annotated[...] = {show(entry.default)}",
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
        problem=f"the path parameter {name!r} has a default",
        expected="none: without it the path does not match, so it is always there",
        remedy="remove the default, or add a route for the path without it",
    )
