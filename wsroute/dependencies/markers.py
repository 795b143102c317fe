"""Which marker is a value? Those of FastAPI are read by their shape, without importing FastAPI.

FastAPI's `Depends` and `Security` have the attributes `dependency` and `use_cache`; its `Query`, `Header`, ... are
pydantic `FieldInfo` objects with an attribute `in_`; `Body`, `Form` and `File` are those without one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from inspect import getattr_static
from types import MappingProxyType, NoneType
from typing import Annotated, Any, NamedTuple, Self, get_args, get_origin

from wsroute.dependencies.signature import ALIASES, Unresolved
from wsroute.params import REQUIRED, Depends, Injects, Param, Payload, Security, Source

#: Sources that FastAPI reads from a body.
_BODY_MARKERS = frozenset({"Body", "Form", "File"})
_MARKERS = frozenset(
    {"Depends", "Security", "Inject", "Injects", "Path", "Query", "Header", "Cookie", "Payload", *_BODY_MARKERS}
)
#: What most defaults are, and no marker is.
_NO_MARKERS = (NoneType, str, bytes, int, float, type, Unresolved)
_ABSENT = object()
_UNCONSTRAINED: Mapping[str, Any] = MappingProxyType({})


class DependsMarker(NamedTuple):
    """A `Depends` or `Security`, ours or FastAPI's."""

    dependency: Any
    use_cache: bool = True
    scope: str | None = None
    threadpool: bool | None = None
    #: Ours, or FastAPI's own object, which has the semaphore that HTTP routes share.
    limit: Any = None
    #: What `Security` adds.
    security_scopes: tuple[str, ...] = ()

    @property
    def flags(self) -> Hashable:
        """Everything but the dependency, as a key."""
        return (self.use_cache, self.scope, self.threadpool, id(self.limit), self.security_scopes)


class FieldMarker:
    """A `pydantic.Field`, which holds wherever the value comes from.

    Args:
        default, default_factory, validate_default: As in `pydantic.Field`.
        alias: A name, or pydantic's `AliasChoices` or `AliasPath`.
        constraints: What `pydantic.Field` takes.
        metadata: What pydantic wants as further metadata.
    """

    # By hand, as its subclass: to make two dataclasses takes longer than to load the rest of this module.

    def __init__(
        self,
        *,
        default: Any = REQUIRED,
        default_factory: Any = None,
        alias: Any = None,
        validate_default: bool | None = None,
        constraints: Mapping[str, Any] = _UNCONSTRAINED,
        metadata: tuple[Any, ...] = (),
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.alias = alias
        self.validate_default = validate_default
        self.constraints = constraints
        self.metadata = metadata

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # what it holds may have none

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def but(self, **changes: Any) -> Self:
        """The same marker, but for some attributes."""
        changed = object.__new__(type(self))
        vars(changed).update(vars(self), **changes)
        return changed


class ParamMarker(FieldMarker):
    """A `Path`, `Query`, `Header` or `Cookie`, ours or FastAPI's.

    Args:
        source: Where the value comes from.
        convert_underscores: Whether `x_token` means the header `x-token`.
        field: As for `FieldMarker`.
    """

    def __init__(self, source: Source, convert_underscores: bool = True, **field: Any) -> None:
        super().__init__(**field)
        self.source: Source = source
        self.convert_underscores = convert_underscores

    def saying(self, everything: Iterable[object]) -> ParamMarker:
        """This marker, with what all field markers among the metadata say; the last one that says something counts."""
        said = {
            name: setting
            for marker in everything
            if isinstance(marker, FieldMarker)
            for name in ("default_factory", "alias", "validate_default")
            if (setting := getattr(marker, name)) is not None
        }
        return self.but(**said) if said else self


class PayloadMarker(FieldMarker):
    """A `Payload`: the message that a listener is called for."""


class BodyMarker(NamedTuple):
    """A `Body`, `Form` or `File` of FastAPI: a handshake has no body."""

    name: str


class InjectsMarker:
    """An `Injects`: a level has to provide the value by name."""

    __slots__ = ()


#: What decides where a value comes from.
AnyMarker = DependsMarker | InjectsMarker | ParamMarker | PayloadMarker | BodyMarker


def read_marker(value: object) -> AnyMarker | FieldMarker | None:
    """The marker that `value` is, or `None` if it is something else."""
    # Our own first: to be asked whether they are anything else costs them a look at who asks.
    if isinstance(value, Depends):
        scopes = tuple(value.scopes or ()) if isinstance(value, Security) else ()
        return DependsMarker(value.dependency, value.use_cache, value.scope, value.threadpool, value.limit, scopes)
    if isinstance(value, Injects):
        return InjectsMarker()
    if isinstance(value, Param):
        return ParamMarker(
            value.source,
            getattr(value, "convert_underscores", True),
            default=value.default,
            default_factory=value.default_factory,
            alias=value.validation_alias or value.alias or None,
            validate_default=value.constraints.get("validate_default"),
            constraints=value.constraints,
        )
    if isinstance(value, Payload):
        return PayloadMarker(constraints=value.constraints)
    if isinstance(value, _NO_MARKERS):
        return None
    if _has(value, "dependency", "use_cache"):
        return _read_depends(value)
    if _has(value, "is_required", "default_factory"):
        return _read_field_info(value)
    return None


def holds_marker(annotation: Any) -> bool:
    """Whether a marker is inside of a type, where nobody reads it: `Annotated[User, Depends(f)] | None`."""
    waiting, seen = [annotation], set()
    while waiting:
        inner = waiting.pop()
        origin = get_origin(inner) or inner
        if isinstance(origin, ALIASES) and id(origin) not in seen:
            seen.add(id(origin))  # an alias may be recursive
            waiting.append(origin.__value__)
        elif origin is Annotated:
            inner, *metadata = get_args(inner)
            waiting.append(inner)
            if any(isinstance(read_marker(entry), AnyMarker) for entry in metadata):
                return True
        else:
            waiting.extend(get_args(inner))
    return False


def is_uncalled_marker(value: object) -> bool:
    """Whether `value` is the function or class that makes a marker, where a marker was meant."""
    if getattr(value, "__name__", None) not in _MARKERS:
        return False
    return (getattr(value, "__module__", None) or "").partition(".")[0] in ("wsroute", "fastapi")


def _read_depends(value: Any) -> DependsMarker:
    return DependsMarker(
        dependency=value.dependency,
        use_cache=value.use_cache,
        scope=getattr(value, "scope", None),
        threadpool=None,
        limit=getattr(value, "_concurrency", None),
        security_scopes=tuple(getattr(value, "scopes", None) or ()),
    )


def _read_field_info(value: Any) -> AnyMarker | FieldMarker:
    body = next((cls.__name__ for cls in type(value).__mro__ if cls.__name__ in _BODY_MARKERS), None)
    if body is not None:
        return BodyMarker(body)
    settings: dict[str, Any] = {
        "default": REQUIRED if value.is_required() or value.default_factory is not None else value.default,
        "default_factory": value.default_factory,
        "alias": value.validation_alias or value.alias or None,
        "validate_default": value.validate_default,
        "constraints": {} if value.discriminator is None else {"discriminator": value.discriminator},
        "metadata": tuple(value.metadata),
    }
    source = getattr(getattr(value, "in_", None), "value", None)
    if source is None:
        return FieldMarker(**settings)
    return ParamMarker(source, getattr(value, "convert_underscores", True), **settings)


def _has(value: object, *names: str) -> bool:
    # Statically: a mock has every attribute, and a proxy may fail to look for one.
    return all(getattr_static(value, name, _ABSENT) is not _ABSENT for name in names)
