"""The frames of typed messages, and what answers them."""

from __future__ import annotations

#: Frames of a client, and the answers to them.
SAY = '{"type":"say","room":7,"text":"hello"}'
EDIT = '{"type":"edit","number":3,"text":"hello"}'
ERASE = '{"type":"erase","number":3}'
EDITED = '{"type":"edited","number":3,"text":"hello"}'
ERASED = '{"type":"erased","number":3}'
#: A frame that is no message.
WRONG = '{"type":"say","room":"seven","text":"hello"}'


def said(by: str) -> str:
    """The answer to `SAY`."""
    return f'{{"type":"said","room":7,"text":"hello","by":"{by}"}}'


def tick(number: int) -> str:
    """One item of `ticks`, as it is sent."""
    return f'{{"type":"tick","number":{number},"price":99.5}}'
