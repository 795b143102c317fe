"""The client's handshake as the scope that a server makes of it. httpx says what a URL, a header and a cookie are."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import unquote

from starlette.types import Scope

if TYPE_CHECKING:
    import httpx

Scalar: TypeAlias = str | int | float | bool | None
#: What httpx takes for each of them.
Params: TypeAlias = "Mapping[str, Scalar | Sequence[Scalar]] | list[tuple[str, Scalar]] | str | httpx.QueryParams"
Headers: TypeAlias = "Mapping[str, str] | Sequence[tuple[str, str]] | httpx.Headers"
Cookies: TypeAlias = "dict[str, str] | httpx.Cookies"
#: As in httpx: a pair of user and password, an `httpx.Auth`, or what changes a request.
Auth: TypeAlias = "tuple[str, str] | httpx.Auth | Callable[[httpx.Request], httpx.Request]"

HOST = "ws://testserver"
_PORTS = {"ws": 80, "wss": 443}
#: What the protocol itself sends (RFC 6455, section 4.1); the key is the example of section 1.3.
_UPGRADE = (
    (b"connection", b"Upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
)


class Handshake(NamedTuple):
    """What the client asks for; each attribute is as in `connect`."""

    target: str = "/"
    params: Params | None = None
    headers: Headers | None = None
    cookies: Cookies | None = None
    auth: Auth | None = None
    origin: str | None = None
    subprotocols: Sequence[str] = ()

    def request(self) -> httpx.Request:
        """The HTTP request that it is."""
        _check_httpx()
        import httpx

        url = httpx.URL(_absolute(self.target))
        if self.params is not None:
            url = url.copy_merge_params(httpx.QueryParams(self.params))
        return httpx.Request("GET", url, headers=self.headers, cookies=self.cookies)

    def scope_of(self, request: httpx.Request | None) -> Scope:
        """The scope of the connection, without what the server adds of its own.

        Args:
            request: The request; None if it is the target and nothing else.
        """
        if request is None:
            parsed, headers = _parsed(self.target), []
        else:
            parsed = _split(request.url)
            headers = [(name.lower(), value) for name, value in request.headers.raw if name.lower() != b"host"]
        if self.origin is not None:
            headers.append((b"origin", self.origin.encode("latin-1")))
        if self.subprotocols:
            headers.append((b"sec-websocket-protocol", ", ".join(self.subprotocols).encode("latin-1")))
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": parsed.scheme,
            "path": parsed.path,
            "raw_path": parsed.raw_path,
            "query_string": parsed.query,
            "root_path": "",
            "headers": [(b"host", parsed.host), *_UPGRADE, *headers],
            "subprotocols": list(self.subprotocols),
            "client": ("127.0.0.1", 50000),
            "server": parsed.server,
        }

    @property
    def is_plain(self) -> bool:
        """Whether it is the target and nothing else, so that there is no need to make a request of it."""
        return self.params is None and self.headers is None and self.cookies is None and self.auth is None


def auth_of(auth: Auth | None, url: httpx.URL) -> httpx.Auth | None:
    """How the client authenticates: as it was told, else with what stands in the URL."""
    import httpx

    if auth is None:
        return httpx.BasicAuth(url.username, url.password) if url.username or url.password else None
    if isinstance(auth, tuple):
        return httpx.BasicAuth(*auth)
    return auth if isinstance(auth, httpx.Auth) else _changing(auth)


def _changing(change: Callable[[httpx.Request], httpx.Request]) -> httpx.Auth:
    import httpx

    class Changing(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            yield change(request)

    return Changing()


def _check_httpx() -> None:
    if importlib.util.find_spec("httpx") is None:
        raise RuntimeError("a client of wsroute.testing needs httpx: pip install 'wsroute[testing]'")


class _Target(NamedTuple):
    scheme: str
    host: bytes
    server: tuple[str, int]
    path: str
    raw_path: bytes
    query: bytes


@lru_cache(maxsize=256)
def _parsed(target: str) -> _Target:
    _check_httpx()
    import httpx

    return _split(httpx.URL(_absolute(target)))


def _split(url: httpx.URL) -> _Target:
    raw_path, _, query = url.raw_path.partition(b"?")
    server = (url.host, url.port or _PORTS[url.scheme])
    return _Target(url.scheme, url.netloc, server, unquote(raw_path.decode("ascii")), raw_path, query)


def _absolute(target: str) -> str:
    if target.startswith("/"):
        return HOST + target
    if target.partition("://")[0] in _PORTS:
        return target
    raise ValueError(f"connect() got the target {target!r}; write a path such as '/rooms/7', or a URL with ws: or wss:")
