"""What can be an endpoint, and what stands for one where a framework looks for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from wsroute.dependencies.callables import describe, identity, show
from wsroute.exceptions import EndpointError, Location, UninjectedEndpointError
from wsroute.wire.policy import Policy
from wsroute.wire.session import session
from wsroute.wire.socket import Socket


class InjectedEndpoint:
    """Stands for an endpoint in `route.endpoint`: compares and hashes like it, and does not let itself be called.

    A framework that rebuilds a route from its endpoint would call the endpoint without its dependencies. It calls this
    object instead, as an ASGI application, and the connection is refused.

    Args:
        endpoint: The endpoint.
    """

    def __init__(self, endpoint: Callable[..., Any]) -> None:
        # The attributes of a function are shown; those of a class are not what its instances would have.
        functools.update_wrapper(self, endpoint, updated=() if isinstance(endpoint, type) else ("__dict__",))
        self.__wrapped__ = endpoint

    def __eq__(self, other: object) -> bool:
        other = other.__wrapped__ if isinstance(other, InjectedEndpoint) else other
        return bool(self.__wrapped__ == other)

    def __hash__(self) -> int:
        return hash(identity(self.__wrapped__))

    def __repr__(self) -> str:
        return f"<{describe(self.__wrapped__)}, injected by wsroute>"

    async def __call__(self, *args: Any, **kwargs: Any) -> None:
        await _refuse(describe(self.__wrapped__), args, kwargs)


class UninjectedRouter:
    """Stands for all endpoints of a router where a framework looks for the one of a route, and refuses each connection.

    Args:
        router: How the router is shown.
    """

    def __init__(self, router: str) -> None:
        self._router = router

    async def __call__(self, *args: Any, **kwargs: Any) -> None:
        await _refuse(self._router, args, kwargs)


async def _refuse(called: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    error = UninjectedEndpointError(called)
    if kwargs or len(args) != 3 or not isinstance(args[0], dict) or args[0].get("type") != "websocket":
        raise error
    await session(Socket(*args), functools.partial(_raise, error), Policy())


async def _raise(error: Exception, websocket: Socket) -> None:
    raise error


def check_endpoint(endpoint: object, path: str) -> None:
    """Check that something can be the endpoint of a route.

    Raises:
        EndpointError: It cannot be called, or has levels of its own, which a route would not see.
    """
    if not callable(endpoint):
        raise EndpointError(
            Location(path),
            problem=f"the endpoint {show(endpoint)} cannot be called",
            expected="a coroutine function",
            remedy="hand over the function itself",
        )
    if isinstance(endpoint, InjectedEndpoint):
        raise EndpointError(
            Location(path, (describe(endpoint.__wrapped__),)),
            problem="the endpoint is a handler, or the endpoint of another route, which has levels of its own",
            expected="a coroutine function",
            remedy="mount a handler with WebSocketGateway(path, handler=...), or hand over its function, handler.fn",
        )
