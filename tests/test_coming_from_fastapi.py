"""What `docs/coming-from-fastapi.md` says of wsroute, for what no other test module is about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, Generic, TypeVar

import pytest
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.frameworks import APIRouter, FastAPI
from wsroute import (
    APIWebSocketRoute,
    BackgroundTasks,
    Cookie,
    Depends,
    Header,
    Path,
    Query,
    Request,
    UninjectedEndpointError,
    WebSocket,
    WebSocketDisconnect,
    WebSocketRouter,
)
from wsroute.testing import HandshakeRefused, connect_sync

T = TypeVar("T")


def tell(endpoint: Callable[..., Any], url: str = "/", path: str = "/", **options: Any) -> Any:
    """What an endpoint sends as JSON."""
    with connect_sync(APIWebSocketRoute(path, endpoint), url, **options) as websocket:
        return websocket.receive_json()


async def answer(websocket: WebSocket, value: Any) -> None:
    await websocket.accept()
    await websocket.send_json(value)


# Plugging in


def test_a_route_that_fastapi_rebuilt_refuses_its_connections() -> None:
    app = FastAPI()
    app.include_router(APIRouter(routes=[APIWebSocketRoute("/", answer_limit)]))

    with pytest.raises(UninjectedEndpointError, match=r"router\.attach\(app\)"), connect_sync(app):
        raise AssertionError("accepted")


async def answer_limit(websocket: WebSocket, limit: int = 10) -> None:
    await answer(websocket, limit)


def test_an_attached_router_works_in_fastapi_and_sees_its_overrides() -> None:
    async def get_limit() -> int:
        return 10

    async def endpoint(websocket: WebSocket, limit: Annotated[int, Depends(get_limit)]) -> None:
        await answer(websocket, limit)

    router = WebSocketRouter()
    router.add_api_websocket_route("/", endpoint)
    app = FastAPI()
    router.attach(app)
    app.dependency_overrides[get_limit] = lambda: 20

    with connect_sync(app) as websocket:
        assert websocket.receive_json() == 20


def test_the_provider_of_an_included_router_is_asked_before_the_routers_around_it() -> None:
    async def get_limit() -> int:
        return 10

    class Provider:
        dependency_overrides: dict[Callable[..., Any], Callable[..., Any]] = {get_limit: lambda: 20}

    async def endpoint(websocket: WebSocket, limit: Annotated[int, Depends(get_limit)]) -> None:
        await answer(websocket, limit)

    inner = WebSocketRouter(dependency_overrides_provider=Provider())
    inner.add_api_websocket_route("/", endpoint)
    outer = WebSocketRouter()
    outer.include_router(inner)
    outer.dependency_overrides[get_limit] = lambda: 30

    with connect_sync(outer) as websocket:
        assert websocket.receive_json() == 20


def test_an_unknown_path_is_404_in_a_router_that_is_the_application() -> None:
    with pytest.raises(HandshakeRefused) as refusal, connect_sync(WebSocketRouter(), "/unknown"):
        raise AssertionError("accepted")

    assert refusal.value.status_code == 404


def test_a_page_of_another_origin_may_not_connect() -> None:
    router = WebSocketRouter()

    async def endpoint(websocket: WebSocket) -> None:
        await answer(websocket, "hello")

    router.add_api_websocket_route("/", endpoint)
    router.add_api_websocket_route("/open", endpoint, allowed_origins="*")
    foreign = {"Origin": "https://evil.test"}

    with pytest.raises(HandshakeRefused) as refusal, connect_sync(router, headers=foreign):
        raise AssertionError("accepted")
    assert refusal.value.status_code == 403
    with connect_sync(router, "/open", headers=foreign) as websocket:
        assert websocket.receive_json() == "hello"


# Endpoints


def test_variable_parameters_are_left_alone_and_positional_only_ones_work() -> None:
    async def endpoint(websocket: WebSocket, limit: int, /, *args: Any, **kwargs: Any) -> None:
        await answer(websocket, [limit, args, kwargs])

    assert tell(endpoint, "/?limit=3") == [3, [], {}]


def test_a_dependency_that_closes_the_socket_has_refused() -> None:
    called = []

    async def refuse(websocket: WebSocket) -> None:
        await websocket.close(4001)

    async def endpoint(websocket: WebSocket, refused: Annotated[None, Depends(refuse)]) -> None:
        called.append("endpoint")

    with pytest.raises(HandshakeRefused, match="closes with 4001 before it has accepted") as refusal:
        tell(endpoint)

    assert (refusal.value.status_code, refusal.value.content) == (403, b"")
    assert called == []


# Parameters


class Tagged(WebSocket):
    """A subclass that an endpoint asks for."""


def test_every_way_to_ask_for_the_socket_gives_the_one_of_the_most_derived_class() -> None:
    async def endpoint(  # type: ignore[no-untyped-def]  # an unannotated socket is what is tested
        ws,
        first: WebSocket,
        second: WebSocket | None,
        third: Tagged,
    ) -> None:
        await answer(ws, [first is ws, second is ws, third is ws, isinstance(ws, Tagged)])

    assert tell(endpoint) == [True] * 4


def test_a_request_is_a_view_of_the_handshake_unless_it_may_be_none() -> None:
    async def endpoint(websocket: WebSocket, request: Request, maybe: Request | None = None) -> None:
        await answer(websocket, [request.method, request.headers["x-tag"], maybe])

    assert tell(endpoint, headers={"x-tag": "a"}) == ["GET", "a", None]


def test_background_tasks_run_after_the_connection() -> None:
    done: list[str] = []

    async def endpoint(websocket: WebSocket, tasks: BackgroundTasks) -> None:
        tasks.add_task(done.append, "task")
        await answer(websocket, done)

    assert tell(endpoint) == []
    assert done == ["task"]


def test_lists_of_cookies_and_strict_header_models_work() -> None:
    class Tags(BaseModel, extra="forbid"):
        x_tag: str

    async def endpoint(
        websocket: WebSocket, seen: Annotated[list[int], Cookie()], tags: Annotated[Tags, Header()]
    ) -> None:
        await answer(websocket, [seen, tags.x_tag])

    assert tell(endpoint, headers={"cookie": "seen=1; seen=2", "x-tag": "a"}) == [[1, 2], "a"]


def test_a_path_parameter_of_a_mount_is_read_with_path() -> None:
    async def endpoint(websocket: WebSocket, tenant: Annotated[str, Path()]) -> None:
        await answer(websocket, tenant)

    app = Starlette(routes=[Mount("/{tenant}", routes=[APIWebSocketRoute("/items", endpoint)])])

    with connect_sync(app, "/acme/items") as websocket:
        assert websocket.receive_json() == "acme"


async def answer_later(websocket: WebSocket, later: Annotated[Later, Depends()]) -> None:
    await answer(websocket, later.value)


class Later:
    def __init__(self, value: int = 7) -> None:
        self.value = value


def test_an_annotation_may_name_what_is_defined_later() -> None:
    assert tell(answer_later) == 7


class Repo(Generic[T]):
    def __init__(self, limit: int = 10) -> None:
        self.limit = limit


def test_a_generic_alias_is_constructed() -> None:
    async def endpoint(websocket: WebSocket, repo: Annotated[Repo[int], Depends()]) -> None:
        await answer(websocket, repo.limit)

    assert tell(endpoint, "/?limit=4") == 4


# Dependencies


def test_context_manager_functions_are_entered_and_left() -> None:
    log: list[str] = []

    @contextmanager
    def first() -> Iterator[str]:
        log.append("open first")
        yield "first"
        log.append("close first")

    @asynccontextmanager
    async def second() -> AsyncIterator[str]:
        log.append("open second")
        yield "second"
        log.append("close second")

    async def endpoint(
        websocket: WebSocket, one: Annotated[str, Depends(first)], two: Annotated[str, Depends(second)]
    ) -> None:
        await answer(websocket, [one, two])

    assert tell(endpoint) == ["first", "second"]
    assert log == ["open first", "open second", "close second", "close first"]


def test_after_a_validation_error_nothing_is_called_and_each_error_is_listed_once() -> None:
    called: list[str] = []

    async def limit_of(limit: int) -> int:
        return limit

    async def effect() -> None:
        called.append("effect")

    async def same_limit(limit: int) -> int:
        return limit

    async def endpoint(
        websocket: WebSocket,
        first: Annotated[int, Depends(limit_of)],
        nothing: Annotated[None, Depends(effect)],
        second: Annotated[int, Depends(same_limit)],
        page: int,
    ) -> None: ...

    with pytest.raises(HandshakeRefused) as refusal:
        tell(endpoint)

    assert [error["loc"] for error in refusal.value.json()["detail"]] == [["query", "limit"], ["query", "page"]]
    assert called == []


def test_a_shared_parent_runs_its_uncached_child_once_and_an_uncached_value_is_never_shared() -> None:
    log: list[str] = []

    async def child() -> int:
        log.append("child")
        return len(log)

    async def parent(value: Annotated[int, Depends(child, use_cache=False)]) -> int:
        log.append("parent")
        return value

    async def endpoint(
        websocket: WebSocket,
        first: Annotated[int, Depends(parent)],
        second: Annotated[int, Depends(parent)],
        third: Annotated[int, Depends(child)],
    ) -> None:
        await answer(websocket, [first, second, third])

    assert tell(endpoint) == [1, 1, 3]
    assert log == ["child", "parent", "child"]


def test_effects_of_a_route_honour_use_cache() -> None:
    log: list[str] = []

    async def effect() -> None:
        log.append("effect")

    async def endpoint(websocket: WebSocket) -> None:
        await answer(websocket, log)

    router = WebSocketRouter(dependencies=[Depends(effect)])
    router.add_api_websocket_route("/", endpoint, dependencies=[Depends(effect, use_cache=False)])

    with connect_sync(router) as websocket:
        assert websocket.receive_json() == ["effect", "effect"]


def test_scopes_do_not_run_a_dependency_without_yield_twice() -> None:
    log: list[str] = []

    async def plain() -> int:
        log.append("plain")
        return len(log)

    async def endpoint(
        websocket: WebSocket,
        first: Annotated[int, Depends(plain)],
        second: Annotated[int, Depends(plain, scope="function")],
    ) -> None:
        await answer(websocket, [first, second])

    assert tell(endpoint) == [1, 1]


def test_what_lives_longer_is_opened_first_and_closed_last() -> None:
    log: list[str] = []

    async def short() -> AsyncIterator[None]:
        log.append("open short")
        yield
        log.append("close short")

    async def long() -> AsyncIterator[None]:
        log.append("open long")
        yield
        log.append("close long")

    async def endpoint(
        websocket: WebSocket,
        first: Annotated[None, Depends(short, scope="function")],
        second: Annotated[None, Depends(long)],
    ) -> None:
        await answer(websocket, None)

    tell(endpoint)
    assert log == ["open long", "open short", "close short", "close long"]


def test_an_override_that_a_dependency_sets_is_for_the_next_connection() -> None:
    router = WebSocketRouter()

    async def get_limit() -> int:
        return 10

    async def switch() -> None:
        router.dependency_overrides[get_limit] = lambda: 20

    @router.websocket("/", dependencies=[Depends(switch)])
    async def endpoint(websocket: WebSocket, limit: Annotated[int, Depends(get_limit)]) -> None:
        await answer(websocket, limit)

    seen = []
    for _ in range(2):
        with connect_sync(router) as websocket:
            seen.append(websocket.receive_json())
    assert seen == [10, 20]


def test_an_override_may_need_what_it_replaces() -> None:
    router = WebSocketRouter()

    async def get_limit(limit: Annotated[int, Query()] = 10) -> int:
        return limit

    async def doubled(limit: Annotated[int, Depends(get_limit)]) -> int:
        return limit * 2

    @router.websocket("/")
    async def endpoint(websocket: WebSocket, limit: Annotated[int, Depends(get_limit)]) -> None:
        await answer(websocket, limit)

    router.dependency_overrides[get_limit] = doubled
    with connect_sync(router, "/?limit=4") as websocket:
        assert websocket.receive_json() == 8


# Endings


def test_a_group_of_one_exception_counts_as_that_exception() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        raise ExceptionGroup("tasks", [WebSocketDisconnect(1006)])

    with connect_sync(APIWebSocketRoute("/", endpoint)) as websocket:
        websocket.expect_close(1000)


def test_frames_of_the_wrong_kind_and_bad_json_are_the_clients_mistake() -> None:
    async def text(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    async def json(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_json()

    with connect_sync(APIWebSocketRoute("/", text)) as websocket:
        websocket.send_bytes(b"x")
        websocket.expect_close(1003)
    with connect_sync(APIWebSocketRoute("/", json)) as websocket:
        websocket.send_text("{")
        websocket.expect_close(1007)


def test_sending_after_the_client_left_raises_a_disconnect() -> None:
    raised: list[BaseException] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()
        try:
            await websocket.send_text("too late")
        except BaseException as exc:
            raised.append(exc)
            raise

    with connect_sync(APIWebSocketRoute("/", endpoint)) as websocket:
        websocket.close(1001)
    assert [type(exc) for exc in raised] == [WebSocketDisconnect]
