"""The options of a run and of a replay, as typed values."""

import datetime
import uuid

import msgspec

from pipeline.errors import UsageError
from pipeline.wording import plain, shown, suggestion
from transforms.connection import Connection

# Runners that the pipeline is known to work on. Beam's own DirectRunner is left out on purpose: it first tries to
# download a binary, and hangs where the network swallows the request.
LOCAL_RUNNER, DATAFLOW_RUNNER = "FnApiRunner", "DataflowRunner"
RUNNERS = (LOCAL_RUNNER, DATAFLOW_RUNNER, "FlinkRunner", "PrismRunner", "PortableRunner")
DEFAULT_RUNNER = "DirectRunner"

LAYOUT_NAMES = ("auto", "raw_json", "nested_batch", "nested_event", "bigquery", "redshift", "snowflake")


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one run was asked to do.

    Attributes:
      connection: checked, without the token.
      inputs: files and globs, local or gs://, at least one; none for a stream.
      subscription: full name of the Pub/Sub subscription of a stream.
      topic: full name of the Pub/Sub topic of a stream, instead of a subscription.
      max_messages: a stream ends after so many messages.
      max_seconds: a stream ends after so long.
      dead_letter_topic: Pub/Sub topic of what was not delivered.
      ledger: folder of the ledger.
      dead_letters: folder of what can be sent again, or must be looked at.
      quarantine: restricted folder of the original messages of what was rejected.
      summary: JSON file with the counts.
      since_ms: events before this time are skipped, UTC epoch milliseconds.
      until_ms: events at or after this time are skipped.
      ledger_flush_secs: a ledger file is closed after this time at the latest.
      strict_files: a file that cannot be read stops the run, instead of being one rejected unit.
      runner: as the user wrote it; `beam_runner` turns it into Beam's name.
      beam_args: flags for Beam's PipelineOptions, each known to it; no `--runner`.
      layout: how messages lie in Parquet files, one of `LAYOUT_NAMES`.
      column: the Parquet column that holds the JSON; None: found by its name and content.
      progress: show progress; None: yes, on a terminal as a line that changes, elsewhere as lines now and then.
      partition_slack_ms: read only folders whose day lies in the time window, widened by so much; None: all folders.
      dry_run: send nothing, and report what would be sent.
      prices: price file of the dry run's estimate; None: the one that comes with this program.
      skip_delivered: leave out what is delivered by the ledger.
      resend_unknown: send also what TikTok may have since more than 48 h.
      ledger_memory_mb: what the ledger's keys may take in each worker process, in megabytes.
      drop_duplicates: leave out repeats inside the input.
      run_id: names this run in ledger and summary.
    """

    connection: Connection
    inputs: tuple[str, ...] = ()
    subscription: str | None = None
    topic: str | None = None
    max_messages: int | None = None
    max_seconds: float | None = None
    dead_letter_topic: str | None = None
    ledger: str | None = None
    dead_letters: str | None = None
    quarantine: str | None = None
    summary: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    ledger_flush_secs: float = 10.0
    strict_files: bool = False
    runner: str = DEFAULT_RUNNER
    beam_args: tuple[str, ...] = ()
    layout: str = "auto"
    column: str | None = None
    progress: bool | None = None
    partition_slack_ms: int | None = None
    dry_run: bool = False
    prices: str | None = None
    skip_delivered: bool = False
    resend_unknown: bool = False
    ledger_memory_mb: int = 512
    drop_duplicates: bool = False
    run_id: str


class ReplayOptions(RunOptions, frozen=True, kw_only=True):
    """What one replay was asked to do; `inputs` is the folder of dead letters alone.

    Attributes:
      reasons: of the dead letters that are replayed; empty: all but `parked`.
      recorded_since_ms, recorded_until_ms: when the dead letters were recorded, UTC epoch milliseconds, half-open.
      max_attempts: an event that so many requests have carried is parked.
    """

    reasons: frozenset[str] = frozenset()
    recorded_since_ms: int | None = None
    recorded_until_ms: int | None = None
    max_attempts: int = 100


def beam_runner(word: str) -> str:
    """Returns Beam's name for the word after `--runner`.

    >>> beam_runner("DirectRunner"), beam_runner("dataflow")
    ('FnApiRunner', 'DataflowRunner')

    Raises:
      UsageError: it is no runner of `RUNNERS`, in any case and with or without "Runner".
    """
    spellings = {plain(name): name for name in RUNNERS} | {plain(name.removesuffix("Runner")): name for name in RUNNERS}
    spellings |= {"directrunner": LOCAL_RUNNER, "direct": LOCAL_RUNNER}
    name = spellings.get(plain(word))
    if name is None:
        known = ", ".join([DEFAULT_RUNNER, *RUNNERS])
        hint = suggestion(word, [DEFAULT_RUNNER, *RUNNERS])
        raise UsageError(f"--runner: {shown(word)} is not supported; one of {known} is needed.{hint}")
    return name


def new_run_id(now: datetime.datetime) -> str:
    """Returns an id that sorts by time, for example `20240620T080000Z-1f6c2a90`."""
    return f"{now.astimezone(datetime.UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
