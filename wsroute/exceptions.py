"""Every error of the package.

    WsRouteError
    ├── DependencyError                    a declaration that cannot work; says where, what, and what to do
    │   ├── AnnotationError                an annotation that cannot be evaluated
    │   ├── DependencyCycleError           a dependency that needs itself
    │   ├── DependencyScopeError           a dependency that outlives what it needs, or an unknown scope
    │   ├── EndpointError                  an endpoint that no connection can be given to
    │   ├── InvalidParameterError          a parameter that nothing can fill
    │   └── InvalidPathError               a path that no route can have
    ├── LifespanError                      a value of the application without a running lifespan
    ├── MisplacedMarkerError               a marker in a place where wsroute does not read it
    ├── RouterError                        a router that is used in a way that cannot work
    ├── UninjectedEndpointError            a framework called an endpoint past its injection
    ├── InterceptorError                   an interceptor did not let the connection go on as it must
    ├── PermissionAnswerError              a permission gave something that is no answer
    ├── MissingPathParameterError          the application's routing did not provide a path parameter
    ├── ReplyError                         a handler returned something else than it declares
    ├── SwallowedExceptionError            a dependency or an interceptor ate the exception of the endpoint
    ├── WebSocketPayloadValidationError    a message is not one that the listener declares
    └── WebSocketRequestValidationError    the handshake does not carry what the endpoint declares

A `DependencyError` keeps its `location`, `problem`, `expected` and `remedy` as attributes; `str()` lays them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Location(NamedTuple):
    """Where in an application a declaration stands.

    Attributes:
        path: The path of the route, as far as it is known.
        chain: Qualified names from the endpoint inwards to the callable at fault.
        parameter: The name of the parameter of the last callable in `chain`.
    """

    path: str | None = None
    chain: tuple[str, ...] = ()
    parameter: str | None = None

    def at(self, parameter: str | None) -> Location:
        """The same place, at one parameter."""
        return Location(self.path, self.chain, parameter)

    def inside(self, name: str) -> Location:
        """One callable further in."""
        return Location(self.path, (*self.chain, name), None)

    def lines(self) -> list[str]:
        """The place as text: the route, then one line for each callable, indented by its depth."""
        lines = [] if self.path is None else [f"route {self.path!r}"]
        for depth, name in enumerate(self.chain):
            lines.append(f"{'   ' * depth}{'└─ ' if depth else ''}{name}")
        if self.parameter is not None:
            lines.append(f"{'   ' * len(self.chain)}parameter {self.parameter!r}")
        return lines


class WsRouteError(Exception):
    """Base class of all errors of the package."""


class DependencyError(WsRouteError):
    """A declaration that cannot work.

    Args:
        location: Where the declaration stands.
        problem: What was found.
        expected: What would have been right.
        remedy: What to do about it.
    """

    def __init__(self, location: Location, *, problem: str, expected: str, remedy: str) -> None:
        super().__init__(location, problem, expected, remedy)
        self.location = location
        self.problem = problem
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        where = "".join(f"\n  {line}" for line in self.location.lines())
        return f"{self.problem}{where}\n  expected: {self.expected}\n  remedy: {self.remedy}"


class AnnotationError(DependencyError):
    """An annotation that cannot be evaluated when the route is bound."""


class DependencyCycleError(DependencyError):
    """A dependency that needs itself, directly or through others; `location.chain` is the whole way round."""


class DependencyScopeError(DependencyError):
    """A dependency that would outlive what it needs, or a scope that does not exist."""


class EndpointError(DependencyError):
    """An endpoint that a connection cannot be handed to."""


class InvalidParameterError(DependencyError):
    """A parameter that nothing can fill, or a marker that contradicts itself."""


class InvalidPathError(DependencyError):
    """A path that no route can have."""


class MisplacedMarkerError(WsRouteError, TypeError):
    """A marker of wsroute in a place where wsroute does not read it, such as an HTTP route of FastAPI."""

    def __init__(self, marker: object) -> None:
        self.marker = marker
        super().__init__(
            f"{marker!r} is a marker of wsroute, and something other than wsroute is about to use it as a value. "
            "wsroute reads its markers in WebSocket endpoints and their dependencies only; a dependency that HTTP "
            f"routes share has to use the HTTP framework's own marker (fastapi.{type(marker).__name__}), which "
            "wsroute understands as well."
        )


class RouterError(WsRouteError):
    """A router that is used in a way that cannot work; the message says how it can."""


class UninjectedEndpointError(WsRouteError):
    """A framework rebuilt a route from its endpoint and called that endpoint without its dependencies.

    Args:
        endpoint: The qualified name of the endpoint.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        super().__init__(
            f"{endpoint} was called without its dependencies, so the connection was refused. A framework rebuilt its "
            "route (FastAPI's include_router() does that to routes that are not its own), or took it for an endpoint. "
            "Declare endpoints in a WebSocketRouter, and plug that in with router.attach(app), or append the route to "
            "app.router.routes. To call the function itself, as in a test, use handler.fn, or "
            "route.endpoint.__wrapped__."
        )


class MissingPathParameterError(WsRouteError):
    """The application's routing did not provide a path parameter that is declared with `Path()`.

    Args:
        location: The declaration.
        name: The name that was looked up in `scope["path_params"]`.
    """

    def __init__(self, location: Location, name: str) -> None:
        super().__init__(location, name)
        self.location = location
        self.name = name

    def __str__(self) -> str:
        where = "".join(f"\n  {line}" for line in self.location.lines())
        return (
            f"no path parameter {self.name!r} in scope['path_params']{where}\n"
            f"  expected: {{{self.name}}} in the path of the route or of a Mount above it\n"
            f"  remedy: add {{{self.name}}} to one of these paths, or give the parameter another source"
        )


class LifespanError(WsRouteError):
    """A dependency with `scope="app"` is needed where no lifespan can build and close it.

    Args:
        dependency: The qualified name of the dependency.
        reason: What is missing.
    """

    def __init__(self, dependency: str, reason: str) -> None:
        self.dependency = dependency
        super().__init__(
            f"{dependency} has scope='app', so that it is built once and closed when the application ends, and "
            f"{reason}. Plug the router in with router.attach(app), or give its application lifespan=router.lifespan; "
            "in a test, run the application's lifespan."
        )


class InterceptorError(WsRouteError):
    """An interceptor called `call_next` a second time, or returned while the rest of the connection still ran."""


class PermissionAnswerError(WsRouteError):
    """A permission returned something that still has to be awaited or run, which says neither yes nor no.

    Args:
        permission: The qualified name of the permission.
    """

    def __init__(self, permission: str) -> None:
        self.permission = permission
        super().__init__(
            f"{permission} returned an awaitable or a generator for an answer, which would count as yes whatever comes "
            "of it, so the connection was refused. Declare has_permission with async def, and await what it calls."
        )


class SwallowedExceptionError(WsRouteError):
    """A dependency or an interceptor caught the exception that came from further in, and raised none.

    The endpoint did not finish, so the connection cannot end as if it had. Re-raise the exception, or raise another.

    Args:
        endpoint: The qualified name of the endpoint whose dependency it was.
        interceptor: The qualified name of the interceptor, if it was one.
    """

    def __init__(self, endpoint: str | None, interceptor: str | None = None) -> None:
        self.endpoint = endpoint
        self.interceptor = interceptor
        culprit = (
            f"a dependency of {endpoint} swallowed an exception at its yield"
            if interceptor is None
            else f"the interceptor {interceptor} swallowed an exception of call_next()"
        )
        super().__init__(
            f"{culprit}. Raise it again after cleaning up, or raise the one that should decide how the connection ends."
        )


class ReplyError(WsRouteError):
    """A handler of messages returned, or yielded, something else than it declares.

    Args:
        handler: The qualified name of the handler.
        declared: The type that it declares.
        value: What it returned.
    """

    def __init__(self, handler: str, declared: str, value: object) -> None:
        self.handler = handler
        self.declared = declared
        super().__init__(
            f"{handler} is declared to send {declared}, and gave an object of type {type(value).__name__}, which is "
            "not that, or has a value in it that is not what its type declares. Nothing of it was sent. Return what "
            "is declared, or declare what is returned."
        )


class WebSocketPayloadValidationError(WsRouteError):
    """A message is not one that the listener declares.

    Args:
        code: What is wrong with it: `"invalid_json"`, `"unknown_type"`, `"invalid_message"` or `"wrong_frame"`.
        errors: One mapping for each error, of pydantic's shape: `type`, `loc`, `msg`, `input` and, where there is one,
            `ctx`. For the server: they repeat what was sent.
        detail: The same for the client, without what was sent: `loc`, `msg` and `type`.
    """

    def __init__(self, code: str, errors: Sequence[dict[str, Any]], detail: Sequence[dict[str, Any]]) -> None:
        super().__init__(code, errors, detail)
        self.code = code
        self.detail = detail
        self._errors = tuple(errors)

    @property
    def close_code(self) -> int:
        """The code of the close, where it ends the connection (RFC 6455, section 7.4.1)."""
        return 1003 if self.code == "wrong_frame" else 1007

    def errors(self) -> Sequence[dict[str, Any]]:
        """All errors, with what was sent."""
        return self._errors

    def __str__(self) -> str:
        lines = [f"an invalid message: {self.code}"]
        lines += [f"  {'.'.join(map(str, error['loc']))}: {error['msg']} [{error['type']}]" for error in self.detail]
        return "\n".join(lines)


class WebSocketRequestValidationError(WsRouteError):
    """The handshake does not carry what the endpoint and its dependencies declare.

    Args:
        errors: One mapping for each error, of FastAPI's shape: `type`, `loc`, `msg`, `input` and, where there is
            one, `ctx`. `loc` begins with the source: `("query", "limit")`.
    """

    def __init__(self, errors: Sequence[dict[str, Any]]) -> None:
        super().__init__(errors)
        self._errors = tuple(errors)

    def errors(self) -> Sequence[dict[str, Any]]:
        """All errors, in the order in which the parameters would have been read."""
        return self._errors

    def __str__(self) -> str:
        count = len(self._errors)
        lines = [f"{count} validation error{'' if count == 1 else 's'} in the handshake"]
        lines += [f"  {'.'.join(map(str, error['loc']))}: {error['msg']} [{error['type']}]" for error in self._errors]
        return "\n".join(lines)
