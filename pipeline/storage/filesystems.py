"""Which files are read, and how they are opened: patterns in, a list of files out.

Local paths, folders and globs, and everything that Beam's file systems know (`gs://…`). A folder stands for all files
below it. Files and folders whose name begins with a dot or an underscore are left out, as Spark and Hive do
(`_SUCCESS`, `_metadata`, `_temporary/…`, `_delta_log/…`), except for folders of a partition (`_day=2024-06-20/`) and
for what a pattern names without wildcards.

Beam is loaded for remote files only, because its import takes seconds.
"""

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

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
    local_path,
)
from transforms.google_errors import CHECK_NETWORK, UNREACHABLE, bucket_remedy

# Buffer of local files: few system calls for text, small enough to stay in the processor's cache.
_BUFFER_BYTES = 1 << 20


def open_file(path: str) -> BinaryIO:
    """Opens a file as it is stored, without decompression.

    A GCS object with `Content-Encoding: gzip` comes compressed as well.
    """
    if is_local(path):
        return open(local_path(path), "rb", buffering=_BUFFER_BYTES)
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    stream: BinaryIO = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return stream


def expand_patterns(patterns: Iterable[str], flag: str = "--input ") -> list[FileInfo]:
    """Returns the files that the patterns match, each once, in the order of their names.

    Call it before a pipeline starts, so that a mistyped pattern is found at once; `ReadMessages` lists again when it
    runs. For `gs://` set `FileSystems.set_options` first if the pipeline's options hold credentials.

    Args:
      patterns: paths, folders (all files below), or globs: `*` and `?` stay inside one folder, `**` crosses folders and
        `**/` may be nothing, `[ab]` is one of the characters. A name that exists is taken literally.
      flag: what stands before the pattern in error messages.

    Raises:
      NoInputError: a pattern matches nothing, or cannot be listed.
      CommandError: the storage behind a pattern cannot be reached.
    """
    files: dict[str, FileInfo] = {}
    for pattern in map(local_path, patterns):
        found = _matched(pattern, f"{flag}{pattern}")
        if not found:
            raise NoInputError(
                f"{flag}{pattern}: matches no file. Check the path; * and ? do not cross folders, ** does; names "
                "that begin with _ or . are left out. Put the pattern in quotes, so that the shell leaves it alone."
            )
        files.update((file.path, file) for file in found)
    return sorted(files.values())


def _matched(pattern: str, label: str) -> list[FileInfo]:
    """Returns the files that a pattern matches.

    Raises:
      NoInputError: they cannot be listed.
      CommandError: the storage cannot be reached.
    """
    try:
        return list(local_files(pattern) if is_local(pattern) else _remote_files(pattern))
    except NoInputError:
        raise
    except OSError as error:
        if is_local(pattern):
            raise NoInputError(f"{label}: cannot be listed ({error.strerror}: {error.filename}).") from error
        kinds = root_causes(error)
        names = ", ".join(sorted(kinds))
        if kinds <= UNREACHABLE:
            server = "storage.googleapis.com" if pattern.startswith("gs://") else pattern.partition("/")[0]
            raise CommandError(
                f"{label}: its storage ({server}) cannot be reached ({names}). {CHECK_NETWORK}."
            ) from error
        raise NoInputError(f"{label}: cannot be listed ({names}). {bucket_remedy('list')}") from error
    except (ValueError, re.error) as error:
        raise NoInputError(f"{label}: not a path, URL or glob that can be read ({error}).") from error


def _remote_files(pattern: str) -> Iterator[FileInfo]:
    """Yields the objects that a pattern matches."""
    from apache_beam.io.filesystems import FileSystems

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
    from apache_beam.io.filesystems import FileSystems

    base = prefix.rfind("/") + 1
    for file in FileSystems.match([f"{prefix}**"])[0].metadata_list:
        # Consoles mark a folder by an empty object whose name ends with a slash.
        if file.path.endswith("/") or any(map(is_hidden, file.path[base:].split("/"))):
            continue
        if fits.fullmatch(file.path):
            yield FileInfo(file.path, file.size_in_bytes)


def root_causes(error: object) -> set[str]:
    """Returns the types of the errors at the bottom of Beam's `BeamIOError`s, which nest them."""
    details = getattr(error, "exception_details", None) if isinstance(error, OSError) else None
    if not details:
        return {type(error).__name__}
    return {name for cause in details.values() for name in root_causes(cause)}
