"""The latency of delivered events, in buckets."""

from transforms.latency import LatencyTally, percentile
from transforms.model import Outcome
from transforms.vocabulary import Kind, Reason, Stage


def delivered(ref: str, occurred_at_ms: int, answered_at_ms: int) -> Outcome:
    return Outcome(
        kind=Kind.DELIVERED,
        stage=Stage.WRITE,
        reason=None,
        ref=ref,
        occurred_at_ms=occurred_at_ms,
        answered_at_ms=answered_at_ms,
    )


def test_latency_is_counted_in_the_bucket_with_the_next_limit() -> None:
    tally = LatencyTally(lambda ref: 1_000.0 if ref == "known" else None)
    for waited_secs, bucket in (
        (0, "0.05"), (0.05, "0.05"), (0.051, "0.1"), (5, "5"), (5.001, "5.5"), (86_400, "86400"), (86_401, "more"),
    ):  # fmt: skip
        now_ms = 1_000_000 + round(waited_secs * 1_000)
        tally.add([delivered(ref, now_ms, now_ms) for ref in ("known", "unknown")])
        assert tally.drain() == {f"latency_publish:{bucket}": 1, "latency_event:0.05": 2}, waited_secs
        assert tally.drain() == {}


def test_what_is_not_delivered_has_no_latency() -> None:
    tally = LatencyTally(lambda _: 1_000.0)
    refused = Outcome(
        kind=Kind.REJECTED,
        stage=Stage.WRITE,
        reason=Reason.REFUSED_BY_TIKTOK,
        ref="m",
        occurred_at_ms=0,
        answered_at_ms=1_000_000,
    )
    tally.add([refused])
    assert tally.drain() == {}


def test_exactly_five_minutes_are_still_inside_the_merge_window() -> None:
    tally = LatencyTally()
    tally.add([delivered("m", 0, age_ms) for age_ms in (300_000, 300_001)])
    assert tally.drain()["past_merge_window"] == 1


def test_percentiles_of_nothing_are_none() -> None:
    assert percentile({}, "latency_event", 0.5) is None
