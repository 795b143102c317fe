"""A real server for tests that want the wire: uvicorn, in a thread, on a free port of loopback."""

from __future__ import annotations

import importlib.util
import socket
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from starlette.types import ASGIApp

from wsroute.testing.errors import DeadlinePassed, LifespanFailed

if TYPE_CHECKING:
    import uvicorn

#: How long the server may take to start, and to stop, in seconds.
DEADLINE = 10.0
_HOST = "127.0.0.1"


class LiveServer:
    """An application on uvicorn, while a `with` block runs: `with LiveServer(app) as server: ...`.

    The server runs in a thread of its own, so that a test may be async or not, and any client may connect.

    Args:
        app: The application.
        options: Options of `uvicorn.Config`, such as `ws="wsproto"`. The lifespan is run if the application has one.

    Raises:
        RuntimeError: uvicorn is not installed.
        LifespanFailed: The application did not start.
    """

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        if importlib.util.find_spec("uvicorn") is None:
            raise RuntimeError("a real server needs uvicorn: pip install 'wsroute[server]'")
        self._app = app
        self._options = options

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    def url(self, target: str = "/", scheme: str = "ws") -> str:
        """The URL of a path.

        Args:
            target: The path, with a query string or without.
            scheme: `"ws"`, or `"http"`.
        """
        return f"{scheme}://{_HOST}:{self.port}{target}"

    def __enter__(self) -> Self:
        self._listener = socket.create_server((_HOST, 0))
        self._server = _server(self._app, self._options)
        self._thread = threading.Thread(target=self._run, name="wsroute.testing.LiveServer", daemon=True)
        self._thread.start()
        if not self._server.ready.wait(DEADLINE):
            raise DeadlinePassed(f"the server did not start within {DEADLINE:g} s")
        if not self._server.started:
            self._thread.join(DEADLINE)
            raise LifespanFailed("the server did not start: the application's startup failed; its log says why")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(DEADLINE)
        if self._thread.is_alive():
            self._server.force_exit = True
            raise DeadlinePassed(f"the server did not stop within {DEADLINE:g} s: connections are still open")

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except SystemExit:
            pass  # which is how it ends if the startup of the application fails
        finally:
            self._server.ready.set()
            self._listener.close()


def _server(app: ASGIApp, options: dict[str, Any]) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        """Tells when it has started; one that fails does not raise anything, and ends."""

        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            self.ready = threading.Event()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            self.ready.set()

    return Server(uvicorn.Config(app, **{"log_config": None, "interface": "asgi3", **options}))
