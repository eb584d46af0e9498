"""What differs when messages never end: how they are acknowledged, how long they may wait, and when all is over."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import apache_beam as beam


def never() -> bool:
    """Returns False: a stream on an engine that ends its bundles itself."""
    return False


@dataclass(frozen=True)
class Stream:
    """How to deal with unbounded messages.

    A refused token or connection does not end events here: requests wait, one is tried now and then, and all go on once
    it is accepted. Nothing of what waits has an outcome, so that its messages stay unacknowledged.

    Attributes:
      register_units: takes how many units each message has, for acknowledging; None: the engine acknowledges.
      stopping: returns whether the stream is to end; then nobody waits for a refused token any more, and the bundle
        fails. A function of a module, because workers get it by name.
      clock: epoch seconds, for how long payloads have waited.
    """

    register_units: beam.PTransform | None = None
    stopping: Callable[[], bool] = never
    clock: Callable[[], float] = time.time
