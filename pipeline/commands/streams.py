"""The flags of `run` that are about streams: their names, and which pairs cannot work."""

import argparse
import re
from collections.abc import Sequence
from typing import Any

from pipeline.problems import UsageError, shown

# Where a stream can run: on Dataflow, or in this process. Source: Pub/Sub, "Resource names", for the form of names.
_LOCAL_RUNNERS = ("FnApiRunner", "PrismRunner")
_NAME = re.compile(r"projects/[a-z0-9.:-]{6,}/(subscriptions|topics)/[A-Za-z][A-Za-z0-9._~+%-]{2,254}")

# What is about files only: flag, and what it is when it was not given.
OF_FILES = {
    "layout": "auto",
    "column": None,
    "strict_files": False,
    "date_partition": False,
    "dry_run": "false",
    "skip_delivered": False,
    "drop_duplicates": False,
}


def add_stream_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags."""
    group = parser.add_argument_group("stream", "Instead of files; SIGTERM and Ctrl-C end it after what was read.")
    group.add_argument("--subscription", metavar="NAME", help="projects/PROJECT/subscriptions/NAME, read until stopped")
    group.add_argument(
        "--topic", metavar="NAME", help="projects/PROJECT/topics/NAME: a subscription is made, and removed at the end"
    )
    group.add_argument("--max_messages", metavar="N", help="end after so many messages (default: never)")
    group.add_argument("--max_seconds", metavar="SECONDS", help="end after so long (default: never)")


def read_stream(
    arguments: argparse.Namespace, runner: str, beam_args: Sequence[str], has_files: bool
) -> dict[str, Any]:
    """Returns the fields of `RunOptions` that are about a stream; none if files are read.

    Args:
      arguments: parsed.
      runner: Beam's name.
      beam_args: flags for Beam.
      has_files: `--input` names some.

    Raises:
      UsageError: a name or number cannot be used, or flags that do not go together.
    """
    _check_name("--subscription", arguments.subscription, "subscriptions")
    _check_name("--topic", arguments.topic, "topics")
    _check_name("--dead_letter_topic", arguments.dead_letter_topic, "topics")
    if not (arguments.subscription or arguments.topic):
        for flag in ("max_messages", "max_seconds"):
            if getattr(arguments, flag) is not None:
                raise UsageError(f"--{flag} is for streams; give --subscription too, or remove it.")
        return {}
    if arguments.subscription and arguments.topic:
        raise UsageError("--subscription and --topic: give one of them.")
    if has_files:
        raise UsageError("--input and --subscription: one run reads files or a stream; start two.")
    for flag, unset in OF_FILES.items():
        # On Dataflow it means the check of a graph.
        is_graph_check = flag == "dry_run" and runner == "DataflowRunner"
        if getattr(arguments, flag) != unset and not is_graph_check:
            raise UsageError(f"--{flag} is for files; remove it from a stream.")
    _check_runner(arguments, runner, beam_args)
    return {
        "subscription": arguments.subscription,
        "topic": arguments.topic,
        "max_messages": _number("--max_messages", arguments.max_messages, int),
        "max_seconds": _number("--max_seconds", arguments.max_seconds, float),
    }


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
    found = _NAME.fullmatch(name)
    if found is None or found[1] != kind:
        raise UsageError(f"{flag}: {shown(name)} is no full name, such as projects/acme-prod/{kind}/mparticle.")


def _number(flag: str, text: str | None, kind: type[int] | type[float]) -> float | None:
    if text is None:
        return None
    try:
        number = kind(text)
    except ValueError:
        number = 0
    if not 0 < number < 1e12:
        raise UsageError(f"{flag}: {shown(text)} is not allowed; a number above 0 is needed.")
    return number
