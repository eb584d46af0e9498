"""The command line of `run` → `RunOptions`, refused before anything starts.

Beam drops flags that it does not know with a warning only, so what is left of our own flags is parsed here against
Beam's: a flag that neither knows is an error with the nearest name of both.
"""

import datetime
import uuid
from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

from pipeline.problems import UsageError, plain, shown, suggestion
from transforms.connection import Connection

# Runners that the pipeline is known to work on. Beam's own DirectRunner is left out on purpose: it first tries to
# download a binary, and hangs where the network swallows the request.
RUNNERS = ("FnApiRunner", "DataflowRunner", "FlinkRunner", "PrismRunner", "PortableRunner")
DEFAULT_RUNNER = "DirectRunner"

LAYOUTS = ("auto", "raw_json", "nested_batch", "nested_event")


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
      quarantine: restricted folder of originals that could not be read.
      summary: JSON file with the counts.
      since_ms: events before this time are skipped, UTC epoch milliseconds.
      until_ms: events at or after this time are skipped.
      ledger_flush_secs: a ledger file is closed after this time at the latest.
      strict_files: a file that cannot be read stops the run, instead of being one rejected unit.
      runner: as the user wrote it; `beam_runner` turns it into Beam's name.
      beam_args: flags for Beam's PipelineOptions, each known to it; no `--runner`.
      layout: how messages lie in Parquet files, one of `LAYOUTS`.
      column: the Parquet column that holds the JSON; None: found by its name and content.
      progress: show progress; None: on a terminal only.
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
    run_id: str


def beam_runner(word: str) -> str:
    """Returns Beam's name for the word after `--runner`.

    >>> beam_runner("DirectRunner"), beam_runner("dataflow")
    ('FnApiRunner', 'DataflowRunner')

    Raises:
      UsageError: it is no runner of `RUNNERS`, in any case and with or without "Runner".
    """
    spellings = {plain(name): name for name in RUNNERS} | {plain(name.removesuffix("Runner")): name for name in RUNNERS}
    spellings |= {"directrunner": "FnApiRunner", "direct": "FnApiRunner"}
    name = spellings.get(plain(word))
    if name is None:
        known = ", ".join([DEFAULT_RUNNER, *RUNNERS])
        hint = suggestion(word, [DEFAULT_RUNNER, *RUNNERS])
        raise UsageError(f"--runner: {shown(word)} is not supported; one of {known} is needed.{hint}")
    return name


def time_window(since: str | None, until: str | None, timezone: str) -> tuple[int | None, int | None]:
    """Returns the half-open window [since, until) in UTC epoch milliseconds.

    Args:
      since: ISO 8601 date or time; a date is its first moment; an offset in the text wins over `timezone`.
      until: the same; not part of the window.
      timezone: IANA name of the zone of times without offset.

    >>> time_window("2024-06-20", "2024-06-21T00:00:00+02:00", "UTC")
    (1718841600000, 1718920800000)

    Raises:
      UsageError: a time or a zone cannot be read, or the window is empty.
    """
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = suggestion(timezone, available_timezones())
        raise UsageError(f"--timezone: {shown(timezone)} is no time zone, such as Europe/Berlin.{hint}") from None
    since_ms, until_ms = (_epoch_ms(flag, text, zone) for flag, text in (("--since", since), ("--until", until)))
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise UsageError("--since/--until: the window is empty; --until is not part of it, so it must be later.")
    return since_ms, until_ms


def _epoch_ms(flag: str, text: str | None, zone: ZoneInfo) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        example = "2024-06-20, 2024-06-20T08:00 or 2024-06-20T08:00:00Z"
        raise UsageError(f"{flag}: {shown(text)} is no ISO 8601 date or time, such as {example}.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (moment - epoch) // datetime.timedelta(milliseconds=1)


def new_run_id(now: datetime.datetime) -> str:
    """Returns an id that sorts by time, for example `20240620T080000Z-1f6c2a90`."""
    return f"{now.astimezone(datetime.UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"


def check_beam_args(rest: Sequence[str], own_flags: Sequence[str], runner: str) -> tuple[str, ...]:
    """Returns the arguments for Beam, each known to one of its option classes.

    Args:
      rest: what our own flags have left over.
      own_flags: our flags, to choose the nearest name from.
      runner: Beam's name of the runner.

    Raises:
      UsageError: a flag that nobody knows, a value of the wrong type, or a flag that cannot work here.
    """
    names = {word.split("=", 1)[0] for word in rest if word.startswith("--")}
    if "--streaming" in names:
        raise UsageError("--streaming: remove it; files are read as a batch, a --subscription as a stream.")
    if "--dry_run" in names and runner != "DataflowRunner":
        # Beam knows a --dry_run of Dataflow, which every other runner ignores: events would be sent.
        raise UsageError("--dry_run: not available yet; `preview` shows what would be sent.")
    if runner == "PrismRunner" and "--prism_location" not in names:
        raise UsageError(
            "--runner PrismRunner: give --prism_location PATH, the program built from Beam's Go module; Beam would try "
            "to download it. DirectRunner needs none."
        )
    if not rest:
        return ()
    from pipeline.beamflags import parse_beam_flags

    parse_beam_flags(rest, own_flags)
    return tuple(rest)
