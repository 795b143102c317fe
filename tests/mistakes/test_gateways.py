"""Gateways, handlers and views that cannot be mounted, or not there."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from starlette.routing import WebSocketRoute

from tests.mistakes.said import Plain, at_binding, at_declaration, get_limit, says
from wsroute import (
    APIWebSocketRoute,
    Depends,
    EndpointError,
    InvalidParameterError,
    InvalidPathError,
    RouterError,
    WebSocket,
    WebSocketGateway,
    WebSocketRouter,
    WebSocketView,
    websocket,
)
from wsroute.dependencies.callables import show


async def empty(socket: WebSocket) -> None: ...


async def without_parameters(*values: Any) -> None: ...


handler = websocket("/")(empty)


class Room(WebSocketView):
    @websocket("/")
    async def enter(self, socket: WebSocket) -> None: ...


class NoView:
    @websocket("/")
    async def enter(self, socket: WebSocket) -> None: ...


# --- handler= --------------------------------------------------------------------------------------------------------

MOUNT = "write WebSocketGateway(path, handler=your_handler)"


@pytest.mark.parametrize(
    ("mounted", "shown", "remedy"),
    [
        (None, "None", MOUNT),
        ("chat", "'chat'", MOUNT),
        (Plain, "tests.mistakes.said.Plain", MOUNT),
        (Plain(), "<tests.mistakes.said.Plain object>", MOUNT),
        (Room(), "<MODULE.Room object>", "hand over the class Room, derived from WebSocketView"),
        (NoView, "MODULE.NoView", "hand over the class NoView, derived from WebSocketView"),
        (APIWebSocketRoute("/", empty), "APIWebSocketRoute(path='/', name='empty')", MOUNT),
        (WebSocketRoute("/", empty), "WebSocketRoute(path='/', name='empty')", MOUNT),
        (APIWebSocketRoute("/", empty).endpoint, "<MODULE.empty, injected by wsroute>", MOUNT),
        (WebSocketGateway(handler=handler), "WebSocketGateway(path='/', name='empty')", MOUNT),
    ],
)
def test_a_gateway_whose_handler_is_no_handler(mounted: Any, shown: str, remedy: str) -> None:
    text = f"""
    handler= is {shown}
      WebSocketGateway('/ws')
      expected: a function that @websocket() decorates, a view class, or an async def function
      remedy: {remedy}
    """
    with says(EndpointError, text, empty):
        WebSocketGateway("/ws", handler=mounted)


def test_a_gateway_without_a_handler() -> None:
    with pytest.raises(TypeError, match="handler"):
        WebSocketGateway("/ws")  # type: ignore[call-arg]  # which is the mistake


def synchronous(socket: WebSocket) -> None: ...


SYNCHRONOUS = """
    the endpoint is synchronous
      route {!r}
      MODULE.synchronous
      expected: a coroutine function, which can wait for messages
      remedy: declare it with async def, without yield
    """


@pytest.mark.parametrize(
    ("declare", "path"),
    [
        (lambda: websocket("/a")(synchronous), "/a"),
        (lambda: WebSocketGateway("/ws", handler=synchronous), "/ws"),
    ],
    ids=["handler", "gateway"],
)
def test_a_handler_without_async(declare: Callable[[], object], path: str) -> None:
    with says(EndpointError, SYNCHRONOUS.format(path), empty):
        declare()


@at_declaration(
    EndpointError,
    """
    the endpoint is a generator function
      route '/a'
      HERE.View.method
      expected: a coroutine function, which can wait for messages
      remedy: declare it with async def, without yield
    """,
)
def test_a_generator_as_a_method_of_a_view(router: WebSocketRouter) -> None:
    class View(WebSocketView):
        @websocket("/a")
        def method(self, socket: WebSocket) -> Any:
            yield


def test_a_method_without_its_view() -> None:
    text = """
    handler= is a method of a class, and there is no instance to call it on
      WebSocketGateway('/ws')
         └─ MODULE.Room.enter
      expected: the view that it belongs to, or a function
      remedy: hand over the subclass of WebSocketView, or decorate a @staticmethod
    """
    with says(EndpointError, text, empty):
        WebSocketGateway("/ws", handler=Room.enter)


def test_a_method_without_a_parameter_for_its_instance() -> None:
    test = test_a_method_without_a_parameter_for_its_instance
    text = """
    it takes ()
      route '/'
      HERE.View.method
      expected: the parameters (self), by position and under any names, before those that are injected
      remedy: declare them as (self, ...)
    """
    with says(InvalidParameterError, text, test):

        class View(WebSocketView):
            @websocket("/")
            async def method() -> None: ...


@pytest.mark.parametrize("annotation", [WebSocket, inspect.Parameter.empty, Annotated[int, Depends(get_limit)]])
def test_a_method_that_forgot_the_parameter_for_its_instance(annotation: Any) -> None:
    async def method(socket: Any, limit: int = 3) -> None: ...

    method.__annotations__["socket"] = annotation
    if annotation is inspect.Parameter.empty:
        del method.__annotations__["socket"]
    method.__qualname__ = "View.method"
    text = """
    'socket' stands where 'self' is given, and asks for something else
      route '/'
      MODULE.View.method
         parameter 'socket'
      expected: what is injected behind what is given by position
      remedy: declare a parameter for 'self' before it
    """
    with says(InvalidParameterError, text, empty):
        websocket("/")(method)


# --- Decorators ------------------------------------------------------------------------------------------------------


def test_the_decorator_without_its_call() -> None:
    text = """
    @websocket is given MODULE.empty for a path
      @websocket
      expected: parentheses: @websocket(), or a path in them
      remedy: write @websocket() above the function
    """
    with says(EndpointError, text, empty):
        websocket(empty)  # type: ignore[arg-type]  # which is the mistake


def test_the_decorator_of_a_router_without_its_call() -> None:
    text = """
    the path is MODULE.empty
      @router.websocket
      expected: a path as a string, such as '/rooms/{room_id}'
      remedy: give the path before anything else
    """
    with says(InvalidPathError, text, empty):
        WebSocketRouter().websocket(empty)  # type: ignore[arg-type]  # which is the mistake


@pytest.mark.parametrize(
    ("path", "shown"), [(3, "3"), (empty, "MODULE.empty"), (handler, "<@websocket('/') MODULE.empty>")]
)
def test_a_path_of_a_gateway_that_is_no_text(path: Any, shown: str) -> None:
    text = f"""
    the path is {shown}
      WebSocketGateway({shown})
      expected: a path as a string, such as '/rooms/{{room_id}}'
      remedy: give the path before anything else
    """
    with says(InvalidPathError, text, empty):
        WebSocketGateway(path, handler=empty)


@pytest.mark.parametrize(
    ("decorated", "shown"),
    [
        (handler, "<@websocket('/') MODULE.empty>"),
        (Plain, "tests.mistakes.said.Plain"),
        (Room, "MODULE.Room"),
        (classmethod(without_parameters), "MODULE.without_parameters"),
        (None, "None"),
        (APIWebSocketRoute("/", empty).endpoint, "<MODULE.empty, injected by wsroute>"),
    ],
)
def test_what_the_decorator_cannot_decorate(decorated: Any, shown: str) -> None:
    text = f"""
    @websocket() decorates {shown}
      @websocket('/a')
      expected: an async def function, or a method of a view
      remedy: put it right above the function
    """
    with says(EndpointError, text, empty):
        websocket("/a")(decorated)


@pytest.mark.parametrize("decorator", [staticmethod, classmethod])
def test_decorators_in_the_wrong_order(decorator: Any) -> None:
    view = type("View", (WebSocketView,), {"__module__": __name__, "method": decorator(handler)})
    name = decorator.__name__
    text = f"""
    @{name} decorates a handler
      MODULE.View
         └─ MODULE.empty
      expected: @websocket() as the outermost decorator
      remedy: put @websocket() above @{name}
    """
    with says(EndpointError, text, empty):
        WebSocketGateway(handler=view)


@pytest.mark.parametrize(
    "declare",
    [
        lambda: APIWebSocketRoute("/items", handler),
        lambda: WebSocketRouter().websocket("/items")(handler),
        lambda: WebSocketRouter().add_api_websocket_route("/items", handler),
        lambda: APIWebSocketRoute("/items", APIWebSocketRoute("/", empty).endpoint),
    ],
    ids=["route", "decorator", "method", "endpoint"],
)
def test_a_handler_where_its_levels_would_be_lost(declare: Callable[[], object]) -> None:
    text = """
    the endpoint is a handler, or the endpoint of another route, which has levels of its own
      route '/items'
      MODULE.empty
      expected: a coroutine function
      remedy: mount a handler with WebSocketGateway(path, handler=...), or hand over its function, handler.fn
    """
    with says(EndpointError, text, empty):
        declare()


@pytest.mark.parametrize("route", [empty, handler, Room, None], ids=["function", "handler", "view", "nothing"])
def test_what_is_no_route_of_a_router(route: Any) -> None:
    for add in (lambda: WebSocketRouter(routes=[route]), lambda: WebSocketRouter().add_route(route)):
        with pytest.raises(RouterError) as raised:
            add()
        assert str(raised.value) == (
            f"{show(route)} is no route. Mount a handler, a view or a function with "
            "WebSocketGateway(path, handler=...)."
        )


# --- Views -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attributes", [{}, {"helper": empty}, {"path": "/x"}], ids=["empty", "helper", "path"])
def test_a_view_without_handlers(attributes: dict[str, Any]) -> None:
    view = type("View", (WebSocketView,), {"__module__": __name__, **attributes})
    text = """
    the view has no handlers
      MODULE.View
      expected: at least one method that @websocket() decorates
      remedy: decorate a method of it
    """
    with says(EndpointError, text, empty):
        WebSocketGateway(handler=view)


class Abstract(Room, ABC):
    @abstractmethod
    def word(self) -> str: ...

    @property
    @abstractmethod
    def another(self) -> str: ...


def test_a_view_that_no_instance_can_be_made_of() -> None:
    text = """
    the view is abstract: it does not define another, word
      MODULE.Abstract
      expected: a class that an instance can be made of
      remedy: define what is missing in a subclass, and mount that
    """
    with says(EndpointError, text, empty):
        WebSocketGateway(handler=Abstract)


@pytest.mark.parametrize("path", [3, empty])
def test_a_path_of_a_view_that_is_no_text(path: Any) -> None:
    view = type("View", (Room,), {"__module__": __name__, "path": path})
    with pytest.raises(InvalidPathError) as raised:
        WebSocketGateway(handler=view)
    assert raised.value.location.lines() == [f"{__name__}.View"]


@at_binding(
    InvalidParameterError,
    """
    nothing tells how to make Plain of what a handshake carries
      route '/'
      HERE.View.method
         └─ HERE.View
            parameter 'thing'
      expected: a type that pydantic can validate, or a marker
      remedy: if 'thing' is a dependency, write Annotated[Plain, Depends(...)]
    """,
)
def test_a_constructor_of_a_view_that_needs_what_nobody_gives(router: WebSocketRouter) -> None:
    class View(WebSocketView):
        def __init__(self, thing: Plain) -> None: ...

        @websocket("/")
        async def method(self, socket: WebSocket) -> None: ...

    router.include_router(WebSocketRouter(routes=[WebSocketGateway(handler=View)]))


@at_declaration(
    InvalidParameterError,
    """
    dependencies= holds tests.mistakes.said.get_limit
      HERE.View
      expected: Depends(...) or Security(...) with a callable inside
      remedy: write dependencies=[Depends(your_dependency)]
    """,
)
def test_a_view_whose_attribute_has_the_wrong_shape(router: WebSocketRouter) -> None:
    class View(Room):
        dependencies = [get_limit]

    WebSocketGateway(handler=View)


class First(WebSocket): ...


class Second(WebSocket): ...


@at_binding(
    InvalidParameterError,
    """
    MODULE.First and MODULE.Second are asked for on one connection, which has one WebSocket
      route '/'
      HERE.Permission.has_permission
         parameter 'socket'
      expected: classes of which one is a subclass of all others
      remedy: annotate with a common subclass, or with WebSocket
    """,
)
def test_a_permission_and_an_endpoint_that_want_different_sockets(router: WebSocketRouter) -> None:
    class Permission:
        async def has_permission(self, socket: First, route: Any) -> bool:
            return True

    async def endpoint(socket: Second) -> None: ...

    router.include_router(WebSocketRouter(routes=[WebSocketGateway(handler=endpoint, permissions=[Permission])]))


def test_a_gateway_is_neither_a_router_to_include_nor_an_application_to_attach_to() -> None:
    router: Any = WebSocketRouter()
    for use in (router.include_router, router.attach):
        with pytest.raises(RouterError):
            use(WebSocketGateway(handler=empty))
