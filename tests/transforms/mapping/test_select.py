"""Which events are sent, and the reason of each that is not."""

from typing import Any

import pytest

from transforms.connection import Connection, Consent
from transforms.mapping.select import event_names, selector
from transforms.model import BatchContext, EventData, MParticleEvent, Outcome, Present, ProductAction
from transforms.vocabulary import Kind, Reason, Stage

MS = 1718900123456


def event(batch: BatchContext | None = None, action: Any = "purchase", **changes: Any) -> MParticleEvent:
    """Returns a purchase that is sent, with some fields changed."""
    data = EventData(product_action=ProductAction(action=action))
    values = {"data": data, "event_id": "one", "occurred_at_ms": MS, "original": b"original", **changes}
    return MParticleEvent("file#1", 3, values.pop("event_type", "commerce_event"), batch or BatchContext(), **values)


def connection(**settings: Any) -> Connection:
    return Connection(event_source_id="P", **settings)


def ended(outcome: Outcome | None) -> tuple[Kind, Reason | None, str | None]:
    """Returns what the outcome says, after a look at the rest of it."""
    assert outcome is not None
    assert (outcome.stage, outcome.ref, outcome.index, outcome.event_id) == (Stage.SELECT, "file#1", 3, "one")
    assert outcome.original == (b"original" if outcome.kind is Kind.REJECTED else None)
    return outcome.kind, outcome.reason, outcome.detail


def test_a_purchase_of_the_web_passes() -> None:
    assert selector(connection())(event()) is None


@pytest.mark.parametrize(("word", "detail"), [("development", "development"), ("unknown", "unknown"), ("qa", "other")])
def test_only_the_environments_of_the_setting_pass(word: str, detail: str) -> None:
    batch = BatchContext(environment=word)
    assert ended(selector(connection())(event(batch))) == (Kind.SKIPPED, Reason.ENVIRONMENT, detail)
    assert selector(connection(environments=("production", word.upper())))(event(batch)) is None


@pytest.mark.parametrize("setting", ["auto", "web", "feed"])
def test_apps_are_no_input_whatever_the_setting(setting: Any) -> None:
    outcome = selector(connection(input=setting))(event(BatchContext(input="app")))
    assert ended(outcome) == (Kind.SKIPPED, Reason.UNSUPPORTED_INPUT, "app")


@pytest.mark.parametrize(("word", "detail"), [("screen_view", "screen_view"), ("party", "other")])
def test_other_event_types_are_skipped(word: str, detail: str) -> None:
    outcome = selector(connection())(event(event_type=word, data=None))
    assert ended(outcome) == (Kind.SKIPPED, Reason.UNSUPPORTED_EVENT_TYPE, detail)


@pytest.mark.parametrize("action", ["purchase", " Purchase ", "ADD_TO_WISH_LIST", "add_to_wishlist", "view_detail"])
def test_supported_actions_pass_in_any_case(action: str) -> None:
    assert selector(connection())(event(action=action)) is None


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (EventData(product_action=ProductAction(action="refund")), "refund"),
        (EventData(product_action=ProductAction(action="remove_from_wishlist")), "remove_from_wish_list"),
        (EventData(product_action=ProductAction(action="my secret action")), "other"),
        (EventData(product_action=ProductAction(action=" ")), "none"),
        (EventData(product_action=ProductAction()), "none"),
        (EventData(promotion_action=Present()), "promotion"),
        (EventData(product_impressions=(Present(),)), "impression"),
        (EventData(product_impressions=()), "none"),
        (EventData(), "none"),
    ],
)
def test_other_actions_are_counted_by_a_bounded_word(data: EventData, detail: str) -> None:
    assert ended(selector(connection())(event(data=data))) == (Kind.SKIPPED, Reason.UNSUPPORTED_ACTION, detail)


def test_event_names_override_and_add_but_never_turn_a_refund_into_an_order() -> None:
    names = event_names(connection(event_names={"Purchase": "Purchase", "click": "ClickButton", "refund": "Contact"}))
    assert (names["purchase"], names["click"], names["refund"]) == ("Purchase", "ClickButton", "Contact")
    for order in ("Purchase", "PlaceAnOrder", "CompletePayment", "Checkout", " purchase"):
        assert "refund" not in event_names(connection(event_names={"refund": order}))
    assert selector(connection(event_names={"click": "ClickButton"}))(event(action="click")) is None


@pytest.mark.parametrize(
    ("purpose", "missing", "gdpr", "expected"),
    [
        (None, "drop", {"marketing": False}, None),
        ("Marketing", "send", {"marketing": True}, None),
        ("Marketing", "send", {"marketing": False}, "refused"),
        ("marketing", "send", {}, None),
        ("marketing", "drop", {}, "missing"),
        ("marketing", "drop", {"analytics": True}, "missing"),
    ],
)
def test_the_gdpr_purpose_decides(purpose: Any, missing: Any, gdpr: dict[str, bool], expected: str | None) -> None:
    consent = Consent(gdpr_purpose=purpose, gdpr_missing=missing)
    outcome = selector(connection(consent=consent))(event(BatchContext(gdpr=gdpr)))
    if expected is None:
        assert outcome is None
    else:
        assert ended(outcome) == (Kind.SKIPPED, Reason.CONSENT_GDPR, expected)


@pytest.mark.parametrize(
    ("policy", "settings", "skipped"),
    [
        ("drop", {}, True),
        ("limit", {}, False),
        ("limit", {"input": "feed", "event_source_type": "feed"}, True),  # offline events cannot be limited
        ("ignore", {}, False),
    ],
)
def test_the_ccpa_policy_decides(policy: Any, settings: dict[str, Any], skipped: bool) -> None:
    select = selector(connection(consent=Consent(ccpa_opt_out=policy), **settings))
    outcome = select(event(BatchContext(ccpa_opted_out=True)))
    assert (outcome is not None) == skipped
    if outcome is not None:
        assert ended(outcome) == (Kind.SKIPPED, Reason.CONSENT_CCPA, None)
    assert select(event()) is None


def test_a_consent_that_cannot_be_read_rejects_unless_nobody_asks() -> None:
    batch = BatchContext(consent_unreadable=True)
    assert ended(selector(connection())(event(batch))) == (Kind.REJECTED, Reason.UNREADABLE_CONSENT, None)
    assert selector(connection(consent=Consent(ccpa_opt_out="ignore")))(event(batch)) is None


def test_an_event_without_time_is_rejected() -> None:
    outcome = selector(connection())(event(occurred_at_ms=None))
    assert outcome is not None
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, Reason.MISSING_TIMESTAMP)


@pytest.mark.parametrize(
    ("since", "until", "passes"),
    [
        (None, None, True),
        (MS, None, True),
        (MS + 1, None, False),
        (None, MS, False),
        (None, MS + 1, True),
        (MS, MS + 1, True),
        (0, 1, False),
    ],
)
def test_the_time_window_is_half_open(since: int | None, until: int | None, passes: bool) -> None:
    outcome = selector(connection(), since, until)(event())
    assert (outcome is None) == passes
    if outcome is not None:
        assert ended(outcome) == (Kind.SKIPPED, Reason.OUTSIDE_TIME_WINDOW, None)


@pytest.mark.parametrize(
    ("batch", "changes", "reason"),
    [
        (BatchContext(environment="qa", input="app", ccpa_opted_out=True), {"data": None}, Reason.ENVIRONMENT),
        (BatchContext(input="app", ccpa_opted_out=True), {"data": None}, Reason.UNSUPPORTED_INPUT),
        (BatchContext(ccpa_opted_out=True), {"data": None}, Reason.UNSUPPORTED_EVENT_TYPE),
        (BatchContext(ccpa_opted_out=True), {"action": "refund"}, Reason.UNSUPPORTED_ACTION),
        (BatchContext(ccpa_opted_out=True, consent_unreadable=True), {}, Reason.UNREADABLE_CONSENT),
        (BatchContext(ccpa_opted_out=True, gdpr={"marketing": False}), {}, Reason.CONSENT_GDPR),
        (BatchContext(ccpa_opted_out=True), {}, Reason.CONSENT_CCPA),
        (BatchContext(), {}, Reason.MISSING_TIMESTAMP),
    ],
)
def test_the_most_general_reason_is_given(batch: BatchContext, changes: dict[str, Any], reason: Reason) -> None:
    select = selector(connection(consent=Consent(gdpr_purpose="marketing")), since_ms=MS)
    outcome = select(event(batch, **{"occurred_at_ms": None, **changes}))
    assert outcome is not None
    assert outcome.reason is reason
