"""What a connection's custom mappings do with real events: those that none matches, and those that never give anything.

For `check --lint`. The events are of a sample of messages, else of the connection's cases.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from pipeline.authoring.cases import cases_of, message_of
from pipeline.config import item_path, places_in_file
from pipeline.errors import Finding
from pipeline.sources import read_local
from transforms.connection import Connection
from transforms.mapping import decode_message
from transforms.mapping.custom import TracedMapper, traced_mapper
from transforms.model import Message


def lint_mappings(connection: Connection, source: str, path: str | None, samples: Iterable[str]) -> list[Finding]:
    """Returns what to consider about the mappings.

    Args:
      connection: checked.
      source: the connection's name, for findings that have no line.
      path: the connection's file, beside which files of cases may be.
      samples: files of messages; none: the cases are the sample.
    """
    watch = traced_mapper(connection)
    if watch is None:
        return [Finding(source, "custom_mappings", "there are none, so there is nothing to lint.")]
    files = list(samples)
    if files:
        found = _findings(connection, watch, read_local(files), "event of the sample", "the sample")
    else:
        messages = [message_of(case) for case, _ in cases_of(path, connection.cases)]
        found = _findings(connection, watch, messages, "case", "the cases")
    places = places_in_file(path) if path is not None else {}
    # What may be one or a list of them has no item of its own where it is one.
    return [Finding(places.get(key) or places.get(key.rpartition("[")[0], source), key, text) for key, text in found]


def _findings(
    connection: Connection, watch: TracedMapper, messages: Iterable[Message], one: str, all_of_them: str
) -> Iterator[tuple[str, str]]:
    """Yields the path of a setting, and the remark about it."""
    matched: Counter[str] = Counter()
    sent: Counter[tuple[str, str]] = Counter()
    unused: dict[tuple[str, str], Counter[str]] = {}
    events = 0
    for message in messages:
        watch.seen.clear()
        decode_message(message, mapper=watch.mapper)
        events += len(watch.seen)
        for traces in watch.seen.values():
            for trace in traces:
                matched[trace.mapping] += trace.matched
                for event in trace.events:
                    pair = (trace.mapping, event.event)
                    sent[pair] += event.result == "sent"
                    unused.setdefault(pair, Counter())[event.result] += event.result != "sent"
    for position, label in enumerate(watch.labels):
        key = item_path("custom_mappings", position)
        if not matched[label]:
            text = f"{label}: no {one} matches it ({events} looked at). See `preview --explain` for what does not hold."
            yield key, text
            continue
        for place, target in enumerate(connection.custom_mappings[position].send):
            if not sent[label, target.event]:
                why = unused[label, target.event].most_common(1)[0][0]
                text = f"{label}: {matched[label]} of {all_of_them} match, and {target.event} is never sent: {why}."
                yield item_path(f"{key}.send", place), text
