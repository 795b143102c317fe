"""The markers that a signature carries: frozen records, and nothing that acts.

The functions of the same names in `wsroute.param_functions` are what people call: they are typed as returning
`Any`, so that a type checker accepts `user: User = Depends(current_user)`.

A marker is only ever read by this package. Wherever another framework would read it as something else, it raises:
`__get_pydantic_core_schema__` where an annotation becomes a schema, `__deepcopy__` where a default becomes a value, and
`__class__` where FastAPI asks whether it is one of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import FrozenInstanceError
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NoReturn, Self, TypeAlias

from typing_extensions import TypedDict

from wsroute.exceptions import InvalidParameterError, Location, MisplacedMarkerError

Lifetime: TypeAlias = Literal["app", "connection", "request", "function", "message"]
Source: TypeAlias = Literal["path", "query", "header", "cookie"]

#: Stands for "no default": `None` and `...` are values that people write.
REQUIRED: Any = type("Required", (), {"__repr__": lambda self: "REQUIRED", "__slots__": ()})()


class Marker:
    """What all markers share: they cannot be changed, and raise where something other than wsroute would use them."""

    # By hand: to make a frozen dataclass takes longer than to load half of this module.

    #: The attributes, in the order of the arguments, with their defaults.
    _defaults: ClassVar[Mapping[str, Any]] = {}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __repr__(self) -> str:
        """As it could have been written: error messages show it to whoever wrote it."""
        first = next(iter(self._defaults), None)
        given = {
            name: value for name, default in self._defaults.items() if (value := getattr(self, name)) is not default
        }
        given |= given.pop("constraints", {})
        arguments = (f"{'' if name == first else f'{name}='}{_name_or_repr(value)}" for name, value in given.items())
        return f"{type(self).__name__}({', '.join(arguments)})"

    @property  # type: ignore[misc]  # `object` has an attribute of this name, which isinstance() asks as well
    def __class__(self) -> type[Self]:
        # FastAPI takes the default of a parameter for a value if it is no marker that it knows: a client that sends
        # one of this name would get past the dependency, and nothing but this question tells what is about to happen.
        if sys._getframe(1).f_globals.get("__name__", "").partition(".")[0] == "fastapi":
            raise MisplacedMarkerError(self)
        return type(self)

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> NoReturn:
        raise MisplacedMarkerError(self)

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise MisplacedMarkerError(self)


_set = object.__setattr__


class ConcurrencyLimit:
    """How many connections may use one declaration at once; compared by identity, one for each declaration."""

    __slots__ = ("__weakref__", "size")

    def __init__(self, size: int) -> None:
        self.size = size


def _limit(size: int) -> ConcurrencyLimit:
    if type(size) is not int or size < 1:
        raise InvalidParameterError(
            Location(),
            problem=f"max_concurrency={size!r} is no limit",
            expected="a whole number from 1, or None for no limit",
            remedy="write Depends(..., max_concurrency=10)",
        )
    return ConcurrencyLimit(size)


class Depends(Marker):
    """A value that a callable provides. See `wsroute.Depends` for the parameters."""

    _defaults = {"dependency": None, "use_cache": True, "scope": None, "max_concurrency": None, "threadpool": None}

    dependency: Callable[..., Any] | None
    use_cache: bool
    scope: Lifetime | None
    max_concurrency: int | None
    threadpool: bool | None
    limit: ConcurrencyLimit | None

    def __init__(
        self,
        dependency: Callable[..., Any] | None = None,
        use_cache: bool = True,
        scope: Lifetime | None = None,
        *,
        max_concurrency: int | None = None,
        threadpool: bool | None = None,
    ) -> None:
        _set(self, "dependency", dependency)
        _set(self, "use_cache", use_cache)
        _set(self, "scope", scope)
        _set(self, "max_concurrency", max_concurrency)
        _set(self, "threadpool", threadpool)
        _set(self, "limit", None if max_concurrency is None else _limit(max_concurrency))

    def __eq__(self, other: object) -> bool:
        # The limit, too, so that `typing.Annotated`, which merges equal metadata, keeps limits apart.
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        try:
            return hash((type(self), self.dependency))
        except TypeError:
            # A dependency may be an unhashable object; its marker still has to fit into `typing`'s unions.
            return hash((type(self), id(self.dependency)))


class Security(Depends):
    """A dependency that adds OAuth2 scopes for everything below it."""

    _defaults = {**Depends._defaults, "scopes": None}

    scopes: Sequence[str] | None

    def __init__(
        self,
        dependency: Callable[..., Any] | None = None,
        use_cache: bool = True,
        scope: Lifetime | None = None,
        *,
        max_concurrency: int | None = None,
        threadpool: bool | None = None,
        scopes: Sequence[str] | None = None,
    ) -> None:
        super().__init__(dependency, use_cache, scope, max_concurrency=max_concurrency, threadpool=threadpool)
        # A tuple of our own: the caller's list may change later, and must not change this route.
        _set(self, "scopes", tuple(scopes) if scopes else None)


class Inject(Depends):
    """A dependency that a level provides by name. See `wsroute.Inject` for the parameters."""


class Injects(Marker):
    """A value that a level has to provide under the name of the parameter."""


class Constraints(TypedDict, total=False):
    """What `pydantic.Field` knows beside the default and the aliases; handed to it as it is."""

    alias_priority: int | None
    serialization_alias: str | None
    title: str | None
    description: str | None
    examples: list[Any] | None
    deprecated: Any
    json_schema_extra: Any
    gt: Any
    ge: Any
    lt: Any
    le: Any
    multiple_of: float | None
    min_length: int | None
    max_length: int | None
    pattern: Any
    discriminator: Any
    strict: bool | None
    validate_default: bool | None
    union_mode: Literal["smart", "left_to_right"]
    fail_fast: bool | None
    allow_inf_nan: bool | None
    max_digits: int | None
    decimal_places: int | None


_UNCONSTRAINED: Mapping[str, Any] = MappingProxyType({})


def _checked(constraints: Mapping[str, Any], marker: Marker) -> Mapping[str, Any]:
    """What a marker was given for `pydantic.Field`, which nobody can change any more."""
    if not constraints:
        return _UNCONSTRAINED
    unknown = sorted(constraints.keys() - Constraints.__annotations__.keys())
    if unknown:
        raise TypeError(f"{type(marker).__name__}() got an unexpected keyword argument {unknown[0]!r}")
    return MappingProxyType(dict(constraints))


class Param(Marker):
    """A value that the handshake carries."""

    source: ClassVar[Source]

    _defaults = {
        "default": REQUIRED,
        "default_factory": None,
        "alias": None,
        "validation_alias": None,
        "constraints": _UNCONSTRAINED,
    }

    default: Any
    default_factory: Callable[[], Any] | None
    alias: str | None
    validation_alias: Any
    constraints: Mapping[str, Any]

    def __init__(
        self,
        default: Any = REQUIRED,
        default_factory: Callable[[], Any] | None = None,
        alias: str | None = None,
        validation_alias: Any = None,
        constraints: Mapping[str, Any] = _UNCONSTRAINED,
    ) -> None:
        _set(self, "default", REQUIRED if default is ... else default)
        _set(self, "default_factory", default_factory)
        _set(self, "alias", alias)
        _set(self, "validation_alias", validation_alias)
        _set(self, "constraints", _checked(constraints, self))


class Path(Param):
    """A parameter of the route's path."""

    source = "path"


class Query(Param):
    """A parameter of the query string."""

    source = "query"


class Header(Param):
    """A header of the handshake."""

    source = "header"

    _defaults = {**Param._defaults, "convert_underscores": True}

    convert_underscores: bool

    def __init__(
        self,
        default: Any = REQUIRED,
        default_factory: Callable[[], Any] | None = None,
        alias: str | None = None,
        validation_alias: Any = None,
        constraints: Mapping[str, Any] = _UNCONSTRAINED,
        *,
        convert_underscores: bool = True,
    ) -> None:
        super().__init__(default, default_factory, alias, validation_alias, constraints)
        _set(self, "convert_underscores", convert_underscores)


class Cookie(Param):
    """A cookie of the handshake."""

    source = "cookie"


class Payload(Marker):
    """The message that a listener is called for."""

    _defaults = {"constraints": _UNCONSTRAINED}

    constraints: Mapping[str, Any]

    def __init__(self, constraints: Mapping[str, Any] = _UNCONSTRAINED) -> None:
        _set(self, "constraints", _checked(constraints, self))


def _name_or_repr(value: object) -> str:
    return getattr(value, "__qualname__", None) or repr(value)
