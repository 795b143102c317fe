"""Starting and asking other processes: a framework never shares one with another."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]


class ProcessError(Exception):
    """A process answered with an error, or not at all."""


class Process:
    """A process of our own, that answers lines of JSON with lines of JSON.

    Args:
        module: The module that it runs.
        arguments: Its arguments, which it gets as JSON.
    """

    def __init__(self, module: str, *arguments: Any) -> None:
        command = [sys.executable, "-m", f"tests.benchmarks.{module}"]
        words = [json.dumps(argument) for argument in arguments]
        self._name = " ".join((module, *words))
        self._child = subprocess.Popen(
            command + words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._child.stdin and self._child.stdout
        with suppress(BrokenPipeError):
            self._child.stdin.close()
        if exception is not None:
            self._child.kill()
        self._child.stdout.close()
        self._child.wait()

    def ask(self, *request: Any) -> Any:
        """Send a request, and wait for the answer.

        Raises:
            ProcessError: There is none, or it is an error.
        """
        assert self._child.stdin
        try:
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise ProcessError(f"{self._name} has ended") from None
        return self.answer()

    def answer(self) -> Any:
        """The next line that the process writes.

        Raises:
            ProcessError: There is none, or it is an error.
        """
        assert self._child.stdout
        line = self._child.stdout.readline()
        if not line:
            raise ProcessError(f"{self._name} has ended")
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise ProcessError(answer["error"])
        return answer
