"""Which files are read: patterns in, a list of files out; and how a file that cannot be read is spoken of.

Local paths, folders and globs, and everything that Beam's file systems know (`gs://…`). A folder stands for all files
below it. Files and folders whose name begins with a dot or an underscore are left out, as Spark and Hive do
(`_SUCCESS`, `_metadata`, `_temporary/…`, `_delta_log/…`), except for folders of a partition (`_day=2024-06-20/`) and
for what a pattern names without wildcards.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from enum import StrEnum, unique
from typing import BinaryIO, NamedTuple

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipeline.problems import UsageError

_SCHEME = re.compile(r"[a-zA-Z][-a-zA-Z0-9+.]*://")
_GLOB = re.compile(r"[*?\[]")

# Buffer of local files: few system calls for text, small enough to stay in the processor's cache.
_BUFFER_BYTES = 1 << 20


class FileInfo(NamedTuple):
    """A file to read.

    Attributes:
      path: local path or URL.
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


class UnreadableFileError(Exception):
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
    """Says whether a path belongs to this machine's file system."""
    return _SCHEME.match(path) is None


def open_file(path: str) -> BinaryIO:
    """Opens a file as it is stored, without decompression.

    A GCS object with `Content-Encoding: gzip` comes compressed as well; its content tells.
    """
    if is_local(path):
        return open(path, "rb", buffering=_BUFFER_BYTES)
    stream: BinaryIO = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return stream


def expand_patterns(patterns: Iterable[str]) -> list[FileInfo]:
    """Returns the files that the patterns match, each once, in the order of their names.

    Call it before a pipeline starts, so that a mistyped pattern is found at once; `ReadMessages` lists again when it
    runs. For `gs://` set `FileSystems.set_options` first if the pipeline's options hold credentials.

    Args:
      patterns: paths, folders (all files below), or globs: `*` and `?` stay inside one folder, `**` crosses folders and
        `**/` may be nothing, `[ab]` is one of the characters. A name that exists is taken literally.

    Raises:
      NoInputError: a pattern matches nothing, or cannot be listed.
    """
    files: dict[str, FileInfo] = {}
    for pattern in patterns:
        try:
            found = list(_local(pattern) if is_local(pattern) else _remote(pattern))
        except BeamIOError as error:
            raise NoInputError(
                f"--input {pattern}: cannot be listed ({', '.join(sorted(_causes(error)))}). "
                "Check the bucket's name, the credentials and the right to list objects."
            ) from error
        except OSError as error:
            raise NoInputError(f"--input {pattern}: cannot be listed ({error.strerror}: {error.filename}).") from error
        except (ValueError, re.error) as error:
            raise NoInputError(f"--input {pattern}: not a path, URL or glob that can be read ({error}).") from error
        if not found:
            raise NoInputError(
                f"--input {pattern}: matches no file. Check the path; * and ? do not cross folders, ** does; names "
                "that begin with _ or . are left out. Put the pattern in quotes, so that the shell leaves it alone."
            )
        files.update((file.path, file) for file in found)
    return sorted(files.values())


def _local(pattern: str) -> Iterator[FileInfo]:
    """Yields the local files that a pattern matches."""
    if os.path.isfile(pattern):
        yield FileInfo(pattern, os.path.getsize(pattern))
        return
    if os.path.isdir(pattern):
        root, fits = pattern, re.compile(".*", re.DOTALL)
    else:
        literal = _literal_prefix(pattern)
        root = literal[: literal.rfind("/") + 1] or "."
        fits = _translate(pattern if literal.rfind("/") >= 0 else f"./{pattern}")
        if not os.path.isdir(root) or not _GLOB.search(pattern):
            return
    for folder, folders, names in os.walk(root, onerror=_raise):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        for name in names:
            path = os.path.join(folder, name)
            if _is_hidden(name) or not fits.fullmatch(path):
                continue
            try:
                status = os.stat(path)
            except FileNotFoundError:
                # A link to nowhere, or gone since it was listed.
                continue
            if stat.S_ISREG(status.st_mode):
                yield FileInfo(path.removeprefix("./"), status.st_size)


def _remote(pattern: str) -> Iterator[FileInfo]:
    """Yields the objects that a pattern matches."""
    if _GLOB.search(pattern):
        yield from _listed(_literal_prefix(pattern), _translate(pattern))
        return
    folder = pattern.rstrip("/") + "/"
    exact = [] if pattern.endswith("/") else FileSystems.match([pattern])[0].metadata_list
    if exact:
        yield from (FileInfo(file.path, file.size_in_bytes) for file in exact)
    else:
        yield from _listed(folder, re.compile(".*", re.DOTALL))


def _listed(prefix: str, fits: re.Pattern[str]) -> Iterator[FileInfo]:
    """Yields the visible objects below a prefix whose name fits."""
    base = prefix.rfind("/") + 1
    for file in FileSystems.match([f"{prefix}**"])[0].metadata_list:
        # Consoles mark a folder by an empty object whose name ends with a slash.
        if file.path.endswith("/") or any(map(_is_hidden, file.path[base:].split("/"))):
            continue
        if fits.fullmatch(file.path):
            yield FileInfo(file.path, file.size_in_bytes)


def _raise(error: OSError) -> None:
    raise error


def _causes(error: object) -> set[str]:
    """Returns the types of the errors at the bottom of Beam's, which nests them."""
    details = error.exception_details if isinstance(error, BeamIOError) else None
    if not details:
        return {type(error).__name__}
    return {name for cause in details.values() for name in _causes(cause)}


def _is_hidden(name: str) -> bool:
    """Says whether a file or folder is none of the data."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _literal_prefix(pattern: str) -> str:
    """Returns what stands before the first wildcard."""
    found = _GLOB.search(pattern)
    return pattern[: found.start()] if found else pattern


def _translate(pattern: str) -> re.Pattern[str]:
    """Returns the regular expression of a glob.

    >>> bool(_translate("in/**/*.json").fullmatch("in/a.json"))
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
