"""The flags of `run` about streams: their names, and what cannot go together."""

import argparse
import re
from collections.abc import Sequence

from pipeline.arguments.flag_types import number_above_zero
from pipeline.arguments.parser import StrictParser
from pipeline.errors import UsageError
from pipeline.wording import shown

# Where a stream can run: on Dataflow, or in this process.
_LOCAL_RUNNERS = ("FnApiRunner", "PrismRunner")

# Source: Pub/Sub, "Resource names".
_RESOURCE_NAME = re.compile(r"projects/[a-z0-9.:-]{6,}/(subscriptions|topics)/[A-Za-z][A-Za-z0-9._~+%-]{2,254}")

# What is about files only: flag, and what it is when it was not given.
FILE_FLAGS = {
    "layout": "auto",
    "column": None,
    "strict_files": False,
    "date_partition": False,
    "dry_run": False,
    "skip_delivered": False,
    "drop_duplicates": False,
}


def add_stream_flags(parser: StrictParser) -> None:
    """Adds the flags."""
    group = parser.flag_group("stream", "Instead of files; SIGTERM and Ctrl-C end it after what was read.")
    group.add_argument("--subscription", metavar="NAME", help="projects/PROJECT/subscriptions/NAME, read until stopped")
    group.add_argument(
        "--topic", metavar="NAME", help="projects/PROJECT/topics/NAME: a subscription is made, and removed at the end"
    )
    group.add_argument(
        "--max_messages", type=number_above_zero(int), metavar="N", help="end after so many messages (default: never)"
    )
    group.add_argument(
        "--max_seconds", type=number_above_zero(float), metavar="SECONDS", help="end after so long (default: never)"
    )


def is_stream(arguments: argparse.Namespace, runner: str, beam_args: Sequence[str], has_files: bool) -> bool:
    """Returns whether a stream is read, and refuses what cannot work with one, or without.

    Args:
      arguments: parsed.
      runner: Beam's name.
      beam_args: flags for Beam.
      has_files: `--input` names some.

    Raises:
      UsageError: a name cannot be used, or flags do not go together.
    """
    _check_name("--subscription", arguments.subscription, "subscriptions")
    _check_name("--topic", arguments.topic, "topics")
    _check_name("--dead_letter_topic", arguments.dead_letter_topic, "topics")
    if not (arguments.subscription or arguments.topic):
        for flag in ("max_messages", "max_seconds"):
            if getattr(arguments, flag) is not None:
                raise UsageError(f"--{flag} is for streams; give --subscription too, or remove it.")
        return False
    if arguments.subscription and arguments.topic:
        raise UsageError("--subscription and --topic: give one of them.")
    if has_files:
        raise UsageError("--input and --subscription: one run reads files or a stream; start two.")
    for flag, unset in FILE_FLAGS.items():
        # On Dataflow it means the check of a graph.
        is_graph_check = flag == "dry_run" and runner == "DataflowRunner"
        if getattr(arguments, flag) != unset and not is_graph_check:
            raise UsageError(f"--{flag} is for files; remove it from a stream.")
    _check_runner(arguments, runner, beam_args)
    return True


def _check_runner(arguments: argparse.Namespace, runner: str, beam_args: Sequence[str]) -> None:
    if runner == "DataflowRunner":
        for flag in ("max_messages", "max_seconds"):
            if getattr(arguments, flag) is not None:
                raise UsageError(f"--{flag}: a stream on Dataflow ends with `launch --drain JOB`; remove it.")
        if any("streaming_mode_exactly_once" in word for word in beam_args):
            raise UsageError(
                "--dataflow_service_options streaming_mode_exactly_once: remove it. A stream runs at least once: event "
                "ids make a repeat harmless, and a request that was sent cannot be taken back."
            )
        return
    if runner not in _LOCAL_RUNNERS:
        raise UsageError(
            f"--runner {runner} cannot read a stream safely: a cancelled job loses messages that it has acknowledged. "
            "Use DataflowRunner, or DirectRunner in this process; for files it works."
        )
    if any("multi_processing" in word for word in beam_args):
        raise UsageError(
            "--direct_running_mode multi_processing: a stream needs one process, which knows what is not acknowledged "
            "yet; remove it, and start several runs on the same subscription instead."
        )


def _check_name(flag: str, name: str | None, kind: str) -> None:
    if name is None:
        return
    found = _RESOURCE_NAME.fullmatch(name)
    if found is None or found[1] != kind:
        raise UsageError(f"{flag}: {shown(name)} is no full name, such as projects/acme-prod/{kind}/mparticle.")
