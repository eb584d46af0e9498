"""Dead letters of a stream on a Pub/Sub topic: one message for each event that was not delivered.

Body: the finished payload, free of raw identities (empty where the event ended before it had one, or a message could
not be read). Attributes, all text: `kind`, `stage`, `reason`, `detail`, `code`, `request_id`, `attempts`, `form`,
`event`, `event_id`, `event_source_id`, `input_ref`, `input_index`, `first_sent_ms`, `run_id`; those without a value are
left out.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1  # type: ignore[attr-defined]  # a name space without types
from google.pubsub_v1 import PublisherClient, types

from pipeline.records.dead_letter_rows import DEAD_KINDS, OUTCOME_VALUES
from transforms.google_errors import Resource, pubsub_remedy
from transforms.model import Outcome

# Source: Pub/Sub, "Quotas and limits": a publish request has at most 1,000 messages and 10 MB.
_MESSAGES_OF_A_CALL: Final = 500
_BYTES_OF_A_CALL: Final = 5_000_000
_CALL_SECS: Final = 60.0

_COLUMNS: Final = (
    *("kind", "stage", "reason", "detail", "code", "request_id", "attempts", "form", "event", "event_id"),
    *("input_ref", "input_index"),
)
_ATTRIBUTES: Final[dict[str, Callable[[Outcome], object]]] = {
    **{name: OUTCOME_VALUES[name] for name in _COLUMNS},
    "first_sent_ms": OUTCOME_VALUES["first_sent_time"],
}


class DeadLetterTopicError(RuntimeError):
    """Dead letters could not be published; the message names the topic and the remedy."""


class DeadLetterTopic:
    """Publishes dead letters; `publish` returns once they are stored.

    Args:
      topic: full name.
      constants: attributes of every message.

    Raises:
      DeadLetterTopicError: there are no Google credentials.
    """

    def __init__(self, topic: str, constants: dict[str, str]) -> None:
        self._topic = topic
        self._constants = constants
        # The client behind the one that gathers messages in threads: what is gathered here is sent at once.
        try:
            gathering = pubsub_v1.PublisherClient()
        except GoogleAuthError as error:
            raise self._error(error) from None
        self._client = PublisherClient(transport=gathering.transport)

    def check(self) -> None:
        """Makes sure that the topic exists, as far as the account may ask for it.

        Raises:
          DeadLetterTopicError: there is none.
        """
        try:
            self._client.get_topic(topic=self._topic, timeout=_CALL_SECS)
        except exceptions.PermissionDenied:
            return
        except exceptions.GoogleAPICallError as error:
            raise self._error(error) from None

    def publish(self, outcomes: Sequence[Outcome]) -> None:
        """Publishes those of the outcomes that are dead letters.

        Raises:
          DeadLetterTopicError: it failed for a minute, or for good.
        """
        group: list[Any] = []
        group_bytes = 0
        for outcome in outcomes:
            if outcome.kind not in DEAD_KINDS:
                continue
            size = len(outcome.payload or b"")
            if group and (len(group) >= _MESSAGES_OF_A_CALL or group_bytes + size > _BYTES_OF_A_CALL):
                self._send(group)
                group, group_bytes = [], 0
            group.append(self._message(outcome))
            group_bytes += size
        if group:
            self._send(group)

    def _message(self, outcome: Outcome) -> types.PubsubMessage:
        values = {name: value(outcome) for name, value in _ATTRIBUTES.items()}
        attributes = {name: str(value) for name, value in values.items() if value is not None}
        return types.PubsubMessage(data=outcome.payload or b"", attributes=self._constants | attributes)

    def _send(self, messages: list[Any]) -> None:
        try:
            self._client.publish(topic=self._topic, messages=messages, timeout=_CALL_SECS)
        except exceptions.GoogleAPIError as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> DeadLetterTopicError:
        found = pubsub_remedy(error, Resource.DEAD_LETTER_TOPIC)
        return DeadLetterTopicError(f"--dead_letter_topic {self._topic}: {found}")
