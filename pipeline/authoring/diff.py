"""Two connections over the same messages: what each would send, and where they differ. No value of a person is kept.

Events of the two request forms are compared by meaning: the fields of the legacy form get the names that Events API 2.0
has for them. Fields are counted once for each event, whatever the number of its contents.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from transforms.connection import Connection
from transforms.mapping import converter
from transforms.model import Message, Outcome, Payload
from transforms.tiktok import endpoint_path
from transforms.vocabulary import Form, MatchKey

# Fields of the legacy form → the same in Events API 2.0. Source: `transforms.mapping.tiktok_json`.
_RENAMED = {
    "context.ad.callback": "user.ttclid",
    "context.page.url": "page.url",
    "context.page.referrer": "page.referrer",
    "context.user.external_id": "user.external_id",
    "context.user.phone_number": "user.phone",
    "context.user.email": "user.email",
    "context.user.ttp": "user.ttp",
    "context.user_agent": "user.user_agent",
    "context.ip": "user.ip",
    "properties.contents[].content_type": "properties.content_type",
}
# Only one of the forms has them, or they are written in another way: no difference of two connections.
_OF_THE_FORM = frozenset({"type", "timestamp", "event_time", "properties.content_ids[]", "properties.contents[].brand"})

# Fields with few values, which reveal nothing about a person: their values are shown. `request` is the endpoint.
_SHOWN = frozenset({"request", "event", "properties.currency", "properties.content_type", "limited_data_use"})
_MOST_SHOWN = 5

_INDEX = re.compile(r"\[\d+\]")

_KEYS = {key: str(key.name).lower() for key in MatchKey}


class MappedSide(msgspec.Struct, frozen=True):
    """What one connection makes of the messages.

    Attributes:
      connection: its file.
      outcomes: `sent`, `skipped: REASON`, `rejected: REASON` → events.
      events: TikTok event → events that would be sent.
      value: currency (`none` without one) → sum of the values.
      coverage: TikTok event → match key → share of the events that have it.
    """

    connection: str
    outcomes: dict[str, int]
    events: dict[str, int]
    value: dict[str, float]
    coverage: dict[str, dict[str, float]]


class Change(msgspec.Struct, frozen=True):
    """A value or an outcome that is another in B, and how often."""

    a: Any
    b: Any
    count: int


class FieldDifference(msgspec.Struct, frozen=True):
    """A field that differs among the events that both would send.

    Attributes:
      field: path, in the words of Events API 2.0.
      changed: events in which both have it, with other values.
      only_a: events in which only A has it.
      only_b: events in which only B has it.
      values: the most frequent changes; of harmless fields only.
    """

    field: str
    changed: int
    only_a: int
    only_b: int
    values: list[Change] = []


class Differences(msgspec.Struct, frozen=True):
    """What `diff` found.

    Attributes:
      messages: how many were mapped.
      units: their events, and messages without events.
      equal: units that end alike, byte for byte if they are sent.
      moved: outcomes that are others in B.
      fields: what differs in the events that both would send.
    """

    messages: int
    units: int
    equal: int
    a: MappedSide
    b: MappedSide
    moved: list[Change]
    fields: list[FieldDifference]


MappingResult = Payload | Outcome


def compare(messages: Iterable[Message], first: tuple[str, Connection], second: tuple[str, Connection]) -> Differences:
    """Returns where two connections differ.

    Args:
      messages: what to map; read once.
      first: file and connection A.
      second: file and connection B.
    """
    converters = converter(first[1]), converter(second[1])
    tallies = _Tally(first[0]), _Tally(second[0])
    moved: Counter[tuple[str, str]] = Counter()
    fields: defaultdict[str, Counter[str]] = defaultdict(Counter)
    values: defaultdict[str, Counter[tuple[Any, Any]]] = defaultdict(Counter)
    count = units = equal = 0
    for message in messages:
        count += 1
        for pair in _pairs(*(convert(message) for convert in converters)):
            units += 1
            labels = tuple(map(_label, pair))
            for tally, result in zip(tallies, pair, strict=True):
                tally.add(result)
            a, b = pair
            if isinstance(a, Payload) and isinstance(b, Payload):
                found = list(_changes(a, b))
                for name, kind, before, after in found:
                    fields[name][kind] += 1
                    if name in _SHOWN:
                        values[name][before, after] += 1
                equal += not found
            elif labels[0] == labels[1]:
                equal += 1
            if labels[0] != labels[1]:
                moved[labels[0], labels[1]] += 1
    return Differences(
        messages=count,
        units=units,
        equal=equal,
        a=tallies[0].side(),
        b=tallies[1].side(),
        moved=[Change(a, b, number) for (a, b), number in moved.most_common()],
        fields=[
            FieldDifference(
                field=name,
                changed=kinds["changed"],
                only_a=kinds["only_a"],
                only_b=kinds["only_b"],
                values=[Change(a, b, number) for (a, b), number in values[name].most_common(_MOST_SHOWN)],
            )
            for name, kinds in sorted(fields.items(), key=lambda item: (-item[1].total(), item[0]))
        ],
    )


class _Tally:
    """Counts of one side."""

    def __init__(self, connection: str) -> None:
        self._connection = connection
        self._outcomes: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self._value: defaultdict[str, float] = defaultdict(float)
        self._keys: Counter[tuple[str, MatchKey]] = Counter()

    def add(self, result: MappingResult | None) -> None:
        """Counts a result."""
        if result is None:
            return
        self._outcomes[_label(result)] += 1
        if isinstance(result, Payload):
            self._events[result.event] += 1
            if result.value is not None:
                self._value[result.currency or "none"] += result.value
            self._keys.update((result.event, key) for key in MatchKey if result.match_keys & key)

    def side(self) -> MappedSide:
        """Returns what was counted."""
        coverage = {
            event: {word: round(self._keys[event, key] / number, 4) for key, word in _KEYS.items()}
            for event, number in sorted(self._events.items())
        }
        value = {currency: round(total, 2) for currency, total in sorted(self._value.items())}
        return MappedSide(
            connection=self._connection,
            outcomes=dict(self._outcomes.most_common()),
            events=dict(sorted(self._events.items())),
            value=value,
            coverage=coverage,
        )


def _pairs(
    a: Sequence[MappingResult], b: Sequence[MappingResult]
) -> Iterator[tuple[MappingResult | None, MappingResult | None]]:
    """Yields the results of the same event together; an event may have several, and not equally many."""
    by_index: dict[int | None, tuple[list[MappingResult], list[MappingResult]]] = {}
    for side, results in enumerate((a, b)):
        for result in results:
            by_index.setdefault(result.index, ([], []))[side].append(result)
    for sides in by_index.values():
        if max(map(len, sides)) > 1:
            for results in sides:
                results.sort(key=lambda result: result.event or "")
        yield from zip_longest(*sides)


def _label(result: MappingResult | None) -> str:
    if result is None:
        return "nothing"
    return "sent" if isinstance(result, Payload) else f"{result.kind}: {result.reason}"


def _changes(a: Payload, b: Payload) -> Iterator[tuple[str, str, Any, Any]]:
    """Yields field, kind of difference and both values, each field once."""
    if a.form is b.form and a.body == b.body:
        return
    if a.form is not b.form:
        yield "request", "changed", _request(a.form), _request(b.form)
    before, after = _flat(a), _flat(b)
    seen: set[str] = set()
    for place in {**before, **after}:
        name = _INDEX.sub("[]", place)
        if name in seen or (a.form is not b.form and name in _OF_THE_FORM):
            continue
        if place not in after:
            kind = "only_a"
        elif place not in before:
            kind = "only_b"
        elif before[place] != after[place]:
            kind = "changed"
        else:
            continue
        seen.add(name)
        yield name, kind, before.get(place), after.get(place)


def _request(form: Form) -> str:
    return f"{endpoint_path(form)} {form}"


def _flat(payload: Payload) -> dict[str, Any]:
    """Returns the values of an event by their path, in the words of Events API 2.0."""
    flat: dict[str, Any] = {}
    for place, value in _leaves("", msgspec.json.decode(payload.body)):
        flat[_RENAMED.get(_INDEX.sub("[]", place), place)] = value
    return flat


def _leaves(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{place}.{name}" if place else name, inner)
    elif isinstance(value, list):
        # The lists of `user` hold one hash; the legacy form has it as a text.
        single = place.startswith("user.") and len(value) == 1
        for number, inner in enumerate(value):
            yield from _leaves(place if single else f"{place}[{number}]", inner)
    else:
        yield place, value
