"""Starts the stand-ins in processes of their own: one that listens prints a line `READY ADDRESS`.

A process ends with the one that started it, whatever happens to that: its standard input closes.
"""

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# Long enough for a machine under load; a start takes some tenths of a second.
_START_SECS = 30.0
_STOP_SECS = 5.0


class SandboxError(Exception):
    """A stand-in did not start, or refused an order."""


class StandIn:
    """A stand-in in a process of its own; `start` it, `stop` it.

    Args:
      module: whose `__main__` prints `READY ADDRESS` and knows `--until-stdin-closes`.
      arguments: further ones.

    Attributes:
      address: what came after READY; empty before the start.
    """

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self.address = ""
        self._module = module
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Returns the number of its process."""
        if self._process is None:
            raise SandboxError(f"{self._module} is not started")
        return self._process.pid

    def start(self) -> None:
        """Starts it and waits until it listens.

        Raises:
          SandboxError: it ended at once, or does not listen after 30 s.
        """
        path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, this package
            [sys.executable, "-m", self._module, *self._arguments, "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path},
        )
        line = _first_line(self._process)
        if not line.startswith("READY "):
            self.stop()
            raise SandboxError(
                f"{self._module} did not start (exit code {self._process.returncode}): see its error output"
            )
        self.address = line.removeprefix("READY ").strip()

    def stop(self) -> None:
        """Ends it, by force if it does not end by itself; what it held is gone."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _first_line(process: "subprocess.Popen[bytes]") -> str:
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    line, deadline = b"", time.monotonic() + _START_SECS
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(process.stdout.fileno(), 1024) if readable else b""
        if not part:
            break
        line += part
    return line.decode()
