"""The text of plans and of generated code, as it is kept in `golden/`.

`python -m tests.dependencies.test_golden` writes the files anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.dependencies.golden import routes
from tests.dependencies.trees import RUNTIME
from wsroute import Depends
from wsroute.dependencies.analysis import Analysis
from wsroute.dependencies.compiler import compile_plan, compile_solver
from wsroute.dependencies.conversations import ConversationAnalysis, Listener
from wsroute.dependencies.planner import make_plan
from wsroute.messages.options import MessageOptions
from wsroute.routing.listeners import speaking as speaking_of

GOLDEN = Path(__file__).with_name("golden")

ENDPOINTS: dict[str, tuple[Any, list[Any]]] = {
    "plain": (routes.plain, []),
    "generators": (routes.generators, [Depends(routes.get_user)]),
    "threads": (routes.threads, []),
    "sources": (routes.sources, []),
    "special": (routes.special, []),
    "names": (routes.names, []),
}


LISTENERS = {
    "listener": Listener(
        routes.Room, (routes.Room.say, routes.Room.history), routes.Room.on_connect, routes.Room.on_disconnect
    ),
    "stream": Listener(routes.ticks, (routes.ticks,), is_stream=True),
}


def text_of(name: str) -> str:
    """A plan, its function, and, of an endpoint, its generator function for `solve_dependencies`."""
    if name in LISTENERS:
        tree = ConversationAnalysis("/rooms/{room}").listener(LISTENERS[name], [Depends(routes.get_user)])
        speaking = speaking_of(RUNTIME, tree.conversation, None, MessageOptions())
        plan = make_plan(tree)
        return "\n\n".join([plan.explain() + "\n", compile_plan(plan, speaking).source])
    endpoint, effects = ENDPOINTS[name]
    plan = make_plan(Analysis("/rooms/{room}").endpoint(endpoint, effects))
    sources = [compile(plan, RUNTIME).source for compile in (compile_plan, compile_solver)]
    return "\n\n".join([plan.explain() + "\n", *sources])


@pytest.mark.parametrize("name", [*ENDPOINTS, *LISTENERS])
def test_the_text_is_what_it_was(name: str) -> None:
    assert text_of(name) == (GOLDEN / f"{name}.txt").read_text()


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == ENDPOINTS.keys() | LISTENERS.keys()


if __name__ == "__main__":
    for name in (*ENDPOINTS, *LISTENERS):
        (GOLDEN / f"{name}.txt").write_text(text_of(name))
