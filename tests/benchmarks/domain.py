"""What the endpoints need: the same functions for every framework, and for the code that calls them by hand.

Annotations are evaluated where they are written, as in the documentation of all these frameworks; hence no
`from __future__ import annotations` here, nor in the adapters.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

#: What was made, opened (`+`) and closed (`-`), in order: it shows what was shared, and how it was cleaned up.
TRACE: deque[str] = deque(maxlen=32)


@dataclass(slots=True)
class Settings:
    """Needed by several others: made once for each connection."""

    region: str


@dataclass(slots=True)
class Part:
    """Whatever a dependency provides."""

    name: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class Graph:
    """The functions of one set of dependencies.

    Attributes:
        settings, database, cache, user, audit: Five coroutine functions.
        other_user: What an override puts in the place of `user`.
        session, transaction: Two asynchronous generator functions; the second one needs the first one.
        flags, prices, texts: Three synchronous functions, without parameters.
    """

    settings: Callable[..., Any]
    database: Callable[..., Any]
    cache: Callable[..., Any]
    user: Callable[..., Any]
    other_user: Callable[..., Any]
    audit: Callable[..., Any]
    session: Callable[..., Any]
    transaction: Callable[..., Any]
    flags: Callable[..., Any]
    prices: Callable[..., Any]
    texts: Callable[..., Any]


#: Makes the marker for a dependency, as the framework wants it.
Depends = Callable[[Callable[..., Any]], Any]


def by_hand(call: Callable[..., Any]) -> None:
    """The marker for code that calls its dependencies itself: there is none."""


def make_fan(depends: Depends) -> Graph:
    """Functions of which three need the settings."""

    async def get_settings() -> Settings:
        TRACE.append("settings")
        return Settings("eu")

    async def get_database(settings: Annotated[Settings, depends(get_settings)]) -> Part:
        TRACE.append("database")
        return Part("database", settings)

    async def get_cache(settings: Annotated[Settings, depends(get_settings)]) -> Part:
        TRACE.append("cache")
        return Part("cache", settings)

    async def get_user(settings: Annotated[Settings, depends(get_settings)]) -> Part:
        TRACE.append("user")
        return Part("alice", settings)

    async def get_other_user(settings: Annotated[Settings, depends(get_settings)]) -> Part:
        TRACE.append("user")
        return Part("bob", settings)

    async def get_audit() -> str:
        TRACE.append("audit")
        return "audit"

    async def get_session(database: Annotated[Part, depends(get_database)]) -> AsyncIterator[Part]:
        TRACE.append("+session")
        try:
            yield Part("session", database.settings)
        finally:
            TRACE.append("-session")

    async def get_transaction(session: Annotated[Part, depends(get_session)]) -> AsyncIterator[Part]:
        TRACE.append("+transaction")
        try:
            yield Part("transaction", session.settings)
        finally:
            TRACE.append("-transaction")

    return Graph(
        get_settings,
        get_database,
        get_cache,
        get_user,
        get_other_user,
        get_audit,
        get_session,
        get_transaction,
        *_make_sync(),
    )


def make_diamond(depends: Depends) -> Graph:
    """The same five functions, of which each one needs all before it."""
    fan = make_fan(depends)
    get_settings = fan.settings

    async def get_database(settings: Annotated[Settings, depends(get_settings)]) -> Part:
        TRACE.append("database")
        return Part("database", settings)

    async def get_cache(
        settings: Annotated[Settings, depends(get_settings)], database: Annotated[Part, depends(get_database)]
    ) -> Part:
        TRACE.append("cache")
        return Part("cache", settings)

    async def get_user(
        settings: Annotated[Settings, depends(get_settings)],
        database: Annotated[Part, depends(get_database)],
        cache: Annotated[Part, depends(get_cache)],
    ) -> Part:
        TRACE.append("user")
        return Part("alice", settings)

    async def get_audit(
        settings: Annotated[Settings, depends(get_settings)],
        database: Annotated[Part, depends(get_database)],
        cache: Annotated[Part, depends(get_cache)],
        user: Annotated[Part, depends(get_user)],
    ) -> str:
        TRACE.append("audit")
        return f"{database.name} {cache.name} {user.name}"

    return Graph(
        get_settings,
        get_database,
        get_cache,
        get_user,
        fan.other_user,
        get_audit,
        fan.session,
        fan.transaction,
        fan.flags,
        fan.prices,
        fan.texts,
    )


def _make_sync() -> tuple[Callable[[], str], Callable[[], str], Callable[[], str]]:
    def load_flags() -> str:
        TRACE.append("flags")
        return "flags"

    def load_prices() -> str:
        TRACE.append("prices")
        return "prices"

    def load_texts() -> str:
        TRACE.append("texts")
        return "texts"

    return load_flags, load_prices, load_texts
