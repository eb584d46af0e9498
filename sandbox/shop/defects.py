"""What goes wrong in real data: damage done to good batches, and messages that never were one.

`spoil` changes one batch a little, as a careless site, an old SDK or a partner's export would; most of these events can
still be sent, some have to be rejected. `broken` gives the bytes of messages that cannot be read at all.
"""

import random
from collections.abc import Callable
from typing import Any

import msgspec

from sandbox.shop.shoppers import int64, pick, uuid

Json = dict[str, Any]

_JUNK = ("null", "undefined", "0", "n/a", "anonymous", "")


def spoil(rng: random.Random, batch: Json, event: Json) -> None:
    """Damages the batch, or one commerce event in it, in one way.

    Args:
      rng: where chance comes from.
      batch: an mParticle batch; changed in place.
      event: one of its commerce events; changed in place.
    """
    pick(rng, _DAMAGES)(rng, batch, event["data"])


def broken(rng: random.Random, good: bytes) -> bytes:
    """Returns a message that is no readable batch.

    Args:
      rng: where chance comes from.
      good: a readable message, which some of the breaks start from.
    """
    return pick(rng, _BREAKS)(rng, good)


def alias_request(rng: random.Random, now_ms: int) -> bytes:
    """Returns the message that joins two users at mParticle; it holds no events."""
    return msgspec.json.encode(
        {
            "request_id": uuid(rng),
            "request_type": "alias",
            "environment": "production",
            "data": {
                "destination_mpid": str(int64(rng)),
                "source_mpid": str(int64(rng)),
                "start_unixtime_ms": now_ms - 86_400_000,
                "end_unixtime_ms": now_ms,
                "scope": "device",
                "device_application_stamp": uuid(rng),
            },
        }
    )


def _set_identity(batch: Json, identity_type: str, value: str) -> None:
    identities = batch["user_identities"] = batch.get("user_identities") or []
    if isinstance(identities, list):
        identities[:] = [one for one in identities if one["identity_type"] != identity_type]
        identities.append({"identity_type": identity_type, "identity": value})
    else:
        identities[identity_type] = value


def _no_page_url(rng: random.Random, batch: Json, data: Json) -> None:
    data["custom_flags"].pop("TikTok.URL", None)


def _page_url_elsewhere(rng: random.Random, batch: Json, data: Json) -> None:
    url = data["custom_flags"].pop("TikTok.URL", None)
    if url:
        data["page_url"] = url


def _page_url_without_scheme(rng: random.Random, batch: Json, data: Json) -> None:
    data["custom_flags"]["TikTok.URL"] = "shop.example.com/no-scheme"


def _private_ip(rng: random.Random, batch: Json, data: Json) -> None:
    batch["ip"] = f"10.0.{int(rng.random() * 256)}.7"


def _no_metadata(rng: random.Random, batch: Json, data: Json) -> None:
    batch["ip"] = pick(rng, ("", None))
    batch.pop("device_info", None)
    batch.pop("application_info", None)


def _junk_identity(rng: random.Random, batch: Json, data: Json) -> None:
    _set_identity(batch, pick(rng, ("email", "customer_id", "mobile_number")), pick(rng, _JUNK))


def _hopeless_phone(rng: random.Random, batch: Json, data: Json) -> None:
    _set_identity(batch, "mobile_number", pick(rng, ("555", "call me", "+0 000", "12")))


def _hashed_email(rng: random.Random, batch: Json, data: Json) -> None:
    _set_identity(batch, "email", f"{rng.getrandbits(256):064X}")


def _no_currency(rng: random.Random, batch: Json, data: Json) -> None:
    data["currency_code"] = None


def _currency_on_the_action(rng: random.Random, batch: Json, data: Json) -> None:
    if data.get("currency_code") and data.get("product_action"):
        data["product_action"]["currency"] = data.pop("currency_code").lower()


def _zero_total_of_an_old_sdk(rng: random.Random, batch: Json, data: Json) -> None:
    batch["sdk_version"] = "2.68.0"
    if data.get("product_action"):
        data["product_action"]["total_amount"] = 0


def _numbers_as_text(rng: random.Random, batch: Json, data: Json) -> None:
    action = data.get("product_action") or {}
    for product in action.get("products") or ():
        product["price"], product["quantity"] = str(product["price"]), str(product["quantity"])
    if action.get("total_amount") is not None:
        action["total_amount"] = str(action["total_amount"])


def _goods_by_weight(rng: random.Random, batch: Json, data: Json) -> None:
    for product in (data.get("product_action") or {}).get("products") or ():
        product["quantity"] = round(0.2 + rng.random() * 3, 3)


def _dummy_click_id(rng: random.Random, batch: Json, data: Json) -> None:
    data["custom_flags"]["TikTok.Callback"] = pick(rng, ("__CLICKID__", "undefined", "test", "abc123"))


def _flag_as_list(rng: random.Random, batch: Json, data: Json) -> None:
    flags = data["custom_flags"]
    for name in flags:
        flags[name] = [flags[name]]


def _no_source_message_id(rng: random.Random, batch: Json, data: Json) -> None:
    data["source_message_id"] = None


def _no_ids(rng: random.Random, batch: Json, data: Json) -> None:
    data["source_message_id"] = ""
    data.pop("event_id", None)


def _no_time(rng: random.Random, batch: Json, data: Json) -> None:
    data["timestamp_unixtime_ms"] = pick(rng, (None, "yesterday", 0))


def _wrong_types(rng: random.Random, batch: Json, data: Json) -> None:
    if "product_action" in data and rng.random() < 0.5:
        data["product_action"] = "purchase"
    else:
        data["custom_flags"] = 7


def _null_neighbour(rng: random.Random, batch: Json, data: Json) -> None:
    batch["events"].append(pick(rng, (None, {"event_type": "commerce_event", "data": None})))


def _unreadable_consent(rng: random.Random, batch: Json, data: Json) -> None:
    batch["consent_state"] = "granted"


_DAMAGES: tuple[Callable[[random.Random, Json, Json], None], ...] = (
    # The harmless ones happen more often: each entry is one share of the draw.
    _no_page_url,
    _no_page_url,
    _no_page_url,
    _page_url_elsewhere,
    _page_url_elsewhere,
    _page_url_elsewhere,
    _page_url_without_scheme,
    _private_ip,
    _no_metadata,
    _no_metadata,
    _junk_identity,
    _junk_identity,
    _junk_identity,
    _hopeless_phone,
    _hashed_email,
    _hashed_email,
    _no_currency,
    _no_currency,
    _currency_on_the_action,
    _zero_total_of_an_old_sdk,
    _zero_total_of_an_old_sdk,
    _numbers_as_text,
    _numbers_as_text,
    _goods_by_weight,
    _dummy_click_id,
    _flag_as_list,
    _no_source_message_id,
    _no_ids,
    _no_time,
    _wrong_types,
    _null_neighbour,
    _unreadable_consent,
)


def _cut_off(rng: random.Random, good: bytes) -> bytes:
    return good[: 1 + int(rng.random() * (len(good) - 1))]


def _not_utf8(rng: random.Random, good: bytes) -> bytes:
    return good.replace(b"example", b"ex\xff\xfeample", 1)


def _words(rng: random.Random, good: bytes) -> bytes:
    return b"not json at all"


def _markup(rng: random.Random, good: bytes) -> bytes:
    return b"<html><body>502 Bad Gateway</body></html>"


def _another_document(rng: random.Random, good: bytes) -> bytes:
    return pick(rng, (b'{"hello":"world"}', b"[1,2,3]", b'"a string"', b"null", b"42"))


def _events_of_a_wrong_type(rng: random.Random, good: bytes) -> bytes:
    return good.replace(b'"events":[', b'"events":5,"were":[', 1)


def _verification_file(rng: random.Random, good: bytes) -> bytes:
    return b"{}"


_BREAKS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _cut_off,
    _not_utf8,
    _words,
    _markup,
    _another_document,
    _events_of_a_wrong_type,
    _verification_file,
)
