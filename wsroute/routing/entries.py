"""What a router holds, and what comes of it below the levels of that router."""

from __future__ import annotations

from starlette.routing import BaseRoute

from wsroute.dependencies.callables import show
from wsroute.exceptions import RouterError
from wsroute.routing.layers import Layer
from wsroute.routing.route import APIWebSocketRoute
from wsroute.routing.table import RouteTable


class Entry:
    """What a router holds: a route, or another router; and the routes that this gives below the router's own level.

    The effective routes are kept while their declarations are, so that adding a route does not undo the binding of all
    others.

    Args:
        source: The route, or the other router.
        layers: The levels above it, outermost first.
    """

    __slots__ = ("_layers", "_made", "source")

    def __init__(self, source: BaseRoute, layers: tuple[Layer, ...]) -> None:
        self.source = source
        self._layers = layers
        # By identity, as routes are equal that look alike; the declaration is kept with what was made of it.
        self._made: dict[int, tuple[APIWebSocketRoute, APIWebSocketRoute]] = {}

    def effective(self) -> list[BaseRoute]:
        """The routes, with all paths and dependencies of the levels above them."""
        routes = self.source.routes if isinstance(self.source, RouteTable) else (self.source,)
        return [self._below(route) for route in routes]

    def _below(self, route: BaseRoute) -> BaseRoute:
        if not isinstance(route, APIWebSocketRoute):
            self._check_foreign(route)
            return route
        if id(route) not in self._made:
            self._made[id(route)] = (route, route.below(*self._layers))
        return self._made[id(route)][1]

    def _check_foreign(self, route: BaseRoute) -> None:
        if not any(
            layer.path or layer.changes_tree or layer.middleware or layer.origins or layer.limits
            for layer in self._layers
        ):
            return
        raise RouterError(
            f"{show(route)} is no route of wsroute, so the prefix of the router above it, its dependencies and all "
            "else that it adds would not apply to it. Give it its whole path and put it into a router that adds "
            "nothing, or into the application itself."
        )
