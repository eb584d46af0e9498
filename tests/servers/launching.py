"""Names that the tests of launches share: an invented project, its bucket, and how a command ended."""

from typing import NamedTuple

BUCKET = "acme-tiktok"
CONNECTION = f"gs://{BUCKET}/connection.yaml"
SUBSCRIPTION = "projects/acme-prod/subscriptions/mparticle"
TOKEN = "projects/acme-prod/secrets/tiktok-token/versions/latest"  # noqa: S105  # a name
JOB = ["--project", "acme-prod", "--region", "europe-west3"]
STREAM = ["stream", "--template", f"gs://{BUCKET}/templates/stream.json", "--connection", CONNECTION]
STREAM += ["--subscription", SUBSCRIPTION]

# What may stand in a name: all that a shell, a URL or a list would read otherwise.
NASTY = "a b,c='d' \"e\"=f;g&h %20 ü🛒.yaml"


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str
