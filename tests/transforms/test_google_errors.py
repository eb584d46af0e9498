"""What Google's refusals mean, in one table."""

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError

from transforms.google_errors import (
    API_DISABLED,
    ROLES,
    Resource,
    bucket_remedy,
    is_api_disabled,
    missing_permission,
    pubsub_remedy,
    remedy,
    role_of,
    status,
)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (exceptions.PermissionDenied("no"), "PERMISSION_DENIED"),
        (exceptions.NotFound("none"), "NOT_FOUND"),
        (exceptions.Forbidden("of a JSON API"), "PERMISSION_DENIED"),
        (exceptions.Unauthorized("of a JSON API"), "UNAUTHENTICATED"),
        (exceptions.RetryError("late", cause=exceptions.ServiceUnavailable("down")), "UNAVAILABLE"),
        (DefaultCredentialsError("none"), None),
        (FileNotFoundError("local"), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_refusal_has_one_status_whatever_carried_it(error: Exception, name: str | None) -> None:
    assert status(error) == name


@pytest.mark.parametrize("resource", Resource)
@pytest.mark.parametrize("name", ["NOT_FOUND", "PERMISSION_DENIED", "UNAUTHENTICATED", API_DISABLED, None, "INTERNAL"])
def test_every_refusal_has_a_remedy_that_is_complete(resource: Resource, name: str | None) -> None:
    text = remedy(resource, name, service="pubsub.googleapis.com", project="acme-prod")
    assert text.endswith((".", "--project=acme-prod"))
    assert "{" not in text
    assert (text == "Try again later.") == (name == "INTERNAL")


@pytest.mark.parametrize(
    ("error", "resource", "text"),
    [
        (exceptions.NotFound("x"), Resource.SUBSCRIPTION, "Pub/Sub answered NOT_FOUND. There is no such subscription:"),
        (exceptions.NotFound("x"), Resource.SOURCE_TOPIC, "Pub/Sub answered NOT_FOUND. There is no such topic:"),
        (
            exceptions.PermissionDenied("x"),
            Resource.SUBSCRIPTION,
            "Pub/Sub answered PERMISSION_DENIED. Grant roles/pubsub.s",
        ),
        (
            exceptions.PermissionDenied("x"),
            Resource.DEAD_LETTER_TOPIC,
            "Pub/Sub answered PERMISSION_DENIED. Create the",
        ),
        (
            exceptions.FailedPrecondition("x"),
            Resource.SUBSCRIPTION,
            "Pub/Sub answered FAILED_PRECONDITION. It cannot be",
        ),
        (
            DefaultCredentialsError("x"),
            Resource.SUBSCRIPTION,
            "no answer from Pub/Sub (DefaultCredentialsError). Run: gcl",
        ),
    ],
)
def test_the_remedy_fits_what_was_asked_of_pubsub(error: Exception, resource: Resource, text: str) -> None:
    assert pubsub_remedy(error, resource).startswith(text)


def test_an_api_that_is_off_is_no_missing_role() -> None:
    off = exceptions.PermissionDenied("Secret Manager API has not been used in project 1 before or it is disabled.")
    assert is_api_disabled(off)
    assert not is_api_disabled(exceptions.PermissionDenied("denied"))


@pytest.mark.parametrize(
    ("text", "permission", "role"),
    [
        ("Permission 'storage.objects.get' denied", "storage.objects.get", "roles/storage.objectViewer"),
        ("needs storage.objects.create", "storage.objects.create", "roles/storage.objectUser"),
        ("Current user cannot act as service account x", "iam.serviceAccounts.actAs", "roles/iam.serviceAccountUser"),
        ("pubsub.topics.publish is missing", "pubsub.topics.publish", "roles/pubsub.publisher"),
    ],
)
def test_a_permission_leads_to_its_role(text: str, permission: str, role: str) -> None:
    assert missing_permission(text) == permission
    found = role_of(permission)
    assert found is not None
    assert found.role == role


@pytest.mark.parametrize("text", ["denied", "account a@dataflow.example.com", "dataflow.googleapis.com is off"])
def test_what_only_looks_like_a_permission_is_none(text: str) -> None:
    assert missing_permission(text) is None


def test_every_role_is_reached_by_its_own_permission() -> None:
    """A shorter beginning above would take it away."""
    for role in ROLES:
        assert role_of(f"{role.permission}x") == role


def test_a_bucket_names_the_rights_that_are_needed() -> None:
    assert bucket_remedy("list") == "Check the bucket's name, the credentials and the right to list objects."
    assert bucket_remedy("list, read and create").endswith("the rights to list, read and create objects.")
