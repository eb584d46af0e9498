"""The command line of `run`: everything that can be refused is refused before anything starts."""

import datetime
import time
from pathlib import Path

import msgspec
import pytest

from pipeline.arguments.connection_flags import settings
from pipeline.arguments.replay import parse_replay
from pipeline.arguments.run import parse_run
from pipeline.errors import ConfigurationError, UsageError
from pipeline.options import RunOptions, beam_runner, new_run_id
from transforms.connection import Connection, Consent

CONNECTION = ["--event_source_id", "A1", "--access_token", "env:TIKTOK_TOKEN"]
FILES = ["--input", "exports/*.parquet"]


def refusal(*argv: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_run([*argv])
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # Beam's own DirectRunner tries to download a binary first.
        ("DirectRunner", "FnApiRunner"),
        ("direct", "FnApiRunner"),
        ("FnApiRunner", "FnApiRunner"),
        ("DataflowRunner", "DataflowRunner"),
        ("dataflow", "DataflowRunner"),
        ("FlinkRunner", "FlinkRunner"),
        ("prismrunner", "PrismRunner"),
        ("PortableRunner", "PortableRunner"),
    ],
)
def test_the_word_after_runner_is_ours_to_read(given: str, expected: str) -> None:
    assert beam_runner(given) == expected


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("DatflowRunner", 'Did you mean "DataflowRunner"?'),
        ("FlinkRuner", 'Did you mean "FlinkRunner"?'),
        ("BundleBasedDirectRunner", "is not supported"),
        ("SwitchingDirectRunner", "is not supported"),
        ("apache_beam.runners.direct.direct_runner.DirectRunner", "is not supported"),
        ("", "is not supported"),
    ],
)
def test_an_unknown_runner_is_refused_with_the_nearest_name(given: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        beam_runner(given)
    assert hint in str(caught.value)


def test_a_run_takes_its_defaults() -> None:
    options = parse_run([*CONNECTION, *FILES, "--run_id", "r1"])
    assert options == RunOptions(
        connection=Connection(event_source_id="A1", access_token="env:TIKTOK_TOKEN"),
        inputs=("exports/*.parquet",),
        ledger=None,
        dead_letters=None,
        quarantine=None,
        summary=None,
        since_ms=None,
        until_ms=None,
        ledger_flush_secs=10.0,
        strict_files=False,
        runner="DirectRunner",
        beam_args=(),
        layout="auto",
        column=None,
        progress=None,
        run_id="r1",
    )


def test_a_run_takes_every_flag(tmp_path: Path) -> None:
    path = tmp_path / "connection.yaml"
    path.write_text("event_source_id: A1\naccess_token: env:OTHER\ninput: web\n")
    options = parse_run(
        [
            *["--connection", str(path), "--access_token", "env:TIKTOK_TOKEN", "--consent.ccpa_opt_out", "limit"],
            *["--enable_web_migration", "--input", "a.parquet", "--input", "gs://b/*.gz", "--ledger", "ledger"],
            *["--dead_letters", "dead", "--quarantine", "quarantine", "--summary", "summary.json"],
            *["--since", "2024-06-20", "--until", "2024-06-21", "--timezone", "Europe/Berlin"],
            *["--ledger_flush_secs", "2.5", "--strict_files", "--runner", "dataflow", "--layout", "nested-batch"],
            *["--column", "payload", "--no_progress", "--run_id", "r1"],
            *["--project", "acme-prod", "--temp_location=gs://b/tmp", "--save_main_session"],
        ]
    )
    assert options == RunOptions(
        connection=Connection(
            event_source_id="A1",
            access_token="env:TIKTOK_TOKEN",
            input="web",
            enable_web_migration=True,
            consent=Consent(ccpa_opt_out="limit"),
        ),
        inputs=("a.parquet", "gs://b/*.gz"),
        ledger="ledger",
        dead_letters="dead",
        quarantine="quarantine",
        summary="summary.json",
        since_ms=1718834400000,
        until_ms=1718920800000,
        ledger_flush_secs=2.5,
        strict_files=True,
        runner="dataflow",
        beam_args=("--project", "acme-prod", "--temp_location=gs://b/tmp", "--save_main_session"),
        layout="nested_batch",
        column="payload",
        progress=False,
        run_id="r1",
    )


def test_the_words_of_the_key_input_are_the_connection_s_and_the_others_are_files() -> None:
    options = parse_run([*CONNECTION, "--input", "feed", "--input", "exports/feed"])
    assert options.connection.input == "feed"
    assert options.inputs == ("exports/feed",)


def test_every_run_has_a_name_of_its_own_that_sorts_by_time() -> None:
    now = datetime.datetime(2024, 6, 20, 10, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    assert new_run_id(now).startswith("20240620T080000Z-")
    assert new_run_id(now) != new_run_id(now)
    assert parse_run([*CONNECTION, *FILES]).run_id != parse_run([*CONNECTION, *FILES]).run_id


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--inptu", "x"], "unknown flag --inptu. Did you mean --input?"),
        (["--evnt_source_id", "x"], "unknown flag --evnt_source_id. Did you mean --event_source_id?"),
        (["--event-source-id", "x"], "unknown flag --event-source-id. Did you mean --event_source_id?"),
        (["--numworkers", "3"], "unknown flag --numworkers. Did you mean --num_workers?"),
        (["--temp_locaton=gs://b/t"], "unknown flag --temp_locaton. Did you mean --temp_location?"),
        (["--led", "x"], "unknown flag --led. Did you mean --ledger?"),
        (["-x"], "unknown flag -x."),
        (["stray.parquet"], 'unexpected argument "stray.parquet".'),
        (["--num_workers", "many"], "invalid int value: 'many' (a flag of Beam's)"),
        (["--dry_run=maybe"], "--dry_run: this value is not allowed; true, false or nothing is needed."),
        (["--prices", "p.yaml"], "--prices: works with --dry_run only"),
        (["--date_partition"], "--date_partition: needs --since or --until"),
        (["--partition_slack", "1d"], "--partition_slack: works with --date_partition only"),
        (["--since", "-1d", "--date_partition", "--partition_slack", "soon"], '"soon" is no duration, such as 1d'),
        (["--streaming"], "files are read as a batch, a --subscription as a stream"),
        (["--subscription", "projects/acme-prod/subscriptions/orders"], "one run reads files or a stream"),
        (["--topic", "orders"], '"orders" is no full name, such as projects/acme-prod/topics/mparticle'),
        (["--max_messages", "5"], "--max_messages is for streams"),
        (["--dead_letter_topic", "x"], '"x" is no full name, such as projects/acme-prod/topics/mparticle'),
        (["--runner", "PrismRunner"], "give --prism_location PATH"),
        (["--runner", "SparkRunner"], '"SparkRunner" is not supported'),
        (["--layout", "nested_batchs"], 'Did you mean "nested_batch"?'),
        (["--ledger", ""], "--ledger is empty: give a path, or leave the flag out"),
        (["--summary", " "], "--summary is empty"),
        (["--ledger_flush_secs", "soon"], '"soon" is not allowed; a number of seconds from 0.1 to 3600 is needed.'),
        (["--ledger_flush_secs", "0"], '"0" is not allowed'),
        (["--since"], "argument --since: expected one argument"),
        (["--skip_delivered"], "--skip_delivered needs --ledger"),
        (["--ledger", "ledger", "--resend_unknown"], "--resend_unknown belongs to --skip_delivered"),
        (["--ledger_memory_mb", "lots"], '--ledger_memory_mb: "lots" is not allowed; a whole number from 0'),
        (["--ledger_memory_mb", "-1"], "--ledger_memory_mb"),
        (["--since", "yesterday"], '--since: "yesterday" is no ISO 8601 date or time'),
        (["--until", "2024-06-31"], '--until: "2024-06-31" is no ISO 8601 date or time'),
        (["--since", "-999999d"], '--since: "-999999d" lies outside the calendar'),
        (["--timezone", "Europe/Berln"], '--timezone: "Europe/Berln" is no time zone, such as Europe/Berlin. Did you'),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_mistake_is_refused_with_its_remedy(argv: list[str], said: str) -> None:
    assert said in refusal(*CONNECTION, *FILES, *argv)


DRY_RUNS = pytest.mark.parametrize(
    ("flags", "expected"),
    [([], False), (["--dry_run"], True), (["--dry_run=True"], True), (["--dry_run", "no"], False)],
)


@pytest.mark.parametrize("runner", ["DirectRunner", "FlinkRunner"])
@DRY_RUNS
def test_dry_run_is_ours_where_the_run_is_waited_for(runner: str, flags: list[str], expected: bool) -> None:
    """Beam knows a flag of that name, which all runners but Dataflow ignore: events would be sent."""
    options = parse_run([*CONNECTION, *FILES, "--runner", runner, *flags])
    assert options.dry_run is expected
    assert options.beam_args == ()


@pytest.mark.parametrize("what", [FILES, ["--subscription", "projects/acme-prod/subscriptions/orders"]])
@DRY_RUNS
def test_on_dataflow_a_dry_run_is_the_check_of_the_graph(what: list[str], flags: list[str], expected: bool) -> None:
    options = parse_run([*CONNECTION, *what, "--runner", "DataflowRunner", "--project=acme-prod", *flags])
    assert options.dry_run is False
    assert ("--dry_run=True" in options.beam_args) is expected
    assert [word for word in options.beam_args if word.startswith("--project")] == ["--project=acme-prod"]


def test_files_and_reasons_of_a_template_arrive_in_one_value() -> None:
    """Commas divide names only where a new gs:// begins, because a name may hold one."""
    joined = "--input=gs://a/x,y.gz,gs://b/{1,2}/*, gs://c/"
    assert parse_run([*CONNECTION, joined, "--input", "d,e.json"]).inputs == (
        "gs://a/x,y.gz",
        "gs://b/{1,2}/*",
        "gs://c/",
        "d,e.json",
    )
    replay = parse_replay(
        [*CONNECTION, "--dead_letters=d", "--reason=outage,throttled", "--reason", "Missing Page URL"]
    )
    assert replay.reasons == {"outage", "throttled", "missing_page_url"}


@pytest.mark.parametrize("flag", ["skip_delivered", "drop_duplicates", "strict_files"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--{}", True),
        ("--{}=true", True),
        ("--{} yes", True),
        ("--{}=FALSE", False),
        ("--{} false", False),
        ("--{} --{}=no", False),
        ("", False),
    ],
)
def test_a_switch_may_say_true_or_false(flag: str, given: str, expected: bool) -> None:
    options = parse_run([*CONNECTION, *FILES, "--ledger=ledger", *given.replace("{}", flag).split()])
    assert getattr(options, flag) is expected


def test_a_switch_takes_no_other_word_and_repeats_none() -> None:
    assert refusal(*CONNECTION, *FILES, "--strict_files=act.Canary") == (
        "--strict_files: this value is not allowed; true, false or nothing is needed."
    )
    assert "unexpected argument" in refusal(*CONNECTION, *FILES, "--strict_files", "other.json")


def test_a_stream_on_dataflow_runs_at_least_once() -> None:
    exactly = "--dataflow_service_options=streaming_mode_exactly_once"
    said = refusal(*CONNECTION, *STREAM, "--runner", "DataflowRunner", exactly)
    assert "event ids make a repeat harmless" in said


def test_a_dry_run_needs_no_token() -> None:
    assert parse_run(["--event_source_id", "A1", *FILES, "--dry_run"]).connection.access_token is None


def test_a_duration_before_now_may_stand_behind_its_flag() -> None:
    before = time.time() * 1000
    options = parse_run([*CONNECTION, *FILES, "--since", "-36h", "--until=-1h", "--date_partition"])
    assert options.since_ms is not None
    assert options.until_ms is not None
    assert options.until_ms - options.since_ms == 35 * 3_600_000
    assert 0 <= options.until_ms + 3_600_000 - before < 60_000
    assert options.partition_slack_ms == 86_400_000


def test_several_processes_are_allowed_for_files() -> None:
    argv = ["--direct_running_mode", "multi_processing", "--direct_num_workers", "2"]
    assert parse_run([*CONNECTION, *FILES, *argv]).beam_args == tuple(argv)


def test_an_experiment_that_loses_events_is_refused() -> None:
    said = refusal(*CONNECTION, *FILES, "--experiments=data_buffer_time_limit_ms=100")
    assert said == "--experiments data_buffer_time_limit_ms: remove it; Beam loses parts of events with it."


def test_a_run_needs_files_and_a_token() -> None:
    assert refusal(*CONNECTION).startswith("--input is missing")
    assert refusal("--event_source_id", "A1", *FILES).startswith("access_token is missing")


def test_several_unknown_flags_are_told_together_without_their_values() -> None:
    text = refusal(*CONNECTION, *FILES, "--acess_token", "act.Canary", "--tset_event_code=act.Canary", "--ledgre", "x")
    assert text == (
        "tiktok-events run: unknown flag --acess_token. Did you mean --access_token?\n"
        "tiktok-events run: unknown flag --tset_event_code. Did you mean --test_event_code?\n"
        "tiktok-events run: unknown flag --ledgre. Did you mean --ledger?"
    )


def test_a_bare_token_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_run(["--event_source_id", "A1", "--access_token", "act.Canary", *FILES])
    assert "act.Canary" not in str(caught.value)


def test_no_flag_of_ours_hides_one_of_beam_s() -> None:
    """`--runner` and `--dry_run` are read by us on purpose; every other flag of Beam's must reach it."""
    from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

    from pipeline.arguments.run import run_parser

    beam = _BeamArgumentParser(allow_abbrev=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(beam)
    assert set(run_parser().flag_names()) & set(beam._option_string_actions) == {"--runner", "--help", "--dry_run"}


def test_every_key_of_a_connection_is_a_flag_of_a_run() -> None:
    from pipeline.arguments.run import run_parser

    keys = {field.name for field in msgspec.structs.fields(Connection)}
    assert keys <= {setting.name for setting in settings()}
    assert {f"--{setting.name}" for setting in settings()} <= set(run_parser().flag_names())


STREAM = ["--subscription", "projects/acme-prod/subscriptions/orders"]


def test_a_stream_takes_its_bounds_and_no_files() -> None:
    options = parse_run([*CONNECTION, *STREAM, "--max_messages", "10", "--max_seconds", "1.5"])
    assert (options.inputs, options.subscription) == ((), STREAM[1])
    assert (options.max_messages, options.max_seconds) == (10, 1.5)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--topic", "projects/acme-prod/topics/orders"], "--subscription and --topic: give one of them"),
        (["--layout", "raw_json"], "--layout is for files"),
        (["--strict_files"], "--strict_files is for files"),
        (["--max_messages", "0"], '--max_messages: "0" is not allowed'),
        (["--max_messages", "many"], '--max_messages: "many" is not allowed'),
        (["--max_seconds", "nan"], '--max_seconds: "nan" is not allowed'),
        (["--runner", "FlinkRunner"], "cannot read a stream safely"),
        (["--runner", "PortableRunner"], "cannot read a stream safely"),
        (["--runner", "DataflowRunner", "--max_seconds", "5"], "launch --drain JOB"),
        (["--direct_running_mode=multi_processing"], "start several runs on the same subscription"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_a_stream_cannot_do_is_refused_with_its_remedy(argv: list[str], said: str) -> None:
    assert said in refusal(*CONNECTION, *STREAM, *argv)


def test_the_check_of_a_graph_needs_a_reference_to_the_token() -> None:
    """The step that sends is part of the graph."""
    said = refusal("--event_source_id", "A1", *FILES, "--runner", "DataflowRunner", "--dry_run")
    assert "access_token is missing" in said


def test_what_was_sent_before_is_left_out_if_that_is_wanted() -> None:
    options = parse_run([*CONNECTION, *FILES])
    assert (options.skip_delivered, options.resend_unknown, options.drop_duplicates) == (False, False, False)
    assert options.ledger_memory_mb == 512
    flags = ["--ledger", "ledger", "--skip_delivered", "--resend_unknown", "--drop_duplicates"]
    options = parse_run([*CONNECTION, *FILES, *flags, "--ledger_memory_mb", "64"])
    assert (options.skip_delivered, options.resend_unknown, options.drop_duplicates) == (True, True, True)
    assert options.ledger_memory_mb == 64
