"""What generated code asks of a conversation is what there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from tests.dependencies.trees import RUNTIME
from wsroute.dependencies.compiler import compile_plan
from wsroute.dependencies.conversations import ConversationAnalysis, Listener
from wsroute.dependencies.planner import make_plan
from wsroute.dependencies.speech import Encoder, Speech
from wsroute.messages.codec import Codec
from wsroute.messages.listening import Listening
from wsroute.messages.options import MessageOptions
from wsroute.messages.streaming import Streaming


class Say(BaseModel):
    text: str


async def say(message: Say) -> Say:
    return message


async def ticks() -> AsyncIterator[int]:
    yield 1


def members(protocol: type[Any]) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


@pytest.mark.parametrize("is_stream", [False, True], ids=["listener", "stream"])
def test_listeners_and_streams_speak(is_stream: bool) -> None:
    call = ticks if is_stream else say
    tree = ConversationAnalysis("/").listener(Listener(call, (call,), is_stream=is_stream))
    assert tree.conversation is not None
    codec = Codec(tree.conversation)
    speech: Speech = Streaming(codec) if is_stream else Listening(codec, MessageOptions())
    encoder: Encoder = speech.encoder(call)

    assert {name for name in members(Speech) if hasattr(speech, name)} == members(Speech)
    assert {name for name in members(Encoder) if hasattr(encoder, name)} == members(Encoder)


def test_a_conversation_without_anything_to_hold_it_with_is_a_mistake_of_who_compiles_it() -> None:
    plan = make_plan(ConversationAnalysis("/").listener(Listener(say, (say,))))

    with pytest.raises(TypeError, match=r"nothing to hold the conversation of .*\.say with"):
        compile_plan(plan, RUNTIME)
