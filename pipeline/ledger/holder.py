"""Who holds a lock: a process on a machine, and whether it is still there."""

import os
import socket
from pathlib import Path

import msgspec


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A process, as another one can recognise it.

    Attributes:
      machine: name, boot and process namespace; processes can be compared only where all of them are the same.
      pid: number of the process.
      started: when it started, in the kernel's ticks: numbers are used again. 0 where there is no /proc.
    """

    machine: str
    pid: int
    started: int

    def is_gone(self) -> bool:
        """Returns whether the process has certainly ended; False if that cannot be told from here."""
        if self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return _started(self.pid) != self.started


def this_process() -> Holder:
    """Returns the process that asks."""
    return Holder(machine=_machine(), pid=os.getpid(), started=_started(os.getpid()))


def _machine() -> str:
    return "/".join([socket.gethostname(), _boot(), _process_namespace()])


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:  # no Linux
        return "-"


def _process_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return "-"


def _started(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return 0
    # The name in parentheses may hold anything; the 22nd field is the 20th behind it. Z: ended, not yet waited for.
    fields = status.rpartition(")")[2].split()
    return -1 if fields[0] == "Z" else int(fields[19])
