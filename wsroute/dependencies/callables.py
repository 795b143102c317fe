"""What kind of callable is it, what is it called, and is it the same one?"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
import inspect
import re
import sys
from collections.abc import Callable, Hashable, Iterator
from inspect import getattr_static
from types import CodeType, FunctionType, MethodType
from typing import Any, TypeGuard, get_args, get_origin

# Up to 3.12 asyncio also knows marks that `unittest.mock.AsyncMock` and legacy decorators leave.
_is_coroutine_function: Callable[[Any], bool] = (
    inspect.iscoroutinefunction if sys.version_info >= (3, 13) else asyncio.iscoroutinefunction
)


def _helper_code(decorate: Callable[..., Any]) -> CodeType:
    code: CodeType = decorate(_helper_code).__code__
    return code


# All functions that contextlib's decorators return share the code of one inner function.
_CONTEXT_MANAGER_CODE = _helper_code(contextlib.contextmanager)
_ASYNC_CONTEXT_MANAGER_CODE = _helper_code(contextlib.asynccontextmanager)

#: The attributes of functions for which `inspect.signature` shows another signature than that of their code.
_SAY_OTHERWISE = ("__wrapped__", "__signature__", "_partialmethod", "__partialmethod__")

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Form(enum.Enum):
    """What calling a callable gives."""

    VALUE = "value"
    COROUTINE = "coroutine"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"
    CONTEXT_MANAGER = "context manager"
    ASYNC_CONTEXT_MANAGER = "async context manager"

    @property
    def is_async(self) -> bool:
        """Whether it runs in the event loop by its own nature."""
        return self in (Form.COROUTINE, Form.ASYNC_GENERATOR, Form.ASYNC_CONTEXT_MANAGER)

    @property
    def is_context(self) -> bool:
        """Whether its value has to be closed."""
        return self not in (Form.VALUE, Form.COROUTINE)


def form_of(call: Callable[..., Any]) -> Form:
    """What calling `call` gives; the outermost layer that says anything decides.

    `functools.wraps` says nothing: a plain function that wraps a generator function returns its generator.
    """
    if isinstance(call, FunctionType) and call.__code__.co_flags & inspect.CO_COROUTINE:
        return Form.COROUTINE  # an `async def`, which no layer below can change; most calls are
    for layer in _layers(call):
        code = getattr(layer, "__code__", None)
        if code is _CONTEXT_MANAGER_CODE:
            return Form.CONTEXT_MANAGER
        if code is _ASYNC_CONTEXT_MANAGER_CODE:
            return Form.ASYNC_CONTEXT_MANAGER
        if _is_coroutine_function(layer):
            return Form.COROUTINE
        if inspect.isasyncgenfunction(layer):
            return Form.ASYNC_GENERATOR
        if inspect.isgeneratorfunction(layer):
            return Form.GENERATOR
    return Form.VALUE


def is_class(call: Callable[..., Any]) -> bool:
    """Whether calling it constructs an instance: classes, generic aliases of classes, partials of both."""
    return any(inspect.isclass(get_origin(layer) or layer) for layer in _layers(call))


def function_of(call: Callable[..., Any]) -> Any:
    """The object whose annotations `inspect.signature(call)` shows, where Python can tell; else `call`."""
    innermost = call
    for innermost in _layers(call):
        if hasattr(innermost, "__signature__"):
            break
    if inspect.isclass(target := get_origin(innermost) or innermost):
        init = target.__init__
        return init if inspect.isfunction(init) else target.__new__ if inspect.isfunction(target.__new__) else target
    return getattr(innermost, "__func__", innermost)


def method_of(owner: Any, name: str) -> Callable[..., Any]:
    """The method of an instance; or, for a class that has no instance yet, one that looks the same from outside."""
    method: Callable[..., Any] = getattr(owner, name)
    if isinstance(owner, type) and inspect.isfunction(getattr_static(owner, name)):
        return MethodType(method, owner)
    return method


def bound_by_name(call: Callable[..., Any]) -> frozenset[str]:
    """The parameters that partials have given by name; `inspect.signature` shows them as if they were still open."""
    partials = (layer for layer in _layers(call) if isinstance(layer, functools.partial))
    return frozenset(name for layer in partials for name in layer.keywords)


def is_plain(call: object) -> TypeGuard[FunctionType]:
    """Whether it is a function that is what it looks like: its own code says how it is called, and nothing else does.

    Decorators look into `kwargs`, a partial has moved the positions, and `__signature__` is there to differ.
    """
    # Not by a look into its `__dict__`, which each function would then have, and keep.
    return isinstance(call, FunctionType) and not any(hasattr(call, name) for name in _SAY_OTHERWISE)


def takes_positions(call: Callable[..., Any]) -> bool:
    """Whether arguments may be handed over by position, which is faster and looks the same from inside."""
    function = call.__func__ if isinstance(call, MethodType) else call
    return is_plain(function) and not function.__code__.co_kwonlyargcount


def identity(call: Callable[..., Any]) -> Hashable:
    """A key that is equal for equal callables; one that cannot be hashed is only ever equal to itself."""
    try:
        hash(call)
    except TypeError:
        return _ById(call)
    return call


def describe(call: object) -> str:
    """The qualified name of a callable, free of addresses and of values."""
    if isinstance(call, functools.partial):
        return f"partial({describe(call.func)})"
    origin = get_origin(call)
    if origin is not None:
        return f"{describe(origin)}[{', '.join(describe(argument) for argument in get_args(call))}]"
    name = getattr(call, "__qualname__", None)
    module = getattr(call, "__module__", None)
    if not isinstance(name, str):
        return f"{describe(type(call))} instance"
    return name if module in (None, "builtins") else f"{module}.{name}"


def show(value: object) -> str:
    """Any value for an error message: functions and classes by their names, the rest by `repr()`, free of addresses."""
    return describe(value) if inspect.isroutine(value) or isinstance(value, type) else _ADDRESS.sub("", repr(value))


def short_name(call: object) -> str:
    """The last part of its name, for generated code and route names."""
    if isinstance(call, functools.partial):
        return short_name(call.func)
    name = getattr(get_origin(call) or call, "__name__", None)
    return name if isinstance(name, str) else type(call).__name__


class _ById:
    __slots__ = ("call",)

    def __init__(self, call: object) -> None:
        self.call = call

    def __hash__(self) -> int:
        return id(self.call)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and self.call is other.call


def _layers(call: Any) -> Iterator[Any]:
    """The callable, then what it calls: through partials, instances' `__call__`, and `__wrapped__`."""
    seen: set[int] = set()
    while id(call) not in seen:
        yield call
        seen.add(id(call))
        if isinstance(call, FunctionType):  # what most are
            call = getattr(call, "__wrapped__", call)
        elif isinstance(call, functools.partial):
            call = call.func
        elif inspect.isclass(get_origin(call) or call):
            return
        elif not inspect.isroutine(call) and inspect.ismethod(method := getattr(call, "__call__", None)):  # noqa: B004
            yield method
            seen.add(id(method))
            call = getattr(call, "__wrapped__", getattr(method, "__wrapped__", method))
        else:
            call = getattr(call, "__wrapped__", call)
