"""The short ways of a source give what the long one gives."""

import itertools
from typing import Any

import pytest

from transforms.custom_mappings import Parameter
from transforms.mapping.custom import parameter_sources
from transforms.mapping.custom.parameter_sources import compile_source
from transforms.model import BatchContext

# Texts and numbers as they come, and those at the borders of a short way.
SENT: tuple[Any, ...] = (
    *("USD", "usd", " USD", "XXX", "", " ", "card", "Ada", "ada@example.com", "+4915112345678", "015112345678"),
    *(0.0, 0.5, 1.0, 1.5, 100.0, 101.0, 999_999.99, 1_000_000.0, 15112345678.0, -1.0, 0, 1, 100, 15112345678),
    *(True, False, None, [], ["USD"], [1.0], {}, {"a": 1}),
)
BATCH = BatchContext(
    identities={"email": "ada@example.com", "mobile_number": "+4915112345678"},
    attributes={"$FirstName": "Ada", "tier": "gold"},
)


@pytest.mark.parametrize("parameter", ["currency", "value", "quantity", "description", "content_name"])
def test_the_short_way_gives_what_the_long_one_gives(monkeypatch: pytest.MonkeyPatch, parameter: str) -> None:
    origins = ({"event_attribute": "a"}, {"user_attribute": "a"}, {"event_field": "affiliation"})
    kinds: tuple[Any, ...] = (None, "string", "number", "integer", "boolean")
    for origin, declared in itertools.product(origins, kinds):
        setting = Parameter(**origin, type=declared)
        short = compile_source(parameter, setting)
        with monkeypatch.context() as patched:
            patched.setattr(parameter_sources, "_quickened", lambda convert, *_: convert)
            long = compile_source(parameter, setting)
        for sent in SENT:
            notes: tuple[list[Any], list[Any]] = ([], [])
            made = short.convert(sent, BATCH, notes[0]), long.convert(sent, BATCH, notes[1])
            where = (origin, declared, sent)
            assert made[0] == made[1], where
            assert type(made[0]) is type(made[1]), where
            assert notes[0] == notes[1], where
