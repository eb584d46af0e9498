"""What Google Cloud's refusals mean, and how they are cured: the one table of it.

In: an error of one of Google's client libraries. Out: its status and a remedy. The service's own text is left out: it
may name projects and accounts. None of Google's libraries is loaded here.
"""

import re
from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final, NamedTuple


@unique
class Resource(StrEnum):
    """What was asked for."""

    SUBSCRIPTION = "subscription"
    """Messages of a Pub/Sub subscription."""
    SOURCE_TOPIC = "topic"
    """A subscription of a topic."""
    DEAD_LETTER_TOPIC = "dead letter topic"
    """A topic to publish to."""
    SECRET = "secret"  # noqa: S105  # a kind of thing
    """A version of a secret in Secret Manager."""


class Role(NamedTuple):
    """What holds a permission.

    Attributes:
      permission: its beginning.
      role: the role that holds it.
      place: where the role is granted.
    """

    permission: str
    role: str
    place: str


SIGN_IN: Final = (
    "sign in with `gcloud auth application-default login`, or name a key in GOOGLE_APPLICATION_CREDENTIALS."
)
CHECK_NETWORK: Final = "Look at the network of this machine: DNS, firewall, HTTPS_PROXY"

# The first that fits counts. Source: IAM, "Roles and permissions", and Dataflow, "Security and permissions" (read
# 2026-11-25); Secret Manager and Pub/Sub, "Access control".
ROLES: Final = (
    Role("dataflow.", "roles/dataflow.developer", "the project"),
    Role("iam.serviceAccounts.actAs", "roles/iam.serviceAccountUser", "the service account of the workers"),
    Role("storage.objects.create", "roles/storage.objectUser", "the bucket"),
    Role("storage.objects.delete", "roles/storage.objectUser", "the bucket"),
    Role("storage.objects.", "roles/storage.objectViewer", "the bucket"),
    Role("storage.buckets.", "roles/storage.admin", "the bucket"),
    Role("serviceusage.", "roles/serviceusage.serviceUsageConsumer", "the project"),
    Role("compute.subnetworks.", "roles/compute.networkUser", "the subnetwork"),
    Role("compute.", "roles/compute.viewer", "the project"),
    Role("cloudkms.", "roles/cloudkms.cryptoKeyEncrypterDecrypter", "the key"),
    Role("artifactregistry.", "roles/artifactregistry.reader", "the repository of the image"),
    Role("secretmanager.", "roles/secretmanager.secretAccessor", "the secret"),
    Role("pubsub.topics.publish", "roles/pubsub.publisher", "the topic"),
    Role("pubsub.", "roles/pubsub.subscriber", "the subscription"),
)
# A permission in a service's sentence; not the domain of an account or of an API.
_PERMISSION: Final = re.compile(
    rf"(?<![\w.@-])((?:{'|'.join(sorted({role.permission.partition('.')[0] for role in ROLES}))})"
    r"\.(?!googleapis\b)[A-Za-z]+(?:\.[A-Za-z]+)+)\b"
)
# Dataflow's sentence when the launching account may not use the workers' one. It names no permission.
_CANNOT_ACT: Final = re.compile(r"cannot act as (?:the )?service account", re.IGNORECASE)

# Reason, or text, of a PERMISSION_DENIED whose cause is the API itself. Source: google.rpc.ErrorInfo.
API_DISABLED: Final = "SERVICE_DISABLED"
_API_DISABLED: Final = re.compile(rf"{API_DISABLED}|has not been used in project|it is disabled")

# Types of what Google's client libraries raise once they give up on a server; `RetryError` after minutes of it.
UNREACHABLE: Final = frozenset(
    {"RetryError", "ServiceUnavailable", "ConnectionError", "ConnectTimeout", "ReadTimeout", "ProxyError"}
)

# Errors of JSON APIs carry the HTTP status only. Source: google.rpc.Code, its HTTP mapping.
_STATUS_OF_HTTP: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}

# Status → what to do, whatever was asked for; what is in none of the tables passes.
_COMMON: Final[Mapping[str, str]] = {
    "UNAUTHENTICATED": "Run: gcloud auth application-default login. On Google Cloud: give the machine an account.",
    API_DISABLED: "Run: gcloud services enable {service} --project={project}",
}
_PASSES: Final = "Try again later."
_REMEDIES: Final[Mapping[Resource, Mapping[str, str]]] = {
    Resource.SUBSCRIPTION: {
        "NOT_FOUND": "There is no such subscription: correct the name, or create it.",
        "PERMISSION_DENIED": "Grant roles/pubsub.subscriber on it to the account that runs this process.",
        "FAILED_PRECONDITION": "It cannot be pulled from; a push or export subscription cannot.",
    },
    Resource.SOURCE_TOPIC: {
        "NOT_FOUND": "There is no such topic: correct the name, or create it.",
        "PERMISSION_DENIED": "Grant roles/pubsub.subscriber on it to the account that runs this process.",
    },
    Resource.DEAD_LETTER_TOPIC: dict.fromkeys(
        ("NOT_FOUND", "PERMISSION_DENIED"),
        "Create the topic, and grant roles/pubsub.publisher on it to the account that runs this process.",
    ),
    Resource.SECRET: {
        "NOT_FOUND": "Correct the reference, or create the secret and a version of it; "
        "`gcloud secrets list --project={project}` shows what there is.",
        "PERMISSION_DENIED": "Grant roles/secretmanager.secretAccessor on this secret to the account that runs this "
        "process (on Dataflow: the worker service account).",
        "FAILED_PRECONDITION": "This version is disabled or destroyed: enable it, add a new one, or name another.",
        "INVALID_ARGUMENT": "Correct the reference.",
    },
}


def status(error: object) -> str | None:
    """Returns the name of a refusal's gRPC status, None for what is no answer of a service.

    Args:
      error: of Google's client libraries; an error that ended repetitions stands for its cause.
    """
    error = getattr(error, "cause", None) or error
    name: str | None = getattr(getattr(error, "grpc_status_code", None), "name", None)
    code = getattr(error, "code", None)
    return name or (_STATUS_OF_HTTP.get(code) if isinstance(code, int) else None)


def is_api_disabled(error: object) -> bool:
    """Returns whether a refusal comes from an API that the project has not enabled."""
    return _API_DISABLED.search(f"{getattr(error, 'reason', '')} {error}") is not None


def remedy(resource: Resource, name: str | None, *, service: str = "", project: str = "") -> str:
    """Returns what to do about a refusal.

    Args:
      resource: what was asked for.
      name: of the status; `API_DISABLED`; None: there was no answer.
      service: domain of the API.
      project: that was asked in.
    """
    found = {**_COMMON, **_REMEDIES[resource]}.get(name or "UNAUTHENTICATED", _PASSES)
    return found.format(service=service, project=project)


def pubsub_remedy(error: Exception, resource: Resource) -> str:
    """Returns Pub/Sub's status and what to do about it."""
    name = status(error)
    answer = f"no answer from Pub/Sub ({type(error).__name__})" if name is None else f"Pub/Sub answered {name}"
    return f"{answer}. {remedy(resource, name)}"


def bucket_remedy(rights: str) -> str:
    """Returns what to look at when Cloud Storage refuses.

    Args:
      rights: what must be allowed, such as `read` or `list, read and create`.
    """
    right = "rights" if "," in rights else "right"
    return f"Check the bucket's name, the credentials and the {right} to {rights} objects."


def missing_permission(text: str) -> str | None:
    """Returns the permission that a service's sentence names, None if it names none.

    >>> missing_permission("Permission 'dataflow.jobs.create' denied on acme@developer.gserviceaccount.com")
    'dataflow.jobs.create'
    """
    found = _PERMISSION.search(text)
    if found:
        return found[1]
    return "iam.serviceAccounts.actAs" if _CANNOT_ACT.search(text) else None


def role_of(permission: str) -> Role | None:
    """Returns the role that holds a permission, None if it is not in the table."""
    return next((role for role in ROLES if permission.lower().startswith(role.permission.lower())), None)
