"""What levels cannot be given: dependencies by name, permissions, interceptors, middleware, exception handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from anyio.abc import TaskGroup
from pydantic import Field
from starlette.middleware import Middleware

from tests.mistakes.said import Plain, at_binding, at_declaration, get_limit, said_by_pydantic, says
from wsroute import (
    AllowAny,
    APIWebSocketRoute,
    BackgroundTasks,
    BaseInterceptor,
    BasePermission,
    DependencyCycleError,
    DependencyScopeError,
    Depends,
    Inject,
    Injects,
    InvalidParameterError,
    Query,
    WebSocket,
    WebSocketGateway,
    WebSocketRouter,
    WebSocketView,
    WsRouteError,
    websocket,
)


async def empty(socket: WebSocket) -> None: ...


def in_gateway(**level: Any) -> None:
    WebSocketGateway("/ws", handler=empty, **level)


def in_router(**level: Any) -> None:
    WebSocketRouter("/ws", **level)


def in_inclusion(**level: Any) -> None:
    WebSocketRouter().include_router(WebSocketRouter(), prefix="/ws", **level)


def in_handler(**level: Any) -> None:
    websocket("/ws", **level)(empty)


def in_route(**level: Any) -> None:
    APIWebSocketRoute("/ws", empty, **level)


def in_router_route(**level: Any) -> None:
    WebSocketRouter().websocket("/ws", **level)(empty)


def in_view(**level: Any) -> None:
    WebSocketGateway("/", handler=type("View", (WebSocketView,), {"__module__": __name__, **level, "one": handler}))


handler = websocket("/")(empty)

#: How each level is declared, and what its mistakes show as the place.
LEVELS: dict[str, tuple[Callable[..., None], str]] = {
    "gateway": (in_gateway, "WebSocketGateway('/ws')"),
    "router": (in_router, "WebSocketRouter('/ws')"),
    "inclusion": (in_inclusion, "include_router(prefix='/ws')"),
    "handler": (in_handler, "@websocket('/ws')"),
    "view": (in_view, "MODULE.View"),
    "route": (in_route, "route '/ws'\n  MODULE.empty"),
    "route of a router": (in_router_route, "route '/ws'\n  MODULE.empty"),
}
every_level = pytest.mark.parametrize(("declare", "where"), LEVELS.values(), ids=LEVELS)


def said(problem: str, where: str, expected: str, remedy: str) -> str:
    """The text of an error."""
    return f"{problem}\n  {where}\n  expected: {expected}\n  remedy: {remedy}"


def wrong(declare: Callable[..., None], text: str, **level: Any) -> None:
    """Declaring a level with this raises exactly that."""
    with says(InvalidParameterError, text, wrong):
        declare(**level)


# --- dependencies= ---------------------------------------------------------------------------------------------------


@every_level
def test_two_providers_of_one_name_at_one_level(declare: Callable[..., None], where: str) -> None:
    text = said(
        "dependencies= provides 'limit' twice at one level",
        where,
        "one provider for each name of a level",
        "remove one of them, or move it to another level: the nearest one counts",
    )
    wrong(declare, text, dependencies=[{"limit": get_limit}, Depends(get_limit), {"limit": Inject(get_limit)}])


@pytest.mark.parametrize(
    ("name", "shown"), [("a b", "'a b'"), ("class", "'class'"), ("", "''"), (3, "3"), (int, "int")]
)
def test_a_name_that_no_parameter_can_have(name: Any, shown: str) -> None:
    text = said(
        f"dependencies= provides something under {shown}, which no parameter can be called",
        "WebSocketGateway('/ws')",
        "names of parameters",
        "name it as the parameters that get it",
    )
    wrong(in_gateway, text, dependencies={name: get_limit})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3, "3"),
        (None, "None"),
        (Injects(), "Injects()"),
        (Depends(), "Depends()"),
        (Query(), "Query()"),
        (Inject(3), "Inject(3)"),  # type: ignore[arg-type]  # which is the mistake
        (Inject, "wsroute.param_functions.Inject"),
        (Depends, "wsroute.param_functions.Depends"),
    ],
)
@every_level
def test_what_provides_nothing(declare: Callable[..., None], where: str, value: Any, shown: str) -> None:
    text = said(
        f"dependencies= provides {shown} under 'limit'",
        where,
        "Inject(...) with a callable inside, or the callable itself",
        'write dependencies={"limit": Inject(your_dependency)}; a value is lambda: value',
    )
    wrong(declare, text, dependencies={"limit": value})


@pytest.mark.parametrize(
    ("dependencies", "problem"),
    [
        ([get_limit], "dependencies= holds MODULE.get_limit"),
        ([Injects()], "dependencies= holds Injects()"),
        (["limit"], "dependencies= holds 'limit'"),
        ([Query()], "dependencies= holds Query()"),
    ],
)
@every_level
def test_what_cannot_be_run_for_its_effect(
    declare: Callable[..., None], where: str, dependencies: Any, problem: str
) -> None:
    text = said(
        problem.replace("MODULE", "tests.mistakes.said"),
        where,
        "Depends(...) or Security(...) with a callable inside",
        "write dependencies=[Depends(your_dependency)]",
    )
    wrong(declare, text, dependencies=dependencies)


@pytest.mark.parametrize("dependencies", [3, Depends(get_limit), {3}])
@every_level
def test_dependencies_that_are_neither_a_sequence_nor_a_mapping(
    declare: Callable[..., None], where: str, dependencies: Any
) -> None:
    shown = repr(dependencies).replace(repr(get_limit), "tests.mistakes.said.get_limit")
    text = said(
        f"dependencies= is {shown}",
        where,
        "a list of Depends(...) or Security(...), or a mapping of names to Inject(...)",
        "put it into a list",
    )
    with pytest.raises(InvalidParameterError) as raised:
        declare(dependencies=dependencies)
    assert str(raised.value).splitlines()[1:] == text.replace("MODULE", __name__).splitlines()[1:]


@pytest.mark.parametrize("level", ["router", "inclusion", "gateway", "handler"])
def test_a_provider_that_is_called_like_a_parameter_of_its_own_levels_path(level: str) -> None:
    path, (_, where) = "/{limit: int}" if level in ("gateway", "handler") else "/{limit:int}", LEVELS[level]
    declare: dict[str, Callable[[], object]] = {
        "router": lambda: WebSocketRouter(path, dependencies={"limit": get_limit}),
        "inclusion": lambda: WebSocketRouter().include_router(
            WebSocketRouter(), prefix=path, dependencies={"limit": get_limit}
        ),
        "gateway": lambda: WebSocketGateway(path, handler=empty, dependencies={"limit": get_limit}),
        "handler": lambda: websocket(path, dependencies={"limit": get_limit})(empty),
    }
    text = said(
        "'limit' is provided by name, and is a parameter of the path '/{limit:int}' as well",
        where.replace("/ws", path),
        "names of the path and names that are provided to be different",
        "rename {limit} in the path, or what dependencies= provides",
    )
    with says(InvalidParameterError, text, empty):
        declare[level]()


@at_binding(
    InvalidParameterError,
    """
    'limit' is provided by name, and is a parameter of the path '/rooms/{limit}' as well
      route '/rooms/{limit}'
      MODULE.empty
      expected: names of the path and names that are provided to be different
      remedy: rename {limit} in the path, or what dependencies= provides
    """,
)
def test_a_provider_that_is_called_like_a_parameter_of_the_path_further_in(router: WebSocketRouter) -> None:
    inner = WebSocketRouter("/rooms", dependencies={"limit": get_limit})
    inner.add_api_websocket_route("/{limit}", empty)
    router.include_router(inner)


@at_binding(
    InvalidParameterError,
    """
    no level provides 'user'; by name there is 'limit', 'other'
      route '/items'
      HERE.endpoint
         parameter 'user'
      expected: a provider of 'user' at one of the levels
      remedy: add dependencies={"user": Inject(...)} to the route or to a level above it
    """,
)
def test_injects_without_a_provider(router: WebSocketRouter) -> None:
    inner = WebSocketRouter(dependencies={"limit": get_limit})

    @inner.websocket("/items", dependencies={"other": get_limit})
    async def endpoint(websocket: WebSocket, user: Plain = Injects()) -> None: ...

    router.include_router(inner)


@at_binding(
    InvalidParameterError,
    """
    no level provides 'user'; by name there is nothing
      route '/items'
      HERE.handle
         parameter 'user'
      expected: a provider of 'user' at one of the levels
      remedy: add dependencies={"user": Inject(...)} to the route or to a level above it
    """,
)
def test_injects_of_a_handler_without_a_provider(router: WebSocketRouter) -> None:
    @websocket("/items")
    async def handle(socket: WebSocket, user: Annotated[Plain, Injects()]) -> None: ...

    router.include_router(WebSocketRouter(routes=[WebSocketGateway(handler=handle)]))


@at_binding(
    InvalidParameterError,
    """
    no level provides 'user'; by name there is 'user'
      route '/items'
      HERE.endpoint
         └─ HERE.get_user
            parameter 'user'
      expected: a provider of 'user' at one of the levels
      remedy: add dependencies={"user": Inject(...)} to the route or to a level above it
    """,
)
def test_a_provider_whose_own_name_no_outer_level_provides(router: WebSocketRouter) -> None:
    def get_user(user: Plain = Injects()) -> Plain:
        return user

    @router.websocket("/items", dependencies={"user": get_user})
    async def endpoint(websocket: WebSocket, user: Plain) -> None: ...


@at_binding(
    InvalidParameterError,
    """
    nothing tells how to make Plain of what a handshake carries
      route '/items'
      HERE.endpoint
         parameter 'user'
      expected: a type that pydantic can validate, or a marker
      remedy: if 'user' is a dependency, write Annotated[Plain, Depends(...)]
    """,
)
def test_a_parameter_that_a_level_was_to_provide(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, user: Plain) -> None: ...


@at_binding(
    InvalidParameterError,
    f"""
    pydantic refuses int as it is declared: {said_by_pydantic(Annotated[int, Field(gt="one")])}
      route '/items'
      HERE.endpoint
         parameter 'limit'
      expected: a type with constraints and metadata that fit it
      remedy: correct the declaration
    """,
)
def test_a_provided_parameter_with_metadata_that_does_not_fit_its_type(router: WebSocketRouter) -> None:
    inner = WebSocketRouter(dependencies={"limit": get_limit})

    @inner.websocket("/items")
    async def endpoint(websocket: WebSocket, limit: Annotated[int, Field(gt="one")]) -> None: ...

    router.include_router(inner)


INSIDE_DEPENDS = """
    Injects() in a function inside Depends(...), which providers by name do not reach
      route '/items'
      HERE.endpoint
         └─ HERE.get_user
            parameter 'name'
      expected: a provider of 'name' at one of the levels
      remedy: write Depends(...) with what provides it, or provide this function by name as well
    """


@at_declaration(InvalidParameterError, INSIDE_DEPENDS)
def test_injects_in_a_function_inside_depends(router: WebSocketRouter) -> None:
    def get_user(name: str = Injects()) -> str:
        return name

    @router.websocket("/items", dependencies={"name": lambda: "ada"})
    async def endpoint(websocket: WebSocket, user: Annotated[str, Depends(get_user)]) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    a marker in Annotated and another one, Injects(), as the default
      route '/items'
      HERE.endpoint
         parameter 'user'
      expected: one marker
      remedy: keep the one in Annotated
    """,
)
def test_injects_beside_depends(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, user: Annotated[int, Depends(get_limit)] = Injects()) -> None: ...


@at_declaration(
    InvalidParameterError,
    """
    Injects stands there without a call
      route '/items'
      HERE.endpoint
         parameter 'user'
      expected: a marker, which calling Injects makes
      remedy: write Injects()
    """,
)
def test_injects_without_its_call(router: WebSocketRouter) -> None:
    @router.websocket("/items")
    async def endpoint(websocket: WebSocket, user: int = Injects) -> None: ...  # type: ignore[assignment]  # which is the mistake


def first(second: int) -> int:
    return second


def second(first: int) -> int:
    return first


@every_level
def test_providers_of_one_level_that_need_each_other(declare: Callable[..., None], where: str) -> None:
    text = said(
        "a dependency needs itself: MODULE.first -> MODULE.second -> MODULE.first",
        f"{where}\n     └─ MODULE.first\n        └─ MODULE.second\n           └─ MODULE.first",
        "a tree",
        "remove one parameter of MODULE.first, MODULE.second, or move what they share to a third",
    )
    with says(DependencyCycleError, text, wrong):
        declare(dependencies={"first": first, "second": Inject(second)})


@at_binding(
    DependencyCycleError,
    """
    a dependency needs itself: MODULE.first -> MODULE.second -> MODULE.first
      route '/items'
      HERE.endpoint
         └─ MODULE.first
            └─ MODULE.second
               └─ MODULE.first
      expected: a tree
      remedy: remove one parameter of MODULE.first, MODULE.second, or move what they share to a third
    """,
)
def test_providers_of_two_levels_that_need_each_other(router: WebSocketRouter) -> None:
    @websocket("/items", dependencies={"second": second})
    async def endpoint(websocket: WebSocket, first: int) -> None: ...

    router.include_router(WebSocketRouter(dependencies={"first": first}, routes=[WebSocketGateway(handler=endpoint)]))


# --- permissions= ----------------------------------------------------------------------------------------------------

PERMISSIONS = "a list of permissions: classes or instances with has_permission(self, websocket, route, ...)"


class Abstract(BasePermission): ...


class Needy(BasePermission):
    def __init__(self, role: str) -> None:
        self.role = role

    async def has_permission(self, socket: WebSocket, route: Any) -> bool:
        return True


class Yielding(BasePermission):
    def has_permission(self, socket: WebSocket, route: Any) -> Iterator[bool]:
        yield False


class YieldingToo(BasePermission):
    async def has_permission(self, socket: WebSocket, route: Any) -> AsyncIterator[bool]:
        yield False


class NotCallable:
    has_permission = True


@pytest.mark.parametrize(
    ("permissions", "problem", "remedy"),
    [
        (AllowAny, "permissions= is wsroute.routing.permissions.AllowAny", "put it into a list"),
        ("AllowAny", "permissions= is 'AllowAny'", "put it into a list"),
        (
            AllowAny & ~Needy,
            "permissions= is (wsroute.routing.permissions.AllowAny & ~MODULE.Needy)",
            "put it into a list",
        ),
        ([Plain], "permissions= holds tests.mistakes.said.Plain", "derive it from BasePermission"),
        ([Plain()], "permissions= holds <tests.mistakes.said.Plain object>", "derive it from BasePermission"),
        ([get_limit], "permissions= holds tests.mistakes.said.get_limit", "derive it from BasePermission"),
        ([NotCallable], "permissions= holds MODULE.NotCallable", "derive it from BasePermission"),
        ([AllowAny, None], "permissions= holds None", "derive it from BasePermission"),
        ([Abstract], "MODULE.Abstract does not define has_permission", "define it"),
        ([AllowAny | ~Abstract], "MODULE.Abstract does not define has_permission", "define it"),
        (
            [Yielding],
            "MODULE.Yielding.has_permission yields, and so gives no answer",
            "return the answer, without yield",
        ),
        (
            [AllowAny & ~YieldingToo()],
            "MODULE.YieldingToo.has_permission yields, and so gives no answer",
            "return the answer, without yield",
        ),
    ],
)
@every_level
def test_what_is_no_permission(
    declare: Callable[..., None], where: str, permissions: Any, problem: str, remedy: str
) -> None:
    wrong(declare, said(problem, where, PERMISSIONS, remedy), permissions=permissions)


@pytest.mark.parametrize("permissions", [[Needy], [AllowAny & Needy]], ids=["class", "expression"])
@every_level
def test_a_permission_whose_class_needs_arguments(declare: Callable[..., None], where: str, permissions: Any) -> None:
    text = said(
        "MODULE.Needy cannot be made without arguments: missing a required argument: 'role'",
        where,
        "a class whose constructor needs none, or an instance",
        "write Needy(...) with its arguments, and give it what differs between connections as parameters of its method",
    )
    wrong(declare, text, permissions=permissions)


class TooFew:
    async def has_permission(self, socket: WebSocket) -> bool:
        return True


class ByName:
    async def has_permission(self, socket: WebSocket, *, route: Any) -> bool:
        return True


@pytest.mark.parametrize(("permission", "found"), [(TooFew, "socket"), (TooFew(), "socket"), (ByName, "socket, route")])
@every_level
def test_a_permission_that_does_not_take_socket_and_route(
    declare: Callable[..., None], where: str, permission: Any, found: str
) -> None:
    name = (permission if isinstance(permission, type) else type(permission)).__name__
    text = said(
        f"it takes ({found})",
        f"{where}\n     └─ MODULE.{name}.has_permission",
        "the parameters (websocket, route), by position and under any names, before those that are injected",
        "declare them as (websocket, route, ...)",
    )
    wrong(declare, text, permissions=[permission])


class WithoutRoute(BasePermission):
    async def has_permission(self, socket: WebSocket, limit: Annotated[int, Depends(get_limit)]) -> bool:
        return limit > 3


class WithoutSocket(BasePermission):
    async def has_permission(self, limit: Annotated[int, Query()], route: Any) -> bool:
        return limit > 3


class Swapped:
    async def has_permission(self, route: Any, limit: WebSocket) -> bool:
        return True


class Tasks:
    def has_permission(self, limit: BackgroundTasks, route: Any) -> bool:
        return True


@pytest.mark.parametrize(
    ("permission", "given"),
    [
        (WithoutRoute, "route"),
        (WithoutRoute(), "route"),
        (WithoutSocket, "websocket"),
        (Swapped(), "route"),
        (Tasks, "websocket"),
    ],
)
@every_level
def test_a_permission_that_would_get_something_else_than_it_asks_for(
    declare: Callable[..., None], where: str, permission: Any, given: str
) -> None:
    name = (permission if isinstance(permission, type) else type(permission)).__name__
    text = said(
        f"'limit' stands where {given!r} is given, and asks for something else",
        f"{where}\n     └─ MODULE.{name}.has_permission\n        parameter 'limit'",
        "what is injected behind what is given by position",
        f"declare a parameter for {given!r} before it",
    )
    wrong(declare, text, permissions=[permission])


async def short() -> AsyncIterator[int]:
    yield 1


class NeedsShort:
    async def has_permission(
        self, socket: WebSocket, route: Any, short: Annotated[int, Depends(short, scope="function")]
    ) -> bool:
        return True


class NeedsTasks(BasePermission):
    async def has_permission(self, socket: WebSocket, route: Any, tasks: TaskGroup) -> bool:
        return True


@every_level
def test_a_permission_that_needs_what_lives_shorter_than_the_connection(
    declare: Callable[..., None], where: str
) -> None:
    text = said(
        "MODULE.NeedsShort.has_permission needs MODULE.short, which lives shorter than the connection: "
        "scope='function'",
        f"{where}\n     └─ MODULE.NeedsShort.has_permission\n        └─ MODULE.short",
        "what permissions and interceptors need to live as long as the connection",
        "give MODULE.short scope='connection', or leave scope= out",
    )
    with says(DependencyScopeError, text, wrong):
        declare(permissions=[NeedsShort])


@every_level
def test_a_permission_that_asks_for_a_task_group(declare: Callable[..., None], where: str) -> None:
    text = said(
        "a dependency asks for a TaskGroup",
        f"{where}\n     └─ MODULE.NeedsTasks.has_permission\n        parameter 'tasks'",
        "a TaskGroup in the signature of an endpoint: its tasks end before any dependency closes",
        "open a task group inside of the dependency, around its yield, or move the parameter",
    )
    wrong(declare, text, permissions=[NeedsTasks])


@at_binding(
    InvalidParameterError,
    """
    no level provides 'user'; by name there is nothing
      route '/items'
      HERE.Member.has_permission
         parameter 'user'
      expected: a provider of 'user' at one of the levels
      remedy: add dependencies={"user": Inject(...)} to the route or to a level above it
    """,
)
def test_a_permission_for_which_no_level_provides(router: WebSocketRouter) -> None:
    class Member(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any, user: Plain = Injects()) -> bool:
            return True

    router.add_api_websocket_route("/items", empty, permissions=[Member])


# --- interceptors= ---------------------------------------------------------------------------------------------------

INTERCEPTORS = "a list of classes or instances with async def intercept(self, websocket, call_next, ...)"


class AbstractInterceptor(BaseInterceptor): ...


class NeedyInterceptor(BaseInterceptor):
    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    async def intercept(self, socket: WebSocket, call_next: Any) -> None: ...


class Synchronous:
    def intercept(self, socket: WebSocket, call_next: Any) -> None: ...


class Generating:
    async def intercept(self, socket: WebSocket, call_next: Any) -> AsyncIterator[None]:
        yield


class Reordered:
    async def intercept(self, scope: Any, send: Any, receive: Any) -> None: ...


class WithMore:
    async def intercept(self, scope: Any, receive: Any, send: Any, limit: int) -> None: ...


@pytest.mark.parametrize(
    ("interceptors", "problem", "remedy"),
    [
        (NeedyInterceptor, "interceptors= is MODULE.NeedyInterceptor", "put it into a list"),
        ("abc", "interceptors= is 'abc'", "put it into a list"),
        ([Plain], "interceptors= holds tests.mistakes.said.Plain", "derive it from BaseInterceptor"),
        ([get_limit], "interceptors= holds tests.mistakes.said.get_limit", "derive it from BaseInterceptor"),
        ([None], "interceptors= holds None", "derive it from BaseInterceptor"),
        ([AbstractInterceptor], "MODULE.AbstractInterceptor does not define intercept", "define it"),
        (
            [Synchronous],
            "MODULE.Synchronous.intercept is not asynchronous",
            "declare it with async def, without yield",
        ),
        (
            [Generating()],
            "MODULE.Generating.intercept is not asynchronous",
            "declare it with async def, without yield",
        ),
        (
            [Reordered],
            "MODULE.Reordered.intercept takes (scope, send, receive)",
            "write (self, scope, receive, send) and nothing else, or (self, websocket, call_next, ...)",
        ),
        (
            [WithMore()],
            "MODULE.WithMore.intercept takes (scope, receive, send, limit)",
            "write (self, scope, receive, send) and nothing else, or (self, websocket, call_next, ...)",
        ),
    ],
)
@every_level
def test_what_is_no_interceptor(
    declare: Callable[..., None], where: str, interceptors: Any, problem: str, remedy: str
) -> None:
    wrong(declare, said(problem, where, INTERCEPTORS, remedy), interceptors=interceptors)


@every_level
def test_an_interceptor_whose_class_needs_arguments(declare: Callable[..., None], where: str) -> None:
    text = said(
        "MODULE.NeedyInterceptor cannot be made without arguments: missing a required argument: 'seconds'",
        where,
        "a class whose constructor needs none, or an instance",
        "write NeedyInterceptor(...) with its arguments, and give it what differs between connections as parameters of "
        "its method",
    )
    wrong(declare, text, interceptors=[NeedyInterceptor])


class Alone:
    async def intercept(self, socket: WebSocket) -> None: ...


class Anything:
    async def intercept(self, *args: Any, **kwargs: Any) -> None: ...


@pytest.mark.parametrize(("interceptor", "found"), [(Alone, "socket"), (Alone(), "socket"), (Anything, "args, kwargs")])
@every_level
def test_an_interceptor_that_does_not_take_socket_and_call_next(
    declare: Callable[..., None], where: str, interceptor: Any, found: str
) -> None:
    name = (interceptor if isinstance(interceptor, type) else type(interceptor)).__name__
    text = said(
        f"it takes ({found})",
        f"{where}\n     └─ MODULE.{name}.intercept",
        "the parameters (websocket, call_next), by position and under any names, before those that are injected",
        "declare them as (websocket, call_next, ...)",
    )
    wrong(declare, text, interceptors=[interceptor])


class WithoutCallNext(BaseInterceptor):
    async def intercept(self, socket: WebSocket, limit: int = Injects()) -> None: ...


def test_an_interceptor_that_would_get_something_else_than_it_asks_for() -> None:
    text = said(
        "'limit' stands where 'call_next' is given, and asks for something else",
        "WebSocketGateway('/ws')\n     └─ MODULE.WithoutCallNext.intercept\n        parameter 'limit'",
        "what is injected behind what is given by position",
        "declare a parameter for 'call_next' before it",
    )
    wrong(in_gateway, text, interceptors=[WithoutCallNext])


def between(short: Annotated[int, Depends(short, scope="function")]) -> int:
    return short


class NeedsShortToo(BaseInterceptor):
    async def intercept(self, socket: WebSocket, call_next: Any, value: Annotated[int, Depends(between)]) -> None: ...


def test_an_interceptor_that_needs_what_lives_shorter_through_something_else() -> None:
    text = """
    MODULE.NeedsShortToo.intercept needs MODULE.short, which lives shorter than the connection: scope='function'
      WebSocketGateway('/ws')
         └─ MODULE.NeedsShortToo.intercept
            └─ MODULE.between
               └─ MODULE.short
      expected: what permissions and interceptors need to live as long as the connection
      remedy: give MODULE.short scope='connection', or leave scope= out
    """
    with says(DependencyScopeError, text, wrong):
        in_gateway(interceptors=[NeedsShortToo])


# --- middleware= -----------------------------------------------------------------------------------------------------

MIDDLEWARE = "a list of ASGI middleware: classes that take the application, or Middleware(...) of Starlette"


class Optional:
    def __init__(self, app: Any, *, limit: int) -> None: ...


@pytest.mark.parametrize(
    ("middleware", "problem", "remedy"),
    [
        (Optional, "middleware= is MODULE.Optional", "put it into a list"),
        ("abc", "middleware= is 'abc'", "put it into a list"),
        ([3], "middleware= holds 3", "write Middleware(YourClass, option=...), or YourClass"),
        (
            [get_limit],
            "middleware= holds tests.mistakes.said.get_limit",
            "write Middleware(YourClass, option=...), or YourClass",
        ),
        (
            [Plain],
            "tests.mistakes.said.Plain cannot be made with the application and the options that are given: "
            "too many positional arguments",
            "write Middleware(Plain, option=...) with its options",
        ),
        (
            [Optional],
            "MODULE.Optional cannot be made with the application and the options that are given: "
            "missing a required keyword-only argument: 'limit'",
            "write Middleware(Optional, option=...) with its options",
        ),
        (
            [Middleware(Optional, limits=3)],  # type: ignore[arg-type]  # which is the mistake
            "MODULE.Optional cannot be made with the application and the options that are given: "
            "missing a required keyword-only argument: 'limit'",
            "write Middleware(Optional, option=...) with its options",
        ),
    ],
)
@every_level
def test_what_is_no_middleware(
    declare: Callable[..., None], where: str, middleware: Any, problem: str, remedy: str
) -> None:
    with pytest.raises(InvalidParameterError) as raised:
        declare(middleware=middleware)
    text = said(problem, where, MIDDLEWARE, remedy).replace("MODULE", __name__)
    # Python 3.11 does not say that an argument is keyword-only.
    assert str(raised.value).replace("keyword-only ", "") == text.replace("keyword-only ", "")


# --- exception_handlers= ---------------------------------------------------------------------------------------------

HANDLERS = "a mapping of exception classes, HTTP statuses or close codes to handler(websocket, exc)"


async def handle(socket: WebSocket, exc: Exception) -> None: ...


def handle_yielding(socket: WebSocket, exc: Exception) -> Iterator[None]:
    yield


async def handle_alone(exc: Exception) -> None: ...


@pytest.mark.parametrize(
    ("handlers", "problem", "remedy"),
    [
        ([handle], "exception_handlers= is [MODULE.handle]", "write {SomeError: your_handler}"),
        (handle, "exception_handlers= is MODULE.handle", "write {SomeError: your_handler}"),
        ({"404": handle}, "exception_handlers= has the key '404'", "use the class, or a number"),
        ({True: handle}, "exception_handlers= has the key True", "use the class, or a number"),
        ({BaseException: handle}, "exception_handlers= has the key BaseException", "use the class, or a number"),
        ({int: handle}, "exception_handlers= has the key int", "use the class, or a number"),
        (
            {ValueError("x"): handle},
            "exception_handlers= has the key ValueError('x')",
            "use the class, or a number",
        ),
        ({404: 3}, "exception_handlers= holds 3 for 404", "hand over a function"),
        ({ValueError: None}, "exception_handlers= holds None for ValueError", "hand over a function"),
        (
            {ValueError: handle_yielding},
            "the exception handler MODULE.handle_yielding yields",
            "declare it without yield",
        ),
        (
            {ValueError: handle_alone},
            "the exception handler MODULE.handle_alone does not take a WebSocket and an exception: "
            "too many positional arguments",
            "declare it with (websocket, exc)",
        ),
    ],
)
@every_level
def test_what_is_no_mapping_of_exception_handlers(
    declare: Callable[..., None], where: str, handlers: Any, problem: str, remedy: str
) -> None:
    with pytest.raises(WsRouteError) as raised:
        declare(exception_handlers=handlers)
    assert type(raised.value) is InvalidParameterError
    text = said(problem, where, HANDLERS, remedy).replace("MODULE", __name__)
    assert str(raised.value).replace(f"[<function {handle.__name__}>]", f"[{__name__}.handle]") == text
