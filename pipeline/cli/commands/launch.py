"""`launch`: starts a template on Dataflow, waits for it, updates or drains a stream, or stages a classic template."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from pipeline.errors import EXIT_FAILURE, EXIT_SETTLED, CommandError, UsageError
from pipeline.launch import (
    PARAMETER_PREFIX,
    TEMPLATES,
    JobOptions,
    TemplateParameter,
    add_template_flags,
    launch_parser,
    parameters_of,
    read_job_options,
)
from pipeline.wording import shown, suggestion

if TYPE_CHECKING:
    from google.cloud.dataflow_v1beta3 import types

    from pipeline.dataflow import Dataflow

_DESCRIPTION = """Starts the pipeline on Dataflow from a template in Cloud Storage, with flags of `run` and `replay`.

Everything that can be checked here is, before a machine is started. --wait waits until a stream runs or a batch has
ended: exit code 0 done, 1 failed or cancelled.

examples:
  tiktok-events launch stream --template gs://acme-tiktok/templates/stream.json --project acme-prod \\
      --region europe-west3 --connection gs://acme-tiktok/connection.yaml \\
      --subscription projects/acme-prod/subscriptions/mparticle --ledger gs://acme-tiktok/ledger --wait
  tiktok-events launch history --template gs://acme-tiktok/templates/history.json --project acme-prod \\
      --region europe-west3 --connection gs://acme-tiktok/connection.yaml --input 'gs://acme-export/**' --since -1d
  tiktok-events launch --drain tiktok-stream --project acme-prod --region europe-west3 --wait

`tiktok-events launch stream --help` lists the flags of a template."""

WriteLine = Callable[[str], None]


def execute(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    template, rest = _template(argv)
    known = parameters_of(template) if template else ()
    parser = launch_parser(f"launch {template or 'stream|history|replay'} --template PATH", _DESCRIPTION)
    add_template_flags(parser, known)
    arguments = parser.parse_strictly(rest)
    if template is None and arguments.drain is None:
        raise UsageError(f"launch: name what to start, {', '.join(TEMPLATES)}, or give --drain JOB.")
    options = read_job_options(arguments, template)
    if template is None or options.drain is not None:
        return _drain(options, template)
    if options.classic or options.stage:
        return _classic(options, template, arguments, known)
    return _flex(options, template, arguments, known)


def _template(argv: list[str]) -> tuple[str | None, list[str]]:
    """Returns the template's name, which stands first, and the other words."""
    if not argv or argv[0].startswith("-"):
        return None, argv
    word, *rest = argv
    if word not in TEMPLATES:
        known = ", ".join(TEMPLATES)
        raise UsageError(
            f"launch: {shown(word)} is no template; one of {known} is needed.{suggestion(word, TEMPLATES)}"
        )
    return word, rest


def _flex(
    options: JobOptions, template: str, arguments: argparse.Namespace, known: tuple[TemplateParameter, ...]
) -> int:
    # Only now: the commands that it runs are needed for their checks.
    from pipeline.launch import check_launch, given_parameters

    if options.template is None:
        raise UsageError(
            "--template is missing: name the container spec, such as gs://acme-tiktok/templates/stream.json."
        )
    given = given_parameters(arguments, known)
    check_launch(template, known, given)
    # Only now: a mistake is reported without loading Google's client library.
    from pipeline.dataflow import Dataflow
    from pipeline.launch import flex_parameter

    dataflow = Dataflow(options.project, options.region)
    _check_update(dataflow, options)
    job = dataflow.launch_flex(flex_parameter(options, given), validate_only=options.validate_only)
    return _started(dataflow, job, options, template)


def _classic(
    options: JobOptions, template: str, arguments: argparse.Namespace, known: tuple[TemplateParameter, ...]
) -> int:
    if not options.classic:
        raise UsageError(
            "--stage: stages a classic template; add --classic. A Flex Template is built with `make specs`."
        )
    if template != "stream":
        raise UsageError(f"--classic: only the stream has a classic template; launch {template} as a Flex Template.")
    if (options.stage is None) == (options.template is None):
        raise UsageError("--classic: give --stage PATH to write the template, or --template PATH to start it.")
    if options.stage is not None:
        return _stage(options, template, arguments, known)
    fixed = [name.removeprefix(PARAMETER_PREFIX) for name in vars(arguments) if name.startswith(PARAMETER_PREFIX)]
    fixed += [name for name in ("staging_location", "sdk_container_image") if getattr(options, name)]
    if fixed:
        raise UsageError(
            f"--{fixed[0]}: the values of a classic template are fixed when it is staged; stage it again with "
            "--classic --stage PATH, or use a Flex Template, which takes them at every launch."
        )
    from pipeline.dataflow import Dataflow
    from pipeline.launch import classic_parameters

    dataflow = Dataflow(options.project, options.region)
    _check_update(dataflow, options)
    path = options.template or ""
    job = dataflow.launch_classic(path, classic_parameters(options), validate_only=options.validate_only)
    return _started(dataflow, job, options, template)


def _stage(
    options: JobOptions, template: str, arguments: argparse.Namespace, known: tuple[TemplateParameter, ...]
) -> int:
    from pipeline.cli.commands.run import execute as run
    from pipeline.launch import check_launch, given_parameters, staging_words

    given = given_parameters(arguments, known)
    words = staging_words(options, given)
    if check_launch(template, known, given) is None:
        raise UsageError("--connection: a classic template holds its values, so it must be readable from here.")
    try:
        return run(words)
    except OSError as error:
        # Beam's text names its own objects, and a request's address.
        raise CommandError(
            f"the template cannot be written to {options.stage}, or the pipeline to {options.temp_location}: these "
            "buckets must exist, and this account needs roles/storage.objectUser on them."
        ) from error


def _check_update(dataflow: "Dataflow", options: JobOptions) -> None:
    """Refuses an update of nothing: a Flex Template would fail only after its launcher has started."""
    if options.update and dataflow.active(options.job_name) is None:
        raise UsageError(
            f"--update: no active job is named {options.job_name} in {options.region}; remove --update to start one, "
            "or name the running one with --job_name."
        )


def _started(dataflow: "Dataflow", job: "types.Job", options: JobOptions, template: str) -> int:
    """Writes what was started, waits for it if that is wanted, and returns the exit code."""
    from pipeline.dataflow import JOB_DONE, JOB_RUNNING

    write_line = _line_writer(options)
    if options.validate_only:
        write_line(f"Dataflow takes job {options.job_name}; nothing was started.")
        return EXIT_SETTLED
    shown_job = dataflow.shown(job)
    write_line(f"started {job.name}: {job.id}\n{shown_job.console_url}")
    if not options.wait:
        return _end(dataflow, job, options, EXIT_SETTLED)
    return _waited(dataflow, job, options, JOB_RUNNING if template == "stream" else JOB_DONE, write_line)


def _drain(options: JobOptions, template: str | None) -> int:
    if template is not None or options.template or options.update or options.validate_only:
        raise UsageError(
            "--drain: ends a stream and launches nothing; give it alone, then launch with a second command."
        )
    from google.cloud.dataflow_v1beta3 import types

    from pipeline.dataflow import FINAL_STATES, JOB_DRAINED, Dataflow, State, state_name

    write_line = _line_writer(options)
    dataflow = Dataflow(options.project, options.region)
    job = dataflow.find(options.drain or "")
    state = State(job.current_state)
    if job.type_ == types.JobType.JOB_TYPE_BATCH:
        raise CommandError(
            f"{job.name} is a batch, which ends by itself and cannot be drained. To stop it: "
            f"`gcloud dataflow jobs cancel {job.id} --region {dataflow.region} --project {dataflow.project}`, then "
            "start it again with --skip_delivered."
        )
    if state is State.JOB_STATE_UPDATED:
        raise CommandError(
            f"{job.id} was replaced by a newer job, which goes on; name that one: --drain "
            f"{job.replaced_by_job_id or job.name}."
        )
    if state in FINAL_STATES:
        write_line(f"{job.name}: {state_name(state)} already")
        return _end(dataflow, job, options, EXIT_SETTLED if state is JOB_DRAINED else EXIT_FAILURE)
    if state is not State.JOB_STATE_DRAINING:
        dataflow.drain(job.id)
    write_line(f"{job.name} drains: it reads nothing more, and ends once all that it has read is settled.")
    if not options.wait:
        return _end(dataflow, job, options, EXIT_SETTLED)
    return _waited(dataflow, job, options, JOB_DRAINED, write_line)


def _waited(
    dataflow: "Dataflow", job: "types.Job", options: JobOptions, wanted: "types.JobState", write_line: WriteLine
) -> int:
    from pipeline.dataflow import wait_for_state

    ended = wait_for_state(dataflow, job, wanted, write_line)
    code = EXIT_SETTLED if ended.current_state == wanted else EXIT_FAILURE
    return _end(dataflow, ended, options, code)


def _end(dataflow: "Dataflow", job: "types.Job", options: JobOptions, code: int) -> int:
    if options.json:
        sys.stdout.write(msgspec.json.encode(dataflow.shown(job)).decode() + "\n")
    return code


def _line_writer(options: JobOptions) -> WriteLine:
    """Returns what writes lines for people, to standard error if JSON goes to standard output."""
    stream = sys.stderr if options.json else sys.stdout

    def write_line(text: str) -> None:
        stream.write(f"{text}\n")
        stream.flush()

    return write_line
