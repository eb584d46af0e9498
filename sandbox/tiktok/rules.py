"""Judges a request body by TikTok's rules: bytes in, the decoded `Batch` or the `Refusal` that TikTok would answer out.

One bad event fails the whole request (hightouch.com/docs/destinations/tiktok).

Every rule is applied to all events of a request at once, which is quick; only if something is suspicious, event by
event (`_problem`), which decides and names the place.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from sandbox.tiktok import refusals, wire
from sandbox.tiktok.refusals import Refusal

Path = Literal["event/track/", "pixel/batch/"]
TRACK: Path = "event/track/"
LEGACY: Path = "pixel/batch/"

# Events in a request. Source: Events API 2.0 "Report events" (1,000, "above it the whole request is rejected"); 50 for
# legacy as rudder-transformer (`MAX_BATCH_SIZE`) and Tealium ("50 events") have it.
MAX_EVENTS: Mapping[str, int] = {TRACK: 1_000, LEGACY: 50}

# SHA-256 of the empty string: a hash in form, and of nothing.
EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

# Events that `event_source: offline` takes, "standard only" (`track.go`). Source: TikTok help center, "Supported
# standard events" (2025), with the names that still work until 2027 ("How to adopt TikTok's updated standard events").
STANDARD_EVENTS = frozenset(
    {
        "AddPaymentInfo",
        "AddToCart",
        "AddToWishlist",
        "ApplicationApproval",
        "CompleteRegistration",
        "Contact",
        "CustomizeProduct",
        "Download",
        "FindLocation",
        "InitiateCheckout",
        "Lead",
        "Purchase",
        "Schedule",
        "Search",
        "StartTrial",
        "SubmitApplication",
        "Subscribe",
        "ViewContent",
        "Pageview",
        "PageView",
        "CompletePayment",
        "SubmitForm",
        "ClickButton",
        "PlaceAnOrder",
    }
)

# Fields that hold a person's data and must be SHA-256, 64 lower-case hex digits (`track.go`; rudder-transformer,
# action-destinations for names and zip code).
_PERSONAL = ("email", "phone", "phone_number", "external_id", "first_name", "last_name", "zip_code")
_HASH = re.compile(r"[0-9a-f]{64}")
_NOT_HASHED = "Not hashed, must be SHA-256 in lower-case hex"
# "Must start with http:// or https://". Source: mParticle, "TikTok event integration", `TikTok.URL`.
_WEB_ADDRESS = ("http://", "https://")


class Batch(msgspec.Struct, frozen=True):
    """A request body that keeps every rule.

    Attributes:
      path: which endpoint's.
      source_id: `event_source_id`, or the legacy `pixel_code`.
      source: `event_source`; `web` for legacy.
      partner_name: None if the request has none.
    """

    path: Path
    source_id: str
    source: str
    events: Sequence[wire.TrackEvent | wire.LegacyEvent]
    partner_name: str | None = None

    @property
    def root(self) -> str:
        """Returns the name of the array that holds the events."""
        return "data" if self.path == TRACK else "batch"


def check(path: str, body: bytes | bytearray, max_events: Mapping[str, int] = MAX_EVENTS) -> Batch | Refusal:
    """Returns the batch, or the refusal of its first problem.

    Args:
      path: `event/track/` or `pixel/batch/`.
      body: JSON, decompressed.
      max_events: events allowed in a request, by path.
    """
    try:
        batch = _track(body) if path == TRACK else _legacy(body)
    except msgspec.ValidationError as error:
        return refusals.translated(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Refusal(refusals.INVALID_PARAMS, "Request body is not valid JSON")
    if not 1 <= len(batch.events) <= max_events[path]:
        return Refusal(refusals.INVALID_BATCH_SIZE, f"Batch size must be between 1 and {max_events[path]}.")
    if _suspicious(batch):
        for index, event in enumerate(batch.events):
            if problem := _problem(batch.source, event):
                return Refusal(problem.code, problem.reason, (batch.root, index, *problem.path))
    return batch


def _track(body: bytes | bytearray) -> Batch:
    request = wire.decode_track(body)
    return Batch(
        path=TRACK,
        source_id=request.event_source_id,
        source=request.event_source,
        events=request.data,
        partner_name=request.partner_name or None,
    )


def _legacy(body: bytes | bytearray) -> Batch:
    request = wire.decode_legacy(body)
    return Batch(
        path=LEGACY,
        source_id=request.pixel_code,
        source="web",
        events=request.batch,
        partner_name=request.partner_name or None,
    )


def _suspicious(batch: Batch) -> bool:
    """Returns whether any event may break a rule: True may be a false alarm, False is certain."""
    if batch.source not in ("web", "offline"):
        return True
    hashes: list[str] = []
    currencies: set[str] = set()
    gather = _gather_track if batch.path == TRACK else _gather_legacy
    if not gather(batch, hashes, currencies) or not all(map(_is_currency, currencies)):
        return True
    if batch.source == "offline" and not all(event.event in STANDARD_EVENTS for event in batch.events):
        return True
    joined = "".join(hashes)
    return (
        not set(map(len, hashes)) <= {64}
        or bool(joined.encode("utf-8", "replace").translate(None, b"0123456789abcdef"))
        or EMPTY_HASH in joined
    )


def _gather_track(batch: Batch, hashes: list[str], currencies: set[str]) -> bool:
    """Collects what must be hashes and currencies; returns False if a page is missing or has no web address.

    The loops are what the sandbox spends most of its own time in.
    """
    _gather_users(batch, hashes)
    needs_page = batch.source == "web"
    event: Any  # a TrackEvent; its optional fields are tested by class, which mypy cannot follow
    for event in batch.events:
        properties = event.properties
        if properties is not UNSET and properties.currency is not UNSET:
            currencies.add(properties.currency)
        page = event.page
        if page is not UNSET:
            if not page.url.startswith(_WEB_ADDRESS):
                return False
        elif needs_page:
            return False
    return True


def _gather_users(batch: Batch, hashes: list[str]) -> None:
    """Collects what must be hashes. The names are spelt out: in the loop above them they would take twice as long."""
    add = hashes.append
    event: Any  # a TrackEvent
    for event in batch.events:
        user = event.user
        if user is UNSET:
            continue
        for value in (user.email, user.phone, user.external_id):
            if value.__class__ is list:
                hashes += value
            elif value is not UNSET:
                add(value)
        if user.first_name is not UNSET:
            add(user.first_name)
        if user.last_name is not UNSET:
            add(user.last_name)
        if user.zip_code is not UNSET:
            add(user.zip_code)


def _gather_legacy(batch: Batch, hashes: list[str], currencies: set[str]) -> bool:
    """Does as `_gather_track` for legacy events, which always have a page."""
    event: Any  # a LegacyEvent
    for event in batch.events:
        context = event.context
        if not context.page.url.startswith(_WEB_ADDRESS):
            return False
        user = context.user
        if user is not UNSET:
            if user.email is not UNSET:
                hashes.append(user.email)
            if user.phone_number is not UNSET:
                hashes.append(user.phone_number)
            if user.external_id is not UNSET:
                hashes.append(user.external_id)
        if event.properties is not UNSET and event.properties.currency is not UNSET:
            currencies.add(event.properties.currency)
    return True


def _problem(source: str, event: wire.TrackEvent | wire.LegacyEvent) -> Refusal | None:
    """Returns what is wrong with one event, `path` from the event's root, or None. This decides."""
    if isinstance(event, wire.LegacyEvent):
        place: tuple[str, ...] = ("context",)
        user: wire.TrackUser | wire.LegacyUser | UnsetType = event.context.user
        page: wire.Page | UnsetType = event.context.page
    else:
        place, user, page = (), event.user, event.page
        if problem := _misfit(source, event):
            return problem
    if page is not UNSET and not page.url.startswith(_WEB_ADDRESS):
        return Refusal(
            refusals.PARAM_ERROR, "Not a valid URL, must start with http:// or https://", (*place, "page", "url")
        )
    if event.properties is not UNSET:
        currency = event.properties.currency
        if currency is not UNSET and not _is_currency(currency):
            return Refusal(refusals.PARAM_ERROR, refusals.NOT_A_CURRENCY, ("properties", "currency"))
    return _unhashed(user, (*place, "user"))


def _misfit(source: str, event: wire.TrackEvent) -> Refusal | None:
    """Returns what an event lacks, or has, that its event source does not allow."""
    for name, needed in (("page", "web"), ("app", "app"), ("lead", "crm")):
        if source == needed and getattr(event, name) is UNSET:
            return Refusal(refusals.PARAM_ERROR, refusals.MISSING, (name,))
    if source == "offline" and event.event not in STANDARD_EVENTS:
        return Refusal(refusals.PARAM_ERROR, "Not a standard event", ("event",))
    return None


def _unhashed(user: wire.TrackUser | wire.LegacyUser | UnsetType, place: tuple[str, ...]) -> Refusal | None:
    """Returns which personal field is no hash, or the hash of nothing."""
    for name in _PERSONAL:
        value = getattr(user, name, UNSET)
        for index, digest in enumerate(value if isinstance(value, list) else () if value is UNSET else (value,)):
            if not _HASH.fullmatch(digest) or digest == EMPTY_HASH:
                at = (name, index) if isinstance(value, list) else (name,)
                return Refusal(refusals.PII_NOT_HASHED, _NOT_HASHED, (*place, *at))
    return None


def _is_currency(code: str) -> bool:
    """Returns whether it has the form of a currency code (ISO 4217); lists of currencies age, so none is kept here."""
    return len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()
