"""Dependencies replaced for a while: set, restored whatever happens, and reported if they replaced nothing."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import wraps
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from starlette.applications import Starlette

from wsroute.dependencies.analysis import Analysis
from wsroute.dependencies.callables import describe, show
from wsroute.dependencies.markers import DependsMarker
from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import DependencyError, Location
from wsroute.routing.gateway import WebSocketGateway
from wsroute.routing.route import APIWebSocketRoute
from wsroute.testing.errors import UnusedOverride, says_it_all
from wsroute.testing.trees import Needs

__tracebackhide__ = says_it_all

CallableT = TypeVar("CallableT", bound=Callable[..., Any])

_MISSING: Any = object()


class override:
    """Replace dependencies: a context manager, sync or async, and a decorator of tests, sync or async.

    ```python
    with override(app, {get_user: fake_user, get_clock: fake_clock}): ...
    with override(app, get_user, fake_user): ...
    with override(app, get_user, value=User("ann")): ...
    ```

    A replacement may have parameters and dependencies of its own, as in `dependency_overrides`, where it is put. A
    string as the key replaces what a level provides under that name. At the end, what was there before is back.

    Args:
        target: What the connections pass whose dependencies are replaced: an application of FastAPI or Starlette, a
            router, or a route.
        key: A dependency, or a name; or a mapping of several to their replacements.
        fake: The replacement, for a single key.
        value: What the dependency gives, in place of `fake`.
        strict: Whether a replacement that replaced nothing fails the test at the end: no connection and no request
            needed it, or no route ever does. Default true.

    Raises:
        UnusedOverride: A replacement replaced nothing.
        TypeError: The arguments do not fit together, or the target has no place for overrides.
    """

    def __init__(
        self, target: Any, key: Any, fake: Callable[..., Any] = _MISSING, *, value: Any = _MISSING, strict: bool = True
    ) -> None:
        self._target = target
        self._fakes = _fakes(key, fake, value)
        _look_around(self._fakes.values(), sys._getframe(1))
        self._strict = strict
        self._active: list[tuple[Recorder, Callable[[], None]]] = []

    def __enter__(self) -> Self:
        self._active.append(_put(self._target, self._fakes))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        recorder, restore = self._active.pop()
        restore()
        if not self._strict or not (unused := recorder.unused()):
            return
        problem = "\n".join(_explain(self._target, key) for key in unused)
        if exception is None:
            raise UnusedOverride(problem)
        exception.add_note(f"besides, {problem}")

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, exception, traceback)

    def __call__(self, function: CallableT) -> CallableT:
        """Override while a function runs, each time that it does."""
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value]  # has the signature of the function

        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return run  # type: ignore[return-value]  # has the signature of the function


class Recorder(dict[Any, Callable[..., Any]]):
    """Stands for `dependency_overrides`, and notes which of its keys somebody looks up.

    Args:
        fakes: The replacements.
        previous: What was there before; its keys stay, as far as they are not replaced.
    """

    def __init__(self, fakes: Mapping[Any, Callable[..., Any]], previous: Any) -> None:
        super().__init__({**({} if previous is _MISSING else previous), **fakes})
        self._unused = dict.fromkeys(fakes)
        self._previous = previous

    def get(self, key: Any, default: Any = None) -> Any:
        """The replacement of a dependency."""
        self._note(key)
        return super().get(key, default)

    def __getitem__(self, key: Any) -> Callable[..., Any]:
        self._note(key)
        return super().__getitem__(key)

    def unused(self) -> list[Any]:
        """The keys that nobody has looked up."""
        return list(self._unused)

    def _note(self, key: Any) -> None:
        self._unused.pop(key, None)
        # An override around this one that has the same key is no mistake: it would have been used.
        if isinstance(self._previous, Recorder):
            self._previous._note(key)


def _fakes(key: Any, fake: Any, value: Any) -> dict[Any, Callable[..., Any]]:
    single = [given for given in (fake, value) if given is not _MISSING]
    if isinstance(key, Mapping):
        if single:
            raise TypeError("override() got a mapping and a replacement beside it; put all of them into the mapping")
        fakes = dict(key)
    elif len(single) != 1:
        raise TypeError("override() takes one replacement for a dependency: override(app, dependency, fake), or value=")
    else:
        fakes = {key: fake if value is _MISSING else _giving(key, value)}
    for dependency, replacement in fakes.items():
        if not callable(dependency) and not isinstance(dependency, str):
            raise TypeError(f"override() got the key {show(dependency)}; it is a dependency, or a name as a string")
        if not callable(replacement):
            raise TypeError(
                f"override() got {show(replacement)} as the replacement of {show(dependency)}, which cannot be called; "
                "write override(app, dependency, value=...) for what it shall give"
            )
    return fakes


def _giving(key: Any, value: Any) -> Callable[..., Any]:
    async def give() -> Any:
        return value

    give.__qualname__ = f"value of {_called(key)}"
    return give


def _look_around(fakes: Iterable[Callable[..., Any]], frame: FrameType) -> None:
    """Read the signatures of replacements while the function that defines them, as a test does, still runs.

    Their annotations may name what is local to it; what was read is remembered for the connections.
    """
    names = LocalNames(frame)
    for fake in fakes:
        # Whatever is wrong is raised where a route needs it, which may not be one of ours.
        with suppress(DependencyError):
            Analysis("/", names, final=False).dependency(DependsMarker(fake), None, Location("/"))
    names.release()


class _Provider:
    """Has the overrides of a single route."""

    def __init__(self, overrides: Recorder) -> None:
        self.dependency_overrides = overrides


def _put(target: Any, fakes: Mapping[Any, Callable[..., Any]]) -> tuple[Recorder, Callable[[], None]]:
    """Put replacements where the connections of something look for them, and return what takes them away again."""
    if isinstance(target, APIWebSocketRoute | WebSocketGateway):
        routes = (target,) if isinstance(target, APIWebSocketRoute) else target.routes
        return _put_on_routes(routes, fakes)
    previous = getattr(target, "dependency_overrides", _MISSING)
    if previous is _MISSING and not isinstance(target, Starlette):
        raise TypeError(
            f"override() got {show(target)}, which has no dependency_overrides; hand over the application itself, "
            "without the middleware around it, or a router, or a route"
        )
    recorder = target.dependency_overrides = Recorder(fakes, previous)

    def restore() -> None:
        if previous is _MISSING:
            del target.dependency_overrides
        else:
            target.dependency_overrides = previous

    return recorder, restore


def _put_on_routes(
    routes: Sequence[APIWebSocketRoute], fakes: Mapping[Any, Callable[..., Any]]
) -> tuple[Recorder, Callable[[], None]]:
    recorder = Recorder(fakes, _MISSING)
    before = [route.override_providers for route in routes]
    for route in routes:
        route.override_providers = (_Provider(recorder), *route.override_providers)

    def restore() -> None:
        for route, providers in zip(routes, before, strict=True):
            route.override_providers = providers

    return recorder, restore


def _explain(target: Any, key: Any) -> str:
    """Why a replacement has replaced nothing, and what to do about it."""
    needs = Needs(target)
    if key in needs:
        return (
            f"the override of {_called(key)} was never used: no connection and no request that needs it came while it "
            "was active; remove it, connect inside of the block, or say strict=False"
        )
    return (
        f"the override of {_called(key)} replaces nothing: no route of the {type(target).__name__} needs it"
        f"{_suggestion(key, needs)}; override the very object that stands in Depends(...), on the application or the "
        "router that the test connects to"
    )


def _suggestion(key: Any, needs: Needs) -> str:
    name = key if isinstance(key, str) else getattr(key, "__name__", "")
    known = dict(needs.named())
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {_called(known[close[0]])}?" if close else ""


def _called(key: Any) -> str:
    return repr(key) if isinstance(key, str) else describe(key)
