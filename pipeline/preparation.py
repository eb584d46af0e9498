"""What every job needs before it is built: Beam's options, the token where it is used, and what is recorded."""

from collections.abc import Callable
from hashlib import sha256
from importlib import metadata

import msgspec
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from pipeline.described import is_graph_check
from pipeline.options import RunOptions, beam_runner
from pipeline.records import Records
from transforms.connection import Connection
from transforms.tiktok import SECRET_VERSION, TokenReferenceError, TokenSource, find_route

_LOCAL = "FnApiRunner"
_DATAFLOW = "DataflowRunner"

# What a repeat costs is one event that TikTok drops; exactly-once would shuffle every event for nothing, because a
# request that was sent can't be taken back anyway. Source: Dataflow, "Set the pipeline streaming mode".
_STREAM_ON_DATAFLOW = ("--enable_streaming_engine", "--dataflow_service_options=streaming_mode_at_least_once")


def beam_settings(options: RunOptions, *flags: str) -> tuple[str, PipelineOptions]:
    """Returns Beam's name of the runner and Beam's options, which its file systems know from now on too."""
    runner = beam_runner(options.runner)
    if "--streaming" in flags and runner == _DATAFLOW:
        flags = (*flags, *(flag for flag in _STREAM_ON_DATAFLOW if flag not in options.beam_args))
    beam_options = PipelineOptions(["--no_save_main_session", *options.beam_args, f"--runner={runner}", *flags])
    FileSystems.set_options(beam_options)
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
    if runner == _LOCAL:
        tokens(reference).get()
        find_route(options.connection)
    elif runner == _DATAFLOW and not is_graph_check(beam_options) and not SECRET_VERSION.fullmatch(reference):
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
