"""Writes the generated files of the Flex Templates, or names those that are not as they would be written.

    python -m templates.flex.generate                       # after a change of flags, connection or graph
    python -m templates.flex.generate --check               # what CI does
    python -m templates.flex.generate --image NAME --to DIR # container specs that can be copied to a bucket

In: the definition of the flags (`pipeline.launch`) and the graph of the stream. Out, beside this file:
`TEMPLATE/metadata.json`, `TEMPLATE.json` (container spec, with `${IMAGE}` in place of the image) and
`stream.graph.json`.

Source of the formats: Dataflow API v1b3, `TemplateMetadata` and `ContainerSpec` (google-cloud-dataflow-client 0.13.0,
read 2026-11-25).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.launch import TEMPLATES, TemplateParameter, parameters_of

FOLDER = Path(__file__).resolve().parent
IMAGE = "${IMAGE}"

_DESCRIPTIONS = {
    "stream": (
        "mParticle to TikTok, stream",
        "Sends mParticle's commerce events from a Pub/Sub subscription to TikTok's Events API, until it is drained.",
    ),
    "history": (
        "mParticle to TikTok, history",
        "Sends the commerce events of mParticle's files in Cloud Storage (Parquet, NDJSON) to TikTok's Events API.",
    ),
    "replay": (
        "mParticle to TikTok, replay",
        "Sends again what was not delivered to TikTok's Events API, from the dead letters of earlier jobs.",
    ),
}


def metadata(template: str) -> dict[str, Any]:
    """Returns the metadata of a template (`TemplateMetadata`)."""
    name, description = _DESCRIPTIONS[template]
    found: dict[str, Any] = {"name": name, "description": description}
    if template == "stream":
        # No default mode: one is valid only where both modes are supported.
        found |= {"streaming": True, "supportsAtLeastOnce": True, "supportsExactlyOnce": False}
    else:
        found["streaming"] = False
    found["parameters"] = [_parameter(parameter) for parameter in parameters_of(template)]
    return found


def container_spec(template: str, image: str) -> dict[str, Any]:
    """Returns the container spec of a template (`ContainerSpec`): one image for the launcher and the workers."""
    environment: dict[str, Any] = {"sdkContainerImage": image}
    if template == "stream":
        environment |= {"enableStreamingEngine": True, "streamingMode": "STREAMING_MODE_AT_LEAST_ONCE"}
    return {
        "image": image,
        "sdkInfo": {"language": "PYTHON"},
        "metadata": metadata(template),
        "defaultEnvironment": environment,
    }


def generated() -> dict[str, str]:
    """Returns the text of each generated file, by its path below this folder."""
    # Here, because it imports Beam.
    from templates.flex.graph import stream_graph

    files = {f"{template}/metadata.json": _text(metadata(template)) for template in TEMPLATES}
    files |= {f"{template}.json": _text(container_spec(template, IMAGE)) for template in TEMPLATES}
    return {**files, "stream.graph.json": _text(stream_graph())}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code: 1 if files are not as they would be written."""
    parser = argparse.ArgumentParser(
        description="Writes the generated files of the Flex Templates.", allow_abbrev=False
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a file would change")
    parser.add_argument("--image", help="write container specs of this image instead, for a bucket; needs --to")
    parser.add_argument("--to", type=Path, metavar="DIR", help="folder of the container specs of --image")
    arguments = parser.parse_args(argv)
    if (arguments.image is None) != (arguments.to is None):
        parser.error("--image and --to belong together")
    if arguments.image:
        specs = {f"{template}.json": _text(container_spec(template, arguments.image)) for template in TEMPLATES}
        return _write(specs, arguments.to)
    files = generated()
    return _check(files) if arguments.check else _write(files, FOLDER)


def _write(files: dict[str, str], folder: Path) -> int:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


def _check(files: dict[str, str]) -> int:
    """Names the files that are not as they would be written; the graph with what its change means."""
    changed = [name for name, text in files.items() if not _is(FOLDER / name, text)]
    for name in changed:
        sys.stderr.write(f"templates/flex/{name} is not what the code says. Run `make templates` and commit it.\n")
    if "stream.graph.json" in changed:
        sys.stderr.write(
            "A changed graph decides whether a running stream can be updated: a step that is only renamed needs "
            "--transform_name_mapping, one whose coder or state has changed makes --update lose or refuse its state. "
            "Review the difference; where it cannot be helped, drain the old job and start a new one.\n"
        )
    return 1 if changed else 0


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text("utf-8") == text


def _parameter(parameter: TemplateParameter) -> dict[str, Any]:
    """Returns one parameter (`ParameterMetadata`), without its empty fields."""
    fields = {
        "name": parameter.name,
        "label": parameter.label,
        "helpText": parameter.help_text,
        "paramType": parameter.param_type,
        "isOptional": parameter.is_optional,
        "groupName": parameter.group_name,
        "parentName": parameter.parent_name,
        "parentTriggerValues": list(parameter.parent_trigger_values),
        "regexes": list(parameter.regexes),
        "enumOptions": [{"value": option, "label": option} for option in parameter.enum_options],
        "defaultValue": parameter.default,
    }
    return {name: value for name, value in fields.items() if value not in (None, [])}


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
