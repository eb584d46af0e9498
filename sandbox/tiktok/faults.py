"""What can go wrong on demand: fault rules as JSON, and the choice of the rules that hit a request.

A rule is one object: which fault (`action`), the fault's own settings, and which requests it hits. All that is given
for the choice must hold:

    path          "event/track/" or "pixel/batch/"; default: both
    probability   0 to 1, drawn from `seed`; default 1
    every         every nth of the requests that fit so far; default 1
    skip          the first so many of them are left alone; default 0
    limit         at most so many requests are hit; default: no limit
    from_secs     not before so many seconds since the rule was set; default 0
    to_secs       not after so many; default: no end
    min_events    requests with at least so many events; default 0

`delay` and `slow_read` add up with everything else; of the other actions the first rule of the list that hits wins.
Delays, resets and slow reading apply to every request; `invalid_events` and `partial` to sound ones only.

    {"action": "delay", "secs": 0.02, "max_secs": 0.05}                latency, drawn between the two
    {"action": "delay", "secs": 60, "when": "before"}                  past the client's time-out, nothing accepted
    {"action": "delay", "secs": 60, "when": "after"}                   accepted, but the reply comes too late
    {"action": "slow_read", "bytes_per_sec": 100000}
    {"action": "throttle", "retry_after_secs": 2}                      HTTP 429; the header is left out without it
    {"action": "answer", "code": 40100}                                HTTP 200; message by code, or "message": "…"
    {"action": "answer", "code": 50000, "status": 500}
    {"action": "answer", "code": 41001, "path": "pixel/batch/"}        the legacy interface is gone
    {"action": "html", "status": 502}                                  a gateway's page
    {"action": "reset", "when": "before"}                              TCP RST; "reading": amid the request's body;
    {"action": "reset", "when": "after"}                               … and with "after" all events are accepted
    {"action": "outage", "secs": 3}                                    RST, then connections are refused for so long
    {"action": "partial", "share_failed": 0.3, "details": true}        code 20001, the rest is accepted
    {"action": "garble", "how": "truncated", "accept": true}           cut_off, empty, no_code, code_as_text, html
    {"action": "echo", "index": 0}                                     40002 with values of that event in the message
    {"action": "invalid_events", "event_ids": ["…"], "share": 0.01}    40002 for these, and for 1 % by hash of the id
"""

import random
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple, cast

import msgspec
from msgspec import Meta

from sandbox.tiktok.rules import Path

Share = Annotated[float, Meta(ge=0, le=1)]
Secs = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag_field="action", forbid_unknown_fields=True):
    """Base of all rules: which requests are hit."""

    path: Path | None = None
    probability: Share = 1.0
    seed: int = 0
    every: Positive = 1
    skip: Count = 0
    limit: Count | None = None
    from_secs: Secs = 0.0
    to_secs: Secs | None = None
    min_events: Count = 0


class Delay(Fault, frozen=True, kw_only=True, tag="delay"):
    """Waits before the request is processed or before the reply; drawn from secs to max_secs."""

    secs: Secs
    max_secs: Secs | None = None
    when: Literal["before", "after"] = "after"


class SlowRead(Fault, frozen=True, kw_only=True, tag="slow_read"):
    """Takes the request's body slowly. `min_events` has no effect: the body is not known yet."""

    bytes_per_sec: Positive


class Throttle(Fault, frozen=True, kw_only=True, tag="throttle"):
    """HTTP 429 without a readable code."""

    retry_after_secs: Count | None = None


class Answer(Fault, frozen=True, kw_only=True, tag="answer"):
    """A reply with any code; nothing is accepted."""

    code: int
    message: str | None = None
    status: Annotated[int, Meta(ge=200, le=599)] = 200
    retry_after_secs: Count | None = None


class Html(Fault, frozen=True, kw_only=True, tag="html"):
    """A gateway's HTML page; nothing is accepted."""

    status: Annotated[int, Meta(ge=200, le=599)] = 502


class Reset(Fault, frozen=True, kw_only=True, tag="reset"):
    """TCP RST while the body is read, before the events are accepted, or in place of the reply."""

    when: Literal["reading", "before", "after"] = "before"


class Outage(Fault, frozen=True, kw_only=True, tag="outage"):
    """TCP RST, nothing accepted, then nobody listens for `secs`."""

    secs: Secs


class Partial(Fault, frozen=True, kw_only=True, tag="partial"):
    """20001: a random part of the request (at least one event) fails, the rest is accepted."""

    share_failed: Share = 0.5
    details: bool = False


class Garble(Fault, frozen=True, kw_only=True, tag="garble"):
    """A reply that cannot be read; processed as usual before, unless `accept` is false."""

    how: Literal["truncated", "cut_off", "empty", "no_code", "code_as_text", "html"] = "truncated"
    accept: bool = True


class Echo(Fault, frozen=True, kw_only=True, tag="echo"):
    """40002 whose message repeats values of one event: identifiers, addresses, the page. Tests redaction."""

    index: Count = 0


class InvalidEvents(Fault, frozen=True, kw_only=True, tag="invalid_events"):
    """Declares events invalid that keep every rule: those named, and a share of all by a hash of the event id."""

    event_ids: frozenset[str] = frozenset()
    share: Share = 0.0
    code: int = 40002
    field: str = "properties.contents.0.content_id"
    reason: str = "Not a valid string"

    def hits(self, event_id: str) -> bool:
        """Returns whether an event is declared invalid; stable, so that a test can compute the same.

        >>> InvalidEvents(share=0.01, seed=7).hits("a"), InvalidEvents(event_ids=frozenset({"a"})).hits("a")
        (False, True)
        """
        return event_id in self.event_ids or zlib.crc32(event_id.encode(), self.seed) < self.share * 2**32


AnyFault = Delay | SlowRead | Throttle | Answer | Html | Reset | Outage | Partial | Garble | Echo | InvalidEvents


class Applied(msgspec.Struct, frozen=True):
    """A rule that is set, how many requests fitted its path, time and size, and how many it hit."""

    rule: AnyFault
    fitted: int
    hit: int


class Plan(NamedTuple):
    """What is to go wrong with one request, once its body is there.

    Attributes:
      before_secs, after_secs: delays.
      invalid: rules that declare events invalid.
      fault: the one fault of those that exclude each other, or None.
      random: its random numbers.
    """

    before_secs: float
    after_secs: float
    invalid: Sequence[InvalidEvents]
    fault: Throttle | Answer | Html | Reset | Outage | Partial | Garble | Echo | None
    random: random.Random


class _Active:
    """One rule at work: its counters and its random numbers."""

    def __init__(self, rule: AnyFault, since: float) -> None:
        self.rule = rule
        self.random = random.Random(rule.seed)
        self._since = since
        self._fitted = 0
        self._hit = 0

    def hits(self, path: str, events: Callable[[], int], now: float) -> bool:
        """Returns whether the rule hits this request, and counts: to be asked once for a request."""
        rule = self.rule
        elapsed_secs = now - self._since
        if (rule.path is not None and rule.path != path) or elapsed_secs < rule.from_secs:
            return False
        if rule.to_secs is not None and elapsed_secs >= rule.to_secs:
            return False
        if rule.min_events and events() < rule.min_events:
            return False
        self._fitted += 1
        if self._fitted <= rule.skip or (self._fitted - rule.skip) % rule.every:
            return False
        if rule.limit is not None and self._hit >= rule.limit:
            return False
        if rule.probability < 1 and self.random.random() >= rule.probability:
            return False
        self._hit += 1
        return True

    def applied(self) -> Applied:
        """Returns the counters."""
        return Applied(self.rule, self._fitted, self._hit)


_NOTHING = Plan(before_secs=0.0, after_secs=0.0, invalid=(), fault=None, random=random.Random(0))


class Faults:
    """The rules that are set, in order.

    Args:
      monotonic: seconds, for `from_secs` and `to_secs`.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._active: list[_Active] = []

    def set(self, rules: Sequence[AnyFault], *, keep: bool = False) -> None:
        """Sets the rules anew, or (`keep`) adds them to the present ones; their time begins now."""
        now = self._monotonic()
        self._active = [*(self._active if keep else ()), *(_Active(rule, now) for rule in rules)]

    def while_reading(self, path: str) -> SlowRead | Reset | None:
        """Returns what is to go wrong with the body of a request whose header has just come."""
        for active in self._active:
            rule = active.rule
            if (isinstance(rule, SlowRead) or _resets_reading(rule)) and active.hits(path, int, self._monotonic()):
                return cast(SlowRead | Reset, rule)
        return None

    def plan(self, path: str, events: Callable[[], int]) -> Plan:
        """Returns what is to go wrong with a request.

        Args:
          path: below the API's base, for example `event/track/`.
          events: returns the number of events in the request; called if a rule needs it.
        """
        if not self._active:
            return _NOTHING
        delays = {"before": 0.0, "after": 0.0}
        invalid: list[InvalidEvents] = []
        chosen: _Active | None = None
        for active in self._active:
            rule = active.rule
            if isinstance(rule, SlowRead) or _resets_reading(rule):
                continue
            if chosen is not None and not isinstance(rule, Delay | InvalidEvents):
                continue
            if not active.hits(path, events, self._monotonic()):
                continue
            if isinstance(rule, Delay):
                delays[rule.when] += active.random.uniform(rule.secs, max(rule.secs, rule.max_secs or 0.0))
            elif isinstance(rule, InvalidEvents):
                invalid.append(rule)
            else:
                chosen = active
        fault = None if chosen is None else chosen.rule
        numbers = _NOTHING.random if chosen is None else chosen.random
        return Plan(
            before_secs=delays["before"],
            after_secs=delays["after"],
            invalid=invalid,
            fault=fault,  # type: ignore[arg-type]  # the branches above leave these kinds
            random=numbers,
        )

    def applied(self) -> list[Applied]:
        """Returns the rules with their counters."""
        return [active.applied() for active in self._active]


def _resets_reading(rule: AnyFault) -> bool:
    return isinstance(rule, Reset) and rule.when == "reading"
