"""One endpoint through FastAPI and through wsroute: the machinery, and the things that endpoints ask for."""

import enum
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, Json, model_validator
from starlette.background import BackgroundTasks
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from typing_extensions import TypeAliasType

from tests.handshakes import EMPTY, endpoint_asking_for, handshake
from wsroute import APIWebSocketRoute
from wsroute.testing import Peer

T = TypeVar("T")
AS_JSON = Json()  # type: ignore[type-arg]  # an alias for type checkers, a class that is called at run time
Headers = Sequence[tuple[str, str]]
Overrides = Mapping[Callable[..., Any], Callable[..., Any]]


@dataclass(frozen=True)
class Setup:
    """What is served: an endpoint, and what is around it."""

    endpoint: Callable[..., Any]
    dependencies: Sequence[Any] = ()
    overrides: Overrides = field(default_factory=dict)


#: Takes the module whose markers are used, and a list for what is worth noting.
Make = Callable[[Any, list[Any]], Callable[..., Any] | Setup]


@dataclass(frozen=True)
class Case:
    """One handshake."""

    make: Make
    target: str = "/"
    headers: Headers = ()
    path: str = "/"


@dataclass(frozen=True)
class Outcome:
    """What became of it: what was noted, and `returned`, or the errors, a status, an exception, or where it failed."""

    noted: list[Any]
    ending: Any = "returned"


REFUSED_AT_DECLARATION = "refused at declaration"


def got(value: Any) -> Outcome:
    """An endpoint that has got this."""
    return Outcome([value])


def missing(source: str, *location: Any) -> Outcome:
    """A value that was not sent."""
    return wrong("missing", source, *location)


def wrong(kind: str, source: str, *location: Any) -> Outcome:
    """A value that is wrong."""
    return Outcome([], [(kind, (source, *location))])


def refused() -> Outcome:
    """A declaration that is refused."""
    return Outcome([], REFUSED_AT_DECLARATION)


def raised(exception: type[Exception]) -> Outcome:
    """A connection that fails with an exception, as a bug does."""
    return Outcome([], exception.__name__)


def run(case: Case, markers: Any, build: Callable[[Setup, str], Any]) -> Outcome:
    noted: list[Any] = []
    try:
        setup = case.make(markers, noted)
        app = build(setup if isinstance(setup, Setup) else Setup(setup), case.path)
    except Exception:
        return Outcome(noted, REFUSED_AT_DECLARATION)
    try:
        peer = handshake(app, case.target, case.headers)
    except Exception as exception:
        return Outcome(noted, type(exception).__name__)
    return Outcome(noted, ending_of(peer))


def ending_of(peer: Peer) -> Any:
    if peer.denial is None:
        # FastAPI closes with the list of all errors as the reason, which no server can send.
        errors: Any = peer.closed and peer.closed[1]
    elif peer.denial.status == 422:
        errors = peer.denial.json()["detail"]
    else:
        forbidden = peer.denial.status == 403 and peer.denial.json() == {"detail": "Forbidden"}
        return "returned" if forbidden else peer.denial.status
    return [(error["type"], tuple(error["loc"])) for error in errors] if errors else "returned"


def in_fastapi(setup: Setup, path: str) -> Any:
    from fastapi import FastAPI  # not everyone who runs the tests has it

    app = FastAPI()
    app.websocket(path, dependencies=setup.dependencies)(setup.endpoint)
    app.dependency_overrides.update(setup.overrides)
    return app


def in_wsroute(setup: Setup, path: str) -> Any:
    provider = SimpleNamespace(dependency_overrides=setup.overrides)
    route = APIWebSocketRoute(
        path, setup.endpoint, dependencies=setup.dependencies, dependency_overrides_provider=provider
    )
    route.bind()
    return route


def parameter(
    annotation: Callable[[Any], Any],
    target: str = "/",
    headers: Headers = (),
    *,
    default: Any = EMPTY,
    name: str = "x",
    path: str = "/",
) -> Case:
    """An endpoint with one parameter; annotation and default may be made with the markers."""

    def make(m: Any, noted: list[Any]) -> Any:
        made = default(m) if inspect.isfunction(default) else default
        return endpoint_asking_for(annotation(m), made, name=name, got=noted)

    return Case(make, target, headers, path)


def depending(
    dependency: Callable[[], Any],
    target: str = "/",
    headers: Headers = (),
    *,
    replaces: Callable[..., Any] | None = None,
) -> Case:
    """An endpoint that depends on something."""

    def make(m: Any, noted: list[Any]) -> Setup:
        made = dependency()
        overrides = {} if replaces is None else {replaces: made}
        annotation = Annotated[Any, m.Depends(replaces or made)]
        return Setup(endpoint_asking_for(annotation, got=noted), overrides=overrides)

    return Case(make, target, headers)


def double(value: int) -> int:
    return value * 2


def fail_with(exception: Exception) -> Callable[[Any], Any]:
    def fail(value: Any) -> Any:
        raise exception

    return fail


class Color(enum.Enum):
    RED = "red"


class Page(BaseModel):
    limit: int = 10
    sort_by: str = "name"


class Point(BaseModel):
    a: int
    b: int = 0


class Lists(BaseModel):
    tags: list[int] = []
    names: set[str] | None = None
    limit: int = 0


class Strict(BaseModel, extra="forbid"):
    a: int = 1


class Open(BaseModel, extra="allow"):
    a: int = 1


class Aliased(BaseModel):
    a: int = Field(alias="Long-Name")


class AliasedOrNamed(Aliased):
    model_config = ConfigDict(populate_by_name=True)


class OnlyNamed(Aliased):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=False)


class Generated(BaseModel):
    model_config = ConfigDict(alias_generator=lambda name: name.upper())
    a_b: int = 0


class Chosen(BaseModel):
    a: int = Field(validation_alias=AliasChoices("p", "q"))


class ByPath(BaseModel):
    a: int = Field(validation_alias=AliasChoices("q", AliasPath("p", 1)))


class Counting(BaseModel):
    seen: int = 0

    @model_validator(mode="before")
    @classmethod
    def count(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {"seen": len(data)}


class Picky(BaseModel):
    a: int = 0

    @model_validator(mode="after")
    def refuse(self) -> "Picky":
        raise ValueError("never")


class WithJson(BaseModel):
    point: Json[Point]
    tags: Json[list[int]] = []


class Box(BaseModel, Generic[T]):
    value: T


@dataclass
class Record:
    a: int
    b: str = "b"


class Pair(NamedTuple):
    a: int
    b: str = "b"


class Repo(Generic[T]):
    def __init__(self, a: int = 1) -> None:
        self.a = a

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Repo) and self.a == other.a

    def __hash__(self) -> int:
        return hash(self.a)

    def find(self, q: int = 1) -> tuple[str, int]:
        return "find", q

    @classmethod
    def of_class(cls, q: int = 1) -> tuple[str, int]:
        return "class", q

    @staticmethod
    def static(q: int = 1) -> tuple[str, int]:
        return "static", q

    def __call__(self, q: int = 1) -> tuple[str, int]:
        return "call", q


class AsyncCall:
    async def __call__(self, q: int = 1) -> int:
        return q


class GeneratorCall:
    def __call__(self, q: int = 1) -> Any:
        yield q


class Unhashable(Repo[Any]):
    __hash__ = None  # type: ignore[assignment]  # how Python says that it cannot be hashed


class Tagged(WebSocket):
    """A WebSocket of an application."""


def plain(a: int, b: str = "b") -> tuple[int, str]:
    return a, b


def wrapped() -> Any:
    @functools.wraps(plain)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return "wrapped", plain(*args, **kwargs)

    return wrapper


def positional(a: int, /, b: int = 2) -> tuple[int, int]:
    return a, b


QUERY_ALIAS = AliasChoices("p", "q")
Number = TypeAliasType("Number", int)
Numbers = TypeAliasType("Numbers", list[int])
TWO_COOKIES = [("cookie", "x=1; x=2"), ("cookie", "x=3")]
ID = "12345678-1234-5678-1234-567812345678"


async def original(a: int = 1) -> int:
    return a


def notes(name: str, noted: list[Any], *needs: Any, required: str | None = None) -> Any:
    """A dependency that notes that it is called."""

    async def dependency(**values: Any) -> str:
        noted.append(name)
        return name

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(f"d{i}", kind, annotation=Annotated[Any, need]) for i, need in enumerate(needs)]
    if required is not None:
        parameters.append(inspect.Parameter(required, kind, annotation=int))
    dependency.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect reads it
    return dependency


def injected(annotation: Any, name: str = "x", default: Any = EMPTY) -> Case:
    """An endpoint that notes of which of the known classes a parameter is."""
    known = (Tagged, WebSocket, Request, HTTPConnection, Response, BackgroundTasks)

    def make(m: Any, noted: list[Any]) -> Any:
        inner: list[Any] = []
        endpoint = endpoint_asking_for(annotation, default, name=name, got=inner)

        async def noting(**values: Any) -> None:
            await endpoint(**values)
            noted.append(next((cls.__name__ for cls in known if isinstance(inner[0], cls)), type(inner[0]).__name__))

        noting.__signature__ = inspect.signature(endpoint)  # type: ignore[attr-defined]  # inspect reads it
        return noting

    return Case(make)


def several(m: Any, noted: list[Any]) -> Any:
    async def endpoint(
        page: Annotated[Page, m.Query()],
        point: Annotated[Point, m.Query()],
        limit: int,
        ordered: Annotated[Page, m.Header()],
        sort_by: Annotated[str, m.Header()] = "none",
    ) -> None:
        noted.extend([page, point, limit, ordered, sort_by])

    return endpoint
