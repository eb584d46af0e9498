"""What the benchmarks share: the machine, the versions, and the line of JSON with which each of them ends."""

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# The distributions whose version a figure may depend on.
_DISTRIBUTIONS = ("apache-beam", "msgspec", "phonenumbers", "pyarrow", "pycountry", "requests")


def machine() -> dict[str, Any]:
    """Returns what a figure depends on outside this code."""
    return {
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "system": platform.platform(),
            "load_1_min": round(os.getloadavg()[0], 2),
        },
        "versions": {"python": platform.python_version(), **_versions(_DISTRIBUTIONS)},
    }


def _processor() -> str:
    """Returns the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _versions(distributions: Iterable[str]) -> dict[str, str]:
    """Returns the installed versions; what is not installed is left out."""
    found = {}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def finish(name: str, seed: int, figures: Mapping[str, Any], out: str | None = None) -> None:
    """Prints the one line of JSON with which a benchmark ends, and writes it to a file if one is named.

    Args:
      name: the benchmark's name.
      seed: of its invented data.
      figures: what was measured.
      out: a file to write the same line to; its folder is made.
    """
    line = json.dumps({"benchmark": name, "seed": seed, **machine(), **figures}, sort_keys=False)
    if out is not None:
        path = Path(out)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line + "\n", "utf-8")
    sys.stdout.flush()
    print(line, flush=True)
