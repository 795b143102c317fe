"""What the conversations of a route are held with."""

from __future__ import annotations

from wsroute.dependencies.models import Conversation
from wsroute.messages.codec import Codec
from wsroute.messages.listening import Listening
from wsroute.messages.options import MessageOptions
from wsroute.messages.streaming import Streaming


def speech_for(conversation: Conversation, codec: Codec, options: MessageOptions) -> Listening | Streaming:
    """What holds the conversations of one listener or stream.

    Args:
        conversation: The listener, or the stream.
        codec: How its messages are read and written.
        options: How it takes messages.
    """
    return Streaming(codec) if conversation.is_stream else Listening(codec, options)
