"""The functions that people call to make markers, typed as returning `Any`.

A type checker would otherwise refuse `user: User = Depends(current_user)`, whose default is no `User`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from typing_extensions import Unpack

from wsroute import params
from wsroute.params import REQUIRED, Constraints

_Scope = Literal["app", "connection", "request", "function", "message"]


def Depends(
    dependency: Callable[..., Any] | None = None,
    *,
    use_cache: bool = True,
    scope: _Scope | None = None,
    max_concurrency: int | None = None,
    threadpool: bool | None = None,
) -> Any:
    """Declare that a parameter gets the value of a dependency.

    Args:
        dependency: A function, coroutine function, generator, context manager function, class or any other callable.
            Left out, it is the annotation, which has to be a class.
        use_cache: Whether uses of the same callable on one connection share one value. Default `True`.
        scope: How long the value lives, and a dependency with `yield` stays open. `"connection"`, or FastAPI's word
            `"request"`: until the endpoint has ended and the connection is closed. `"function"`: closed before that,
            when the endpoint has ended. `"message"`: in listeners, a value of its own for each message, closed before
            the reply is sent. `"app"`: one value for the application, built when it is first needed, and closed when
            the lifespan of the application ends. Default: the shortest lifetime among what it needs, else the
            connection.
        max_concurrency: How many connections may use this declaration at once; a dependency with `yield` counts until
            it is closed. Default `None`: no limit.
        threadpool: Whether a synchronous dependency runs in a worker thread. Default `None`: functions and generators
            do, classes are constructed in place.

    Raises:
        InvalidParameterError: `max_concurrency` is not a whole number from 1.
    """
    return params.Depends(dependency, use_cache, scope, max_concurrency=max_concurrency, threadpool=threadpool)


def Security(
    dependency: Callable[..., Any] | None = None,
    *,
    scopes: Sequence[str] | None = None,
    use_cache: bool = True,
) -> Any:
    """Declare a dependency that also asks for OAuth2 scopes.

    Args:
        dependency: As for `Depends`.
        scopes: What it, and everything below it, finds in its `SecurityScopes` parameter.
        use_cache: As for `Depends`; uses with other scopes are other values where the scopes are looked at.
    """
    return params.Security(dependency, use_cache, scopes=scopes)


def Inject(
    dependency: Callable[..., Any],
    *,
    use_cache: bool = True,
    scope: _Scope | None = None,
    max_concurrency: int | None = None,
    threadpool: bool | None = None,
) -> Any:
    """Declare what a level provides by name: `dependencies={"user": Inject(current_user)}`.

    It serves parameters of this name in endpoints, handlers, permissions, interceptors and other providers below the
    level, but not those of functions inside `Depends(...)`.

    Args:
        dependency: A function, coroutine function, generator, context manager function, class or any other callable.
        use_cache: As for `Depends`: whether uses on one connection share one value. Nothing is kept for longer.
        scope: As for `Depends`.
        max_concurrency: As for `Depends`.
        threadpool: As for `Depends`.

    Raises:
        InvalidParameterError: `max_concurrency` is not a whole number from 1.
    """
    return params.Inject(dependency, use_cache, scope, max_concurrency=max_concurrency, threadpool=threadpool)


def Injects() -> Any:
    """Declare that a level has to provide a parameter by its name: `user: User = Injects()`.

    A parameter is provided by its name without this marker, too. With it, a missing provider is an error when the
    route is bound, and never a query parameter.
    """
    return params.Injects()


def Payload(**constraints: Unpack[Constraints]) -> Any:
    """Declare the parameter that gets the message, of a listener or of a dependency: `Annotated[list[int], Payload()]`.

    Most listeners need none: a model, a dataclass, a TypedDict, `dict`, `bytes` or a plain `str` is the message by
    itself. A dependency that asks for the message lives as long as that message.

    Args:
        constraints: What `pydantic.Field` takes: `max_length=`, `gt=`, `pattern=`, ...
    """
    return params.Payload(dict(constraints))


def Path(
    default: Any = REQUIRED,
    *,
    default_factory: Callable[[], Any] | None = None,
    alias: str | None = None,
    validation_alias: Any = None,
    **constraints: Unpack[Constraints],
) -> Any:
    """Declare a parameter of the path, of the route's own or of a `Mount` above it.

    Args:
        default: Not allowed for a path parameter; accepted for the sake of one signature, and refused with a reason.
        default_factory: The same.
        alias: The name in the path, where it differs from the parameter's.
        validation_alias: The same, as pydantic's `AliasChoices` or `AliasPath`.
        constraints: What `pydantic.Field` takes: `gt=`, `max_length=`, `pattern=`, `description=`, ...
    """
    return params.Path(default, default_factory, alias, validation_alias, dict(constraints))


def Query(
    default: Any = REQUIRED,
    *,
    default_factory: Callable[[], Any] | None = None,
    alias: str | None = None,
    validation_alias: Any = None,
    **constraints: Unpack[Constraints],
) -> Any:
    """Declare a parameter of the query string: a scalar, a list of scalars, or a pydantic model.

    Args:
        default: The value if it was not sent. In `Annotated`, write it after the annotation instead.
        default_factory: Makes that value, once for each connection.
        alias: The name in the query string, where it differs from the parameter's.
        validation_alias: The same, as pydantic's `AliasChoices` or `AliasPath`.
        constraints: What `pydantic.Field` takes: `gt=`, `max_length=`, `pattern=`, `description=`, ...
    """
    return params.Query(default, default_factory, alias, validation_alias, dict(constraints))


def Header(
    default: Any = REQUIRED,
    *,
    default_factory: Callable[[], Any] | None = None,
    alias: str | None = None,
    validation_alias: Any = None,
    convert_underscores: bool = True,
    **constraints: Unpack[Constraints],
) -> Any:
    """Declare a parameter from a header of the handshake.

    Args:
        default: The value if it was not sent. In `Annotated`, write it after the annotation instead.
        default_factory: Makes that value, once for each connection.
        alias: The name of the header, where it differs from the parameter's.
        validation_alias: The same, as pydantic's `AliasChoices` or `AliasPath`.
        convert_underscores: Whether `x_token` means the header `x-token`. Default `True`.
        constraints: What `pydantic.Field` takes: `gt=`, `max_length=`, `pattern=`, `description=`, ...
    """
    return params.Header(
        default,
        default_factory,
        alias,
        validation_alias,
        dict(constraints),
        convert_underscores=convert_underscores,
    )


def Cookie(
    default: Any = REQUIRED,
    *,
    default_factory: Callable[[], Any] | None = None,
    alias: str | None = None,
    validation_alias: Any = None,
    **constraints: Unpack[Constraints],
) -> Any:
    """Declare a parameter from a cookie of the handshake.

    Args:
        default: The value if it was not sent. In `Annotated`, write it after the annotation instead.
        default_factory: Makes that value, once for each connection.
        alias: The name of the cookie, where it differs from the parameter's.
        validation_alias: The same, as pydantic's `AliasChoices` or `AliasPath`.
        constraints: What `pydantic.Field` takes: `gt=`, `max_length=`, `pattern=`, `description=`, ...
    """
    return params.Cookie(default, default_factory, alias, validation_alias, dict(constraints))
