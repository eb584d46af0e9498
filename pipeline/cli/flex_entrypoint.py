"""What Dataflow's launcher starts in the image of the Flex Templates: parameters in, the job object out.

The launcher calls `python main.py --NAME=VALUE …` with the template's parameters and with Beam's own flags (runner,
project, region, buckets, `--template_location`), and expects the program to end at once with 0. The three templates
share one image, and a container spec cannot name the program that it means, so what is given decides: a subscription is
a stream, files are history, dead letters alone are a replay.

Source: Dataflow, "Configure Flex Templates"; GoogleCloudPlatform/python-docs-samples,
dataflow/flex-templates/pipeline_with_dependencies (read 2026-11-25).
"""

import os
import re
import sys
from collections.abc import Sequence

from pipeline.cli import main as cli
from pipeline.errors import UsageError
from pipeline.launch import check_parameters, command_of, parameters_of

# Set when the image is built: its own name, which the workers of a job need.
IMAGE_VARIABLE = "TIKTOK_EVENTS_IMAGE"

_GIVEN = re.compile(r"--([A-Za-z_.]+)=(.*)", re.DOTALL)


def main(argv: Sequence[str] | None = None) -> int:
    """Describes the job that the parameters ask for and returns the exit code.

    Args:
      argv: the arguments without the program's name; None: those of the process.
    """
    try:
        arguments = job_arguments(sys.argv[1:] if argv is None else argv)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return cli.main(arguments)


def job_arguments(argv: Sequence[str]) -> list[str]:
    """Returns the command and its arguments.

    A parameter without a value counts as not given: a form hands on empty fields.

    Raises:
      UsageError: a parameter is missing or has a value that the template does not allow.
    """
    words = [word for word in argv if not re.fullmatch(r"--[A-Za-z_.]+=\s*|--streaming(?:=.*)?", word)]
    given = {found[1]: found[2] for word in words if (found := _GIVEN.fullmatch(word))}
    template = _template(given)
    names = {parameter.name for parameter in parameters_of(template)}
    check_parameters(template, {name: value for name, value in given.items() if name in names})
    if "sdk_container_image" not in given:
        image = os.environ.get(IMAGE_VARIABLE)
        if not image:
            raise UsageError(
                "sdk_container_image is missing: the workers need the image that this launcher runs in. Build it with "
                "--build-arg IMAGE=NAME, or write the container spec with `python -m templates.flex.generate --image`."
            )
        words.append(f"--sdk_container_image={image}")
    return [command_of(template), *words]


def _template(given: dict[str, str]) -> str:
    if "subscription" in given:
        return "stream"
    if given.get("input", "").startswith("gs://"):
        return "history"
    if "dead_letters" in given:
        return "replay"
    raise UsageError(
        "nothing to read was named: give subscription (stream), input (history; gs:// files) or dead_letters (replay)."
    )
