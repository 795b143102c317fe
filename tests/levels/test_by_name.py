"""What levels provide by name: which provider counts, whom it serves, how often it runs, and what replaces it."""

from __future__ import annotations

import functools
import inspect
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, InstanceOf, ValidationError

from tests.frameworks import FastAPI, fastapi
from tests.handshakes import handshake
from tests.levels.talk import connect, refusal, reply
from wsroute import (
    APIWebSocketRoute,
    BaseInterceptor,
    BasePermission,
    Depends,
    Inject,
    Injects,
    Query,
    Security,
    SecurityScopes,
    WebSocket,
    WebSocketGateway,
    WebSocketRouter,
    WebSocketView,
    websocket,
)

if TYPE_CHECKING:
    from collections import OrderedDict as OnlyForTypeCheckers

pytestmark = pytest.mark.anyio

#: All levels that can provide, outermost first.
LEVELS = ("router", "inclusion", "inner router", "gateway", "view", "handler")


def below(provided: Mapping[str, Any]) -> WebSocketRouter:
    """A handler below all levels, which tells what it gets as `word`.

    Args:
        provided: What each level provides.
    """

    class View(WebSocketView):
        dependencies = provided.get("view")

        @websocket("/", dependencies=provided.get("handler"))
        async def tell(self, socket: WebSocket, word: str = "nothing") -> None:
            await socket.accept()
            await socket.send_json(word)

    gateway = WebSocketGateway("/", handler=View, dependencies=provided.get("gateway"))
    inner = WebSocketRouter(routes=[gateway], dependencies=provided.get("inner router"))
    outer = WebSocketRouter(dependencies=provided.get("router"))
    outer.include_router(inner, dependencies=provided.get("inclusion"))
    return outer


def subsets(items: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(items, size) for size in range(len(items) + 1))


def saying(word: str) -> Callable[[], str]:
    return lambda: word


def wrapping(word: str) -> Callable[[str], str]:
    """A provider of `word` that asks for `word`."""

    def provider(word: str = "nothing") -> str:
        return f"{own}({word})"

    own = word
    return provider


def telling(**dependencies: Any) -> APIWebSocketRoute:
    """A route that tells what it gets as `word`.

    Args:
        dependencies: What the route provides.
    """

    async def endpoint(socket: WebSocket, word: Any = Injects()) -> None:
        await socket.accept()
        await socket.send_json(word)

    return APIWebSocketRoute("/", endpoint, dependencies=dependencies)


# --- Which provider counts -------------------------------------------------------------------------------------------


async def test_the_nearest_level_that_provides_a_name_counts() -> None:
    for levels in subsets(LEVELS):
        app = below({level: {"word": saying(level)} for level in levels})
        assert await reply(app) == (levels[-1] if levels else "nothing"), levels


async def test_a_provider_that_asks_for_its_own_name_gets_the_next_outer_one() -> None:
    for levels in subsets(LEVELS):
        app = below({level: {"word": wrapping(level)} for level in levels})
        expected = functools.reduce(lambda inner, level: f"{level}({inner})", levels, "nothing")
        assert await reply(app) == expected, levels


async def test_a_name_that_no_level_provides_is_read_from_the_query() -> None:
    assert await reply(below({}), "/?word=sent") == "sent"


async def test_what_is_provided_cannot_be_sent() -> None:
    assert await reply(below({"router": {"word": saying("provided")}}), "/?word=sent") == "provided"


async def test_a_route_of_a_router_gets_what_router_and_route_provide() -> None:
    router = WebSocketRouter(dependencies={"a": saying("router"), "b": saying("router")})

    @router.websocket("/", dependencies={"b": saying("route")})
    async def endpoint(socket: WebSocket, a: str, b: str) -> None:
        await socket.accept()
        await socket.send_json([a, b])

    assert await reply(router) == ["router", "route"]


async def test_one_callable_at_two_levels_is_called_for_each_of_them() -> None:
    doubled = wrapping("again")
    assert await reply(below({"router": {"word": doubled}, "handler": {"word": doubled}})) == "again(again(nothing))"


async def test_one_callable_under_two_names_is_called_once() -> None:
    calls = []

    def counting() -> int:
        calls.append(1)
        return len(calls)

    @websocket("/", dependencies={"a": counting, "b": Inject(counting)})
    async def handler(socket: WebSocket, a: int, b: int) -> None:
        await socket.accept()
        await socket.send_json([a, b])

    assert await reply(WebSocketGateway(handler=handler)) == [1, 1]


async def test_what_a_provider_needs_by_name_is_that_which_is_nearest_to_the_endpoint() -> None:
    def greeting(word: str) -> str:
        return f"hello {word}"

    router = WebSocketRouter(dependencies={"greeting": greeting, "word": saying("router")})

    @router.websocket("/near", dependencies={"word": saying("route")})
    @router.websocket("/far")
    async def endpoint(socket: WebSocket, greeting: str) -> None:
        await socket.accept()
        await socket.send_json(greeting)

    assert await reply(router, "/near") == "hello route"
    assert await reply(router, "/far") == "hello router"


async def test_a_provider_needs_others_that_need_others() -> None:
    class Session:
        def __init__(self, engine: str, limit: int = 3) -> None:
            self.text = f"session({engine}, {limit})"

    async def engine(url: str) -> str:
        return f"engine({url})"

    app = below(
        {
            "router": {"url": saying("url"), "engine": engine},
            "gateway": {"session": Session},
            "handler": {"word": functools.partial(lambda session, end: session.text + end, end="!")},
        }
    )
    assert await reply(app, "/?limit=7") == "session(engine(url), 7)!"


async def test_a_sequence_mixes_what_runs_and_what_is_provided() -> None:
    log: list[str] = []

    def first() -> None:
        log.append("first")

    def second() -> None:
        log.append("second")

    def word(length: int) -> str:
        log.append("word")
        return "x" * length

    app = below({"gateway": [Depends(first), {"word": Inject(word)}, Depends(second), {"length": lambda: 3}]})
    assert await reply(app) == "xxx"
    assert log == ["first", "second", "word"]


@pytest.mark.parametrize("provider", [saying("bare"), Inject(saying("bare")), Depends(saying("bare"))])
async def test_a_provider_is_a_marker_or_the_bare_callable(provider: Any) -> None:
    assert await reply(telling(word=provider)) == "bare"


async def test_a_marker_of_fastapi_provides() -> None:
    assert await reply(telling(word=fastapi.Depends(saying("fastapi's")))) == "fastapi's"


@pytest.mark.parametrize("security", [Security, fastapi.Security], ids=["ours", "fastapi's"])
async def test_security_provides_with_its_scopes(security: Any) -> None:
    def scopes(scopes: SecurityScopes) -> list[str]:
        return scopes.scopes

    assert await reply(telling(word=security(scopes, scopes=["a", "b"]))) == ["a", "b"]


@dataclass
class Point:
    x: int
    y: int = 2


class Callable_:
    def __call__(self, prefix: str = "called") -> str:
        return prefix


@contextmanager
def managed() -> Iterator[str]:
    yield "managed"


@asynccontextmanager
async def managed_async() -> AsyncIterator[str]:
    yield "managed"


@pytest.mark.parametrize(
    ("provider", "word"),
    [
        (lambda: "lambda", "lambda"),
        (Callable_(), "called"),
        (functools.partial(Callable_(), prefix="partial"), "partial"),
        (managed, "managed"),
        (managed_async, "managed"),
        (Point, "Point(x=5, y=2)"),
    ],
)
async def test_every_kind_of_callable_provides(provider: Any, word: str) -> None:
    assert await reply(telling(word=lambda value: str(value), value=provider, x=lambda: 5)) == word


async def test_what_a_class_is_constructed_of_is_provided_or_sent() -> None:
    route = telling(word=lambda point: [point.x, point.y], point=Point, x=lambda: 5)
    assert await reply(route, "/?y=7") == [5, 7]


# --- Whom it serves --------------------------------------------------------------------------------------------------


async def test_it_is_shared_by_all_that_ask_on_one_connection() -> None:
    made: list[str] = []
    seen: list[tuple[str, str]] = []

    async def session() -> AsyncIterator[str]:
        made.append("open")
        yield f"session {made.count('open')}"
        made.append("close")

    def user(session: str) -> str:
        return f"user of {session}"

    class Permission(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any, session: str) -> bool:
            seen.append(("permission", session))
            return True

    class Interceptor(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: Callable[[], Any], session: str) -> None:
            seen.append(("interceptor", session))
            await call_next()
            seen.append(("still open", made[-1]))

    class View(WebSocketView):
        permissions = [Permission]

        def __init__(self, session: str) -> None:
            seen.append(("constructor", session))

        @websocket("/", interceptors=[Interceptor])
        async def handle(self, socket: WebSocket, session: str, user: str) -> None:
            seen.append(("handler", session))
            await socket.accept()
            await socket.send_json(user)

    app = WebSocketGateway("/", handler=View, dependencies={"session": session, "user": user})
    for number in (1, 2):
        assert await reply(app) == f"user of session {number}"
        who = ["interceptor", "permission", "constructor", "handler"]
        assert seen == [*((name, f"session {number}") for name in who), ("still open", "open")]
        assert made[-1] == "close"
        seen.clear()
    assert made == ["open", "close"] * 2


async def test_without_cache_each_use_is_a_call() -> None:
    calls: list[int] = []

    def number() -> int:
        calls.append(1)
        return len(calls)

    def other(number: int) -> int:
        return number

    @websocket("/", dependencies={"number": Inject(number, use_cache=False), "other": other})
    async def handler(socket: WebSocket, number: int, other: int) -> None:
        await socket.accept()
        await socket.send_json([number, other])

    assert await reply(WebSocketGateway(handler=handler)) == [1, 2]


async def test_unused_providers_are_not_called() -> None:
    def unused() -> None:
        raise AssertionError("called")

    app = below({level: {"unused": unused, "word": saying(level)} for level in LEVELS})
    assert await reply(app) == "handler"


async def test_a_provider_that_another_level_hides_is_not_called() -> None:
    def hidden() -> None:
        raise AssertionError("called")

    assert await reply(below({"router": {"word": hidden}, "view": {"word": saying("view")}})) == "view"


async def test_functions_inside_depends_are_not_served_by_name() -> None:
    def inside(word: str = "from the query") -> str:
        return word

    async def effect(word: str = "from the query") -> None:
        assert word == "from the query"

    async def endpoint(socket: WebSocket, word: str, other: Annotated[str, Depends(inside)]) -> None:
        await socket.accept()
        await socket.send_json([word, other])

    route = APIWebSocketRoute("/", endpoint, dependencies=[{"word": saying("by name")}, Depends(effect)])
    assert await reply(route) == ["by name", "from the query"]


async def test_a_provider_may_use_depends_whose_functions_are_not_served() -> None:
    def inside(word: str = "from the query") -> str:
        return word

    def provider(own: Annotated[str, Depends(inside)], other: str) -> str:
        return f"{own}, {other}"

    assert await reply(telling(word=provider, other=saying("by name"))) == "from the query, by name"


async def test_a_marker_of_its_own_keeps_a_parameter_from_being_provided() -> None:
    async def endpoint(
        socket: WebSocket,
        a: Annotated[str, Query()] = "query",
        b: str = Depends(saying("depends")),
    ) -> None:
        await socket.accept()
        await socket.send_json([a, b])

    route = APIWebSocketRoute("/", endpoint, dependencies={"a": saying("by name"), "b": saying("by name")})
    assert await reply(route) == ["query", "depends"]


async def test_what_the_connection_gives_is_not_provided() -> None:
    async def endpoint(one: WebSocket, websocket) -> None:  # type: ignore[no-untyped-def]  # which is the case here
        assert websocket is one
        await one.accept()
        await one.send_json("the socket")

    app = APIWebSocketRoute("/", endpoint, dependencies={"one": saying("one"), "websocket": saying("two")})
    assert await reply(app) == "the socket"


async def test_injects_marks_a_parameter_in_both_styles() -> None:
    async def endpoint(socket: WebSocket, a: Annotated[str, Injects()], b: str = Injects()) -> None:
        await socket.accept()
        await socket.send_json(a + b)

    app = APIWebSocketRoute("/", endpoint, dependencies={"a": saying("a"), "b": saying("b")})
    assert await reply(app) == "ab"


async def test_a_provided_parameter_needs_no_type_that_exists_at_run_time() -> None:
    @websocket("/")
    async def handler(socket: WebSocket, word: OnlyForTypeCheckers[str, Missing], other: Missing = Injects()) -> None:  # type: ignore[name-defined]  # noqa: F821
        await socket.accept()
        await socket.send_json([word, other])

    app = WebSocketGateway(handler=handler, dependencies={"word": saying("word"), "other": saying("other")})
    assert await reply(app) == ["word", "other"]


async def test_a_provided_parameter_may_have_a_type_that_no_query_could_carry() -> None:
    class Repository:
        name = "repository"

    @websocket("/")
    async def handler(socket: WebSocket, repository: Repository) -> None:
        await socket.accept()
        await socket.send_json(repository.name)

    assert (
        await reply(
            WebSocketRouter(
                routes=[WebSocketGateway(handler=handler)],
                dependencies={
                    "repository": Repository,
                },
            )
        )
        == "repository"
    )


# --- How long it lives -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize(
    ("scopes", "closed"),
    [
        ((None, None), ["inner", "outer"]),
        (("connection", "connection"), ["inner", "outer"]),
        (("request", "function"), ["inner", "outer"]),
        (("function", "function"), ["inner", "outer"]),
        (("function", None), ["inner", "outer"]),
    ],
)
async def test_generators_of_every_lifetime_close_last_opened_first(
    scopes: tuple[Any, Any], closed: list[str], asynchronous: bool
) -> None:
    log: list[str] = []

    def closing(name: str) -> Callable[..., Any]:
        async def async_generator(word: str = "") -> AsyncIterator[str]:
            log.append(f"open {name}")
            yield name + word
            log.append(f"close {name}")

        def generator(word: str = "") -> Iterator[str]:
            log.append(f"open {name}")
            yield name + word
            log.append(f"close {name}")

        return async_generator if asynchronous else generator

    outer, inner = scopes
    app = below(
        {
            "router": {"word": Inject(closing("outer"), scope=outer)},
            "gateway": {"word": Inject(closing("inner"), scope=inner)},
        }
    )
    assert await reply(app) == "innerouter"
    assert log == ["open outer", "open inner", *(f"close {name}" for name in closed)]


async def test_a_function_lived_one_is_closed_before_the_connection_and_a_connection_lived_one_after() -> None:
    app_log: list[str] = []

    async def short(socket: WebSocket) -> AsyncIterator[str]:
        yield "short"
        app_log.append(f"short closes: {socket.application_state.name}")

    async def long(socket: WebSocket) -> AsyncIterator[str]:
        yield "long"
        app_log.append(f"long closes: {socket.application_state.name}")

    @websocket("/", dependencies={"short": Inject(short, scope="function"), "long": long})
    async def handler(socket: WebSocket, short: str, long: str) -> None:
        await socket.accept()

    await connect(WebSocketGateway(handler=handler))
    assert app_log == ["short closes: CONNECTED", "long closes: DISCONNECTED"]


async def test_a_provider_sees_the_exception_of_the_endpoint() -> None:
    seen: list[BaseException] = []

    async def watching() -> AsyncIterator[str]:
        try:
            yield "watched"
        except ValueError as error:
            seen.append(error)
            raise

    @websocket("/", dependencies={"word": watching})
    async def handler(socket: WebSocket, word: str) -> None:
        raise ValueError(word)

    with pytest.raises(ValueError, match="watched") as raised:
        await connect(WebSocketGateway(handler=handler))
    assert seen == [raised.value]


@pytest.mark.parametrize(("threadpool", "in_thread"), [(None, True), (True, True), (False, False)])
async def test_a_synchronous_provider_runs_in_a_worker_thread_unless_it_says_otherwise(
    threadpool: bool | None, in_thread: bool
) -> None:
    app = telling(word=Inject(lambda: threading.get_ident(), threadpool=threadpool))
    assert (await reply(app) != threading.get_ident()) is in_thread


async def test_a_limit_of_a_provider_is_that_of_its_declaration() -> None:
    route = telling(word=Inject(saying("limited"), max_concurrency=2))
    assert await reply(route) == "limited"
    (step, _) = route.plan.steps
    assert step.limit.size == 2  # type: ignore[union-attr]  # a permission would have none


# --- What the annotation asks for ------------------------------------------------------------------------------------


class User(BaseModel):
    name: str


async def test_a_value_is_passed_as_it_is() -> None:
    @websocket("/", dependencies={"number": saying("no number"), "user": saying("no user")})
    async def handler(socket: WebSocket, number: int, user: User, other: Annotated[str, "a comment"] = "other") -> None:
        await socket.accept()
        await socket.send_json([number, user, other])

    assert await reply(WebSocketGateway(handler=handler)) == ["no number", "no user", "other"]


def doubled(value: int) -> int:
    return value * 2


@pytest.mark.parametrize(
    ("annotation", "value", "got"),
    [
        (Annotated[int, Field(gt=0)], 3, 3),
        (Annotated[int, Field(gt=0)], "3", 3),
        (Annotated[int, AfterValidator(doubled)], 3, 6),
        (Annotated[InstanceOf[Point], "a comment"], Point(1), "Point(x=1, y=2)"),
        (Annotated[Point, Field()], "passed", "passed"),
        (Annotated[str, Field(description="says nothing about values")], 3, 3),
        (Annotated[User, Field(strict=False)], {"name": "ada"}, "name='ada'"),
    ],
)
async def test_an_annotation_that_asks_pydantic_is_asked(annotation: Any, value: Any, got: Any) -> None:
    async def endpoint(socket: WebSocket, value: Any) -> None:
        await socket.accept()
        await socket.send_json(value if isinstance(value, int) else str(value))

    endpoint.__annotations__["value"] = annotation
    route = APIWebSocketRoute("/", endpoint, dependencies={"value": lambda: value})
    assert await reply(route) == got


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Annotated[int, Field(gt=0)], -1),
        (InstanceOf[Point], "no point"),
        (Annotated[int, AfterValidator(lambda value: 1 // 0)], 3),
        (Annotated[int, AfterValidator(doubled)], "no number"),
    ],
)
async def test_a_value_that_is_not_what_was_asked_for_is_an_error_of_the_application(
    annotation: Any, value: Any
) -> None:
    called = []

    async def endpoint(socket: WebSocket, value: Any, limit: int = 3) -> None:
        called.append(value)

    endpoint.__annotations__["value"] = annotation
    route = APIWebSocketRoute("/", endpoint, dependencies={"value": lambda: value})
    assert called == []
    with pytest.raises((ValidationError, ZeroDivisionError)):
        await connect(route)


async def test_nothing_of_a_bad_value_is_told_to_the_client() -> None:
    @websocket("/", dependencies={"value": saying("secret")})
    async def handler(socket: WebSocket, value: Annotated[int, Field(gt=0)]) -> None: ...

    answers: list[Any] = []

    async def swallowing(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(ValidationError):
            await WebSocketGateway(handler=handler)(scope, receive, send)

    answers.append(await refusal(swallowing))
    assert answers == [(500, "Internal Server Error")]


async def test_two_parameters_validate_one_value_which_is_made_once() -> None:
    calls = []

    def value() -> str:
        calls.append(1)
        return "3"

    class Permission(BasePermission):
        def has_permission(self, socket: WebSocket, route: Any, value: str) -> bool:
            return value == "3"

    @websocket("/", dependencies={"value": value}, permissions=[Permission])
    async def handler(socket: WebSocket, value: Annotated[int, Field(gt=0)]) -> None:
        await socket.accept()
        await socket.send_json(value)

    assert await reply(WebSocketGateway(handler=handler)) == 3
    assert calls == [1]


# --- What replaces it ------------------------------------------------------------------------------------------------


class Overrides:
    def __init__(self) -> None:
        self.dependency_overrides: dict[Any, Callable[..., Any]] = {}


def original() -> str:
    return "original"


async def endpoint(socket: WebSocket, word: str = Injects()) -> None:
    await socket.accept()
    await socket.send_json(word)


@pytest.mark.parametrize("key", [original, "word"], ids=["by callable", "by name"])
async def test_overrides_of_every_provider_are_set_and_cleared_between_connections(key: Any) -> None:
    near, between, app = Overrides(), Overrides(), FastAPI()
    route = APIWebSocketRoute("/", endpoint, dependency_overrides_provider=near)
    inner = WebSocketRouter(routes=[route], dependency_overrides_provider=between)
    outer = WebSocketRouter(dependencies={"word": Inject(original)})
    outer.include_router(inner)
    outer.attach(app)

    assert await reply(app) == "original"
    levels: tuple[Any, ...] = (app, outer, between, inner, near)
    for number, level in enumerate(levels):
        level.dependency_overrides[key] = saying(str(number))
        assert await reply(app) == str(number)
    for number, level in reversed(list(enumerate(levels))):
        assert await reply(app) == str(number)
        level.dependency_overrides.clear()
    assert await reply(app) == "original"


async def test_an_override_by_callable_comes_before_one_by_name() -> None:
    app = below({"router": {"word": original}})
    app.dependency_overrides["word"] = saying("by name")
    assert await reply(app) == "by name"
    app.dependency_overrides[original] = saying("by callable")
    assert await reply(app) == "by callable"


@pytest.mark.parametrize("key", [original, "word"], ids=["by callable", "by name"])
async def test_an_override_that_asks_for_the_name_gets_what_it_replaces(key: Any) -> None:
    app = below({"router": {"word": original}})
    app.dependency_overrides[key] = wrapping("override")
    assert await reply(app) == "override(original)"


async def test_what_an_override_by_name_replaces_may_have_replaced_an_outer_one() -> None:
    app = below({"router": {"word": original}, "gateway": {"word": wrapping("gateway")}})
    app.dependency_overrides["word"] = wrapping("override")
    assert await reply(app) == "override(gateway(original))"


async def test_an_outer_provider_is_overridden_below_one_that_asks_for_it() -> None:
    app = below({"router": {"word": original}, "gateway": {"word": wrapping("gateway")}})
    app.dependency_overrides[original] = wrapping("override")
    assert await reply(app) == "gateway(override(original))"


@pytest.mark.parametrize("key", [original, "part"], ids=["by callable", "by name"])
async def test_what_a_provider_needs_is_overridden_too(key: Any) -> None:
    app = below({"router": {"word": lambda part: f"<{part}>", "part": original}})
    app.dependency_overrides[key] = saying("override")
    assert await reply(app) == "<override>"


async def test_what_an_override_needs_is_provided_and_sent() -> None:
    def override(other: str, limit: int = 0) -> str:
        return f"{other} {limit}"

    app = below({"router": {"word": original, "other": saying("other")}})
    app.dependency_overrides[original] = override
    assert await reply(app, "/?limit=5") == "other 5"


async def test_an_override_by_name_is_one_for_names_only() -> None:
    async def by_marker(socket: WebSocket, word: Annotated[str, Depends(original)], sent: str = "sent") -> None:
        await socket.accept()
        await socket.send_json([word, sent])

    router = WebSocketRouter(routes=[APIWebSocketRoute("/", by_marker)])
    router.dependency_overrides["word"] = router.dependency_overrides["sent"] = saying("override")
    assert await reply(router) == ["original", "sent"]


async def test_an_override_by_callable_is_one_for_markers_and_names() -> None:
    async def both(socket: WebSocket, word: str, other: Annotated[str, Depends(original)]) -> None:
        await socket.accept()
        await socket.send_json([word, other])

    router = WebSocketRouter(dependencies={"word": original}, routes=[APIWebSocketRoute("/", both)])
    router.dependency_overrides[original] = saying("override")
    assert await reply(router) == ["override", "override"]


async def test_overrides_reach_permissions_interceptors_and_constructors() -> None:
    seen: list[str] = []

    class Permission(BasePermission):
        async def has_permission(self, socket: WebSocket, route: Any, word: str) -> bool:
            seen.append(word)
            return True

    class Interceptor(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: Callable[[], Any], word: str) -> None:
            seen.append(word)
            await call_next()

    class View(WebSocketView):
        permissions, interceptors, dependencies = [Permission], [Interceptor], {"word": original}

        def __init__(self, word: str) -> None:
            seen.append(word)

        @websocket("/")
        async def handle(self, socket: WebSocket) -> None: ...

    router = WebSocketRouter(routes=[WebSocketGateway(handler=View)])
    router.dependency_overrides["word"] = saying("override")
    await connect(router)
    router.dependency_overrides.clear()
    await connect(router)
    assert seen == ["override"] * 3 + ["original"] * 3


# --- As with Depends -------------------------------------------------------------------------------------------------

KINDS = ("coroutine", "function", "async generator", "generator")
#: For each dependency its kind, and which of those before it, it needs.
shapes = st.lists(st.tuples(st.sampled_from(KINDS), st.sets(st.integers(0, 5), max_size=3)), min_size=1, max_size=6)


def make(kind: str, name: str, needs: Mapping[str, Any], log: list[str]) -> Any:
    """A dependency of a kind, which notes what it gets and when it is closed.

    Args:
        kind: Which kind.
        name: What it is called in the log.
        needs: Its parameters, with their defaults.
        log: What it writes to.
    """

    def begin(values: Mapping[str, Any]) -> str:
        value = f"{name}({', '.join(map(str, values.values()))})"
        log.append(value)
        return value

    async def coroutine(**values: Any) -> str:
        return begin(values)

    def function(**values: Any) -> str:
        return begin(values)

    async def async_generator(**values: Any) -> AsyncIterator[str]:
        yield begin(values)
        log.append(f"close {name}")

    def generator(**values: Any) -> Iterator[str]:
        yield begin(values)
        log.append(f"close {name}")

    call: Any = dict(zip(KINDS, (coroutine, function, async_generator, generator), strict=True))[kind]
    keyword = inspect.Parameter.KEYWORD_ONLY
    call.__signature__ = inspect.Signature(
        [inspect.Parameter(name, keyword, default=default) for name, default in needs.items()]
    )
    return call


@settings(max_examples=50, deadline=None)
@given(shape=shapes, levels=st.lists(st.sampled_from(LEVELS), min_size=6, max_size=6))
def test_by_name_is_what_depends_is_in_fastapi(shape: list[tuple[str, set[int]]], levels: list[str]) -> None:
    needs = [sorted(f"n{need}" for need in below if need < index) for index, (_, below) in enumerate(shape)]
    last = f"n{len(shape) - 1}"

    ours: list[str] = []
    provided: dict[str, dict[str, Any]] = {level: {} for level in LEVELS}
    for index, (kind, _) in enumerate(shape):
        required = dict.fromkeys(needs[index], inspect.Parameter.empty)
        provided[levels[index]][f"n{index}"] = make(kind, f"n{index}", required, ours)
    provided["handler"]["word"] = make("function", "word", {last: inspect.Parameter.empty}, ours)
    ours.append(str(handshake(below(provided)).frames))

    theirs: list[str] = []
    made: dict[str, Any] = {}
    for index, (kind, _) in enumerate(shape):
        marked = {need: fastapi.Depends(made[need]) for need in needs[index]}
        made[f"n{index}"] = make(kind, f"n{index}", marked, theirs)
    word = make("function", "word", {last: fastapi.Depends(made[last])}, theirs)
    app = FastAPI()

    @app.websocket("/")
    async def tell(socket: fastapi.WebSocket, word: str = fastapi.Depends(word)) -> None:
        await socket.accept()
        await socket.send_json(word)

    theirs.append(str(handshake(app).frames))
    assert ours == theirs
