"""mParticle's projections, the form in which its SDKs get custom mappings → custom mappings of a connection.

What comes out can be read as a connection's `custom_mappings`; what cannot be carried over is said, never dropped in
silence. Source: mparticle-android-sdk eb2b4c87, `CustomMapping.java` and `CustomMappingMatch.java`; the Apple SDK has
the same form.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from pipeline.mapping_rules import check_mappings
from pipeline.problems import Report, plain, shown, suggestion
from pipeline.projected import NotCarriedError, match_of, objects, parameters_of
from pipeline.sdkhashes import Names
from transforms.custom_mappings import CustomMapping
from transforms.mapping.tables import RETIRED_EVENTS, STANDARD_EVENTS


class Imported(NamedTuple):
    """What became of projections.

    Attributes:
      mappings: as a connection's file writes them.
      left_out: what could not be carried over, a sentence each.
    """

    mappings: list[dict[str, Any]]
    left_out: list[str]


def import_projections(document: Any, names: Names) -> Imported:
    """Returns the mappings of projections.

    Args:
      document: projections as a list, one alone, or an SDK's configuration around them (`pr`, `eks[].pr`).
      names: what hashes stand for.
    """
    mappings: list[dict[str, Any]] = []
    left_out: list[str] = []
    for position, projection in enumerate(_projections(document)):
        title = f"projection {_id(projection, position)}" if isinstance(projection, dict) else f"entry {position + 1}"
        try:
            mapping, remarks = _mapping(projection, title, names)
        except NotCarriedError as reason:
            left_out.append(f"{title}: {reason}")
            continue
        remarks += _made_valid(mapping, mappings)
        left_out += [f"{title}: {remark}" for remark in remarks]
        if mapping:
            mappings.append(mapping)
    return Imported(mappings, left_out)


def _projections(document: Any) -> Iterator[Any]:
    """Yields the projections of a document, wherever it keeps them."""
    if isinstance(document, list):
        for entry in document:
            yield from _projections(entry) if isinstance(entry, dict) and _is_around(entry) else (entry,)
    elif isinstance(document, dict):
        if not _is_around(document):
            yield document
            return
        for key in ("pr", "projections", "eks"):
            if isinstance(document.get(key), list):
                yield from _projections(document[key])


def _id(projection: dict[str, Any], position: int) -> str:
    """Returns what a projection is called, on one line; its position from 1 if it has no id."""
    given = projection.get("id")
    return " ".join(str(given).split()) if isinstance(given, str | int) else str(position + 1)


def _is_around(entry: dict[str, Any]) -> bool:
    return "action" not in entry and any(isinstance(entry.get(key), list) for key in ("pr", "projections", "eks"))


def _mapping(projection: Any, title: str, names: Names) -> tuple[dict[str, Any], list[str]]:
    """Returns a projection as a mapping, and remarks on what it could not say; `title` becomes part of its name.

    Raises:
      NotCarriedError: no mapping can mean the same.
    """
    if not isinstance(projection, dict) or not isinstance(projection.get("action"), dict):
        raise NotCarriedError("it is no projection (no `action`).")
    behavior = projection.get("behavior") or projection.get("behaviors") or {}
    if not isinstance(behavior, dict):
        raise NotCarriedError("its `behavior` is no object.")
    if behavior.get("is_default"):
        raise NotCarriedError("it is the default projection; the default mapping of this program takes its place.")
    action = projection["action"]
    event = _event(action.get("projected_event_name"))
    match = match_of(projection, names)
    parameters, remarks = parameters_of(objects(action, "attribute_maps"), match["message_type"], names)
    if behavior.get("append_unmapped_as_is"):
        remarks.append("append_unmapped_as_is: TikTok takes known parameters only, so no others are sent.")
    reads_products = any(
        key in setting for setting in parameters.values() for key in ("product_field", "product_attribute")
    )
    if reads_products and behavior.get("selector") == "last":
        remarks.append("selector last: the event is sent with all products, not with the last one.")
    elif reads_products:
        remarks.append("one event is sent with all products in `contents`, where the SDK sends one event for each.")
    mapping: dict[str, Any] = {
        "name": f"{event} ({title})",
        "match": match,
        "send": event,
    }
    if parameters:
        mapping["parameters"] = parameters
    return mapping, remarks


def _event(name: Any) -> str:
    known = {plain(event): event for event in (*STANDARD_EVENTS, *RETIRED_EVENTS)}
    event = known.get(plain(name)) if isinstance(name, str) else None
    if event is None:
        said = shown(name) if isinstance(name, str) else "nothing"
        hint = suggestion(name, known.values()) if isinstance(name, str) else ""
        raise NotCarriedError(f"it sends {said}, which is no event of TikTok.{hint}")
    return event


def _made_valid(mapping: dict[str, Any], others: list[dict[str, Any]]) -> list[str]:
    """Takes out of a mapping what a connection would refuse, the mapping itself (emptied) if need be; says what."""
    remarks = []
    while mapping:
        own = f"custom_mappings[{len(others) + 1}]"
        report = Report()
        check_mappings([msgspec.convert(_typed(one), CustomMapping) for one in (*others, mapping)], {}, report)
        problem = next((one for one in report.problems if one.key.startswith(own)), None)
        if problem is None:
            break
        inner = problem.key.removeprefix(f"{own}.").split(".")
        parameter = inner[1] if inner[0] == "parameters" and len(inner) > 1 else None
        if parameter in mapping.get("parameters", {}) and not mapping["parameters"][parameter].get("required"):
            remarks.append(f"parameter {parameter} left out: {problem.text}")
            del mapping["parameters"][parameter]
            if not mapping["parameters"]:
                del mapping["parameters"]
        else:
            remarks.append(problem.text)
            mapping.clear()
    return remarks


def _typed(mapping: dict[str, Any]) -> dict[str, Any]:
    """Returns a mapping as its struct is converted from: one event is a list of one."""
    return {**mapping, "send": [{"event": mapping["send"]}]}
