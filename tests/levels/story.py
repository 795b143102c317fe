"""What must happen on a connection: the order of levels, as a program that a person would write by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.levels.recording import AROUND, PROBLEMS, Fault
from wsroute import HTTPException


def story(levels: Sequence[str], fault: Fault | None) -> list[str]:
    """Everything that happens on a connection.

    Args:
        levels: The levels of the route, outermost first.
        fault: What goes wrong.
    """
    return _Story(levels, fault or Fault("nowhere", "raises")).tell()


class Cancellation(BaseException):
    """What a place raises that is cancelled."""


class _Story:
    def __init__(self, levels: Sequence[str], fault: Fault) -> None:
        self._levels = levels
        self._fault = fault
        self._log: list[str] = []
        self._ended = False

    def tell(self) -> list[str]:
        try:
            self._around("middleware", self._levels, self._inside_middleware)
        except Exception as error:
            self._end_after(error)
            self._log.append(f"raised {type(error).__name__}")
        except Cancellation:
            self._log.append("cancelled")
        return self._log

    def _inside_middleware(self) -> None:
        try:
            self._around("interceptor", self._levels, self._inside_interceptors)
        except HTTPException as error:
            self._end_after(error)
        except Cancellation:
            if "accepted" in self._log:
                self._end("closed 1001")
            raise
        except Exception as error:
            self._handle(error)

    def _handle(self, error: Exception) -> None:
        if self._fault.taken_by:
            self._log.append(f"handler of {self._fault.taken_by}: {type(error).__name__}")
            if not self._fault.handler_raises:
                self._end_after(error)
                return
            error = LookupError()
        self._end_after(error)
        raise error

    def _inside_interceptors(self) -> None:
        for level in self._levels:
            if self._reach(f"permission {level}") == "denies":
                raise HTTPException(403)
        self._around("dependency", self._levels, self._endpoint)

    def _endpoint(self) -> None:
        if self._reach("endpoint") == "returns at once":
            self._end("refused 403")
            return
        self._log.append("accepted")
        if self._fault.what == "raises accepted":
            raise self._problem
        if self._fault.what == "waits accepted":
            raise Cancellation
        self._end("closed 1000")

    def _around(self, kind: str, levels: Sequence[str], inside: Callable[[], None]) -> None:
        if not levels:
            inside()
            return
        place = f"{kind} {levels[0]}"
        wrong = self._reach(place)
        try:
            if wrong == "waits":
                raise Cancellation
            if wrong == "refuses":
                self._end("closed 4000")
            elif wrong != "stops":
                self._around(kind, levels[1:], inside)
        except BaseException as error:
            self._log.append(f"{place} out: {type(error).__name__}")
            raise (self._problem if wrong == "raises afterwards" else error) from None
        self._log.append(f"{place} out")
        if wrong == "raises afterwards":
            raise self._problem
        if wrong == "stops":
            self._end("refused 403")

    def _reach(self, place: str) -> str | None:
        self._log.append(f"{place} in" if place.startswith(AROUND) else place)
        if place != self._fault.place:
            return None
        if self._fault.what == "raises":
            raise self._problem
        if self._fault.what == "http":
            raise HTTPException(401)
        if self._fault.what == "waits" and not place.startswith(AROUND):
            raise Cancellation
        return self._fault.what

    @property
    def _problem(self) -> Exception:
        return PROBLEMS[self._fault.taken_by]()

    def _end_after(self, error: Exception) -> None:
        status = error.status_code if isinstance(error, HTTPException) else 500
        self._end("closed 1011" if "accepted" in self._log else f"refused {status}")

    def _end(self, word: str) -> None:
        if not self._ended:
            self._ended = True
            self._log.append(word)
