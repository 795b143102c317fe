"""Nothing is shared by accident: not between handlers, gateways, routers and applications, nor with who made them."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.asgi import Peer
from tests.frameworks import FastAPI
from tests.levels.recording import Recorder
from tests.levels.story import story
from wsroute import (
    APIWebSocketRoute,
    BaseInterceptor,
    BasePermission,
    Depends,
    Inject,
    Injects,
    WebSocket,
    WebSocketGateway,
    WebSocketRouter,
    WebSocketView,
    websocket,
)

pytestmark = pytest.mark.anyio


async def said(app: ASGIApp, target: str) -> Any:
    """What an endpoint says first."""
    peer = Peer(target)
    await peer.serve(app)
    return json.loads(peer.frames[0])


# Siblings


async def test_no_level_acts_for_a_sibling() -> None:
    recorder = Recorder()

    def handler(name: str, **level: Any) -> Any:
        async def endpoint(websocket: WebSocket) -> None:
            await recorder.endpoint(websocket)

        return websocket(f"/{name}", **level)(endpoint)

    parts = recorder.level("view")

    class View(WebSocketView):
        path = "/view"
        dependencies = parts["dependencies"]
        middleware = parts["middleware"]
        interceptors = parts["interceptors"]
        permissions = parts["permissions"]
        exception_handlers = parts["exception_handlers"]

        @websocket("/guarded", **recorder.level("handler"))
        async def guarded(self, websocket: WebSocket) -> None:
            await recorder.endpoint(websocket)

        @websocket("/free")
        async def free(self, websocket: WebSocket) -> None:
            await recorder.endpoint(websocket)

    class Free(WebSocketView):
        path = "/view"

        @websocket("/free")
        async def free(self, websocket: WebSocket) -> None:
            await recorder.endpoint(websocket)

    guarded, free = handler("guarded", **recorder.level("handler")), handler("free")
    included, open_to_all = (
        WebSocketRouter(prefix, routes=[WebSocketGateway("/gateway", handler=free)], **level)
        for prefix, level in (("/included", recorder.level("included")), ("/open", {}))
    )
    for router in (included, open_to_all):
        router.add_api_websocket_route("/free", recorder.endpoint)
        router.add_api_websocket_route("/route", recorder.endpoint, **recorder.level("route"))
    root = WebSocketRouter(
        routes=[
            WebSocketGateway("/one", handler=guarded, **recorder.level("gateway")),
            WebSocketGateway("/one", handler=free),
            WebSocketGateway("/two", handler=free, **recorder.level("gateway")),
            WebSocketGateway("/two", handler=guarded),
            WebSocketGateway("/three", handler=View),
            WebSocketGateway("/four", handler=Free, **recorder.level("gateway")),
            WebSocketGateway("/five", handler=Free),
            included,
        ]
    )
    root.include_router(open_to_all, prefix="/guarded", **recorder.level("inclusion"))
    root.include_router(open_to_all)

    for target, levels in {
        "/one/guarded": ["gateway", "handler"],
        "/one/free": [],
        "/two/free": ["gateway"],
        "/two/guarded": ["handler"],
        "/three/view/guarded": ["view", "handler"],
        "/three/view/free": ["view"],
        "/four/view/free": ["gateway"],
        "/five/view/free": [],
        "/included/gateway/free": ["included"],
        "/included/free": ["included"],
        "/included/route": ["included", "route"],
        "/guarded/open/gateway/free": ["inclusion"],
        "/guarded/open/free": ["inclusion"],
        "/guarded/open/route": ["inclusion", "route"],
        "/open/gateway/free": [],
        "/open/free": [],
        "/open/route": ["route"],
    }.items():
        assert await recorder.serve(root, Peer(target)) == story(levels, None), target


async def test_an_exception_handler_takes_nothing_of_a_sibling() -> None:
    log: list[str] = []

    def handler(name: str) -> Any:
        async def take(websocket: WebSocket, error: Exception) -> None:
            log.append(name)

        async def endpoint(websocket: WebSocket) -> None:
            raise LookupError

        return websocket(f"/{name}", exception_handlers={LookupError: take})(endpoint)

    class View(WebSocketView):
        exception_handlers = {KeyError: lambda websocket, error: log.append("view")}

        a = handler("method_a")
        b = handler("method_b")

    app = WebSocketRouter(
        routes=[WebSocketGateway(handler=item) for item in (handler("a"), handler("b"), handler("c"), View)]
    )
    for name in ("b", "a", "c", "b"):
        await Peer(f"/{name}").serve(app)
    assert log == ["b", "a", "c", "b"]


# What was handed over


class Interceptor(BaseInterceptor):
    async def intercept(self, websocket: WebSocket, call_next: Callable[[], Awaitable[None]]) -> None:
        websocket.scope["seen"].append("interceptor")
        await call_next()


class Permission(BasePermission):
    async def has_permission(self, websocket: WebSocket, route: object) -> bool:
        websocket.scope["seen"].append("permission")
        return True


class Seen:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("seen", []).append("middleware")
        await self._app(scope, receive, send)


async def dependency(websocket: WebSocket) -> None:
    websocket.scope["seen"].append("dependency")


async def take(websocket: WebSocket, error: Exception) -> None:
    await websocket.accept()
    await websocket.send_json(websocket.scope["seen"])


async def failing(websocket: WebSocket) -> None:
    raise LookupError


ALL = ["middleware", "interceptor", "permission", "dependency"]


def level() -> dict[str, Any]:
    """One of each kind, in lists and dicts of one's own."""
    return {
        "dependencies": [Depends(dependency)],
        "middleware": [Middleware(Seen)],
        "interceptors": [Interceptor],
        "permissions": [Permission],
        "exception_handlers": {LookupError: take},
    }


def by_route(parts: dict[str, Any]) -> Any:
    return APIWebSocketRoute("/", failing, **parts)


def by_decorator(parts: dict[str, Any]) -> Any:
    router = WebSocketRouter()
    router.websocket("/", **parts)(failing)
    return router


def by_router(parts: dict[str, Any]) -> Any:
    return WebSocketRouter(routes=[APIWebSocketRoute("/", failing)], **parts)


def by_inclusion(parts: dict[str, Any]) -> Any:
    router = WebSocketRouter()
    router.include_router(WebSocketRouter(routes=[APIWebSocketRoute("/", failing)]), **parts)
    return router


def by_gateway(parts: dict[str, Any]) -> Any:
    return WebSocketGateway(handler=failing, **parts)


def by_handler(parts: dict[str, Any]) -> Any:
    return WebSocketGateway(handler=websocket(**parts)(failing))


def by_view(parts: dict[str, Any]) -> Any:
    async def method(self: Any, websocket: WebSocket) -> None:
        await failing(websocket)

    method.__qualname__ = "View.method"
    view = type("View", (WebSocketView,), {**parts, "method": websocket()(method)})
    return WebSocketGateway(handler=view)


every_level = pytest.mark.parametrize(
    "make", [by_route, by_decorator, by_router, by_inclusion, by_gateway, by_handler, by_view]
)


@every_level
async def test_what_was_handed_over_is_as_it_was(make: Callable[[dict[str, Any]], Any]) -> None:
    parts = level()
    before = {name: copy.copy(part) for name, part in parts.items()}
    for _ in range(3):
        app = make(parts)
        outer = WebSocketRouter(routes=[app], **parts)
        Starlette(routes=[outer])
        for _ in range(3):
            assert await said(outer, "/") == ALL[:1] * 2 + ALL[1:2] * 2 + ALL[2:3] + ALL[3:]
    assert parts == before


@every_level
@pytest.mark.parametrize("bound", [False, True], ids=["before it is bound", "afterwards"])
async def test_changing_it_later_changes_nothing(make: Callable[[dict[str, Any]], Any], bound: bool) -> None:
    parts = level()
    app = make(parts)
    if bound:
        assert await said(app, "/") == ALL
    for name in ("dependencies", "middleware", "interceptors", "permissions"):
        parts[name].append(parts[name][0])
        parts[name].append("nonsense")
    parts["exception_handlers"].clear()
    assert await said(app, "/") == ALL
    # Below another level it is folded anew.
    assert await said(WebSocketRouter(routes=[app]), "/") == ALL


@every_level
async def test_providers_by_name_are_copied_too(make: Callable[[dict[str, Any]], Any]) -> None:
    async def value() -> str:
        return "first"

    async def permitted(websocket: WebSocket, value: str) -> None:
        websocket.scope["seen"].append(value)

    parts = {**level(), "dependencies": {"value": Inject(value), "permitted": Inject(permitted)}}

    class Permission(BasePermission):
        async def has_permission(self, websocket: WebSocket, route: object, permitted: None) -> bool:
            return True

    parts["permissions"] = [Permission]
    app = make(parts)
    parts["dependencies"].clear()
    parts["dependencies"]["permitted"] = None
    assert await said(app, "/") == ["middleware", "interceptor", "first"]


async def test_what_a_gateway_shows_is_a_copy() -> None:
    parts = level()
    gateway = WebSocketGateway(handler=failing, **parts)
    for name in ("dependencies", "middleware", "interceptors", "permissions", "exception_handlers"):
        assert getattr(gateway, name) == parts[name]
        getattr(gateway, name).clear()
        assert parts[name]
    assert await said(gateway, "/") == ALL
    [route] = gateway.routes
    route.dependencies.clear()
    assert await said(gateway, "/") == ALL


async def test_changing_a_view_later_changes_nothing() -> None:
    class View(WebSocketView):
        middleware = [Middleware(Seen)]
        exception_handlers = {LookupError: take}

        @websocket()
        async def method(self, websocket: WebSocket) -> None:
            raise LookupError

    gateway = WebSocketGateway(handler=View)
    View.exception_handlers.clear()
    View.middleware.append(Middleware(Seen))
    View.permissions = ["nonsense"]
    assert await said(gateway, "/") == ["middleware"]


def test_a_handler_and_its_mounts_stay_what_they_are() -> None:
    handler = websocket("/a", name="a", **level())(failing)
    before = dict(vars(handler))
    for _ in range(3):
        gateway = WebSocketGateway("/g", handler=handler, **level())
        WebSocketRouter("/r", routes=[gateway], **level()).check()
        assert [(route.path, route.name) for route in gateway.routes] == [("/g/a", "a")]
    assert dict(vars(handler)) == before


# Mounted in many places


async def test_one_handler_in_two_gateways_is_two_routes() -> None:
    async def one() -> str:
        return "one"

    async def two() -> str:
        return "two"

    @websocket("/{room}")
    async def handler(websocket: WebSocket, room: str, value: str = Injects()) -> None:
        await websocket.accept()
        await websocket.send_json([room, value, websocket.scope.get("seen", [])])

    app = WebSocketRouter(
        routes=[
            WebSocketGateway("/one", handler=handler, name="one", dependencies={"value": one}),
            WebSocketGateway("/two", handler=handler, name="two", dependencies={"value": two}, middleware=[Seen]),
        ]
    )
    for _ in range(2):
        assert await said(app, "/one/9") == ["9", "one", []]
        assert await said(app, "/two/9") == ["9", "two", ["middleware"]]
    assert (app.url_path_for("one", room="1"), app.url_path_for("two", room="1")) == ("/one/1", "/two/1")


async def setting() -> str:
    return "real"


def replaced_by(name: str) -> Callable[[], Awaitable[str]]:
    async def replacement() -> str:
        return name

    return replacement


async def outer_value(setting: str) -> str:
    return f"outer {setting}"


@websocket(dependencies={"setting": setting})
async def telling(websocket: WebSocket, setting: str, outer: str = "none") -> None:
    await websocket.accept()
    await websocket.send_json([setting, outer])


async def test_one_gateway_in_two_routers_is_independent() -> None:
    gateway = WebSocketGateway("/g", handler=telling)
    one = WebSocketRouter("/one", routes=[gateway], dependencies={"outer": outer_value})
    two = WebSocketRouter("/two", routes=[gateway], middleware=[Seen], dependencies={"outer": replaced_by("two's")})
    one.dependency_overrides[setting] = replaced_by("one's")
    for _ in range(2):
        assert await said(one, "/one/g") == ["one's", "outer one's"]
        assert await said(two, "/two/g") == ["real", "two's"]
        assert await said(gateway, "/g") == ["real", "none"]
    one.dependency_overrides.clear()
    two.dependency_overrides["setting"] = replaced_by("by name")
    assert await said(one, "/one/g") == ["real", "outer real"]
    assert await said(two, "/two/g") == ["by name", "two's"]


@pytest.mark.parametrize("application", [Starlette, FastAPI])
async def test_one_gateway_in_two_applications_is_independent(application: type[Starlette]) -> None:
    gateway = WebSocketGateway("/g", handler=telling)
    shared = WebSocketRouter("/shared", routes=[gateway])
    log: list[str] = []

    async def close(websocket: WebSocket, error: Exception) -> None:
        log.append("first's")

    @websocket("/fails")
    async def fails() -> None:
        raise LookupError

    failing_gateway = WebSocketGateway("/g", handler=fails)
    first = application(routes=[gateway, shared, failing_gateway], exception_handlers={LookupError: close})
    second = application(routes=[gateway, shared, failing_gateway])
    first.dependency_overrides = {setting: replaced_by("first's")}  # type: ignore[attr-defined]  # FastAPI has it
    second.dependency_overrides = {}  # type: ignore[attr-defined]  # FastAPI has it
    for target in ("/g", "/shared/g", "/g"):
        assert await said(first, target) == ["first's", "none"]
        assert await said(second, target) == ["real", "none"]

    await Peer("/g/fails").serve(first)
    with pytest.raises(LookupError):
        await Peer("/g/fails").serve(second)
    assert log == ["first's"]


async def test_a_router_that_is_attached_to_two_applications_is_independent() -> None:
    router = WebSocketRouter("/r", routes=[WebSocketGateway("/g", handler=telling)])
    first, second = FastAPI(), FastAPI()
    router.attach(first)
    router.attach(second)
    second.dependency_overrides[setting] = replaced_by("second's")
    assert await said(first, "/r/g") == ["real", "none"]
    assert await said(second, "/r/g") == ["second's", "none"]


# Instances


class Remembering(BasePermission):
    """A permission that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def has_permission(self, websocket: WebSocket, route: Any) -> bool:
        self.asked.append(websocket.url.path)
        websocket.scope["seen"] = self
        return True


class Keeping(BaseInterceptor):
    """An interceptor that keeps what it was called for."""

    def __init__(self) -> None:
        self.called: list[str] = []

    async def intercept(self, websocket: WebSocket, call_next: Callable[[], Awaitable[None]]) -> None:
        self.called.append(websocket.url.path)
        websocket.scope["called"] = self
        await call_next()


class Counting:
    """Middleware that keeps what it was called for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.called: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.called.append(scope["path"])
        scope["counted"] = self
        await self._app(scope, receive, send)


async def test_classes_have_an_instance_for_each_effective_route() -> None:
    found: dict[str, list[Any]] = {}

    @websocket("/{name}")
    async def handler(websocket: WebSocket) -> None:
        parts = [websocket.scope[key] for key in ("seen", "called", "counted")]
        found.setdefault(websocket.scope["route"].path, []).append(parts)

    gateway = WebSocketGateway(
        "/g", handler=handler, permissions=[Remembering], interceptors=[Keeping], middleware=[Counting]
    )
    one, two = WebSocketRouter("/one", routes=[gateway]), WebSocketRouter("/two", routes=[gateway])
    both = WebSocketRouter("/both", routes=[one, two])
    for app, prefix in ((gateway, ""), (one, "/one"), (two, "/two"), (both, "/both/one"), (both, "/both/two")):
        for name in "ab":
            await Peer(f"{prefix}/g/{name}").serve(app)

    assert len(found) == 5
    for path, connections in found.items():
        first, second = connections
        assert all(one is other for one, other in zip(first, second, strict=True)), "one for all connections"
        targets = [path.replace("{name}", name) for name in "ab"]
        permission, interceptor, middleware = first
        assert permission.asked == [f"/{target.lstrip('/')}" for target in targets]
        assert interceptor.called == middleware.called == targets
    assert len({id(part) for connections in found.values() for part in connections[0]}) == 15


async def test_an_instance_is_that_of_whoever_made_it() -> None:
    permission, interceptor = Remembering(), Keeping()
    handlers = [websocket(f"/{name}", permissions=[permission], interceptors=[interceptor])(empty) for name in "ab"]
    app = WebSocketRouter(routes=[WebSocketGateway(handler=handler) for handler in handlers])
    await Peer("/a").serve(app)
    await Peer("/b").serve(app)
    assert permission.asked == interceptor.called == ["/a", "/b"]


async def empty() -> None: ...


async def test_a_view_has_an_instance_for_each_connection() -> None:
    class View(WebSocketView):
        def __init__(self) -> None:
            self.seen = ["new"]

        @websocket()
        async def method(self, websocket: WebSocket) -> None:
            self.seen.append("seen")
            await websocket.accept()
            await websocket.send_json(self.seen)

    gateway = WebSocketGateway(handler=View)
    for _ in range(2):
        assert await said(gateway, "/") == ["new", "seen"]


async def test_connections_at_the_same_time_share_nothing() -> None:
    everyone = [f"connection {number}" for number in range(10)]
    arrived: dict[str, set[str]] = {}
    all_here: dict[str, anyio.Event] = {place: anyio.Event() for place in ("interceptor", "permission", "dependency")}

    async def meet(place: str, name: str) -> None:
        arrived.setdefault(place, set()).add(name)
        if len(arrived[place]) == len(everyone):
            all_here[place].set()
        await all_here[place].wait()

    async def named(name: str) -> AsyncIterator[str]:
        await meet("dependency", name)
        yield name

    class Interceptor(BaseInterceptor):
        async def intercept(self, websocket: WebSocket, call_next: Callable[[], Awaitable[None]], name: str) -> None:
            await meet("interceptor", name)
            await call_next()
            seen.setdefault(name, []).append(websocket.path_params["name"])

    class Permission(BasePermission):
        async def has_permission(self, websocket: WebSocket, route: object, name: str) -> bool:
            await meet("permission", name)
            seen.setdefault(name, []).append(websocket.path_params["name"])
            return True

    seen: dict[str, list[str]] = {}

    class View(WebSocketView):
        path = "/{name}"
        interceptors = [Interceptor]
        permissions = [Permission]

        def __init__(self, named: str) -> None:
            self.name = named

        @websocket(dependencies={"named": Inject(named)})
        async def method(self, websocket: WebSocket, name: str) -> None:
            seen.setdefault(name, []).append(self.name)

    gateway = WebSocketGateway(handler=View, dependencies={"named": Inject(named)}, middleware=[Seen])
    peers = [Peer(f"/{name}") for name in everyone]
    async with anyio.create_task_group() as tasks:
        for peer in peers:
            tasks.start_soon(peer.serve, gateway)
    assert seen == {name: [name] * 3 for name in everyone}
    assert all(peer.denial is not None for peer in peers)
