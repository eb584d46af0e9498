"""Whole mParticle batches around the events of the invented shop: who it was, which device, which consent.

Both forms that mParticle has: the outgoing one, where identities are a list, and the inbound one, where they are an
object and which the output carries too with the setting "Raw Data Feed". 64-bit numbers come as text or as numbers.
"""

import random
from collections.abc import Callable

from sandbox.shop import visits
from sandbox.shop.shoppers import Shopper, int64, pick, uuid
from sandbox.shop.visits import Json, Number


def any_batch(rng: random.Random, who: Shopper, now_ms: int) -> Json:
    """Returns a batch that mParticle sends at `now_ms`, of any kind, as often as the kinds are met."""
    return pick(rng, _MIX)(rng, who, now_ms)


def purchase(rng: random.Random, who: Shopper, at_ms: int) -> Json:
    """Returns a web batch with one purchase by a person whose three identities are known."""
    batch = _outgoing(rng, who, [visits.purchase(rng, who, at_ms, str)], at_ms + 500, str)
    known = [("customer_id", who.customer_id), ("email", who.email), ("mobile_number", who.phone)]
    return {**batch, "user_identities": _as_list(known, at_ms, str), "user_attributes": _attributes(who, str)}


def new_ids(rng: random.Random, now_ms: int, number: Number) -> Json:
    """Returns the fields of a batch that mParticle makes anew whenever it sends one."""
    return {
        "timestamp_unixtime_ms": number(now_ms),
        "batch_id": number(int64(rng)),
        "message_id": uuid(rng),
        "message_type": "events",
        "schema_version": 2,
    }


def _web(rng: random.Random, who: Shopper, now_ms: int) -> Json:
    number = _number_form(rng)
    return _outgoing(rng, who, visits.web_visit(rng, who, now_ms, number), now_ms, number)


def _web_single(rng: random.Random, who: Shopper, now_ms: int) -> Json:
    number = _number_form(rng)
    return _outgoing(rng, who, visits.single_action(rng, who, now_ms, number), now_ms, number)


def _web_development(rng: random.Random, who: Shopper, now_ms: int) -> Json:
    return {**_web(rng, who, now_ms), "environment": "development"}


def _raw_data_feed(rng: random.Random, who: Shopper, now_ms: int) -> Json:
    """Returns a web batch in the inbound form, as the output has it with mParticle's setting "Raw Data Feed"."""
    number = _number_form(rng)
    batch = {
        "source_request_id": uuid(rng),
        "environment": "production",
        "ip": who.ip,
        "device_info": {"platform": "web", "http_header_user_agent": who.user_agent},
        "application_info": {"application_name": "Sample Shop", "application_version": "4.12.0"},
        "user_attributes": _attributes(who, str.lower),
        "user_identities": dict(_identities(rng, who)),
        "events": visits.web_visit(rng, who, now_ms, number),
        "mpid": number(who.mpid),
    }
    return _with_cookie_and_consent(rng, who, batch, now_ms, number)


def _feed(rng: random.Random, who: Shopper, now_ms: int) -> Json:
    """Returns what a data feed brings: no browser behind it, and telephone numbers as people write them at home."""
    number = _number_form(rng)
    phone = who.phone
    if phone.startswith("+1") and rng.random() < 0.5:
        phone = f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}"
    identities = [("customer_id", who.customer_id), ("email", who.email.upper()), ("mobile_number", phone)]
    return {
        "events": visits.feed_order(rng, who, now_ms, number),
        "device_info": {"platform": "out_of_band"},
        "application_info": {"os": "OutOfBand"},
        "user_attributes": _attributes(who, str.lower),
        "user_identities": _as_list(identities[: 1 + int(rng.random() * 3)], now_ms, number),
        "environment": "production",
        "mpid": number(who.mpid),
        "ip": "",
        "source_info": {"channel": "partner", "partner": "Order System"},
        "source_request_id": uuid(rng),
        **new_ids(rng, now_ms, number),
    }


def _app(rng: random.Random, who: Shopper, now_ms: int) -> Json:
    batch = _outgoing(rng, who, visits.app_visit(rng, who, now_ms, str), now_ms, str)
    platform, system = pick(rng, (("iOS", "IOS"), ("Android", "Android")))
    batch["device_info"] = {"platform": platform, "http_header_user_agent": "SampleShop/4.12"}
    batch["application_info"] = {"application_name": "Sample Shop", "os": system}
    batch["source_info"] = {"channel": "native"}
    return batch


def _without_events(rng: random.Random, who: Shopper, now_ms: int) -> Json:
    return _outgoing(rng, who, [], now_ms, str) | {"events": pick(rng, ([], None))}


def _validation_result(rng: random.Random, who: Shopper, now_ms: int) -> Json:
    event = {"event_type": "validation_result", "data": {"timestamp_unixtime_ms": str(now_ms)}}
    return _outgoing(rng, who, [event], now_ms, str)


def _outgoing(rng: random.Random, who: Shopper, events: list[Json], now_ms: int, number: Number) -> Json:
    """Returns a web batch in mParticle's outgoing form, where identities are a list."""
    batch = {
        "events": events,
        "device_info": {
            "platform": "web",
            "http_header_user_agent": who.user_agent,
            "locale_language": who.market.language,
            "locale_country": who.market.country,
        },
        "application_info": {"application_name": "Sample Shop", "application_version": "4.12.0", "os": "MobileWeb"},
        "user_attributes": _attributes(who, str) if rng.random() < 0.5 else {},
        "user_identities": _as_list(_identities(rng, who), now_ms, number),
        "environment": "production",
        "context": {"data_plan": {"plan_id": "sample_shop_plan", "plan_version": 3}},
        "mpid": number(who.mpid),
        "ip": who.ip,
        "sdk_version": "2.72.0",
        "source_info": {"channel": "javascript", "partner": None, "is_historical": False},
        **new_ids(rng, now_ms, number),
    }
    return _with_cookie_and_consent(rng, who, batch, now_ms, number)


def _with_cookie_and_consent(rng: random.Random, who: Shopper, batch: Json, now_ms: int, number: Number) -> Json:
    """Adds TikTok's `_ttp` cookie and what the person agreed to; CCPA's `consented: true` means opted OUT."""
    if who.cookie is not None:
        batch["partner_identities"] = {"tiktok_cookie_id": who.cookie}
    draw = rng.random()
    if draw < 0.5:
        at = number(now_ms - 86_400_000)
        batch["consent_state"] = {
            "gdpr": {"marketing": {"consented": draw > 0.03, "timestamp_unixtime_ms": at}},
            "ccpa": {"data_sale_opt_out": {"consented": draw < 0.012, "timestamp_unixtime_ms": at}},
        }
    return batch


def _number_form(rng: random.Random) -> Number:
    """Returns how this batch writes 64-bit numbers: as text four times out of five."""
    return str if rng.random() < 0.8 else int


def _identities(rng: random.Random, who: Shopper) -> list[tuple[str, str]]:
    """Returns whom the shop knows: nobody in two visits of five, else an account with e-mail, perhaps with a phone."""
    draw = rng.random()
    if draw < 0.4:
        return []
    email = f" {who.email.title()} " if draw < 0.45 else who.email
    if draw < 0.7:
        return [("customer_id", who.customer_id), ("email", email)]
    if draw < 0.75:
        return [("email", email)]
    return [("customer_id", who.customer_id), ("email", email), ("mobile_number", who.phone)]


def _as_list(identities: list[tuple[str, str]], now_ms: int, number: Number) -> list[Json]:
    at = number(now_ms - 86_400_000)
    return [{"identity_type": kind, "identity": value, "timestamp_unixtime_ms": at} for kind, value in identities]


def _attributes(who: Shopper, spelling: Callable[[str], str]) -> Json:
    """Returns the reserved attributes: SDKs write `$FirstName`, server documentation `$firstname`."""
    city, state, code = who.place
    named = {
        "$FirstName": who.first_name,
        "$LastName": who.last_name,
        "$City": city,
        "$State": state,
        "$Country": who.market.spellings[who.number % len(who.market.spellings)],
        "$Zip": code,
    }
    return {spelling(name): value for name, value in named.items()} | {"favourite_sports": ["running", "cycling"]}


# What kind of batch comes next: an entry is one percent.
_MIX: tuple[Callable[[random.Random, Shopper, int], Json], ...] = (
    *(_web,) * 66,
    *(_web_single,) * 8,
    *(_raw_data_feed,) * 10,
    *(_feed,) * 8,
    *(_web_development,) * 2,
    *(_app,) * 3,
    *(_without_events,) * 2,
    _validation_result,
)
