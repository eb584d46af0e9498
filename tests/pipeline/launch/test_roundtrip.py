"""What a launch is given reaches the pipeline unchanged, for every parameter of every template.

`launch` → the request that Dataflow got → the command line of the Flex launcher → the options of the run; the same
flags given to `run` make the same options.
"""

from collections.abc import Callable, Sequence

import msgspec
import pytest
from dataflow import Dataflow
from launching import BUCKET, CONNECTION, NASTY, TOKEN, Done

from pipeline.arguments.replay import parse_replay
from pipeline.arguments.run import parse_run
from pipeline.cli import flex_entrypoint as flex
from pipeline.launch.template_parameters import TEMPLATES, parameters_of
from pipeline.options import RunOptions

Launch = Callable[..., Done]

# Flags that others need.
COMPANIONS = {
    "max_batch_events": ["--enable_web_migration", "--event_source_type", "web"],
    "date_partition": ["--since", "-1d"],
    "partition_slack": ["--since", "-1d", "--date_partition"],
    "skip_delivered": ["--ledger", "gs://acme-tiktok/ledger"],
    "resend_unknown": ["--skip_delivered", "--ledger", "gs://acme-tiktok/ledger"],
    "ledger_memory_mb": ["--skip_delivered", "--ledger", "gs://acme-tiktok/ledger"],
}
# Further values: template, name, value.
FURTHER = [
    *((template, "connection", f"gs://{BUCKET}/{NASTY}") for template in TEMPLATES),
    *((template, "ledger", f"gs://acme-tiktok/{NASTY}") for template in TEMPLATES),
    *((template, "consent", "{gdpr_purpose: \"a, b='c' = ü\", gdpr_missing: drop}") for template in TEMPLATES),
    *((template, "event_names", "{purchase: Purchase, add_to_cart: AddToCart}") for template in TEMPLATES),
    *((template, "codes", "{40050: success, 40002: invalid}") for template in TEMPLATES),
    *((template, "event_source_type", "Legacy Pixel Batch Web") for template in TEMPLATES),
    *((template, "enable_web_migration", "FALSE") for template in TEMPLATES),
    *((template, "consent.gdpr_missing", "drop") for template in TEMPLATES),
    *((template, "access_token", TOKEN) for template in TEMPLATES),
    ("history", "input", f"gs://acme-export/{NASTY},gs://acme-export/**"),
    ("history", "strict_files", "false"),
    ("history", "layout", "Raw JSON"),
    ("stream", "quarantine", f"gs://acme-restricted/{NASTY}"),
    ("replay", "dead_letters", f"gs://acme-tiktok/{NASTY}"),
]


def required(template: str, name: str) -> list[str]:
    """Returns the flags without which the template cannot be launched, but for one."""
    examples = {one.name: one.example for one in parameters_of(template) if not one.is_optional}
    examples["connection"] = CONNECTION
    return [f"--{other}={value}" for other, value in examples.items() if other != name]


def options_of(template: str, words: Sequence[str]) -> RunOptions:
    """Returns what a command line asks for, without what differs between two starts."""
    parse = parse_replay if template == "replay" else parse_run
    options = parse([*words, "--runner=DataflowRunner"])
    given = any(word.startswith("--run_id") for word in words)
    rounded = {
        name: round(value / 600_000)
        for name in ("since_ms", "until_ms", "recorded_since_ms", "recorded_until_ms")
        if (value := getattr(options, name, None)) is not None
    }
    run_id = options.run_id if given else "made up"
    return msgspec.structs.replace(options, run_id=run_id, beam_args=(), runner="", **rounded)


def values(template: str) -> list[tuple[str, str]]:
    """Returns name and value of each parameter, then what more is tried."""
    examples = [(one.name, CONNECTION if one.name == "connection" else one.example) for one in parameters_of(template)]
    return [*examples, *((name, value) for other, name, value in FURTHER if other == template)]


def objection(dataflow: Dataflow, launch: Launch, template: str, name: str, value: str) -> str | None:
    """Returns what is wrong with how a value has arrived, None if nothing is."""
    words = [*required(template, name), f"--{name}={value}", *COMPANIONS.get(name, ())]
    if template == "replay":
        words = [word for word in words if word != "--skip_delivered"]
    dataflow.jobs.clear()  # The job of the value before has the same name.
    done = launch(template, "--template", f"gs://acme-tiktok/templates/{template}.json", *words)
    if done.code:
        return f"not launched: {done.err}"
    sent = dict(dataflow.flex[-1].launch_parameter.parameters)
    # As Dataflow's launcher calls it: Source: "Configure Flex Templates", parameters are --NAME=VALUE.
    command, *rest = flex.job_arguments([*(f"--{key}={text}" for key, text in sent.items()), "--sdk_container_image=i"])
    if command != ("replay" if template == "replay" else "run"):
        return f"starts {command}"
    if options_of(template, rest) != options_of(template, words):
        return f"arrives as {sent}"
    return None


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_value_reaches_the_pipeline_unchanged(dataflow: Dataflow, launch: Launch, template: str) -> None:
    assert len(values(template)) > 40
    wrong = {
        f"--{name}={value}": said
        for name, value in values(template)
        if (said := objection(dataflow, launch, template, name, value))
    }
    assert wrong == {}


def test_several_inputs_and_reasons_are_one_parameter(dataflow: Dataflow, launch: Launch) -> None:
    inputs = ["--input", "gs://acme-export/a,b/**", "--input", "gs://acme-export/*.gz"]
    words = [*required("history", "input"), *inputs]
    done = launch("history", "--template", "gs://acme-tiktok/templates/history.json", *words)
    assert done.code == 0, done.err
    sent = dict(dataflow.flex[-1].launch_parameter.parameters)
    _, *rest = flex.job_arguments([*(f"--{key}={text}" for key, text in sent.items()), "--sdk_container_image=i"])
    assert options_of("history", rest) == options_of("history", words)
    assert options_of("history", rest).inputs == ("gs://acme-export/a,b/**", "gs://acme-export/*.gz")


def test_a_lone_switch_is_true(dataflow: Dataflow, launch: Launch) -> None:
    words = [*required("history", ""), "--drop_duplicates", "--strict_files", "--enable_web_migration"]
    done = launch("history", "--template", "gs://acme-tiktok/templates/history.json", *words)
    assert done.code == 0, done.err
    sent = dict(dataflow.flex[-1].launch_parameter.parameters)
    assert (sent["drop_duplicates"], sent["strict_files"], sent["enable_web_migration"]) == ("true", "true", "true")
