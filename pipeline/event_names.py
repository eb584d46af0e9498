"""TikTok's event names that a connection may name, and those that it should not or must not. Data only."""

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
