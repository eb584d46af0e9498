"""What Beam asks of Dataflow and of Cloud Storage when it submits a job itself, without a template: errors → remedies.

Beam repeats what fails, and logs it: creating a job for half a minute, staging a file for many minutes. Only what it
gives up on comes here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions

from pipeline.errors import CommandError

_DATAFLOW = "DataflowRunner"


@contextmanager
def translate_submission_errors(options: PipelineOptions, verb: str) -> Iterator[None]:
    """Turns what Google's libraries raise inside the `with` block into `CommandError`, if the runner is Dataflow's.

    Args:
      options: Beam's; they name runner, project, region and job.
      verb: what is done with the job, for example `start`.

    Raises:
      CommandError: with the remedy; `UsageError` where a flag is to be changed.
    """
    if options.view_as(StandardOptions).runner != _DATAFLOW:
        yield
        return
    # Only now, because they load the client of Dataflow.
    from pipeline.dataflow.errors import JobRequest, translate_errors

    google = options.view_as(GoogleCloudOptions)
    job = google.job_name or "without a name"
    request = JobRequest(
        project=google.project or "",
        region=google.region or "",
        action=f"{verb} job {job}",
        job=job,
        server=urlsplit(google.dataflow_endpoint).netloc or google.dataflow_endpoint,
    )
    with translate_errors(request):
        yield


@contextmanager
def translate_watch_errors(options: PipelineOptions) -> Iterator[None]:
    """Does as `translate_submission_errors` while a job runs there; it goes on without this program.

    Raises:
      CommandError: the job is not seen any more.
    """
    if options.view_as(StandardOptions).runner != _DATAFLOW:
        yield
        return
    try:
        with translate_submission_errors(options, "follow"):
            yield
    except AssertionError as error:
        # Beam's thread that asks for the state has died. Source: Beam 2.77, `DataflowPipelineResult.wait_until_finish`.
        google = options.view_as(GoogleCloudOptions)
        raise CommandError(
            f"cannot follow job {google.job_name}: Dataflow does not answer any more. The job goes on there; look at "
            f"it with `gcloud dataflow jobs list --project {google.project} --region {google.region}`."
        ) from error
