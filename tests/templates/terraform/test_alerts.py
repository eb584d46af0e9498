"""When the alerts fire: their queries, answered minute by minute by Prometheus's engine."""

from collections.abc import Iterable
from typing import Any

from terraform_module import answers, example

COUNTER = "dataflow_googleapis_com:job_user_counter"
JOB = {"monitored_resource": "dataflow_job", "job_name": "acme-tiktok-stream"}
SUBSCRIPTION = {"monitored_resource": "pubsub_subscription", "subscription_id": "acme-tiktok-stream"}
TOPIC = {"monitored_resource": "pubsub_topic", "topic_id": "acme-tiktok"}


def _counter(name: str, values: Iterable[float | None], job: str = "one", step: str = "Count") -> dict[str, Any]:
    return _metric(COUNTER, values, JOB | {"metric_name": name, "job_id": job, "ptransform": step})


def _metric(name: str, values: Iterable[float | None], labels: dict[str, str]) -> dict[str, Any]:
    return {"labels": {"__name__": name, **labels}, "values": list(values)}


def _fires(alert: str, series: list[dict[str, Any]], minutes: int) -> set[int]:
    """Returns the minutes at which an alert's query has an answer, which is when its condition holds."""
    (condition,) = example("hardened").resources["google_monitoring_alert_policy.alert"][alert]["conditions"]
    text = condition["condition_prometheus_query_language"]["query"]
    return {minute for minute, value in enumerate(answers(series, [text], minutes)[text]) if value is not None}


def test_the_circuit_is_seen_at_its_first_count_and_forgotten_when_it_is_closed() -> None:
    opened = _counter("circuit_opened", [None] * 5 + [1] * 25, step="Deliver")
    probes = _counter("circuit_probes", [None] * 6 + [1, 2, 3, 4] + [4] * 20, step="Deliver")
    assert _fires("circuit", [opened, probes], 30) == set(range(5, 14))


def test_rejected_events_are_counted_over_all_reasons_and_steps() -> None:
    one = _counter("outcome:rejected:missing_page_url", [0] * 20 + [30] * 30)
    two = _counter("outcome:rejected:not_a_batch", [None] * 20 + [21] * 30, step="CountDecoded")
    assert _fires("rejected", [one], 50) == set()
    assert _fires("rejected", [one, two], 50) == set(range(20, 35))


def test_a_new_job_begins_at_nothing() -> None:
    old = _counter("outcome:rejected:not_a_batch", [1_000] * 30, job="old")
    new = _counter("outcome:rejected:not_a_batch", [None] * 30 + list(range(30)), job="new")
    # At the very beginning of all data, everything is new.
    assert _fires("rejected", [old, new], 60) == set(range(15))


def test_a_gap_in_the_data_is_not_taken_for_a_beginning() -> None:
    values: list[float | None] = [1_000] * 120
    values[40:55] = [None] * 15
    assert _fires("rejected", [_counter("outcome:rejected:not_a_batch", values)], 120) == set(range(15))


def test_undelivered_and_unknown_events_are_told_from_the_first_on() -> None:
    for kind, reason in (("undelivered", "outage"), ("unknown", "timed_out")):
        assert _fires(kind, [_counter(f"outcome:{kind}:{reason}", [None] * 10 + [1] * 30)], 40) == set(range(10, 25))


def test_the_share_delivered_counts_from_a_number_on() -> None:
    good = _counter("outcome:delivered", range(0, 1_200, 10))
    skipped = _counter("outcome:skipped:unsupported_action", range(0, 120_000, 1_000))
    bad = _counter("outcome:rejected:missing_page_url", [0] * 60 + list(range(0, 600, 10)))
    late = _fires("delivered_ratio", [good, skipped, bad], 120)
    # Half of what comes from minute 60 on is bad; over 30 minutes that shows soon.
    assert late == set(range(min(late), 120))
    assert 60 < min(late) < 66
    assert _fires("delivered_ratio", [good, skipped], 120) == set()
    few = _counter("outcome:rejected:missing_page_url", [0] * 60 + [50] * 60)
    assert _fires("delivered_ratio", [few], 120) == set()


def test_nothing_delivered_at_all_is_a_share_too() -> None:
    bad = _counter("outcome:undelivered:outage", range(0, 600, 10))
    assert 30 in _fires("delivered_ratio", [bad], 60)


def test_waiting_is_told_when_it_takes_a_third_of_the_time() -> None:
    assert _fires("throttling", [_counter("cumulativeThrottlingSeconds", range(0, 600, 10))], 60) == set()
    long = _fires("throttling", [_counter("cumulativeThrottlingSeconds", range(0, 1_800, 30))], 60)
    assert set(range(15, 60)) <= long


def test_the_oldest_message_counts() -> None:
    age = _metric("pubsub_googleapis_com:subscription_oldest_unacked_message_age", range(0, 600, 10), SUBSCRIPTION)
    assert _fires("backlog_age", [age], 60) == set(range(31, 60))


def test_silence_is_told_after_its_hours_also_if_nothing_was_ever_published() -> None:
    published = _metric("pubsub_googleapis_com:topic_send_message_operation_count", [*range(6), *[5] * 174], TOPIC)
    silent = _fires("no_data", [published], 180)
    # At the very beginning there is no growth yet, so it is silent too.
    later = silent - {0}
    assert later == set(range(min(later), 180))
    assert 120 < min(later) < 126
    assert _fires("no_data", [], 3) == {0, 1, 2}


def test_a_job_that_reports_nothing_is_missed_and_a_failed_one_is_told() -> None:
    lag = _metric("dataflow_googleapis_com:job_system_lag", [1] * 10, JOB)
    assert _fires("no_job", [lag], 40) == set(range(24, 40))
    failed = _metric("dataflow_googleapis_com:job_is_failed", [0, 0, 0, 1, 1], JOB)
    assert _fires("job_failed", [failed], 5) == {3, 4}


def test_what_pubsub_gave_up_is_told_as_long_as_it_lies_there() -> None:
    labels = SUBSCRIPTION | {"subscription_id": "acme-tiktok-undeliverable"}
    lying = _metric("pubsub_googleapis_com:subscription_num_undelivered_messages", [0, 0, 2, 2, 0], labels)
    assert _fires("undeliverable", [lying], 5) == {2, 3}
