"""What `docs/coming-from-esmerald.md` says of wsroute. Esmerald itself is not needed for it."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from wsroute import (
    BaseInterceptor,
    BasePermission,
    DenyAll,
    Depends,
    HTTPException,
    Inject,
    Injects,
    Request,
    WebSocket,
    WebSocketException,
    WebSocketGateway,
    WebSocketRouter,
    WebSocketView,
    websocket,
)
from wsroute.testing import HandshakeRefused, connect_sync

PAGE = (Path(__file__).parents[1] / "docs/coming-from-esmerald.md").read_text()

#: As the reference page of Esmerald 2.7 has them.
PARAMETERS = {
    "path": None,
    "handler": inspect.Parameter.empty,
    "name": None,
    "parent": None,
    "dependencies": None,
    "middleware": None,
    "interceptors": None,
    "permissions": None,
    "exception_handlers": None,
    "is_from_router": False,
}
ATTRIBUTES = [
    "path",
    "handler",
    "parent",
    "dependencies",
    "middleware",
    "interceptors",
    "permissions",
    "exception_handlers",
]


def tell(app: ASGIApp, url: str = "/", **options: Any) -> Any:
    """What a client is sent as JSON."""
    with connect_sync(app, url, **options) as session:
        return session.receive_json()


def refused(app: ASGIApp, url: str = "/", **options: Any) -> tuple[int, Any]:
    """The status and the JSON with which a client is refused."""
    with pytest.raises(HandshakeRefused) as refusal, connect_sync(app, url, **options):
        raise AssertionError("accepted")
    return refusal.value.status_code, refusal.value.json()


async def answer(socket: WebSocket, value: Any) -> None:
    await socket.accept()
    await socket.send_json(value)


@websocket()
async def hello(socket: WebSocket) -> None:
    await answer(socket, "hello")


def rows(heading: str) -> list[str]:
    """The first cells of the tables below a heading."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    [text] = [part for part in section if part.startswith(f"{heading}\n")]
    return re.findall(r"^\| (`.+?) \|", text, flags=re.MULTILINE)


# The reference page


def test_the_gateway_has_the_parameters_of_the_reference_page_in_its_order() -> None:
    parameters = dict(inspect.signature(WebSocketGateway).parameters)
    added = [parameters.popitem()[0] for _ in range(2)]

    assert added == ["max_connections", "allowed_origins"]
    assert {name: parameter.default for name, parameter in parameters.items()} == PARAMETERS
    assert list(parameters) == list(PARAMETERS)
    kinds = [parameter.kind for parameter in parameters.values()]
    assert kinds == [inspect.Parameter.POSITIONAL_OR_KEYWORD] + [inspect.Parameter.KEYWORD_ONLY] * 9


def test_the_page_lists_each_parameter_once() -> None:
    listed = [re.findall(r"`(\w+)", row)[0] for row in rows("Parameters of `WebSocketGateway`")]

    assert listed == list(PARAMETERS)


def test_the_page_lists_each_attribute_of_the_reference_page() -> None:
    listed = [name for row in rows("Attributes") for name in re.findall(r"`(\w+)`", row)]

    assert set(ATTRIBUTES) <= set(listed)


def test_a_gateway_has_the_attributes_of_the_reference_page() -> None:
    gateway = WebSocketGateway("/ws", handler=hello)

    assert {name: getattr(gateway, name) for name in ATTRIBUTES} == {
        "path": "/ws",
        "handler": hello,
        "parent": None,
        "dependencies": {},
        "middleware": [],
        "interceptors": [],
        "permissions": [],
        "exception_handlers": {},
    }
    assert gateway.name == "hello"


async def get_limit() -> int:
    return 10


class Passes:
    """Middleware that does nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Allows(BasePermission):
    async def has_permission(self, websocket: WebSocket, route: Any) -> bool:
        return True


class Intercepts(BaseInterceptor):
    async def intercept(self, scope: Scope, receive: Receive, send: Send) -> None: ...


async def handles(socket: WebSocket, exc: Exception) -> None: ...


def test_attributes_are_what_was_given_in_copies_that_change_nothing() -> None:
    given: dict[str, Any] = {
        "dependencies": {"limit": Inject(get_limit)},
        "middleware": [Middleware(Passes)],
        "interceptors": [Intercepts],
        "permissions": [Allows],
        "exception_handlers": {ValueError: handles},
    }
    before = {name: value.copy() for name, value in given.items()}
    parent = object()
    gateway = WebSocketGateway(handler=hello, parent=parent, **given)

    assert {name: getattr(gateway, name) for name in given} == before
    assert not any(getattr(gateway, name) is value for name, value in given.items())
    assert gateway.parent is parent
    gateway.permissions.append(DenyAll)
    given["permissions"].append(DenyAll)
    given["middleware"].clear()
    assert tell(gateway) == "hello"


def test_nothing_is_assigned_to_parent_and_the_lists_of_the_caller_stay_as_they_are() -> None:
    middleware = [Middleware(Passes)]
    permissions = [Allows]

    @websocket(middleware=middleware, permissions=permissions)
    async def handler(socket: WebSocket) -> None:
        await answer(socket, "hello")

    gateway = WebSocketGateway(handler=handler, middleware=middleware, permissions=permissions)
    router = WebSocketRouter(routes=[gateway], middleware=middleware, permissions=permissions)

    for _ in range(3):
        assert tell(router) == "hello"
    assert (len(middleware), permissions, gateway.parent) == (1, [Allows], None)


@pytest.mark.parametrize(
    ("path", "below", "whole"),
    [
        (None, None, "/"),
        ("/ws", None, "/ws"),
        ("/ws/", "/a/", "/ws/a"),
        ("//ws//", "//a", "/ws/a"),
        ("/{age: int}", None, "/{age:int}"),
    ],
)
def test_paths_are_joined_and_cleaned(path: str | None, below: str | None, whole: str) -> None:
    async def endpoint(socket: WebSocket) -> None: ...

    assert WebSocketGateway(path, handler=websocket(below)(endpoint)).path == whole


def test_a_path_as_the_reference_page_writes_it_has_a_typed_parameter() -> None:
    async def endpoint(socket: WebSocket, age: int) -> None:
        await answer(socket, age)

    assert tell(WebSocketGateway("/{age: int}", handler=endpoint), "/42") == 42


def test_the_path_of_a_gateway_from_a_router_is_the_whole_path() -> None:
    handler = websocket("/left-out")(hello.fn)

    assert WebSocketGateway("/ws", handler=handler, is_from_router=True).path == "/ws"


@pytest.mark.parametrize(
    ("of_gateway", "of_handler", "name"),
    [(None, None, "endpoint"), ("gw", None, "gw"), (None, "h", "h"), ("gw", "h", "gw:h")],
)
def test_names(of_gateway: str | None, of_handler: str | None, name: str) -> None:
    async def endpoint(socket: WebSocket) -> None: ...

    gateway = WebSocketGateway("/ws", handler=websocket(name=of_handler)(endpoint), name=of_gateway)

    assert Starlette(routes=[gateway]).url_path_for(name) == "/ws"


# Handlers


def test_one_handler_in_two_gateways_is_two_routes() -> None:
    @websocket()
    async def handler(socket: WebSocket, where: str) -> None:
        await answer(socket, where)

    first = WebSocketGateway("/a", handler=handler, dependencies={"where": lambda: "a"})
    second = WebSocketGateway("/b", handler=handler, dependencies={"where": lambda: "b"})
    closed = WebSocketGateway("/c", handler=handler, dependencies={"where": lambda: "c"}, permissions=[DenyAll])
    router = WebSocketRouter(routes=[first, second, closed])

    assert [tell(router, "/a"), tell(router, "/b")] == ["a", "b"]
    assert refused(router, "/c") == (403, {"detail": "Forbidden"})


def test_a_handler_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="cannot be changed"):
        hello.path = "/other"


async def any_name(client: WebSocket) -> str:
    await answer(client, "hello")
    return "not looked at"


async def no_annotation(ws):  # type: ignore[no-untyped-def]  # an unannotated socket is what is tested
    await answer(ws, "hello")


@pytest.mark.parametrize("endpoint", [any_name, no_annotation])
def test_the_socket_is_known_by_its_annotation_and_the_return_annotation_is_not_looked_at(
    endpoint: Callable[..., Any],
) -> None:
    assert tell(WebSocketGateway(handler=websocket()(endpoint))) == "hello"


def test_names_that_esmerald_reserves_are_only_names() -> None:
    @websocket()
    async def handler(socket: WebSocket, data: str, payload: int, query: str, request: Request) -> None:
        await answer(socket, [data, payload, query, request.query_params["data"]])

    seen = tell(WebSocketGateway(handler=handler), "/?data=long&payload=7&query=longer")

    assert seen == ["long", 7, "longer", "long"]


def test_path_parameters_of_prefixes_are_injected() -> None:
    @websocket("/{room}")
    async def handler(socket: WebSocket, tenant: str, section: int, room: str) -> None:
        await answer(socket, [tenant, section, room])

    inner = WebSocketRouter("/{section:int}", routes=[WebSocketGateway("/rooms", handler=handler)])

    assert tell(WebSocketRouter("/{tenant}", routes=[inner]), "/acme/3/rooms/lobby") == ["acme", 3, "lobby"]


def test_a_handler_that_returns_closes_with_1000_and_one_that_never_accepts_is_refused_and_runs_once() -> None:
    runs = []

    @websocket()
    async def handler(socket: WebSocket, accept: bool) -> None:
        runs.append(accept)
        if accept:
            await socket.accept()

    gateway = WebSocketGateway(handler=handler)

    with connect_sync(gateway, "/?accept=1") as session:
        session.expect_close(1000)
    assert refused(gateway, "/?accept=0") == (403, {"detail": "Forbidden"})
    assert runs == [True, False]


def test_the_first_route_that_matches_is_the_one() -> None:
    async def second(socket: WebSocket) -> None: ...

    router = WebSocketRouter(routes=[WebSocketGateway("/", handler=hello), WebSocketGateway("/", handler=second)])

    assert tell(router) == "hello"


# Dependencies


def test_generators_are_opened_and_closed() -> None:
    log = []

    async def database() -> AsyncIterator[str]:
        log.append("open")
        yield "database"
        log.append("close")

    def cursor(database: str) -> Iterator[str]:
        log.append("open cursor")
        yield f"cursor on {database}"
        log.append("close cursor")

    async def endpoint(socket: WebSocket, cursor: str) -> None:
        await answer(socket, cursor)

    gateway = WebSocketGateway(handler=endpoint, dependencies={"database": Inject(database), "cursor": Inject(cursor)})

    assert tell(gateway) == "cursor on database"
    assert log == ["open", "open cursor", "close cursor", "close"]


@pytest.mark.parametrize("use_cache", [True, False])
def test_nothing_is_kept_from_one_connection_to_the_next(use_cache: bool) -> None:
    async def get_user(token: str) -> str:
        return token

    async def endpoint(socket: WebSocket, user: str) -> None:
        await answer(socket, user)

    gateway = WebSocketGateway(handler=endpoint, dependencies={"user": Inject(get_user, use_cache=use_cache)})

    assert [tell(gateway, "/?token=alice"), tell(gateway, "/?token=bob")] == ["alice", "bob"]


def test_what_two_others_need_is_called_once_and_so_is_what_has_two_names() -> None:
    calls = []

    async def base() -> int:
        calls.append("base")
        return len(calls)

    async def endpoint(socket: WebSocket, left: int, right: int, base: int, same: int) -> None:
        await answer(socket, [left, right, base, same])

    async def left(base: int) -> int:
        return base

    async def right(base: int) -> int:
        return base

    gateway = WebSocketGateway(
        handler=endpoint, dependencies={"base": base, "same": base, "left": left, "right": right}
    )

    assert tell(gateway) == [1, 1, 1, 1]


def test_values_are_validated_only_where_the_annotation_says_so() -> None:
    async def endpoint(socket: WebSocket, limit: int, checked: Annotated[int, Field(gt=0)]) -> None:
        await answer(socket, [limit, checked])

    gateway = WebSocketGateway(handler=endpoint, dependencies={"limit": lambda: "10", "checked": lambda: "10"})

    assert tell(gateway) == ["10", 10]


def test_a_name_that_nobody_provides_is_a_query_parameter() -> None:
    async def endpoint(socket: WebSocket, limit: int) -> None:
        await answer(socket, limit)

    assert tell(WebSocketGateway(handler=endpoint), "/?limit=7") == 7


def test_lists_of_depends_run_for_their_effect() -> None:
    log = []

    async def effect() -> None:
        log.append("effect")

    assert tell(WebSocketGateway(handler=hello, dependencies=[Depends(effect)])) == "hello"
    assert log == ["effect"]


# Permissions and interceptors


def test_a_permission_as_esmerald_has_it_works_unchanged() -> None:
    class HasToken(BasePermission):
        message = "A token is required"

        def has_permission(self, request: Any, apiview: Any) -> bool:
            return "token" in request.headers and apiview.path == "/"

    gateway = WebSocketGateway(handler=hello, permissions=[HasToken])

    assert tell(gateway, headers={"token": "1"}) == "hello"
    assert refused(gateway) == (403, {"detail": "A token is required"})


class Counts(BasePermission):
    """A permission that counts how often it is asked."""

    def __init__(self, answer: bool = True) -> None:
        self.answer = answer
        self.asked = 0

    async def has_permission(self, websocket: WebSocket, route: Any) -> bool:
        self.asked += 1
        return self.answer


def test_the_permissions_of_all_levels_are_asked_once_also_after_many_connections() -> None:
    of_router, of_gateway, of_view, of_handler = (Counts() for _ in range(4))

    class View(WebSocketView):
        permissions: ClassVar = [of_view]

        @websocket(permissions=[of_handler])
        async def handler(self, socket: WebSocket) -> None:
            await answer(socket, "hello")

    router = WebSocketRouter(
        permissions=[of_router], routes=[WebSocketGateway(handler=View, permissions=[of_gateway, of_router])]
    )

    for _ in range(100):
        assert tell(router) == "hello"
    assert [item.asked for item in (of_router, of_gateway, of_view, of_handler)] == [100] * 4


def test_a_permission_of_a_handler_is_asked_behind_a_gateway_that_allows() -> None:
    @websocket(permissions=[DenyAll])
    async def handler(socket: WebSocket) -> None: ...

    assert refused(WebSocketGateway(handler=handler, permissions=[Allows]))[0] == 403


@pytest.mark.parametrize(
    ("rule", "accepted"),
    [
        (Allows & Counts(), True),
        (Allows & DenyAll, False),
        (DenyAll | Allows, True),
        (~Allows, False),
        (Counts(False), False),
    ],
)
def test_expressions_and_instances_work(rule: Any, accepted: bool) -> None:
    gateway = WebSocketGateway(handler=hello, permissions=[rule])

    if accepted:
        assert tell(gateway) == "hello"
    else:
        assert refused(gateway)[0] == 403


def test_an_interceptor_as_esmerald_has_it_works_unchanged() -> None:
    class Rewrites(BaseInterceptor):
        async def intercept(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path_params"]["number"] == "0":
                raise HTTPException(404, "No such number")
            scope["path_params"]["number"] = "7"

    async def endpoint(socket: WebSocket, number: int) -> None:
        await answer(socket, number)

    gateway = WebSocketGateway("/{number}", handler=endpoint, interceptors=[Rewrites])

    assert tell(gateway, "/1") == 7
    assert refused(gateway, "/0") == (404, {"detail": "No such number"})


# Exceptions


def test_an_exception_handler_as_esmerald_has_it_works_unchanged() -> None:
    def not_there(request: Any, exc: Exception) -> Response:
        return PlainTextResponse(f'"{exc} of {request.path_params["name"]}"', 404)

    async def endpoint(socket: WebSocket, name: str) -> None:
        raise LookupError("Nothing")

    gateway = WebSocketGateway("/{name}", handler=endpoint, exception_handlers={LookupError: not_there})

    assert refused(gateway, "/ann") == (404, "Nothing of ann")


def test_exception_handlers_of_both_kinds_are_called_once_and_the_endpoint_runs_once() -> None:
    log = []

    async def of_a(socket: WebSocket, exc: Exception) -> None:
        log.append("a")

    def of_b(socket: WebSocket, exc: Exception) -> None:
        log.append("b")

    async def endpoint(socket: WebSocket) -> None:
        log.append("endpoint")
        raise ValueError

    router = WebSocketRouter(
        routes=[
            WebSocketGateway("/a", handler=endpoint, exception_handlers={ValueError: of_a}),
            WebSocketGateway("/b", handler=endpoint, exception_handlers={ValueError: of_b}),
        ]
    )

    assert [refused(router, "/a")[0], refused(router, "/b")[0]] == [500, 500]
    assert log == ["endpoint", "a", "endpoint", "b"]


def test_close_codes_may_be_keys() -> None:
    async def too_late(socket: WebSocket, exc: WebSocketException) -> None:
        await socket.close(4002, "handled")

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        raise WebSocketException(4001)

    gateway = WebSocketGateway(handler=endpoint, exception_handlers={4001: too_late})

    with connect_sync(gateway) as session:
        session.expect_close(4002, "handled")


def test_a_failed_assertion_in_a_handler_fails_the_test() -> None:
    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        assert socket.url.path == "/other"

    with pytest.raises(AssertionError, match="/other"), connect_sync(WebSocketGateway(handler=endpoint)):
        pass


# Views


class Base(WebSocketView):
    """A view whose constructor is injected, with middleware that its handlers do not mention."""

    path = "/view"
    middleware: ClassVar = [Passes]
    exception_handlers: ClassVar = {ValueError: handles}
    made: ClassVar[list[Base]] = []

    def __init__(self, user: Annotated[str, Injects()]) -> None:
        self.made.append(self)
        self.user = user

    @websocket("/first")
    async def first(self, socket: WebSocket) -> None:
        await answer(socket, self.user)


class Derived(Base):
    @websocket("/second", name="other")
    async def second(self, socket: WebSocket) -> None:
        await answer(socket, self.user.upper())


async def get_user(token: str) -> str:
    return token


def test_each_connection_has_an_instance_of_its_own_and_handlers_are_inherited() -> None:
    Base.made.clear()
    gateway = WebSocketGateway("/gw", handler=Derived, name="gw", dependencies={"user": Inject(get_user)})

    assert [(route.path, route.name) for route in gateway.routes] == [
        ("/gw/view/first", "gw:first"),
        ("/gw/view/second", "gw:other"),
    ]
    assert gateway.path == "/gw/view"
    assert tell(gateway, "/gw/view/first?token=ann") == "ann"
    assert tell(gateway, "/gw/view/second?token=bob") == "BOB"
    assert [(type(view), view.user) for view in Base.made] == [(Derived, "ann"), (Derived, "bob")]


def test_the_middleware_of_a_view_is_around_a_handler_once_however_many_applications_there_are() -> None:
    log = []

    class Logs(Passes):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            log.append("middleware")
            await super().__call__(scope, receive, send)

    class View(WebSocketView):
        middleware: ClassVar = [Logs]

        @websocket()
        async def handler(self, socket: WebSocket) -> None:
            await answer(socket, "hello")

    for _ in range(4):
        app = Starlette(routes=[WebSocketGateway(handler=View)])
    assert tell(app) == "hello"
    assert log == ["middleware"]


def test_overrides_by_name_replace_what_a_level_provides() -> None:
    async def endpoint(socket: WebSocket, limit: int) -> None:
        await answer(socket, limit)

    router = WebSocketRouter(
        routes=[WebSocketGateway(handler=endpoint, dependencies={"limit": Inject(get_limit)})],
    )
    router.dependency_overrides["limit"] = lambda: 20

    assert tell(router) == 20
