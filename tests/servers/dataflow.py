"""Dataflow v1b3 in memory, over real gRPC and with the client library's own types; as much of it as `launch` needs.

Behaviour follows the service as documented: one active job a name and region, an update takes the name over, a drain
goes through DRAINING, a batch cannot be drained. A job goes one state further each time that it is looked at.
"""

import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from google.cloud.dataflow_v1beta3 import types
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

SERVICE = "google.dataflow.v1beta3"
State = types.JobState
STREAM = (State.JOB_STATE_QUEUED, State.JOB_STATE_PENDING, State.JOB_STATE_RUNNING)
BATCH = (State.JOB_STATE_QUEUED, State.JOB_STATE_RUNNING, State.JOB_STATE_DONE)
# From small to great; the numbers of the words are in another order.
IMPORTANCE = ("DEBUG", "DETAILED", "BASIC", "WARNING", "ERROR")
FINAL = {
    State.JOB_STATE_DONE,
    State.JOB_STATE_FAILED,
    State.JOB_STATE_CANCELLED,
    State.JOB_STATE_UPDATED,
    State.JOB_STATE_DRAINED,
}


class Dataflow:
    """The service. Thread-safe.

    Args:
      read: returns the content of a gs:// object, or None if there is none; used for classic templates.

    Attributes:
      flex: requests to launch Flex Templates, refused ones included.
      classic: requests to launch classic templates.
      templates: gs:// paths of container specs that exist.
      lives: states that the next jobs go through, instead of those of a healthy stream or batch.
      messages: of every job, in order.
      calls: names of the methods called.
    """

    def __init__(self, read: Callable[[str], bytes | None] | None = None) -> None:
        self.flex: list[types.LaunchFlexTemplateRequest] = []
        self.classic: list[types.LaunchTemplateRequest] = []
        self.templates = {f"gs://acme-tiktok/templates/{name}.json" for name in ("stream", "history", "replay")}
        self.lives: deque[tuple[State, ...]] = deque()
        self.messages: list[types.JobMessage] = []
        self.calls: list[str] = []
        self.jobs: dict[str, types.Job] = {}
        self.address = ""
        self._next: dict[str, deque[State]] = {}
        self._read = read
        self._numbers = itertools.count(1)
        self._refusals: dict[str, deque[status_pb2.Status]] = {}
        self._lock = threading.RLock()

    def refuse(self, method: str, code: grpc.StatusCode, message: str, *details: Any) -> None:
        """Refuses the next call of a method, with details as the service packs them."""
        packed = []
        for detail in details:
            packed.append(any_pb2.Any())
            packed[-1].Pack(detail)
        status = status_pb2.Status(code=code.value[0], message=message, details=packed)
        self._refusals.setdefault(method, deque()).append(status)

    @contextmanager
    def serving(self) -> Iterator["Dataflow"]:
        """Serves on a free port of loopback; `address` is what DATAFLOW_EMULATOR_HOST wants."""
        server = grpc.server(futures.ThreadPoolExecutor(8))
        methods: dict[str, dict[str, tuple[Callable[[Any, Any], Any], Any]]] = {
            "FlexTemplatesService": {"LaunchFlexTemplate": (self._launch_flex, types.LaunchFlexTemplateRequest)},
            "TemplatesService": {"LaunchTemplate": (self._launch_classic, types.LaunchTemplateRequest)},
            "JobsV1Beta3": {
                "GetJob": (self._get, types.GetJobRequest),
                "ListJobs": (self._list, types.ListJobsRequest),
                "UpdateJob": (self._update, types.UpdateJobRequest),
            },
            "MessagesV1Beta3": {"ListJobMessages": (self._list_messages, types.ListJobMessagesRequest)},
        }
        for service, handlers in methods.items():
            server.add_generic_rpc_handlers(
                (
                    grpc.method_handlers_generic_handler(
                        f"{SERVICE}.{service}",
                        {name: self._handler(name, *handler) for name, handler in handlers.items()},
                    ),
                )
            )
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield self
        finally:
            server.stop(None).wait()

    def _handler(self, name: str, method: Callable[[Any, Any], Any], request: Any) -> grpc.RpcMethodHandler:
        def call(message: Any, context: grpc.ServicerContext) -> Any:
            with self._lock:
                self.calls.append(name)
                if self._refusals.get(name):
                    context.abort_with_status(rpc_status.to_status(self._refusals[name].popleft()))
                return method(message, context)

        return grpc.unary_unary_rpc_method_handler(
            call, request.deserialize, lambda message: type(message).serialize(message)
        )

    def _launch_flex(self, request: Any, context: grpc.ServicerContext) -> types.LaunchFlexTemplateResponse:
        self.flex.append(request)
        wanted = request.launch_parameter
        if wanted.container_spec_gcs_path not in self.templates:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Unable to open template file: {wanted.container_spec_gcs_path}.")
        job = self._start(
            request,
            wanted.job_name,
            wanted.update,
            dict(wanted.transform_name_mappings),
            "subscription" in wanted.parameters,
            context,
        )
        return types.LaunchFlexTemplateResponse(job=job)

    def _launch_classic(self, request: Any, context: grpc.ServicerContext) -> types.LaunchTemplateResponse:
        self.classic.append(request)
        wanted = request.launch_parameters
        content = self._read(request.gcs_path) if self._read else None
        if content is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Unable to open template file: {request.gcs_path}.")
        template = json.loads(content)
        if wanted.parameters:
            violation = types.InvalidTemplateParameters.ParameterViolation(
                parameter=next(iter(wanted.parameters)), description="Unrecognized parameter"
            )
            invalid = types.InvalidTemplateParameters(parameter_violations=[violation])
            self.refuse("_", grpc.StatusCode.INVALID_ARGUMENT, "The template parameters are invalid.", invalid._pb)
            context.abort_with_status(rpc_status.to_status(self._refusals["_"].popleft()))
        job = self._start(
            request,
            wanted.job_name,
            wanted.update,
            dict(wanted.transform_name_mapping),
            template["type"] == "JOB_TYPE_STREAMING",
            context,
        )
        return types.LaunchTemplateResponse(job=job)

    def _start(
        self,
        request: Any,
        name: str,
        update: bool,
        mapping: dict[str, str],
        streaming: bool,
        context: grpc.ServicerContext,
    ) -> types.Job | None:
        old = next((job for job in self.jobs.values() if job.name == name and job.current_state not in FINAL), None)
        if old and not update:
            context.abort(
                grpc.StatusCode.ALREADY_EXISTS,
                f"(78f666ea16e50f79): There is already an active job named {name}. If you want to submit a second job, "
                "try again by setting a different name.",
            )
        if request.validate_only:
            return None
        states = deque(self.lives.popleft() if self.lives else STREAM if streaming else BATCH)
        job = types.Job(
            id=f"2026-11-25_10_00_00-{next(self._numbers)}",
            name=name,
            project_id=request.project_id,
            location=request.location,
            type_=types.JobType.JOB_TYPE_STREAMING if streaming else types.JobType.JOB_TYPE_BATCH,
            current_state=states.popleft(),
            transform_name_mapping=mapping,
        )
        if old:
            old.current_state = State.JOB_STATE_UPDATED
            old.replaced_by_job_id = job.id
            job.replace_job_id = old.id
        self.jobs[job.id] = job
        self._next[job.id] = states
        return job

    def _job(self, request: Any, context: grpc.ServicerContext) -> types.Job:
        job = self.jobs.get(request.job_id)
        if job is None or (job.project_id, job.location) != (request.project_id, request.location):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Information about job {request.job_id} could not be found.")
        return job

    def _get(self, request: Any, context: grpc.ServicerContext) -> types.Job:
        job = self._job(request, context)
        answer = types.Job(job)
        if self._next[job.id]:
            job.current_state = self._next[job.id].popleft()
        return answer

    def _list(self, request: Any, context: grpc.ServicerContext) -> types.ListJobsResponse:
        found = [
            job
            for job in self.jobs.values()
            if (job.project_id, job.location) == (request.project_id, request.location)
            and (not request.name or job.name == request.name)
            and (request.filter != types.ListJobsRequest.Filter.ACTIVE or job.current_state not in FINAL)
        ]
        return types.ListJobsResponse(jobs=found)

    def _update(self, request: Any, context: grpc.ServicerContext) -> types.Job:
        job = self._job(request, context)
        if job.type_ == types.JobType.JOB_TYPE_BATCH or job.current_state in FINAL:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"Job {job.id} cannot be drained.")
        assert request.job.requested_state == State.JOB_STATE_DRAINED
        job.current_state = State.JOB_STATE_DRAINING
        self._next[job.id] = deque([State.JOB_STATE_DRAINING, State.JOB_STATE_DRAINED])
        return job

    def _list_messages(self, request: Any, context: grpc.ServicerContext) -> types.ListJobMessagesResponse:
        self._job(request, context)
        least = _rank(request.minimum_importance)
        wanted = [one for one in self.messages if _rank(one.message_importance) >= least]
        if "start_time" in request:
            wanted = [one for one in wanted if one.time >= request.start_time]
        return types.ListJobMessagesResponse(job_messages=wanted)


def _rank(importance: types.JobMessageImportance) -> int:
    return IMPORTANCE.index(types.JobMessageImportance(importance).name.removeprefix("JOB_MESSAGE_"))


def error_info(reason: str, **metadata: str) -> error_details_pb2.ErrorInfo:
    """Returns the detail by which Google's services say why."""
    return error_details_pb2.ErrorInfo(reason=reason, domain="googleapis.com", metadata=metadata)
