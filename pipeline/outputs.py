"""Where a run writes: refused before anything is sent if it cannot be written to, or would be read as input."""

import os
import uuid

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from pipeline.options import ReplayOptions, RunOptions
from pipeline.problems import UsageError
from pipeline.rowfiles import is_local, local_path, write_atomically
from pipeline.source_files import causes
from pipeline.source_paths import as_regex

# A file of a ledger, dead letters or quarantine, as a pattern of the next run would see it.
_FILE = "date=2000-01-01/run.parquet"


def check_outputs(options: RunOptions) -> None:
    """Makes sure that the summary can be written, and that no output lies where the input is read.

    Raises:
      UsageError: an output lies inside the input.
      WriteError: the summary cannot be written there.
    """
    if not isinstance(options, ReplayOptions):
        for flag, folder in _folders(options).items():
            for pattern in options.inputs:
                if folder is not None and _reads(pattern, folder):
                    raise UsageError(
                        f"{flag} {folder}: lies inside --input {pattern}, so the next run would read it as input. "
                        "Choose a folder outside."
                    )
    if options.summary is not None and is_local(options.summary):
        _check_file(local_path(options.summary))


def check_buckets(options: RunOptions) -> None:
    """Makes sure that the buckets of outputs exist; a dry run writes no more than a summary.

    Nothing else is asked of them: who may write to a bucket may not always list it.

    Raises:
      UsageError: one does not.
    """
    outputs = {} if options.dry_run else _folders(options)
    for flag, path in {**outputs, "--summary": options.summary}.items():
        if path is None or is_local(path):
            continue
        try:
            # A pattern is listed, whereas a name that is not there is no error.
            FileSystems.match([f"{path.rstrip('/')}/.probe*"])
        except BeamIOError as error:
            if "NotFound" in causes(error):
                raise UsageError(f"{flag} {path}: there is no such bucket. Check its name, or create it.") from error


def _folders(options: RunOptions) -> dict[str, str | None]:
    return {"--ledger": options.ledger, "--dead_letters": options.dead_letters, "--quarantine": options.quarantine}


def _reads(pattern: str, folder: str) -> bool:
    """Says whether a pattern of the input finds the files of an output folder."""
    if is_local(pattern) != is_local(folder):
        return False
    if not is_local(pattern):
        file = f"{folder.rstrip('/')}/{_FILE}"
        return file.startswith(f"{pattern.rstrip('/')}/") or as_regex(pattern).fullmatch(file) is not None
    root, file = os.path.abspath(local_path(pattern)), os.path.join(os.path.abspath(local_path(folder)), _FILE)
    if os.path.isdir(root):
        return os.path.commonpath([os.path.realpath(root), os.path.realpath(file)]) == os.path.realpath(root)
    return as_regex(root).fullmatch(file) is not None


def _check_file(path: str) -> None:
    """Makes sure that a file can be written, without touching one that is there.

    Raises:
      UsageError: it is a folder.
      WriteError: its folder cannot be written to.
    """
    if os.path.isdir(path):
        raise UsageError(f"--summary {path}: is a folder; name a file in it, such as {os.path.join(path, 'run.json')}.")
    probe = os.path.join(os.path.dirname(path), f".probe.{uuid.uuid4().hex}")
    write_atomically(probe, b"")
    os.unlink(probe)
