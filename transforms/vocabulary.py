"""The closed sets of words: kinds, steps, reasons, notes, match keys and request forms.

Kinds, reasons and notes carry a sentence for operators, `Kind.meaning`, `Reason.remedy` and `Note.meaning`: `preview`,
`check`, the end of a run and the generated documentation show it. It is written here and nowhere else.
"""

from enum import IntFlag, StrEnum, unique
from typing import Self


class _Described(StrEnum):
    """A closed set whose members carry a sentence beside their value; pickles and JSON hold the value only."""

    _sentence: str

    def __new__(cls, value: str, sentence: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member._sentence = sentence
        return member


@unique
class Kind(_Described):
    """How a unit (an event, or a message without readable events) left the pipeline."""

    DELIVERED = "delivered", "TikTok accepted it: code 0 in the reply's body."
    SKIPPED = "skipped", "Not ours to send; the reason is counted and nothing has to be done."
    REJECTED = "rejected", "Cannot be sent as it is: correct the source or the mapping, then replay."
    UNDELIVERED = "undelivered", "Could be sent again as it is: replay."
    UNKNOWN = (
        "unknown",
        "TikTok may or may not have it: replay with the same event_id within 48 h of the first attempt.",
    )

    @property
    def meaning(self) -> str:
        """What it means for the unit, in a sentence for operators."""
        return self._sentence


@unique
class Stage(StrEnum):
    """The step in which a unit left; equal to the step's label in the Beam graph."""

    READ = "ReadMessages"
    DECODE = "DecodeMessages"
    SELECT = "SelectEvents"
    HASH = "HashIdentities"
    BUILD = "BuildPayloads"
    DUPLICATES = "DropDuplicates"
    SKIP = "SkipDelivered"
    BATCH = "BatchPayloads"
    WRITE = "WriteToTikTok"
    REPLAY = "ReadDeadLetters"


@unique
class Reason(_Described):
    """Why a unit was not delivered."""

    # Skipped: messages
    EMPTY_MESSAGE = "empty_message", "`{}` or an empty message (mParticle's bucket verification). Nothing to do."
    NO_EVENTS = (
        "no_events",
        'A batch without events. Turn off "Send Batches without Events" in mParticle to save the traffic.',
    )
    ALIAS_REQUEST = (
        "alias_request",
        'An alias request. Turn off "Send Alias Requests" in mParticle to save the traffic.',
    )
    VALIDATION_RESULT = (
        "validation_result",
        'A data-plan validation result. Turn off "Send Validation Results" in mParticle to save the traffic.',
    )

    # Skipped: events
    EMPTY_EVENT = (
        "empty_event",
        "A null event, or an event without data. Nothing to do; mParticle sends some impressions like this.",
    )
    UNSUPPORTED_EVENT_TYPE = (
        "unsupported_event_type",
        "Not a commerce event. Map it with a custom mapping if TikTok should get it.",
    )
    UNSUPPORTED_ACTION = (
        "unsupported_action",
        "A commerce action without a TikTok event (refund, click, promotion, impression …). Nothing to do.",
    )
    DUPLICATE_EVENT = (
        "duplicate_event",
        "Another mapping sends the same TikTok event for it; TikTok would drop the repeat. Nothing to do.",
    )
    UNSUPPORTED_INPUT = (
        "unsupported_input",
        "A batch of a native app, which is not an input of this pipeline. Nothing to do.",
    )
    ENVIRONMENT = (
        "environment",
        "An mParticle environment outside the setting `environments`. Add it there if it should be sent.",
    )
    OUTSIDE_TIME_WINDOW = "outside_time_window", "The event's time is outside --since/--until. Nothing to do."
    CONSENT_GDPR = (
        "consent_gdpr",
        "The GDPR purpose named by `consent.gdpr_purpose` was refused, or is missing and `gdpr_missing` is `drop`.",
    )
    CONSENT_CCPA = "consent_ccpa", "The person opted out of data sale and `consent.ccpa_opt_out` is `drop`."
    DRY_RUN = "dry_run", "Would be sent: `--dry_run` sends nothing. Run again without it."

    # Skipped: settled before, or by another unit
    ALREADY_DELIVERED = (
        "already_delivered",
        "The ledger says that TikTok has this event (`--skip_delivered`, `replay`). Nothing to do.",
    )
    AWAITING_DECISION = (
        "awaiting_decision",
        "TikTok may have it since more than 48 h and would count it twice. `--resend_unknown` sends it all the same.",
    )
    DUPLICATE_IN_INPUT = (
        "duplicate_in_input",
        "The input holds the same event again (`--drop_duplicates`); another copy stands for it. Nothing to do.",
    )
    SUPERSEDED = "superseded", "A newer dead letter of the same event stands for this one. Nothing to do."
    NO_PAYLOAD = (
        "no_payload",
        "The dead letter holds no payload. Replay with `--quarantine`, or run over the input again.",
    )

    # Rejected: messages and files
    UNREADABLE_FILE = "unreadable_file", "A file is corrupt or of no known layout. Export it again, then run over it."
    UNREADABLE_MESSAGE = (
        "unreadable_message",
        "Not JSON, or damaged gzip. Look at the source; `--quarantine` keeps the original.",
    )
    NOT_A_BATCH = "not_a_batch", "JSON, but no mParticle batch. Look at what else writes to this source."

    # Rejected: events
    MALFORMED_EVENT = (
        "malformed_event",
        "The event breaks mParticle's schema where a rule reads it. Look at the sender of this event.",
    )
    UNREADABLE_CONSENT = (
        "unreadable_consent",
        "`consent_state` cannot be read, so consent is not known. Look at the sender of this batch.",
    )
    MISSING_TIMESTAMP = "missing_timestamp", "No usable `timestamp_unixtime_ms`. Look at the sender of this event."
    MISSING_PAGE_URL = (
        "missing_page_url",
        "A web event without the custom flag `TikTok.URL` and without `page_url`. Set the flag on the site.",
    )
    INVALID_PAGE_URL = (
        "invalid_page_url",
        "`TikTok.URL` does not start with http:// or https://. Correct the flag on the site.",
    )
    MISSING_IP = (
        "missing_ip",
        'No public IP address, which the legacy endpoint needs. Switch on "Include Metadata", or use Events API 2.0.',
    )
    MISSING_USER_AGENT = (
        "missing_user_agent",
        'No user agent, which the legacy endpoint needs. Switch on "Include Metadata", or use Events API 2.0.',
    )
    MISSING_PARAMETER = (
        "missing_parameter",
        "The event has no usable value for a parameter that a custom mapping requires. Correct the site or the "
        "mapping.",
    )
    EVENT_TOO_LARGE = (
        "event_too_large",
        "One event is larger than a request may be. Shorten its product list, or raise `max_request_bytes`.",
    )
    REFUSED_BY_TIKTOK = (
        "refused_by_tiktok",
        "TikTok named this event invalid; the message tells the field. Correct the source or the mapping.",
    )
    PARKED = (
        "parked",
        "Replays do not help: `--max_attempts` are used up, or TikTok refused it again for the same reason. Look at "
        "it.",
    )
    INTERNAL_ERROR = (
        "internal_error",
        "A defect of this pipeline met this event. Please report it; replay after the correction.",
    )

    # Undelivered
    THROTTLED = (
        "throttled",
        'TikTok kept answering "too many requests" for `retry_secs`. Lower `requests_per_second`, then replay.',
    )
    OUTAGE = "outage", "TikTok could not be reached or kept failing for `retry_secs`. Replay later."
    CREDENTIALS = "credentials", "TikTok refused the token. Renew it, run `check --online`, then replay."
    CONFIGURATION = (
        "configuration",
        "TikTok refused the request as a whole (ids, rights, endpoint). Correct the connection, then replay.",
    )

    # Unknown
    TIMED_OUT = (
        "timed_out",
        "A request was sent and its reply never came. Replay within 48 h of the first attempt; TikTok drops repeats.",
    )
    PARTIAL_SUCCESS = (
        "partial_success",
        "TikTok accepted some of the request and did not say which. Replay within 48 h; TikTok drops repeats.",
    )
    UNKNOWN_CODE = (
        "unknown_code",
        "TikTok answered a code that is in no table. Ask TikTok with the request id, then set `codes` and replay.",
    )

    @property
    def remedy(self) -> str:
        """Why the unit was not delivered, and what the operator should do about it."""
        return self._sentence


@unique
class Note(_Described):
    """What the mapping had to decide about an event that is sent all the same. Counted, and shown by `preview`."""

    VALUE_FROM_ITEMS = (
        "value_from_items",
        "`value` is the sum of price × quantity, because the total was missing (setting `value_fallback`).",
    )
    MISSING_VALUE = "missing_value", "No total amount and no prices: sent without `value`."
    MISSING_CURRENCY = (
        "missing_currency",
        "No currency on the event and no `default_currency`: sent without `currency`.",
    )
    DEFAULT_CURRENCY = "default_currency", "The connection's `default_currency` was used."
    UNLISTED_CURRENCY = "unlisted_currency", "The currency is not in TikTok's list: sent all the same."
    INVALID_CURRENCY = (
        "invalid_currency",
        "Not an ISO 4217 code by its form: left out, or replaced by `default_currency`.",
    )
    FRACTIONAL_QUANTITY = (
        "fractional_quantity",
        "A quantity that is no integer was rounded (goods by weight), to at least 1.",
    )
    INVALID_AMOUNT = "invalid_amount", "A price, quantity or total that is not a finite number was taken as missing."
    MISTYPED_PARAMETER = (
        "mistyped_parameter",
        "The value of a mapped parameter is not of the parameter's type: left out.",
    )
    PERSONAL_VALUE = (
        "personal_value",
        "The value of a mapped parameter is an e-mail address, a phone or a name of the person: left out.",
    )
    UNUSABLE_EMAIL = "unusable_email", 'The e-mail identity is junk ("null", "n/a" …): left out.'
    UNUSABLE_PHONE = (
        "unusable_phone",
        "The phone cannot be brought into E.164 (country code?): left out. See `default_phone_region`.",
    )
    UNUSABLE_EXTERNAL_ID = "unusable_external_id", 'The external id is junk ("0", "undefined" …): left out.'
    NO_IDENTIFIER = "no_identifier", "None of e-mail, phone, external id: an anonymous event."
    WEAKLY_MATCHABLE = "weakly_matchable", "A web event of Events API 2.0 without ip or without user agent."
    INVALID_IP = "invalid_ip", "The ip address is private or malformed: left out."
    INVALID_CLICK_ID = (
        "invalid_click_id",
        "The click id is a dummy, or (with `strict_click_id`) has no `E.C.P` prefix: left out.",
    )
    UNUSUAL_CLICK_ID = "unusual_click_id", "The click id has no `E.C.P` prefix: sent all the same."
    CLICK_ID_FROM_URL = "click_id_from_url", "The click id was taken from the page URL's `ttclid` parameter."
    PAGE_URL_FALLBACK = (
        "page_url_fallback",
        "The page URL was taken from `data.page_url`, because the flag `TikTok.URL` was absent.",
    )
    DERIVED_EVENT_ID = (
        "derived_event_id",
        "Neither `source_message_id` nor `event_id`: the id is a digest of the event's own content.",
    )
    IN_THE_FUTURE = (
        "in_the_future",
        "The event's time lies after the time of its batch by more than an hour: sent unchanged.",
    )
    LIMITED_DATA_USE = "limited_data_use", "Sent with `limited_data_use: true` because of a CCPA opt-out."

    @property
    def meaning(self) -> str:
        """What was decided, in a sentence for operators."""
        return self._sentence


class MatchKey(IntFlag):
    """Which match keys a payload carries; a bit mask, because it is counted for every event."""

    EMAIL = 1
    PHONE = 2
    EXTERNAL_ID = 4
    CLICK_ID = 8
    TTP = 16
    IP_AND_USER_AGENT = 32


@unique
class Form(StrEnum):
    """Which request carries an event (facts of the Events API: `transforms.tiktok.envelope`).

    Attributes:
      LEGACY: `pixel/batch/`, Events API 1.0.
      WEB: `event/track/` with `event_source: web`.
      OFFLINE: `event/track/` with `event_source: offline`.
    """

    LEGACY = "legacy_pixel_batch_web"
    WEB = "web"
    OFFLINE = "offline"
