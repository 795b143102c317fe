"""Each way to plug routes in: into an application of Starlette or FastAPI, below one, or as the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
from starlette.routing import Host, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.frameworks import APIRouter
from tests.plugging.kinds import Plug

#: Makes an application: Starlette, or FastAPI.
Make = Callable[..., Any]


class Plugged(NamedTuple):
    """What is served, and the application that decides: whose overrides, handlers and dependencies hold, if any."""

    served: ASGIApp
    application: Any


class Way(NamedTuple):
    """One way.

    Attributes:
        plug: Plugs something in; gets further options for the application that decides.
        path: What comes before the path of the route.
        parameters: What of that the application asks for, to make a path of a name; `None` if it does not know names.
        keeps_state: Whether the state of the router's lifespan is there.
    """

    plug: Callable[..., Plugged]
    path: str = ""
    parameters: dict[str, str] | None = {}
    keeps_state: bool = True


def attached(*prefixes: str) -> Callable[..., Plugged]:
    def way(make: Make, plug: Plug, **options: Any) -> Plugged:
        app = make(**options)
        for prefix in prefixes:
            plug.router.attach(app, prefix=prefix)
        return Plugged(app, app)

    return way


def changed(change: Callable[[Any, Plug], object]) -> Callable[..., Plugged]:
    def way(make: Make, plug: Plug, **options: Any) -> Plugged:
        app = make(lifespan=plug.lifespan, **options)
        change(app, plug)
        return Plugged(app, app)

    return way


def listed(routes: Callable[[Plug], list[Any]]) -> Callable[..., Plugged]:
    def way(make: Make, plug: Plug, **options: Any) -> Plugged:
        app = make(routes=routes(plug), lifespan=plug.lifespan, **options)
        return Plugged(app, app)

    return way


def in_a_sub_application(make: Make, plug: Plug, **options: Any) -> Plugged:
    app, sub = make(lifespan=plug.lifespan), make(**options)
    plug.router.attach(sub)
    app.mount("/sub", sub)
    return Plugged(app, sub)


#: In an application.
WAYS: dict[str, Way] = {
    "attach": Way(attached("")),
    "attach below a prefix": Way(attached("/api"), "/api"),
    "attach below a parameter": Way(attached("/{tenant}"), "/acme", {"tenant": "acme"}),
    "attach again": Way(attached("/{a}/{b}", "/c", "/c"), "/c"),
    "mount the router": Way(changed(lambda app, plug: app.mount("/ws", plug.router)), "/ws"),
    "mount the route": Way(changed(lambda app, plug: app.mount("/ws", plug.route)), "/ws", None),
    "host": Way(changed(lambda app, plug: app.host("testserver", plug.router))),
    "routes=[router]": Way(listed(lambda plug: [plug.router])),
    "routes=[route]": Way(listed(lambda plug: [plug.route])),
    "routes=[Mount(router)]": Way(listed(lambda plug: [Mount("/ws", plug.router)]), "/ws"),
    "routes=[Mount(routes=[router])]": Way(listed(lambda plug: [Mount("/ws", routes=[plug.router])]), "/ws"),
    "routes=[Mount(routes=[route])]": Way(
        listed(lambda plug: [Mount("/{ws}", routes=[plug.route])]), "/ws", {"ws": "ws"}
    ),
    "routes=[Host(router)]": Way(listed(lambda plug: [Host("testserver", plug.router)])),
    "append the router": Way(changed(lambda app, plug: app.router.routes.append(plug.router))),
    "append the route": Way(changed(lambda app, plug: app.router.routes.append(plug.route))),
    "a router of the framework": Way(
        changed(lambda app, plug: app.mount("/ws", type(app.router)(routes=[plug.router]))), "/ws"
    ),
    "a sub-application": Way(in_a_sub_application, "/sub"),
}


def mounted_in_an_included_router(make: Make, plug: Plug, **options: Any) -> Plugged:
    api = APIRouter()
    api.mount("/ws", plug.router)
    app = make(lifespan=plug.lifespan, **options)
    app.include_router(api, prefix="/api")
    return Plugged(app, app)


#: As the application.
ALONE: dict[str, Way] = {
    "the router": Way(lambda plug: Plugged(plug.router, None)),
    "the route": Way(lambda plug: Plugged(plug.route, None), keeps_state=False),
}


@asynccontextmanager
async def running(app: ASGIApp) -> AsyncIterator[dict[str, Any]]:
    """Run an application's lifespan as a server does, and give its state."""
    state: dict[str, Any] = {}
    to_app, of_app = anyio.create_memory_object_stream[Message](2)
    to_server, of_server = anyio.create_memory_object_stream[Message](2)
    with to_app, of_app, to_server, of_server:
        async with anyio.create_task_group() as tasks:
            scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
            tasks.start_soon(_served, app, scope, of_app.receive, to_server.send)
            for phase in ("startup", "shutdown"):
                await to_app.send({"type": f"lifespan.{phase}"})
                assert (await of_server.receive())["type"] == f"lifespan.{phase}.complete"
                if phase == "startup":
                    yield state


async def _served(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)
