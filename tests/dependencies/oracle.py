"""What a tree of dependencies means: an interpreter, as plain as it can be.

It has nothing of the plan, the compiler and what compiled code calls. It walks the tree for each connection, remembers
values in a dictionary, leaves closing to `contextlib`, and calls everything in place. What it does is right by
definition, and what compiled code does is compared with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from functools import cache, partial
from types import TracebackType
from typing import Any

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocketDisconnect

from wsroute.dependencies.analysis import get_dependant
from wsroute.dependencies.callables import Form
from wsroute.dependencies.fields import Group, ParamField
from wsroute.dependencies.models import LIFETIMES, Condition, Dependant, Special, SpecialParam
from wsroute.dependencies.models import Lifetime as LifetimeName
from wsroute.dependencies.runtime import Runtime
from wsroute.dependencies.sources import group_source
from wsroute.exceptions import SwallowedExceptionError, WebSocketRequestValidationError

Scopes = tuple[str, ...]
#: What a value is remembered under.
Place = Hashable


class Ended(Exception):
    """A dependency has closed the socket."""


class Oracle:
    """Resolves one tree for one connection, and calls the endpoint."""

    def __init__(self, root: Dependant, runtime: Runtime, websocket: Any) -> None:
        self.root = root
        self.runtime = runtime
        self.websocket = websocket
        self.values: dict[Place, Any] = {}
        self.specials: dict[tuple[Special, type[Any]], Any] = {}
        self.stacks: dict[str, Lifetime] = {}
        self.errors: list[dict[str, Any]] = []

    async def run(self) -> None:
        """The whole connection."""
        await self.inside(self.root.interceptors)

    async def inside(self, interceptors: Sequence[Dependant]) -> None:
        """What runs inside of the interceptors that are not among these, and these."""
        if self.websocket.ended:
            return
        async with Lifetime() as connection:
            # Whatever is opened further in is closed before this goes on.
            self.stacks = {"connection": connection}
            if interceptors:
                await self.intercepted(*interceptors)
            else:
                await self.innermost(connection)

    async def intercepted(self, interceptor: Dependant, *further: Dependant) -> None:
        """An interceptor around further ones."""
        place = ("interceptor", len(further))
        raised: Exception | None = None
        called = False

        async def call_next() -> None:
            nonlocal called, raised
            called = True
            try:
                await self.inside(further)
            except Exception as error:
                raised = error
                raise

        try:
            await self.prepare(interceptor, place)
        except Ended:
            return
        self.specials[Special.CALL_NEXT, object] = call_next
        await self.call(interceptor, (), place)
        if self.errors:
            await self.inside(further)
        if raised is not None:
            await checkpoint_if_cancelled()
            if not only_disconnects(raised):
                raise SwallowedExceptionError(None, "interceptor") from raised
        if not called:
            await self.runtime.finish(self.websocket)

    async def innermost(self, connection: Lifetime) -> None:
        """Permissions, dependencies and the endpoint."""
        try:
            async with Lifetime() as function:
                self.stacks = {"connection": connection, "function": function}
                try:
                    for number, condition in enumerate(self.root.permissions):
                        await self.permitted(condition, number)
                    await self.resolve()
                except Ended:
                    return
                await self.call(self.root, (), None)
        except Exception as error:
            if only_disconnects(error):
                await self.background()
            raise
        await self.runtime.finish(self.websocket)
        await self.background()

    async def permitted(self, condition: Condition, number: int) -> None:
        """Ask one permission, or one rule."""
        places = {id(question): (number, index) for index, question in enumerate(condition.questions())}
        for question in condition.questions():
            await self.prepare(question, places[id(question)])
            for field in question.params:
                self.validated(field)
        for part in conjuncts(condition):
            if self.errors:
                return
            if not await self.granted(part, places):
                raise HTTPException(403)
            if self.websocket.ended:
                raise Ended

    async def granted(self, condition: Condition, places: Mapping[int, Place]) -> bool:
        """Whether a condition holds; no more of it is asked than it takes."""
        if condition.question is not None:
            return bool(await self.call(condition.question, (), places[id(condition.question)]))
        if condition.operator == "not":
            return not await self.granted(condition.operands[0], places)
        decisive = condition.operator == "or"
        for operand in condition.operands:
            if await self.granted(operand, places) is decisive:
                return decisive
        return not decisive

    async def prepare(self, node: Dependant, place: Place) -> None:
        """All that something needs which is called beside the endpoint."""
        visited: set[Place] = set(self.values)
        for child, scopes, child_place in self.below(node, (), place):
            await self.visit(child, scopes, child_place, "connection", visited)

    async def resolve(self) -> None:
        """All dependencies: those that live longer are opened before those that live shorter."""
        for lifetime in LIFETIMES:
            visited: set[Place] = set(self.values)
            for child, scopes, place in self.below(self.root, (), None):
                await self.visit(child, scopes, place, lifetime, visited)

    async def visit(self, node: Dependant, scopes: Scopes, place: Place, lifetime: str, visited: set[Place]) -> None:
        """Depth first, in the order of the signatures, each place once."""
        if place in visited:
            return
        visited.add(place)
        for child, child_scopes, child_place in self.below(node, scopes, place):
            await self.visit(child, child_scopes, child_place, lifetime, visited)
        if node.lifetime == lifetime:
            self.values[place] = await self.call(node, scopes, place)
            if self.websocket.ended:
                raise Ended

    def below(self, node: Dependant, scopes: Scopes, place: Place) -> Iterator[tuple[Dependant, Scopes, Place]]:
        """The direct dependencies of a node, each with its security scopes and its place."""
        for index, child in enumerate(node.dependencies):
            child_scopes = extended(scopes, child)
            # An uncached value belongs to the one run of its parent.
            yield child, child_scopes, self.key(child, child_scopes) if child.use_cache else (place, index)

    def key(self, node: Dependant, scopes: Scopes) -> Hashable:
        """Equal for two uses with the same callable, lifetime and arguments."""
        call = node.call if isinstance(node.call, Hashable) else id(node.call)
        relevant = scopes if node.uses_scopes else ()
        below = tuple(self.key(child, extended(scopes, child)) for child in node.dependencies)
        return (call, node.lifetime, relevant, below)

    async def call(self, node: Dependant, scopes: Scopes, place: Place) -> Any:
        """Validate what the node itself reads, and call it; after the first error, only validate."""
        children = list(self.below(node, scopes, place))[len(node.effects) :]
        values = {child.name or "": self.values.get(child_place) for child, _, child_place in children}
        for item in node.arguments:
            if isinstance(item, ParamField):
                values[item.name] = self.validated(item)
            elif isinstance(item, SpecialParam):
                values[item.name] = self.special(item, scopes)
        if self.errors:
            if node is self.root:
                raise WebSocketRequestValidationError(self.errors)
            return None
        by_position = [values[item.name or ""] for item in node.arguments if item.name in node.positional_only]
        by_name = {name: value for name, value in values.items() if name not in node.positional_only}
        made = node.call(*by_position, **by_name)
        if node.form is Form.VALUE:
            return made
        if node.form is Form.COROUTINE:
            return await made
        return await self.stacks[node.lifetime].open(MANAGERS[node.form](made))

    def validated(self, field: ParamField) -> Any:
        """The value of a parameter; each error is remembered once."""
        scope = self.websocket.scope
        if errors := alone(field).errors(scope):
            self.errors += [error for error in errors if error not in self.errors]
            return None
        [value] = alone(field).validate((field.pick(group_source(field.source, scope)),))
        return value

    def special(self, param: SpecialParam, scopes: Scopes) -> Any:
        """Something of the connection: one for all of its kind and class."""
        if param.special is Special.NONE:
            return None
        if param.special is Special.WEBSOCKET:
            return self.websocket
        if param.special is Special.SECURITY_SCOPES:
            return param.cls(list(scopes))
        key = (param.special, param.cls)
        if key not in self.specials:
            makers: Mapping[Special, Callable[[], Any]] = {
                Special.BACKGROUND_TASKS: param.cls,
                Special.REQUEST: partial(self.runtime.request_view, self.websocket, param.cls),
                Special.RESPONSE: partial(self.runtime.handshake_response, self.websocket),
                Special.ROUTE: lambda: self.websocket.scope["route"],
            }
            self.specials[key] = makers[param.special]()
        return self.specials[key]

    async def background(self) -> None:
        """The background tasks, if anything asked for them."""
        for (special, _), value in self.specials.items():
            if special is Special.BACKGROUND_TASKS:
                await self.runtime.run_background(value)


@cache
def alone(field: ParamField) -> Group:
    """One parameter, to be validated by itself."""
    return Group([field])


class Lifetime(AsyncExitStack):
    """A stack on which nothing may be swallowed. Closing is shielded from cancellation, which comes after it."""

    async def open(self, manager: AbstractAsyncContextManager[Any]) -> Any:
        """Open a dependency, to be closed with the others."""
        scope = self.enter_context(CancelScope())
        value = await manager.__aenter__()

        async def close(
            kind: type[BaseException] | None, exception: BaseException | None, trace: TracebackType | None
        ) -> bool:
            scope.shield = True
            swallowed = await manager.__aexit__(kind, exception, trace)
            scope.shield = False
            if exception is None or not swallowed:
                return False
            await checkpoint_if_cancelled()
            if not only_disconnects(exception):
                raise SwallowedExceptionError("endpoint") from exception
            return True

        self.push_async_exit(close)
        return value

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, trace: TracebackType | None
    ) -> bool:
        swallowed = await super().__aexit__(kind, exception, trace)
        if exception is None or swallowed:
            await checkpoint_if_cancelled()
        return bool(swallowed)


def in_place(manager: AbstractContextManager[Any]) -> AbstractAsyncContextManager[Any]:
    """A synchronous context manager as an asynchronous one."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        with manager as value:
            yield value

    return opened()


MANAGERS: Mapping[Form, Callable[[Any], AbstractAsyncContextManager[Any]]] = {
    Form.ASYNC_GENERATOR: lambda generator: asynccontextmanager(lambda: generator)(),
    Form.GENERATOR: lambda generator: in_place(contextmanager(lambda: generator)()),
    Form.ASYNC_CONTEXT_MANAGER: lambda manager: manager,
    Form.CONTEXT_MANAGER: in_place,
}


def conjuncts(condition: Condition) -> Iterator[Condition]:
    """The operands of a chain of `&`, each of which says why it denies."""
    if condition.operator != "and":
        yield condition
        return
    for operand in condition.operands:
        yield from conjuncts(operand)


def only_disconnects(error: BaseException) -> bool:
    """Whether the peer left, and nothing else happened."""
    if isinstance(error, BaseExceptionGroup):
        return all(only_disconnects(inner) for inner in error.exceptions)
    return isinstance(error, WebSocketDisconnect)


def extended(scopes: Scopes, node: Dependant) -> Scopes:
    """The security scopes of a node: those of its parent, then its own, each once."""
    return tuple(dict.fromkeys((*scopes, *node.own_oauth_scopes)))


def overridden(
    node: Dependant, overrides: Mapping[Any, Callable[..., Any]], inside: frozenset[Any] = frozenset()
) -> Dependant:
    """The tree below a node with overrides in place; the node itself is left alone.

    Args:
        node: A tree without overrides.
        overrides: By the callable that they replace.
        inside: The callables whose overrides are around the node: there they mean themselves.
    """

    def replaced(child: Dependant) -> Dependant:
        call = child.call
        if not isinstance(call, Hashable) or call not in overrides or call in inside:
            return overridden(child, overrides, inside)
        fresh = get_dependant(
            path=child.path or "/",
            call=overrides[call],
            name=child.name,
            use_cache=child.use_cache,
            scope=child.scope,
        )
        return overridden(fresh._replace(own_oauth_scopes=child.own_oauth_scopes), overrides, inside | {call})

    effects = tuple(replaced(effect) for effect in node.effects)
    arguments = tuple(replaced(item) if isinstance(item, Dependant) else item for item in node.arguments)
    node = node._replace(effects=effects, arguments=arguments)
    lifetimes: list[LifetimeName] = ["connection", *(child.lifetime for child in node.dependencies)]
    if any(param.special is Special.MESSAGE for param in node.special_params):
        lifetimes.append("message")
    shortest = max(lifetimes, key=LIFETIMES.index)
    said = node.scope == "message" or (node.form not in (Form.VALUE, Form.COROUTINE) and node.scope is not None)
    asks = any(param.special is Special.SECURITY_SCOPES for param in node.special_params)
    return node._replace(
        lifetime=node.lifetime if said else shortest,
        uses_scopes=asks or any(child.uses_scopes for child in node.dependencies),
    )
