"""How long values live, and what may need what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsroute.dependencies.callables import Form, describe, show
from wsroute.dependencies.models import LIFETIMES, Dependant, Lifetime, Special, SpecialParam
from wsroute.exceptions import DependencyScopeError, Location

#: What the markers say, and what it means here.
_SCOPES: Mapping[str | None, Lifetime | None] = {
    None: None,
    "app": "app",
    "connection": "connection",
    "request": "connection",
    "function": "function",
    "message": "message",
}


def check_scope(scope: object, where: Location) -> None:
    """Check that a declaration says a lifetime, or nothing.

    Raises:
        DependencyScopeError: It says something else.
    """
    if scope is None or (isinstance(scope, str) and scope in _SCOPES):
        return
    known = ", ".join(repr(name) for name in _SCOPES if name)
    raise DependencyScopeError(
        where,
        problem=f"scope={show(scope)} is no lifetime",
        expected=f"one of {known}",
        remedy='leave scope= out for the whole connection, or write scope="function"',
    )


def lifetime_of(
    form: Form, scope: str | None, below: Sequence[Dependant], location: Location, *, message: str | None = None
) -> Lifetime:
    """How long the value of a dependency lives.

    Args:
        form: What calling the dependency gives.
        scope: What its declaration says.
        below: What it needs.
        location: Where it is declared.
        message: Its parameter that gets the message, if it has one.

    Raises:
        DependencyScopeError: It would outlive what it needs.
    """
    said = _SCOPES[scope]
    # What nobody has said lives as long as the connection; what lives for the application has to say so.
    longest: Lifetime = said if said == "app" else "connection" if message is None else "message"
    shortest = max([longest, *[node.lifetime for node in below]], key=LIFETIMES.index) if below else longest
    if said is None:
        return shortest
    if message is not None and said != "message":
        raise DependencyScopeError(
            location.at(message),
            problem=f"{location.chain[-1]} has scope={scope!r}, and {message!r} is the message, which lives shorter",
            expected="a dependency that ends no later than what it needs",
            remedy=f"leave scope= out, or give {location.chain[-1]} scope='message'",
        )
    if LIFETIMES.index(said) < LIFETIMES.index(shortest):
        me, where = location.chain[-1], _shortest_below(below, shortest, location)
        raise DependencyScopeError(
            where,
            problem=f"{me} has scope={scope!r}, and needs {where.chain[-1]}, which lives shorter: scope={shortest!r}",
            expected="a dependency that ends no later than what it needs",
            remedy=f"give {me} scope={shortest!r}, or {where.chain[-1]} scope={scope!r}",
        )
    # A value that nothing closes lives as long as what it was made from; saying more would only run it twice. Only for
    # a message is it made anew, whatever it was made from.
    return said if form.is_context or said == "message" else shortest


def check_app_value(node: Dependant) -> None:
    """Check that a dependency that lives as long as the application needs nothing of a connection.

    Raises:
        DependencyScopeError: It does, or it wants a value of its own for each.
    """
    me = node.location.chain[-1]
    for item in node.arguments:
        if isinstance(item, Dependant) or (isinstance(item, SpecialParam) and item.special is Special.NONE):
            continue
        raise DependencyScopeError(
            node.location.at(item.name),
            problem=f"{me} has scope='app', and {item.name!r} is of one connection",
            expected="a dependency that needs nothing of a connection, since all of them share its value",
            remedy="leave scope= out, or get it from another dependency with scope='app'",
        )
    if not node.use_cache or node.limit is not None:
        said = "use_cache=False" if not node.use_cache else "max_concurrency="
        raise DependencyScopeError(
            node.location,
            problem=f"{me} has scope='app' and {said}, which are opposites: it is built once for the application",
            expected="one of the two",
            remedy=f"remove {said} or scope='app'",
        )


def check_lasts(node: Dependant) -> None:
    """Check that what a permission or an interceptor needs lives as long as the connection.

    Args:
        node: What calls it.

    Raises:
        DependencyScopeError: Something lives shorter.
    """
    if node.lifetime == "connection":
        return
    where = _shortest_below(node.dependencies, node.lifetime, node.location)
    raise DependencyScopeError(
        where,
        problem=f"{describe(node.call)} needs {where.chain[-1]}, which lives shorter than the connection: "
        f"scope={node.lifetime!r}",
        expected="what permissions and interceptors need to live as long as the connection",
        remedy=f"give {where.chain[-1]} scope='connection', or leave scope= out",
    )


def check_outlives_messages(node: Dependant, *, what: str, remedy: str) -> None:
    """Check that nothing that a call needs lives for one message only.

    Args:
        node: The call.
        what: Why that cannot be, up to "needs".
        remedy: What to do about it.

    Raises:
        DependencyScopeError: Something does.
    """
    if node.lifetime != "message":
        return
    own = next((item.name for item in node.special_params if item.special is Special.MESSAGE), None)
    where = _shortest_below(node.dependencies, "message", node.location) if own is None else node.location.at(own)
    needed = f"{where.chain[-1]}, which has scope='message' or needs the message" if own is None else "the message"
    raise DependencyScopeError(
        where,
        problem=f"{what} needs {needed}",
        expected="what lives for one message in listeners only: in their handlers, and in what these need",
        remedy=remedy if own is None else "declare a listener: @router.listener(path)",
    )


def _shortest_below(below: Sequence[Dependant], lifetime: Lifetime, location: Location) -> Location:
    """Where a lifetime is said: those in between live no longer because of it."""
    while culprit := next((node for node in below if node.lifetime == lifetime), None):
        location, below = location.inside(describe(culprit.call)), culprit.dependencies
    return location
