"""What is said where typed messages are measured, and what is made for each of them: the same for every framework.

The types are as small as those of a chat, so that what is around pydantic counts. Annotations are evaluated where they
are written, as in `domain`.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field, TypeAdapter

from tests.benchmarks.domain import TRACE


class Say(BaseModel):
    """What a client says."""

    type: Literal["say"] = "say"
    room: int
    text: str


class Edit(BaseModel):
    """What a client says instead of something it has said before."""

    type: Literal["edit"] = "edit"
    number: int
    text: str


class Erase(BaseModel):
    """What a client takes back."""

    type: Literal["erase"] = "erase"
    number: int


class Said(BaseModel):
    """The answer to `Say`, and who has said it."""

    type: Literal["said"] = "said"
    room: int
    text: str
    by: str


class Edited(BaseModel):
    """The answer to `Edit`."""

    type: Literal["edited"] = "edited"
    number: int
    text: str


class Erased(BaseModel):
    """The answer to `Erase`."""

    type: Literal["erased"] = "erased"
    number: int


class Tick(BaseModel):
    """What a stream sends."""

    type: Literal["tick"] = "tick"
    number: int
    price: float


async def ticks(count: int) -> AsyncGenerator[Tick, None]:
    """A stream of so many items."""
    for number in range(count):
        yield Tick(number=number, price=99.5)


async def get_session() -> AsyncIterator[str]:
    """What is opened for a message, and committed when the message was handled."""
    TRACE.append("+session")
    try:
        yield "session"
        TRACE.append("commit")
    finally:
        TRACE.append("-session")


# For code by hand: made once, as pydantic's documentation says.
AnyMessage: TypeAlias = Annotated[Say | Edit | Erase, Field(discriminator="type")]
SAYS = TypeAdapter(Say)
MESSAGES = TypeAdapter[Say | Edit | Erase](AnyMessage)
SAIDS = TypeAdapter(Said)
EDITEDS = TypeAdapter(Edited)
ERASEDS = TypeAdapter(Erased)
TICKS = TypeAdapter(Tick)
#: What it answers to a frame that is no message.
INVALID = '{"type":"error","code":"invalid_message"}'
