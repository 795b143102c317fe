"""`max_connections=`: how many connections may be open, below which level, and of whom."""

from __future__ import annotations

import gc
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wsroute import (
    APIWebSocketRoute,
    BaseInterceptor,
    BasePermission,
    ConnectionLimit,
    DependencyScopeError,
    Depends,
    HTTPException,
    InvalidParameterError,
    Query,
    RouterError,
    WebSocket,
    WebSocketGateway,
    WebSocketListener,
    WebSocketRouter,
    WebSocketView,
    on,
    websocket,
)
from wsroute.routing.layers import Reject
from wsroute.testing import Peer

pytestmark = pytest.mark.anyio


async def endpoint(websocket: WebSocket) -> None:
    """Stay open until the client leaves."""
    await websocket.accept()
    async for _ in websocket.iter_text():
        pass


async def user_id(user: str = "ann") -> str:
    return user


@asynccontextmanager
async def opened(app: ASGIApp, target: str = "/", **options: Any) -> AsyncIterator[Peer]:
    """A connection that is open, or was refused, while the context is; at its end the client has left."""
    peer = Peer(target, **options)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.serve, app)
        await anyio.wait_all_tasks_blocked()
        assert bool(peer.accepted) is not bool(peer.denial)
        yield peer
        peer.leave()


async def statuses(app: ASGIApp, *targets: str, times: int = 1) -> list[int]:
    """What clients get that come one after the other and stay: 101, or the status of a refusal."""
    found = []
    async with AsyncExitStack() as stack:
        for target in targets or ("/",) * times:
            peer = await stack.enter_async_context(opened(app, target))
            found.append(peer.denial.status if peer.denial else 101)
    return found


# How many


async def test_so_many_are_served_and_others_refused() -> None:
    route = APIWebSocketRoute("/", endpoint, max_connections=2)

    assert await statuses(route, times=4) == [101, 101, 503, 503]
    assert await statuses(route, times=3) == [101, 101, 503]


async def test_one_that_ends_makes_room_for_one() -> None:
    route = APIWebSocketRoute("/", endpoint, max_connections=2)

    async with opened(route):
        async with opened(route):
            assert await statuses(route) == [503]
        assert await statuses(route) == [101]


async def test_without_a_limit_there_is_none() -> None:
    assert await statuses(APIWebSocketRoute("/", endpoint), times=20) == [101] * 20


async def test_of_several_limits_all_hold() -> None:
    route = APIWebSocketRoute("/", endpoint, max_connections=[3, ConnectionLimit(2, key=user_id)])

    assert await statuses(route, "/?user=a", "/?user=a", "/?user=a", "/?user=b", "/?user=b") == [
        101,
        101,
        429,
        101,
        503,
    ]


# What whoever is refused gets


async def test_in_all_it_is_503_with_the_time_to_try_again() -> None:
    route = APIWebSocketRoute("/", endpoint, max_connections=1)

    async with opened(route), opened(route) as peer:
        assert peer.denial is not None
        assert (peer.denial.status, peer.denial.json()) == (503, {"detail": "Too many connections"})
        assert peer.denial.header("retry-after") == ["10"]


async def test_by_key_it_is_429_with_the_time_to_try_again() -> None:
    route = APIWebSocketRoute("/", endpoint, max_connections=ConnectionLimit(1, key=user_id, retry_after=0.5))

    async with opened(route), opened(route) as peer:
        assert peer.denial is not None
        assert (peer.denial.status, peer.denial.json()) == (429, {"detail": "Too many connections"})
        # Whole seconds (RFC 9110, section 10.2.3), and not too few.
        assert peer.denial.header("retry-after") == ["1"]


@pytest.mark.parametrize(("key", "code"), [(None, 1013), (user_id, 1008)])
@pytest.mark.parametrize(
    ("reject", "denials", "sent"),
    [
        ("denial", True, ["websocket.http.response.start", "websocket.http.response.body"]),
        ("denial", False, ["websocket.close"]),
        ("close", True, ["websocket.close"]),
        ("accept", True, ["websocket.accept", "websocket.close"]),
    ],
)
@pytest.mark.parametrize("behind_middleware", [False, True])
async def test_it_is_refused_as_the_route_says(
    reject: Reject, denials: bool, sent: list[str], key: Any, code: int, behind_middleware: bool
) -> None:
    route = APIWebSocketRoute(
        "/",
        endpoint,
        reject=reject,
        max_connections=ConnectionLimit(1, key=key),
        middleware=[Noting] if behind_middleware else None,
    )
    async with opened(route):
        peer = Peer(denials=denials)
        await peer.serve(route)

    assert [message["type"] for message in peer.sent] == sent
    if peer.closed:
        assert peer.closed == (code, "Too many connections")


async def test_the_application_may_word_the_refusal() -> None:
    async def worded(websocket: Any, exc: Any) -> PlainTextResponse:
        return PlainTextResponse("Full", exc.status_code)

    app = Starlette(exception_handlers={503: worded})
    router = WebSocketRouter(max_connections=1)
    router.websocket("/")(endpoint)
    router.attach(app)

    async with opened(app), opened(app) as peer:
        assert peer.denial is not None
        assert (peer.denial.status, peer.denial.body) == (503, b"Full")


ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


class Noting:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ran.append("middleware")
        await self._app(scope, receive, send)


class Asked(BasePermission):
    async def has_permission(self, websocket: WebSocket, route: object) -> bool:
        ran.append("permission")
        return True


class Around(BaseInterceptor):
    async def intercept(self, websocket: WebSocket, call_next: Any) -> None:
        ran.append("interceptor")
        await call_next()


async def noted() -> None:
    ran.append("dependency")


async def handle(websocket: WebSocket, exc: Exception) -> None:
    ran.append("exception handler")


ALL_LEVELS: dict[str, Any] = {
    "middleware": [Noting],
    "permissions": [Asked],
    "interceptors": [Around],
    "dependencies": [Depends(noted)],
    "exception_handlers": {503: handle, 429: handle, HTTPException: handle},
}


async def test_in_all_nothing_of_the_levels_runs_for_whoever_is_refused() -> None:
    router = WebSocketRouter(**ALL_LEVELS)
    router.websocket("/", max_connections=1)(endpoint)

    async with opened(router):
        ran.clear()
        assert await statuses(router) == [503]
        assert ran == []


async def test_by_key_the_permissions_are_asked_first_and_no_dependency_of_the_level_runs() -> None:
    router = WebSocketRouter(max_connections=ConnectionLimit(1, key=user_id), **ALL_LEVELS)
    router.websocket("/")(endpoint)

    async with opened(router):
        ran.clear()
        peer = Peer()
        await peer.serve(router)
        assert ran == ["middleware", "interceptor", "permission", "exception handler"]
        assert peer.denial is not None and peer.denial.status == 429


async def test_a_foreign_page_counts_nowhere() -> None:
    route = APIWebSocketRoute("/", endpoint, max_connections=1)

    async with opened(route, headers={"origin": "https://evil.test"}) as foreign:
        assert foreign.denial is not None and foreign.denial.status == 403
        assert await statuses(route) == [101]


async def test_whoever_is_refused_counts_nowhere_while_being_told_so() -> None:
    router = WebSocketRouter(max_connections=2)
    router.websocket("/full", max_connections=1)(endpoint)
    router.websocket("/")(endpoint)
    refused, reads = Peer("/full"), anyio.Event()

    async def send(message: Message) -> None:
        await reads.wait()
        await refused.send(message)

    async with opened(router, "/full"), anyio.create_task_group() as tasks:
        tasks.start_soon(router, refused.scope, refused.receive, send)
        await anyio.wait_all_tasks_blocked()
        assert await statuses(router) == [101]
        reads.set()
    assert refused.denial is not None and refused.denial.status == 503


# Levels


def in_route(limit: Any) -> ASGIApp:
    return APIWebSocketRoute("/", endpoint, max_connections=limit)


def in_router(limit: Any) -> ASGIApp:
    router = WebSocketRouter(max_connections=limit)
    router.websocket("/")(endpoint)
    return router


def in_router_route(limit: Any) -> ASGIApp:
    router = WebSocketRouter()
    router.websocket("/", max_connections=limit)(endpoint)
    return router


def in_added_route(limit: Any) -> ASGIApp:
    router = WebSocketRouter()
    router.add_api_websocket_route("/", endpoint, max_connections=limit)
    return router


def in_included_router(limit: Any) -> ASGIApp:
    outer, router = WebSocketRouter(), WebSocketRouter(max_connections=limit)
    router.websocket("/")(endpoint)
    outer.include_router(router)
    return outer


def in_inclusion(limit: Any) -> ASGIApp:
    outer, router = WebSocketRouter(), WebSocketRouter()
    router.websocket("/")(endpoint)
    outer.include_router(router, max_connections=limit)
    return outer


def in_gateway(limit: Any) -> ASGIApp:
    return WebSocketGateway("/", handler=endpoint, max_connections=limit)


def in_handler(limit: Any) -> ASGIApp:
    return WebSocketGateway("/", handler=websocket(max_connections=limit)(endpoint))


def in_view(limit: Any) -> ASGIApp:
    class View(WebSocketView):
        max_connections = limit

        @websocket()
        async def one(self, websocket: WebSocket) -> None:
            await endpoint(websocket)

    return WebSocketGateway("/", handler=View)


def in_listener_class(limit: Any) -> ASGIApp:
    class Room(WebSocketListener):
        max_connections = limit

        @on
        async def say(self, text: str) -> None: ...

    return APIWebSocketRoute("/", Room)


def in_listener(limit: Any) -> ASGIApp:
    router = WebSocketRouter()

    @router.listener("/", max_connections=limit)
    async def say(text: str) -> None: ...

    return router


def in_stream(limit: Any) -> ASGIApp:
    router = WebSocketRouter()

    @router.stream("/", max_connections=limit)
    async def wait() -> AsyncIterator[str]:
        await anyio.sleep_forever()
        yield ""

    return router


every_level = pytest.mark.parametrize(
    "level",
    [
        *(in_route, in_router, in_router_route, in_added_route, in_included_router, in_inclusion, in_gateway),
        *(in_handler, in_view, in_listener_class, in_listener, in_stream),
    ],
)


@every_level
async def test_every_level_has_limits(level: Callable[[Any], ASGIApp]) -> None:
    assert await statuses(level(None), times=4) == [101, 101, 101, 101]
    assert await statuses(level(2), times=4) == [101, 101, 503, 503]
    app = level([3, ConnectionLimit(2, key=user_id)])
    assert await statuses(app, "/?user=a", "/?user=a", "/?user=a", "/?user=b", "/?user=c") == [101, 101, 429, 101, 503]


async def test_what_is_below_a_level_counts_together() -> None:
    outer = WebSocketRouter(max_connections=3)
    inner = WebSocketRouter("/inner", max_connections=2)
    inner.websocket("/a")(endpoint)
    inner.websocket("/b", max_connections=1)(endpoint)
    outer.include_router(inner)
    outer.websocket("/c")(endpoint)

    assert await statuses(outer, "/inner/a", "/inner/b", "/inner/a", "/c", "/c") == [101, 101, 503, 101, 503]
    assert await statuses(outer, "/inner/b", "/inner/b", "/inner/a") == [101, 503, 101]
    assert await statuses(outer, "/c", "/c", "/c", "/inner/a") == [101, 101, 101, 503]


async def test_a_router_that_is_included_twice_counts_both_together() -> None:
    inner, outer = WebSocketRouter(max_connections=1), WebSocketRouter()
    inner.websocket("/")(endpoint)
    outer.include_router(inner, prefix="/one")
    outer.include_router(inner, prefix="/two")

    assert await statuses(outer, "/one/", "/two/") == [101, 503]


async def test_a_key_of_an_outer_level_counts_on_all_routes_below() -> None:
    router = WebSocketRouter(max_connections=ConnectionLimit(1, key=user_id))
    router.websocket("/a")(endpoint)
    router.websocket("/b")(endpoint)

    assert await statuses(router, "/a?user=x", "/b?user=x", "/b?user=y") == [101, 429, 101]


@pytest.mark.parametrize("key", [None, user_id])
async def test_one_object_at_several_places_counts_all_together_and_each_connection_once(key: Any) -> None:
    limit = ConnectionLimit(2, key=key)
    router = WebSocketRouter(max_connections=limit)
    router.websocket("/a", max_connections=[limit, limit])(endpoint)
    other = APIWebSocketRoute("/", endpoint, max_connections=limit)

    refused = 503 if key is None else 429
    assert await statuses(router, "/a", "/a", "/a") == [101, 101, refused]
    async with opened(other):
        assert await statuses(router, "/a", "/a") == [101, refused]


async def test_two_applications_that_use_one_router_count_separately() -> None:
    router = WebSocketRouter(max_connections=[2, ConnectionLimit(1, key=user_id)])
    router.websocket("/")(endpoint)
    one, other = Starlette(), Starlette()
    router.attach(one)
    router.attach(other)

    async with opened(one), opened(other):
        for app in (one, other, router):
            assert await statuses(app, "/?user=ann", "/?user=bob") == ([101, 101] if app is router else [429, 101])


async def test_an_application_that_is_empty_is_one_nevertheless() -> None:
    class Empty(Starlette):
        def __len__(self) -> int:
            return 0

    router = WebSocketRouter(max_connections=1)
    router.websocket("/")(endpoint)
    one, other = Empty(), Empty()
    router.attach(one)
    router.attach(other)

    async with opened(one):
        assert await statuses(other) == [101]


async def test_an_application_that_is_gone_is_not_kept() -> None:
    limit = ConnectionLimit(1)
    router = WebSocketRouter(max_connections=limit)
    router.websocket("/")(endpoint)

    def attached() -> Starlette:
        app = Starlette()
        router.attach(app)
        return app

    assert await statuses(attached()) == [101]
    gc.collect()
    assert len(limit._counts) == 0


@pytest.mark.parametrize("route", [WebSocketRoute("/", endpoint), Route("/", print), Mount("/m", Starlette())])
async def test_a_route_that_is_none_of_ours_is_not_left_out_in_silence(route: Any) -> None:
    with pytest.raises(RouterError, match="is no route of wsroute"):
        WebSocketRouter(routes=[route], max_connections=1)


# Keys


async def test_each_key_counts_for_itself() -> None:
    route = APIWebSocketRoute("/", endpoint, max_connections=ConnectionLimit(1, key=user_id))

    assert await statuses(route, "/?user=a", "/?user=b", "/?user=a") == [101, 101, 429]


async def test_any_dependency_gives_a_key() -> None:
    async def address(connection: HTTPConnection) -> str | None:
        return connection.client.host if connection.client else None

    route = APIWebSocketRoute("/", endpoint, max_connections=ConnectionLimit(1, key=address))

    async with opened(route):
        async with opened(route) as same, opened(route, scope={"client": ("192.0.2.1", 1)}) as other:
            assert (same.denial is None, other.denial is None) == (False, True)


async def counted() -> AsyncIterator[str]:
    ran.append("open")
    yield "ann"
    ran.append("close")


async def plain() -> str:
    ran.append("open")
    return "ann"


@pytest.mark.parametrize("key", [plain, counted])
async def test_a_key_that_the_endpoint_needs_too_is_resolved_once(key: Any) -> None:
    got = []

    async def asking(websocket: WebSocket, user: Annotated[str, Depends(key)]) -> None:
        got.append(user)
        await endpoint(websocket)

    router = WebSocketRouter(max_connections=ConnectionLimit(1, key=key), dependencies=[Depends(key)])
    router.websocket("/")(asking)

    assert await statuses(router) == [101]
    assert (got, ran.count("open")) == (["ann"], 1)


async def test_the_dependency_of_a_key_can_be_overridden() -> None:
    router = WebSocketRouter(max_connections=ConnectionLimit(1, key=user_id))
    router.websocket("/")(endpoint)

    async def everybody() -> str:
        return "everybody"

    router.dependency_overrides[user_id] = everybody
    assert await statuses(router, "/?user=a", "/?user=b") == [101, 429]


@pytest.mark.parametrize("key", [None, 0, "", False, (), math.nan])
async def test_a_key_may_be_false(key: Any) -> None:
    async def get_key() -> Any:
        return key

    route = APIWebSocketRoute("/", endpoint, max_connections=ConnectionLimit(2, key=get_key))
    assert await statuses(route, times=3) == [101, 101, 429]


async def test_a_key_that_refuses_counts_nothing() -> None:
    async def authenticated(user: str | None = None) -> str:
        if user is None:
            raise HTTPException(401)
        return user

    route = APIWebSocketRoute("/", endpoint, max_connections=ConnectionLimit(1, key=authenticated))

    assert await statuses(route, "/", "/", "/?user=a", "/?user=a", "/") == [401, 401, 101, 429, 401]


async def test_a_key_that_is_invalid_is_refused_as_any_parameter() -> None:
    async def number(number: Annotated[int, Query()]) -> int:
        return number

    route = APIWebSocketRoute("/", endpoint, max_connections=ConnectionLimit(1, key=number))
    assert await statuses(route, "/?number=many", "/?number=1", "/?number=1") == [422, 101, 429]


class Account(dict[str, str]):
    """Not hashable, and not to be shown."""


async def test_a_key_that_cannot_be_counted_is_a_bug_that_says_which_without_the_value() -> None:
    async def account() -> Account:
        return Account(password="secret")

    route = APIWebSocketRoute("/", endpoint, max_connections=ConnectionLimit(1, key=account))

    peer = Peer()
    with pytest.raises(TypeError) as error:
        await peer.serve(route)
    name = f"{__name__}.test_a_key_that_cannot_be_counted_is_a_bug_that_says_which_without_the_value.<locals>.account"
    assert str(error.value) == (
        f"ConnectionLimit(1, key={name}) got a key of type Account, which is not hashable, so that connections "
        "cannot be counted by it. Let the dependency give what tells them apart, such as the user's id."
    )
    assert peer.denial is not None and peer.denial.status == 500


async def test_whoever_has_gone_is_not_remembered() -> None:
    limit = ConnectionLimit(1, key=user_id)
    route = APIWebSocketRoute("/", endpoint, max_connections=limit)

    assert await statuses(route, *(f"/?user={number}" for number in range(20))) == [101] * 20
    assert [len(counts) for counts in limit._counts.values()] == [0]


# Counts come back


class Failure(Exception):
    pass


async def failing(websocket: WebSocket) -> None:
    await websocket.accept()
    raise Failure


async def refusing(websocket: WebSocket) -> None:
    raise HTTPException(403)


async def refusing_dependency() -> None:
    raise HTTPException(403)


async def failing_clean_up() -> AsyncIterator[None]:
    yield
    raise Failure


@pytest.mark.parametrize("key", [None, user_id])
@pytest.mark.parametrize(
    ("ends", "dependency"),
    [(failing, user_id), (refusing, user_id), (endpoint, refusing_dependency), (endpoint, failing_clean_up)],
)
async def test_however_a_connection_ends_it_makes_room(ends: Any, dependency: Any, key: Any) -> None:
    limit = ConnectionLimit(1, key=key)
    fails = APIWebSocketRoute("/", ends, dependencies=[Depends(dependency)], max_connections=limit)
    other = APIWebSocketRoute("/", endpoint, max_connections=limit)

    for _ in range(3):
        peer = Peer().leave()
        if Failure in (ends, dependency) or ends is failing or dependency is failing_clean_up:
            with pytest.raises(Failure):
                await peer.serve(fails)
        else:
            await peer.serve(fails)
    assert await statuses(other, times=2) == [101, 503 if key is None else 429]


@pytest.mark.parametrize("key", [None, user_id])
async def test_a_connection_that_is_cancelled_makes_room(key: Any) -> None:
    route = APIWebSocketRoute("/", endpoint, max_connections=ConnectionLimit(1, key=key))

    for _ in range(3):
        peer = Peer()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(peer.serve, route)
                await anyio.wait_all_tasks_blocked()
                assert peer.accepted
                scope.cancel()
    assert await statuses(route, times=2) == [101, 503 if key is None else 429]


@pytest.mark.parametrize("key", [None, user_id])
async def test_a_connection_counts_until_what_belongs_to_it_is_closed(key: Any) -> None:
    closing, goes_on = anyio.Event(), anyio.Event()

    async def slow() -> AsyncIterator[None]:
        yield
        closing.set()
        await goes_on.wait()

    route = APIWebSocketRoute("/", endpoint, dependencies=[Depends(slow)], max_connections=ConnectionLimit(1, key=key))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Peer().leave().serve, route)
        await closing.wait()
        peer = Peer()
        await peer.serve(route)
        assert peer.denial is not None
        goes_on.set()
    assert await statuses(route) == [101]


async def test_a_limit_further_in_that_refuses_gives_back_what_those_further_out_have_counted() -> None:
    router = WebSocketRouter(max_connections=2)
    router.websocket("/one", max_connections=1)(endpoint)
    router.websocket("/")(endpoint)

    assert await statuses(router, "/one", "/one", "/one", "/", "/") == [101, 503, 503, 101, 503]


# Mistakes


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "5", "five", b"5", {5}, object, user_id, [5, 0], [[5]]])
async def test_what_is_no_limit_is_an_error_at_declaration(limit: Any) -> None:
    with pytest.raises(InvalidParameterError, match=r"max_connections= holds "):
        APIWebSocketRoute("/", endpoint, max_connections=limit)


@every_level
async def test_it_is_so_at_every_level(level: Callable[[Any], ASGIApp]) -> None:
    with pytest.raises(InvalidParameterError, match=r"max_connections= holds 0"):
        level(0)


async def test_the_error_says_where_and_what_to_write() -> None:
    with pytest.raises(InvalidParameterError) as error:
        APIWebSocketRoute("/rooms", endpoint, max_connections=[5, "many"])  # type: ignore[list-item]  # the mistake

    assert str(error.value) == (
        "max_connections= holds 'many'\n"
        "  route '/rooms'\n"
        f"  {__name__}.endpoint\n"
        "  expected: whole numbers from 1, and ConnectionLimit(...) with a key\n"
        "  remedy: write max_connections=1000, or max_connections=[1000, ConnectionLimit(5, key=current_user_id)]"
    )


@pytest.mark.parametrize(
    ("mistake", "problem", "expected"),
    [
        ({"limit": 0}, "ConnectionLimit(0) is no limit", "a whole number from 1"),
        ({"limit": True}, "ConnectionLimit(True) is no limit", "a whole number from 1"),
        ({"limit": 2.0}, "ConnectionLimit(2.0) is no limit", "a whole number from 1"),
        ({"limit": "5"}, "ConnectionLimit('5') is no limit", "a whole number from 1"),
        ({"key": "user"}, "key= is 'user', which cannot be called", "a dependency that gives the key"),
        ({"retry_after": -1}, "retry_after=-1 is no time", "a number of seconds"),
        ({"retry_after": math.inf}, "retry_after=inf is no time", "a number of seconds"),
        ({"retry_after": math.nan}, "retry_after=nan is no time", "a number of seconds"),
        ({"retry_after": "10"}, "retry_after='10' is no time", "a number of seconds"),
        ({"retry_after": None}, "retry_after=None is no time", "a number of seconds"),
    ],
)
async def test_a_limit_with_a_mistake_is_an_error_where_it_is_made(
    mistake: dict[str, Any], problem: str, expected: str
) -> None:
    with pytest.raises(InvalidParameterError) as error:
        ConnectionLimit(**{"limit": 5, **mistake})

    assert (
        str(error.value)
        == f"{problem}\n  expected: {expected}\n  remedy: write ConnectionLimit(5, key=current_user_id)"
    )


async def test_a_marker_is_no_key() -> None:
    with pytest.raises(InvalidParameterError, match=r"^key= is Depends\(.*\), which cannot be called"):
        ConnectionLimit(5, key=Depends(user_id))


async def test_what_lives_for_one_message_is_no_key() -> None:
    async def per_message() -> str:
        raise AssertionError("it ran")

    async def key(part: Annotated[str, Depends(per_message, scope="message")]) -> str:
        raise AssertionError("it ran")

    router = WebSocketRouter()
    with pytest.raises(DependencyScopeError) as error:

        @router.listener("/", max_connections=ConnectionLimit(5, key=key))
        async def say(text: str) -> None: ...

    assert "ConnectionLimit.count_connection" in str(error.value)


async def test_a_limit_describes_itself() -> None:
    assert repr(ConnectionLimit(5)) == "ConnectionLimit(5)"
    assert repr(ConnectionLimit(5, key=user_id)) == f"ConnectionLimit(5, key={__name__}.user_id)"


async def test_what_is_handed_over_may_change_afterwards() -> None:
    limits = [1]
    route = APIWebSocketRoute("/", endpoint, max_connections=limits)
    limits.clear()

    assert await statuses(route, times=2) == [101, 503]


def test_the_plan_shows_what_counts() -> None:
    route = APIWebSocketRoute("/", endpoint, max_connections=ConnectionLimit(5, key=user_id))

    assert "ConnectionLimit.count_connection(websocket, key)" in route.plan.explain()
