"""Structs that are built by position, because it is quicker, have each value in the field of its name."""

import json
from hashlib import sha256
from typing import Any

import msgspec

from transforms.connection import Connection, Consent
from transforms.mapping import builder, decode_message, hasher
from transforms.model import (
    BatchContext,
    CustomEvent,
    EventData,
    IdentifiedEvent,
    Message,
    MParticleEvent,
    Outcome,
    Payload,
    Product,
    ProductAction,
    User,
)
from transforms.vocabulary import Form, MatchKey, Note

EVENT = {
    "event_type": "commerce_event",
    "data": {
        "product_action": {
            "action": "purchase",
            "transaction_id": "ORDER",
            "total_amount": 7.5,
            "products": [
                {"id": "ID", "name": "NAME", "brand": "BRAND", "category": "CAT", "price": 2.5, "quantity": 3.0}
            ],
        },
        "currency_code": "EUR",
        "custom_flags": {"TikTok.URL": "https://a/", "TikTok.Referrer": "https://b/", "TikTok.Callback": "E.C.P.1"},
        "timestamp_unixtime_ms": "1718900123456",
        "source_message_id": "EVENT-ID",
    },
}
BATCH: dict[str, Any] = {
    "events": [EVENT, EVENT],
    "environment": "production",
    "ip": "203.0.113.24",
    "device_info": {"http_header_user_agent": "UA", "locale_language": "de", "locale_country": "AT"},
    "user_identities": [
        {"identity_type": "email", "identity": "ada@example.com"},
        {"identity_type": "mobile_number", "identity": "+12125550142"},
        {"identity_type": "customer_id", "identity": "CUST"},
    ],
    "user_attributes": {
        **{"$FirstName": "ada", "$LastName": "lovelace", "$Zip": "10016"},
        **{"$City": "New York", "$State": "NY", "$Country": "US"},
    },
    "consent_state": {
        "gdpr": {"marketing": {"consented": True}},
        "ccpa": {"data_sale_opt_out": {"consented": True}},
    },
    "partner_identities": {"tiktok_cookie_id": "TTP"},
    "sdk_version": "2.50.0",
    "timestamp_unixtime_ms": "1718900125000",
}
DATA = json.dumps(BATCH).encode()
CONTEXT = BatchContext(
    environment="production",
    input="web",
    ip="203.0.113.24",
    user_agent="UA",
    identities={"email": "ada@example.com", "mobile_number": "+12125550142", "customer_id": "CUST"},
    attributes=BATCH["user_attributes"],
    gdpr={"marketing": True},
    ccpa_opted_out=True,
    consent_unreadable=False,
    ttp="TTP",
    locale="de-AT",
    sends_zero_for_missing_total=True,
    received_at_ms=1718900125000,
    has_one_event=False,
)
CONTENT = EventData(
    product_action=ProductAction(
        action="purchase",
        transaction_id="ORDER",
        total_amount=7.5,
        products=(Product(id="ID", name="NAME", brand="BRAND", category="CAT", price=2.5, quantity=3.0),),
    ),
    currency_code="EUR",
    custom_flags={"TikTok.URL": "https://a/", "TikTok.Referrer": "https://b/", "TikTok.Callback": "E.C.P.1"},
    timestamp_unixtime_ms="1718900123456",
    source_message_id="EVENT-ID",
)
DECODED = MParticleEvent(
    ref="REF",
    index=1,
    event_type="commerce_event",
    batch=CONTEXT,
    data=CONTENT,
    raw=b"",
    original=DATA,
    event_id="EVENT-ID",
    occurred_at_ms=1718900123456,
    custom=None,
)
CONNECTION = Connection(event_source_id="A", enable_web_migration=True, consent=Consent(ccpa_opt_out="limit"))


def hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


USER = User(
    email=hashed("ada@example.com"),
    phone=hashed("+12125550142"),
    external_id=hashed("CUST"),
    first_name=hashed("ada"),
    last_name=hashed("lovelace"),
    zip_code=hashed("10016"),
    city="newyork",
    state="ny",
    country="us",
    ip="203.0.113.24",
    user_agent="UA",
    ttp="TTP",
    locale="de-AT",
)


def test_a_decoded_event_and_its_batch() -> None:
    assert decode_message(Message("REF", DATA), keep_original=True)[1] == DECODED


def test_a_batch_with_one_event_of_which_the_consent_cannot_be_read() -> None:
    data = json.dumps(BATCH | {"events": [EVENT], "consent_state": "?"}).encode()
    (event,) = decode_message(Message("REF", data))
    assert not isinstance(event, Outcome)
    expected = msgspec.structs.replace(
        CONTEXT, gdpr={}, ccpa_opted_out=False, consent_unreadable=True, has_one_event=True
    )
    assert event.batch == expected


def test_an_identified_event_and_its_user() -> None:
    """The second event of a batch takes the user of the first one."""
    custom = CustomEvent("Lead")
    event = msgspec.structs.replace(DECODED, raw=b"RAW", custom=custom)
    expected = IdentifiedEvent(
        ref="REF",
        index=1,
        form=Form.WEB,
        data=CONTENT,
        user=USER,
        raw=b"RAW",
        sends_zero_for_missing_total=True,
        received_at_ms=1718900125000,
        limited_data_use=True,
        match_keys=int(
            MatchKey.EMAIL | MatchKey.PHONE | MatchKey.EXTERNAL_ID | MatchKey.TTP | MatchKey.IP_AND_USER_AGENT
        ),
        notes=(Note.LIMITED_DATA_USE,),
        original=DATA,
        event_id="EVENT-ID",
        occurred_at_ms=1718900123456,
        custom=custom,
    )
    hash_identities = hasher(CONNECTION)
    assert hash_identities(event) == expected
    assert hash_identities(event) == expected
    assert hash_identities(event).user is hash_identities(event).user


def test_a_payload_of_events_api_2() -> None:
    payload = builder(CONNECTION)(hasher(CONNECTION)(DECODED))
    assert isinstance(payload, Payload)
    assert payload == Payload(
        form=Form.WEB,
        event="PlaceAnOrder",
        event_id="EVENT-ID",
        occurred_at_ms=1718900123456,
        body=payload.body,
        ref="REF",
        index=1,
        match_keys=63,
        value=7.5,
        currency="EUR",
        notes=(Note.LIMITED_DATA_USE,),
        attempts=0,
        original=DATA,
    )
    assert json.loads(payload.body) == {
        "event": "PlaceAnOrder",
        "event_time": 1718900123,
        "event_id": "EVENT-ID",
        "user": {
            "email": [USER.email],
            "phone": [USER.phone],
            "external_id": [USER.external_id],
            "ttclid": "E.C.P.1",
            "ttp": "TTP",
            "ip": "203.0.113.24",
            "user_agent": "UA",
            "locale": "de-AT",
            "first_name": USER.first_name,
            "last_name": USER.last_name,
            "zip_code": USER.zip_code,
            "city": "newyork",
            "state": "ny",
            "country": "us",
        },
        "properties": {
            "contents": [
                {
                    "price": 2.5,
                    "quantity": 3,
                    "content_id": "ID",
                    "content_name": "NAME",
                    "content_category": "CAT",
                    "brand": "BRAND",
                }
            ],
            "content_ids": ["ID"],
            "content_type": "product",
            "currency": "EUR",
            "value": 7.5,
            "order_id": "ORDER",
        },
        "page": {"url": "https://a/", "referrer": "https://b/"},
        "limited_data_use": True,
    }


def test_a_payload_of_the_legacy_form() -> None:
    connection = msgspec.structs.replace(CONNECTION, enable_web_migration=False)
    payload = builder(connection)(hasher(connection)(DECODED))
    assert isinstance(payload, Payload)
    assert payload.form is Form.LEGACY
    assert json.loads(payload.body) == {
        "type": "track",
        "event": "PlaceAnOrder",
        "event_id": "EVENT-ID",
        "timestamp": "2024-06-20T16:15:23.456Z",
        "context": {
            "ad": {"callback": "E.C.P.1"},
            "page": {"url": "https://a/", "referrer": "https://b/"},
            "user": {
                "external_id": USER.external_id,
                "phone_number": USER.phone,
                "email": USER.email,
                "ttp": "TTP",
            },
            "user_agent": "UA",
            "ip": "203.0.113.24",
        },
        "properties": {
            "contents": [
                {
                    "price": 2.5,
                    "quantity": 3,
                    "content_type": "product",
                    "content_id": "ID",
                    "content_name": "NAME",
                    "content_category": "CAT",
                }
            ],
            "currency": "EUR",
            "value": 7.5,
        },
        "limited_data_use": True,
    }
