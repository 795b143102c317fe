"""The machine that a run is on."""

from __future__ import annotations

import os
import platform
import resource
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("wsroute", "starlette", "fastapi", "litestar", "pydantic", "anyio", "uvicorn", "websockets")
_STATM = Path("/proc/self/statm")


def cores() -> tuple[int | None, int | None]:
    """The core for what is measured, and one for what only drives it; nothing where processes can't be pinned."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-1], allowed[0]


def pin(core: int | None) -> None:
    """Keep this process on one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def resident() -> int:
    """The bytes of memory that this process has; where the system doesn't tell, the most that it ever had."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def describe() -> dict[str, object]:
    """What a reader has to know to compare with another run."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
