"""Reading from Google Cloud Storage through Beam's file system, against a stand-in that speaks its protocol."""

import gzip
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.internal.gcp.auth import _Credentials
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to

from pipeline.sources.read_messages import ReadMessages
from pipeline.sources.reader import FilePart, divide, iter_messages, read
from pipeline.storage import FileInfo, NoInputError, expand_patterns
from transforms.counters import NAMESPACE
from transforms.model import Message, Outcome

OPTIONS = ["--runner=FnApiRunner"]
BUCKET = "gs://mparticle-exports"


def _server() -> ModuleType:
    """Returns the module that builds and starts the server."""
    path = Path(__file__).parents[2] / "servers" / "gcs_server.py"
    spec = importlib.util.spec_from_file_location("gcs_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def storage() -> Iterator[Any]:
    """Runs a server and yields a client of it; Beam's file system uses the same server."""
    server = _server()
    with pytest.MonkeyPatch.context() as patch:
        try:
            with server.running() as url:
                patch.setenv("STORAGE_EMULATOR_HOST", url)
                # Anonymous at once: Beam looks for credentials for half a minute, whatever its options say.
                patch.setattr(_Credentials, "_credentials_init", True)
                FileSystems.set_options(PipelineOptions(OPTIONS))
                from google.cloud.storage import Client

                client = Client.create_anonymous_client()
                client.create_bucket("mparticle-exports")
                yield client
        except server.ServerUnavailableError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def bucket(storage: Any) -> Any:
    """Yields a bucket with exports as mParticle and others leave them."""
    bucket = storage.bucket("mparticle-exports")
    lines = b"".join(b'{"mpid": "%d"}\n' % number for number in range(5))
    for name, content in {
        "2024-06-20/AcmeStore_1.txt": lines,
        "2024-06-20/AcmeStore_2.txt.gz": gzip.compress(lines),
        "2024-06-21/AcmeStore_1.txt": lines,
        "2024-06-21/": b"",
        "2024-06-21/_SUCCESS": b"",
        "mParticle_Bucket_Verification_20240620-161530.txt": b"{}",
        "parquet/event_date=2024-06-20/raw.parquet": table(
            {"batch_json": [f'{{"mpid": "{n}"}}' for n in range(2_500)]}
        ),
        "parquet/event_date=2024-06-21/nested.parquet": nested(),
        "parquet/_temporary/0/half.parquet": b"PAR1",
        "damaged/cut.parquet": table({"batch_json": ["{}"] * 10})[:-9],
        "damaged/cut.txt.gz": gzip.compress(lines)[:-9],
    }.items():
        bucket.blob(name).upload_from_string(content)
    return bucket


def table(columns: dict[str, Any], **options: Any) -> bytes:
    """Returns a Parquet file."""
    target = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), target, **options)
    return bytes(target.getvalue())


def nested() -> bytes:
    """Returns a Parquet file of nested batches with two row groups."""
    events = [[{"event_type": "screen_view", "data": {"event_id": number}}] for number in range(300)]
    return table({"events": events, "ip": ["192.0.2.1"] * 300, "mpid": list(range(300))}, row_group_size=200)


def names(*patterns: str) -> list[str]:
    """Returns what patterns match, without the bucket."""
    return [file.path.removeprefix(f"{BUCKET}/") for file in expand_patterns([f"{BUCKET}/{p}" for p in patterns])]


def everything(path: str) -> tuple[list[Message], list[Outcome]]:
    """Returns all messages and all outcomes of an object."""
    items = list(read(FilePart(path)))
    return (
        [message for item in items if isinstance(item, list) for message in item],
        [item for item in items if isinstance(item, Outcome)],
    )


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("2024-06-20/AcmeStore_1.txt", ["2024-06-20/AcmeStore_1.txt"]),
        ("2024-06-21", ["2024-06-21/AcmeStore_1.txt"]),
        ("2024-06-20/", ["2024-06-20/AcmeStore_1.txt", "2024-06-20/AcmeStore_2.txt.gz"]),
        ("2024-06-2?/*_1.txt", ["2024-06-20/AcmeStore_1.txt", "2024-06-21/AcmeStore_1.txt"]),
        ("*.txt", ["mParticle_Bucket_Verification_20240620-161530.txt"]),
        (
            "parquet/**",
            ["parquet/event_date=2024-06-20/raw.parquet", "parquet/event_date=2024-06-21/nested.parquet"],
        ),
        ("**/raw.parquet", ["parquet/event_date=2024-06-20/raw.parquet"]),
    ],
)
def test_patterns_match_objects_as_they_match_files(bucket: Any, pattern: str, found: list[str]) -> None:
    assert names(pattern) == found


def test_sizes_come_with_the_listing(bucket: Any) -> None:
    assert expand_patterns([f"{BUCKET}/2024-06-21/*"]) == [FileInfo(f"{BUCKET}/2024-06-21/AcmeStore_1.txt", 70)]


@pytest.mark.parametrize("pattern", ["nothing.txt", "2024-07-*/**", "nowhere/"])
def test_a_pattern_without_an_object_is_refused_by_its_name(bucket: Any, pattern: str) -> None:
    with pytest.raises(NoInputError, match="matches no file"):
        names("2024-06-20/", pattern)


def test_a_bucket_that_does_not_exist_is_refused(bucket: Any) -> None:
    with pytest.raises(NoInputError, match=r"--input gs://no-such-bucket/\*\*: cannot be listed \(NotFound\)"):
        expand_patterns(["gs://no-such-bucket/**"])


def test_lines_and_gzip_are_read(bucket: Any) -> None:
    for name in ("AcmeStore_1.txt", "AcmeStore_2.txt.gz"):
        path = f"{BUCKET}/2024-06-20/{name}"
        assert everything(path) == (
            [Message(f"{path}#{number}", b'{"mpid": "%d"}' % number) for number in range(5)],
            [],
        )


def test_gzip_that_is_declared_as_encoding_is_read(bucket: Any) -> None:
    blob = bucket.blob("encoded/AcmeStore_1.txt")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(b'{"a": 1}\n'), content_type="text/plain")
    path = f"{BUCKET}/encoded/AcmeStore_1.txt"
    assert everything(path) == ([Message(f"{path}#0", b'{"a": 1}')], [])


def test_nested_parquet_is_read_by_columns(bucket: Any) -> None:
    path = f"{BUCKET}/parquet/event_date=2024-06-21/nested.parquet"
    messages, outcomes = everything(path)
    assert not outcomes
    assert [message.ref for message in messages] == [f"{path}#{row}" for row in range(300)]
    assert json.loads(messages[299].data) == {
        "events": [{"event_type": "screen_view", "data": {"event_id": 299}}],
        "ip": "192.0.2.1",
        "mpid": 299,
    }


def test_a_large_object_is_divided_by_row_groups(bucket: Any) -> None:
    (file,) = expand_patterns([f"{BUCKET}/parquet/**/nested.parquet"])
    parts = divide(file, part_bytes=100)
    assert parts == [FilePart(file.path, (0, 1), 0), FilePart(file.path, (1, 2), 200)]
    messages = [message for part in parts for item in read(part) if isinstance(item, list) for message in item]
    assert messages == [message for batch in iter_messages(file) for message in batch]


@pytest.mark.parametrize(
    ("name", "detail"),
    [("damaged/cut.parquet", "truncated"), ("damaged/cut.txt.gz", "truncated"), ("gone.txt", "not_found")],
)
def test_an_object_that_cannot_be_read_gives_one_outcome(bucket: Any, name: str, detail: str) -> None:
    path = f"{BUCKET}/{name}"
    _, outcomes = everything(path)
    assert [(outcome.ref, outcome.detail) for outcome in outcomes] == [(path, detail)]


def test_a_pipeline_reads_a_bucket(bucket: Any) -> None:
    pipeline = beam.Pipeline(options=PipelineOptions(OPTIONS))
    result = pipeline | ReadMessages([f"{BUCKET}/2024-06-20/*", f"{BUCKET}/parquet", f"{BUCKET}/damaged/*.parquet"])
    refs = result.messages | "Ref" >> beam.Map(_ref)
    assert_that(
        refs,
        equal_to(
            [f"{BUCKET}/2024-06-20/AcmeStore_1.txt#{row}" for row in range(5)]
            + [f"{BUCKET}/2024-06-20/AcmeStore_2.txt.gz#{row}" for row in range(5)]
            + [f"{BUCKET}/parquet/event_date=2024-06-20/raw.parquet#{row}" for row in range(2_500)]
            + [f"{BUCKET}/parquet/event_date=2024-06-21/nested.parquet#{row}" for row in range(300)]
        ),
        label="Messages",
    )
    assert_that(
        result.outcomes | "OutcomeRef" >> beam.Map(_ref),
        equal_to([f"{BUCKET}/damaged/cut.parquet"]),
        label="Outcomes",
    )
    run = pipeline.run()
    run.wait_until_finish()
    counters = run.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    assert {entry.key.metric.name: entry.committed for entry in counters} == {
        "files": 5,
        "file_parts": 5,
        "rows": 2_810,
        "units": 1,
    }


# What this project asks of the stand-in, and of Beam's file system on it: outputs are written, moved and removed.


def test_files_are_written_moved_and_removed_through_beam(bucket: Any) -> None:
    first, second = f"{BUCKET}/out/a.tmp", f"{BUCKET}/out/a.parquet"
    with FileSystems.create(first, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        file.write(b"content")
    FileSystems.rename([first], [second])
    assert not FileSystems.exists(first)
    with FileSystems.open(second, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        assert file.read() == b"content"
    FileSystems.delete([second])
    assert not FileSystems.exists(second)


def test_an_object_is_deleted_only_in_the_generation_that_was_meant(bucket: Any) -> None:
    from google.api_core.exceptions import PreconditionFailed

    blob = bucket.blob("locks/run")
    blob.upload_from_string(b"mine")
    generation = blob.generation
    with pytest.raises(PreconditionFailed):
        blob.delete(if_generation_match=generation + 1)
    blob.delete(if_generation_match=generation)
    assert not blob.exists()


def _ref(item: Message | Outcome) -> str:
    return item.ref
