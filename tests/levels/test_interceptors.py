"""Interceptors: what runs around a connection, what it may change, and what it must not do."""

from __future__ import annotations

import gc
import traceback
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Annotated, Any

import anyio
import pytest

from tests.levels.talk import refusal, reply
from wsroute import (
    APIWebSocketRoute,
    BaseInterceptor,
    Depends,
    Header,
    HTTPException,
    InterceptorError,
    Query,
    Request,
    SwallowedExceptionError,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    WebSocketGateway,
    WebSocketRouter,
    WebSocketView,
    websocket,
)
from wsroute.testing import Peer

pytestmark = pytest.mark.anyio

CallNext = Callable[[], Awaitable[None]]


async def accept(socket: WebSocket) -> None:
    await socket.accept()


async def tell(socket: WebSocket, limit: int = 0, token: Annotated[str, Header()] = "none") -> None:
    await socket.accept()
    await socket.send_json([socket.path_params, limit, token])


def around(*interceptors: Any, endpoint: Any = accept, path: str = "/", **level: Any) -> APIWebSocketRoute:
    return APIWebSocketRoute(path, endpoint, interceptors=interceptors, **level)


def noting(name: str, log: list[str]) -> type[BaseInterceptor]:
    class Noting(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            log.append(f"{name} begins")
            try:
                await call_next()
            finally:
                log.append(f"{name} ends")

    return Noting


def before(change: Callable[[Any], object]) -> type[BaseInterceptor]:
    class Before(BaseInterceptor):
        async def intercept(self, scope: Any, receive: Any, send: Any) -> None:
            change(scope)

    return Before


async def outcome(app: Any, **options: Any) -> tuple[Peer, BaseException | None]:
    """A connection, and what the application raised."""
    peer = Peer(**options)
    try:
        await peer.serve(app)
    except Exception as error:
        return peer, error
    return peer, None


# --- The form that wraps ---------------------------------------------------------------------------------------------


async def test_they_run_around_the_endpoint_and_each_other_outermost_level_first() -> None:
    log: list[str] = []

    class View(WebSocketView):
        interceptors = [noting("view", log)]

        @websocket("/", interceptors=[noting("handler 1", log), noting("handler 2", log)()])
        async def handle(self, socket: WebSocket) -> None:
            log.append("endpoint")

    inner = WebSocketRouter(
        interceptors=[noting("inner", log)],
        routes=[WebSocketGateway(handler=View, interceptors=[noting("gateway", log)])],
    )
    outer = WebSocketRouter(interceptors=[noting("router", log)])
    outer.include_router(inner, interceptors=[noting("inclusion", log)])
    names = ["router", "inclusion", "inner", "gateway", "view", "handler 1", "handler 2"]
    for _ in range(2):
        await Peer().serve(outer)
        assert log == [*(f"{name} begins" for name in names), "endpoint", *(f"{name} ends" for name in names[::-1])]
        log.clear()


@pytest.mark.parametrize(
    "failure", [ValueError("bug"), HTTPException(401), WebSocketException(4000), WebSocketDisconnect(1001)]
)
async def test_each_sees_the_exception_of_what_is_further_in(failure: Exception) -> None:
    seen: list[BaseException] = []

    class Watching(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            try:
                await call_next()
            except Exception as error:
                seen.append(error)
                raise

    async def failing() -> None:
        raise failure

    await outcome(around(Watching, Watching(), endpoint=failing))
    assert seen == [failure, failure]


async def test_it_may_raise_something_else() -> None:
    class Translating(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            try:
                await call_next()
            except KeyError as error:
                raise HTTPException(404, "no such room") from error

    async def failing() -> None:
        raise KeyError("room")

    assert await refusal(around(Translating, endpoint=failing)) == (404, "no such room")


async def test_what_it_raises_itself_ends_the_connection() -> None:
    class Refusing(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            raise HTTPException(429, "slow down", {"retry-after": "3"})

    log: list[str] = []
    peer = await Peer().serve(around(noting("outer", log), Refusing, noting("inner", log)))
    assert peer.denial is not None
    assert (peer.denial.status, peer.denial.header("retry-after")) == (429, ["3"])
    assert log == ["outer begins", "outer ends"]


async def test_what_it_raises_after_a_return_is_raised_on_after_the_close() -> None:
    class Failing(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            await call_next()
            raise ValueError("afterwards")

    peer, error = await outcome(around(Failing))
    assert peer.closed == (1000, "")
    assert str(error) == "afterwards"


async def test_what_it_does_afterwards_comes_after_the_close_and_cannot_send() -> None:
    class Late(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            await call_next()
            assert socket.application_state.name == "DISCONNECTED"
            with pytest.raises(WebSocketDisconnect):
                await socket.send_text("too late")

    peer = await Peer().serve(around(Late))
    assert peer.closed == (1000, "")
    assert peer.frames == []


async def test_without_call_next_the_connection_is_refused() -> None:
    log: list[str] = []

    class Stopping(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            log.append("stopping")

    assert await refusal(around(noting("outer", log), Stopping, noting("inner", log))) == (403, "Forbidden")
    assert log == ["outer begins", "stopping", "outer ends"]


async def test_without_call_next_an_accepted_connection_is_closed() -> None:
    class Serving(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            await socket.accept()
            await socket.send_text("closed for today")

    peer = await Peer().serve(around(Serving))
    assert peer.frames == ["closed for today"]
    assert peer.closed == (1000, "")


async def test_without_call_next_the_end_comes_before_what_it_needs_closes() -> None:
    log: list[str] = []

    async def session(socket: WebSocket) -> AsyncIterator[None]:
        yield
        log.append(socket.application_state.name)

    class Stopping(BaseInterceptor):
        async def intercept(
            self, socket: WebSocket, call_next: CallNext, session: Annotated[None, Depends(session)]
        ) -> None:
            await socket.accept()

    await Peer().serve(around(Stopping))
    assert log == ["DISCONNECTED"]


async def test_a_second_call_is_an_error_and_the_endpoint_runs_once() -> None:
    log: list[str] = []

    class Twice(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            await call_next()
            await call_next()

    async def endpoint(socket: WebSocket) -> None:
        log.append("endpoint")

    peer, error = await outcome(around(Twice, endpoint=endpoint))
    assert type(error) is InterceptorError
    here = f"{__name__}.{test_a_second_call_is_an_error_and_the_endpoint_runs_once.__qualname__}.<locals>"
    assert str(error) == (
        f"{here}.Twice.intercept called call_next() a second time. A connection has one endpoint, which runs once: "
        "call it once, and let what it raises pass, or raise something else."
    )
    assert log == ["endpoint"]
    assert peer.denial is not None


async def test_a_retry_is_a_second_call_too() -> None:
    class Retrying(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            try:
                await call_next()
            except ValueError:
                await call_next()

    async def failing() -> None:
        raise ValueError

    peer, error = await outcome(around(Retrying, endpoint=failing))
    assert type(error) is InterceptorError
    assert peer.denial is not None
    assert peer.denial.status == 500


@pytest.mark.parametrize("accepted", [False, True])
async def test_swallowing_is_an_error_that_keeps_what_was_swallowed(accepted: bool) -> None:
    class Swallowing(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            try:
                await call_next()
            except ValueError:
                pass

    async def failing(socket: WebSocket) -> None:
        if accepted:
            await socket.accept()
        raise ValueError("bug")

    peer, error = await outcome(around(Swallowing, endpoint=failing))
    assert type(error) is SwallowedExceptionError
    assert isinstance(error.__cause__, ValueError)
    here = f"{__name__}.{test_swallowing_is_an_error_that_keeps_what_was_swallowed.__qualname__}.<locals>"
    assert error.interceptor == f"{here}.Swallowing.intercept"
    assert str(error) == (
        f"the interceptor {here}.Swallowing.intercept swallowed an exception of call_next(). Raise it again after "
        "cleaning up, or raise the one that should decide how the connection ends."
    )
    if accepted:
        assert peer.closed == (1011, "Internal Server Error")
    else:
        assert peer.denial is not None
        assert peer.denial.status == 500


async def test_a_disconnect_may_be_swallowed() -> None:
    log: list[str] = []

    class Swallowing(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            try:
                await call_next()
            except WebSocketDisconnect as error:
                log.append(f"left with {error.code}")

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()

    peer = Peer("/").leave(1001)
    await peer.serve(around(noting("outer", log), Swallowing, endpoint=endpoint))
    assert log == ["outer begins", "left with 1001", "outer ends"]


async def test_an_interceptor_that_swallows_keeps_nothing_alive() -> None:
    class Marked(ValueError): ...

    alive: list[weakref.ref[Marked]] = []

    class Swallowing(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            try:
                await call_next()
            except WebSocketDisconnect:
                pass

    async def failing(socket: WebSocket) -> None:
        error = Marked()
        alive.append(weakref.ref(error))
        del error
        raise WebSocketDisconnect

    gc.disable()
    try:
        await Peer().serve(around(Swallowing, endpoint=failing))
        assert alive[0]() is None
    finally:
        gc.enable()


async def test_returning_while_the_rest_still_runs_is_an_error() -> None:
    log: list[str] = []

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        try:
            await anyio.sleep_forever()
        finally:
            log.append("endpoint ends")

    async with anyio.create_task_group() as outside:

        class Leaving(BaseInterceptor):
            async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
                outside.start_soon(self.go_on, call_next)
                while socket.application_state.name != "CONNECTED":
                    await anyio.lowlevel.checkpoint()

            async def go_on(self, call_next: CallNext) -> None:
                await call_next()

        peer, error = await outcome(around(Leaving, endpoint=endpoint))
        outside.cancel_scope.cancel()
    assert type(error) is InterceptorError
    assert str(error).endswith(
        ".Leaving.intercept returned while the rest of the connection still ran. Await call_next() before returning, "
        "and in the same task."
    )
    assert peer.closed == (1011, "Internal Server Error")
    assert log == ["endpoint ends"]


async def test_a_task_group_of_its_own_may_run_beside_the_rest() -> None:
    log: list[str] = []

    class Beside(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.tick)
                await call_next()
                tasks.cancel_scope.cancel()
            log.append("done")

        async def tick(self) -> None:
            log.append("tick")
            await anyio.sleep_forever()

    peer = await Peer().serve(around(Beside, endpoint=accept))
    assert peer.closed == (1000, "")
    assert log[-1] == "done"


async def test_a_timeout_around_the_rest_ends_it() -> None:
    log: list[str] = []

    class Limited(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            with anyio.CancelScope() as scope:
                self.scope = scope
                await call_next()
            log.append("cancelled" if scope.cancelled_caught else "not cancelled")
            raise WebSocketException(4008, "too long")

    limited = Limited()

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        limited.scope.cancel()
        try:
            await anyio.sleep_forever()
        finally:
            log.append("endpoint ends")

    peer = await Peer().serve(around(limited, endpoint=endpoint))
    assert peer.closed == (4008, "too long")
    assert log == ["endpoint ends", "cancelled"]


async def test_a_cancellation_that_it_swallows_is_no_return() -> None:
    class Limited(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await call_next()

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        await anyio.sleep_forever()

    peer, error = await outcome(around(Limited, endpoint=endpoint))
    assert type(error) is SwallowedExceptionError
    assert isinstance(error.__cause__, anyio.get_cancelled_exc_class())
    assert peer.closed is not None or peer.denial is not None


async def test_a_cancellation_from_outside_goes_through() -> None:
    log: list[str] = []

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        scope.cancel()
        await anyio.sleep_forever()

    peer = Peer("/")
    with anyio.CancelScope() as scope:
        await peer.serve(around(noting("outer", log), noting("inner", log), endpoint=endpoint))
    assert scope.cancelled_caught
    assert log == ["outer begins", "inner begins", "inner ends", "outer ends"]
    assert peer.closed == (1001, "")


@pytest.mark.parametrize("calls", [True, False])
async def test_closing_first_means_that_nothing_further_runs(calls: bool) -> None:
    log: list[str] = []

    class Closing(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            await socket.close(4000, "closed")
            if calls:
                await call_next()
            log.append("goes on")

    async def dependency() -> None:
        log.append("dependency")

    peer = await Peer().serve(
        around(noting("outer", log), Closing, noting("inner", log), dependencies=[Depends(dependency)])
    )
    assert peer.closed == (4000, "closed")
    assert log == ["outer begins", "goes on", "outer ends"]


# --- With what it is called ------------------------------------------------------------------------------------------


async def test_the_first_two_parameters_get_socket_and_call_next_under_any_names() -> None:
    log: list[str] = []

    class Own(WebSocket): ...

    class Odd(BaseInterceptor):
        async def intercept(self, anything: Own, at_all: CallNext, /) -> None:
            log.append(type(anything).__name__)
            await at_all()

    class AsRequest(BaseInterceptor):
        async def intercept(self, request: Request, handler: CallNext) -> None:
            log.append(request.method)
            await handler()

    assert (await Peer().serve(around(Odd, AsRequest))).accepted
    assert log[1] == "GET"


async def test_further_parameters_are_injected_and_shared_with_the_endpoint() -> None:
    log: list[str] = []

    async def session() -> AsyncIterator[str]:
        log.append("open")
        yield "session"
        log.append("close")

    class Needing(BaseInterceptor):
        async def intercept(
            self,
            socket: WebSocket,
            call_next: CallNext,
            session: Annotated[str, Depends(session)],
            number: int,
            limit: Annotated[int, Query(gt=0)] = 1,
            named: str = "nothing",
        ) -> None:
            log.append(f"{session} {number} {limit} {named}")
            await call_next()
            log.append("after")

    async def endpoint(socket: WebSocket, session: Annotated[str, Depends(session)]) -> None:
        log.append(f"endpoint {session}")

    route = around(Needing, endpoint=endpoint, path="/{number}", dependencies={"named": lambda: "named"})
    await Peer("/7?limit=2").serve(route)
    assert log == ["open", "session 7 2 named", "endpoint session", "after", "close"]


async def test_bad_parameters_are_all_told_before_anything_runs() -> None:
    log: list[str] = []

    class Needing(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext, a: int) -> None:
            log.append("runs")
            await call_next()

    async def endpoint(socket: WebSocket, b: int) -> None: ...

    status, detail = await refusal(around(Needing, endpoint=endpoint), "/?a=x&b=y")
    assert status == 422
    assert [error["loc"] for error in detail] == [["query", "a"], ["query", "b"]]
    assert log == []


async def test_what_only_an_inner_one_needs_is_resolved_inside_of_the_outer_one() -> None:
    log: list[str] = []

    async def session() -> AsyncIterator[str]:
        log.append("open")
        yield "session"
        log.append("close")

    class Inner(BaseInterceptor):
        async def intercept(
            self, socket: WebSocket, call_next: CallNext, session: Annotated[str, Depends(session)]
        ) -> None:
            await call_next()

    await Peer().serve(around(noting("outer", log), Inner))
    assert log == ["outer begins", "open", "close", "outer ends"]


async def test_anything_with_the_method_is_an_interceptor() -> None:
    log: list[str] = []

    class Static:
        @staticmethod
        async def intercept(socket: WebSocket, call_next: CallNext) -> None:
            log.append("static")
            await call_next()

    class OfClass:
        @classmethod
        async def intercept(cls, socket: WebSocket, call_next: CallNext) -> None:
            log.append("of class")
            await call_next()

    async def bare(socket: WebSocket, call_next: CallNext) -> None:
        log.append("bare")
        await call_next()

    await Peer().serve(around(Static, Static(), OfClass, OfClass(), SimpleNamespace(intercept=bare)))
    assert log == ["static"] * 2 + ["of class"] * 2 + ["bare"]


async def test_a_class_is_made_once_for_each_place_and_route() -> None:
    made: list[Any] = []

    class Counting(BaseInterceptor):
        def __init__(self) -> None:
            made.append(self)

        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            await call_next()

    router = WebSocketRouter(interceptors=[Counting])
    router.websocket("/a")(accept)
    router.websocket("/b", interceptors=[Counting])(accept)
    assert made == []
    for _ in range(2):
        await Peer("/a").serve(router)
        await Peer("/b").serve(router)
    assert len(made) == 3


def test_a_callers_list_is_neither_changed_nor_kept() -> None:
    interceptors: list[Any] = [noting("first", [])]
    gateway = WebSocketGateway(handler=accept, interceptors=interceptors)
    interceptors.append(noting("second", []))
    assert gateway.interceptors == interceptors[:1]
    assert len(gateway.routes[0].dependant.interceptors) == 1


# --- The form that runs before ---------------------------------------------------------------------------------------


async def test_edits_of_the_scope_are_seen_further_in() -> None:
    def change(scope: Any) -> None:
        scope["path_params"]["room"] = "changed"
        scope["query_string"] = b"limit=9"
        scope["headers"] = [(b"token", b"changed")]

    route = around(before(change), endpoint=tell, path="/{room}")
    assert await reply(route, "/sent?limit=1", headers={"token": "sent"}) == [{"room": "changed"}, 9, "changed"]


async def test_edits_of_the_scope_are_seen_by_interceptors_and_permissions_further_in_but_not_further_out() -> None:
    seen: list[Any] = []

    class Reading(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext, limit: int) -> None:
            seen.append(limit)
            await call_next()

    class Permission:
        def has_permission(self, socket: WebSocket, route: Any, limit: int) -> bool:
            seen.append(limit)
            return True

    def change(scope: Any) -> None:
        scope["query_string"] = b"limit=2"

    await Peer("/?limit=1").serve(around(Reading, before(change), Reading(), permissions=[Permission]))
    assert seen == [1, 2, 2]


async def test_the_wrapping_form_may_edit_the_scope_too() -> None:
    class Editing(BaseInterceptor):
        async def intercept(self, socket: WebSocket, call_next: CallNext) -> None:
            socket.scope["query_string"] = b"limit=3"
            await call_next()

    assert await reply(around(Editing, endpoint=tell)) == [{}, 3, "none"]


async def test_what_it_raises_refuses() -> None:
    def change(scope: Any) -> None:
        raise HTTPException(418, "teapot")

    assert await refusal(around(before(change))) == (418, "teapot")


async def test_it_may_send_and_receive_itself() -> None:
    log: list[str] = []

    class Refusing:
        async def intercept(self, scope: Any, receive: Any, send: Any) -> None:
            log.append((await receive())["type"])
            await send({"type": "websocket.close", "code": 4000, "reason": "by hand"})

    async def endpoint(socket: WebSocket) -> None:
        log.append("endpoint")

    peer = await Peer().serve(around(Refusing, endpoint=endpoint))
    assert peer.closed == (4000, "by hand")
    assert log == ["websocket.connect"]


async def test_both_forms_run_in_the_order_of_the_levels() -> None:
    log: list[str] = []
    route = around(before(lambda scope: log.append("1")), noting("2", log), before(lambda scope: log.append("3"))())
    await Peer().serve(route)
    assert log == ["1", "2 begins", "3", "2 ends"]


async def test_other_names_or_an_order_of_their_own_are_the_wrapping_form() -> None:
    log: list[str] = []

    class Wrapping(BaseInterceptor):
        async def intercept(self, scope: WebSocket, receive: CallNext) -> None:
            log.append("wrapping")
            await receive()

    assert (await Peer().serve(around(Wrapping))).accepted
    assert log == ["wrapping"]


# --- What it is made to ----------------------------------------------------------------------------------------------


class Timing(BaseInterceptor):
    async def intercept(self, websocket: WebSocket, call_next: CallNext, limit: int = 0) -> None:
        await call_next()


class Locale(BaseInterceptor):
    async def intercept(self, scope: Any, receive: Any, send: Any) -> None: ...


async def room(websocket: WebSocket, number: int) -> None:
    await websocket.accept()


def test_the_plan_and_the_source_are_readable() -> None:
    route = around(Timing, Locale, endpoint=room, path="/{number}")
    assert route.plan.explain() == (
        f"1     {__name__}.Timing.intercept(websocket, call_next, limit=query 'limit')"
        "  # coroutine, an interceptor around all that follows\n"
        f"2     {__name__}.Locale.intercept(websocket, call_next)"
        "  # coroutine, an interceptor around all that follows\n"
        f"3     {__name__}.room(websocket, number=path 'number')  # the endpoint"
    )
    assert (
        route.source
        == f"""\
async def run(websocket):
    scope = websocket.scope
    query = read_query(scope.get('query_string', b''))
    try:
        limit, = check_timing((query.get('limit', UNSET),))
    except (KeyError, ValidationError) as error:
        raise invalid(0, websocket, error) from None
    async def after_timing():
        if websocket.ended:
            return
        async def after_locale():
            if websocket.ended:
                return
            scope = websocket.scope
            path = scope.get('path_params', {{}})
            try:
                number, = check_room((path['number'],))
            except (KeyError, ValidationError) as error:
                raise invalid(1, websocket, error) from None
            await room(websocket, number)
            await finish(websocket)
        async with CallNext(after_locale, '{__name__}.Locale.intercept') as call_next:
            await locale(websocket, call_next)
        if not call_next.called:
            await finish(websocket)
    async with CallNext(after_timing, '{__name__}.Timing.intercept') as call_next:
        await timing(websocket, call_next, limit)
    if not call_next.called:
        await finish(websocket)
"""
    )


async def test_an_error_further_in_shows_the_lines_of_the_source() -> None:
    async def failing() -> None:
        raise ValueError

    _, error = await outcome(around(Timing, endpoint=failing))
    assert error is not None
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.line for frame in frames if frame.filename.startswith("<wsroute ")]
    assert lines == ["await timing(websocket, call_next, limit)", "await failing()"]
