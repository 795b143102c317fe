"""Signatures with their annotations evaluated, as Python itself would evaluate them.

An annotation may be a string (PEP 563), hold forward references, be an alias (PEP 695), or name something that only
type checkers import. Names that cannot be found yet become `Unresolved` and are listed in `Parameter.missing`: whether
that is an error depends on what the parameter needs its annotation for, and on whether binding is still to come.
"""

from __future__ import annotations

import builtins
import inspect
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import CodeType, FrameType, FunctionType, GenericAlias, SimpleNamespace
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import typing_extensions

from wsroute.dependencies.callables import bound_by_name, describe, function_of, is_plain
from wsroute.dependencies.defaults import default_of
from wsroute.exceptions import AnnotationError, InvalidParameterError, Location

EMPTY: Any = inspect.Parameter.empty
POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
_POSITIONAL_OR_KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD
BY_POSITION = (POSITIONAL_ONLY, _POSITIONAL_OR_KEYWORD)
VAR_KINDS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

# What the `type` statement makes is no instance of the backport, even where both exist.
_BACKPORT = typing_extensions.TypeAliasType
ALIASES: tuple[type[Any], ...] = (_BACKPORT, getattr(typing, "TypeAliasType", _BACKPORT))


class Parameter(NamedTuple):
    """One parameter of a callable.

    Attributes:
        name: Its name.
        annotation: The evaluated annotation; `EMPTY` if there is none.
        default: Its default; `EMPTY` if there is none.
        kind: As `inspect.Parameter.kind`.
        missing: The names in the annotation that could not be found.
    """

    name: str
    annotation: Any
    default: Any
    kind: Any
    missing: tuple[str, ...] = ()


class Unresolved:
    """Stands in an annotation for a name that cannot be found, so that the rest can still be read."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, attribute: str) -> Unresolved:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return Unresolved(f"{self.name}.{attribute}")

    def __getitem__(self, item: object) -> Unresolved:
        return self

    def __call__(self, *args: object, **kwargs: object) -> Unresolved:
        return self

    def __or__(self, other: object) -> Unresolved:
        return self

    __ror__ = __or__


class LocalNames:
    """Names local to the functions that define callables.

    They exist only while such a function runs, so they are captured when a route is declared: from the frame on the
    stack that owns the callable, found by the callable's qualified name, and from no other.
    """

    __slots__ = ("_captured", "_frame", "_several")

    def __init__(self, frame: FrameType | None = None) -> None:
        self._frame = frame
        self._captured: dict[tuple[int, str], Mapping[str, Any]] = {}
        #: What else is asked; a name that this one has captured counts.
        self._several: tuple[LocalNames, ...] = ()

    @classmethod
    def joined(cls, several: Iterable[LocalNames]) -> LocalNames:
        """What several declarations capture; the first that knows a function decides."""
        # What has no frame has captured what it will. Few have any, so that one of them is nearly always enough.
        parts = tuple(several)
        known = tuple([one for one in parts if one._captured or one._frame]) or parts[:1]
        if len(known) == 1:
            return known[0]
        names = cls()
        names._several = known
        return names

    def release(self) -> None:
        """Let go of the stack; what was captured stays."""
        self._frame = None

    def of(self, function: Any) -> dict[str, Any]:
        """The local names that the source of `function` can see, outermost first, its closure last."""
        names: dict[str, Any] = {}
        owners = getattr(function, "__qualname__", "").split(".<locals>.")[:-1]
        for depth in range(1, len(owners) + 1):
            names.update(self._locals(function, ".<locals>.".join(owners[:depth])))
        code = getattr(function, "__code__", None)
        closure = getattr(function, "__closure__", None) or ()
        for name, cell in zip(getattr(code, "co_freevars", ()), closure, strict=True):
            try:
                names[name] = cell.cell_contents
            except ValueError:  # the enclosing function has not assigned it yet
                continue
        for parameter in getattr(function, "__type_params__", ()):
            names[parameter.__name__] = parameter
        return names

    def _locals(self, function: Any, owner: str) -> Mapping[str, Any]:
        namespace = getattr(function, "__globals__", None)
        return next(filter(None, (names._capture(namespace, owner) for names in (self, *self._several))), {})

    def _capture(self, namespace: Any, owner: str) -> Mapping[str, Any]:
        key = (id(namespace), owner)
        frame = self._frame
        while key not in self._captured and frame is not None:
            if frame.f_code.co_qualname == owner and frame.f_globals is namespace:
                self._captured[key] = dict(frame.f_locals)
            frame = frame.f_back
        return self._captured.get(key, {})


class _Names(dict[str, Any]):
    """The names of an annotation: local ones, then global ones, then built-in ones, else a stand-in."""

    def __init__(self, local: Mapping[str, Any], namespace: dict[str, Any]) -> None:
        super().__init__(local)
        self.namespace = namespace
        self.missing: list[str] = []

    def __missing__(self, name: str) -> Any:
        if name in self.namespace:
            return self.namespace[name]
        try:
            return getattr(builtins, name)
        except AttributeError:
            self.missing.append(name)
            return Unresolved(name)


def get_signature(call: Callable[..., Any], names: LocalNames, location: Location) -> tuple[Parameter, ...]:
    """The parameters of `call`, annotations evaluated.

    Args:
        call: Any callable; `__wrapped__` is followed. What a partial has bound is no parameter any more.
        names: Where names local to functions are found.
        location: Where `call` stands, for error messages.

    Raises:
        InvalidParameterError: Python knows no signature of `call`.
        AnnotationError: An annotation fails to evaluate for another reason than a missing name.
    """
    declared = _of_usual(call) if is_plain(call) and _has_usual(call.__code__) else _of_any(call, location)
    return tuple(
        parameter
        if parameter.annotation is EMPTY or _is_evaluated(parameter.annotation)
        else _evaluated(parameter, call, names, location)
        for parameter in declared
    )


def get_return(call: Callable[..., Any], names: LocalNames, location: Location) -> Parameter:
    """What `call` is annotated to return, as if it were a parameter called `return`; arguments as of `get_signature`.

    Raises:
        AnnotationError: The annotation fails to evaluate for another reason than a missing name.
    """
    annotations = getattr(function_of(call), "__annotations__", {})
    returned = Parameter("return", annotations.get("return", EMPTY), EMPTY, _POSITIONAL_OR_KEYWORD)
    if returned.annotation is EMPTY or _is_evaluated(returned.annotation):
        return returned
    return _evaluated(returned, call, names, location)


def _has_usual(code: CodeType) -> bool:
    """Whether all parameters can be given by position and by name."""
    return not (
        code.co_posonlyargcount
        or code.co_kwonlyargcount
        or code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    )


def _of_usual(function: FunctionType) -> Iterator[Parameter]:
    """What `inspect.signature` shows of the functions that most applications consist of, in a tenth of its time."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    given = function.__defaults__ or ()
    annotations = function.__annotations__
    for name, default in zip(names, (*[EMPTY] * (len(names) - len(given)), *given), strict=True):
        yield Parameter(name, annotations.get(name, EMPTY), default, _POSITIONAL_OR_KEYWORD)


def _of_any(call: Callable[..., Any], location: Location) -> Iterator[Parameter]:
    try:
        signature = inspect.signature(get_origin(call) or call)
    except (ValueError, TypeError) as error:
        raise InvalidParameterError(
            location,
            problem=f"{describe(call)} has no signature that Python can tell",
            expected="a callable whose parameters can be inspected",
            remedy="wrap it in a function that names and annotates what it needs",
        ) from error
    # A client could set them.
    bound = bound_by_name(call)
    for parameter in signature.parameters.values():
        if parameter.name not in bound:
            default = parameter.default
            if default is not EMPTY:
                default = default_of(parameter, call, location.at(parameter.name))
            yield Parameter(parameter.name, parameter.annotation, default, parameter.kind)


def _evaluated(parameter: Parameter, call: Any, names: LocalNames, location: Location) -> Parameter:
    annotation, missing = _evaluate(parameter.annotation, parameter.name, call, names, location)
    return parameter._replace(annotation=annotation, missing=missing)


def _is_evaluated(annotation: Any) -> bool:
    """Whether nothing in it can be a string, which most annotations show at once."""
    if isinstance(annotation, type):
        return not isinstance(annotation, GenericAlias)
    return get_origin(annotation) is Annotated and _is_evaluated(annotation.__origin__)


def _evaluate(
    annotation: Any, parameter: str, call: Any, names: LocalNames, location: Location
) -> tuple[Any, tuple[str, ...]]:
    function = function_of(call)
    scope = _Names(names.of(function), _namespace(function, call, parameter, annotation))
    try:
        return _resolve(annotation, scope), tuple(scope.missing)
    except NameError as error:  # in the value of a PEP 695 alias, which is evaluated in its own scope
        return Unresolved(str(error.name)), (*scope.missing, str(error.name))
    except Exception as error:
        if scope.missing:  # the stand-in did not fit where it was used; the name is what is wrong
            return Unresolved(scope.missing[0]), tuple(scope.missing)
        raise AnnotationError(
            location.at(parameter),
            problem=f"the annotation {annotation!r} cannot be evaluated: {error}",
            expected="an annotation that Python can evaluate",
            remedy="correct the annotation",
        ) from error


def _resolve(annotation: Any, scope: _Names) -> Any:
    """The annotation with all strings in it evaluated, and without an alias around it."""
    # The one public function that evaluates strings at any depth; it only looks at `__annotations__`. The globals are
    # the real ones, since a lambda in the annotation keeps them.
    holder = SimpleNamespace(__annotations__={"it": annotation})
    evaluated = get_type_hints(holder, scope.namespace, scope, include_extras=True)["it"]
    plain = without_alias(evaluated)
    # What an alias stands for may hold strings again.
    return plain if plain is evaluated else _resolve(plain, scope)


def without_alias(annotation: Any) -> Any:
    """`type Alias = ...` (PEP 695) unwrapped, with its parameters filled in; also directly inside of `Annotated`."""
    while isinstance(alias := get_origin(annotation) or annotation, ALIASES):
        arguments = get_args(annotation)
        annotation = alias.__value__[arguments] if arguments else alias.__value__
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        if (plain := without_alias(inner)) is not inner:
            return Annotated[(plain, *metadata)]
    return annotation


def _namespace(function: Any, call: Any, parameter: str, annotation: Any) -> dict[str, Any]:
    """The globals in which the annotation of one parameter was written."""
    owner = get_origin(call) or call
    for base in owner.__mro__ if isinstance(owner, type) else ():
        # A generated __init__ repeats annotations of the class, or of base classes, which may be of other modules.
        if inspect.get_annotations(base).get(parameter, EMPTY) == annotation:
            return _globals_of(base)
    namespace: dict[str, Any] | None = getattr(function, "__globals__", None)
    return _globals_of(function) if namespace is None else namespace


def _globals_of(definition: Any) -> dict[str, Any]:
    module = sys.modules.get(getattr(definition, "__module__", None) or "")
    return {} if module is None else vars(module)
