"""What Google Cloud answers when a job cannot be started or looked at → one sentence with the remedy.

In: the exceptions of Google's client libraries, with the details that the service sends (google.rpc.Status), and of
`requests`, which carries what goes to Cloud Storage and for credentials. Out: `CommandError`. Of the service's own text
only what names a permission, a quota or a parameter is repeated, on one line and shortened. Roles and common remedies
are in `transforms.google_errors`.
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
from transforms.google_errors import API_DISABLED, CHECK_NETWORK, SIGN_IN, missing_permission, role_of

# The text of gRPC when the credentials could not be renewed.
_STALE = re.compile(r"metadata from plugin failed|reauthentication|invalid_grant", re.IGNORECASE)
# How a refused or endless connection reads in the text of another error: `requests` in google-auth, and that in gRPC.
_UNREACHABLE = re.compile(r"Max retries exceeded|Failed to establish|Connection (?:aborted|refused)|timed out")
_HOST = re.compile(r"host='([^']+)'")
_STORAGE = "storage.googleapis.com"
_SHOWN_CHARACTERS = 300


class JobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of Google Cloud, for the words of an error.

    Attributes:
      project: of the job.
      region: of the job.
      action: what was to be done, such as `start job tiktok-stream`.
      job: name or id of the job.
      template: gs:// path of the template, if one was to be launched.
      server: of Dataflow.
    """

    project: str
    region: str
    action: str
    job: str
    template: str | None = None
    server: str = "dataflow.googleapis.com"


@contextmanager
def translate_errors(request: JobRequest) -> Iterator[None]:
    """Turns what Google's libraries raise inside the `with` block into `CommandError`.

    Raises:
      CommandError: with the remedy; `UsageError` where a flag is to be changed.
    """
    begin = f"cannot {request.action}: "
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        text = _lost_connection(error)
        raise (_refusal(error, request, begin) if text is None else CommandError(begin + text)) from error
    except exceptions.RetryError as error:
        lost = error.cause if isinstance(error.cause, requests.RequestException) else None
        text = _no_answer(request) if lost is None else _unreachable_storage(lost)
        raise CommandError(begin + text) from error
    except requests.RequestException as error:
        raise CommandError(begin + _unreachable_storage(error)) from error
    except GoogleAuthError as error:
        raise CommandError(begin + _without_credentials(error)) from error


def _lost_connection(error: exceptions.GoogleAPICallError) -> str | None:
    """Returns what an error means for credentials or Cloud Storage, None if it is Dataflow's own answer."""
    text = str(error.message)
    is_stale = _STALE.search(_shortened(text)) is not None
    if is_stale and _UNREACHABLE.search(text):
        return _unreachable_credentials(text)
    if isinstance(error.response, requests.Response) and error.response.status_code >= 500:
        return f"Cloud Storage answered {error.response.status_code}. Try again later."
    return f"the credentials for Google Cloud are not valid any more; {SIGN_IN}" if is_stale else None


def _refusal(error: exceptions.GoogleAPICallError, request: JobRequest, begin: str) -> CommandError:
    """Returns what Dataflow's answer means."""
    text = _shortened(str(error.message))
    match error:
        case exceptions.Forbidden():
            return CommandError(begin + _forbidden(_error_info(error), text, request))
        case exceptions.Unauthenticated():
            return CommandError(f"{begin}Google Cloud does not take the credentials; {SIGN_IN}")
        case exceptions.NotFound():
            return CommandError(begin + _missing(text, request))
        case exceptions.AlreadyExists() | exceptions.Aborted():
            return UsageError(
                f"{begin}a job of this name is active in {request.region}. A stream is replaced with --update, or "
                f"ended with `tiktok-events launch --drain {request.job}`; wait for the end of a batch, or give "
                "another --job_name."
            )
        case exceptions.ResourceExhausted():
            return CommandError(
                f"{begin}a quota of project {request.project} is used up ({text}). Ask for more (Console, IAM & "
                "Admin, Quotas), or start fewer or smaller workers: --max_workers, --machine_type."
            )
        case exceptions.InvalidArgument() | exceptions.FailedPrecondition() | exceptions.OutOfRange():
            return UsageError(begin + "\n".join(_violations(error) or [f"Dataflow refuses the request: {text}"]))
        case exceptions.ServiceUnavailable() | exceptions.DeadlineExceeded():
            return CommandError(begin + _no_answer(request))
    name = getattr(error.grpc_status_code, "name", type(error).__name__)
    return CommandError(f"{begin}Dataflow answered {name} ({text}). Try again; see https://status.cloud.google.com.")


def _forbidden(info: error_details_pb2.ErrorInfo | None, text: str, request: JobRequest) -> str:
    if info is not None and info.reason == API_DISABLED:
        service = info.metadata.get("service") or "dataflow.googleapis.com"
        return (
            f"the API {service} is not enabled; `gcloud services enable {service} --project {request.project}`, "
            "and wait a minute or two."
        )
    permission = (info.metadata.get("permission") if info is not None else None) or missing_permission(text)
    if not permission:
        return (
            f"a permission is missing in project {request.project}; grant roles/dataflow.developer to who launches. "
            f"Google Cloud says: {text}"
        )
    role = role_of(permission)
    grant = "" if role is None else f"; grant {role.role} on {role.place}"
    return f"the permission {permission} is missing{grant}. Google Cloud says: {text}"


def _missing(text: str, request: JobRequest) -> str:
    if request.template is not None:
        return (
            f"{request.template}, the project or the region is not found. Look with "
            f"`gcloud storage ls {request.template}`; project {request.project}, region {request.region}. "
            f"Google Cloud says: {text}"
        )
    return (
        f"there is no such job in project {request.project}, region {request.region}; "
        f"`gcloud dataflow jobs list --project {request.project} --region {request.region}` lists them."
    )


def _no_answer(request: JobRequest) -> str:
    return (
        f"no answer from Dataflow ({request.server}). {CHECK_NETWORK}, and whether the job has started all the same "
        "(`gcloud dataflow jobs list`), before you repeat this."
    )


def _unreachable_storage(error: requests.RequestException) -> str:
    """Returns which server could not be reached; nothing but files goes by this way, so no job has started."""
    url = getattr(error.request, "url", None)
    server = urlsplit(url or "").hostname or _STORAGE
    return f"Cloud Storage ({server}) cannot be reached. {CHECK_NETWORK}. No job was started."


def _unreachable_credentials(text: str) -> str:
    found = _HOST.search(text)
    return f"the server that gives credentials{f' ({found[1]})' if found else ''} cannot be reached. {CHECK_NETWORK}."


def _without_credentials(error: GoogleAuthError) -> str:
    if isinstance(error, TransportError) or _UNREACHABLE.search(str(error)):
        return _unreachable_credentials(str(error))
    return f"there are no credentials for Google Cloud; {SIGN_IN}"


def _rpc_status(error: exceptions.GoogleAPICallError) -> Any:
    """Returns the google.rpc.Status that came with an error, None if none came or it cannot be read."""
    if error.response is None:
        return None
    try:
        return rpc_status.from_call(error.response)
    except ValueError:
        return None


def _error_info(error: exceptions.GoogleAPICallError) -> error_details_pb2.ErrorInfo | None:
    status = _rpc_status(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info
    return None


def _violations(error: exceptions.GoogleAPICallError) -> list[str]:
    """Returns what is wrong with which parameter or field, one line each."""
    found = []
    status = _rpc_status(error)
    for detail in status.details if status is not None else ():
        parameters = types.InvalidTemplateParameters.pb()()
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(parameters):
            found += [f"--{one.parameter}: {_shortened(one.description)}" for one in parameters.parameter_violations]
        elif detail.Unpack(bad):
            found += [f"{one.field}: {_shortened(one.description)}" for one in bad.field_violations]
    return found


def _shortened(text: str) -> str:
    """Returns a text of the service on one line, without its request number, and shortened."""
    line = " ".join(re.sub(r"\([0-9a-f]{8,20}\): ?", "", text).split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"
