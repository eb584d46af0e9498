"""Which files are read: patterns in, a list of files out; and how a file that cannot be read is spoken of.

Local paths, folders and globs, and everything that Beam's file systems know (`gs://…`). A folder stands for all files
below it. Files and folders whose name begins with a dot or an underscore are left out, as Spark and Hive do
(`_SUCCESS`, `_metadata`, `_temporary/…`, `_delta_log/…`), except for folders of a partition (`_day=2024-06-20/`) and
for what a pattern names without wildcards.
"""

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipeline.errors import CommandError
from pipeline.storage.paths import (
    GLOB,
    FileInfo,
    NoInputError,
    as_regex,
    is_hidden,
    is_local,
    literal_prefix,
    local_files,
)

# Buffer of local files: few system calls for text, small enough to stay in the processor's cache.
_BUFFER_BYTES = 1 << 20

# What Google's client libraries raise once they give up on a server; `RetryError` after minutes of it.
_UNREACHABLE = {"RetryError", "ServiceUnavailable", "ConnectionError", "ConnectTimeout", "ReadTimeout", "ProxyError"}


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
      CommandError: the storage behind a pattern cannot be reached.
    """
    files: dict[str, FileInfo] = {}
    for given in patterns:
        pattern = given.removeprefix("file://")
        try:
            found = list(local_files(pattern) if is_local(pattern) else _remote(pattern))
        except NoInputError:
            raise
        except BeamIOError as error:
            names = ", ".join(sorted(causes(error)))
            if causes(error) <= _UNREACHABLE:
                raise CommandError(
                    f"--input {pattern}: its storage ({_server(pattern)}) cannot be reached ({names}). "
                    "Look at the network of this machine: DNS, firewall, HTTPS_PROXY."
                ) from error
            raise NoInputError(
                f"--input {pattern}: cannot be listed ({names}). "
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


def _server(pattern: str) -> str:
    return "storage.googleapis.com" if pattern.startswith("gs://") else pattern.partition("/")[0]


def _remote(pattern: str) -> Iterator[FileInfo]:
    """Yields the objects that a pattern matches."""
    if GLOB.search(pattern):
        yield from _listed(literal_prefix(pattern), as_regex(pattern))
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
        if file.path.endswith("/") or any(map(is_hidden, file.path[base:].split("/"))):
            continue
        if fits.fullmatch(file.path):
            yield FileInfo(file.path, file.size_in_bytes)


def causes(error: object) -> set[str]:
    """Returns the types of the errors at the bottom of Beam's, which nests them."""
    details = error.exception_details if isinstance(error, BeamIOError) else None
    if not details:
        return {type(error).__name__}
    return {name for cause in details.values() for name in causes(cause)}
