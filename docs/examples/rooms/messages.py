"""What clients and the server say to each other. Each message says in `type` which one it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

# From clients


class Say(BaseModel):
    """Something to say in the room."""

    type: Literal["say"]
    text: Annotated[str, Field(min_length=1, max_length=500)]


class Backlog(BaseModel):
    """Asks for what was said last, oldest first."""

    type: Literal["backlog"]
    limit: Annotated[int, Field(ge=1, le=100)] = 20


# To clients


class Welcome(BaseModel):
    """Where the client is, and who else is there."""

    type: Literal["welcome"] = "welcome"
    room: str
    people: list[str]


class Said(BaseModel):
    """Something was said. Ids grow, over all rooms."""

    type: Literal["said"] = "said"
    id: int
    user: str
    text: str


class Entered(BaseModel):
    """Somebody came into the room."""

    type: Literal["entered"] = "entered"
    user: str


class Left(BaseModel):
    """Somebody went out of the room."""

    type: Literal["left"] = "left"
    user: str


class People(BaseModel):
    """How many people are in which room."""

    type: Literal["people"] = "people"
    rooms: dict[str, int]
