"""Recording outcomes in a pipeline: counters, ledger, dead letters and quarantine, and who sees what of a person."""

import logging
import os
import pickle
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec
import pyarrow.parquet as pq
import pytest
from apache_beam.pvalue import TaggedOutput

from pipeline.records.dead_letter_rows import (
    DEAD_LETTER_LAYOUT,
    DEAD_LETTER_SCHEMA,
    QUARANTINE_SCHEMA,
    DeadLetterRows,
    QuarantineRows,
)
from pipeline.records.parquet_files import RowFiles
from pipeline.records.record_outcomes import RecordOutcomes, Records
from pipeline.reporting.summary import read_counters, summarize, write_summary
from pipeline.runtime.progress import PROGRESS
from pipeline.storage import WriteError
from transforms import coders as coders  # registers the coder of outcomes
from transforms.model import Outcome, Payload
from transforms.vocabulary import Form, Kind, MatchKey, Note, Reason, Stage

# Stand for what may be known of a person: in a payload, and in an original message.
PAYLOAD_CANARY = "canary-payload@example.com"
ORIGINAL_CANARY = "canary-original@example.com"

DELIVERED = Outcome(
    Kind.DELIVERED,
    Stage.WRITE,
    None,
    "f#1",
    0,
    form=Form.WEB,
    event="AddToCart",
    event_id="e1",
    match_keys=MatchKey.EMAIL,
    code=0,
    request_id="log-1",
    attempts=1,
    payload=f'{{"user":"{PAYLOAD_CANARY}"}}'.encode(),
    original=ORIGINAL_CANARY.encode(),
)
SKIPPED = Outcome(Kind.SKIPPED, Stage.SELECT, Reason.UNSUPPORTED_ACTION, "f#2", 0, "refund")
MISSING_URL = Outcome(
    Kind.REJECTED, Stage.BUILD, Reason.MISSING_PAGE_URL, "f#3", 1, original=b'{"events":"' + ORIGINAL_CANARY.encode()
)
REFUSED = Outcome(
    kind=Kind.REJECTED,
    stage=Stage.WRITE,
    reason=Reason.REFUSED_BY_TIKTOK,
    ref="f#4",
    index=0,
    form=Form.LEGACY,
    event="PlaceAnOrder",
    event_id="e4",
    occurred_at_ms=1_718_900_000_000,
    match_keys=MatchKey.EMAIL | MatchKey.PHONE,
    value=12.5,
    currency="EUR",
    notes=(Note.MISSING_VALUE, Note.NO_IDENTIFIER),
    code=40_002,
    message="data.0.properties.value: invalid",
    request_id="log-2",
    attempts=3,
    sent_at_ms=1_718_900_010_000,
    first_sent_at_ms=1_718_900_005_000,
    payload=f'{{"user":"{PAYLOAD_CANARY}","city":"München"}}'.encode(),
)
OUTAGE = Outcome(Kind.UNDELIVERED, Stage.WRITE, Reason.OUTAGE, "f#5", 0, event_id="e5", payload=b"{}", attempts=9)
UNKNOWN = Outcome(Kind.UNKNOWN, Stage.WRITE, Reason.TIMED_OUT, "f#6", 0, event_id="e6", payload=b"{}", attempts=1)
EVERY = [DELIVERED, SKIPPED, MISSING_URL, REFUSED, OUTAGE, UNKNOWN]


class YieldLists(beam.DoFn):
    """Lists of outcomes as they are."""

    @beam.DoFn.yields_batches
    def process(self, outcomes: list[Outcome]) -> Iterator[list[Outcome]]:
        yield outcomes

    def infer_output_type(self, input_type: Any) -> Any:
        return Outcome


class YieldTagged(beam.DoFn):
    """Lists of outcomes as the second output of a step whose main output is payloads."""

    @beam.DoFn.yields_batches
    def process(self, outcomes: list[Outcome]) -> Iterator[list[Payload]]:
        yield TaggedOutput("outcomes", outcomes)
        yield [Payload(Form.WEB, "AddToCart", "e0", 0, b"{}")]

    def infer_output_type(self, input_type: Any) -> Any:
        return Payload


class YieldAtTheEnd(beam.DoFn):
    """Outcomes one by one, when the bundle ends, as a step yields what it waited for."""

    def start_bundle(self) -> None:
        self._outcomes: list[Outcome] = []

    def process(self, outcomes: list[Outcome]) -> Iterator[Outcome]:
        self._outcomes += outcomes
        return iter(())

    def finish_bundle(self) -> Iterator[Any]:
        window = beam.window.GlobalWindow()
        for outcome in self._outcomes:
            yield beam.utils.windowed_value.WindowedValue(outcome, 0, (window,))


def as_lists(lists: beam.PCollection) -> beam.PCollection:
    return lists | "Yield" >> beam.ParDo(YieldLists())


def as_tagged(lists: beam.PCollection) -> beam.PCollection:
    outcomes = (lists | "Yield" >> beam.ParDo(YieldTagged()).with_outputs("outcomes", main="payloads")).outcomes
    outcomes.element_type = Outcome
    return outcomes


def as_singles(lists: beam.PCollection) -> beam.PCollection:
    return lists | "Yield" >> beam.ParDo(YieldAtTheEnd()).with_output_types(Outcome)


def as_shuffled(lists: beam.PCollection) -> beam.PCollection:
    return as_lists(lists) | beam.Reshuffle()


Shape = Callable[[beam.PCollection], beam.PCollection]


def record(records: Records, *lists: list[Outcome], shape: Shape = as_lists, **options: Any) -> Any:
    """Runs a pipeline over lists of outcomes and returns its result."""
    pipeline = beam.Pipeline("FnApiRunner")
    outcomes = shape(pipeline | beam.Create(lists, reshuffle=False).with_output_types(list[Outcome]))
    outcomes | "RecordWrite" >> RecordOutcomes(records, **options)
    result = pipeline.run()
    result.wait_until_finish()
    return result


def rows(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.rglob("*.parquet")) for row in pq.ParquetFile(path).read().to_pylist()]


def refs(folder: Path) -> list[str]:
    return sorted(row["input_ref"] for row in rows(folder))


def test_without_folders_outcomes_are_counted_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = record(Records(), EVERY)
    assert read_counters(result.metrics()) == {
        "outcome:delivered": 1,
        "events:AddToCart": 1,
        "coverage:AddToCart:email": 1,
        "outcome:skipped:unsupported_action": 1,
        "detail:unsupported_action:refund": 1,
        "outcome:rejected:missing_page_url": 1,
        "outcome:rejected:refused_by_tiktok": 1,
        "note:missing_value": 1,
        "note:no_identifier": 1,
        "outcome:undelivered:outage": 1,
        "outcome:unknown:timed_out": 1,
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [as_lists, as_tagged, as_singles, as_shuffled])
def test_every_outcome_is_recorded_once_however_it_arrives(tmp_path: Path, shape: Shape) -> None:
    lists = [
        [Outcome(Kind.DELIVERED, Stage.WRITE, None, f"f#{n}") for n in range(i * 700, i * 700 + 700)] for i in (0, 1)
    ]
    result = record(Records(ledger=str(tmp_path)), *lists, shape=shape)
    assert refs(tmp_path) == sorted(f"f#{number}" for number in range(1_400))
    assert read_counters(result.metrics()) == {"outcome:delivered": 1_400}


def test_a_ledger_row_names_the_run_and_the_connection(tmp_path: Path) -> None:
    record(Records(str(tmp_path), run_id="r1", connection_name="c1", event_source_id="s1", mapping_version="m1"), EVERY)
    constants = {(r["run_id"], r["connection"], r["event_source_id"], r["mapping_version"]) for r in rows(tmp_path)}
    assert constants == {("r1", "c1", "s1", "m1")}


def test_rows_of_several_steps_lie_in_one_ledger(tmp_path: Path) -> None:
    records = Records(ledger=str(tmp_path))
    with beam.Pipeline("FnApiRunner") as pipeline:
        for number, outcomes in enumerate([[SKIPPED], [MISSING_URL], [DELIVERED, REFUSED]]):
            made = pipeline | f"Make{number}" >> beam.Create(outcomes).with_output_types(Outcome)
            made | f"Record{number}" >> RecordOutcomes(records)
    assert refs(tmp_path) == ["f#1", "f#2", "f#3", "f#4"]


class CountFiles(beam.DoFn):
    """Yields lists of one outcome; each says how many files of the ledger there were by then."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @beam.DoFn.yields_batches
    def process(self, number: int) -> Iterator[list[Outcome]]:
        for _ in range(number):
            found = len(list(Path(self._folder).rglob("*.parquet")))
            yield [Outcome(Kind.DELIVERED, Stage.WRITE, None, str(found))]

    def infer_output_type(self, input_type: Any) -> Any:
        return Outcome


class Steps:
    """A clock that moves on by so much whenever it is read."""

    def __init__(self, secs: float) -> None:
        self._secs = secs
        self._now = 1_718_900_000.0

    def __call__(self) -> float:
        self._now += self._secs
        return self._now


def test_files_are_closed_while_a_long_bundle_goes_on(tmp_path: Path) -> None:
    """A killed run has recorded what it did until `flush_secs` ago; a file is certain when the next one begins."""
    with beam.Pipeline("FnApiRunner") as pipeline:
        outcomes = pipeline | beam.Create([6]) | beam.ParDo(CountFiles(str(tmp_path)))
        outcomes | RecordOutcomes(Records(ledger=str(tmp_path), flush_secs=10), clock=Steps(11))
    seen = [int(ref) for ref in refs(tmp_path)]
    assert len(seen) == 6
    assert all(found >= number - 1 for number, found in enumerate(seen))


def test_a_file_is_closed_when_it_has_rows_enough(tmp_path: Path) -> None:
    lists = [[DELIVERED] * 40 for _ in range(5)]
    record(Records(ledger=str(tmp_path), max_file_rows=80), *lists)
    sizes = sorted(pq.ParquetFile(path).metadata.num_rows for path in tmp_path.rglob("*.parquet"))
    assert sizes == [40, 80, 80]


def test_dead_letters_are_what_was_rejected_undelivered_or_unknown(tmp_path: Path) -> None:
    record(Records(dead_letters=str(tmp_path)), EVERY)
    assert {(row["kind"], row["reason"]) for row in rows(tmp_path)} == {
        ("rejected", "missing_page_url"),
        ("rejected", "refused_by_tiktok"),
        ("undelivered", "outage"),
        ("unknown", "timed_out"),
    }


def test_a_dead_letter_holds_all_it_takes_to_send_it_again(tmp_path: Path) -> None:
    records = Records(dead_letters=str(tmp_path), run_id="r1", connection_name="c1", event_source_id="s1")
    record(records, [REFUSED])
    (path,) = tmp_path.rglob("*.parquet")
    assert pq.read_schema(path).equals(DEAD_LETTER_SCHEMA)
    (row,) = rows(tmp_path)
    times = {name: int(row.pop(name).timestamp() * 1_000) for name in ("event_time", "sent_time", "first_sent_time")}
    assert times == {
        "event_time": 1_718_900_000_000,
        "sent_time": 1_718_900_010_000,
        "first_sent_time": 1_718_900_005_000,
    }
    assert row.pop("recorded_time") is not None
    assert row == {
        "connection": "c1",
        "event_source_id": "s1",
        "kind": "rejected",
        "stage": "WriteToTikTok",
        "reason": "refused_by_tiktok",
        "detail": None,
        "code": 40_002,
        "message": "data.0.properties.value: invalid",
        "request_id": "log-2",
        "attempts": 3,
        "form": "legacy_pixel_batch_web",
        "event": "PlaceAnOrder",
        "event_id": "e4",
        "payload": f'{{"user":"{PAYLOAD_CANARY}","city":"München"}}',
        "match_keys": 3,
        "value": 12.5,
        "currency": "EUR",
        "notes": "missing_value,no_identifier",
        "input_ref": "f#4",
        "input_index": 0,
        "run_id": "r1",
        "mapping_version": "",
    }


def test_a_dead_letter_from_before_the_payload_has_its_reference_only(tmp_path: Path) -> None:
    record(Records(dead_letters=str(tmp_path)), [MISSING_URL])
    (row,) = rows(tmp_path)
    assert (row["input_ref"], row["input_index"], row["payload"], row["form"]) == ("f#3", 1, None, None)


def test_the_quarantine_holds_the_originals_of_what_was_rejected(tmp_path: Path) -> None:
    record(Records(quarantine=str(tmp_path / "q"), run_id="r1"), EVERY)
    (path,) = tmp_path.rglob("*.parquet")
    assert pq.read_schema(path).equals(QUARANTINE_SCHEMA)
    (row,) = rows(tmp_path)
    assert row["original"] == b'{"events":"' + ORIGINAL_CANARY.encode()
    assert (row["input_ref"], row["input_index"], row["reason"], row["run_id"]) == ("f#3", 1, "missing_page_url", "r1")


def test_the_quarantine_is_its_owners_alone_and_the_ledger_is_not(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        record(Records(ledger=str(tmp_path / "l"), quarantine=str(tmp_path / "q")), EVERY)
    finally:
        os.umask(before)
    modes = {
        name: {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / name, *(tmp_path / name).rglob("*"))}
        for name in ("l", "q")
    }
    assert modes == {"l": {0o755, 0o644}, "q": {0o700, 0o600}}


@pytest.mark.parametrize("kept", [DeadLetterRows({}), QuarantineRows({})], ids=["dead letters", "quarantine"])
def test_large_rows_do_not_pile_up(tmp_path: Path, kept: DeadLetterRows | QuarantineRows) -> None:
    large = msgspec.structs.replace(MISSING_URL, payload=b"x" * 500_000, original=b"x" * 500_000)
    with ThreadPoolExecutor(1) as pool:
        files = RowFiles(pool, str(tmp_path), kept, DEAD_LETTER_LAYOUT, "r1")
        assert [files.add([large] * 11) for _ in range(4)] == [False, False, False, True]


def test_what_cannot_be_written_fails_the_run_and_names_the_file(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.write_text("a file where the folder should be")
    with pytest.raises(WriteError, match=rf"cannot write {ledger}/date="):
        record(Records(ledger=str(ledger)), EVERY)


def test_folders_can_be_checked_before_anything_is_sent(tmp_path: Path) -> None:
    Records(ledger=str(tmp_path / "l"), dead_letters=str(tmp_path / "d"), quarantine=str(tmp_path / "q")).check()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["d", "l", "q"]
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="file"):
        Records(dead_letters=str(tmp_path / "file")).check()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ledger": "out/", "dead_letters": "out"}, "need a folder each"),
        ({"dead_letters": "out", "quarantine": "out"}, "need a folder each"),
        ({"flush_secs": 0}, "--ledger_flush_secs must be above 0, not 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Records(**settings)


def test_settings_and_transform_can_be_sent_to_workers() -> None:
    records = Records(ledger="gs://acme/ledger", run_id="r1")
    assert pickle.loads(pickle.dumps(RecordOutcomes(records))).records == records  # noqa: S301


def test_other_things_than_outcomes_are_refused_when_the_pipeline_is_built() -> None:
    pipeline = beam.Pipeline("FnApiRunner")
    with pytest.raises(beam.typehints.TypeCheckError):
        pipeline | beam.Create([b"an event"]) | RecordOutcomes(Records())


def test_the_progress_of_this_process_follows() -> None:
    before = PROGRESS.current()
    record(Records(), EVERY, [DELIVERED] * 10)
    now = PROGRESS.current()
    assert {kind: now[kind] - before[kind] for kind in Kind} == {
        Kind.DELIVERED: 11,
        Kind.SKIPPED: 1,
        Kind.REJECTED: 2,
        Kind.UNDELIVERED: 1,
        Kind.UNKNOWN: 1,
    }


def everything_in(folder: Path) -> str:
    """Returns names and contents of all files below a folder, of Parquet files also every value."""
    values = [repr(row) for row in rows(folder)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return "\n".join(values + [str(path) + path.read_bytes().decode("latin-1") for path in files])


def test_personal_data_stands_where_it_was_asked_for_and_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Payloads stand in dead letters only, originals in the quarantine only; logs, ledger and summary have neither."""
    folders = {name: tmp_path / name for name in ("ledger", "dead_letters", "quarantine")}
    records = Records(**{name: str(folder) for name, folder in folders.items()})
    with caplog.at_level(logging.DEBUG):
        result = record(records, EVERY)
    summary = summarize(read_counters(result.metrics()), 1.0, "r1")
    write_summary(summary, str(tmp_path / "summary" / "summary.json"))

    assert PAYLOAD_CANARY in everything_in(folders["dead_letters"])
    assert ORIGINAL_CANARY in everything_in(folders["quarantine"])
    clean = [everything_in(folders["ledger"]), everything_in(tmp_path / "summary"), repr(EVERY), repr(summary)]
    clean += [caplog.text, *capfd.readouterr(), repr(records), repr(RecordOutcomes(records))]
    assert not [text for text in clean if "canary" in text]
    assert ORIGINAL_CANARY not in everything_in(folders["dead_letters"])
    assert PAYLOAD_CANARY not in everything_in(folders["quarantine"])


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    file.write_text("")
    for path in (file, file / "below"):
        with pytest.raises(WriteError, match=f"{file} is a file, and a folder is needed"):
            Records(ledger=str(path), run_id="run").check()
