"""The settings of one connection: the single definition behind the YAML file, the flags and the documentation.

A connection joins one mParticle feed of events to one TikTok event source. It never holds the access token, only a
reference to it, so it may be printed, logged and pickled.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from transforms.custom_mappings import Case, CustomMapping
from transforms.vocabulary import Form

ReplyClass = Literal[
    "success",
    "partial",
    "invalid",
    "too_large",
    "throttled",
    "transient",
    "credentials",
    "configuration",
    "unknown",
]

IdentityType = Literal[
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
    "other_id_2",
    "other_id_3",
    "other_id_4",
    "other_id_5",
    "other_id_6",
    "other_id_7",
    "other_id_8",
    "other_id_9",
    "other_id_10",
    "mobile_number",
    "phone_number_2",
    "phone_number_3",
]

# TikTok's base address. Source: tiktok-business-api-sdk f809c39, `event_callback_api.py`.
DEFAULT_API_URL = "https://business-api.tiktok.com/open_api/v1.3/"

# Events in one request. Source: Events API 2.0 "Report events" (1,000); legacy `pixel/batch/` (50), as other senders
# observe it (facts of the Events API, section 6).
MAX_BATCH_EVENTS = {Form.LEGACY: 50, Form.WEB: 1_000, Form.OFFLINE: 1_000}


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Consent policy, a second line behind mParticle's own forwarding rules."""

    gdpr_purpose: Annotated[
        str | None,
        Meta(description="GDPR purpose that must be agreed to; none: not asked", examples=["marketing"]),
    ] = None
    gdpr_missing: Annotated[
        Literal["send", "drop"], Meta(description="what to do when the purpose is not in the batch", examples=["drop"])
    ] = "send"
    ccpa_opt_out: Annotated[
        Literal["drop", "limit", "ignore"],
        Meta(
            description="what to do after a CCPA opt-out: drop the event, send it with limited_data_use, or ignore it",
            examples=["limit"],
        ),
    ] = "drop"


class Connection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One connection.

    Types and ranges are checked when it is read from a file, and by `check` when it is made in Python; impossible
    pairs by `pipeline.config.loader`.
    """

    event_source_id: Annotated[
        str, Meta(description="pixel id, or offline event set id", examples=["A1T8T4UYGVIQA8ORZMX9"], min_length=1)
    ]
    access_token: Annotated[
        str | None,
        Meta(
            description="reference to the access token: projects/…/secrets/…/versions/…, env:NAME or file:PATH",
            examples=["projects/acme-prod/secrets/tiktok-token/versions/latest"],
        ),
    ] = None
    input: Annotated[
        Literal["auto", "web", "feed"],
        Meta(description="the mParticle input the events come from; auto reads it from each batch", examples=["web"]),
    ] = "auto"
    event_source_type: Annotated[
        Literal["web", "feed", "legacy_pixel_batch_web"],
        Meta(description="feeds: what kind of event source the id is", examples=["web"]),
    ] = "legacy_pixel_batch_web"
    enable_web_migration: Annotated[
        bool, Meta(description="web: send Events API 2.0 instead of the legacy pixel batch", examples=[True])
    ] = False
    email_identity_type: Annotated[
        IdentityType, Meta(description="mParticle identity sent as e-mail", examples=["email"])
    ] = "email"
    external_identity_type: Annotated[
        IdentityType, Meta(description="mParticle identity sent as external id", examples=["customer_id"])
    ] = "customer_id"
    phone_identity_type: Annotated[
        IdentityType, Meta(description="mParticle identity sent as phone", examples=["mobile_number"])
    ] = "mobile_number"
    content_type: Annotated[
        Literal["product", "product_group"], Meta(description="what content ids name", examples=["product"])
    ] = "product"
    event_names: Annotated[
        dict[str, str], Meta(description="product action to TikTok event", examples=[{"purchase": "Purchase"}])
    ] = {}
    default_currency: Annotated[
        str | None, Meta(description="ISO 4217 code for events without currency", examples=["EUR"])
    ] = None
    default_phone_region: Annotated[
        str | None, Meta(description="ISO 3166-1 alpha-2 region of phones without country code", examples=["US"])
    ] = None
    value_fallback: Annotated[
        Literal["missing", "missing_or_zero", "never"],
        Meta(description="when the sum of price × quantity stands in for the total", examples=["missing_or_zero"]),
    ] = "missing"
    external_id_case: Annotated[
        Literal["keep", "lower"], Meta(description="case of external ids; must equal the pixel's", examples=["lower"])
    ] = "keep"
    strict_click_id: Annotated[
        bool, Meta(description="leave out a click id that does not start with E.C.P", examples=[True])
    ] = False
    require_ip_and_user_agent: Annotated[
        Literal["legacy", "always", "never"],
        Meta(description="which web events are rejected when they lack ip or user agent", examples=["never"]),
    ] = "legacy"
    send_user_fields_offline: Annotated[
        bool, Meta(description="send names and place for event_source offline too", examples=[True])
    ] = False
    environments: Annotated[
        tuple[str, ...],
        Meta(description="environments that are sent", examples=[["production"]], min_length=1),
    ] = ("production",)
    consent: Annotated[Consent, Meta(description="consent policy", examples=[{"ccpa_opt_out": "limit"}])] = Consent()
    test_event_code: Annotated[
        str | None, Meta(description="events appear under Test events in Events Manager", examples=["TEST04030"])
    ] = None
    partner_name: Annotated[
        str | None, Meta(description="only if TikTok gave you one (code 40063 otherwise)", examples=["AcmePartner"])
    ] = None
    requests_per_second: Annotated[
        float, Meta(description="budget of requests of the whole job", examples=[20], gt=0, le=1000)
    ] = 10.0
    max_batch_events: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None,
        Meta(description="events in one request; may only be lowered (1000, legacy 50)", examples=[200]),
    ] = None
    max_request_bytes: Annotated[
        int, Meta(description="size of one request's body", examples=[500_000], ge=10_000, le=10_000_000)
    ] = 1_000_000
    max_wait_secs: Annotated[
        float, Meta(description="streams: how long a batch may wait to be filled", examples=[5], gt=0, le=600)
    ] = 5.0
    probe_secs: Annotated[
        float,
        Meta(
            description="streams: how often a refused token or connection is tried again", examples=[60], gt=0, le=3600
        ),
    ] = 60.0
    retry_secs: Annotated[
        float, Meta(description="how long one request is tried again", examples=[300], ge=0, le=86_400)
    ] = 300.0
    connect_timeout_secs: Annotated[float, Meta(description="time to connect", examples=[5], gt=0, le=300)] = 5.0
    read_timeout_secs: Annotated[float, Meta(description="time to wait for data", examples=[30], gt=0, le=600)] = 30.0
    max_in_flight: Annotated[
        int, Meta(description="requests at a time in one worker process", examples=[8], ge=1, le=64)
    ] = 8
    gzip_requests: Annotated[bool, Meta(description="compress request bodies", examples=[True])] = False
    api_url: Annotated[
        str, Meta(description="base of both endpoints; http:// only for loopback addresses", examples=[DEFAULT_API_URL])
    ] = DEFAULT_API_URL
    proxy_url: Annotated[
        str | None,
        Meta(
            description="proxy that requests to TikTok go through, instead of the environment's (HTTPS_PROXY); no "
            "user, no password",
            examples=["http://proxy.acme.example:3128"],
        ),
    ] = None
    ca_file: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="PEM file of the certificate authorities that are trusted, on every worker, instead of the "
            "environment's (REQUESTS_CA_BUNDLE, SSL_CERT_FILE)",
            examples=["/etc/ssl/certs/acme.pem"],
        ),
    ] = None
    codes: Annotated[
        dict[int, ReplyClass],
        Meta(description="code to class, over the built-in table", examples=[{40050: "success"}]),
    ] = {}
    custom_mappings: Annotated[
        tuple[CustomMapping, ...],
        Meta(
            description="events that become other TikTok events",
            examples=[[{"match": {"message_type": "custom_event", "event": "Signup"}, "send": "Lead"}]],
        ),
    ] = ()
    cases: Annotated[
        tuple[Case, ...],
        Meta(
            description="tests of the mappings, for `tiktok-events test`",
            examples=[[{"name": "A refund is not sent", "expect": [{"outcome": "skipped"}]}]],
        ),
    ] = ()

    def __repr__(self) -> str:
        """Returns all settings; what stands in the place of a token's reference and is none stays hidden."""
        return f"Connection({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Returns the same for rich's pretty printer."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        if self.access_token is not None and not self.access_token.startswith(("projects/", "env:", "file:")):
            shown["access_token"] = "…"  # noqa: S105  # what stands for a secret
        if self.proxy_url is not None and "@" in self.proxy_url:
            shown["proxy_url"] = "…"  # refused, but shown before that
        return list(shown.items())

    def form(self, source: str) -> Form:
        """Returns the request form for a batch that came from `source` (`web` or `feed`).

        Source: the customer's specification, section 2 (table "Which request goes out").
        """
        if source == "feed":
            return {"web": Form.WEB, "feed": Form.OFFLINE}.get(self.event_source_type, Form.LEGACY)
        return Form.WEB if self.enable_web_migration else Form.LEGACY

    def batch_events(self, form: Form) -> int:
        """Returns how many events one request of this form may carry."""
        limit = MAX_BATCH_EVENTS[form]
        return min(limit, self.max_batch_events or limit)


def check(connection: Connection) -> None:
    """Refuses a connection, made in Python, whose values have a wrong type or lie outside their range.

    Raises:
      ValueError: names the first such key and what is needed; no value is repeated.

    >>> check(Connection(event_source_id="A1T8T4UYGVIQA8ORZMX9", max_in_flight=0))
    Traceback (most recent call last):
    ValueError: max_in_flight: Expected `int` >= 1
    """
    try:
        msgspec.convert(msgspec.to_builtins(connection), Connection)
    except msgspec.ValidationError as error:
        needed, _, place = str(error).partition(" - at `$.")
        raise ValueError(f"{place.rstrip('`')}: {needed}") from None
