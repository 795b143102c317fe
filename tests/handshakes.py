"""One handshake through an application, in process: what the endpoint got, or why it was refused."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio
from starlette.types import ASGIApp

from wsroute import APIWebSocketRoute
from wsroute.testing import Peer

EMPTY: Any = inspect.Parameter.empty
Endpoint = Callable[..., Awaitable[None]]
Headers = Iterable[tuple[str, str]]
#: Type and location of an error.
Fault = tuple[str, tuple[str | int, ...]]


def endpoint_asking_for(
    annotation: Any, default: Any = EMPTY, *, name: str = "x", got: list[Any] | None = None
) -> Endpoint:
    """An endpoint with one parameter, which adds what it gets to a list."""
    kind = inspect.Parameter.KEYWORD_ONLY
    signature = inspect.Signature([inspect.Parameter(name, kind, annotation=annotation, default=default)])

    async def endpoint(**values: Any) -> None:
        bound = signature.bind(**values)
        bound.apply_defaults()
        if got is not None:
            got.append(bound.arguments[name])

    endpoint.__signature__ = signature  # type: ignore[attr-defined]  # inspect reads it
    return endpoint


def handshake(app: ASGIApp, target: str = "/", headers: Headers = ()) -> Peer:
    """Runs an application on one handshake, to its end."""
    return anyio.run(Peer(target, headers=headers).serve, app)


def value_of(
    annotation: Any, target: str = "/", headers: Headers = (), *, default: Any = EMPTY, name: str = "x", path: str = "/"
) -> Any:
    """What a parameter of an endpoint gets."""
    got: list[Any] = []
    app = APIWebSocketRoute(path, endpoint_asking_for(annotation, default, name=name, got=got))
    peer = handshake(app, target, headers)
    assert len(got) == 1, peer.denial
    return got[0]


def faults_of(
    annotation: Any, target: str = "/", headers: Headers = (), *, default: Any = EMPTY, name: str = "x", path: str = "/"
) -> list[Fault]:
    """What is wrong with a parameter of an endpoint, as the client is told."""
    got: list[Any] = []
    app = APIWebSocketRoute(path, endpoint_asking_for(annotation, default, name=name, got=got))
    peer = handshake(app, target, headers)
    assert got == []
    return faults(peer)


def faults(peer: Peer) -> list[Fault]:
    """What is wrong with a handshake, as the client was told."""
    assert peer.denial is not None
    assert peer.denial.status == 422
    return [(error["type"], tuple(error["loc"])) for error in peer.denial.json()["detail"]]
