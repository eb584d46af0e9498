"""What custom mappings cost: the mapping alone without any, and with 50 of them, side by side in one run, on one core.

    python benchmarks/custom_mappings.py [--seconds S] [--out FILE]

The messages are those of `benchmarks/mapping.py`: one purchase each, about 2 kB. Four connections take turns, slice by
slice, in CPU time; a ratio is the median over all slices, each beside that of *none* over the same messages:

- *none*: no mapping; every purchase goes by its default mapping;
- *other events*: 50 mappings of a shop, on custom events, screens and commerce events, of which none matches a purchase
  of the sample; what is measured is the decoding of more fields and the look-up;
- *these events*: one of the 50 matches every purchase, so that each payload is made by a mapping with seven parameters;
- *same event*: all 50 are for purchases, each for another value of an attribute, and none matches.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import msgspec  # noqa: E402 - the path is set just above
from common import finish  # noqa: E402
from mapping import CONNECTION, MESSAGES, SEED, SLICE, invented, measure  # noqa: E402

from transforms.connection import Connection  # noqa: E402
from transforms.custom_mappings import CustomMapping, Match, Parameter, Target  # noqa: E402
from transforms.mapping import converter  # noqa: E402
from transforms.model import Message, Payload  # noqa: E402

COUNT = 50

# The least share of the speed of *none* that each connection is to reach.
TARGETS = {"other events": 0.85, "these events": 0.65, "same event": 0.85}

# What a shop maps of an event that is no order, and of an order.
LEAD = {
    "value": Parameter(event_attribute="price", type="number"),
    "currency": Parameter(constant="USD"),
    "description": Parameter(event_attribute="form"),
}
ORDER = {
    "content_id": Parameter(product_field="variant"),
    "content_name": Parameter(product_field="name"),
    "price": Parameter(product_field="price"),
    "quantity": Parameter(product_field="quantity"),
    "value": Parameter(event_field="total_amount", required=True),
    "currency": Parameter(event_field="currency"),
    "description": Parameter(event_attribute="payment_method"),
}


def shop() -> tuple[CustomMapping, ...]:
    """Returns 50 mappings, none of which matches a purchase of the sample."""
    mappings = [
        CustomMapping(Match(message_type="custom_event", event=f"Form {number}"), (Target("Lead"),), parameters=LEAD)
        for number in range(25)
    ]
    mappings += [
        CustomMapping(Match(message_type="screen_view", event=f"/page/{number}"), (Target("ViewContent"),))
        for number in range(5)
    ]
    mappings += [
        CustomMapping(
            Match(product_action="purchase", attributes={"payment_method": f"method {number}"}),
            (Target("Purchase"),),
            parameters=ORDER,
        )
        for number in range(10)
    ]
    mappings += [
        CustomMapping(
            Match(product_action="purchase", products={"category": f"gifts/{number}"}),
            (Target("AddPaymentInfo"),),
            parameters=ORDER,
        )
        for number in range(10)
    ]
    return tuple(mappings)


def connections() -> dict[str, Connection]:
    """Returns the connections that are compared."""
    others = shop()
    every = CustomMapping(Match(product_action="purchase"), (Target("Purchase"),), parameters=ORDER)
    same = tuple(
        CustomMapping(
            Match(product_action="purchase", attributes={f"attribute {number}": "yes"}),
            (Target("Purchase"),),
            parameters=ORDER,
        )
        for number in range(COUNT)
    )
    return {
        "none": CONNECTION,
        "other events": msgspec.structs.replace(CONNECTION, custom_mappings=others),
        "these events": msgspec.structs.replace(CONNECTION, custom_mappings=(*others[1:], every)),
        "same event": msgspec.structs.replace(CONNECTION, custom_mappings=same),
    }


def main() -> None:
    """Measures, prints readable lines, and ends with one line of JSON."""
    parser = argparse.ArgumentParser(description="message bytes → payload bytes with and without custom mappings")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to measure")
    parser.add_argument("--out", help="file for the line of JSON")
    options = parser.parse_args()
    inputs = [Message(str(number), data) for number, data in enumerate(invented(MESSAGES, SEED))]
    loops: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {}
    for name, connection in connections().items():
        assert len(connection.custom_mappings) in (0, COUNT)
        convert = converter(connection)
        (result,) = convert(inputs[0])
        assert isinstance(result, Payload)
        assert result.event == ("Purchase" if name == "these events" else "PlaceAnOrder")
        loops[name] = (convert, inputs)
    slices = measure(loops, options.seconds)
    figures: dict[str, Any] = {"mappings": COUNT, "messages": len(inputs), "slices": len(slices["none"])}
    for name, seconds in slices.items():
        key = name.replace(" ", "_")
        figures[f"{key}_per_second"] = round(SLICE / statistics.median(seconds))
        line = f"{name:<13} {figures[f'{key}_per_second']:>9,} events/s"
        if name != "none":
            pairs = zip(slices["none"], seconds, strict=True)
            ratio = round(statistics.median(none / mapped for none, mapped in pairs), 3)
            figures[f"ratio_{key}"] = ratio
            line += f"; {ratio:.2f} of none (to reach: {TARGETS[name]:.2f})"
        print(line)
    finish("custom_mappings", SEED, figures, options.out)


if __name__ == "__main__":
    main()
