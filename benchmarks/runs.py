"""What the benchmarks of whole runs share: input files, a transport that sends nothing, and runs in this process."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.jobs.graph import build
from pipeline.records.record_outcomes import Records
from pipeline.reporting.summary import Summary, read_counters, summarize
from pipeline.sources.read_messages import ReadMessages
from pipeline.sources.reader import iter_messages
from pipeline.storage.filesystems import expand_patterns
from sandbox.shop.generator import purchases, write_parquet
from transforms.connection import Connection, Consent
from transforms.deduplicate import DropDuplicates, SkipDelivered
from transforms.delivery_history import DeliveryHistory
from transforms.forward import Scope, Sending
from transforms.mapping import converter
from transforms.model import Outcome, Payload
from transforms.tiktok import ApiReply, EventsApi, RequestBody, Transport, make_envelope
from transforms.vocabulary import Form

SEED = 20240620
ROWS_PER_GROUP = 20_000
# Different messages in one input: making them takes as long as forwarding them.
MOST_MADE = 1_000_000

# As `EventsApi` joins bodies.
_PIECE_BYTES = 1 << 18

_ACCEPTED = b'{"code":0,"message":"OK","request_id":"20240705092320323C2F514AF49BCF4621","data":{}}'


class NullTransport:
    """Takes every request and sends nothing: what is left is the pipeline itself."""

    def __init__(self, connection: Connection) -> None:
        pass

    def post(self, form: Form, body: RequestBody, token: str) -> ApiReply:
        """Joins the body, as whoever sends it does, and returns TikTok's word for success."""
        for _ in body.pieces(_PIECE_BYTES):
            pass
        return ApiReply(status=200, body=_ACCEPTED, sent=True, started_at=time.time(), elapsed_secs=0.0)


def write_purchases(folder: Path, events: int) -> Path:
    """Returns a folder of Parquet files with so many messages of about 2 kB, one purchase each; made only once.

    Above a million, the file of the first million stands there several times: links to one file.
    """
    wanted = folder / f"purchases-{events}"
    if not wanted.exists():
        unfinished = folder / f"unfinished-{events}"
        first = min(events, MOST_MADE)
        write_parquet(unfinished, purchases(first, SEED), rows_per_group=ROWS_PER_GROUP)
        (made,) = unfinished.iterdir()
        for number in range(1, events // first):
            os.link(made, unfinished / f"again-{number:05d}.parquet")
        unfinished.rename(wanted)
    return wanted


def write_token(folder: Path, token: str = "a-token-of-no-use") -> str:  # noqa: S107  # invented
    """Returns a reference to a token."""
    path = folder / "token"
    path.write_text(token)
    return f"file:{path}"


def connection(token: str, **settings: object) -> Connection:
    """Returns a connection to Events API 2.0 whose budget is out of the way."""
    return Connection(
        **{
            "event_source_id": "PIXEL",
            "access_token": token,
            "enable_web_migration": True,
            "consent": Consent(ccpa_opt_out="ignore"),
            "requests_per_second": 1000.0,
            **settings,
        }
    )


def run(
    files: Path,
    settings: Connection,
    records: Records | None = None,
    transport: type[Transport] = EventsApi,
    skip: SkipDelivered | None = None,
    duplicates: DropDuplicates | None = None,
) -> Summary:
    """Runs the whole pipeline on the local runner, in this process; `seconds` of the result is the whole of it."""
    began = time.perf_counter()
    pipeline = beam.Pipeline(options=PipelineOptions(["--no_save_main_session", "--runner=FnApiRunner"]))
    read = ReadMessages([str(files)])
    scope = Scope(skip=skip, duplicates=duplicates)
    build(pipeline, read, settings, records or Records(), scope, Sending(transport))
    result = pipeline.run()
    result.wait_until_finish()
    summary = summarize(read_counters(result.metrics()), time.perf_counter() - began, "benchmark")
    if not summary.adds_up:
        raise RuntimeError(f"the counts do not add up: {summary}")
    return summary


# What the ledger knows, loaded before the clock starts: steps are pickled, but find the module's own.
_known: list[DeliveryHistory] = []


def remember(settled: DeliveryHistory) -> None:
    """Keeps what `remembered` returns."""
    _known[:] = [settled]


def remembered() -> DeliveryHistory:
    """Returns what was kept, for `SkipDelivered`."""
    return _known[0]


def plain_loop(files: Path, settings: Connection) -> float:
    """Returns the seconds of a plain loop over the same functions: read, map, join into bodies; nothing is sent."""
    began = time.perf_counter()
    convert = converter(settings)
    join = make_envelope(settings, Form.WEB).join
    held: list[Payload] = []
    counts: dict[str, int] = {}
    for file in expand_patterns([str(files)]):
        for messages in iter_messages(file):
            for message in messages:
                for result in convert(message):
                    if isinstance(result, Outcome):
                        counts[result.kind] = counts.get(result.kind, 0) + 1
                        continue
                    held.append(result)
                    if len(held) == 1000:
                        join([payload.body for payload in held])
                        counts["delivered"] = counts.get("delivered", 0) + len(held)
                        held = []
    if held:
        join([payload.body for payload in held])
    return time.perf_counter() - began


@contextmanager
def one_core() -> Iterator[None]:
    """Keeps this process, and the threads it starts, on the first of its cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
