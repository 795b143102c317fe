"""Handlers: endpoints that describe themselves, and stay as they are."""

from __future__ import annotations

import copy
import functools
from typing import Annotated, Any

import pytest

from tests.levels.talk import reply
from wsroute import AllowAny, BaseInterceptor, Depends, EndpointError, WebSocket, WebSocketGateway, websocket
from wsroute.dependencies.callables import describe
from wsroute.routing.handler import WebSocketHandler

pytestmark = pytest.mark.anyio


def get_user() -> str:
    return "user"


def handled(socket: WebSocket, exc: Exception) -> None: ...


class Tag:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, *args: Any) -> None:
        await self.app(*args)


class Pass(BaseInterceptor):
    async def intercept(self, scope: Any, receive: Any, send: Any) -> None: ...


async def tell(socket: WebSocket, user: str = "nobody") -> None:
    """What it tells."""
    await socket.accept()
    await socket.send_json(user)


chat = websocket("/chat", name="chat")(tell)


def test_it_describes_itself() -> None:
    handler = websocket(
        "/{room: int}/",
        name="room",
        dependencies=[Depends(get_user), {"user": get_user}],
        middleware=[Tag],
        interceptors=[Pass],
        permissions=[AllowAny],
        exception_handlers={ValueError: handled, 404: handled},
    )(tell)
    assert (handler.path, handler.name, handler.fn, handler.is_method) == ("/{room:int}/", "room", tell, False)
    assert handler.dependencies == (Depends(get_user),)
    assert [item.cls for item in handler.middleware] == [Tag]
    assert (handler.interceptors, handler.permissions) == ((Pass,), (AllowAny,))
    assert handler.exception_handlers == {ValueError: handled, 404: handled}
    assert list(handler.layer.provides) == ["user"]


@pytest.mark.parametrize("path", [None, "", "/"])
def test_without_a_path_it_has_that_of_its_gateway(path: str | None) -> None:
    handler = websocket(path)(tell)
    assert (handler.path, handler.name, handler.exception_handlers) == ("/", None, {})
    assert WebSocketGateway("/ws", handler=handler).path == "/ws"


def test_it_looks_like_its_function() -> None:
    assert (describe(chat), chat.__doc__, chat.__wrapped__) == (f"{__name__}.tell", "What it tells.", tell)
    assert repr(chat) == f"<@websocket('/chat') {__name__}.tell>"
    assert chat == tell
    assert hash(chat) == hash(tell)
    assert websocket("/other")(tell) == chat


@pytest.mark.parametrize("name", ["path", "name", "fn", "permissions", "layer", "anything"])
def test_it_cannot_be_changed(name: str) -> None:
    before = dict(vars(chat))
    text = f"{chat!r} cannot be changed: it may be mounted in many places. Declare another handler."
    with pytest.raises(AttributeError) as raised:
        setattr(chat, name, "changed")
    assert str(raised.value) == text
    with pytest.raises(AttributeError) as raised:
        delattr(chat, name)
    assert str(raised.value) == text
    assert vars(chat) == before


def test_mounting_leaves_it_as_it_is() -> None:
    before = dict(vars(chat))
    for _ in range(3):
        WebSocketGateway("/ws", handler=chat, permissions=[AllowAny], middleware=[Tag]).check()
    assert vars(chat) == before


def test_the_lists_of_the_caller_are_copied() -> None:
    permissions: list[Any] = [AllowAny]
    handlers: dict[Any, Any] = {ValueError: handled}
    handler = websocket("/", permissions=permissions, exception_handlers=handlers)(tell)
    permissions.clear()
    handlers.clear()
    assert handler.permissions == (AllowAny,)
    assert handler.exception_handlers == {ValueError: handled}


async def test_every_callable_that_returns_a_coroutine_is_one() -> None:
    class Endpoint:
        async def __call__(self, socket: WebSocket, word: str = "called") -> None:
            await tell(socket, word)

        async def method(self, socket: WebSocket, word: str = "method") -> None:
            await tell(socket, word)

    @functools.wraps(tell)
    async def wrapped(*args: Any, **kwargs: Any) -> None:
        await tell(*args, **kwargs)

    for endpoint, word in (
        (Endpoint(), "called"),
        (Endpoint().method, "method"),
        (functools.partial(tell, user="partial"), "partial"),
        (wrapped, "nobody"),
        (staticmethod(tell), "nobody"),
    ):
        handler = websocket("/")(endpoint)
        assert isinstance(handler, WebSocketHandler)
        assert await reply(WebSocketGateway(handler=handler)) == word


async def test_a_function_inside_of_a_method_is_no_method() -> None:
    class Factory:
        def make(self) -> WebSocketHandler:
            @websocket("/")
            async def inner(socket: WebSocket) -> None:
                await tell(socket, "inner")

            return inner

    handler = Factory().make()
    assert not handler.is_method
    assert await reply(WebSocketGateway(handler=handler)) == "inner"


def test_a_copy_is_another_handler_of_the_same_function() -> None:
    again = copy.copy(chat)
    assert again == chat
    assert (again.path, again.fn) == (chat.path, chat.fn)


def test_what_an_outer_level_may_provide_is_no_mistake_yet() -> None:
    class Anything: ...

    @websocket("/")
    async def handler(socket: WebSocket, thing: Anything, later: NotYet) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    WebSocketGateway(handler=handler, dependencies={"thing": Anything, "later": Anything}).check()
    with pytest.raises(EndpointError):
        websocket("/")(get_user)


def make_handler() -> WebSocketHandler:
    def get_word() -> str:
        return "local"

    def find(socket: WebSocket) -> str:
        return f"{socket.url.path} {get_word()}"

    class Permission:
        async def has_permission(
            self,
            socket: WebSocket,
            route: Any,
            found: Annotated[str, Depends(find)],
            word: Annotated[str, Depends(get_word)],
        ) -> bool:
            return found == f"/ {word}"

    @websocket("/", permissions=[Permission])
    async def handler(socket: WebSocket, word: Annotated[str, Depends(get_word)]) -> None:
        await tell(socket, word)

    return handler


async def test_names_that_are_local_where_it_is_declared_are_found_where_it_is_mounted() -> None:
    assert await reply(WebSocketGateway(handler=make_handler())) == "local"
