"""Who may do what: the table that was reviewed, and nothing beside it."""

import re
from typing import Any

from terraform_module import MODULE, example

# Account → role → what it is given on. "project" is everything of that kind in the project.
TABLE = {
    "worker": {
        "roles/dataflow.worker": {"project"},
        "roles/pubsub.subscriber": {"subscription acme-tiktok-stream"},
        "roles/pubsub.viewer": {"subscription acme-tiktok-stream"},
        "roles/pubsub.publisher": {"topic dead_letters"},
        "roles/storage.objectUser": {
            "bucket acme-prod-acme-tiktok-dead-letters",
            "bucket acme-prod-acme-tiktok-ledger",
            "bucket acme-prod-acme-tiktok-quarantine",
            "bucket acme-prod-acme-tiktok-temp",
        },
        "roles/storage.objectViewer": {"bucket acme-events", "bucket acme-prod-acme-tiktok-templates"},
        "roles/secretmanager.secretAccessor": {"secret token"},
        "roles/artifactregistry.reader": {"repository images"},
    },
    "launcher": {
        "roles/dataflow.developer": {"project"},
        "roles/iam.serviceAccountUser": {"account worker"},
        "roles/storage.objectViewer": {"bucket acme-prod-acme-tiktok-templates"},
    },
    "scheduler": {
        "google_project_iam_custom_role.start_jobs.name": {"project"},
        "roles/iam.serviceAccountUser": {"account worker"},
        "roles/storage.objectViewer": {"bucket acme-prod-acme-tiktok-templates"},
    },
    "mparticle-gcp-clientfacing@gcp-prod-170221": {"roles/pubsub.publisher": {"topic events"}},
    "gcp-sa-pubsub": {
        "roles/pubsub.subscriber": {"subscription acme-tiktok-stream"},
        "roles/pubsub.publisher": {"topic undeliverable"},
        "roles/cloudkms.cryptoKeyEncrypterDecrypter": {"key tiktok-events"},
    },
    **{
        agent: {"roles/cloudkms.cryptoKeyEncrypterDecrypter": {"key tiktok-events"}}
        for agent in (
            "compute-system",
            "dataflow-service-producer-prod",
            "gcp-sa-secretmanager",
            "gcp-sa-artifactregistry",
            "storage",
        )
    },
    "group:shop-data@example.com": {
        "roles/pubsub.subscriber": {"subscription acme-tiktok-dead-letters"},
        "roles/storage.objectViewer": {
            "bucket acme-prod-acme-tiktok-dead-letters",
            "bucket acme-prod-acme-tiktok-ledger",
        },
    },
    "group:privacy@example.com": {
        "roles/pubsub.subscriber": {"subscription acme-tiktok-undeliverable"},
        "roles/storage.objectViewer": {"bucket acme-prod-acme-tiktok-quarantine"},
    },
}

# Kind of grant → (attribute that says on what, what to call it).
GRANTS = {
    "google_project_iam_member": ("project", "project"),
    "google_service_account_iam_member": ("service_account_id", "account"),
    "google_pubsub_topic_iam_member": ("topic", "topic"),
    "google_pubsub_subscription_iam_member": ("subscription", "subscription"),
    "google_storage_bucket_iam_member": ("bucket", "bucket"),
    "google_secret_manager_secret_iam_member": ("secret_id", "secret"),
    "google_artifact_registry_repository_iam_member": ("repository", "repository"),
    "google_kms_crypto_key_iam_member": ("crypto_key_id", "key"),
}


def _account(member: str) -> str:
    """Returns who a member is, shortly."""
    for pattern in (
        r'google_service_account\.account\["(\w+)"\]\.member',
        r"serviceAccount:service-.*@([\w-]+)\.iam\.gserviceaccount\.com",
        r"serviceAccount:([\w-]+@[\w-]+)\.iam\.gserviceaccount\.com",
        r"data\.google_storage_project_service_account\.(storage)\[0\]\.member",
    ):
        if found := re.fullmatch(pattern, member):
            return found.group(1)
    return member


def _place(kind: str, grant: dict[str, Any]) -> str:
    """Returns what a grant is on: `bucket acme-events`."""
    attribute, word = GRANTS[kind]
    if word == "project":
        return word
    # A name, or the address of the resource that has it, such as google_pubsub_topic.events.id.
    if found := re.fullmatch(r'google_\w+\.(\w+)(?:\["(\w+)"\])?\.\w+', grant[attribute]):
        return f"{word} {found.group(2) or found.group(1)}"
    return f"{word} {grant[attribute].rpartition('/')[2]}"


def test_everybody_may_what_the_table_says_and_no_more() -> None:
    given: dict[str, dict[str, set[str]]] = {}
    for kind in GRANTS:
        for grant in example("hardened").of_kind(kind):
            given.setdefault(_account(grant["member"]), {}).setdefault(grant["role"], set()).add(_place(kind, grant))
    assert given == TABLE


def test_every_kind_of_grant_of_the_module_is_in_the_table() -> None:
    kinds = {address.split(".")[0] for address in example("hardened").resources}
    assert {kind for kind in kinds if "_iam_" in kind} == {*GRANTS, "google_project_iam_custom_role"}


def test_the_schedule_can_start_and_look_and_nothing_else() -> None:
    role = example("hardened").one("google_project_iam_custom_role.start_jobs")
    assert role["permissions"] == ["dataflow.jobs.create", "dataflow.jobs.get", "dataflow.jobs.list"]


def test_no_grant_is_made_to_everybody_and_none_takes_others_away() -> None:
    text = "".join(path.read_text() for path in MODULE.glob("*.tf"))
    assert "allUsers" not in text
    assert "allAuthenticatedUsers" not in text
    # `_iam_binding` and `_iam_policy` replace what others have granted.
    assert not re.search(r'resource "\w+_iam_(binding|policy)"', text)
    assert "google_service_account_key" not in text


def test_the_value_of_the_secret_stands_nowhere() -> None:
    assert not any("secret_version" in address for address in example("hardened").resources)
    values = [str(instance) for found in example("hardened").resources.values() for instance in found.values()]
    assert [value for value in values if re.search(r"\b[0-9a-f]{40}\b", value)] == []


def test_the_variable_of_those_who_read_promises_no_writing() -> None:
    """A replay writes a ledger and reads the token; README.md says who may."""
    text = (MODULE / "variables.tf").read_text()
    description = re.search(r'variable "operators" \{\s+description = "(.*)"', text)
    assert description is not None
    assert "replay" not in description[1]


def test_what_is_personal_is_not_kept_after_it_is_deleted() -> None:
    kept = example("hardened").resources["google_storage_bucket.kept"]
    assert kept["quarantine"]["soft_delete_policy"]["retention_duration_seconds"] == 0
    assert kept["quarantine"]["lifecycle_rule"][0]["condition"]["age"] == 14
    assert kept["ledger"]["lifecycle_rule"][0]["condition"]["age"] == 400
    for bucket in example("hardened").of_kind("google_storage_bucket"):
        assert bucket["uniform_bucket_level_access"] is True
        assert bucket["public_access_prevention"] == "enforced"
        assert bucket["encryption"]["default_kms_key_name"].endswith("/tiktok-events")


def test_with_a_key_everything_that_can_be_is_encrypted_with_it() -> None:
    def keys(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [text for name, text in value.items() if name.endswith("kms_key_name") and text]
            return own + [key for inner in value.values() for key in keys(inner)]
        return [key for inner in value for key in keys(inner)] if isinstance(value, list) else []

    kinds = ("google_storage_bucket", "google_pubsub_topic", "google_secret_manager_secret")
    kinds += ("google_artifact_registry_repository", "google_dataflow_flex_template_job")
    for kind in kinds:
        for instance in example("hardened").of_kind(kind):
            assert len(keys(instance)) == 1, kind
