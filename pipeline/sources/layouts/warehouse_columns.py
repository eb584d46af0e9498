"""What stands in mParticle's warehouse tables: numbers → words, columns → fields of a batch. Tables only.

Sources: mParticle, "BigQuery", "Redshift" and "Snowflake" outputs, table columns; the numbers of `eventtypeid` are
those of mparticle-web-sdk v2.71.2 and mparticle-android-sdk eb2b4c87 (`EventType`, `CommerceEventType`).
"""

# `messagetypeid` → event_type.
EVENT_TYPES = {
    1: "session_start",
    2: "session_end",
    3: "screen_view",
    4: "custom_event",
    5: "crash_report",
    6: "opt_out",
    7: "first_run",
    8: "pre_attribution",
    9: "push_registration",
    10: "application_state_transition",
    11: "push_message",
    12: "network_performance",
    13: "breadcrumb",
    14: "profile",
    15: "push_reaction",
    16: "commerce_event",
    17: "user_attribute_change",
    18: "user_identity_change",
    19: "uninstall",
}
SCREEN_VIEW, COMMERCE_EVENT = "screen_view", "commerce_event"

# `eventtypeid` → custom_event_type.
CUSTOM_EVENT_TYPES = {
    1: "navigation",
    2: "location",
    3: "search",
    4: "transaction",
    5: "user_content",
    6: "user_preference",
    7: "social",
    8: "other",
    9: "media",
    10: "add_to_cart",
    11: "remove_from_cart",
    12: "checkout",
    13: "checkout_option",
    14: "click",
    15: "view_detail",
    16: "purchase",
    17: "refund",
    18: "promotion_view",
    19: "promotion_click",
    20: "add_to_wishlist",
    21: "remove_from_wishlist",
    22: "impression",
}
PROMOTIONS = frozenset({18, 19})
IMPRESSION = 22

# `productactiontypeid` and `productaction.actiontype` → action. These are not the numbers of `eventtypeid`.
ACTIONS = {
    1: "add_to_cart",
    2: "remove_from_cart",
    3: "checkout",
    4: "checkout_option",
    5: "click",
    6: "view_detail",
    7: "purchase",
    8: "refund",
    9: "add_to_wishlist",
    10: "remove_from_wishlist",
}
UNKNOWN_ACTION = "unknown"

# `eventtypeid` → action, where the table has no number of the action itself.
ACTION_WORDS = frozenset(ACTIONS.values())
ACTIONS_BY_EVENT_TYPE = {number: word for number, word in CUSTOM_EVENT_TYPES.items() if word in ACTION_WORDS}

# Column → identity type.
IDENTITIES = {
    "customerid": "customer_id",
    "email": "email",
    "facebookid": "facebook",
    "twitterid": "twitter",
    "googleuserid": "google",
    "microsoftuserid": "microsoft",
    "yahoouserid": "yahoo",
    "otheruserid": "other",
    "otheruserid2": "other_id_2",
    "otheruserid3": "other_id_3",
    "otheruserid4": "other_id_4",
}
# No warehouse table has a phone identity: the user attribute stands in for whichever of them the connection names.
PHONE_IDENTITIES = ("mobile_number", "phone_number_2", "phone_number_3")
PHONE_ATTRIBUTE = "$mobile"

# Columns with one value, beside the identities.
SCALARS = (
    "eventid",
    "batchid",
    "mparticleuserid",
    "eventtimestamp",
    "batchtimestamp",
    "messagetypeid",
    "eventtypeid",
    "eventname",
    "ecommercescreenname",
    "productactiontypeid",
    "promotionactiontypeid",
    "isdebug",
    "appenvironment",
    "clientip",
    "clientipv6",
    "httpheaderuseragent",
    "platform",
    "localelanguage",
    "localecountry",
    "sdkversion",
    "entrypointtype",
)
TIMES = frozenset({"eventtimestamp", "batchtimestamp"})

# Columns with objects or lists, or their JSON text.
CONTAINERS = ("productaction", "productactionproducts", "eventattributes", "userattributes", "eventcustomflags")
COLUMNS = (*SCALARS, *IDENTITIES, *CONTAINERS)

# The two fields of an attribute in BigQuery's lists.
PAIR_NAME, PAIR_VALUE = "attributename", "attributevalue"

# Without these a table is none of mParticle's.
NEEDED = ("eventid", "messagetypeid", "eventtimestamp")

# Prefixes of columns with one attribute each, as Redshift's tables of one event have them.
EVENT_ATTRIBUTE_PREFIX, USER_ATTRIBUTE_PREFIX = "ea_", "ua_"

# Fields of a product action, without case and underscores → as a batch has them.
ACTION_FIELDS = {
    "transactionid": "transaction_id",
    "affiliation": "affiliation",
    "totalamount": "total_amount",
    "taxamount": "tax_amount",
    "shippingamount": "shipping_amount",
    "couponcode": "coupon_code",
    "checkoutstep": "checkout_step",
    "checkoutoptions": "checkout_options",
    "productactionlist": "product_action_list",
    "productlistsource": "product_list_source",
}

# Fields of a product, without case, underscores and the word `product` in front → as a batch has them.
PRODUCT_FIELDS = {
    "id": "id",
    "name": "name",
    "brand": "brand",
    "category": "category",
    "variant": "variant",
    "position": "position",
    "price": "price",
    "quantity": "quantity",
    "couponcode": "coupon_code",
    "totalproductamount": "total_product_amount",
    "attributes": "custom_attributes",
    "customattributes": "custom_attributes",
}

# Spellings of the currency, in a product action or among the attributes of an event, without case, spaces and
# underscores: no table has a column for it. Source: mparticle-android-sdk eb2b4c87, "Currency Code".
CURRENCY_NAMES = frozenset({"currencycode", "currency"})
CURRENCY_ATTRIBUTE = "currencycode"

# `entrypointtype` of what an SDK sent. Source: column description.
FROM_SDK = 1
WEB_PLATFORM = "web"

# `appenvironment` → environment; "debug or production" in its column description.
ENVIRONMENTS = {"debug": "development", "development": "development", "production": "production"}
