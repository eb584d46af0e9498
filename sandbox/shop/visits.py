"""What one person does in the invented shop: the events of a visit, in mParticle's form.

The form is that of mParticle's Events API schema (`commerce_event`, `custom_event`, `screen_view`, `session_start`).
"""

import random
from collections.abc import Callable
from typing import Any

from sandbox.shop.shoppers import CATALOGUE, Shopper, int64, line, pick, uuid

Json = dict[str, Any]
Number = Callable[[int], int | str]

# What people do, each as often as its share. Five of the actions have an event at TikTok, the others have none.
_VISITS_AND_SHARES: tuple[tuple[tuple[str, ...], int], ...] = (
    (("view_detail",), 14),
    (("view_detail", "view_detail"), 14),
    (("view_detail", "view_detail", "view_detail"), 6),
    (("view_detail", "add_to_cart"), 15),
    (("view_detail", "add_to_cart", "checkout", "purchase"), 12),
    (("add_to_cart", "checkout"), 6),
    (("search", "view_detail"), 8),
    (("view_detail", "add_to_wishlist"), 7),
    (("checkout", "checkout_option", "purchase"), 5),
    (("impression", "click", "view_detail"), 4),
    (("view_detail", "add_to_cart", "remove_from_cart"), 3),
    (("promotion", "view_detail", "view_detail"), 2),
    (("add_to_wishlist", "remove_from_wish_list"), 1),
    (("view_detail", "remove_from_wishlist"), 1),
    (("refund",), 1),
    (("unknown",), 1),
)
_VISITS = tuple(visit for visit, share in _VISITS_AND_SHARES for _ in range(share))
_FEED_ORDERS = (("purchase",),) * 16 + (("purchase", "purchase"), ("purchase", "refund"), ("refund",), ("add_to_cart",))
_APP_VISITS = (("view_detail",), ("view_detail", "add_to_wishlist"), ("add_to_cart", "checkout", "purchase"))

_PATHS = {
    "checkout": "/checkout/payment",
    "checkout_option": "/checkout/payment",
    "purchase": "/checkout/thank-you",
    "refund": "/account/orders",
}
_ORDERS = frozenset({"checkout", "purchase", "refund"})


def web_visit(rng: random.Random, who: Shopper, until_ms: int, number: Number) -> list[Json]:
    """Returns the events of one visit to the web shop, in order, the last of them before `until_ms`."""
    at_ms = until_ms - 120_000 - int(rng.random() * 480_000)
    session = {"session_id": number(int64(rng)), "session_uuid": uuid(rng)}
    events = []
    if rng.random() < 0.35:
        events.append(_event(rng, "session_start", at_ms, number, **session))
    if rng.random() < 0.3:
        events.append(_event(rng, "screen_view", at_ms + 40, number, screen_name="/home", custom_flags={}, **session))
    for step in pick(rng, _VISITS):
        at_ms += 2_000 + int(rng.random() * 20_000)
        events.append(_step(rng, who, step, at_ms, number, session))
    return events


def single_action(rng: random.Random, who: Shopper, until_ms: int, number: Number) -> list[Json]:
    """Returns one commerce event, as it arrives when mParticle's "Send as Batch" is off."""
    return [_step(rng, who, pick(rng, _VISITS)[-1], until_ms - int(rng.random() * 3_000), number, {})]


def feed_order(rng: random.Random, who: Shopper, until_ms: int, number: Number) -> list[Json]:
    """Returns what an order system reports through a data feed, hours after it happened; tills know no page."""
    at_ms = until_ms - int(rng.random() * 6 * 3_600_000)
    till = rng.random() < 0.1
    events = []
    for action in pick(rng, _FEED_ORDERS):
        at_ms += 1_000
        event = _commerce(rng, who, action, at_ms, number, {})
        if till:
            event["data"]["custom_flags"] = {}
        event["data"]["custom_attributes"] = {"mParticle Source Feed": "Orders Feed", "store_id": "88"}
        events.append(event)
    return events


def app_visit(rng: random.Random, who: Shopper, until_ms: int, number: Number) -> list[Json]:
    """Returns what happens in the shop's app, which is no input of the pipeline."""
    at_ms = until_ms - 60_000
    return [_commerce(rng, who, action, at_ms, number, {}) for action in pick(rng, _APP_VISITS)]


def purchase(rng: random.Random, who: Shopper, at_ms: int, number: Number) -> Json:
    """Returns one purchase on the web shop's last page."""
    session = {"session_id": number(int64(rng)), "session_uuid": uuid(rng)}
    return _commerce(rng, who, "purchase", at_ms, number, session, most=2)


def page_flags(rng: random.Random, who: Shopper, path: str) -> Json:
    """Returns the custom flags that a site sets: the page, where it was reached from, and the click id."""
    url = f"https://{who.market.host}{path}"
    draw = rng.random()
    if who.click_id is None:
        flags = {"TikTok.URL": url}
    elif draw < 0.75:
        flags = {"TikTok.URL": url, "TikTok.Callback": who.click_id}
    else:
        flags = {"TikTok.URL": f"{url}?ttclid={who.click_id}"}
    if draw < 0.6:
        flags["TikTok.Referrer"] = f"https://{who.market.host}/"
    return flags


def _step(rng: random.Random, who: Shopper, step: str, at_ms: int, number: Number, session: Json) -> Json:
    if step == "search":
        found = {"query": "running shoes", "results": "12"}
        return _event(
            rng,
            "custom_event",
            at_ms,
            number,
            event_name="Search",
            custom_event_type="search",
            custom_attributes=found,
            custom_flags={},
        )
    if step == "impression":
        shown = [{"product_impression_list": "home", "products": _lines(rng, who, 3)}]
        return _event(rng, "commerce_event", at_ms, number, product_impressions=shown, custom_flags={}, **session)
    if step == "promotion":
        promotion = {"action": "click", "promotions": [{"id": "promo1", "name": "Summer", "position": "top"}]}
        return _event(rng, "commerce_event", at_ms, number, promotion_action=promotion, custom_flags={}, **session)
    return _commerce(rng, who, step, at_ms, number, session)


def _event(rng: random.Random, event_type: str, at_ms: int, number: Number, **data: Any) -> Json:
    return {
        "event_type": event_type,
        "data": {
            "timestamp_unixtime_ms": number(at_ms),
            "event_id": number(int64(rng)),
            "source_message_id": uuid(rng),
            "custom_attributes": None,
            **data,
        },
    }


def _commerce(
    rng: random.Random, who: Shopper, action: str, at_ms: int, number: Number, session: Json, most: int = 4
) -> Json:
    """Returns a commerce event with a product action of at most `most` lines; a total only where a shop gives one."""
    products = _lines(rng, who, most if action in _ORDERS else 1)
    product_action: Json = {"action": action, "products": products}
    if action in _ORDERS or rng.random() < 0.5:
        total = sum(product["total_product_amount"] for product in products)
        product_action["total_amount"] = round(total, who.market.decimals)
    if action in ("purchase", "refund"):
        product_action["transaction_id"] = f"ORD-{rng.getrandbits(34):011d}"
        product_action["tax_amount"] = round(product_action["total_amount"] * 0.08, 2)
        product_action["shipping_amount"] = 0 if rng.random() < 0.6 else 4.5
    return _event(
        rng,
        "commerce_event",
        at_ms,
        number,
        product_action=product_action,
        currency_code=who.market.currency,
        event_name=f"eCommerce - {action}",
        custom_event_type=action,
        custom_flags=page_flags(rng, who, _PATHS.get(action) or f"/p/{products[0]['id']}"),
        is_non_interactive=False,
        **session,
    )


def _lines(rng: random.Random, who: Shopper, most: int) -> list[Json]:
    """Returns one to `most` product lines, small numbers more often."""
    count = 1 + int(rng.random() * rng.random() * most)  # the product of two draws is mostly small
    return [
        line(rng, pick(rng, CATALOGUE), who.market, position, 1 if rng.random() < 0.8 else 2)
        for position in range(1, count + 1)
    ]
