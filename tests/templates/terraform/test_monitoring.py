"""The dashboard and the alerts: queries that can be read, over metrics and counters that exist."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from terraform_module import MODULE, example, queries

from transforms import counters, latency
from transforms.vocabulary import Kind, Reason

ROOT = Path(__file__).resolve().parents[3]

# Metric in PromQL's spelling → (monitored resource, labels that may be asked for beside the resource's own).
# Source: Cloud Monitoring, "Google Cloud metrics", parts dataflow and pubsub.
METRICS = {
    "dataflow_googleapis_com:job_user_counter": ("dataflow_job", {"job_name", "metric_name"}),
    "dataflow_googleapis_com:job_system_lag": ("dataflow_job", {"job_name"}),
    "dataflow_googleapis_com:job_data_watermark_age": ("dataflow_job", {"job_name"}),
    "dataflow_googleapis_com:job_is_failed": ("dataflow_job", {"job_name"}),
    "dataflow_googleapis_com:job_current_num_vcpus": ("dataflow_job", {"job_name"}),
    "pubsub_googleapis_com:subscription_oldest_unacked_message_age": ("pubsub_subscription", {"subscription_id"}),
    "pubsub_googleapis_com:subscription_num_undelivered_messages": ("pubsub_subscription", {"subscription_id"}),
    "pubsub_googleapis_com:topic_send_message_operation_count": ("pubsub_topic", {"topic_id"}),
}

# Read as text, so that collecting the tests builds nothing; another test holds them against what is evaluated.
NAMES = sorted(re.findall(r"(?m)^    (\w+) = \{$", (MODULE / "alerts.tf").read_text()))


def _alerts() -> dict[str, Any]:
    return dict(example("hardened").resources["google_monitoring_alert_policy.alert"])


def _tiles() -> list[dict[str, Any]]:
    dashboard = json.loads(example("hardened").one("google_monitoring_dashboard.pipeline")["dashboard_json"])
    assert dashboard["mosaicLayout"]["columns"] == 48
    return list(dashboard["mosaicLayout"]["tiles"])


def _queries() -> list[str]:
    shown = [
        line["timeSeriesQuery"]["prometheusQuery"]
        for tile in _tiles()
        for line in tile["widget"]["xyChart"]["dataSets"]
    ]
    return shown + [_condition(alert)["query"] for alert in _alerts().values()]


def _condition(alert: dict[str, Any]) -> dict[str, Any]:
    (condition,) = alert["conditions"]
    return dict(condition["condition_prometheus_query_language"])


def _counters() -> set[str]:
    """Returns every name that the code can give a counter, without those that come from the data."""
    code = "".join(path.read_text() for path in (ROOT / "transforms" / "tiktok").glob("*.py"))
    names = {counters.MESSAGES, counters.UNITS, counters.REQUESTS, counters.RETRIES, counters.THROTTLED}
    names |= set(re.findall(r'counts\["(\w+)"\]', code))
    names |= {f"outcome:{kind}:{reason}" for kind in Kind for reason in Reason} | {f"outcome:{Kind.DELIVERED}"}
    ages = [*(f"{limit:g}" for limit in latency.LIMITS_SECS), latency.MORE]
    return names | {f"{latency.EVENT}:{age}" for age in ages} | {latency.PAST_MERGE_WINDOW}


def _chosen(selector: dict[str, Any]) -> set[str]:
    """Returns the counters that a selector takes."""
    return {name for name in _counters() if re.fullmatch(selector["matchers"]["metric_name"], name)}


def test_every_query_can_be_read() -> None:
    assert {text: parsed["error"] for text, parsed in queries(_queries()).items() if parsed["error"]} == {}


def test_a_query_that_cannot_be_read_would_be_noticed() -> None:
    assert queries(["sum by (job_id (x)"])["sum by (job_id (x)"]["error"]


def test_every_metric_is_one_of_google_with_its_resource_and_labels() -> None:
    used = set()
    for parsed in queries(_queries()).values():
        for metric in parsed["metrics"]:
            resource, labels = METRICS[metric["name"]]
            assert metric["matchers"].pop("monitored_resource") == resource
            assert set(metric["matchers"]) <= labels, metric["name"]
            used.add(metric["name"])
    assert used == set(METRICS)


def test_every_counter_that_is_asked_for_exists() -> None:
    asked = [
        metric
        for parsed in queries(_queries()).values()
        for metric in parsed["metrics"]
        if "metric_name" in metric["matchers"]
    ]
    assert len({metric["matchers"]["metric_name"] for metric in asked}) > 12
    for metric in asked:
        name = metric["matchers"]["metric_name"]
        for part in [name] if "(" in name else name.split("|"):
            assert _chosen({"matchers": {"metric_name": part}}), part


def test_every_outcome_but_skipped_is_what_was_ours_to_send() -> None:
    (settled,) = {
        metric["matchers"]["metric_name"]
        for metric in queries([_condition(_alerts()["delivered_ratio"])["query"]]).popitem()[1]["metrics"]
        if "rejected" in metric["matchers"]["metric_name"]
    }
    assert _chosen({"matchers": {"metric_name": settled}}) == {
        name for name in _counters() if name.startswith("outcome:") and not name.startswith("outcome:skipped")
    } - {f"outcome:delivered:{reason}" for reason in Reason}


def test_the_bands_of_age_hold_every_event_once() -> None:
    (tile,) = [tile for tile in _tiles() if "by their age" in tile["widget"]["title"]]
    shown = [line["timeSeriesQuery"]["prometheusQuery"] for line in tile["widget"]["xyChart"]["dataSets"]]
    bands = [_chosen(queries([text])[text]["metrics"][0]) for text in shown]
    assert set().union(*bands) == {name for name in _counters() if name.startswith(f"{latency.EVENT}:")}
    assert not any(one & other for one, other in combinations(bands, 2))


def test_tiles_lie_beside_each_other() -> None:
    def cells(tile: dict[str, Any]) -> set[tuple[int, int]]:
        columns = range(tile["xPos"], tile["xPos"] + tile["width"])
        return {(x, y) for x in columns for y in range(tile["yPos"], tile["yPos"] + tile["height"])}

    tiles = [cells(tile) for tile in _tiles()]
    assert not any(one & other for one, other in combinations(tiles, 2))
    assert max(x for tile in tiles for x, _ in tile) < 48
    # No hole either.
    assert sum(map(len, tiles)) == 48 * (1 + max(y for tile in tiles for _, y in tile))


def test_there_is_an_alert_for_everything_that_asks_for_somebody() -> None:
    assert (
        set(_alerts())
        == set(NAMES)
        == {
            *("backlog_age", "delivered_ratio", "rejected", "undelivered", "unknown", "circuit", "throttling"),
            *("no_data", "no_job", "job_failed", "undeliverable"),
        }
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_alert_says_what_to_do_and_tells_somebody(name: str) -> None:
    alert = _alerts()[name]
    assert alert["notification_channels"] == ["projects/acme-prod/notificationChannels/1234567890"]
    assert alert["severity"] in ("CRITICAL", "ERROR", "WARNING")
    assert alert["documentation"]["mime_type"] == "text/markdown"
    assert len(alert["documentation"]["content"]) > 150
    # Source: Cloud Monitoring API v3, AlertPolicy.Documentation: at most 8,192 bytes; title of a policy: 512.
    assert len(alert["documentation"]["content"].encode()) < 8_192
    assert _condition(alert)["disable_metric_validation"] is True
    assert re.fullmatch(r"\d+s", _condition(alert)["duration"])
    # An interval that the evaluation can keep: whole minutes, or none.
    assert int(_condition(alert)["duration"][:-1]) % 60 == 0


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_an_alert_are_commands_of_this_project(name: str) -> None:
    from pipeline.cli.main import COMMANDS

    for command in re.findall(r"tiktok-events (\w+)", _alerts()[name]["documentation"]["content"]):
        assert command in COMMANDS


def test_a_stream_that_was_never_started_is_not_missed() -> None:
    assert "no_job" not in example("minimal").resources["google_monitoring_alert_policy.alert"]


def test_the_alert_about_the_schedule_reads_its_log() -> None:
    (condition,) = example("hardened").one("google_monitoring_alert_policy.history_not_started")["conditions"]
    assert 'job_id="acme-tiktok-history"' in condition["condition_matched_log"]["filter"]
    assert (MODULE / "alerts.tf").read_text().count("condition_matched_log") == 1
