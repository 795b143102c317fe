"""How a route wants its connections to end, as far as it can decide that."""

from __future__ import annotations

from typing import Literal, NamedTuple

from wsroute.wire.handlers import HandlerTable


class Policy(NamedTuple):
    """What a route decides about the end of its connections.

    Attributes:
        reject: How a connection is refused before it was accepted: `"denial"` is an HTTP response where the server can
            send one, `"close"` is `websocket.close` (servers answer with an HTTP 403 without a body), and `"accept"`
            accepts and closes at once, which is the only way for a browser's script to read the code.
        close_timeout: How long, in seconds, one frame that ends a connection may take.
        handlers: The exception handlers of the levels around the route, nearest first.
        send_timeout: How long, in seconds, the peer may take for each frame that it is sent; `None` for no limit.
    """

    reject: Literal["denial", "close", "accept"] = "denial"
    close_timeout: float = 5.0
    handlers: tuple[HandlerTable, ...] = ()
    send_timeout: float | None = None
