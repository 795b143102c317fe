"""Dependencies replaced for a while: wherever they are, restored whatever happens, and never in vain unnoticed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp

from wsroute import (
    APIWebSocketRoute,
    BasePermission,
    Depends,
    Inject,
    InvalidParameterError,
    WebSocket,
    WebSocketGateway,
    WebSocketRouter,
)
from wsroute import websocket as handler
from wsroute.testing import UnusedOverride, connect, override
from wsroute.testing.overrides import Recorder
from wsroute.testing.trees import Needs

pytestmark = pytest.mark.anyio


async def get_user() -> str:
    return "ann"


async def get_name(user: Annotated[str, Depends(get_user)]) -> str:
    return f"name of {user}"


async def unknown() -> str:
    return "unknown"


async def get_suffix() -> str:
    return "!"


async def get_louder(user: Annotated[str, Depends(get_user)], suffix: Annotated[str, Depends(get_suffix)]) -> str:
    return user + suffix


async def endpoint(websocket: WebSocket, name: Annotated[str, Depends(get_name)]) -> None:
    await websocket.accept()
    await websocket.send_text(name)


async def by_name(websocket: WebSocket, user: str) -> None:
    await websocket.accept()
    await websocket.send_text(user)


@handler("/")
async def handled(websocket: WebSocket, name: Annotated[str, Depends(get_name)]) -> None:
    await endpoint(websocket, name)


async def said_by(app: ASGIApp, path: str = "/") -> str:
    async with connect(app, path) as ws:
        return await ws.receive_text()


def make_router() -> WebSocketRouter:
    return WebSocketRouter(routes=[APIWebSocketRoute("/", endpoint)])


def attached_to(app: Any) -> Any:
    make_router().attach(app)
    return app


def included() -> WebSocketRouter:
    outer = WebSocketRouter()
    outer.include_router(make_router())
    return outer


TARGETS: dict[str, Callable[[], Any]] = {
    "router": make_router,
    "including router": included,
    "route": lambda: APIWebSocketRoute("/", endpoint),
    "gateway": lambda: WebSocketGateway("/", handler=handled),
    "Starlette": lambda: attached_to(Starlette()),
    "Starlette with a gateway": lambda: Starlette(routes=[WebSocketGateway("/", handler=handled)]),
}
each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@each_target
async def test_a_dependency_is_replaced_while_the_block_runs(target: Callable[[], Any]) -> None:
    app = target()
    assert await said_by(app) == "name of ann"
    with override(app, get_user, value="bob"):
        assert await said_by(app) == "name of bob"
    assert await said_by(app) == "name of ann"


@each_target
async def test_the_innermost_of_nested_overrides_counts(target: Callable[[], Any]) -> None:
    app = target()
    async with override(app, {get_user: lambda: "bob"}):
        async with override(app, get_user, value="eve"):
            assert await said_by(app) == "name of eve"
        with override(app, get_name, lambda: "another name"):
            assert await said_by(app) == "another name"
        assert await said_by(app) == "name of bob"
    assert await said_by(app) == "name of ann"


async def test_an_override_that_another_one_hides_is_no_mistake() -> None:
    app = make_router()
    with override(app, get_user, value="hidden"), override(app, get_user, value="bob"):
        assert await said_by(app) == "name of bob"


async def test_a_route_of_a_router_is_overridden_alone() -> None:
    router = WebSocketRouter(routes=[APIWebSocketRoute("/a", endpoint), APIWebSocketRoute("/b", endpoint)])
    with override(router.routes[0], get_user, value="bob"):
        assert (await said_by(router, "/a"), await said_by(router, "/b")) == ("name of bob", "name of ann")


@pytest.mark.parametrize("fails", [True, False])
async def test_what_was_there_before_is_restored(fails: bool) -> None:
    app = make_router()
    before = app.dependency_overrides
    before[unknown] = get_user
    with pytest.raises(ZeroDivisionError if fails else UnusedOverride), override(app, get_user, value="bob"):
        assert dict(app.dependency_overrides).keys() == {unknown, get_user}
        app.dependency_overrides[get_name] = get_user
        if fails:
            raise ZeroDivisionError
    assert app.dependency_overrides is before
    assert before == {unknown: get_user}


@pytest.mark.parametrize("target", ["Starlette", "route"])
async def test_where_nothing_was_nothing_is_left(target: str) -> None:
    app = TARGETS[target]()
    providers = getattr(app, "override_providers", None)
    with override(app, get_user, value="bob", strict=False):
        pass
    assert not hasattr(app, "dependency_overrides")
    assert getattr(app, "override_providers", None) == providers


async def test_a_replacement_has_dependencies_of_its_own_and_the_original() -> None:
    app = make_router()
    # What only a replacement needs is no mistake either.
    with override(app, {get_user: get_louder, get_suffix: lambda: "?"}):
        assert await said_by(app) == "name of ann?"


async def test_a_replacement_may_name_what_is_local_to_the_test() -> None:
    class Suffix(str):
        __slots__ = ()

    async def give_suffix() -> Suffix:
        return Suffix("!")

    async def louder(user: Annotated[str, Depends(get_user)], suffix: Annotated[Suffix, Depends(give_suffix)]) -> str:
        return user + suffix

    app = make_router()
    with override(app, get_user, louder):
        assert await said_by(app) == "name of ann!"


async def test_what_is_wrong_with_a_replacement_is_raised_where_it_is_needed() -> None:
    def wrong(items: list[str]) -> str:
        return "never called"

    app = make_router()
    with override(app, get_user, wrong), pytest.raises(InvalidParameterError, match="endpoint"):
        await said_by(app)


@pytest.mark.parametrize("make", [Mock, MagicMock, AsyncMock])
async def test_a_replacement_may_be_a_mock(make: type[Mock]) -> None:
    app, mock = make_router(), make(return_value="bob")
    with override(app, get_user, mock):
        assert await said_by(app) == "name of bob"
    mock.assert_called_once_with()


async def test_a_value_is_given_as_it_is_and_to_each_connection_the_same() -> None:
    value = object()
    got: list[object] = []

    async def keep(websocket: WebSocket, user: Annotated[object, Depends(get_user)]) -> None:
        got.append(user)
        await websocket.accept()

    app = APIWebSocketRoute("/", keep)
    with override(app, get_user, value=value):
        for _ in range(2):
            async with connect(app) as ws:
                await ws.expect_close(1000)
    assert [item is value for item in got] == [True, True]


async def test_none_is_a_value() -> None:
    app = make_router()
    with override(app, get_user, value=None):
        assert await said_by(app) == "name of None"


async def test_what_a_level_provides_is_replaced_by_its_name() -> None:
    router = WebSocketRouter(dependencies={"user": Inject(get_user)})
    router.websocket("/")(by_name)
    with override(router, "user", value="bob"):
        assert await said_by(router) == "bob"
    with override(router, {"user": lambda: "eve"}):
        assert await said_by(router) == "eve"
    assert await said_by(router) == "ann"


# As a decorator


app = make_router()


@override(app, get_user, value="bob")
async def decorated() -> str:
    return await said_by(app)


async def test_it_decorates_an_async_function() -> None:
    for _ in range(2):
        assert await decorated() == "name of bob"
    assert await said_by(app) == "name of ann"


async def test_it_decorates_a_sync_function_that_keeps_its_signature() -> None:
    @override(app, get_user, value="bob", strict=False)
    def function(fixture: int) -> Any:
        return dict(app.dependency_overrides).keys(), fixture

    assert list(inspect.signature(function).parameters) == ["fixture"]
    assert function(1) == ({get_user}, 1)
    assert app.dependency_overrides == {}


async def test_a_decorated_function_may_call_itself() -> None:
    @override(app, get_user, value="bob")
    async def function(depth: int) -> str:
        return await function(depth - 1) if depth else await said_by(app)

    assert await function(2) == "name of bob"
    assert app.dependency_overrides == {}


# In vain


@each_target
async def test_an_override_that_nothing_used_fails_at_the_end(target: Callable[[], Any]) -> None:
    with pytest.raises(UnusedOverride, match=r"get_user was never used: no connection and no request"):
        with override(target(), get_user, value="bob"):
            pass


@each_target
async def test_an_override_that_nothing_needs_fails_at_the_end(target: Callable[[], Any]) -> None:
    app = target()
    said = f"unknown replaces nothing: no route of the {type(app).__name__} needs it;"
    with pytest.raises(UnusedOverride, match=said):
        with override(app, unknown, value="bob"):
            await said_by(app)


async def test_every_override_in_vain_is_listed() -> None:
    app = make_router()
    with pytest.raises(UnusedOverride) as caught:
        with override(app, {get_user: get_user, unknown: get_user, "usr": get_user}):
            await said_by(app)
    first, second = str(caught.value).splitlines()
    assert first.startswith("the override of tests.testing.test_overrides.unknown replaces nothing")
    assert second.startswith("the override of 'usr' replaces nothing")


async def test_a_name_that_is_nearly_right_is_suggested() -> None:
    router = WebSocketRouter(dependencies={"user": Inject(unknown)})
    router.websocket("/")(by_name)
    with pytest.raises(UnusedOverride, match=r"needs it; did you mean 'user'\?; override"):
        with override(router, "usr", value="bob"):
            await said_by(router)


async def test_what_has_no_name_is_no_suggestion() -> None:
    class Nameless:
        async def __call__(self) -> str:
            return "x"

    async def asks(websocket: WebSocket, x: Annotated[str, Depends(Nameless())]) -> None: ...

    with pytest.raises(UnusedOverride, match="needs it; override"):
        with override(APIWebSocketRoute("/", asks), Nameless(), value="bob"):
            pass


async def test_it_need_not_be_strict() -> None:
    with override(make_router(), {get_user: get_user, unknown: get_user}, strict=False):
        pass


async def test_a_failing_test_is_told_of_an_override_in_vain() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        with override(make_router(), get_user, value="bob"):
            raise ZeroDivisionError
    [note] = caught.value.__notes__
    assert note.startswith("besides, the override of tests.testing.test_overrides.get_user was never used")


# What is needed


class Members(BasePermission):
    async def has_permission(self, websocket: WebSocket, route: object, user: Annotated[str, Depends(unknown)]) -> bool:
        return True


def nested() -> Starlette:
    inner = WebSocketRouter(permissions=[Members], dependencies={"user": Inject(get_user)})
    inner.websocket("/")(by_name)
    return Starlette(
        routes=[
            Route("/", lambda request: None),
            WebSocketRoute("/plain", by_name),
            Mount("/m", routes=[Mount("/n", app=inner)]),
        ]
    )


async def test_what_is_deep_inside_is_needed_too() -> None:
    needs = Needs(nested())
    assert get_user in needs and unknown in needs and "user" in needs
    assert get_name not in needs and "name" not in needs
    # Endpoints are not overridden.
    assert by_name not in needs


async def test_a_mount_that_contains_itself_is_no_endless_walk() -> None:
    app = nested()
    app.mount("/self", app)
    assert get_user in Needs(app)


async def test_a_recorder_is_a_mapping_like_any_other() -> None:
    recorder = Recorder({get_user: unknown}, {get_name: unknown})
    assert recorder[get_name] is unknown
    assert recorder.unused() == [get_user]
    assert recorder[get_user] is unknown
    assert recorder.unused() == []


# What does not fit


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((get_user,), {}, "takes one replacement for a dependency"),
        ((get_user, unknown), {"value": 1}, "takes one replacement for a dependency"),
        (({get_user: unknown}, unknown), {}, "a mapping and a replacement beside it"),
        (({get_user: "bob"},), {}, "got 'bob' as the replacement of .*get_user, which cannot be called; write"),
        ((1, unknown), {}, "got the key 1; it is a dependency, or a name as a string"),
    ],
)
async def test_arguments_that_do_not_fit_are_reported_at_once(arguments: Any, options: Any, said: str) -> None:
    with pytest.raises(TypeError, match=rf"override\(\).*{said}"):
        override(make_router(), *arguments, **options)


async def test_a_target_without_a_place_for_overrides_is_reported() -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None: ...

    with pytest.raises(TypeError, match=r"plain, which has no dependency_overrides; hand over the application itself"):
        with override(plain, get_user, value="bob"):
            pass  # pragma: no cover
