"""Which events go to TikTok: an event in, None if it passes, else its `Outcome` with the reason.

The checks run from the whole batch to the single event, so that the reason is the most general one that holds.
"""

from collections.abc import Callable

from transforms.connection import Connection
from transforms.mapping import tables
from transforms.model import BatchContext, EventData, MParticleEvent, Outcome
from transforms.vocabulary import Form, Kind, Reason, Stage

_ENVIRONMENTS = frozenset(tables.ENVIRONMENTS)
_EVENT_TYPES = frozenset(tables.EVENT_TYPES)
_PRODUCT_ACTIONS = frozenset(tables.PRODUCT_ACTIONS)

# What a count shows for a word that mParticle does not know: details stay a bounded set.
_OTHER = "other"


def canonical_action(action: str) -> str:
    """Returns a product action in mParticle's first spelling.

    >>> canonical_action(" Add_To_Wish_List "), canonical_action("purchase")
    ('add_to_wishlist', 'purchase')
    """
    word = action.strip().lower()
    return tables.ACTION_SPELLINGS.get(word, word)


def event_names(connection: Connection) -> dict[str, str]:
    """Returns product action → TikTok event of a connection; a refund never becomes an order.

    Source: the customer's specification, section 6.
    """
    names = dict(tables.EVENT_NAMES)
    for action, event in connection.event_names.items():
        word = canonical_action(action)
        if word != "refund" or event.strip().lower() not in tables.PURCHASE_LIKE_EVENTS:
            names[word] = event
    return names


def selector(
    connection: Connection, since_ms: int | None = None, until_ms: int | None = None
) -> Callable[[MParticleEvent], Outcome | None]:
    """Returns the function that gives the outcome of an event that is not sent, None for one that is.

    Args:
      connection: settings `environments`, `event_names` and `consent`.
      since_ms: events before are outside the time window.
      until_ms: events at this time or later are outside the time window.
    """
    environments = frozenset(word.strip().lower() for word in connection.environments)
    names = event_names(connection)
    consent_refused = _consent_check(connection)
    asks_purpose = connection.consent.gdpr_purpose is not None
    first_ms = since_ms if since_ms is not None else 0
    end_ms = until_ms if until_ms is not None else 1 << 62
    windowed = since_ms is not None or until_ms is not None

    def select(event: MParticleEvent) -> Outcome | None:
        """Returns the outcome of an event that is not sent."""
        batch = event.batch
        if batch.environment not in environments:
            return _ended(event, Kind.SKIPPED, Reason.ENVIRONMENT, _known(batch.environment, _ENVIRONMENTS))
        if batch.input == "app":
            return _ended(event, Kind.SKIPPED, Reason.UNSUPPORTED_INPUT, "app")
        data, custom = event.data, event.custom
        if data is None:
            return _ended(event, Kind.SKIPPED, Reason.UNSUPPORTED_EVENT_TYPE, _known(event.event_type, _EVENT_TYPES))
        action = None if data.product_action is None else data.product_action.action
        if custom is None and action not in names and (action is None or canonical_action(action) not in names):
            return _ended(event, Kind.SKIPPED, Reason.UNSUPPORTED_ACTION, _action_word(data, action))
        needs_look = asks_purpose or batch.ccpa_opted_out or batch.consent_unreadable
        outcome = consent_refused(event) if needs_look else None
        if outcome is not None:
            return outcome
        at_ms = event.occurred_at_ms
        if at_ms is None:
            return _ended(event, Kind.REJECTED, Reason.MISSING_TIMESTAMP)
        if windowed and not first_ms <= at_ms < end_ms:
            return _ended(event, Kind.SKIPPED, Reason.OUTSIDE_TIME_WINDOW)
        if custom is not None and custom.reason is not None:
            kind = Kind.SKIPPED if custom.reason is Reason.DUPLICATE_EVENT else Kind.REJECTED
            return _ended(event, kind, custom.reason, custom.detail)
        return None

    return select


def _consent_check(connection: Connection) -> Callable[[MParticleEvent], Outcome | None]:
    """Returns the function that applies the consent policy.

    A second line behind mParticle's own forwarding rules. Source: mParticle documentation, "Data privacy controls".
    """
    policy = connection.consent
    purpose = policy.gdpr_purpose.strip().lower() if policy.gdpr_purpose is not None else None
    drops_missing = policy.gdpr_missing == "drop"
    asks = purpose is not None or policy.ccpa_opt_out != "ignore"
    source = None if connection.input == "auto" else connection.input

    def drops_opted_out(batch: BatchContext) -> bool:
        """Returns whether an opted-out person's event is dropped: `limit` needs a field that offline events lack."""
        if policy.ccpa_opt_out == "limit":
            return connection.form(source or batch.input) is Form.OFFLINE
        return policy.ccpa_opt_out == "drop"

    def consent_refused(event: MParticleEvent) -> Outcome | None:
        """Returns the outcome of an event that consent forbids."""
        batch = event.batch
        if batch.consent_unreadable and asks:
            return _ended(event, Kind.REJECTED, Reason.UNREADABLE_CONSENT)
        if purpose is not None:
            agreed = batch.gdpr.get(purpose)
            if agreed is False:
                return _ended(event, Kind.SKIPPED, Reason.CONSENT_GDPR, "refused")
            if agreed is None and drops_missing:
                return _ended(event, Kind.SKIPPED, Reason.CONSENT_GDPR, "missing")
        if batch.ccpa_opted_out and drops_opted_out(batch):
            return _ended(event, Kind.SKIPPED, Reason.CONSENT_CCPA)
        return None

    return consent_refused


def _action_word(data: EventData, action: str | None) -> str:
    """Returns a word for what a commerce event was about instead of a supported action."""
    if action is not None and action.strip():
        return _known(canonical_action(action), _PRODUCT_ACTIONS)
    if data.promotion_action is not None:
        return "promotion"
    return "impression" if data.product_impressions else "none"


def _known(word: str, known: frozenset[str]) -> str:
    """Returns the word if mParticle knows it."""
    return word if word in known else _OTHER


def _ended(event: MParticleEvent, kind: Kind, reason: Reason, detail: str | None = None) -> Outcome:
    """Returns the outcome of an event that ends here."""
    return Outcome(
        kind=kind,
        stage=Stage.SELECT,
        reason=reason,
        ref=event.ref,
        index=event.index,
        detail=detail,
        event=None if event.custom is None else event.custom.event or None,
        event_id=event.event_id or None,
        occurred_at_ms=event.occurred_at_ms,
        original=event.original if kind is Kind.REJECTED else None,
    )
