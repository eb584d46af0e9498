"""What can be wrong with a connection or a command line, and the exit codes.

Every problem that the person at the command line can repair is one of these errors. Its text is written by our own
modules, never by a library, so it holds no token and no value of a person.

    CommandError             a command could not do its work: exit code 1
    └── UsageError           the command line cannot be understood: exit code 2
        └── ConfigurationError   the connection cannot be used: exit code 2, all problems at once
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

# All settled; failure; usage or configuration; finished, and something is undelivered or unknown.
EXIT_SETTLED = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_UNSETTLED = 3


class Finding(msgspec.Struct, frozen=True):
    """One remark about a connection.

    Attributes:
      where: `FILE:LINE:COLUMN`, the flag, or the file's name.
      key: path of the setting, for example `consent.gdpr_missing`; empty if there is none.
      text: what is wrong, what is allowed and what to do.
    """

    where: str
    key: str
    text: str

    def __str__(self) -> str:
        """Returns the finding as one line."""
        key = "" if not self.key or self.where == f"--{self.key}" else f"{self.key}: "
        return f"{self.where}: {key}{self.text}"


class Report:
    """Collects what is found while a connection is read, so that all of it is reported at once.

    Attributes:
      problems: what forbids the use of the connection.
      warnings: what should be known about it.
      bad_keys: the keys that have a problem.
      partial: what can be read of a value that has a problem, by its path; checked as well, so that one mistake does
        not hide another, and never used.
    """

    def __init__(self) -> None:
        self.problems: list[Finding] = []
        self.warnings: list[Finding] = []
        self.bad_keys: set[str] = set()
        self.partial: dict[str, Any] = {}

    def is_bad(self, path: str) -> bool:
        """Returns whether the setting at a path, or one within it, has a problem."""
        return any(key == path or key.startswith((f"{path}.", f"{path}[")) for key in self.bad_keys)

    def refuse(self, where: str, key: str, text: str) -> None:
        """Adds a problem of the setting `key`."""
        self.problems.append(Finding(where, key, text))
        self.bad_keys.add(key)

    def warn(self, where: str, key: str, text: str) -> None:
        """Adds a warning about the setting `key`."""
        self.warnings.append(Finding(where, key, text))


class CommandError(Exception):
    """A command could not do its work; the text is the reason and the remedy."""

    exit_code = EXIT_FAILURE


class UsageError(CommandError):
    """The command line cannot be understood; nothing was started."""

    exit_code = EXIT_USAGE


class ConfigurationError(UsageError):
    """The connection cannot be used; the text lists every problem, one a line."""

    def __init__(self, source: str, problems: Iterable[Finding]) -> None:
        self.problems = tuple(sorted(problems, key=_position))
        count = "a problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([f"{source} has {count}:", *(f"  {problem}" for problem in self.problems)]))


def _position(finding: Finding) -> tuple[str, int, int]:
    """Returns file or flag, line and column of a finding, so that problems stand in the file's order."""
    found = re.fullmatch(r"(.*):(\d+):(\d+)", finding.where)
    return (found[1], int(found[2]), int(found[3])) if found else (finding.where, 0, 0)
