"""From a callable to the tree of what it needs."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from types import NoneType
from typing import Annotated, Any, Generic, TypeVar

import pytest
from anyio.abc import TaskGroup
from starlette.responses import Response

from tests.dependencies.modules import module_of
from wsroute import (
    AnnotationError,
    BackgroundTasks,
    Cookie,
    Dependant,
    DependencyCycleError,
    Depends,
    Header,
    HTTPConnection,
    InvalidParameterError,
    Path,
    Query,
    Request,
    Security,
    SecurityScopes,
    WebSocket,
    get_dependant,
)
from wsroute.dependencies.analysis import Analysis, Undecided
from wsroute.dependencies.callables import Form
from wsroute.dependencies.models import Special, SpecialParam
from wsroute.dependencies.nodes import path_names
from wsroute.dependencies.signature import LocalNames
from wsroute.exceptions import Location

T = TypeVar("T")


def tree(call: Callable[..., Any], path: str = "/items", **options: Any) -> Dependant:
    return Analysis(path, LocalNames(sys._getframe(1)), **options).endpoint(call)


def child(call: Callable[..., Any], **depends: Any) -> Dependant:
    async def endpoint(value: Any = Depends(call, **depends)) -> None: ...

    return Analysis("/items", LocalNames(sys._getframe(1))).endpoint(endpoint).dependencies[0]


def get_one() -> int:
    return 1


async def get_two() -> int:
    return 2


# --- Parameters ----------------------------------------------------------------------------------------------------


def test_every_parameter_has_its_place_in_the_tree() -> None:
    async def endpoint(
        websocket: WebSocket,
        item: int,
        q: str | None = None,
        token: str = Header(),
        *,
        session: Annotated[str, Cookie()],
        one: Annotated[int, Depends(get_one)],
    ) -> None: ...

    dependant = tree(endpoint, "/items/{item}")
    assert [argument.name for argument in dependant.arguments] == ["websocket", "item", "q", "token", "session", "one"]
    assert dependant.special_params == (SpecialParam("websocket", Special.WEBSOCKET, WebSocket),)
    assert [field.name for field in dependant.path_params] == ["item"]
    assert [field.name for field in dependant.query_params] == ["q"]
    assert [field.name for field in dependant.header_params] == ["token"]
    assert [field.name for field in dependant.cookie_params] == ["session"]
    assert [(node.name, node.call) for node in dependant.dependencies] == [("one", get_one)]
    assert (dependant.call, dependant.name, dependant.path) == (endpoint, None, "/items/{item}")


def test_any_number_of_positions_and_names_is_left_alone() -> None:
    async def endpoint(websocket: WebSocket, *args: str, **kwargs: dict[str, str]) -> None: ...

    assert [argument.name for argument in tree(endpoint).arguments] == ["websocket"]


def test_positional_only_parameters_are_remembered() -> None:
    async def endpoint(websocket: WebSocket, first: int, /, second: int) -> None: ...

    assert tree(endpoint).positional_only == frozenset({"websocket", "first"})


def test_the_last_marker_in_annotated_wins() -> None:
    async def endpoint(item: Annotated[Annotated[str, Query()], Header()]) -> None: ...

    assert [field.name for field in tree(endpoint).header_params] == ["item"]


def test_path_is_read_from_the_scope_where_no_template_has_the_name() -> None:
    async def endpoint(tenant: Annotated[str, Path()]) -> None: ...

    assert [field.name for field in tree(endpoint).path_params] == ["tenant"]


@pytest.mark.parametrize(
    ("annotation", "default", "special"),
    [
        (Request, ..., SpecialParam("it", Special.REQUEST, Request)),
        (Request, None, SpecialParam("it", Special.NONE, NoneType)),
        (Request | None, ..., SpecialParam("it", Special.NONE, NoneType)),
        (Request | None, None, SpecialParam("it", Special.NONE, NoneType)),
        (HTTPConnection, ..., SpecialParam("it", Special.WEBSOCKET, HTTPConnection)),
        (WebSocket | None, None, SpecialParam("it", Special.WEBSOCKET, WebSocket)),
        (Response, ..., SpecialParam("it", Special.RESPONSE, Response)),
        (Response | None, None, SpecialParam("it", Special.RESPONSE, Response)),
        (BackgroundTasks, ..., SpecialParam("it", Special.BACKGROUND_TASKS, BackgroundTasks)),
        (TaskGroup, ..., SpecialParam("it", Special.TASK_GROUP, TaskGroup)),
    ],
)
def test_special_parameters_get_something_of_the_connection(
    annotation: Any, default: Any, special: SpecialParam
) -> None:
    async def endpoint(it: Any) -> None: ...

    endpoint.__annotations__["it"] = annotation
    endpoint.__defaults__ = () if default is ... else (default,)
    assert tree(endpoint).special_params == (special,)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/", set()),
        ("/{a}/b/{c:int}", {"a", "c"}),
        ("/{ a }/{b: int}", {"a", "b"}),
        ("/{1}/{}", set()),
    ],
)
def test_the_names_of_a_path_are_known_whatever_their_convertors(path: str, names: set[str]) -> None:
    assert path_names(path) == names


# --- Dependencies --------------------------------------------------------------------------------------------------


class Repo(Generic[T]):
    def __init__(self, limit: int = 10) -> None: ...


class Reader:
    def __call__(self, limit: int = 10) -> int:
        return limit


@contextmanager
def managed(limit: int = 10) -> Iterator[int]:
    yield limit


def generated(limit: int = 10) -> Iterator[int]:
    yield limit


async def generated_async(limit: int = 10) -> AsyncIterator[int]:
    yield limit


async def awaited(limit: int = 10) -> int:
    return limit


@pytest.mark.parametrize(
    ("call", "threadpool", "form", "threaded"),
    [
        (get_one, None, Form.VALUE, True),
        (get_one, False, Form.VALUE, False),
        (Repo, None, Form.VALUE, False),
        (Repo, True, Form.VALUE, True),
        (Reader(), None, Form.VALUE, True),
        (managed, None, Form.CONTEXT_MANAGER, True),
        (managed, False, Form.CONTEXT_MANAGER, False),
        (generated, None, Form.GENERATOR, True),
        (awaited, None, Form.COROUTINE, False),
        (awaited, True, Form.COROUTINE, False),
        (generated_async, None, Form.ASYNC_GENERATOR, False),
    ],
)
def test_functions_run_in_threads_unless_they_are_classes_async_or_said_not_to(
    call: Callable[..., Any], threadpool: bool | None, form: Form, threaded: bool
) -> None:
    node = child(call, threadpool=threadpool)
    assert (node.form, node.threaded) == (form, threaded)


@pytest.mark.parametrize("call", [Repo, Reader(), managed, generated, awaited], ids=lambda call: type(call).__name__)
def test_every_kind_of_callable_is_read(call: Callable[..., Any]) -> None:
    assert [field.name for field in child(call).query_params] == ["limit"]


def test_depends_without_a_callable_takes_the_annotation() -> None:
    async def endpoint(repo: Annotated[Repo[int], Depends()], other: Repo[str] = Depends()) -> None: ...

    assert [node.call for node in tree(endpoint).dependencies] == [Repo[int], Repo[str]]


def test_dependencies_for_their_effect_come_first_in_their_order() -> None:
    async def endpoint(one: Annotated[int, Depends(get_one)]) -> None: ...

    dependant = Analysis("/items").endpoint(endpoint, [Depends(get_two), Security(generated, scopes=["a"])])
    assert [(node.name, node.call) for node in dependant.dependencies] == [
        (None, get_two),
        (None, generated),
        ("one", get_one),
    ]
    assert [node.call for node in dependant.effects] == [get_two, generated]


def test_what_two_need_is_one_node() -> None:
    async def left(one: Annotated[int, Depends(get_one)]) -> None: ...

    async def right(one: Annotated[int, Depends(get_one)]) -> None: ...

    async def endpoint(left: Annotated[None, Depends(left)], right: Annotated[None, Depends(right)]) -> None: ...

    first, second = tree(endpoint).dependencies
    assert first.dependencies[0] is second.dependencies[0]


def test_uses_that_differ_are_nodes_of_their_own() -> None:
    async def endpoint(
        one: Annotated[int, Depends(get_one)],
        again: Annotated[int, Depends(get_one)],
        fresh: Annotated[int, Depends(get_one, use_cache=False)],
        limited: Annotated[int, Depends(get_one, max_concurrency=1)],
    ) -> None: ...

    nodes = tree(endpoint).dependencies
    assert len({id(node) for node in nodes}) == 4
    assert [node.use_cache for node in nodes] == [True, True, False, True]
    assert [node.limit and node.limit.size for node in nodes] == [None, None, None, 1]


def test_a_long_chain_of_diamonds_is_analysed_in_no_time() -> None:
    # 2 ** 40 paths lead to the innermost one.
    call: Callable[..., Any] = get_one
    for _ in range(40):
        call = needing_twice(call)

    async def endpoint(value: Any = Depends(call)) -> None: ...

    assert len(list(tree(endpoint).walk())) == 1 + 1 + 2 * 40


def needing_twice(call: Callable[..., Any]) -> Callable[..., Any]:
    async def needs_twice(left: Any = Depends(call), right: Any = Depends(call)) -> None: ...

    return needs_twice


def test_security_scopes_are_used_by_all_above_the_one_that_asks() -> None:
    async def asks(scopes: SecurityScopes) -> None: ...

    async def between(asked: Annotated[None, Security(asks, scopes=["b"])]) -> None: ...

    async def beside() -> None: ...

    async def endpoint(
        between: Annotated[None, Security(between, scopes=["a"])], beside: Annotated[None, Depends(beside)]
    ) -> None: ...

    dependant = tree(endpoint)
    assert [(node.call, node.uses_scopes, node.own_oauth_scopes) for node in dependant.walk()] == [
        (endpoint, True, ()),
        (between, True, ("a",)),
        (asks, True, ("b",)),
        (beside, False, ()),
    ]


# --- Lifetimes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "scope", "lifetime"),
    [
        (generated, None, "connection"),
        (generated, "connection", "connection"),
        (generated, "request", "connection"),
        (generated, "function", "function"),
        (managed, "function", "function"),
        (get_one, "function", "connection"),
        (Repo, "function", "connection"),
    ],
)
def test_a_dependency_lives_as_long_as_it_says_if_it_has_to_be_closed(
    call: Callable[..., Any], scope: str | None, lifetime: str
) -> None:
    node = child(call, scope=scope)
    assert (node.scope, node.lifetime) == (scope, lifetime)


@pytest.mark.parametrize("form", ["value", "generator"])
def test_a_dependency_that_says_nothing_lives_as_long_as_the_shortest_that_it_needs(form: str) -> None:
    def value(
        longer: Annotated[int, Depends(generated)], shorter: Annotated[int, Depends(managed, scope="function")]
    ) -> None: ...

    def generator(value: Annotated[None, Depends(value)]) -> Iterator[None]:
        yield

    assert child(value if form == "value" else generator).lifetime == "function"


# --- Overrides -----------------------------------------------------------------------------------------------------


def overridden(call: Callable[..., Any], overrides: Mapping[Any, Callable[..., Any]], *effects: Any) -> Dependant:
    return Analysis("/items", LocalNames(sys._getframe(1)), overrides.get).endpoint(call, effects)


async def needs_one(one: Annotated[int, Depends(get_one)]) -> int:
    return one


async def endpoint_of_needs_one(value: Annotated[int, Security(needs_one, scopes=["a"], use_cache=False)]) -> None: ...


def test_an_override_takes_the_place_of_a_dependency_with_its_declaration() -> None:
    (node,) = overridden(endpoint_of_needs_one, {needs_one: get_two}).dependencies

    assert (node.call, node.name, node.use_cache, node.own_oauth_scopes) == (get_two, "value", False, ("a",))
    assert node.dependencies == ()


def test_an_override_works_at_any_depth_and_is_analysed_like_any_dependency() -> None:
    async def replacement(two: Annotated[int, Depends(get_two)], limit: int = 10) -> int: ...  # type: ignore[empty-body]  # never called

    (node,) = overridden(endpoint_of_needs_one, {get_one: replacement}).dependencies
    (inner,) = node.dependencies
    assert inner.call is replacement
    assert ([field.name for field in inner.query_params], inner.dependencies[0].call) == (["limit"], get_two)


def test_what_an_override_needs_is_overridden_too() -> None:
    async def replacement(two: Annotated[int, Depends(get_two)]) -> None: ...

    (node,) = overridden(endpoint_of_needs_one, {needs_one: replacement, get_two: get_one}).dependencies
    assert node.dependencies[0].call is get_one


def test_inside_of_an_override_the_replaced_one_is_the_original() -> None:
    async def wraps(value: Annotated[int, Depends(needs_one)]) -> None: ...

    (node,) = overridden(endpoint_of_needs_one, {needs_one: wraps}).dependencies
    assert (node.call, node.dependencies[0].call) == (wraps, needs_one)


def test_the_original_inside_of_an_override_is_not_taken_for_its_replacement_elsewhere() -> None:
    async def wraps(one: Annotated[int, Depends(get_one)]) -> None: ...

    async def endpoint(one: Annotated[int, Depends(get_one)], other: Annotated[int, Depends(needs_one)]) -> None: ...

    first, second = overridden(endpoint, {get_one: wraps}).dependencies
    assert [node.call for node in first.walk()] == [wraps, get_one]
    assert [node.call for node in second.walk()] == [needs_one, wraps, get_one]


def test_a_dependency_differs_with_the_overrides_that_it_is_inside_of() -> None:
    async def between(two: Annotated[int, Depends(get_two)]) -> None: ...

    async def instead_of_one(between: Annotated[None, Depends(between)]) -> None: ...

    async def instead_of_two(one: Annotated[int, Depends(get_one)]) -> None: ...

    async def endpoint(one: Annotated[int, Depends(get_one)], two: Annotated[int, Depends(get_two)]) -> None: ...

    first, second = overridden(endpoint, {get_one: instead_of_one, get_two: instead_of_two}).dependencies
    assert [node.call for node in first.walk()] == [instead_of_one, between, instead_of_two, get_one]
    assert [node.call for node in second.walk()] == [instead_of_two, instead_of_one, between, get_two]


def test_effects_are_overridden_and_the_endpoint_is_not() -> None:
    async def endpoint() -> None: ...

    dependant = overridden(endpoint, {get_one: get_two, endpoint: get_two}, Depends(get_one))
    assert (dependant.call, dependant.effects[0].call) == (endpoint, get_two)


def test_two_overrides_that_need_each_others_originals_are_no_cycle() -> None:
    async def instead_of_one(two: Annotated[int, Depends(get_two)]) -> None: ...

    async def instead_of_two(one: Annotated[int, Depends(get_one)]) -> None: ...

    (node,) = overridden(needs_one, {get_one: instead_of_one, get_two: instead_of_two}).dependencies
    assert [inner.call for inner in node.walk()] == [instead_of_one, instead_of_two, get_one]


# --- Two moments ---------------------------------------------------------------------------------------------------

LATER = """
    from __future__ import annotations
    from typing import Annotated
    from wsroute import Depends, Query

    async def endpoint(late: Annotated[Late, Query()], value: Annotated[int, Depends(later)]): ...
    async def with_late_dependency(value: Late = Depends()): ...
    """


def test_what_is_defined_later_is_found_at_binding() -> None:
    with module_of(LATER) as made:
        for endpoint in (made.endpoint, made.with_late_dependency):
            with pytest.raises(Undecided):
                tree(endpoint, final=False)
            with pytest.raises(AnnotationError, match="'Late'"):
                tree(endpoint)
        vars(made).update(Late=int, later=get_one)
        assert tree(made.endpoint).dependencies[0].call is get_one
        vars(made).update(Late=Repo)
        assert tree(made.with_late_dependency).dependencies[0].call is Repo


def test_what_an_outer_level_may_provide_is_decided_at_binding() -> None:
    async def endpoint(repo: Repo[int]) -> None: ...

    with pytest.raises(Undecided):
        tree(endpoint, final=False)
    with pytest.raises(InvalidParameterError):
        tree(endpoint)


def test_a_tree_that_no_outer_level_can_change_is_decided_at_declaration() -> None:
    assert tree(needs_one, final=False).dependencies[0].call is get_one


def test_the_dependencies_of_a_level_are_read_for_their_mistakes_only() -> None:
    location = Location(chain=("level",))
    Analysis("/items", final=False).level(location, effects=[Depends(needs_one)])

    async def itself(again: Any) -> None: ...

    itself.__annotations__["again"] = Annotated[Any, Depends(itself)]
    with pytest.raises(DependencyCycleError) as raised:
        Analysis("/items", final=False).level(location, effects=[Depends(itself)])
    here = f"{__name__}.test_the_dependencies_of_a_level_are_read_for_their_mistakes_only.<locals>"
    assert raised.value.location.chain == ("level", f"{here}.itself", f"{here}.itself")


# --- Signatures are remembered ---------------------------------------------------------------------------------------


def test_a_signature_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endpoint(one: Annotated[int, Depends(get_one)]) -> None: ...

    tree(endpoint)
    monkeypatch.delattr("wsroute.dependencies.nodes.get_signature")
    assert tree(endpoint, "/other").dependencies[0].call is get_one


def test_a_callable_that_cannot_be_remembered_is_read_each_time() -> None:
    class Slotted:
        __slots__ = ()

        def __call__(self, limit: int = 10) -> int:
            return limit

    class Unhashable(Reader):
        __hash__ = None  # type: ignore[assignment]  # how Python itself spells it

    for call in (Slotted(), Unhashable()):
        for _ in range(2):
            assert [field.name for field in child(call).query_params] == ["limit"]


def test_what_is_remembered_keeps_no_callable_alive() -> None:
    watched = watch_a_tree()
    gc.collect()
    assert [reference() for reference in watched] == [None, None]


def watch_a_tree() -> list[weakref.ref[Any]]:
    async def dependency() -> None: ...

    # Not in Annotated: typing itself keeps those for a while.
    async def endpoint(value: None = Depends(dependency)) -> None: ...

    tree(endpoint)
    return [weakref.ref(dependency), weakref.ref(endpoint)]


# --- get_dependant -------------------------------------------------------------------------------------------------


def test_get_dependant_gives_the_tree_of_any_callable() -> None:
    dependant = get_dependant(path="/{item}", call=generated, name="value", use_cache=False, scope="function")

    assert (dependant.call, dependant.name, dependant.path) == (generated, "value", "/{item}")
    assert (dependant.use_cache, dependant.scope, dependant.lifetime) == (False, "function", "function")


def test_get_dependant_takes_a_parameter_without_a_marker_for_what_it_is_in_an_endpoint() -> None:
    async def endpoint(item: int, tasks: TaskGroup) -> None: ...

    assert [field.name for field in get_dependant(path="/{item}", call=endpoint).path_params] == ["item"]
