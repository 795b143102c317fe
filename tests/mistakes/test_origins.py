"""What `allowed_origins=` cannot be given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.mistakes import test_levels
from tests.mistakes.said import says
from wsroute import InvalidParameterError, WebSocketRouter

NOTHING_ELSE = "write scheme, host and port, and nothing else: no user, no path, no slash at the end"


@test_levels.every_level
def test_what_is_no_origin_is_an_error_at_every_level(declare: Callable[..., None], where: str) -> None:
    text = (
        "allowed_origins= holds 'https://app.example/'\n"
        f"  {where.replace('MODULE', test_levels.__name__)}\n"
        '  expected: "same-origin", "*", or a list of origins as browsers send them: "https://app.example"\n'
        f"  remedy: {NOTHING_ELSE}"
    )
    with says(InvalidParameterError, text, declare):
        declare(allowed_origins=["https://app.example/"])


@pytest.mark.parametrize(
    ("origins", "problem", "remedy"),
    [
        ("https://app.example", "is 'https://app.example'", "put it into a list"),
        (b"*", "is b'*'", "put it into a list"),
        (True, "is True", "put it into a list"),
        (["*"], "holds '*'", 'write allowed_origins="*", without a list, to let everybody in'),
        (["null"], "holds 'null'", 'leave it out: pages of any sandbox send it, so that it means as much as "*"'),
        (["https://*.app.example"], "holds 'https://*.app.example'", "list each origin: there are no patterns"),
        (["app.example"], "holds 'app.example'", "write the scheme, too: 'https://app.example'"),
        (["wss://app.example"], "holds 'wss://app.example'", "write the scheme of the page: 'https://app.example'"),
        (["WS://app.example"], "holds 'WS://app.example'", "write the scheme of the page: 'http://app.example'"),
        (["https://app.example/path"], "holds 'https://app.example/path'", NOTHING_ELSE),
        (["https://ann@app.example"], "holds 'https://ann@app.example'", NOTHING_ELSE),
        (["https://app.example:65536"], "holds 'https://app.example:65536'", NOTHING_ELSE),
        (["https://büch er.example"], "holds 'https://büch er.example'", NOTHING_ELSE),
        (["https://bücher.example/"], "holds 'https://bücher.example/'", NOTHING_ELSE),
        ([7], "holds 7", "write it as a string"),
    ],
)
def test_the_error_says_what_to_write_instead(origins: Any, problem: str, remedy: str) -> None:
    with pytest.raises(InvalidParameterError) as error:
        WebSocketRouter(allowed_origins=origins)

    assert (error.value.problem, error.value.remedy) == (f"allowed_origins= {problem}", remedy)
