"""Origins: how one is read, when two are the same, and which connections they let through."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsroute.testing import Peer
from wsroute.wire.origin import SAME_ORIGIN, AllowedOrigins, own_origin, read_origin


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://good.example", "http://good.example"),
        ("https://good.example", "https://good.example"),
        ("https://good.example:443", "https://good.example"),
        ("https://good.example:80", "https://good.example:80"),
        ("http://good.example:08080", "http://good.example:8080"),
        ("HTTPS://Good.EXAMPLE", "https://good.example"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://my_host", "https://my_host"),
        ("https://good.example.", "https://good.example."),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]", "http://[::1]"),
        ("http://[2001:DB8:0:0::1]:8000", "http://[2001:db8::1]:8000"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("app://localhost:1234", "app://localhost:1234"),
        ("http://good.example:65535", "http://good.example:65535"),
    ],
)
def test_an_origin_has_one_form(text: str, origin: str) -> None:
    assert read_origin(text) == origin
    assert read_origin(origin) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "*",
        "good.example",
        "//good.example",
        "https:good.example",
        "https:///good.example",
        "https://",
        "://good.example",
        "https://good.example/",
        "https://good.example/path",
        "https://good.example?query",
        "https://good.example#fragment",
        "https://good.example\\",
        "https://user@good.example",
        "https://user:password@good.example",
        "https://good.example:443@evil.test",
        "https://good.example:",
        "https://good.example:65536",
        "https://good.example:123456",
        "https://good.example:-1",
        "https://good.example:\u0664\u0664\u0663",
        "https://good.example:443:443",
        "https://good.example https://evil.test",
        "https://good.example, https://evil.test",
        " https://good.example",
        "https://good.example ",
        "https://good.example\n",
        "https://good%2Eexample",
        "https://b\xfccher.example",
        "https://b\u0131ng.example",
        "https://\u212agood.example",
        "ht\u017fp://good.example",
        "https://*.good.example",
        "https://[::1",
        "https://::1",
        "https://[::1]extra",
        "https://[good.example]",
        "https://[::1%25eth0]",
        "https://[1:2:3]",
        "https://[v1.fe80::a]",
        "file:///",
    ],
)
def test_anything_else_is_no_origin(text: str) -> None:
    assert read_origin(text) is None


#: What tricks are made of.
SIGNS = [
    "://",
    ":",
    "/",
    "//",
    "\\",
    "@",
    "?",
    "#",
    "%2e",
    ".",
    ",",
    " ",
    "\t",
    "\n",
    "\x00",
    "[",
    "]",
    "\u212a",
    "\xad",
]
WORDS = ["http", "ws", "good.example", "GOOD.example", "evil.test", "good", "example", "80", "443", "::1", "null"]
PIECES = st.lists(st.sampled_from(SIGNS + WORDS), max_size=5).map("".join)


@settings(deadline=None, derandomize=True, database=None)
@given(st.sampled_from(["", "http://", "https://", "http://good.example", "http://good.example:80"]), PIECES)
def test_whatever_is_put_together_is_the_origin_of_its_own_host_or_none(start: str, rest: str) -> None:
    text = start + rest
    origin = read_origin(text)
    if origin is not None:
        assert read_origin(origin) == origin
        # Python's reading of URLs, where it has no doubt, comes to the same.
        ours, pythons = urlsplit(origin), urlsplit(text)
        assert (ours.scheme, ours.hostname) == (pythons.scheme, pythons.hostname)
        assert (pythons.username, pythons.path, pythons.query, pythons.fragment) == (None, "", "", "")


@pytest.mark.parametrize(
    ("scheme", "hosts", "origin"),
    [
        ("ws", ["good.example"], "http://good.example"),
        ("wss", ["good.example"], "https://good.example"),
        ("wss", ["Good.example:443"], "https://good.example"),
        ("ws", ["good.example:443"], "http://good.example:443"),
        ("ws", ["[::1]:8000"], "http://[::1]:8000"),
        ("https", ["good.example"], "https://good.example"),
        (None, ["good.example"], "http://good.example"),
        ("ws", [], None),
        ("ws", [""], None),
        ("ws", ["good.example", "good.example"], None),
        ("ws", ["user@good.example"], None),
        ("ws", ["good.example/path"], None),
        ("ws", ["xn--bcher-kva.example:8000"], "http://xn--bcher-kva.example:8000"),
        # In UTF-8, as some server hands it over.
        ("ws", ["b\xc3\xbccher.example:8000"], "http://xn--bcher-kva.example:8000"),
        ("ws", ["fa\xc3\x9f.example"], "http://xn--fa-hia.example"),
        ("ws", ["b\xfccher.example"], None),
        ("ws", ["b\xc3\xbccher.example@evil.test"], None),
    ],
)
def test_the_origin_of_a_connection_is_its_scheme_and_its_host(
    scheme: str | None, hosts: list[str], origin: str | None
) -> None:
    peer = Peer(headers=[("host", host) for host in hosts], scope={"scheme": scheme})
    if scheme is None:
        del peer.scope["scheme"]
    assert own_origin(peer.scope) == origin


def allows(rule: AllowedOrigins, *origins: str, host: str = "good.example", **scope: Any) -> bool:
    headers = [("host", host), *(("origin", origin) for origin in origins)]
    return rule.allows(Peer(headers=headers, scope=scope).scope)


LISTED = AllowedOrigins(False, frozenset({"https://app.example"}))
BOTH = LISTED._replace(same=True)
NONE = AllowedOrigins(False)


@pytest.mark.parametrize(
    ("rule", "origins", "allowed"),
    [
        (SAME_ORIGIN, [], True),
        (SAME_ORIGIN, ["http://good.example"], True),
        (SAME_ORIGIN, ["https://good.example"], False),
        (SAME_ORIGIN, ["http://good.example", "http://good.example"], False),
        (LISTED, [], True),
        (LISTED, ["https://app.example"], True),
        (LISTED, ["http://good.example"], False),
        (BOTH, ["https://app.example"], True),
        (BOTH, ["http://good.example"], True),
        (BOTH, ["https://other.example"], False),
        (NONE, [], True),
        (NONE, ["http://good.example"], False),
        (NONE, ["null"], False),
    ],
)
def test_a_rule_lets_in_who_sends_no_origin_and_which_it_names(
    rule: AllowedOrigins, origins: list[str], allowed: bool
) -> None:
    assert allows(rule, *origins) is allowed


@pytest.mark.parametrize("host", ["", "evil.test/..", "user@good.example"])
def test_an_origin_is_not_the_same_as_that_of_a_host_that_is_none(host: str) -> None:
    assert not allows(SAME_ORIGIN, "http://good.example", host=host)
    assert not allows(SAME_ORIGIN, f"http://{host}", host=host)
    assert not allows(SAME_ORIGIN, "null", host=host)
