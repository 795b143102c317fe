"""`--check`: the chat on a free port, driven by the `websockets` client; every expectation is compared exactly."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from websockets.asyncio.client import connect

from docs.examples.chat.app import PAGE, Settings, create_app
from docs.examples.chat.server import configure
from docs.examples.checking import address, closed_with, held, page_at, receive, refusal, served

TIME_LIMIT = 30.0  # seconds, for everything
SMALL_BUFFER = 65536  # bytes; keeps the kernel from hiding that a client has stopped reading


async def check(database: Path) -> bool:
    """Try everything once, print what was seen, and tell whether all of it was as expected."""
    users = {"token-of-ann": "ann", "token-of-bob": "bob"}
    config = configure(create_app(Settings(database, users, queue_size=16)), log_level="warning")
    scenarios = (the_page, two_users_in_a_room, no_token, bad_parameters, a_user_who_stops_reading)
    try:
        async with asyncio.timeout(TIME_LIMIT), served(config, send_buffer=SMALL_BUFFER) as url:
            return all([await scenario(f"{url}/rooms") for scenario in scenarios])
    except TimeoutError:
        print(f"FAIL not done after {TIME_LIMIT} s")
        return False


async def the_page(url: str) -> bool:
    """Served at the root, by the same application."""
    status, content_type, body = await page_at(url)
    return held("the page", (status, content_type, body == PAGE.read_bytes()), (200, "text/html; charset=utf-8", True))


async def two_users_in_a_room(url: str) -> bool:
    """Both see both messages; so does who comes later."""
    by_header = {"Authorization": "Bearer token-of-bob"}
    async with (
        connect(f"{url}/lobby?token=token-of-ann", proxy=None) as ann,
        connect(f"{url}/lobby", proxy=None, additional_headers=by_header) as bob,
    ):
        await ann.send("Hello, Bob")
        seen_by_ann, seen_by_bob = [await receive(ann)], [await receive(bob)]
        await bob.send("Hello, <b>Ann</b>")
        seen_by_ann.append(await receive(ann))
        seen_by_bob.append(await receive(bob))
    async with connect(f"{url}/lobby?token=token-of-ann&history=1", proxy=None) as ann:
        seen_later = await receive(ann)
    said = [{"id": 1, "user": "ann", "text": "Hello, Bob"}, {"id": 2, "user": "bob", "text": "Hello, <b>Ann</b>"}]
    return all(
        [
            held("ann sees", seen_by_ann, said),
            held("bob sees", seen_by_bob, said),
            held("ann, back with history=1, sees", seen_later, said[1]),
        ]
    )


async def no_token(url: str) -> bool:
    """Refused with a status and a body, and not told that the room's name is wrong as well."""
    seen = await refusal(f"{url}/NO", "WWW-Authenticate")
    return held("without a token", seen, (401, "Bearer", {"detail": "A valid token is required"}))


async def bad_parameters(url: str) -> bool:
    """One refusal tells all that is wrong."""
    seen = await refusal(f"{url}/NO?token=token-of-ann&history=many", "WWW-Authenticate")
    detail = [
        {
            "type": "string_pattern_mismatch",
            "loc": ["path", "room_name"],
            "msg": "String should match pattern '^[a-z]{1,20}$'",
        },
        {
            "type": "int_parsing",
            "loc": ["query", "history"],
            "msg": "Input should be a valid integer, unable to parse string as an integer",
        },
    ]
    return held("with bad parameters", seen, (422, None, {"detail": detail}))


async def a_user_who_stops_reading(url: str) -> bool:
    """Holds nobody up, and is put out of the room."""
    texts = [f"{number} ".ljust(60_000, ".") for number in range(40)]
    with socket.create_connection(address(url)) as stuck_socket:
        stuck_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        async with (
            connect(f"{url}/den?token=token-of-ann", proxy=None) as ann,
            connect(f"{url}/den?token=token-of-bob", sock=stuck_socket, compression=None, max_queue=1) as bob,
        ):
            seen_by_ann = []
            for text in texts:
                await ann.send(text)
                seen_by_ann.append((await receive(ann))["text"])
            seen_by_bob = await closed_with(bob)
    return all(
        [
            held("ann, beside a client that does not read, sees", f"{len(seen_by_ann)} messages", "40 messages"),
            held("unchanged, and in order", seen_by_ann == texts, True),
            held("the client that did not read is closed with", seen_by_bob, (1013, "You read too slowly")),
        ]
    )
