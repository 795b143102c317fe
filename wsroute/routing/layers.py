"""What each level of an application adds to the routes below it.

A route is the fold of the layers above it, outermost first, and of its own. Layers are frozen, and folding makes new
routes: one declaration can stand below many levels, and none of them writes onto it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from wsroute.dependencies.analysis import Analysis
from wsroute.dependencies.callables import show
from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import InvalidParameterError, Location, RouterError
from wsroute.routing.paths import check_prefix
from wsroute.wire.policy import Policy

Reject: TypeAlias = Literal["denial", "close", "accept"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One level: a router, an inclusion, or a route.

    Attributes:
        path: What it puts before the paths below it.
        dependencies: Markers of dependencies that run for their effect.
        providers: Objects with a `dependency_overrides` mapping, nearest first.
        reject: How a connection is refused; `None` leaves it to the levels above.
        close_timeout: How long, in seconds, a frame that ends a connection may take; `None` as for `reject`.
        names: The names local to functions that were captured when it was declared.
    """

    path: str = ""
    dependencies: tuple[Any, ...] = ()
    providers: tuple[Any, ...] = ()
    reject: Reject | None = None
    close_timeout: float | None = None
    names: LocalNames = field(default_factory=LocalNames)

    def __post_init__(self) -> None:
        if self.close_timeout is not None and not self.close_timeout > 0:
            raise RouterError(f"close_timeout={self.close_timeout!r} is no time. It is a number of seconds above 0.")
        if self.reject not in (None, *get_args(Reject)):
            known = ", ".join(repr(name) for name in get_args(Reject))
            raise RouterError(f"reject={self.reject!r} is no way to refuse a connection. It is one of {known}.")
        for provider in self.providers:
            if not hasattr(provider, "dependency_overrides"):
                raise RouterError(
                    f"dependency_overrides_provider= is {show(provider)}, which has no dependency_overrides. It takes "
                    "an object with such a mapping, like a FastAPI application or a router."
                )


def layer_above(
    prefix: str,
    dependencies: Sequence[Any] | None,
    names: LocalNames,
    location: Location,
    *,
    providers: tuple[Any, ...] = (),
    reject: Reject | None = None,
    close_timeout: float | None = None,
) -> Layer:
    """A level above routes: a router, or an inclusion.

    Args:
        prefix: What it puts before the paths below it.
        dependencies: Markers of dependencies that run for their effect.
        names: Where names local to functions are found.
        location: The level, for error messages.
        providers, reject, close_timeout: As in `Layer`.

    Raises:
        DependencyError: A declaration cannot work, whatever stands above or below it.
    """
    check_prefix(prefix, location)
    listed = in_order(dependencies, location)
    try:
        Analysis(prefix, names, final=False).effects(listed, location)
    finally:
        names.release()
    return Layer(prefix, listed, providers, reject, close_timeout, names)


def in_order(dependencies: Sequence[Any] | None, location: Location) -> tuple[Any, ...]:
    """The dependencies of one level, which the caller may change afterwards.

    Raises:
        InvalidParameterError: It is no sequence.
    """
    if dependencies is None or isinstance(dependencies, Sequence):
        return tuple(dependencies or ())
    raise InvalidParameterError(
        location,
        problem=f"dependencies= is {show(dependencies)}",
        expected="a list of Depends(...) or Security(...)",
        remedy="put it into a list",
    )


@dataclass(frozen=True, slots=True)
class Folded:
    """The layers above a route, and its own, as one; attributes as in `Layer`, settings as the session wants them."""

    path: str
    dependencies: tuple[Any, ...]
    providers: tuple[Any, ...]
    policy: Policy
    names: LocalNames


def fold(layers: Sequence[Layer]) -> Folded:
    """Fold layers, outermost first: paths and dependencies in that order, providers and settings nearest first."""
    path = ""
    dependencies: tuple[Any, ...] = ()
    providers: tuple[Any, ...] = ()
    policy = Policy()
    for layer in layers:
        path += layer.path
        dependencies += layer.dependencies
        providers = layer.providers + providers
        policy = Policy(layer.reject or policy.reject, layer.close_timeout or policy.close_timeout)
    names = LocalNames.joined(layer.names for layer in reversed(layers))
    return Folded(path, dependencies, providers, policy, names)
