"""The graph of the stream as Dataflow gets it, reduced to what the update of a running job depends on.

Dataflow carries the state of a running job over to its successor by the full names of steps, and reads it with the
coders it was written with. Both are here, one entry a step, so that a change is seen in review and not in production.

Source: Dataflow, "Upgrade a streaming pipeline", compatibility check of jobs (read 2026-11-25).
"""

from typing import Any, get_args

import msgspec
from apache_beam.portability.api import beam_runner_api_pb2

from pipeline.arguments import parse_run
from pipeline.jobs import build_graph, plan_stream
from transforms.coders import Value

# With everything that adds a step to a stream.
_FLAGS = (
    "--event_source_id=A1T8T4UYGVIQA8ORZMX9",
    "--access_token=projects/acme-prod/secrets/tiktok-token/versions/latest",
    "--subscription=projects/acme-prod/subscriptions/mparticle",
    "--ledger=gs://acme-tiktok/ledger",
    "--dead_letters=gs://acme-tiktok/dead-letters",
    "--quarantine=gs://acme-tiktok-restricted/quarantine",
    "--runner=DataflowRunner",
    "--dry_run",
)


def stream_graph() -> dict[str, Any]:
    """Returns the steps that hold no other steps, in the order of their names, and what `ValueCoder` encodes.

    Values are encoded as lists, so the order of their fields is part of the coder, and a field without a default makes
    what is in flight unreadable.
    """
    _, options, add_steps = plan_stream(parse_run(list(_FLAGS)))
    graph, context = build_graph(options, add_steps)
    coders = {name: str(context.coders.get_by_id(name)) for name in graph.components.coders}
    steps = graph.components.transforms.values()
    entries = [_entry(step, graph.components, coders) for step in steps if not step.subtransforms]
    values = {kind.__name__: _fields(kind) for kind in get_args(Value)}
    return {"steps": sorted(entries, key=lambda entry: str(entry["step"])), "values": values}


def _fields(kind: Any) -> list[str]:
    """Returns the fields of a value in the order of its encoding; those that may be missing with a question mark."""
    fields = msgspec.structs.fields(kind)
    return [field.encode_name if field.required else f"{field.encode_name}?" for field in fields]


def _entry(step: Any, components: Any, coders: dict[str, str]) -> dict[str, Any]:
    """Returns one step: full name, kind, coders of what comes in and goes out, state and timers."""
    entry: dict[str, Any] = {"step": step.unique_name, "urn": step.spec.urn}
    for side, collections in (("in", step.inputs), ("out", step.outputs)):
        found = {tag: coders[components.pcollections[name].coder_id] for tag, name in sorted(collections.items())}
        if found:
            entry[side] = sorted(found.values()) if side == "in" else found
    if step.spec.urn == "beam:transform:pardo:v1":
        entry |= _state(beam_runner_api_pb2.ParDoPayload.FromString(step.spec.payload), coders)
    return entry


def _state(payload: Any, coders: dict[str, str]) -> dict[str, Any]:
    """Returns name, kind and coder of each state, and each timer with its clock."""
    states = {}
    for name, spec in sorted(payload.state_specs.items()):
        kind = spec.WhichOneof("spec")
        inner = getattr(spec, kind)
        fields = ("coder_id", "element_coder_id", "accumulator_coder_id", "key_coder_id", "value_coder_id")
        found = [coders[getattr(inner, field)] for field in fields if getattr(inner, field, "")]
        states[name] = f"{kind}: {', '.join(found)}"
    domain = beam_runner_api_pb2.TimeDomain.Enum
    timers = {name: domain.Name(spec.time_domain) for name, spec in sorted(payload.timer_family_specs.items())}
    return {key: value for key, value in (("state", states), ("timers", timers)) if value}
