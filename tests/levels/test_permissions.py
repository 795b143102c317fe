"""Permissions: what is asked, when, with what, and what a denial says."""

from __future__ import annotations

import itertools
import operator
import threading
from collections.abc import Iterator
from types import NoneType, SimpleNamespace
from typing import Annotated, Any, get_args

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from tests.frameworks import FastAPI
from tests.handshakes import handshake
from tests.levels.talk import connect, refusal, reply
from wsroute import (
    AllowAny,
    APIWebSocketRoute,
    BasePermission,
    DenyAll,
    Depends,
    Header,
    HTTPException,
    PermissionAnswerError,
    Request,
    WebSocket,
    WebSocketException,
    WebSocketGateway,
    WebSocketRouter,
    WebSocketView,
    websocket,
)
from wsroute.dependencies.rules import Rule

pytestmark = pytest.mark.anyio


async def accept(socket: WebSocket) -> None:
    await socket.accept()


def guarded(*permissions: Any) -> APIWebSocketRoute:
    return APIWebSocketRoute("/", accept, permissions=permissions)


def answering(name: str, answer: Any, asked: list[str], *, sync: bool = False) -> type[BasePermission]:
    """A permission that notes that it is asked."""

    class Asynchronous(BasePermission):
        message = f"{name} says no"

        async def has_permission(self, socket: WebSocket, route: Any) -> Any:
            asked.append(name)
            return answer

    class Synchronous(BasePermission):
        message = f"{name} says no"

        def has_permission(self, socket: WebSocket, route: Any) -> Any:
            asked.append(name)
            return answer

    return Synchronous if sync else Asynchronous


# --- What an answer means --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize(
    ("answer", "passes"),
    [(True, True), (False, False), (1, True), (0, False), (None, False), ("no", True), ("", False), ([], False)],
)
async def test_an_answer_is_whether_it_is_true(answer: Any, passes: bool, sync: bool) -> None:
    asked: list[str] = []
    peer = await connect(guarded(answering("P", answer, asked, sync=sync)))
    assert bool(peer.accepted) is passes
    assert asked == ["P"]


async def test_a_denial_is_403_with_the_message() -> None:
    assert await refusal(guarded(answering("P", False, []))) == (403, "P says no")
    assert await refusal(guarded(DenyAll)) == (403, "Forbidden")


async def test_a_message_may_be_any_json() -> None:
    class Members(DenyAll):
        message = {"code": "members", "needs": ["a", "b"]}

    assert await refusal(guarded(Members)) == (403, {"code": "members", "needs": ["a", "b"]})


async def test_a_message_may_belong_to_the_instance() -> None:
    denied = DenyAll()
    denied.message = "of the instance"
    assert await refusal(guarded(denied)) == (403, "of the instance")


async def test_where_no_response_can_be_sent_the_close_says_it() -> None:
    peer = await connect(guarded(answering("P", False, [])), denials=False)
    assert peer.closed == (1008, "P says no")


async def test_all_have_to_pass_and_the_first_that_denies_is_the_last_that_is_asked() -> None:
    asked: list[str] = []
    route = guarded(*(answering(name, name != "C", asked) for name in "ABCD"))
    assert await refusal(route) == (403, "C says no")
    assert asked == ["A", "B", "C"]


async def test_allow_any_and_deny_all() -> None:
    assert (await connect(guarded(AllowAny))).accepted
    assert (await connect(guarded(AllowAny()))).accepted
    assert await refusal(guarded(AllowAny, DenyAll())) == (403, "Forbidden")


async def test_an_empty_list_lets_all_pass() -> None:
    assert (await connect(guarded())).accepted


@pytest.mark.parametrize("sync", [False, True])
async def test_an_answer_that_has_yet_to_be_awaited_is_no_answer(sync: bool) -> None:
    async def later() -> bool:
        return True

    class Later:
        __qualname__ = "Later"

        async def has_permission(self, socket: WebSocket, route: Any) -> Any:
            return later()

    class Wrapped:
        def has_permission(self, socket: WebSocket, route: Any) -> Any:
            return later()

    denied: list[Any] = []

    async def swallowing(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(PermissionAnswerError) as raised:
            await guarded(Wrapped if sync else Later)(scope, receive, send)
        denied.append(raised.value.permission.rpartition(".")[2])

    assert await refusal(swallowing) == (500, "Internal Server Error")
    assert denied == ["has_permission"]


async def test_a_future_is_no_answer_and_a_negation_of_one_is_none() -> None:
    class Future:
        def __await__(self) -> Iterator[None]:
            raise AssertionError("awaited")

    for rule in (answering("P", Future(), []), ~answering("P", Future(), []), answering("P", Future(), []) | AllowAny):
        with pytest.raises(PermissionAnswerError, match=r"returned an awaitable or a generator for an answer"):
            await connect(guarded(rule))


@pytest.mark.parametrize(
    ("raised", "status", "detail"),
    [
        (HTTPException(401, "who?", {"www-authenticate": "Basic"}), 401, "who?"),
        (HTTPException(302, "elsewhere", {"location": "/login"}), 302, "elsewhere"),
    ],
)
async def test_an_http_exception_of_a_permission_is_the_refusal(
    raised: HTTPException, status: int, detail: str
) -> None:
    class Raising(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any) -> bool:
            raise raised

    peer = await connect(guarded(Raising))
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.json()) == (status, {"detail": detail})
    for name, value in (raised.headers or {}).items():
        assert peer.denial.header(name) == [value]


async def test_a_close_code_of_a_permission_is_the_refusal() -> None:
    class Raising(BasePermission):
        def has_permission(self, socket: WebSocket, route: Any) -> bool:
            raise WebSocketException(4001, "full")

    peer = await connect(guarded(Raising))
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.json()) == (403, {"code": 4001, "reason": "full"})


async def test_a_permission_that_fails_lets_nobody_pass() -> None:
    class Failing(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any) -> bool:
            raise ZeroDivisionError

    for rule in (Failing, ~Failing(), Failing | AllowAny):
        with pytest.raises(ZeroDivisionError):
            await connect(guarded(rule))


async def test_a_permission_that_closes_has_refused_whatever_it_answers() -> None:
    asked: list[str] = []

    class Closing(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any) -> bool:
            await socket.close(4000, "closed")
            return True

    peer = await connect(guarded(Closing, answering("after", True, asked)))
    assert peer.closed == (4000, "closed")
    assert asked == []


@pytest.mark.parametrize("permissions", [lambda p, q: [p, q], lambda p, q: [p & q]], ids=["list", "rule"])
async def test_after_one_that_closes_no_other_is_asked(permissions: Any) -> None:
    asked: list[str] = []

    class Closing(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any) -> bool:
            await socket.close()
            return True

    await connect(guarded(*permissions(Closing, answering("after", False, asked))))
    assert asked == []


async def test_a_permission_that_accepts_is_closed_when_the_next_denies() -> None:
    class Accepting(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any) -> bool:
            await socket.accept()
            return True

    peer = await connect(guarded(Accepting, DenyAll))
    assert peer.accepted
    assert peer.closed == (1008, "Forbidden")


# --- Expressions -----------------------------------------------------------------------------------------------------

Expression = Any  # "P", or ("and" | "or", left, right), or ("not", operand)

NAMES = "PQR"


def built(expression: Expression, permissions: dict[str, Any]) -> Any:
    """The rule that an expression is."""
    match expression:
        case str():
            return permissions[expression]
        case ("not", operand):
            return ~built(operand, permissions)
        case ("and", left, right):
            return built(left, permissions) & built(right, permissions)
        case _:
            return built(expression[1], permissions) | built(expression[2], permissions)


def asked_by(expression: Expression, answers: dict[str, bool], asked: list[str]) -> bool:
    """What an expression comes to as Python would have it."""
    match expression:
        case str():
            asked.append(expression)
            return answers[expression]
        case ("not", operand):
            return not asked_by(operand, answers, asked)
        case ("and", left, right):
            return asked_by(left, answers, asked) and asked_by(right, answers, asked)
        case _:
            return asked_by(expression[1], answers, asked) or asked_by(expression[2], answers, asked)


def said_by(expression: Expression, answers: dict[str, bool]) -> str:
    """What a denial says: of a chain of `&` the operand that denies, of `|` its last operand, of `~` nothing."""
    match expression:
        case str():
            return f"{expression} says no"
        case ("not", _):
            return "Forbidden"
        case ("and", left, right):
            return said_by(left if not asked_by(left, answers, []) else right, answers)
        case _:
            return last_of(expression[2])


def last_of(expression: Expression) -> str:
    match expression:
        case str():
            return f"{expression} says no"
        case ("not", _):
            return "Forbidden"
        case _:
            return last_of(expression[2])


def truth(expression: Expression, *, instances: bool, sync: bool = False) -> None:
    """An expression for all answers, against Python's own operators."""
    for combination in itertools.product([True, False], repeat=len(NAMES)):
        answers = dict(zip(NAMES, combination, strict=True))
        asked: list[str] = []
        classes = {name: answering(name, answer, asked, sync=sync) for name, answer in answers.items()}
        permissions = {name: cls() for name, cls in classes.items()} if instances else classes
        peer = handshake(guarded(built(expression, permissions)))
        expected: list[str] = []
        passes = asked_by(expression, answers, expected)
        assert (bool(peer.accepted), asked) == (passes, expected), (expression, answers)
        if not passes:
            assert peer.denial is not None
            assert (peer.denial.status, peer.denial.json()) == (403, {"detail": said_by(expression, answers)})


PAIRS = [(operator, left, right) for operator in ("and", "or") for left, right in (("P", "Q"), ("P", ("not", "Q")))]


@pytest.mark.parametrize("instances", [False, True], ids=["classes", "instances"])
@pytest.mark.parametrize(
    "expression",
    [
        "P",
        ("not", "P"),
        ("not", ("not", "P")),
        *PAIRS,
        *(("not", pair) for pair in PAIRS[:3]),
        *((operator, pair, "R") for operator in ("and", "or") for pair in PAIRS[:3]),
        *((operator, "R", pair) for operator in ("and", "or") for pair in PAIRS[:3]),
    ],
    ids=str,
)
def test_the_truth_table_of_an_expression(expression: Expression, instances: bool) -> None:
    truth(expression, instances=instances)


expressions = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: st.one_of(st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None)
@given(expression=expressions, instances=st.booleans(), sync=st.booleans())
def test_any_expression_is_what_pythons_operators_are(expression: Expression, instances: bool, sync: bool) -> None:
    truth(expression, instances=instances, sync=sync)


def test_classes_instances_and_rules_combine() -> None:
    rule = (AllowAny & DenyAll()) | ~(DenyAll | AllowAny())
    assert isinstance(rule, Rule)
    assert rule.operator == "or"
    for combined in (AllowAny & Duck(), Duck() & AllowAny, AllowAny() | Duck(), Duck() | AllowAny(), ~rule | Duck()):
        assert isinstance(combined, Rule)


class Duck:
    """A permission that derives from nothing."""

    async def has_permission(self, socket: WebSocket, route: Any) -> bool:
        return socket.query_params.get("duck") == "yes"


@pytest.mark.parametrize("other", [3, None, "P", object()])
@pytest.mark.parametrize("permission", [AllowAny, AllowAny(), ~AllowAny], ids=["class", "instance", "rule"])
def test_what_is_no_permission_does_not_combine(permission: Any, other: Any) -> None:
    combinations = [operator.and_]
    if other is not None or not isinstance(permission, type):
        combinations.append(operator.or_)  # `P | None` is a type
    for combine in combinations:
        with pytest.raises(TypeError):
            combine(permission, other)
        with pytest.raises(TypeError):
            combine(other, permission)


def test_a_union_of_types_stays_a_union() -> None:
    assert get_args(AllowAny | None) == (AllowAny, NoneType)
    assert get_args(None | AllowAny) == (NoneType, AllowAny)
    assert get_args(AllowAny | int) == (AllowAny, int)
    assert get_args(int | AllowAny) == (int, AllowAny)

    def takes(permission: AllowAny | None, cls: type[DenyAll] | None) -> None: ...

    assert takes.__annotations__["permission"] == "AllowAny | None"


# --- With what it is asked -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [Starlette, FastAPI, None], ids=["Starlette", "FastAPI", "alone"])
async def test_it_gets_the_socket_and_the_effective_route(wrap: Any) -> None:
    seen: list[Any] = []

    class Looking(BasePermission):
        async def has_permission(self, anything: WebSocket, at_all: BaseRoute) -> bool:
            seen.extend((anything.url.path, anything.path_params, at_all))
            return True

    class Also:
        def has_permission(self, request: WebSocket, /, view: Any) -> bool:
            seen.append(view)
            return request.url.path == "/api/ws/7"

    @websocket("/{number:int}", permissions=[Also])
    async def handler(socket: WebSocket) -> None:
        await socket.accept()

    router = WebSocketRouter("/api", routes=[WebSocketGateway("/ws", handler=handler, permissions=[Looking])])
    app: Any = router
    if wrap is not None:
        app = wrap()
        router.attach(app)
    assert (await connect(app, "/api/ws/7")).accepted
    assert seen == ["/api/ws/7", {"number": 7}, router.routes[0], router.routes[0]]


async def test_it_gets_the_route_also_where_the_scope_does_not_name_it() -> None:
    seen: list[Any] = []

    class Looking:
        async def has_permission(self, socket: WebSocket, route: Any) -> bool:
            seen.append(route)
            return True

    route = guarded(Looking)

    async def foreign(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = "another one"
        await route.handle(scope, receive, send)

    assert (await connect(route.app)).accepted
    assert (await connect(foreign)).accepted
    assert seen == [route, route]


async def test_the_first_parameter_may_be_a_subclass_of_the_socket_or_a_request() -> None:
    seen: list[Any] = []

    class Own(WebSocket): ...

    class First:
        async def has_permission(self, socket: Own, route: Any) -> bool:
            seen.append(type(socket))
            return isinstance(socket, Own)

    class Second:
        async def has_permission(self, request: Request, route: Any) -> bool:
            seen.append(request.method)
            return True

    assert (await connect(guarded(First, Second))).accepted
    assert seen[1] == "GET"


async def test_what_it_needs_is_injected_and_shared_with_the_endpoint() -> None:
    made: list[str] = []

    def user(token: Annotated[str, Header()]) -> str:
        made.append(token)
        return f"user {token}"

    class Needing(BasePermission):
        def __init__(self, role: str = "guest") -> None:
            self.role = role

        async def has_permission(
            self,
            socket: WebSocket,
            route: Any,
            user: str,
            room: int,
            other: Annotated[str, Depends(user)],
            limit: int = 3,
        ) -> bool:
            made.append(f"{self.role} {user} {room} {other} {limit}")
            return True

    @websocket("/{room}", permissions=[Needing("admin") & Needing])
    async def handler(socket: WebSocket, user: str) -> None:
        await socket.accept()
        await socket.send_json(user)

    app = WebSocketGateway(handler=handler, dependencies={"user": user})
    assert await reply(app, "/5?limit=4", headers={"token": "t"}) == "user t"
    assert made == ["t", "admin user t 5 user t 4", "guest user t 5 user t 4"]


async def test_what_an_expression_needs_is_resolved_before_any_of_it_is_asked() -> None:
    log: list[str] = []

    def needed() -> str:
        log.append("needed")
        return ""

    class Late(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any, needed: Annotated[str, Depends(needed)]) -> bool:
            log.append("late")
            return True

    await connect(guarded(answering("early", True, log) | Late))
    assert log == ["needed", "early"]


async def test_what_a_later_permission_needs_is_resolved_after_an_earlier_one_has_passed() -> None:
    log: list[str] = []

    def needed() -> None:
        log.append("needed")

    class Late(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any, needed: Annotated[None, Depends(needed)]) -> bool:
            return True

    await connect(guarded(answering("early", False, log), Late))
    assert log == ["early"]
    await connect(guarded(answering("early", True, log), Late))
    assert log == ["early", "early", "needed"]


async def test_bad_parameters_of_a_permission_are_all_told_with_those_of_the_endpoint() -> None:
    asked: list[str] = []

    class Needing(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any, a: int, b: Annotated[int, Header()]) -> bool:
            asked.append("needing")
            return True

    async def endpoint(socket: WebSocket, c: int, a: int) -> None:
        asked.append("endpoint")

    route = APIWebSocketRoute("/", endpoint, permissions=[answering("first", True, asked), Needing, AllowAny])
    status, detail = await refusal(route, "/?a=x&c=y")
    assert status == 422
    assert [(error["type"], error["loc"]) for error in detail] == [
        ("int_parsing", ["query", "a"]),
        ("missing", ["header", "b"]),
        ("int_parsing", ["query", "c"]),
    ]
    assert asked == ["first"]


async def test_bad_parameters_are_not_told_to_whom_an_earlier_permission_denies() -> None:
    class Needing(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any, a: int) -> bool:
            return True

    assert await refusal(guarded(DenyAll, Needing)) == (403, "Forbidden")


@pytest.mark.parametrize("sync", [False, True])
async def test_a_synchronous_one_runs_in_a_worker_thread(sync: bool) -> None:
    threads: list[int] = []

    class Asynchronous:
        async def has_permission(self, socket: WebSocket, route: Any) -> bool:
            threads.append(threading.get_ident())
            return True

    class Synchronous:
        def has_permission(self, socket: WebSocket, route: Any, limit: int = 3) -> bool:
            threads.append(threading.get_ident())
            return True

    await connect(guarded(Synchronous if sync else Asynchronous))
    assert (threads != [threading.get_ident()]) is sync


async def test_a_synchronous_one_may_reach_back_into_the_event_loop() -> None:
    class Slow:
        def has_permission(self, socket: WebSocket, route: Any) -> bool:
            return anyio.from_thread.run(self.ask)

        async def ask(self) -> bool:
            await anyio.lowlevel.checkpoint()
            return True

    assert (await connect(guarded(Slow))).accepted


@pytest.mark.parametrize("target", ["/", "/?duck=yes"])
async def test_anything_with_the_method_is_a_permission(target: str) -> None:
    class Static:
        @staticmethod
        async def has_permission(socket: WebSocket, route: Any) -> bool:
            return socket.query_params.get("duck") == "yes"

    class OfClass:
        @classmethod
        def has_permission(cls, socket: WebSocket, route: Any) -> bool:
            return socket.query_params.get("duck") == "yes"

    bare = SimpleNamespace(has_permission=lambda socket, route: socket.query_params.get("duck") == "yes")
    for permission in (Duck, Duck(), Static, Static(), OfClass, OfClass(), bare):
        assert bool((await connect(guarded(permission), target)).accepted) is ("duck" in target), permission


# --- How often it is made and asked ----------------------------------------------------------------------------------


async def test_a_class_is_made_once_for_each_route_at_binding() -> None:
    made: list[Any] = []

    class Counting(BasePermission):
        def __init__(self) -> None:
            made.append(self)
            self.asked = 0

        async def has_permission(self, socket: WebSocket, route: Any) -> bool:
            self.asked += 1
            return True

    class View(WebSocketView):
        permissions = [Counting]

        @websocket("/a")
        async def a(self, socket: WebSocket) -> None: ...

        @websocket("/b")
        async def b(self, socket: WebSocket) -> None: ...

    app = WebSocketRouter(routes=[WebSocketGateway(handler=View)])
    assert made == []
    app.check()
    assert len(made) == 2
    for target in ("/a", "/b", "/b"):
        await connect(app, target)
    assert sorted(permission.asked for permission in made) == [1, 2]


async def test_two_applications_on_one_gateway_share_no_instance() -> None:
    made: list[Any] = []

    class Counting(BasePermission):
        def __init__(self) -> None:
            made.append(self)

        async def has_permission(self, socket: WebSocket, route: Any) -> bool:
            return True

    @websocket("/", permissions=[Counting])
    async def handler(socket: WebSocket) -> None: ...

    gateway = WebSocketGateway(handler=handler)
    for app in (WebSocketRouter(routes=[gateway]), WebSocketRouter(routes=[gateway]), gateway):
        await connect(app)
        await connect(app)
    assert len(made) == 3


async def test_the_same_one_at_two_levels_is_asked_once_at_its_first_place() -> None:
    asked: list[str] = []
    same, instance, other = answering("same", True, asked), answering("instance", True, asked)(), Duck
    router = WebSocketRouter(permissions=[same, instance, answering("router", True, asked)])
    router.websocket("/", permissions=[answering("route", True, asked), same, instance, other])(accept)
    assert await refusal(router) == (403, "Forbidden")
    assert asked == ["same", "instance", "router", "route"]


async def test_two_instances_of_a_class_are_both_asked() -> None:
    asked: list[str] = []
    cls = answering("P", True, asked)
    await connect(guarded(cls(), cls(), cls))
    assert asked == ["P"] * 3


def test_a_callers_list_is_neither_changed_nor_kept() -> None:
    permissions: list[Any] = [AllowAny]
    gateway = WebSocketGateway(handler=accept, permissions=permissions)
    permissions.append(DenyAll)
    assert gateway.permissions == [AllowAny]
    assert handshake(gateway).accepted


async def test_the_endpoint_is_reached_after_all_have_passed_in_the_order_of_the_levels() -> None:
    asked: list[str] = []

    def asking(name: str) -> list[Any]:
        return [answering(f"{name} 1", True, asked), answering(f"{name} 2", True, asked, sync=True)]

    class View(WebSocketView):
        permissions = asking("view")

        @websocket("/", permissions=asking("handler"))
        async def handle(self, socket: WebSocket) -> None:
            asked.append("endpoint")

    inner = WebSocketRouter(
        permissions=asking("inner"), routes=[WebSocketGateway(handler=View, permissions=asking("gateway"))]
    )
    outer = WebSocketRouter(permissions=asking("router"))
    outer.include_router(inner, permissions=asking("inclusion"))
    await connect(outer)
    levels = ("router", "inclusion", "inner", "gateway", "view", "handler")
    assert asked == [*(f"{level} {number}" for level in levels for number in (1, 2)), "endpoint"]


def test_what_it_is_made_to_is_readable() -> None:
    class IsMember(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any, level: int = 1) -> bool:
            return True

    class IsOwner(BasePermission):
        def has_permission(self, socket: WebSocket, route: Any) -> bool:
            return True

    route = guarded(IsMember & (IsOwner | ~DenyAll))
    here = f"{__name__}.{test_what_it_is_made_to_is_readable.__qualname__}.<locals>"
    rule = "# one of 3 permissions in one rule"
    assert [line.split(maxsplit=1)[1] for line in route.plan.explain().splitlines()] == [
        f"{here}.IsMember.has_permission(socket=websocket, route, level=query 'level')  {rule}, coroutine",
        f"{here}.IsOwner.has_permission(socket=websocket, route)  {rule}, call, in a worker thread",
        f"wsroute.routing.permissions.DenyAll.has_permission(websocket, route)  {rule}, coroutine",
        f"{__name__}.accept(socket=websocket)  # the endpoint",
    ]
    body = [line.strip() for line in route.source.splitlines()]
    assert f"if not granted(await is_member(websocket, route, level), '{here}.IsMember.has_permission'):" in body
