"""Names of files: which of them are local; local globs and folders in, files out; and why a file cannot be read.

Without Beam, whose import takes seconds: `preview` and `check` answer at once.
"""

import os
import re
import stat
from collections.abc import Iterator
from enum import StrEnum, unique
from typing import NamedTuple

from pipeline.errors import CommandError, UsageError

_SCHEME = re.compile(r"[a-zA-Z][-a-zA-Z0-9+.]*://")
# A URL of this machine. Source: RFC 8089, sections 2 and 3: the host is empty or `localhost`.
_FILE_URL = re.compile(r"file://(?:localhost(?=/))?", re.IGNORECASE)
GLOB = re.compile(r"[*?\[]")


class FileInfo(NamedTuple):
    """A file to read.

    Attributes:
      path: local path without `file://`, or URL.
      size: bytes, as listed.
    """

    path: str
    size: int


class NoInputError(UsageError, ValueError):
    """A pattern matches no file, or cannot be listed; nothing was started."""


@unique
class Trouble(StrEnum):
    """Why a file cannot be read: the `detail` of its outcome."""

    NOT_FOUND = "not_found"
    """The file was listed and is gone."""
    PERMISSION_DENIED = "permission_denied"
    """The right to read it is missing."""
    UNREACHABLE = "unreachable"
    """The disk or the service failed."""
    UNKNOWN_FORMAT = "unknown_format"
    """Neither Parquet nor lines of JSON nor either of them compressed with gzip."""
    UNKNOWN_LAYOUT = "unknown_layout"
    """Parquet whose columns hold no batch that can be read."""
    TRUNCATED = "truncated"
    """The file ends too early."""
    DAMAGED = "damaged"
    """The content contradicts its format."""


class UnreadableFileError(CommandError):
    """A file, or the rest of it, cannot be read.

    Attributes:
      trouble: the class of trouble.
    """

    def __init__(self, text: str, trouble: Trouble = Trouble.DAMAGED) -> None:
        super().__init__(text, trouble)
        self.trouble = trouble

    def __str__(self) -> str:
        """Returns the text, which holds nothing of the file's content."""
        return str(self.args[0])


def is_local(path: str) -> bool:
    """Returns whether a path belongs to this machine's file system, as a plain name or as `file://…`.

    >>> [is_local(path) for path in ("in/a.txt", "/in/a.txt", "file:///in/a.txt", "gs://bucket/a.txt")]
    [True, True, True, False]
    """
    return _SCHEME.match(local_path(path)) is None


def local_path(path: str) -> str:
    """Returns a local path without `file://`; any other path as it is. Nothing is decoded: `%20` is three characters.

    >>> local_path("file:///in/a.txt"), local_path("in/a.txt"), local_path("gs://bucket/a.txt")
    ('/in/a.txt', 'in/a.txt', 'gs://bucket/a.txt')
    """
    return _FILE_URL.sub("", path, count=1) if _FILE_URL.match(path) else path


def local_files(pattern: str) -> Iterator[FileInfo]:
    """Yields the local files that a pattern matches."""
    pattern = local_path(pattern)
    if os.path.isfile(pattern):
        yield FileInfo(pattern, os.path.getsize(pattern))
        return
    if os.path.isdir(pattern):
        root, fits = pattern, re.compile(".*", re.DOTALL)
    else:
        literal = literal_prefix(pattern)
        root = literal[: literal.rfind("/") + 1] or "."
        fits = as_regex(pattern if literal.rfind("/") >= 0 else f"./{pattern}")
        if not os.path.isdir(root) or not GLOB.search(pattern):
            return
    for folder, folders, names in os.walk(root, onerror=_raise):
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in names:
            path = os.path.join(folder, name)
            if is_hidden(name) or not fits.fullmatch(path):
                continue
            _check_name(path)
            try:
                status = os.stat(path)
            except FileNotFoundError:
                # A link to nowhere, or gone since it was listed.
                continue
            if stat.S_ISREG(status.st_mode):
                yield FileInfo(path.removeprefix("./"), status.st_size)


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder is none of the data."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def literal_prefix(pattern: str) -> str:
    """Returns what stands before the first wildcard."""
    found = GLOB.search(pattern)
    return pattern[: found.start()] if found else pattern


def as_regex(pattern: str) -> re.Pattern[str]:
    """Returns the regular expression of a glob.

    >>> bool(as_regex("in/**/*.json").fullmatch("in/a.json"))
    True
    """
    parts = []
    position = 0
    while position < len(pattern):
        rest = pattern[position:]
        members = re.match(r"\[[!^]?\]?[^]]*\]", rest)
        if rest.startswith("**/"):
            parts.append("(?:.*/)?")
            position += 3
        elif rest.startswith("**"):
            parts.append(".*")
            position += 2
        elif members:
            text = members.group()
            inner = text[1:-1].replace("\\", "\\\\")
            parts.append(f"[^{inner[1:]}]" if inner[0] in "!^" else f"[{inner}]")
            position += len(text)
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(rest[0], re.escape(rest[0])))
            position += 1
    return re.compile("".join(parts), re.DOTALL)


def _check_name(path: str) -> None:
    """Refuses a name that could stand in no ledger.

    Raises:
      NoInputError: it is no UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        name = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise NoInputError(f"--input {name}: the name of this file is no UTF-8 text; rename it.") from None


def _raise(error: OSError) -> None:
    raise error
