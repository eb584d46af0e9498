"""What Google Cloud answers when a job cannot be started or looked at → one sentence that says what to do about it.

In: the exceptions of Google's client libraries, with the details that the service sends (google.rpc.Status), and of
`requests`, which carries what goes to Cloud Storage and for credentials. Out: `CommandError`. Of the service's own text
only what names a permission, a quota or a parameter is repeated, on one line and shortened.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.dataflow_v1beta3 import types
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from pipeline.errors import CommandError, UsageError

# Permission, by its beginning → the role that holds it, where it is granted, and who needs it. Source: IAM, "Roles and
# permissions", and Dataflow, "Security and permissions" (read 2026-11-25).
_ROLES = (
    ("dataflow.", "roles/dataflow.developer", "the project"),
    ("iam.serviceAccounts.actAs", "roles/iam.serviceAccountUser", "the service account of the workers"),
    ("storage.objects.create", "roles/storage.objectUser", "the bucket"),
    ("storage.objects.delete", "roles/storage.objectUser", "the bucket"),
    ("storage.objects.", "roles/storage.objectViewer", "the bucket"),
    ("storage.buckets.", "roles/storage.admin", "the bucket"),
    ("serviceusage.", "roles/serviceusage.serviceUsageConsumer", "the project"),
    ("compute.subnetworks.", "roles/compute.networkUser", "the subnetwork"),
    ("compute.", "roles/compute.viewer", "the project"),
    ("cloudkms.", "roles/cloudkms.cryptoKeyEncrypterDecrypter", "the key"),
    ("artifactregistry.", "roles/artifactregistry.reader", "the repository of the image"),
    ("secretmanager.", "roles/secretmanager.secretAccessor", "the secret"),
    ("pubsub.", "roles/pubsub.subscriber", "the subscription"),
)
# Not the domain of an account or of an API.
_PERMISSION = re.compile(
    r"(?<![\w.@-])((?:dataflow|iam|storage|serviceusage|compute|cloudkms|artifactregistry|secretmanager|pubsub)"
    r"\.(?!googleapis\b)[A-Za-z]+(?:\.[A-Za-z]+)+)\b"
)
# Dataflow's sentence when the launching account may not use the workers' one. It names no permission.
_CANNOT_ACT = re.compile(r"cannot act as (?:the )?service account", re.IGNORECASE)
# What gRPC says when the credentials could not be renewed.
_STALE = re.compile(r"metadata from plugin failed|reauthentication|invalid_grant", re.IGNORECASE)
# How a refused or endless connection reads in the text of another error: `requests` in google-auth, and that in gRPC.
_UNREACHABLE = re.compile(r"Max retries exceeded|Failed to establish|Connection (?:aborted|refused)|timed out")
_HOST = re.compile(r"host='([^']+)'")
_STORAGE = "storage.googleapis.com"
_SIGN_IN = "sign in with `gcloud auth application-default login`, or name a key in GOOGLE_APPLICATION_CREDENTIALS."
_LOOK = "Look at the network of this machine: DNS, firewall, HTTPS_PROXY"
_SHOWN_CHARACTERS = 300


class Asked(msgspec.Struct, frozen=True):
    """What was asked for, for the words of an error.

    Attributes:
      project: of the job.
      region: of the job.
      what: what was to be done, such as `start job tiktok-stream`.
      job: name or id of the job.
      template: gs:// path of the template, if one was to be launched.
      server: of Dataflow.
    """

    project: str
    region: str
    what: str
    job: str
    template: str | None = None
    server: str = "dataflow.googleapis.com"


@contextmanager
def told(asked: Asked) -> Iterator[None]:
    """Turns what Google's libraries raise inside the `with` block into `CommandError`.

    Raises:
      CommandError: with the remedy; `UsageError` where a flag is to be changed.
    """
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        raise _answer(error, asked) from error
    except exceptions.RetryError as error:
        lost = error.cause if isinstance(error.cause, requests.RequestException) else None
        said = _silence(asked) if lost is None else _unreachable_storage(lost)
        raise CommandError(f"cannot {asked.what}: {said}") from error
    except requests.RequestException as error:
        raise CommandError(f"cannot {asked.what}: {_unreachable_storage(error)}") from error
    except GoogleAuthError as error:
        raise CommandError(f"cannot {asked.what}: {_without_credentials(error)}") from error


def _answer(error: exceptions.GoogleAPICallError, asked: Asked) -> CommandError:
    """Returns the error in our words."""
    begin = f"cannot {asked.what}: "
    said = _said(str(error.message))
    if _STALE.search(said) and _UNREACHABLE.search(str(error.message)):
        return CommandError(begin + _unreachable_credentials(str(error.message)))
    if isinstance(error.response, requests.Response) and error.response.status_code >= 500:
        return CommandError(f"{begin}Cloud Storage answered {error.response.status_code}. Try again later.")
    if _STALE.search(said):
        return CommandError(f"{begin}the credentials for Google Cloud are not valid any more; {_SIGN_IN}")
    info = _info(error)
    match error:
        case exceptions.Forbidden():
            return CommandError(begin + _forbidden(info, said, asked))
        case exceptions.Unauthenticated():
            return CommandError(f"{begin}Google Cloud does not take the credentials; {_SIGN_IN}")
        case exceptions.NotFound():
            return CommandError(begin + _missing(said, asked))
        case exceptions.AlreadyExists() | exceptions.Aborted():
            return UsageError(
                f"{begin}a job of this name is active in {asked.region}. A stream is replaced with --update, or "
                f"ended with `tiktok-events launch --drain {asked.job}`; wait for the end of a batch, or give another "
                "--job_name."
            )
        case exceptions.ResourceExhausted():
            return CommandError(
                f"{begin}a quota of project {asked.project} is used up ({said}). Ask for more (Console, IAM & Admin, "
                "Quotas), or start fewer or smaller workers: --max_workers, --machine_type."
            )
        case exceptions.InvalidArgument() | exceptions.FailedPrecondition() | exceptions.OutOfRange():
            return UsageError(begin + "\n".join(_violations(error) or [f"Dataflow refuses the request: {said}"]))
        case exceptions.ServiceUnavailable() | exceptions.DeadlineExceeded():
            return CommandError(begin + _silence(asked))
    code = getattr(error.grpc_status_code, "name", type(error).__name__)
    return CommandError(f"{begin}Dataflow answered {code} ({said}). Try again; https://status.cloud.google.com tells.")


def _forbidden(info: error_details_pb2.ErrorInfo | None, said: str, asked: Asked) -> str:
    if info is not None and info.reason == "SERVICE_DISABLED":
        service = info.metadata.get("service") or "dataflow.googleapis.com"
        return (
            f"the API {service} is not enabled; `gcloud services enable {service} --project {asked.project}`, "
            "and wait a minute or two."
        )
    permission = info.metadata.get("permission") if info is not None else None
    if not permission:
        found = _PERMISSION.search(said)
        acts = "iam.serviceAccounts.actAs" if _CANNOT_ACT.search(said) else None
        permission = found[1] if found else acts
    if permission:
        for beginning, role, place in _ROLES:
            if permission.lower().startswith(beginning.lower()):
                return f"the permission {permission} is missing; grant {role} on {place}. Google Cloud says: {said}"
        return f"the permission {permission} is missing. Google Cloud says: {said}"
    return (
        f"a permission is missing in project {asked.project}; grant roles/dataflow.developer to who launches. "
        f"Google Cloud says: {said}"
    )


def _missing(said: str, asked: Asked) -> str:
    if asked.template is not None:
        return (
            f"{asked.template}, the project or the region is not found. Look with `gcloud storage ls {asked.template}`;"
            f" project {asked.project}, region {asked.region}. Google Cloud says: {said}"
        )
    return (
        f"there is no such job in project {asked.project}, region {asked.region}; "
        f"`gcloud dataflow jobs list --project {asked.project} --region {asked.region}` lists them."
    )


def _silence(asked: Asked) -> str:
    return (
        f"no answer from Dataflow ({asked.server}). {_LOOK}, and whether the job has started all the same "
        "(`gcloud dataflow jobs list`), before you repeat this."
    )


def _unreachable_storage(error: requests.RequestException) -> str:
    """Returns which server could not be reached; nothing but files goes by this way, so no job has started."""
    url = getattr(error.request, "url", None)
    return f"Cloud Storage ({urlsplit(url or '').hostname or _STORAGE}) cannot be reached. {_LOOK}. No job was started."


def _unreachable_credentials(text: str) -> str:
    found = _HOST.search(text)
    return f"the server that gives credentials{f' ({found[1]})' if found else ''} cannot be reached. {_LOOK}."


def _without_credentials(error: GoogleAuthError) -> str:
    if isinstance(error, TransportError) or _UNREACHABLE.search(str(error)):
        return _unreachable_credentials(str(error))
    return f"there are no credentials for Google Cloud; {_SIGN_IN}"


def _status(error: exceptions.GoogleAPICallError) -> Any:
    """Returns the google.rpc.Status that came with an error, None if none came or it cannot be read."""
    if error.response is None:
        return None
    try:
        return rpc_status.from_call(error.response)
    except ValueError:
        return None


def _info(error: exceptions.GoogleAPICallError) -> error_details_pb2.ErrorInfo | None:
    status = _status(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info
    return None


def _violations(error: exceptions.GoogleAPICallError) -> list[str]:
    """Returns what is wrong with which parameter or field, one line each."""
    found = []
    status = _status(error)
    for detail in status.details if status is not None else ():
        parameters = types.InvalidTemplateParameters.pb()()
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(parameters):
            found += [f"--{one.parameter}: {_said(one.description)}" for one in parameters.parameter_violations]
        elif detail.Unpack(bad):
            found += [f"{one.field}: {_said(one.description)}" for one in bad.field_violations]
    return found


def _said(text: str) -> str:
    """Returns a text of the service on one line, without its request number, and shortened."""
    line = " ".join(re.sub(r"\([0-9a-f]{8,20}\): ?", "", text).split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"
