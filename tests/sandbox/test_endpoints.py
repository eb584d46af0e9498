"""Both endpoints over HTTP, without faults: headers, limits, replies, and what is accepted."""

import gzip
import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.store import Accepted, Key

Make = Callable[..., dict[str, Any]]
Post = Callable[..., requests.Response]

TRACK, LEGACY = "event/track/", "pixel/batch/"


def outcome(response: requests.Response) -> tuple[int, int]:
    """Returns HTTP status and code."""
    return response.status_code, response.json()["code"]


def test_a_sound_request_is_accepted(sandbox: Sandbox, post: Post, track: Make, legacy: Make) -> None:
    for path, body in ((TRACK, track("a", "b")), (LEGACY, legacy("c"))):
        response = post(path, body)
        reply = response.json()
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "application/json"
        assert list(reply) == ["code", "message", "request_id", "data"]
        assert (reply["code"], reply["message"], reply["data"]) == (0, "OK", {})
        assert re.fullmatch(r"20\d{12}[0-9A-F]{20}", reply["request_id"])
    assert sandbox.accepted() == {
        Key("PIXEL", "PlaceAnOrder", "a"): 1,
        Key("PIXEL", "PlaceAnOrder", "b"): 1,
        Key("PIXEL", "PlaceAnOrder", "c"): 1,
    }


def test_one_bad_event_fails_the_whole_request(sandbox: Sandbox, post: Post, legacy: Make) -> None:
    body = legacy("a", "b", "c")
    body["batch"][1]["properties"]["contents"][0]["content_id"] = 17
    reply = post(LEGACY, body).json()
    assert reply["code"] == 40002
    assert reply["message"] == "Batch.1.properties.contents.0.content_id: Not a valid string"
    assert sandbox.accepted() == {}
    assert sandbox.stats().accepted == 0


def test_the_index_can_be_kept_back(sandbox: Sandbox, post: Post, track: Make) -> None:
    sandbox.settings(index_text=False)
    body = track("a", "b")
    body["data"][1]["event_id"] = 5
    assert post(TRACK, body).json()["message"] == "Invalid value for event_id: not a valid string."
    body = track("a", "b")
    body["data"][1]["user"]["email"] = ["x@y.example"]
    message = post(TRACK, body).json()["message"]
    assert message == "Invalid value for email: not hashed, must be SHA-256 in lower-case hex."


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("event/track", 40400),
        ("pixel/batch", 40400),
        ("pixel/track/", 40400),
        ("", 40400),
        ("../v1.2/event/track/", 40051),
        ("../v1.3/event/track/?a=b", 0),
        ("../../else/", 40400),
    ],
)
def test_paths_end_with_a_slash_and_name_the_version(
    sandbox: Sandbox, session: requests.Session, track: Make, path: str, code: int
) -> None:
    url = requests.compat.urljoin(sandbox.api_url, path)
    assert outcome(session.post(url, json=track(), headers={"Access-Token": sandbox.token})) == (200, code)


def test_only_post_is_answered(sandbox: Sandbox, session: requests.Session) -> None:
    response = session.get(sandbox.api_url + TRACK, headers={"Access-Token": sandbox.token})
    assert outcome(response) == (200, 40400)


@pytest.mark.parametrize(("token", "code"), [(None, 40104), ("", 40104), ("unknown", 40105)])
def test_the_token_must_be_known(sandbox: Sandbox, post: Post, track: Make, token: str | None, code: int) -> None:
    assert outcome(post(TRACK, track(), token=token)) == (200, code)
    bearer = {"Authorization": f"Bearer {sandbox.token}"}
    assert outcome(post(TRACK, track(), token=token, headers=bearer)) == (200, code)
    assert sandbox.accepted() == {}


def test_a_token_can_be_revoked_and_another_one_taken(sandbox: Sandbox, post: Post, track: Make) -> None:
    sandbox.revoke()
    assert outcome(post(TRACK, track())) == (200, 40105)
    sandbox.accept_token("new-token")
    assert outcome(post(TRACK, track(), token="new-token")) == (200, 0)
    assert outcome(post(TRACK, track())) == (200, 40105)
    sandbox.reset()
    assert outcome(post(TRACK, track())) == (200, 0)
    assert outcome(post(TRACK, track(), token="new-token")) == (200, 40105)


def test_the_content_type_must_be_json(post: Post, track: Make) -> None:
    body = json.dumps(track()).encode()
    assert outcome(post(TRACK, body, headers={"Content-Type": "text/plain"})) == (200, 40000)
    assert outcome(post(TRACK, body, headers={"Content-Type": "Application/JSON; charset=utf-8"})) == (200, 0)


def test_a_gzip_body_is_taken(sandbox: Sandbox, post: Post, track: Make) -> None:
    body = gzip.compress(json.dumps(track(count=1000)).encode())
    assert outcome(post(TRACK, body, headers={"Content-Encoding": "gzip"})) == (200, 0)
    assert outcome(post(TRACK, b"no gzip", headers={"Content-Encoding": "gzip"})) == (200, 40000)
    assert outcome(post(TRACK, body)) == (200, 40000)
    assert sandbox.stats().accepted == 1000


def test_a_body_in_chunks_is_taken(sandbox: Sandbox, session: requests.Session, track: Make) -> None:
    body = json.dumps(track(count=300)).encode()
    parts = (body[at : at + 7000] for at in range(0, len(body), 7000))
    headers = {"Access-Token": sandbox.token, "Content-Type": "application/json"}
    assert outcome(session.post(sandbox.api_url + TRACK, data=parts, headers=headers)) == (200, 0)
    assert sandbox.stats().accepted == 300


def test_a_body_above_the_limit_of_bytes_is_refused(sandbox: Sandbox, post: Post, track: Make) -> None:
    body = json.dumps(track(count=10)).encode()
    sandbox.settings(max_body_bytes=len(body))
    assert outcome(post(TRACK, body)) == (200, 0)
    sandbox.settings(max_body_bytes=len(body) - 1)
    for headers, sent in (({}, body), ({"Content-Encoding": "gzip"}, gzip.compress(body))):
        response = post(TRACK, sent, headers=headers)
        assert response.status_code == 413
        assert response.headers["Content-Type"] == "text/html"


@pytest.mark.parametrize(("path", "limit"), [(TRACK, 1000), (LEGACY, 50)])
def test_a_batch_above_the_limit_of_events_is_refused(
    sandbox: Sandbox, post: Post, track: Make, legacy: Make, path: str, limit: int
) -> None:
    make = track if path == TRACK else legacy
    assert outcome(post(path, make(count=limit + 1))) == (200, 40061)
    assert sandbox.accepted() == {}
    assert outcome(post(path, make(count=limit))) == (200, 0)
    assert len(sandbox.accepted()) == limit
    sandbox.settings(max_track_events=3, max_legacy_events=2)
    assert outcome(post(path, make(count=4))) == (200, 40061)


def test_copies_are_answered_with_success_and_counted_once(sandbox: Sandbox, post: Post, track: Make) -> None:
    assert outcome(post(TRACK, track("a", "b", "a"))) == (200, 0)
    assert outcome(post(TRACK, track("b", "c"))) == (200, 0)
    stats = sandbox.stats()
    assert (stats.events_received, stats.accepted, stats.duplicates, stats.keys) == (5, 3, 2, 3)
    assert (stats.keys_repeated_within_window, stats.keys_accepted_again) == (2, 0)
    assert set(sandbox.accepted().values()) == {1}
    detail = sandbox.accepted_in_detail()[Key("PIXEL", "PlaceAnOrder", "a")]
    assert (detail.times_accepted, detail.copies_received) == (1, 2)
    assert abs(detail.first_accepted - time.time()) < 60


def test_a_copy_a_week_later_counts_twice(sandbox: Sandbox, post: Post, track: Make) -> None:
    post(TRACK, track("a", "b"))
    sandbox.advance_clock(7 * 86_400)
    post(TRACK, track("a"))
    assert sandbox.accepted() == {Key("PIXEL", "PlaceAnOrder", "a"): 2, Key("PIXEL", "PlaceAnOrder", "b"): 1}
    stats = sandbox.stats()
    assert stats.keys_accepted_again == 1
    assert stats.clock_offset_secs == 604_800
    detail = sandbox.accepted_in_detail()[Key("PIXEL", "PlaceAnOrder", "a")]
    assert detail == Accepted(2, 2, detail.first_accepted)
    assert abs(detail.first_accepted - time.time()) < 60


def test_legacy_and_2_0_share_the_key(sandbox: Sandbox, post: Post, track: Make, legacy: Make) -> None:
    post(TRACK, track("a"))
    post(LEGACY, legacy("a"))
    assert sandbox.accepted() == {Key("PIXEL", "PlaceAnOrder", "a"): 1}


def test_event_sources_can_be_named(sandbox: Sandbox, post: Post, track: Make, legacy: Make) -> None:
    sandbox.settings(sources={"PIXEL": "web", "SET": "offline"})
    assert outcome(post(TRACK, track("a"))) == (200, 0)
    assert outcome(post(LEGACY, legacy("a"))) == (200, 0)
    assert outcome(post(TRACK, track("a", source_id="OTHER"))) == (200, 40001)
    reply = post(TRACK, track("a", source="offline")).json()
    assert (reply["code"], reply["message"]) == (40002, "Invalid value for event_source_id: not a valid string.")
    assert outcome(post(TRACK, track("a", source="offline", source_id="SET"))) == (200, 0)


def test_partner_names_can_be_limited(sandbox: Sandbox, post: Post, track: Make, legacy: Make) -> None:
    for path, body in ((TRACK, track()), (LEGACY, legacy())):
        body["partner_name"] = "Nobody"
        sandbox.settings(partner_names=None)
        assert outcome(post(path, body)) == (200, 0)
        sandbox.settings(partner_names=["mParticle"])
        assert outcome(post(path, body)) == (200, 40063)


def test_requests_above_the_rate_are_refused(sandbox: Sandbox, post: Post, track: Make) -> None:
    sandbox.settings(requests_per_second=3)
    while time.time() % 1 > 0.3:  # begin early in a second, so that all requests fall into it
        time.sleep(0.01)
    replies = [post(TRACK, track()).json() for _ in range(5)]
    assert [reply["code"] for reply in replies] == [0, 0, 0, 40100, 40100]
    assert replies[-1]["message"] == "Too many requests. Please retry in some time."
    assert sandbox.stats().started_by_second == {max(sandbox.stats().started_by_second): 5}


def test_requests_are_counted(sandbox: Sandbox, post: Post, track: Make, legacy: Make) -> None:
    body = json.dumps(track("a", "b")).encode()
    post(TRACK, body)
    post(TRACK, body, token="unknown")
    post(LEGACY, legacy())
    stats = sandbox.stats()
    assert (stats.requests, sum(stats.started_by_second.values())) == (3, 3)
    assert all(abs(second - time.time()) < 60 for second in stats.started_by_second)
    assert [(row.path, row.status, row.code, row.count) for row in stats.replies] == [
        (TRACK, 200, 0, 1),
        (TRACK, 200, 40105, 1),
        (LEGACY, 200, 0, 1),
    ]
    assert stats.count(path=TRACK) == 2
    assert stats.count(code=0) == 2
    assert (stats.requests_sound, stats.events_received) == (2, 3)
    assert stats.body_bytes == 2 * len(body) + len(json.dumps(legacy()))
    assert stats.connections == 1


def test_a_connection_is_kept_and_can_be_closed(sandbox: Sandbox, post: Post, track: Make) -> None:
    for _ in range(3):
        assert "Connection" not in post(TRACK, track()).headers
    for _ in range(2):
        assert post(TRACK, track(), headers={"Connection": "close"}).headers["Connection"] == "close"
    assert post(TRACK, track()).ok
    assert sandbox.stats().connections == 3


def test_bodies_can_be_kept_byte_by_byte(sandbox: Sandbox, post: Post, track: Make, legacy: Make) -> None:
    sandbox.settings(keep_bodies=True)
    first = json.dumps(track("ü"), ensure_ascii=False).encode()
    second = json.dumps(legacy()).encode()
    post(TRACK, first)
    post(LEGACY, gzip.compress(second), headers={"Content-Encoding": "gzip"}, token="unknown")
    kept = sandbox.bodies()
    assert [(row.path, row.status, row.code, row.body.encode()) for row in kept] == [
        (TRACK, 200, 0, first),
        (LEGACY, 200, 40105, second),
    ]
    assert kept[0].at <= kept[1].at <= time.time()
    sandbox.reset()
    assert sandbox.bodies() == []
