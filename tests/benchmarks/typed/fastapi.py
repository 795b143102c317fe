"""FastAPI does nothing for messages: its documentation receives and sends as Starlette's. So this is that by hand."""

from tests.benchmarks.adapters.fastapi import one
from tests.benchmarks.domain import by_hand, make_fan
from tests.benchmarks.typed.starlette import stream, typed, typed_union, typed_with_generator, typed_with_two

APPS = {
    "typed": lambda: one("/bare", typed),
    "typed-two": lambda: one("/bare", typed_with_two(make_fan(by_hand))),
    "typed-generator": lambda: one("/bare", typed_with_generator),
    "typed-union": lambda: one("/bare", typed_union),
    "stream": lambda: one("/ticks/{count:int}", stream),
}
