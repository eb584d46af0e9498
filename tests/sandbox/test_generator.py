"""The sample data: seeded, invented, and with everything in it that a real feed has."""

import gzip
import hashlib
import ipaddress
import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sandbox.shop import generator

COUNT = 4_000


@pytest.fixture(scope="module")
def messages() -> list[bytes]:
    return list(generator.batches(COUNT))


@pytest.fixture(scope="module")
def sound(messages: list[bytes]) -> list[dict[str, Any]]:
    return [batch for batch in map(parsed, messages) if batch is not None]


def parsed(message: bytes) -> dict[str, Any] | None:
    """Returns the batch, or None for what is no batch with a list of events."""
    try:
        batch = json.loads(message)
    except ValueError:
        return None
    return batch if isinstance(batch, dict) and isinstance(batch.get("events", 0), list | None) else None


def events_of(batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for batch in batches for event in batch["events"] or () if event and event["data"]]


def actions_of(batches: list[dict[str, Any]]) -> Counter[str]:
    found = [event["data"].get("product_action") for event in events_of(batches)]
    return Counter(action["action"] for action in found if isinstance(action, dict))


def test_the_same_seed_gives_the_same_bytes(messages: list[bytes]) -> None:
    assert list(generator.batches(COUNT)) == messages


def test_every_python_version_gives_the_same_bytes(messages: list[bytes]) -> None:
    """The digest is one of our own output: it changes when the generator does, and with no Python version."""
    digest = "2aa9f07dfc338b60950ece5b69da31cb60cb814d547be6ab5a6feb3a4b79026e"
    assert hashlib.sha256(b"\n".join(messages[:500])).hexdigest() == digest


def test_another_seed_gives_other_bytes(messages: list[bytes]) -> None:
    assert not set(generator.batches(200, seed=8)) & set(messages)


def test_a_longer_run_begins_with_the_shorter_one(messages: list[bytes]) -> None:
    assert list(generator.batches(50)) == messages[:50]


def test_the_start_moves_every_time_along() -> None:
    later = generator.DEFAULT_START_MS + 1_000_000_000
    moved = json.loads(next(generator.purchases(1, start_ms=later)))
    assert moved["events"][0]["data"]["timestamp_unixtime_ms"] == str(later)


def test_a_message_holds_two_to_three_events_and_about_two_kilobytes(
    messages: list[bytes], sound: list[dict[str, Any]]
) -> None:
    assert 2.2 < len(events_of(sound)) / COUNT < 2.8
    assert 2_000 < sum(map(len, messages)) / COUNT < 3_200


def test_no_message_holds_a_line_break(messages: list[bytes]) -> None:
    assert not any(b"\n" in message or b"\r" in message or not message for message in messages)


@pytest.mark.parametrize(
    "action",
    [
        "view_detail",
        "add_to_cart",
        "add_to_wishlist",
        "checkout",
        "purchase",
        "refund",
        "remove_from_cart",
        "remove_from_wish_list",
        "remove_from_wishlist",
        "checkout_option",
        "click",
        "unknown",
    ],
)
def test_every_commerce_action_occurs(sound: list[dict[str, Any]], action: str) -> None:
    assert actions_of(sound)[action] > 0


def test_most_commerce_events_have_an_event_at_tiktok(sound: list[dict[str, Any]]) -> None:
    actions = actions_of(sound)
    mapped = sum(actions[name] for name in ("view_detail", "add_to_cart", "add_to_wishlist", "checkout", "purchase"))
    assert mapped / actions.total() > 0.9


@pytest.mark.parametrize("kind", ["session_start", "screen_view", "custom_event", "validation_result"])
def test_other_events_stand_beside_the_commerce_events(sound: list[dict[str, Any]], kind: str) -> None:
    assert any(event["event_type"] == kind for event in events_of(sound))


def test_promotions_and_impressions_are_commerce_events_without_product_action(sound: list[dict[str, Any]]) -> None:
    names = {name for event in events_of(sound) for name in event["data"]}
    assert {"promotion_action", "product_impressions"} <= names


def test_both_forms_of_identities_and_anonymous_users_occur(sound: list[dict[str, Any]]) -> None:
    forms = Counter(
        (type(batch["user_identities"]).__name__, bool(batch["user_identities"]))
        for batch in sound
        if "user_identities" in batch
    )
    assert min(forms["list", True], forms["list", False], forms["dict", True], forms["dict", False]) > 50


def test_64_bit_numbers_come_as_text_and_as_numbers(sound: list[dict[str, Any]]) -> None:
    forms = Counter(type(batch["mpid"]).__name__ for batch in sound if "mpid" in batch)
    assert forms["str"] > forms["int"] > 100


def test_web_feeds_and_apps_occur(sound: list[dict[str, Any]]) -> None:
    platforms = Counter((batch.get("device_info") or {}).get("platform") for batch in sound)
    assert platforms["web"] > platforms["out_of_band"] > platforms["iOS"] + platforms["Android"] > 50


def test_some_events_come_twice_with_new_ids_of_mparticle(sound: list[dict[str, Any]]) -> None:
    seen: dict[str, set[str]] = {}
    for event in events_of(sound):
        if event["data"].get("source_message_id") and "event_id" in event["data"]:
            seen.setdefault(event["data"]["source_message_id"], set()).add(str(event["data"]["event_id"]))
    assert sum(len(ids) > 1 for ids in seen.values()) > 20


def test_batches_without_events_development_data_and_alias_requests_occur(sound: list[dict[str, Any]]) -> None:
    messages = [json.loads(message) for message in generator.batches(COUNT, bad=False)]
    assert any(message.get("events", 0) == [] for message in messages)
    assert any(message.get("events", 0) is None for message in messages)
    assert any(message.get("environment") == "development" for message in messages)
    assert any(message.get("request_type") == "alias" for message in messages)


def test_bad_messages_are_few_and_of_many_kinds(messages: list[bytes], sound: list[dict[str, Any]]) -> None:
    bad = [message for message in messages if parsed(message) is None and b'"alias"' not in message]
    assert 5 < len(bad) < COUNT * 0.01


def test_without_bad_ones_every_message_is_sound() -> None:
    for message in generator.batches(COUNT, bad=False):
        batch = json.loads(message)
        assert "request_type" in batch or isinstance(batch["events"], list | None)


def test_click_ids_stand_in_the_flag_or_in_the_page_url(sound: list[dict[str, Any]]) -> None:
    flags = [event["data"].get("custom_flags") for event in events_of(sound)]
    pages = [flag for flag in flags if isinstance(flag, dict)]
    assert any("TikTok.Callback" in flag for flag in pages)
    assert any("?ttclid=E.C.P." in str(flag.get("TikTok.URL")) for flag in pages)


def test_consent_is_given_refused_and_absent(sound: list[dict[str, Any]]) -> None:
    states = [batch.get("consent_state") for batch in sound]
    read = [state for state in states if isinstance(state, dict)]
    assert {state["gdpr"]["marketing"]["consented"] for state in read} == {True, False}
    assert {state["ccpa"]["data_sale_opt_out"]["consented"] for state in read} == {True, False}
    assert None in states


def test_all_personal_data_is_invented(sound: list[dict[str, Any]]) -> None:
    text = json.dumps(sound, ensure_ascii=False)
    assert set(re.findall(r"@([\w.]+)", text.lower())) == {"example.com"}
    for phone in re.findall(r'"(\+\d{5,})"', text):
        assert re.fullmatch(r"\+1\d{3}55501\d\d|\+44207946\d{4}", phone), phone
    kept = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "10.0.0.0/8")]
    for batch in sound:
        if batch.get("ip"):
            address = ipaddress.ip_address(batch["ip"])
            assert address in ipaddress.ip_network("2001:db8::/32") or any(address in network for network in kept)


def test_purchases_are_sendable_and_each_of_another_user() -> None:
    batches = [json.loads(message) for message in generator.purchases(500)]
    assert actions_of(batches) == {"purchase": 500}
    people = [tuple(one["identity"] for one in batch["user_identities"][:2]) for batch in batches]
    assert len(set(people)) == 500
    for batch in batches:
        data = batch["events"][0]["data"]
        assert data["custom_flags"]["TikTok.URL"].startswith("https://")
        assert [one["identity_type"] for one in batch["user_identities"]] == ["customer_id", "email", "mobile_number"]
        assert data["product_action"]["total_amount"] > 0


def test_a_purchase_message_is_of_about_two_kilobytes() -> None:
    sizes = [len(message) for message in generator.purchases(500)]
    assert 1_900 < sum(sizes) / 500 < 2_500


def test_parquet_holds_every_message_once_in_groups_of_the_size_asked_for(
    tmp_path: Path, messages: list[bytes]
) -> None:
    paths = generator.write_parquet(tmp_path / "in", messages[:1_050], rows_per_group=100, files=3)
    assert [path.name for path in paths] == ["batches-00000.parquet", "batches-00001.parquet", "batches-00002.parquet"]
    groups = [
        pq.ParquetFile(path).metadata.row_group(number).num_rows
        for path in paths
        for number in range(pq.ParquetFile(path).metadata.num_row_groups)
    ]
    assert sorted(groups) == [50] + [100] * 10
    rows = itertools.chain.from_iterable(pq.read_table(path)["batch_json"].to_pylist() for path in paths)
    assert sorted(rows) == sorted(messages[:1_050])


@pytest.mark.parametrize("name", ["batches.txt", "batches.txt.gz"])
def test_ndjson_holds_a_message_a_line(tmp_path: Path, messages: list[bytes], name: str) -> None:
    path = generator.write_ndjson(tmp_path / "in" / name, messages[:100])
    raw = path.read_bytes()
    lines = (gzip.decompress(raw) if name.endswith(".gz") else raw).split(b"\n")
    assert lines == [*messages[:100], b""]
