"""The schema of Google's Terraform providers, reduced to what the module uses.

    python tests/servers/provider_schema.py     # writes terraform/provider_schema.json; needs npm

The providers themselves cannot be asked here. What they publish about their schema stands in the npm packages that
were made from it for CDK for Terraform (MPL-2.0): a description of every configuration (.jsii), and how a set or a
nested attribute is written (lib/*/index.js). The packages are used as a source of facts; nothing of them is kept but
names, types and what is required.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).with_name("terraform") / "provider_schema.json"

# The packages of provider version 6.50.0, by provider.
# Source: `npm view PACKAGE@16.12.1 dist.integrity`, read 2026-11-25.
VERSION = "16.12.1"
PACKAGES = {
    "google": (
        "@cdktf/provider-google",
        "sha512-KqNA/5RiFT07r0PSZ6/07cJ2zESUgbj1JchVj21iBFBZVUbD+578xA/k8eq/r0cbyEgLmg9eYWeVslaYah4DCQ==",
    ),
    "google-beta": (
        "@cdktf/provider-google-beta",
        "sha512-ip0dXu0ZrsyMgcoGNfkJCYG8PFjNtfb2wkz4Sw7IU09rQMK/A6++SwkmFHl8wJ8KlwMvd2w4tNXfErIbWWWqag==",
    ),
}

RESOURCES = {
    "google": (
        "google_artifact_registry_repository",
        "google_artifact_registry_repository_iam_member",
        "google_cloud_scheduler_job",
        "google_compute_firewall",
        "google_compute_network",
        "google_compute_router",
        "google_compute_router_nat",
        "google_compute_subnetwork",
        "google_kms_crypto_key_iam_member",
        "google_monitoring_alert_policy",
        "google_monitoring_dashboard",
        "google_project_iam_custom_role",
        "google_project_iam_member",
        "google_project_service",
        "google_pubsub_subscription",
        "google_pubsub_subscription_iam_member",
        "google_pubsub_topic",
        "google_pubsub_topic_iam_member",
        "google_secret_manager_secret",
        "google_secret_manager_secret_iam_member",
        "google_service_account",
        "google_service_account_iam_member",
        "google_storage_bucket",
        "google_storage_bucket_iam_member",
        "google_storage_bucket_object",
    ),
    "google-beta": ("google_dataflow_flex_template_job", "google_project_service_identity"),
}
DATA = {"google": ("google_project", "google_storage_project_service_account"), "google-beta": ()}

_PRIMITIVES = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}


class NotAvailableError(Exception):
    """The packages cannot be had here; the text says why."""


def package(provider: str) -> Path:
    """Returns the package of a provider, fetched once into the folder of the test servers, its digest checked.

    Raises:
      NotAvailableError: no npm, or no registry.
    """
    name, integrity = PACKAGES[provider]
    cache = Path(os.environ.get("TIKTOK_EVENTS_TEST_CACHE") or Path.home() / ".cache" / "tiktok-events")
    cache.mkdir(parents=True, exist_ok=True)
    file = cache / f"{name.removeprefix('@').replace('/', '-')}-{VERSION}.tgz"
    if not file.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise NotAvailableError("npm is not installed, which the schema's packages are fetched with")
        folder = cache / f"npm-{provider}-{os.getpid()}"
        folder.mkdir()
        try:
            fetched = subprocess.run(
                [npm, "pack", f"{name}@{VERSION}", "--silent"], cwd=folder, capture_output=True, text=True, check=False
            )
            if fetched.returncode:
                raise NotAvailableError(f"{name} cannot be fetched: {fetched.stderr[-300:]}")
            (folder / file.name).replace(file)
        finally:
            shutil.rmtree(folder)
    digest = base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != integrity:
        raise ValueError(f"{file}: not the package that was looked at; delete it.")
    return file


def make() -> dict[str, Any]:
    """Returns the schema of both providers.

    Raises:
      NotAvailableError: as `package`.
    """
    schema = {}
    for provider in PACKAGES:
        with tarfile.open(package(provider)) as archive:
            reader = _Reader(archive, provider)
            schema[provider] = {
                "configuration": reader.configuration(),
                "resources": {name: reader.block(name, "resource") for name in RESOURCES[provider]},
                "data": {name: reader.block(name, "data") for name in DATA[provider]},
            }
    return schema


def text(schema: dict[str, Any]) -> str:
    """Returns the schema as the file holds it: a line for each resource, so that differences can be read."""
    lines = []
    for provider, parts in schema.items():
        inner = [f' "configuration": {_line(parts["configuration"])}']
        for part in ("resources", "data"):
            entries = ",\n".join(f'  "{name}": {_line(block)}' for name, block in parts[part].items())
            inner.append(f' "{part}": {{\n{entries}\n }}' if entries else f' "{part}": {{}}')
        lines.append(f'"{provider}": {{\n' + ",\n".join(inner) + "\n}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(block: dict[str, Any]) -> str:
    return json.dumps(block, sort_keys=True, separators=(",", ":"))


class _Reader:
    """Reads one package: the types of .jsii, and what only the JavaScript tells."""

    def __init__(self, archive: tarfile.TarFile, provider: str) -> None:
        self._archive = archive
        self._beta = provider == "google-beta"
        described = json.loads(self._read("package/.jsii"))
        self._types = described["types"]
        self._prefix = f"{described['name']}."

    def _read(self, name: str) -> str:
        file = self._archive.extractfile(name)
        assert file is not None
        return file.read().decode()

    def configuration(self) -> dict[str, Any]:
        """Returns the schema of the provider's own block."""
        kind = "GoogleBeta" if self._beta else "Google"
        block = self._struct(
            f"{self._prefix}provider.{kind}ProviderConfig", self._read("package/lib/provider/index.js")
        )
        del block["attributes"]["alias"]  # Terraform's own
        return block

    def block(self, name: str, kind: str) -> dict[str, Any]:
        """Returns the schema of a resource or data source."""
        short = name.removeprefix("google_").replace("_", "-")
        folder = f"data-google-{short}" if kind == "data" else f"google-{short}" if self._beta else short
        bases = ("cdktf.TerraformResource", "cdktf.TerraformDataSource")
        found = [
            full
            for full, described in self._types.items()
            if described["kind"] == "class"
            and described.get("base") in bases
            and described["locationInModule"]["filename"] == f"src/{folder}/index.ts"
        ]
        block = self._struct(f"{found[0]}Config", self._read(f"package/lib/{folder}/index.js"))
        attributes = block["attributes"]
        for described in self._types[found[0]].get("properties", []):
            if described.get("static") or described["name"].endswith("Input") or described["name"] == "tfResourceType":
                continue
            # Names with digits come in two spellings; the one that can be set is there already.
            attribute = _snake(described["name"])
            same = {known.replace("_", "") for known in (*attributes, *block["blocks"])}
            if attribute.replace("_", "") in same:
                continue
            if (computed := self._computed(described["type"])) is not None:
                attributes[attribute] = {"type": computed, "computed": True}
        attributes["id"] = {"type": "string", "computed": True}
        return block

    def _computed(self, described: dict[str, Any]) -> Any:
        if "primitive" in described:
            return _PRIMITIVES[described["primitive"]]
        if described.get("fqn") == "cdktf.StringMap":
            return ["map", "string"]
        if described.get("collection", {}).get("elementtype", {}).get("primitive") == "string":
            return ["list", "string"]
        return "dynamic" if described.get("fqn", "").startswith(self._prefix) else None

    def _struct(self, full: str, script: str, outer: tuple[str, ...] = ()) -> dict[str, Any]:
        attributes, blocks = {}, {}
        for described in self._types[full].get("properties", []):
            name, required = _terraform_name(described), not described.get("optional", False)
            kind = self._kind(described["type"])
            written = re.search(rf'\n\s+{name}: {{\s*value:[^\n]*\n\s*isBlock: (\w+),\s*type: "(\w+)"', script)
            is_block, shape = written.groups() if written else (None, None)
            if not isinstance(kind, tuple):
                is_set = shape == "set" and isinstance(kind, list)
                attributes[name] = {"type": ["set", kind[1]] if is_set else kind, "required": required}
            elif is_block == "false":
                attributes[name] = {"type": "dynamic", "required": required}
            elif full not in outer:
                inner = self._struct(kind[0], script, (*outer, full))
                blocks[name] = {"block": inner, "single": kind[1], "required": required}
        return {"attributes": attributes, "blocks": blocks}

    def _kind(self, described: dict[str, Any]) -> Any:
        """Returns an attribute's type in Terraform's form; for a block (struct, whether there is one at most)."""
        if "primitive" in described:
            return _PRIMITIVES[described["primitive"]]
        if "collection" in described:
            element = self._kind(described["collection"]["elementtype"])
            if isinstance(element, tuple):
                return element[0], False
            return ["map" if described["collection"]["kind"] == "map" else "list", element]
        if "union" in described:
            return self._kind(next(one for one in described["union"]["types"] if one.get("fqn") != "cdktf.IResolvable"))
        return described["fqn"], True


def _terraform_name(described: dict[str, Any]) -> str:
    """Returns the name that Terraform uses, which the documentation of a property links to."""
    docs = described.get("docs", {})
    linked = re.search(r"#(\w+) ", f"{docs.get('summary', '')} {docs.get('remarks', '')}")
    return linked.group(1) if linked else _snake(described["name"])


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


if __name__ == "__main__":
    SCHEMA.write_text(text(make()), "utf-8")
    sys.stdout.write(f"{SCHEMA}: {SCHEMA.stat().st_size} bytes\n")
