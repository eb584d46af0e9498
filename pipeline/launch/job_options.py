"""The flags of `launch`: those of the job, checked, and those of the template, as parameters."""

import argparse
import json
import os
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import msgspec

from pipeline.arguments import StrictParser, SwitchText, add_verbose_flag, settings, whole_number
from pipeline.config import read_text
from pipeline.errors import ConfigurationError, UsageError
from pipeline.launch.template_parameters import TemplateParameter
from pipeline.wording import shown

# Keeps the template's flags apart from the job's in the parsed namespace.
PARAMETER_PREFIX = "parameter:"

# Source: Dataflow API v1b3, `Job.name` and `Job.labels` (google-cloud-dataflow-client 0.13.0, read 2026-11-25).
_JOB_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,1022}[a-z0-9])?")
_LABELS = 64
_LABEL_CHARACTERS = 63
_LABEL_BYTES = 128

# Source: Resource Manager API v3, `Project.project_id`; with the domain of older projects.
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_REGION = re.compile(r"[a-z]+-[a-z]+\d{1,2}")
_ZONE = re.compile(r"[a-z]+-[a-z]+\d{1,2}-[a-z]")
_BUCKET_PATH = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](?:/\S*)?")
_ACCOUNT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# Source: Dataflow API v1b3, `RuntimeEnvironment.subnetwork`.
_SUBNETWORK = re.compile(r"(?:https://\S+/projects/[^/\s]+/)?regions/[^/\s]+/subnetworks/[^/\s]+")
_KEY = re.compile(r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+")
_WORD = re.compile(r"\S+")

# Flag → the form of its value, and an example.
_TEXT_FORMS = {
    "project": (_PROJECT, "acme-prod"),
    "region": (_REGION, "europe-west3"),
    "job_name": (_JOB_NAME, "tiktok-stream (small letters, digits and -)"),
    "template": (_BUCKET_PATH, "gs://acme-tiktok/templates/stream.json"),
    "stage": (_BUCKET_PATH, "gs://acme-tiktok/templates/stream-classic"),
    "temp_location": (_BUCKET_PATH, "gs://acme-tiktok-temp/temp"),
    "staging_location": (_BUCKET_PATH, "gs://acme-tiktok-temp/staging"),
    "service_account_email": (_ACCOUNT, "tiktok-worker@acme-prod.iam.gserviceaccount.com"),
    "network": (_WORD, "default"),
    "subnetwork": (_SUBNETWORK, "regions/europe-west3/subnetworks/private"),
    "kms_key_name": (_KEY, "projects/acme-prod/locations/europe-west3/keyRings/main/cryptoKeys/dataflow"),
    "machine_type": (_WORD, "n2-standard-2"),
    "worker_zone": (_ZONE, "europe-west3-b"),
    "sdk_container_image": (_WORD, "europe-docker.pkg.dev/acme-prod/tiktok/events:1"),
}
_NUMBERS = ("num_workers", "max_workers")
_MOST_WORKERS = 4000


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of Dataflow, apart from what the pipeline does.

    Attributes: as the flags, checked; `transform_names` is `--transform_name_mapping` read.
    """

    project: str
    region: str
    job_name: str
    template: str | None = None
    stage: str | None = None
    classic: bool = False
    drain: str | None = None
    update: bool = False
    transform_names: dict[str, str] = {}
    wait: bool = False
    validate_only: bool = False
    json: bool = False
    labels: dict[str, str] = {}
    temp_location: str | None = None
    staging_location: str | None = None
    service_account_email: str | None = None
    network: str | None = None
    subnetwork: str | None = None
    no_public_ips: bool = False
    kms_key_name: str | None = None
    machine_type: str | None = None
    num_workers: int | None = None
    max_workers: int | None = None
    worker_zone: str | None = None
    sdk_container_image: str | None = None
    additional_experiments: tuple[str, ...] = ()
    dataflow_service_options: tuple[str, ...] = ()


def launch_parser(synopsis: str, description: str) -> StrictParser:
    """Returns the parser with the job's flags, to which `add_template_flags` adds those of a template."""
    parser = StrictParser(synopsis, description)
    add_verbose_flag(parser)
    _add_job_flags(parser)
    return parser


def _add_job_flags(parser: StrictParser) -> None:
    """Adds what is asked of Dataflow."""
    group = parser.flag_group("launch")
    group.add_argument(
        "--template", metavar="PATH", help="gs:// path of the container spec, or of the classic template"
    )
    group.add_argument("--classic", action="store_true", help="a classic template (stream only) instead of a Flex one")
    group.add_argument("--stage", metavar="PATH", help="with --classic: write the template there, and start nothing")
    group.add_argument(
        "--drain", metavar="JOB", help="end a running stream, by name or id: nothing is lost or launched"
    )
    group.add_argument("--update", action="store_true", help="replace the running stream of this --job_name")
    group.add_argument(
        "--transform_name_mapping", metavar="JSON|FILE", help="with --update: old names of steps to new ones"
    )
    group.add_argument(
        "--wait", action="store_true", help="until a stream runs, a batch has ended, or a drained stream has ended"
    )
    group.add_argument("--validate_only", action="store_true", help="check here and let Dataflow check; start nothing")
    group.add_argument("--json", action="store_true", help="the job as one JSON object, for programs")
    job = parser.flag_group("job")
    job.add_argument("--project", metavar="ID", help="of the job (default: GOOGLE_CLOUD_PROJECT)")
    job.add_argument("--region", metavar="NAME", help="of the job, such as europe-west3 (default: GOOGLE_CLOUD_REGION)")
    job.add_argument(
        "--job_name",
        metavar="NAME",
        help="one active job has a name (default: tiktok-TEMPLATE, so that no two of a kind run by mistake)",
    )
    job.add_argument("--label", action="append", metavar="KEY=VALUE", help="of the job; may be given several times")
    for name, (_, example) in _TEXT_FORMS.items():
        if name not in ("project", "region", "job_name", "template", "stage"):
            job.add_argument(f"--{name}", metavar="TEXT", help=f"of the workers; example: {example}")
    job.add_argument("--no_public_ips", action="store_true", help="workers have private addresses only")
    for name in _NUMBERS:
        job.add_argument(f"--{name}", type=whole_number(1, _MOST_WORKERS), metavar="N", help="of the job")
    for name in ("additional_experiments", "dataflow_service_options"):
        job.add_argument(f"--{name}", action="append", metavar="TEXT", help="for Dataflow; may be given several times")


def add_template_flags(parser: StrictParser, parameters: Sequence[TemplateParameter]) -> None:
    """Adds the flags of `run` or `replay` that are parameters of a template."""
    group = parser.flag_group("pipeline", "As the flags of `run` and `replay`; files are in Cloud Storage.")
    nested = [setting.name for setting in settings() if "." in setting.name]
    for parameter in parameters:
        arguments: dict[str, Any] = {"dest": f"{PARAMETER_PREFIX}{parameter.name}", "default": argparse.SUPPRESS}
        if parameter.param_type == "BOOLEAN":
            arguments["action"] = "store_true"
        elif parameter.enum_options == ("true", "false"):
            arguments["action"] = SwitchText
        else:
            arguments |= {"action": "append", "metavar": "TEXT"}
        group.add_argument(f"--{parameter.name}", help=parameter.help_text.replace("%", "%%"), **arguments)
        for name in nested:
            if name.startswith(f"{parameter.name}."):
                text = f"a key of --{parameter.name} alone"
                group.add_argument(
                    f"--{name}", dest=f"{PARAMETER_PREFIX}{name}", default=argparse.SUPPRESS, metavar="TEXT", help=text
                )


def read_job_options(arguments: argparse.Namespace, template: str | None) -> JobOptions:
    """Returns what is asked of Dataflow.

    Args:
      arguments: parsed.
      template: `stream`, `history` or `replay`; None: nothing is launched.

    Raises:
      UsageError: a value cannot be used, or flags do not go together.
    """
    given: dict[str, Any] = {
        "project": arguments.project or os.environ.get("GOOGLE_CLOUD_PROJECT"),
        "region": arguments.region or os.environ.get("GOOGLE_CLOUD_REGION"),
        "job_name": f"tiktok-{template or 'stream'}" if arguments.job_name is None else arguments.job_name,
    }
    for name in ("project", "region"):
        if not given[name]:
            raise UsageError(f"--{name} is missing; give it, such as --{name} {_TEXT_FORMS[name][1]}.")
    given |= {name: getattr(arguments, name) for name in _TEXT_FORMS if name not in given}
    for name, (form, example) in _TEXT_FORMS.items():
        value = given[name]
        if value is not None and not form.fullmatch(value):
            raise UsageError(f"--{name}: {shown(value)} is not allowed; a value such as {example} is needed.")
    given |= {name: getattr(arguments, name) for name in _NUMBERS}
    options = JobOptions(
        **{name: value for name, value in given.items() if value is not None},
        classic=arguments.classic,
        drain=arguments.drain,
        update=arguments.update,
        transform_names=_transform_names(arguments.transform_name_mapping),
        wait=arguments.wait,
        validate_only=arguments.validate_only,
        json=arguments.json,
        labels=_labels(arguments.label or ()),
        no_public_ips=arguments.no_public_ips,
        additional_experiments=_words(arguments.additional_experiments),
        dataflow_service_options=_words(arguments.dataflow_service_options),
    )
    _check_together(options, template)
    return options


def _check_together(options: JobOptions, template: str | None) -> None:
    """Refuses flags that do not go together.

    Raises:
      UsageError: with the remedy.
    """
    if options.drain is not None and not options.drain.strip():
        raise UsageError("--drain: is empty; give the name or the id of the stream, such as tiktok-stream.")
    if (options.num_workers or 0) > (options.max_workers or _MOST_WORKERS):
        raise UsageError(
            f"--num_workers: {options.num_workers} is above --max_workers {options.max_workers}; lower it, or raise "
            "the other."
        )
    if options.transform_names and not options.update:
        raise UsageError("--transform_name_mapping: belongs to --update; add it, or remove the mapping.")
    if options.update and template != "stream":
        raise UsageError("--update: only a stream can be updated; remove it.")
    if options.wait and options.validate_only:
        raise UsageError("--wait and --validate_only: nothing is started that could be waited for; give one of them.")


def _labels(texts: Sequence[str]) -> dict[str, str]:
    """Returns labels by key.

    >>> _labels(["team=growth", "stage="])
    {'team': 'growth', 'stage': ''}

    Raises:
      UsageError: one is none that Google Cloud allows.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key or unicodedata.category(key[0]) not in ("Ll", "Lo") or not _is_label(key, value):
            raise UsageError(
                f"--label: {shown(text)} is not allowed; KEY=VALUE of small letters, digits, _ and - is needed, at "
                f"most {_LABEL_CHARACTERS} each, and the key begins with a letter."
            )
        if key in found:
            raise UsageError(f"--label: {shown(key)} is given twice.")
        found[key] = value
    if len(found) > _LABELS:
        raise UsageError(f"--label: {len(found)} are given; a job has at most {_LABELS}.")
    return found


def _is_label(*words: str) -> bool:
    return all(
        len(word) <= _LABEL_CHARACTERS
        and len(word.encode()) <= _LABEL_BYTES
        and all(sign in "_-" or unicodedata.category(sign) in ("Ll", "Lo", "Nd", "Nl", "No") for sign in word)
        for word in words
    )


def _words(texts: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(word.strip() for text in texts or () for word in text.split(",") if word.strip())


def _transform_names(text: str | None) -> dict[str, str]:
    """Returns names of steps of the new stream by those of the running one, from JSON or a file with it."""
    if text is None:
        return {}
    try:
        found = json.loads(text if text.lstrip().startswith("{") else read_text(text))
    except ConfigurationError as error:
        raise UsageError(f"--transform_name_mapping: {shown(text)} is neither JSON nor a file.\n{error}") from None
    except json.JSONDecodeError as error:
        raise UsageError(f"--transform_name_mapping: no JSON (line {error.lineno}, column {error.colno}).") from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise UsageError('--transform_name_mapping: names by names are needed, such as {"OldStep": "NewStep"}.')
    return found
