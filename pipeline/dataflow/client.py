"""Dataflow's API as `launch` uses it: start a template, find a job, drain it, and read its messages.

DATAFLOW_EMULATOR_HOST=HOST:PORT names a server on this machine instead of Google's; then nothing is encrypted and no
credentials are used, so only loopback addresses are allowed.
"""

import os
import re
from collections.abc import Iterator
from typing import Any

import grpc
import msgspec
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud.dataflow_v1beta3 import (
    FlexTemplatesServiceClient,
    JobsV1Beta3Client,
    MessagesV1Beta3Client,
    TemplatesServiceClient,
    types,
)
from google.cloud.dataflow_v1beta3.services.flex_templates_service.transports import FlexTemplatesServiceGrpcTransport
from google.cloud.dataflow_v1beta3.services.jobs_v1_beta3.transports import JobsV1Beta3GrpcTransport
from google.cloud.dataflow_v1beta3.services.messages_v1_beta3.transports import MessagesV1Beta3GrpcTransport
from google.cloud.dataflow_v1beta3.services.templates_service.transports import TemplatesServiceGrpcTransport

from pipeline.dataflow.errors import JobRequest, translate_errors
from pipeline.errors import CommandError, UsageError

EMULATOR = "DATAFLOW_EMULATOR_HOST"

State = types.JobState

# A launch answers once the job is registered. It is not repeated by itself: what seemed lost may have started a job.
_LAUNCH_SECS = 120.0
_READ_SECS = 30.0
# Reading is repeated through an outage of some minutes; the job does not notice one.
_READ_RETRY = Retry(
    predicate=if_exception_type(
        exceptions.ServiceUnavailable,
        exceptions.DeadlineExceeded,
        exceptions.InternalServerError,
        exceptions.TooManyRequests,
    ),
    initial=1.0,
    maximum=30.0,
    timeout=300.0,
)

_LOOPBACK = re.compile(r"(?:127(?:\.\d{1,3}){3}|localhost|\[::1\]):\d{1,5}")
# Ids that Dataflow gives, for example `2024-06-20_01_02_03-1234567890123456789`.
_JOB_ID = re.compile(r"\d{4}-\d{2}-\d{2}_\d{2}_\d{2}_\d{2}-\d+")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it is shown and printed.

    Attributes:
      id: Dataflow's.
      name: ours.
      state: as Dataflow names it, for example `JOB_STATE_RUNNING`.
      project: it runs in.
      region: it runs in.
      console_url: its page in the Cloud Console.
    """

    id: str
    name: str
    state: str
    project: str
    region: str
    console_url: str


class Dataflow:
    """Jobs of one project in one region.

    Args:
      project: id of the project.
      region: for example `europe-west3`.
    """

    def __init__(self, project: str, region: str) -> None:
        self.project = project
        self.region = region
        self._channel: Any = None
        address = os.environ.get(EMULATOR)
        if address is not None:
            if not _LOOPBACK.fullmatch(address):
                raise UsageError(f"{EMULATOR}: an address of this machine is needed, such as 127.0.0.1:8090; unset it.")
            self._channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])

    def launch_flex(self, parameter: types.LaunchFlexTemplateParameter, *, validate_only: bool) -> types.Job:
        """Starts a Flex Template; with `validate_only` Dataflow checks the request, and the job returned is empty.

        Raises:
          CommandError: Dataflow refuses.
        """
        request = types.LaunchFlexTemplateRequest(
            project_id=self.project, location=self.region, launch_parameter=parameter, validate_only=validate_only
        )
        with translate_errors(self._request("start", parameter.job_name, parameter.container_spec_gcs_path)):
            client = self._client(FlexTemplatesServiceClient, FlexTemplatesServiceGrpcTransport)
            answer: types.LaunchFlexTemplateResponse = client.launch_flex_template(
                request=request, timeout=_LAUNCH_SECS
            )
            return answer.job

    def launch_classic(
        self, path: str, parameters: types.LaunchTemplateParameters, *, validate_only: bool
    ) -> types.Job:
        """Starts a classic template as `launch_flex` does a Flex Template."""
        request = types.LaunchTemplateRequest(
            project_id=self.project,
            location=self.region,
            gcs_path=path,
            launch_parameters=parameters,
            validate_only=validate_only,
        )
        with translate_errors(self._request("start", parameters.job_name, path)):
            client = self._client(TemplatesServiceClient, TemplatesServiceGrpcTransport)
            job: types.Job = client.launch_template(request=request, timeout=_LAUNCH_SECS).job
            return job

    def find(self, job: str) -> types.Job:
        """Returns a job by its id, or the active one of a name.

        Raises:
          CommandError: there is none.
        """
        if _JOB_ID.fullmatch(job):
            return self.get(job)
        found = self.active(job)
        if found is None:
            raise CommandError(
                f"no active job is named {job} in project {self.project}, region {self.region}; "
                f"`gcloud dataflow jobs list --project {self.project} --region {self.region} --status active` lists "
                "them."
            )
        return found

    def active(self, name: str) -> types.Job | None:
        """Returns the active job of a name; Dataflow allows one. None: there is none."""
        request = types.ListJobsRequest(
            project_id=self.project, location=self.region, filter=types.ListJobsRequest.Filter.ACTIVE, name=name
        )
        with translate_errors(self._request("look for", name)):
            jobs = self._jobs().list_jobs(request=request, retry=_READ_RETRY, timeout=_READ_SECS)
            return next((job for job in jobs if job.name == name), None)

    def get(self, job_id: str) -> types.Job:
        """Returns a job as it is now."""
        request = types.GetJobRequest(project_id=self.project, job_id=job_id, location=self.region)
        with translate_errors(self._request("look at", job_id)):
            return self._jobs().get_job(request=request, retry=_READ_RETRY, timeout=_READ_SECS)

    def drain(self, job_id: str) -> types.Job:
        """Asks a stream to stop reading and to end once everything that it has read is settled."""
        request = types.UpdateJobRequest(
            project_id=self.project,
            job_id=job_id,
            location=self.region,
            job=types.Job(requested_state=State.JOB_STATE_DRAINED),
        )
        with translate_errors(self._request("drain", job_id)):
            # Asking twice is as good as once.
            return self._jobs().update_job(request=request, retry=_READ_RETRY, timeout=_READ_SECS)

    def messages(self, job_id: str, since: Any = None) -> Iterator[types.JobMessage]:
        """Yields warnings and errors of a job, the oldest first.

        Args:
          job_id: Dataflow's.
          since: time of the first that is wanted; None: all.
        """
        request = types.ListJobMessagesRequest(
            project_id=self.project,
            job_id=job_id,
            location=self.region,
            minimum_importance=types.JobMessageImportance.JOB_MESSAGE_WARNING,
            start_time=since,
        )
        with translate_errors(self._request("read the messages of", job_id)):
            client = self._client(MessagesV1Beta3Client, MessagesV1Beta3GrpcTransport)
            yield from client.list_job_messages(request=request, retry=_READ_RETRY, timeout=_READ_SECS)

    def shown(self, job: types.Job) -> Job:
        """Returns a job as it is printed."""
        url = f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{job.id}?project={self.project}"
        return Job(
            id=job.id,
            name=job.name,
            state=State(job.current_state).name,
            project=self.project,
            region=self.region,
            console_url=url,
        )

    def _jobs(self) -> JobsV1Beta3Client:
        client: JobsV1Beta3Client = self._client(JobsV1Beta3Client, JobsV1Beta3GrpcTransport)
        return client

    def _client(self, client: Any, transport: Any) -> Any:
        return client() if self._channel is None else client(transport=transport(channel=self._channel))

    def _request(self, verb: str, job: str, template: str | None = None) -> JobRequest:
        request = JobRequest(
            project=self.project, region=self.region, action=f"{verb} job {job}", job=job, template=template
        )
        emulator = os.environ.get(EMULATOR)
        return request if not emulator else msgspec.structs.replace(request, server=emulator)
