"""`--check`: the rooms on a free port, driven by the `websockets` client; every expectation is compared exactly."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from docs.examples.checking import closed_with, held, page_at, receive, refusal, served
from docs.examples.rooms.app import PAGE, create_app
from docs.examples.rooms.store import Database

HOST = "127.0.0.1"
TIME_LIMIT = 30.0  # seconds, for everything

HELLO = {"type": "said", "id": 1, "user": "ann", "text": "Hello, Bob"}
HELLO_BACK = {"type": "said", "id": 2, "user": "bob", "text": "Hello, <b>Ann</b>"}


async def check(database: Database) -> bool:
    """Try everything once, print what was seen, and tell whether all of it was as expected."""
    config = uvicorn.Config(create_app(database), HOST, log_level="warning")
    try:
        async with asyncio.timeout(TIME_LIMIT), served(config) as url:
            return all([await the_page(url), await conversation(url, database), await strangers(url)])
    except TimeoutError:
        print(f"FAIL not done after {TIME_LIMIT} s")
        return False


async def the_page(url: str) -> bool:
    """Served at the root, by the same application."""
    status, content_type, body = await page_at(url)
    return held("the page", (status, content_type, body == PAGE.read_bytes()), (200, "text/html; charset=utf-8", True))


async def conversation(url: str, database: Database) -> bool:
    """Two users talk, and one leaves, while somebody watches how many there are."""
    async with connect(f"{url}/people", proxy=None) as watcher:
        counts = [await count(watcher)]
        async with connect(f"{url}/rooms/lobby?user=ann", proxy=None) as ann:
            counts.append(await count(watcher))
            welcomed = [await receive(ann)]
            async with connect(f"{url}/rooms/lobby?user=bob", proxy=None) as bob:
                counts.append(await count(watcher))
                welcomed.append(await receive(bob))
                entered = await receive(ann)
                results = [
                    held("ann and bob are welcomed with", welcomed, [welcome("ann"), welcome("ann", "bob")]),
                    held("ann is told", entered, {"type": "entered", "user": "bob"}),
                    await replies(ann, bob, database),
                    await errors(ann),
                ]
            results.append(held("when bob has left, ann is told", await receive(ann), {"type": "left", "user": "bob"}))
            counts.append(await count(watcher))
    return all([*results, held("the watcher sees", counts, [{}, {"lobby": 1}, {"lobby": 2}, {"lobby": 1}])])


async def replies(ann: ClientConnection, bob: ClientConnection, database: Database) -> bool:
    """One that is returned, several that are yielded; and what both of it does to the database."""
    before = [database.opened, database.open]
    await say(ann, HELLO["text"])
    to_ann, to_bob = await receive(ann), await receive(bob)
    await say(bob, HELLO_BACK["text"])
    back_to_bob, back_to_ann = await receive(bob), await receive(ann)
    await bob.send(json.dumps({"type": "backlog", "limit": 10}))
    backlog = [await receive(bob), await receive(bob)]
    await bob.send(json.dumps({"type": "backlog", "limit": 1}))
    last = await receive(bob)
    # The reply to the next message says that this one is done with.
    await say(bob, "")
    await receive(bob)
    return all(
        [
            held("sessions before anything is said, all and open", before, [0, 0]),
            held("ann says, and both see", [to_ann, to_bob], [HELLO, HELLO]),
            held("bob says, and both see", [back_to_bob, back_to_ann], [HELLO_BACK, HELLO_BACK]),
            held("the backlog", backlog, [HELLO, HELLO_BACK]),
            held("the backlog of one", last, HELLO_BACK),
            held("sessions after four messages, all and open", [database.opened, database.open], [4, 0]),
        ]
    )


async def errors(ann: ClientConnection) -> bool:
    """What is no message is answered, and repeats nothing of what was sent."""
    await say(ann, "secret " * 100)
    too_long = await receive(ann)
    await ann.send(json.dumps({"type": "shout", "text": "secret"}))
    unknown = await receive(ann)
    length = "Length of the string should be 500 or less"
    return all(
        [
            held("a text that is too long", too_long, error("invalid_message", ["text"], length, "string_too_long")),
            held(
                "a type that there is not",
                unknown,
                error("unknown_type", [], "Type should be one of 'say', 'backlog'", "union_tag_invalid"),
            ),
        ]
    )


async def strangers(url: str) -> bool:
    """Who has no name is refused, and who sends far too much is closed."""
    nameless = await refusal(f"{url}/rooms/lobby")
    async with connect(f"{url}/rooms/lobby?user=eve", proxy=None) as eve:
        await say(eve, "x" * 5000)
        too_big = await closed_with(eve)
    detail = [{"type": "missing", "loc": ["query", "user"], "msg": "Field required"}]
    return all(
        [
            held("without a name", nameless, (422, {"detail": detail})),
            held("a message that is too big", too_big, (1009, "Message too big")),
        ]
    )


async def say(client: ClientConnection, text: object) -> None:
    """Say something in the room."""
    await client.send(json.dumps({"type": "say", "text": text}))


async def count(watcher: ClientConnection) -> Any:
    """The next item of the stream."""
    return (await receive(watcher))["rooms"]


def welcome(*people: str) -> dict[str, Any]:
    """What who enters the lobby is sent."""
    return {"type": "welcome", "room": "lobby", "people": [*people]}


def error(code: str, loc: list[str], msg: str, kind: str) -> dict[str, Any]:
    """An error frame with one error."""
    return {"type": "error", "code": code, "detail": [{"loc": loc, "msg": msg, "type": kind}]}
