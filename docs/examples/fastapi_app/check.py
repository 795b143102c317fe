"""`--check`: the application on a free port, driven by HTTP and socket clients; what is seen is compared exactly."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect

from docs.examples.checking import held, refusal, served
from docs.examples.fastapi_app.app import create_app, current_user

HOST = "127.0.0.1"
TIME_LIMIT = 30.0  # seconds, for everything

ANN = {"Authorization": "Bearer token-of-ann"}
EVE = {"Authorization": "Bearer token-of-eve"}
FOREIGN = "https://evil.example"


async def check() -> bool:
    """Try everything once, print what was seen, and tell whether all of it was as expected."""
    app = create_app({"token-of-ann": "ann", "token-of-bob": "bob"})
    scenarios = (one_scheme, a_ticket, typed_messages, watching, one_override)
    try:
        async with asyncio.timeout(TIME_LIMIT), served(uvicorn.Config(app, HOST, log_level="warning")) as url:
            return all([await scenario(url, app) for scenario in scenarios])
    except TimeoutError:
        print(f"FAIL not done after {TIME_LIMIT} s")
        return False


async def one_scheme(url: str, app: FastAPI) -> bool:
    """A route and a socket refuse alike: without a token, and with one that is unknown."""
    sides = []
    for sending in ({}, EVE):
        over_http = await request(url, "GET", "/notes", sending)
        over_socket = await refusal(f"{url}/live/watch", "WWW-Authenticate", sending=sending)
        sides.append([over_http, over_socket])
    nobody = (401, "Bearer", {"detail": "Not authenticated"})
    unknown = (401, 'Bearer error="invalid_token"', {"detail": "Unknown token"})
    return all(
        [
            held("without a token, over HTTP and a socket", sides[0], [nobody, nobody]),
            held("with an unknown token, over both", sides[1], [unknown, unknown]),
        ]
    )


async def a_ticket(url: str, app: FastAPI) -> bool:
    """Issued over HTTP to who has a token; valid once, for the page that it was issued to."""
    own = url.replace("ws:", "http:")
    ticket = await get_ticket(url, own)
    async with connect(f"{url}/live/notes?ticket={ticket}", proxy=None, origin=own) as client:  # type: ignore[arg-type]  # a str
        seen = await receive(client)
    again = await refusal(f"{url}/live/notes?ticket={ticket}", "WWW-Authenticate", sending={"Origin": own})
    ticket = await get_ticket(url, own)
    elsewhere = await refusal(f"{url}/live/notes?ticket={ticket}")
    foreign = await refusal(f"{url}/live/notes?ticket={ticket}", sending={"Origin": FOREIGN})
    return all(
        [
            held("with a ticket", seen, {"type": "counted", "notes": 0, "yours": 0}),
            held(
                "with the same once more", again, (401, 'Ticket error="invalid_ticket"', {"detail": "Invalid ticket"})
            ),
            held("from no page", elsewhere, (403, {"detail": "The ticket was issued for another connection"})),
            held("from a page of another origin", foreign, (403, {"detail": "Origin not allowed"})),
        ]
    )


async def typed_messages(url: str, app: FastAPI) -> bool:
    """Messages are validated; what they write is there for HTTP; a value of the application outlives connections."""
    milk, bread, nothing = (f'{{"type": "write", "text": "{text}"}}' for text in ("Milk", "Bread", ""))
    seen = []
    for messages in ([nothing, milk], [bread, '{"type": "count"}']):
        async with connect(f"{url}/live/notes?ticket={await get_ticket(url)}", proxy=None) as client:
            await client.recv()
            for message in messages:
                await client.send(message)
                seen.append(await receive(client))
    invalid = seen[0]["code"], [error["loc"] for error in seen[0]["detail"]]
    _, _, listed = await request(url, "GET", "/notes", ANN)
    return all(
        [
            held("an invalid message", invalid, ("invalid_message", [["text"]])),
            held("a note", seen[1], {"number": 1, "user": "ann", "text": "Milk"}),
            held("a count on another connection", seen[3], {"type": "counted", "notes": 2, "yours": 2}),
            held("the notes over HTTP", [note["text"] for note in listed], ["Milk", "Bread"]),
        ]
    )


async def watching(url: str, app: FastAPI) -> bool:
    """What is written over HTTP is seen on the stream."""
    async with connect(f"{url}/live/watch", proxy=None, additional_headers=ANN) as client:
        status, _, _ = await request(url, "POST", "/notes", ANN, {"text": "Salt"})
        seen = await receive(client)
    return held("a note of HTTP on the stream", [status, seen], [200, {"number": 3, "user": "ann", "text": "Salt"}])


async def one_override(url: str, app: FastAPI) -> bool:
    """One entry in the application's overrides is for routes and sockets."""
    app.dependency_overrides[current_user] = lambda: "from the test"
    try:
        async with connect(f"{url}/live/watch", proxy=None) as client:
            _, _, note = await request(url, "POST", "/notes", {}, {"text": "Pepper"})
            seen = await receive(client)
    finally:
        app.dependency_overrides.clear()
    return held("with an override", [note["user"], seen["user"]], ["from the test", "from the test"])


async def get_ticket(url: str, origin: str | None = None) -> str:
    """A ticket for ann."""
    _, _, ticket = await request(url, "POST", "/tickets", {**ANN, **({"Origin": origin} if origin else {})})
    return str(ticket)


async def request(url: str, method: str, path: str, headers: dict[str, str], body: Any = None) -> tuple[Any, ...]:
    """Status, challenge and JSON of an HTTP request."""

    def send() -> tuple[Any, ...]:
        with closing(HTTPConnection(url.removeprefix("ws://"), timeout=TIME_LIMIT)) as client:
            content = None if body is None else json.dumps(body)
            client.request(method, path, content, {"Content-Type": "application/json", **headers})
            response = client.getresponse()
            return response.status, response.getheader("WWW-Authenticate"), json.load(response)

    return await asyncio.to_thread(send)


async def receive(client: ClientConnection) -> Any:
    """The next message."""
    return json.loads(await client.recv())
