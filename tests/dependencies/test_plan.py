"""From the tree to the list: what is shared, in which order, and what it all runs on."""

# Annotations are evaluated where they are written, so that functions inside of tests may name each other.

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from wsroute import BackgroundTasks, Depends, Query, Security, SecurityScopes
from wsroute.dependencies.analysis import Analysis
from wsroute.dependencies.models import Dependant, Special
from wsroute.dependencies.plan import Plan
from wsroute.dependencies.planner import make_plan, websocket_class
from wsroute.dependencies.steps import Step, hops
from wsroute.exceptions import InvalidParameterError


def tree_of(endpoint: Any, *effects: Any) -> Dependant:
    return Analysis("/").endpoint(endpoint, effects)


def plan_of(endpoint: Any, *effects: Any) -> Plan:
    return make_plan(tree_of(endpoint, *effects))


def calls(plan: Plan) -> list[Any]:
    return [step.call for step in plan.calls]


async def leaf() -> str:
    return "leaf"


async def other() -> str:
    return "other"


Leaf = Annotated[str, Depends(leaf)]


async def branch(leaf: Leaf) -> None: ...


async def fresh_branch(leaf: Annotated[str, Depends(leaf, use_cache=False)]) -> None: ...


def test_a_shared_dependency_is_one_step() -> None:
    async def endpoint(branch: Annotated[None, Depends(branch)], leaf: Leaf) -> None: ...

    plan = plan_of(endpoint)

    assert calls(plan) == [leaf, branch, endpoint]
    assert [argument.variable for argument in plan.endpoint.arguments] == ["branch", "leaf"]


def test_a_shared_parent_does_not_make_its_unshared_child_run_again() -> None:
    async def endpoint(
        one: Annotated[None, Depends(fresh_branch)], two: Annotated[None, Depends(fresh_branch)], leaf: Leaf
    ) -> None: ...

    plan = plan_of(endpoint)

    assert calls(plan) == [leaf, fresh_branch, leaf, endpoint]
    assert [argument.variable for argument in plan.endpoint.arguments] == ["one", "one", "leaf_2"]


def test_an_unshared_parent_uses_a_shared_child() -> None:
    fresh = Depends(branch, use_cache=False)

    async def endpoint(one: Annotated[None, fresh], two: Annotated[None, fresh]) -> None: ...

    assert calls(plan_of(endpoint)) == [leaf, branch, branch, endpoint]


def test_what_runs_for_its_effect_runs_first_and_is_shared() -> None:
    async def endpoint(other: Annotated[str, Depends(other)], leaf: Leaf) -> None: ...

    plan = plan_of(endpoint, Depends(leaf))

    assert calls(plan) == [leaf, other, endpoint]
    assert [step.target for step in plan.calls] == ["leaf", "other", ""]


def test_security_scopes_make_two_steps_only_where_they_are_looked_at() -> None:
    async def looks(scopes: SecurityScopes) -> None: ...

    async def needs_it(looks: Annotated[None, Depends(looks)]) -> None: ...

    async def endpoint(
        one: Annotated[None, Security(needs_it, scopes=["a"])],
        two: Annotated[None, Security(needs_it, scopes=["b"])],
        three: Annotated[None, Security(needs_it, scopes=["a", "a"])],
        four: Annotated[str, Security(leaf, scopes=["a"])],
        five: Annotated[str, Security(leaf, scopes=["b"])],
    ) -> None: ...

    plan = plan_of(endpoint)

    assert calls(plan) == [looks, needs_it, looks, needs_it, leaf, endpoint]
    assert [argument.variable for argument in plan.endpoint.arguments] == ["one", "two", "one", "four", "four"]
    assert [value.oauth_scopes for value in plan.values] == [("a",), ("b",)]


def test_security_scopes_add_up_from_the_outermost_declaration_inwards() -> None:
    async def looks(scopes: SecurityScopes) -> None: ...

    async def needs_it(looks: Annotated[None, Security(looks, scopes=["inner", "both"])]) -> None: ...

    async def endpoint(one: Annotated[None, Security(needs_it, scopes=["outer", "both"])]) -> None: ...

    [value] = plan_of(endpoint).values
    assert value.oauth_scopes == ("outer", "both", "inner")


def test_callables_that_cannot_be_hashed_are_shared_by_identity() -> None:
    @dataclass
    class Equal:
        limit: int

        async def __call__(self) -> None: ...

    one, two = Equal(1), Equal(1)

    async def endpoint(
        a: Annotated[None, Depends(one)], b: Annotated[None, Depends(two)], c: Annotated[None, Depends(one)]
    ) -> None: ...

    assert [argument.variable for argument in plan_of(endpoint).endpoint.arguments] == ["a", "b", "a"]


async def session() -> AsyncIterator[str]:
    yield "session"


def test_what_lives_longer_is_opened_first() -> None:
    async def short(leaf: Leaf) -> AsyncIterator[str]:
        yield leaf

    async def endpoint(
        short: Annotated[str, Depends(short, scope="function")],
        other: Annotated[str, Depends(other)],
        session: Annotated[str, Depends(session)],
    ) -> None: ...

    plan = plan_of(endpoint)
    [stage] = plan.stages
    outer, inner = stage.by_lifetime()

    assert [call.call for step in outer for call in step.calls] == [leaf, other, session]
    assert [call.call for step in inner for call in step.calls] == [short]
    assert plan.steps == (*outer, *inner, plan.endpoint)
    assert plan.endpoint.call is endpoint


def test_one_generator_with_two_lifetimes_is_two_steps() -> None:
    async def endpoint(
        short: Annotated[str, Depends(session, scope="function")],
        long: Annotated[str, Depends(session, scope="connection")],
        request: Annotated[str, Depends(session, scope="request")],
        unsaid: Annotated[str, Depends(session)],
    ) -> None: ...

    plan = plan_of(endpoint)

    assert [step.target for step in plan.calls] == ["long", "short", ""]
    assert [argument.variable for argument in plan.endpoint.arguments] == ["short", "long", "long", "long"]


def test_there_is_one_object_of_each_kind_and_class_of_the_connection() -> None:
    class OwnTasks(BackgroundTasks):
        pass

    async def dependency(tasks: BackgroundTasks, socket: HTTPConnection) -> None: ...

    async def endpoint(
        websocket: WebSocket, mine: OwnTasks, tasks: BackgroundTasks, needed: Annotated[None, Depends(dependency)]
    ) -> None: ...

    plan = plan_of(endpoint)

    assert [(value.special, value.cls) for value in plan.values] == [
        (Special.BACKGROUND_TASKS, OwnTasks),
        (Special.BACKGROUND_TASKS, BackgroundTasks),
    ]
    assert [step.takes_socket for step in plan.calls] == [True, True]
    first = plan.value_of(Special.BACKGROUND_TASKS)
    assert first is not None and first.cls is OwnTasks
    assert plan.value_of(Special.TASK_GROUP) is None


# The class of the WebSocket


class Left(WebSocket):
    pass


class Right(WebSocket):
    pass


class Both(Left, Right):
    pass


def asking_for(cls: type[HTTPConnection]) -> Any:
    async def dependency(socket: Any) -> None: ...

    dependency.__annotations__["socket"] = cls
    dependency.__qualname__ = f"needs_{cls.__name__}"
    return Depends(dependency)


async def bare() -> None: ...


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ([], WebSocket),
        ([HTTPConnection], WebSocket),
        ([WebSocket, Left], Left),
        ([Left, WebSocket, HTTPConnection], Left),
        ([Left, Right, Both], Both),
        ([Both, Right, Left], Both),
        ([Left, Both, Right], Both),
    ],
)
def test_the_socket_is_of_the_most_derived_class_that_is_asked_for(
    asked: list[type[HTTPConnection]], chosen: type[WebSocket]
) -> None:
    assert websocket_class(tree_of(bare, *map(asking_for, asked))) is chosen


def test_unrelated_classes_of_sockets_are_an_error() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        websocket_class(tree_of(bare, asking_for(Left), asking_for(Right)))

    module = __name__
    assert str(caught.value) == (
        f"{module}.Right and {module}.Left are asked for on one connection, which has one WebSocket\n"
        "  route '/'\n"
        f"  {module}.bare\n"
        f"     └─ {module}.needs_Right\n"
        "        parameter 'socket'\n"
        "  expected: classes of which one is a subclass of all others\n"
        "  remedy: annotate with a common subclass, or with WebSocket"
    )


# Hops


def first() -> str:
    return "first"


def second() -> str:
    return "second"


def with_socket(websocket: WebSocket) -> None: ...


def opened() -> Iterator[None]:
    yield


def test_only_neighbours_that_are_plain_and_threaded_and_cannot_end_the_connection_share_a_hop() -> None:
    async def endpoint(
        a: Annotated[str, Depends(first)],
        b: Annotated[str, Depends(second)],
        c: Annotated[str, Depends(leaf)],
        d: Annotated[str, Depends(first, use_cache=False)],
        e: Annotated[None, Depends(with_socket)],
        f: Annotated[str, Depends(second, use_cache=False)],
        g: Annotated[str, Depends(first, use_cache=False, max_concurrency=1)],
        h: Annotated[str, Depends(second, use_cache=False)],
        i: Annotated[None, Depends(opened)],
        j: Annotated[str, Depends(first, use_cache=False, threadpool=False)],
        k: Annotated[str, Depends(first, use_cache=False)],
        l: Annotated[str, Depends(second, use_cache=False)],  # noqa: E741  # the alphabet goes on
        m: Annotated[str, Depends(first, use_cache=False)],
    ) -> None: ...

    found = ["".join(step.target for step in hop) for hop in hops(plan_of(endpoint).calls[:-1])]

    assert found == ["ab", "c", "d", "e", "f", "g", "h", "i", "j", "klm"]


def test_there_are_no_hops_without_steps() -> None:
    steps: tuple[Step, ...] = ()
    assert list(hops(steps)) == []


# Explanation


def user(token: Annotated[str, Query(alias="t")], limit: int = 5) -> str:
    return token


def test_an_explanation_has_a_line_for_each_step() -> None:
    async def endpoint(
        websocket: WebSocket,
        session: Annotated[str, Depends(session, scope="function", max_concurrency=3)],
        leaf: Leaf,
        who: Annotated[str, Depends(user)],
        also: Annotated[str, Depends(first)],
        opened: Annotated[None, Depends(opened)],
        inline: Annotated[str, Depends(second, threadpool=False)],
    ) -> None: ...

    endpoint.__qualname__ = "endpoint"
    lines = plan_of(endpoint, Depends(other)).explain().replace(f"{__name__}.", "").splitlines()

    assert [" ".join(line.split()) for line in lines] == [
        "1 other() # coroutine",
        "2 leaf = leaf() # coroutine",
        "3 who = user(token=query 't', limit=query 'limit') # call, in a worker thread, 2 in one hop",
        "4 also = first() # call, in a worker thread, 2 in one hop",
        "5 opened = opened() # generator, in a worker thread, open until the connection ends",
        "6 inline = second() # call",
        "7 session = session() # async generator, limited, open until the function ends",
        "8 endpoint(websocket, session, leaf, who, also, opened, inline) # the endpoint",
    ]


def test_a_plan_cannot_be_changed() -> None:
    async def endpoint(websocket: WebSocket) -> None: ...

    with pytest.raises(AttributeError, match="a plan cannot be changed"):
        plan_of(endpoint).steps = ()
