"""What the tree of a listener means: the interpreter of `oracle.py`, for each message anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.dependencies.oracle import Ended, Lifetime, Oracle, Place, Scopes, extended, only_disconnects, overridden
from wsroute.dependencies.callables import Form
from wsroute.dependencies.models import Conversation, Dependant, Handler, Special, SpecialParam
from wsroute.exceptions import WebSocketRequestValidationError

#: Of the lifetimes, those that a conversation goes on within.
AROUND = ("app", "connection", "function")
SPOKEN = (Special.MESSAGE, Special.CODE, Special.REASON)


def overridden_conversation(root: Dependant, overrides: Mapping[Any, Callable[..., Any]]) -> Dependant:
    """The tree of a listener with overrides in place."""
    assert root.conversation is not None
    handlers = tuple(
        handler._replace(node=overridden(handler.node, overrides)._replace(lifetime=handler.node.lifetime))
        for handler in root.conversation.handlers
    )
    return root._replace(conversation=root.conversation._replace(handlers=handlers))


class ConversationOracle(Oracle):
    """Resolves the tree of one listener for one connection, and holds its conversation."""

    spoken: Mapping[Special, Any] = {}
    #: Whether a dependency has ended the connection before it was accepted.
    refused = False

    async def innermost(self, connection: Lifetime) -> None:
        """Dependencies, then the conversation."""
        try:
            await self.within_functions(connection)
        except Exception as error:
            if only_disconnects(error):
                await self.background()
            raise
        if not self.refused:
            await self.runtime.finish(self.websocket)
            await self.background()

    async def within_functions(self, connection: Lifetime) -> None:
        """What ends before the connection is closed."""
        conversation = self.root.conversation
        assert conversation is not None
        async with Lifetime() as function:
            self.stacks = {"connection": connection, "function": function}
            try:
                await self.resolve()
                self.check(conversation)
            except Ended:
                self.refused = True
                return
            handlers = [self.turn(handler, ("handler", number)) for number, handler in enumerate(conversation.handlers)]
            on_connect = conversation.on_connect and self.turn(conversation.on_connect, ("handler", "on_connect"))
            on_disconnect = conversation.on_disconnect and self.turn(
                conversation.on_disconnect, ("handler", "on_disconnect")
            )
            assert self.runtime.speech is not None
            await self.runtime.speech.converse(self.websocket, handlers, on_connect, on_disconnect)

    async def visit(self, node: Dependant, scopes: Scopes, place: Place, lifetime: str, visited: set[Place]) -> None:
        """The same; but when the connection has ended, nobody can end it."""
        try:
            await super().visit(node, scopes, place, lifetime, visited)
        except Ended:
            if Special.CODE not in self.spoken:
                raise

    async def resolve(self) -> None:
        """Whatever outlives a message."""
        for lifetime in AROUND:
            visited: set[Place] = set(self.values)
            for child, scopes, place in self.roots():
                await self.visit(child, scopes, place, lifetime, visited)

    def roots(self) -> Iterator[tuple[Dependant, Scopes, Place]]:
        """The direct dependencies of all handlers, after what runs for its effect."""
        for index, effect in enumerate(self.root.effects):
            if effect.lifetime != "message":
                scopes = extended((), effect)
                yield effect, scopes, self.key(effect, scopes) if effect.use_cache else (None, index)
        for handler, place in self.handlers():
            yield from self.below(handler.node, (), place)

    def handlers(self) -> Iterator[tuple[Handler, Place]]:
        """All handlers with their places, in the order in which they may be called."""
        conversation = self.root.conversation
        assert conversation is not None
        if conversation.on_connect:
            yield conversation.on_connect, ("handler", "on_connect")
        yield from ((handler, ("handler", number)) for number, handler in enumerate(conversation.handlers))
        if conversation.on_disconnect:
            yield conversation.on_disconnect, ("handler", "on_disconnect")

    def check(self, conversation: Conversation) -> None:
        """What the handlers, and what lives for a message, read of the handshake: before the accept."""
        for handler, place in self.handlers():
            seen: set[Place] = set()
            self.check_below(handler.node, (), place, seen)
            for field in handler.node.params:
                self.validated(field)
        if self.errors:
            raise WebSocketRequestValidationError(self.errors)

    def check_below(self, node: Dependant, scopes: Scopes, place: Place, seen: set[Place]) -> None:
        """Depth first, as they will be called."""
        for child, child_scopes, child_place in self.below(node, scopes, place):
            if child.lifetime != "message" or child_place in seen:
                continue
            seen.add(child_place)
            self.check_below(child, child_scopes, child_place, seen)
            for field in child.params:
                self.validated(field)

    def turn(self, handler: Handler, place: Place) -> Any:
        """One call of a handler: what lives for it is made, it is called, that is closed, and the reply is sent."""

        async def call(*spoken: Any) -> None:
            before, around = dict(self.values), dict(self.specials)
            self.specials = {key: made for key, made in around.items() if key[0] is not Special.BACKGROUND_TASKS}
            self.spoken = dict(zip(SPOKEN if len(spoken) == 1 else SPOKEN[1:], spoken, strict=False))
            try:
                await self.answer(handler, place)
            except Exception as error:
                if only_disconnects(error):
                    await self.background()
                raise
            finally:
                # Of what it has made, the connection keeps all but what is made for each turn.
                made = {key: value for key, value in self.specials.items() if key[0] is not Special.BACKGROUND_TASKS}
                self.values, self.specials = before, around | made

        return call

    async def answer(self, handler: Handler, place: Place) -> None:
        """Call a handler with what lives for the call, and send what it returns."""
        reply = None
        async with Lifetime() as turn:
            self.stacks["message"] = turn
            visited: set[Place] = set(self.values)
            try:
                for child, scopes, child_place in self.below(handler.node, (), place):
                    await self.visit(child, scopes, child_place, "message", visited)
            except Ended:
                return
            reply = await self.reply(handler, place)
        if reply is not None:
            await self.websocket.send_text(reply)
        await self.background()

    async def reply(self, handler: Handler, place: Place) -> Any:
        """What a handler returns; what it yields is sent at once."""
        if handler.node.form is not Form.ASYNC_GENERATOR:
            return await self.call(handler.node, (), place)
        form = handler.node.form
        items = await self.call(handler.node._replace(form=Form.VALUE), (), place)
        assert form is Form.ASYNC_GENERATOR
        async with Lifetime() as lifetime:
            lifetime.push_async_callback(items.aclose)
            async for item in items:
                await self.websocket.send_text(item)
        return None

    def special(self, param: SpecialParam, scopes: Scopes) -> Any:
        """The same, and what is said."""
        return self.spoken[param.special] if param.special in SPOKEN else super().special(param, scopes)
