"""What is data in the mapping, with its source; no rule stands here and no table stands anywhere else.

Sources named below: "the customer's specification" is mParticle's TikTok *Event* page in the edition that this project
implements (docs.mparticle.com/integrations/tiktok/event/); "batch schema" is mParticle's inbound Events
API schema (2023-10 and 2026-08), which agrees with the models of npm `@mparticle/event-models` 1.2.0.
"""

from collections.abc import Mapping

# mParticle identity types. Source: batch schema, `user_identities`.
IDENTITY_TYPES = (
    "other",
    "customer_id",
    "facebook",
    "twitter",
    "google",
    "microsoft",
    "yahoo",
    "email",
    "alias",
    "facebook_custom_audience_id",
    *(f"other_id_{number}" for number in range(2, 11)),
    "mobile_number",
    "phone_number_2",
    "phone_number_3",
)

# Spellings that differ from the schema's by more than case, spaces, underscores and dashes. Sources: Firehose SDK 3.2.0
# (`customer`), SDK and IDSync (`other2`), BigQuery export columns (`otheruserid2`).
_OTHER_SPELLINGS = {
    "customer": "customer_id",
    **{f"other{number}": f"other_id_{number}" for number in range(2, 11)},
    **{f"otheruserid{number}": f"other_id_{number}" for number in range(2, 11)},
    "otheruserid": "other",
}


def _folded(text: str) -> str:
    """Returns the text in lower case without spaces, underscores and dashes."""
    return "".join(text.split()).lower().replace("_", "").replace("-", "")


_IDENTITY_TYPE_BY_FOLDED = {_folded(name): name for name in IDENTITY_TYPES} | _OTHER_SPELLINGS

# The spellings that batches use, found without folding.
IDENTITY_TYPE_BY_SPELLING = {name: name for name in IDENTITY_TYPES} | _IDENTITY_TYPE_BY_FOLDED


def identity_type(text: str) -> str | None:
    """Returns mParticle's canonical identity type for any of its spellings, None if there is no such type.

    >>> identity_type("Customer ID"), identity_type("customerid"), identity_type("Other 2"), identity_type("shoe size")
    ('customer_id', 'customer_id', 'other_id_2', None)

    Source: the customer's specification, section 2 (identity types in the settings are mParticle's labels).
    """
    return IDENTITY_TYPE_BY_SPELLING.get(text) or _IDENTITY_TYPE_BY_FOLDED.get(_folded(text))


# The event type that this mapping forwards. Source: the customer's specification, section 6.
COMMERCE_EVENT = "commerce_event"

# Other things that arrive on the same topic. Source: mparticle-web-sdk (alias request), `@mparticle/event-models`.
ALIAS_REQUEST = "alias"
VALIDATION_RESULT = "validation_result"

# Source: ads.tiktok.com/help, "Supported standard events" (list of 2025); names are case-sensitive.
STANDARD_EVENTS = (
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
)

# Still accepted, with their present name if they have one. Source: ads.tiktok.com/help, "How to adopt TikTok's updated
# standard events": "CompletePayment" is now "Purchase", "SubmitForm" is now "Lead" (2025); "ClickButton" and
# "PlaceAnOrder" are out of the documentation and end in 2027.
RETIRED_EVENTS: dict[str, str | None] = {
    "CompletePayment": "Purchase",
    "SubmitForm": "Lead",
    "PlaceAnOrder": "Purchase",
    "ClickButton": None,
}

# TikTok turns these into other events by itself; nobody else may use them. Source: ads.tiktok.com/help, "Reserved
# events".
RESERVED_EVENTS = {
    "AddBilling": "AddPaymentInfo",
    "Browse": "PageView",
    "Checkout": "PlaceAnOrder",
    "ClickForm": "Lead",
    "ClickInDownloadPage": "ClickButton",
    "ClickToDownload": "Download",
    "Consult": "Contact",
    "ConsultByPhone": "Contact",
    "Registration": "CompleteRegistration",
    "StartCheckout": "InitiateCheckout",
    "ViewConsultationPage": "ViewContent",
    "ViewDownloadPage": "ViewContent",
    "ViewForm": "ViewContent",
}

# Product action → TikTok event. Source: the customer's specification, section 6.
EVENT_NAMES: Mapping[str, str] = {
    "add_to_cart": "AddToCart",
    "add_to_wishlist": "AddToWishlist",
    "purchase": "PlaceAnOrder",
    "checkout": "InitiateCheckout",
    "view_detail": "ViewContent",
}

# Every product action that mParticle knows. Source: batch schema, `product_action.action`; `unknown`: event-models.
PRODUCT_ACTIONS = (
    "add_to_cart",
    "remove_from_cart",
    "checkout",
    "checkout_option",
    "click",
    "view_detail",
    "purchase",
    "refund",
    "add_to_wishlist",
    "remove_from_wish_list",
    "unknown",
)

# The second spelling of an action. Source: warehouse columns (`remove_from_wishlist`); `add_to_wish_list` is ours.
ACTION_SPELLINGS = {"remove_from_wishlist": "remove_from_wish_list", "add_to_wish_list": "add_to_wishlist"}

# What `event_names` may never turn a refund into: names that count as an order. `Checkout` is among them because
# TikTok converts that reserved name to PlaceAnOrder. Source: ads.tiktok.com/help, "Reserved events".
PURCHASE_LIKE_EVENTS = frozenset({"purchase", "placeanorder", "completepayment", "checkout"})

# Actions that take back what counts as an order. Source: the customer's specification, section 6.
TAKEN_BACK_ACTIONS = frozenset({"refund", "remove_from_cart", "remove_from_wish_list"})

# Source: batch schema, `event_type`; `unknown` and `validation_result`: event-models.
EVENT_TYPES = (
    "session_start",
    "session_end",
    "screen_view",
    "custom_event",
    "crash_report",
    "opt_out",
    "first_run",
    "pre_attribution",
    "push_registration",
    "application_state_transition",
    "push_message",
    "network_performance",
    "breadcrumb",
    "profile",
    "push_reaction",
    "commerce_event",
    "user_attribute_change",
    "user_identity_change",
    "uninstall",
    "unknown",
    "validation_result",
)

# Source: batch schema, `environment`; `unknown`: event-models.
ENVIRONMENTS = ("production", "development", "unknown")

# Top-level fields by which an object without `events` is still known as a batch. Source: batch schema and the
# JSON reference ("Differences between incoming and outgoing JSON").
BATCH_FIELDS = frozenset(
    {
        "events",
        "user_identities",
        "user_attributes",
        "deleted_user_attributes",
        "device_info",
        "application_info",
        "ip",
        "mpid",
        "environment",
        "timestamp_unixtime_ms",
        "batch_id",
        "message_id",
        "message_type",
        "schema_version",
        "unique_id",
        "source_request_id",
        "context",
        "consent_state",
        "system_notifications",
        "source_info",
        "partner_identities",
        "integration_attributes",
        "mp_deviceid",
    }
)

# What tells a data feed, in lower case without underscores. Source: the customer's specification, section 2.
FEED_OS = "outofband"
FEED_PLATFORM = "outofband"
FEED_CHANNEL = "partner"
FEED_ATTRIBUTE = "mParticle Source Feed"

# What tells a native app, in the same spelling. Source: the customer's specification, section 2; the platforms are
# those of the batch schema, `device_info.platform`, without `web`, `desktop` and `out_of_band`.
APP_CHANNEL = "native"
APP_PLATFORMS = frozenset({"ios", "android", "tvos", "roku", "smarttv", "xbox", "firetv", "fireos", "watchos"})

# Channels that may carry uploads of the Web SDK. Source: batch schema, `source_info.channel`; a batch without
# `source_info` ("Include Metadata" off) may come from it as well.
WEB_SDK_CHANNELS = frozenset({"", "javascript", "unknown"})

# From here on the Web SDK computes the total itself; before, it sent 0 for "no revenue given".
# Source: mparticle-web-sdk pull request 1280 (2026-06), release 2.72.0.
FIRST_WEB_SDK_WITH_TOTAL = (2, 72, 0)

# mParticle user attributes in the order of `transforms.parts.User`. Source: the customer's specification, section 5.
USER_ATTRIBUTES = ("$FirstName", "$LastName", "$Zip", "$City", "$State", "$Country")

# Custom flags. Source: the customer's specification, section 7.
URL_FLAG = "TikTok.URL"
REFERRER_FLAG = "TikTok.Referrer"
CLICK_ID_FLAG = "TikTok.Callback"

# What a click id should start with. Source: the customer's specification, section 7.
CLICK_ID_PREFIX = "E.C.P"

# The query parameter with which TikTok hands the click id to a landing page.
CLICK_ID_PARAMETER = "ttclid"

# SHA-256 of the empty text, which sites send that hash their empty fields. TikTok refuses a request that holds it.
_EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

# Values that stand for "nothing", in lower case. Source: the skip list of Mixpanel's mParticle importer
# (ak--47/mixpanel-import, `vendor/mparticle.js`).
_JUNK_WORDS = (
    "-1",
    "0",
    "00000000-0000-0000-0000-000000000000",
    "<nil>",
    "anon",
    "anonymous",
    "false",
    "n/a",
    "na",
    "nil",
    "none",
    "null",
    "true",
    "undefined",
    "unknown",
    "{}",
    _EMPTY_HASH,
)

# The same as people and languages write it: null, NULL, Null; and the empty text.
JUNK = frozenset({"", *_JUNK_WORDS, *map(str.upper, _JUNK_WORDS), *map(str.capitalize, _JUNK_WORDS)})

# The part of it, in lower case, that cannot be a name or a place; Na, Nil and True are names of people.
JUNK_NAMES = frozenset(_JUNK_WORDS) - {"na", "nil", "anon", "true"}

# Click ids of test pages and of links whose macro was never replaced, in lower case. Source: the customer's
# specification, section 7 ("dummy values are left out"); `__CLICKID__` is TikTok's macro.
DUMMY_CLICK_IDS = JUNK | {
    "ttclid",
    "clickid",
    "click_id",
    "callback",
    "dummy",
    "test",
    "e.c.p",
    "e.c.p.",
    "xxx",
    "123",
    "your_ttclid",
}

# How the macros of ad servers and tag managers look before they are replaced: `__CLICKID__`, `{{ttclid}}`, `%ttclid%`.
MACRO_MARKS = (("__", "__"), ("{", "}"), ("[", "]"), ("<", ">"), ("%", "%"), ("${", "}"))

# Currencies that TikTok lists. Source: tiktok-business-api-sdk f809c39, `PixelProperties.md`;
# ads.tiktok.com/help, "About parameters".
# fmt: off
CURRENCIES = frozenset((
    "AED", "ARS", "AUD", "BDT", "BHD", "BIF", "BOB", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CRC",
    "CZK", "DKK", "DZD", "EGP", "EUR", "GBP", "GTQ", "HKD", "HNL", "HUF", "IDR", "ILS", "INR", "ISK",
    "JPY", "KES", "KHR", "KRW", "KWD", "KZT", "MAD", "MOP", "MXN", "MYR", "NGN", "NIO", "NOK", "NZD",
    "OMR", "PEN", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RUB", "SAR", "SEK", "SGD", "THB", "TRY",
    "TWD", "UAH", "USD", "VES", "VND", "ZAR",
))
# fmt: on

# Names of countries that people write and that are no ISO 3166-1 name; the key has letters only, in lower case.
# fmt: off
COUNTRY_NAMES = {
    "uk": "gb", "greatbritain": "gb", "england": "gb", "scotland": "gb", "wales": "gb", "northernireland": "gb",
    "republicofireland": "ie", "korea": "kr", "republicofkorea": "kr", "russia": "ru", "turkey": "tr",
    "thenetherlands": "nl", "holland": "nl", "uae": "ae", "ivorycoast": "ci", "macau": "mo", "brunei": "bn",
    "capeverde": "cv", "swaziland": "sz", "macedonia": "mk", "burma": "mm", "vatican": "va", "vaticancity": "va",
    "palestine": "ps", "micronesia": "fm", "theunitedstates": "us", "theunitedstatesofamerica": "us",
    "unitedstatesofamerica": "us", "deutschland": "de", "españa": "es", "brasil": "br", "italia": "it",
    "österreich": "at", "schweiz": "ch", "suisse": "ch", "méxico": "mx", "polska": "pl", "sverige": "se",
    "norge": "no", "danmark": "dk", "suomi": "fi",
}
# fmt: on

# A state of the US that ISO 3166-2 names otherwise; the key has letters only, in lower case.
STATE_NAMES = {"washingtondc": "dc", "virginislands": "vi"}

# Address blocks that no visitor of a public site comes from. Source: IANA IPv4 and IPv6 special-purpose address
# registries (RFC 6890). The blocks for documentation (RFC 5737, RFC 3849) are missing on purpose: they never occur in
# real traffic, and examples are written with them.
NOT_PUBLIC = (
    "0.0.0.0/8",  # "this network"
    "10.0.0.0/8",  # RFC 1918
    "100.64.0.0/10",  # carrier-grade NAT
    "127.0.0.0/8",  # loopback
    "169.254.0.0/16",  # link-local
    "172.16.0.0/12",  # RFC 1918
    "192.0.0.0/24",  # protocol assignments
    "192.88.99.0/24",  # 6to4 relay anycast
    "192.168.0.0/16",  # RFC 1918
    "198.18.0.0/15",  # benchmarks
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, broadcast
)

# IPv6 hands out global unicast addresses from here only. Source: IANA IPv6 address space registry.
PUBLIC_IPV6 = "2000::/3"
NOT_PUBLIC_IPV6 = (
    "2001::/32",  # Teredo: the tunnel's address, not the visitor's
    "2001:2::/48",  # benchmarks
    "2001:10::/28",  # ORCHID
    "2001:20::/28",  # ORCHIDv2
    "2002::/16",  # 6to4
    "3fff::/20",  # documentation since RFC 9637; no example of ours uses it
)
