"""What every job needs before it is built: Beam's options, outputs that can be written to, the token, the records.

What cannot be used is refused before anything is sent: an output that cannot be written to or would be read as input, a
bucket that does not exist, a token that cannot be read.
"""

import os
import uuid
from collections.abc import Callable
from hashlib import sha256
from importlib import metadata

import msgspec
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from pipeline.errors import UsageError
from pipeline.jobs.beam_patches import send_whole_elements
from pipeline.jobs.describe import is_graph_check
from pipeline.options import DATAFLOW_RUNNER, LOCAL_RUNNER, ReplayOptions, RunOptions, beam_runner
from pipeline.records import Records
from pipeline.storage import as_regex, is_local, local_path, root_causes, write_atomically
from transforms.connection import Connection
from transforms.tiktok import SECRET_VERSION, TokenReferenceError, TokenSource, find_route

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
            if "NotFound" in root_causes(error):
                raise UsageError(f"{flag} {path}: there is no such bucket. Check its name, or create it.") from error


def _folders(options: RunOptions) -> dict[str, str | None]:
    return {"--ledger": options.ledger, "--dead_letters": options.dead_letters, "--quarantine": options.quarantine}


def _reads(pattern: str, folder: str) -> bool:
    """Returns whether a pattern of the input finds the files of an output folder."""
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


# What a repeat costs is one event that TikTok drops; exactly-once would shuffle every event for nothing, because a
# request that was sent can't be taken back anyway. Source: Dataflow, "Set the pipeline streaming mode".
_STREAM_ON_DATAFLOW = ("--enable_streaming_engine", "--dataflow_service_options=streaming_mode_at_least_once")


def beam_settings(options: RunOptions, *flags: str) -> tuple[str, PipelineOptions]:
    """Returns Beam's name of the runner and Beam's options, which its file systems know from now on too."""
    runner = beam_runner(options.runner)
    if "--streaming" in flags and runner == DATAFLOW_RUNNER:
        flags = (*flags, *(flag for flag in _STREAM_ON_DATAFLOW if flag not in options.beam_args))
    beam_options = PipelineOptions(["--no_save_main_session", *options.beam_args, f"--runner={runner}", *flags])
    FileSystems.set_options(beam_options)
    if runner == LOCAL_RUNNER:
        send_whole_elements()
    return runner, beam_options


def check_token(
    options: RunOptions, beam_options: PipelineOptions, tokens: Callable[[str], TokenSource] = TokenSource
) -> None:
    """Resolves token and route where this machine is the one that sends; refuses what Dataflow cannot follow.

    Raises:
      TokenReferenceError: the token cannot be read.
      ValueError: proxy or certificate authorities cannot be used.
    """
    reference = options.connection.access_token or ""
    runner = beam_options.view_as(StandardOptions).runner
    if runner == LOCAL_RUNNER:
        tokens(reference).get()
        find_route(options.connection)
    elif runner == DATAFLOW_RUNNER and not is_graph_check(beam_options) and not SECRET_VERSION.fullmatch(reference):
        # A stream would fail, and be started again, without end.
        raise TokenReferenceError(
            "access_token: env: and file: name things of one machine, which workers on Dataflow do not have; put the "
            "token into Secret Manager and name its version, such as "
            "projects/acme-prod/secrets/tiktok-token/versions/latest, in the connection file or as access_token."
        )


def checked_records(options: RunOptions, beam_options: PipelineOptions) -> Records:
    """Returns what is recorded; rows carry the version of what mapped them. The check of a graph opens nothing.

    Raises:
      ValueError: folders that cannot be the same are.
      WriteError: one cannot be written to.
    """
    if options.dry_run:
        # A ledger is a record of what was sent.
        return Records(run_id=options.run_id, by_event=True)
    records = Records(
        ledger=options.ledger,
        dead_letters=options.dead_letters,
        quarantine=options.quarantine,
        dead_letter_topic=options.dead_letter_topic,
        flush_secs=options.ledger_flush_secs,
        run_id=options.run_id,
        connection_name=options.connection.event_source_id,
        event_source_id=options.connection.event_source_id,
        mapping_version=_mapping_version(options.connection),
    )
    if not is_graph_check(beam_options):
        records.check()
    return records


def _mapping_version(connection: Connection) -> str:
    """Returns the version of this package and, where there are custom mappings, a digest of them."""
    version = metadata.version("tiktok-events-pipeline")
    if not connection.custom_mappings:
        return version
    return f"{version}+{sha256(msgspec.json.encode(connection.custom_mappings)).hexdigest()[:12]}"
