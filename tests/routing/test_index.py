"""The index against a scan: what it yields is what Starlette would find, in the same order, and few routes of many."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette._utils import get_route_path
from starlette.convertors import CONVERTOR_TYPES, Convertor
from starlette.routing import BaseRoute, Host, Match, Mount, Route, WebSocketRoute, compile_path
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from wsroute.routing.index import FEW, PathIndex, candidates_in, decided_by_path_regex

Found = tuple[BaseRoute, Match, Scope]


async def endpoint(websocket: WebSocket) -> None: ...


async def application(scope: Scope, receive: Receive, send: Send) -> None: ...


# --- Routes that are not Starlette's -------------------------------------------------------------------------------


class Foreign(BaseRoute):
    """Knows paths by a rule of its own and has no attribute that Starlette's routes have."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL, {"foreign": True}) if len(get_route_path(scope)) % 3 == 0 else (Match.NONE, {})


class Caseless(WebSocketRoute):
    """Matches more than its `path_regex` does."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches({**scope, "path": scope["path"].swapcase(), "root_path": ""})


class Declared(WebSocketRoute):
    """Overrides `matches` and says that the regex still decides."""

    @decided_by_path_regex
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self}


class DeclaredCaseless(Declared):
    """Inherits from a class that made a promise, and does not keep it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches({**scope, "path": scope["path"].swapcase(), "root_path": ""})


class Plain(WebSocketRoute):
    """Overrides something else."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class TextConvertor(Convertor[str]):
    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


def convertor(pattern: str) -> Convertor[Any]:
    made: Convertor[Any] = type("Custom", (TextConvertor,), {"regex": pattern})()
    return made


CUSTOM: dict[str, Convertor[Any]] = {
    "slashed": convertor("[a-z/]+"),
    "maybe": convertor("a*"),
    "digits": convertor("[0-9]+"),
    "caseless": convertor("(?i:ab?)"),
    "backwards": convertor("(?<=a)[0-9]"),
}
REPLACED: dict[str, Convertor[Any]] = {"int": convertor("-?[0-9/]+"), "str": convertor("[^?]*")}


# --- The oracle ----------------------------------------------------------------------------------------------------


def scope_of(path: str, *, kind: str = "websocket", host: str = "example.org", root_path: str = "") -> Scope:
    return {
        "type": kind,
        "method": "GET",
        "path": path,
        "root_path": root_path,
        "headers": [(b"host", host.encode())],
        "path_params": {"outer": 1},
    }


def scan(routes: Sequence[BaseRoute], scope: Scope) -> list[Found]:
    """What matches, in order: the first FULL of these, else the first PARTIAL, is what Starlette serves."""
    found = [(route, *route.matches(scope)) for route in routes]
    return [(route, match, child_scope) for route, match, child_scope in found if match is not Match.NONE]


def assert_same_as_scan(routes: Sequence[BaseRoute], scope: Scope) -> None:
    candidates = PathIndex(routes).candidates(get_route_path(scope))
    by_index, by_scan = scan(candidates, scope), scan(routes, scope)
    assert [id(route) for route, _, _ in by_index] == [id(route) for route, _, _ in by_scan]
    assert [result for _, *result in by_index] == [result for _, *result in by_scan]


def paths_found(routes: Sequence[BaseRoute], path: str) -> list[str]:
    assert_same_as_scan(routes, scope_of(path))
    return [getattr(route, "path", "*") for route, _, _ in scan(PathIndex(routes).candidates(path), scope_of(path))]


def sockets(*paths: str) -> list[BaseRoute]:
    return [WebSocketRoute(path, endpoint) for path in paths]


# --- Any table, any path -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter:
    convertor: str


Segment = list[str | Parameter]

UUID = "00112233-4455-6677-8899-aAbBcCdDeEfF"
TEXTS = ["a", "a", "B", "b", "ab", "abc", "a.b", ".", "-", "\n", "%", "%61", "é", "1", "٣", " ", "{", "}", "*", "\\"]
VALUES = {
    "str": ["a", "B", "a.b", "\n", "a\n", "é", "1", "%61", "a/b", ""],
    "int": ["0", "17", "-1", "٣"],
    "float": ["1", "1.5", "1/5", "1."],
    "uuid": [UUID, UUID.replace("-", ""), "1"],
    "path": ["", "a", "a/b", "//", "/", "a\nb", "a\n"],
    "slashed": ["a", "a/b", "/"],
    "maybe": ["", "aa"],
    "digits": ["1", "17"],
    "caseless": ["AB", "a", "A"],
    "backwards": ["1"],
}
KINDS: dict[str, Callable[[str], BaseRoute]] = {
    "socket": lambda path: WebSocketRoute(path, endpoint),
    "http": lambda path: Route(path, application),
    "post": lambda path: Route(path, application, methods=["POST"]),
    "mount": lambda path: Mount(path, application),
    "host": lambda path: Host("{sub}.example.org", application),
    "foreign": lambda path: Foreign(),
    "caseless": lambda path: Caseless(path, endpoint),
    "declared": lambda path: Declared(path, endpoint),
    "broken promise": lambda path: DeclaredCaseless(path, endpoint),
    "plain": lambda path: Plain(path, endpoint),
}
MUTATIONS: dict[str, Callable[[str, int], str]] = {
    "newline": lambda path, at: path + "\n",
    "two newlines": lambda path, at: path + "\n\n",
    "trailing slash": lambda path, at: path + "/",
    "no trailing slash": lambda path, at: path.removesuffix("/"),
    "double slash": lambda path, at: path[:at] + "/" + path[at:],
    "case": lambda path, at: path.swapcase(),
    "cut": lambda path, at: path[:at],
    "escaped": lambda path, at: path.replace("a", "%61"),
    "no leading slash": lambda path, at: path[1:],
    "more": lambda path, at: path + "/a",
}

segments: st.SearchStrategy[Segment] = st.lists(
    st.sampled_from(TEXTS) | st.builds(Parameter, st.sampled_from(sorted(VALUES))), max_size=3
)
templates = st.lists(segments, min_size=1, max_size=4)


def several_mutations(count: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(sorted(MUTATIONS)), min_size=count, max_size=count)


def path_of(template: list[Segment]) -> str:
    pieces, count = [], 0
    for segment in template:
        pieces.append("/")
        for piece in segment:
            if isinstance(piece, Parameter):
                pieces.append(f"{{p{count}:{piece.convertor}}}")
                count += 1
            else:
                pieces.append(piece)
    return "".join(pieces)


@dataclass
class Case:
    routes: list[BaseRoute]
    scope: Scope


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A table of routes that overlap, and a path that one of them, or nearly one of them, matches."""
    pool = draw(st.lists(templates, min_size=1, max_size=4))
    drawn = st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(pool)), min_size=1, max_size=6)
    convertors = CUSTOM | (REPLACED if draw(st.integers(0, 3)) == 3 else {})
    with patch.dict(CONVERTOR_TYPES, convertors):
        routes = [KINDS[kind](path_of(template)) for kind, template in draw(drawn)]
    path = ""
    for segment in draw(st.sampled_from(pool)):
        pieces = [draw(st.sampled_from(VALUES[p.convertor])) if isinstance(p, Parameter) else p for p in segment]
        path += "/" + "".join(pieces)
    for mutation in draw(st.sampled_from([0, 0, 1, 1, 2]).flatmap(several_mutations)):
        path = MUTATIONS[mutation](path, draw(st.integers(0, 12)))
    root_path = draw(st.sampled_from(["", "", "/root", "/a"]))
    kind = draw(st.sampled_from(["websocket", "websocket", "http"]))
    host = draw(st.sampled_from(["example.org", "x.example.org"]))
    return Case(routes, scope_of(root_path + path, kind=kind, host=host, root_path=root_path))


@settings(max_examples=600, deadline=None)
@given(cases())
def test_every_match_of_a_scan_is_found_in_the_same_order_with_the_same_scope(case: Case) -> None:
    assert_same_as_scan(case.routes, case.scope)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("/aB", max_size=5), max_size=12), st.text("/aB\n", max_size=7))
@example(["", "/", "//"], "/")
def test_literal_paths_have_no_candidate_that_does_not_match(paths: list[str], path: str) -> None:
    routes = sockets(*(f"/{text}" for text in paths))
    matching = [route for route, _, _ in scan(routes, scope_of(path))]
    assert list(map(id, PathIndex(routes).candidates(path))) == list(map(id, matching))


# --- One sentence for each quirk -----------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["/a/b", "/a/{x:int}", "/{x:float}/b", "/{x:uuid}"])
def test_a_path_also_matches_with_one_newline_behind_it_and_not_with_two(template: str) -> None:
    path = template.replace("{x:int}", "1").replace("{x:float}", "1.5").replace("{x:uuid}", UUID)
    assert paths_found(sockets(template), f"{path}\n") == [template]
    assert paths_found(sockets(template), f"{path}\n\n") == []


def test_a_newline_behind_a_literal_path_is_either_the_quirk_or_the_literal() -> None:
    assert paths_found(sockets("/a", "/a\n", "/{x}"), "/a\n") == ["/a", "/a\n", "/{x}"]
    assert paths_found(sockets("/a", "/a\n", "/{x}"), "/a\n\n") == ["/a\n", "/{x}"]


def test_candidates_with_a_newline_behind_them_keep_the_order_of_declaration() -> None:
    assert paths_found(sockets("/a\n", "/{x}", "/a", "/{x:path}"), "/a\n") == ["/a\n", "/{x}", "/a", "/{x:path}"]


def test_an_empty_last_segment_matches_a_newline() -> None:
    assert paths_found(sockets("/a/", "/a", "/a/{x:int}", "/a/{x}"), "/a/\n") == ["/a/", "/a/{x}"]


def test_a_string_parameter_holds_newlines_and_never_a_slash_or_nothing() -> None:
    assert paths_found(sockets("/{x}/b"), "/a\nc/b") == ["/{x}/b"]
    assert paths_found(sockets("/{x}/b"), "/a/c/b") == []
    assert paths_found(sockets("/{x}/b"), "//b") == []


def test_a_path_parameter_holds_anything_but_a_newline_within() -> None:
    routes = sockets("/f/{x:path}", "/f/{x:path}/raw", "/f/a-{x:path}")
    assert paths_found(routes, "/f/") == ["/f/{x:path}"]
    assert paths_found(routes, "/f//raw") == ["/f/{x:path}", "/f/{x:path}/raw"]
    assert paths_found(routes, "/f/a-b/c/raw") == ["/f/{x:path}", "/f/{x:path}/raw", "/f/a-{x:path}"]
    assert paths_found(routes, "/f/a-\n") == ["/f/{x:path}", "/f/a-{x:path}"]
    assert paths_found(routes, "/f/a-b\nc") == []
    assert paths_found(routes, "/f") == []


def test_digits_of_other_scripts_are_no_integers() -> None:
    assert paths_found(sockets("/{x:int}", "/{x}"), "/٣") == ["/{x}"]


def test_literal_text_keeps_its_case_and_its_special_characters() -> None:
    assert paths_found(sockets("/Rooms/a.b*", "/rooms/a.b*"), "/rooms/a.b*") == ["/rooms/a.b*"]
    assert paths_found(sockets("/a%2Fb", "/{x"), "/a%2Fb") == ["/a%2Fb"]
    assert paths_found(sockets("/a%2Fb", "/{x"), "/{x") == ["/{x"]


def test_a_segment_of_several_parameters_and_texts_is_found_by_its_first_text() -> None:
    routes = sockets("/a-{x}.{y:int}", "/{x}-{y}", "/a-{x}", "/b-{x}", "/a-")
    assert paths_found(routes, "/a-b.1") == ["/a-{x}.{y:int}", "/{x}-{y}", "/a-{x}"]
    assert paths_found(routes, "/a-") == ["/a-"]


def test_empty_segments_are_segments() -> None:
    routes = sockets("/", "//", "/a/", "/a", "/a//b", "/a/{x}/b")
    assert paths_found(routes, "/") == ["/"]
    assert paths_found(routes, "//") == ["//"]
    assert paths_found(routes, "/a/") == ["/a/"]
    assert paths_found(routes, "/a//b") == ["/a//b"]


def test_a_path_that_is_empty_or_does_not_begin_with_a_slash_matches_no_path() -> None:
    assert paths_found(sockets("/", "/{x:path}", "/a"), "") == []
    assert paths_found(sockets("/", "/{x:path}", "/a"), "a") == []
    assert paths_found(sockets("/", "/{x:path}", "/a"), "\n") == []


def test_a_mount_matches_below_its_path_and_not_at_it() -> None:
    routes: list[BaseRoute] = [Mount("/m", application), Mount("/{x}", application), Mount("", application)]
    assert paths_found(routes, "/m/") == ["/m", "/{x}", ""]
    assert paths_found(routes, "/m/a/b") == ["/m", "/{x}", ""]
    assert paths_found(routes, "/m") == [""]


def test_an_http_route_of_another_method_is_a_partial_match() -> None:
    routes = [Route("/a", application, methods=["POST"]), Route("/{x}", application, methods=["GET"])]
    assert_same_as_scan(routes, scope_of("/a", kind="http"))
    assert [m for _, m, _ in scan(PathIndex(routes).candidates("/a"), scope_of("/a", kind="http"))] == [
        Match.PARTIAL,
        Match.FULL,
    ]


def test_a_route_that_stands_twice_in_the_table_is_twice_a_candidate() -> None:
    (route,) = sockets("/a/{x}")
    assert PathIndex([route, Foreign(), route]).candidates("/a/b")[::2] == [route, route]


def test_an_empty_table_has_no_candidates() -> None:
    assert PathIndex([]).candidates("/a/b") == []


def test_the_index_does_not_change_with_the_table() -> None:
    routes = sockets("/a")
    index = PathIndex(routes)
    routes.clear()
    assert len(index.candidates("/a")) == 1


def test_a_few_routes_are_all_asked_and_more_are_looked_up() -> None:
    routes = sockets(*(f"/{number}/{{x}}" for number in range(FEW)))
    few = candidates_in(routes)
    one_more = sockets("/more")[0]
    more = candidates_in([*routes, one_more])
    assert list(few("/1/x")) == list(few("/")) == routes
    assert list(more("/1/x")) == [routes[1]]
    assert list(more("/more")) == [one_more]

    routes.clear()
    assert len(few("/1/x")) == FEW


# --- Convertors that are not Starlette's own -----------------------------------------------------------------------


def test_a_convertor_whose_regex_takes_slashes_is_a_candidate_from_its_literal_text_on() -> None:
    with patch.dict(CONVERTOR_TYPES, CUSTOM):
        routes = sockets("/f/v{x:slashed}/end", "/g/{x:slashed}")
    assert paths_found(routes, "/f/va/b/end") == ["/f/v{x:slashed}/end"]
    assert PathIndex(routes).candidates("/f/w") == []


@pytest.mark.parametrize("name", ["int", "str"])
def test_a_convertor_registered_in_place_of_one_of_starlettes_is_taken_by_its_own_regex(name: str) -> None:
    with patch.dict(CONVERTOR_TYPES, {name: convertor("[a-z/]*")}):
        routes = sockets(f"/f/{{x:{name}}}")
    assert paths_found(routes, "/f/a/b") == [f"/f/{{x:{name}}}"]
    assert paths_found(routes, "/f/") == [f"/f/{{x:{name}}}"]


def test_a_convertor_whose_regex_breaks_out_of_its_group_is_a_candidate_for_every_path() -> None:
    with patch.dict(CONVERTOR_TYPES, {"bypass": convertor("a)|(?:.*b")}):
        routes = sockets("/f/{x:bypass}")
    assert [match for _, match, _ in scan(PathIndex(routes).candidates("/elsewhere/b"), scope_of("/elsewhere/b"))] == [
        Match.FULL
    ]


@pytest.mark.parametrize("name", ["str", "int", "float", "uuid"])
def test_starlettes_own_convertors_end_at_a_slash_and_are_never_empty(name: str) -> None:
    for template in (f"/a/{{x:{name}}}", f"/a/{{x:{name}}}/b"):
        index = PathIndex(sockets(template))
        assert index.candidates("/a/1/2/b") == index.candidates("/a/1/2") == index.candidates("/a/1/b/") == []
        assert index.candidates("/a//b") == index.candidates("/a/") == []


# --- Whose `matches` is known --------------------------------------------------------------------------------------


def test_hosts_and_unknown_routes_are_candidates_for_every_path_in_their_place() -> None:
    host, foreign = Host("example.org", application), Foreign()
    first, last = sockets("/a", "/a")
    index = PathIndex([first, host, foreign, last])
    assert index.candidates("/a") == [first, host, foreign, last]
    assert index.candidates("/b") == index.candidates("") == index.candidates("b") == [host, foreign]


@pytest.mark.parametrize("route", [Declared("/a", endpoint), Plain("/a", endpoint)])
def test_a_subclass_that_declares_its_matches_or_leaves_it_alone_is_indexed(route: BaseRoute) -> None:
    assert PathIndex([route]).candidates("/b") == []
    assert PathIndex([route]).candidates("/a") == [route]


@pytest.mark.parametrize("route", [Caseless("/a", endpoint), DeclaredCaseless("/a", endpoint)])
def test_a_subclass_that_overrides_matches_without_a_word_is_a_candidate_for_every_path(route: BaseRoute) -> None:
    assert PathIndex([route]).candidates("/A") == [route]
    assert scan([route], scope_of("/A"))


def test_a_route_whose_matches_was_replaced_on_the_instance_is_a_candidate_for_every_path() -> None:
    replaced, borrowing = WebSocketRoute("/a", endpoint), WebSocketRoute("/a", endpoint)
    with patch.object(replaced, "matches", lambda scope: (Match.FULL, {})):
        assert paths_found([replaced], "/b") == ["/a"]
    with patch.object(borrowing, "matches", WebSocketRoute("/b", endpoint).matches):
        assert paths_found([borrowing], "/b") == ["/a"]


def test_a_route_whose_regex_is_not_the_one_of_its_path_is_a_candidate_for_every_path() -> None:
    caseless, other, slashless = (WebSocketRoute("/a", endpoint) for _ in range(3))
    caseless.path_regex = re.compile(caseless.path_regex.pattern, re.IGNORECASE)
    other.path_regex = re.compile("^/b$")
    slashless.path_regex, slashless.path_format, slashless.param_convertors = re.compile("^b$"), "b", {}
    assert paths_found([caseless, other], "/A") == ["/a"]
    assert paths_found([caseless, other], "/b") == ["/a"]
    assert paths_found([slashless], "b") == ["/a"]


def test_a_route_that_has_no_path_yet_is_a_candidate_for_every_path() -> None:
    class Late(WebSocketRoute):
        def __init__(self) -> None: ...

    route = Late()
    index = PathIndex([route])
    route.endpoint = endpoint
    route.path_regex, route.path_format, route.param_convertors = compile_path("/a")
    assert [match for _, match, _ in scan(index.candidates("/a"), scope_of("/a"))] == [Match.FULL]


# --- Few of many ---------------------------------------------------------------------------------------------------


class Spy(WebSocketRoute):
    """Counts how often any of its kind is asked."""

    asked = 0

    @decided_by_path_regex
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        Spy.asked += 1
        return super().matches(scope)


@pytest.fixture(scope="module")
def thousands() -> PathIndex:
    """5000 routes of six shapes."""
    shapes = ["/x{n}", "/x{n}/{a:int}", "/x{n}/{a}", "/x{n}/{p:path}", "/v-{n}-{a}/z", "/s/{a:uuid}/x{n}"]
    return PathIndex([Spy(shapes[n % 6].replace("{n}", str(n // 6)), endpoint) for n in range(5000)])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/x800", ["/x800"]),
        ("/x800/17", ["/x800/{a:int}", "/x800/{a}", "/x800/{p:path}"]),
        ("/x800/a", ["/x800/{a}", "/x800/{p:path}"]),
        ("/x800/a/b", ["/x800/{p:path}"]),
        ("/v-800-a/z", ["/v-800-{a}/z"]),
        (f"/s/{UUID}/x800", ["/s/{a:uuid}/x800"]),
        ("/x800/a\n", ["/x800/{a}", "/x800/{p:path}"]),
        ("/nowhere", []),
        ("/x800x/17", []),
    ],
)
def test_a_lookup_among_thousands_asks_a_handful(thousands: PathIndex, path: str, expected: list[str]) -> None:
    Spy.asked = 0
    found = scan(thousands.candidates(path), scope_of(path))
    assert [getattr(route, "path", None) for route, _, _ in found] == expected
    assert Spy.asked <= 3


def test_texts_before_a_parameter_that_are_longer_than_the_segment_are_not_mixed_up_with_it() -> None:
    routes = sockets("/a{x:path}", "/ab{x:path}", "/abc{x}")
    assert PathIndex(routes).candidates("/a") == routes[:1]
    assert PathIndex(routes).candidates("/ab") == routes[:2]
    assert PathIndex(routes[::-1]).candidates("/ab") == routes[1::-1]


def test_a_long_path_is_not_taken_apart_beyond_the_depth_of_the_table() -> None:
    index = PathIndex(sockets("/{a}/{b}", "/{a}/{b}/c"))
    path = "/ab" * 100_000
    tracemalloc.start()
    try:
        assert index.candidates(path) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(path)


def test_branches_that_stay_alive_together_do_not_multiply() -> None:
    depth = 60
    paths = ["/a" * level + f"/{{x{level}}}" + "/a" * (depth - level - 1) for level in range(depth)]
    every = "".join(f"/{{x{level}}}" for level in range(depth))
    assert paths_found(sockets(*paths, every), "/a" * depth) == [*paths, every]
    assert paths_found(sockets(*paths, every), "/a" * (depth - 1) + "/b") == [paths[-1], every]


def test_a_path_as_deep_as_its_route_needs_no_recursion() -> None:
    deep = "/a" * 20_000
    assert paths_found(sockets(deep), deep) == [deep]
