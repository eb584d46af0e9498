"""The module as `terraform fmt` and `terraform validate` see it; and that what watches it would notice."""

import re
import shutil
import subprocess
from pathlib import Path

import provider_schema
import pytest
from terraform_module import MODULE, SCHEMA, checker, evaluate, example

EXAMPLES = sorted(path.stem for path in (MODULE / "examples").glob("*.tfvars"))


def test_every_file_is_formatted_as_terraform_formats_it() -> None:
    assert subprocess.run([checker(), "fmt", MODULE], capture_output=True, text=True, check=True).stdout == ""


def test_a_file_that_is_not_formatted_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tf").write_text('locals {\n  a = 1\n  long   =    "2"\n}\n')
    done = subprocess.run([checker(), "fmt", tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "x.tf")]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_module_fits_the_providers_schema_with(name: str) -> None:
    assert example(name).problems == []


def test_each_resource_is_made_by_one_of_the_examples() -> None:
    made = {address for name in EXAMPLES for address, found in example(name).resources.items() if found}
    assert made == set(example("hardened").resources)
    assert len(made) > 30


def test_the_least_starts_no_job_and_makes_no_network() -> None:
    unmade = {address for address, instances in example("minimal").resources.items() if not instances}
    assert {
        "google_dataflow_flex_template_job.stream",
        "google_cloud_scheduler_job.history",
        "google_compute_network.workers",
        "google_kms_crypto_key_iam_member.agent",
    } <= unmade


# What is written wrong (file, text, in its place) → what is said.
MISTAKES = {
    "a misspelt argument": ("pubsub.tf", "ack_deadline_seconds  ", "ack_deadline_secs  ", "ack_deadline_secs"),
    "a missing argument": ("storage.tf", "location                    = var.region", "", '"location" is required'),
    "a missing block": ("secret.tf", "replication {", "topics {\n name = each\n}\nlabels {", "labels"),
    "a wrong type": (
        "pubsub.tf",
        "enable_message_ordering      = false",
        "enable_message_ordering = [1]",
        "bool required",
    ),
    "a misspelt block": ("pubsub.tf", "expiration_policy {", "expiry_policy {", "expiry_policy"),
    "an argument that only the provider sets": ("registry.tf", "format ", "create_time = 1\n  format ", "create_time"),
    "an undeclared variable": ("stream.tf", "var.kms_key", "var.kms_kee", "var.kms_kee: not declared"),
    "an undeclared local": ("stream.tf", "local.ledger", "local.leger", "local.leger: not declared"),
    "an undeclared resource": (
        "stream.tf",
        "google_project_iam_member.worker,",
        "google_project_iam_member.workers,",
        "google_project_iam_member.workers: not declared",
    ),
    "an attribute that a resource has not": ("locals.tf", "events.name}", "events.title}", '"title"'),
    "an attribute that an account has not": ("accounts.tf", '["launcher"].member', '["launcher"].name_', '"name_"'),
    "a key that for_each does not make": ("accounts.tf", '["scheduler"].member', '["schedule"].member', "index"),
    "an unknown kind of resource": ("secret.tf", '"google_secret_manager_secret"', '"google_secret"', "google_secret"),
    "a resource of the other provider": ("stream.tf", "provider = google-beta", "", "provider google has no"),
    "an unknown function": ("storage.tf", "filesha256(", "filesha257(", "filesha257"),
    "a variable without description": ("variables.tf", 'description = "Google Cloud project that', "#", "description"),
    "a circle": ("locals.tf", 'stream_job  = "${var.name}', 'stream_job  = "${local.stream_job}', "depends on itself"),
    "two values of different types": ("network.tf", ": var.subnetwork\n", ": [var.subnetwork]\n", "Inconsistent"),
}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the module beside a copy of the connection that the examples name."""
    shutil.copytree(MODULE.parents[1] / "examples", tmp_path / "examples")
    return Path(shutil.copytree(MODULE, tmp_path / "templates" / "terraform"))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_would_be_noticed(mistake: str, copied: Path) -> None:
    name, right, wrong, said = MISTAKES[mistake]
    text = (copied / name).read_text()
    assert right in text
    (copied / name).write_text(text.replace(right, wrong, 1))
    assert said in "\n".join(evaluate(copied, copied / "examples" / "hardened.tfvars").problems)


def test_what_nothing_refers_to_is_noticed(copied: Path) -> None:
    (copied / "more.tf").write_text('variable "idle" {\n  type = string\n  description = "x"\n  default = ""\n}\n')
    problems = evaluate(copied, copied / "examples" / "minimal.tfvars").problems
    assert problems == ["var.idle: nothing refers to it"]


# A value that is refused, and a word of the remedy.
REFUSED = {
    'project_id = "Acme Shop"': "not its name or number",
    'region = "europe-west1-b"': "not a zone",
    'connection_file = "nowhere.yaml"': "there is no such file",
    'name = "A"': "3 to 18 small letters",
    'publishers = ["someone@example.com"]': "with their kind",
    'template_version = "latest"': "fixed tag",
    "stream = {num_workers = 9}": "num_workers <= max_workers",
    'stream = {parameters = {access_token = "x"}}': "leave access_token out",
    "retention = 5": "600 to 2678400",
    "max_delivery_attempts = 4": "5 to 100",
    'history = {input = "gs://b/*", input_buckets = [], since = "2024-06-20"}': "would stand still",
    'history = {input = "gs://b/*", input_buckets = [], parameters = {access_token = "x"}}': "leave access_token out",
    "ledger_days = 2": "at least 3",
    "dead_letter_days = 0": "at least 1",
    "quarantine_days = 0": "at least 1",
    'kms_key = "my-key"': "cryptoKeys/K",
    'kms_key = "projects/p/locations/global/keyRings/r/cryptoKeys/k"': "region of the buckets",
    'subnetwork = "default"': "regions/R/subnetworks/S",
    'notification_channels = ["me@example.com"]': "notificationChannels/N",
    "thresholds = {delivered_ratio = 95}": "between 0 and 1",
    "thresholds = {quiet_hours = 48}": "1 to 23",
}


@pytest.mark.parametrize("line", REFUSED)
def test_refused_with_a_remedy(line: str, tmp_path: Path) -> None:
    name = line.split(" = ")[0]
    given = (MODULE / "examples" / "minimal.tfvars").read_text()
    (tmp_path / "bad.tfvars").write_text(re.sub(rf"(?m)^{name} .*\n", "", given) + line + "\n")
    problems = evaluate(MODULE, tmp_path / "bad.tfvars").problems
    assert any(problem.startswith(f"var.{name}: ") and REFUSED[line] in problem for problem in problems), problems


def test_every_rule_for_a_variable_is_tried() -> None:
    text = (MODULE / "variables.tf").read_text()
    assert text.count("  validation {") == len(REFUSED)


@pytest.mark.slow  # reads two packages of 15 MB
def test_the_schema_is_what_the_providers_publish() -> None:
    try:
        made = provider_schema.make()
    except provider_schema.NotAvailableError as error:
        pytest.skip(str(error))
    assert provider_schema.text(made) == SCHEMA.read_text(), "run tests/servers/provider_schema.py"


def test_the_schema_holds_what_the_module_uses_and_no_more() -> None:
    text = "".join(path.read_text() for path in MODULE.glob("*.tf"))
    used = {kind: set(re.findall(rf'(?m)^{kind} "(\w+)"', text)) for kind in ("resource", "data")}
    assert used["resource"] == {name for names in provider_schema.RESOURCES.values() for name in names}
    assert used["data"] == {name for names in provider_schema.DATA.values() for name in names}
