"""A launch → the requests of Dataflow's API, or the flags of `run` where Beam stages a classic template from here."""

from collections.abc import Mapping
from typing import Any

from google.cloud.dataflow_v1beta3 import types

from pipeline.errors import UsageError
from pipeline.launch.job_options import JobOptions

# Fields that the requests of both kinds of template have by the same name.
_SHARED = (
    "temp_location",
    "service_account_email",
    "network",
    "subnetwork",
    "kms_key_name",
    "machine_type",
    "num_workers",
    "max_workers",
    "worker_zone",
)


def flex_parameter(options: JobOptions, parameters: dict[str, str]) -> types.LaunchFlexTemplateParameter:
    """Returns what is asked of a Flex Template; what was not given stays as the container spec has it."""
    environment = types.FlexTemplateRuntimeEnvironment(
        **_environment(options),
        **{
            name: getattr(options, name)
            for name in ("staging_location", "sdk_container_image")
            if getattr(options, name) is not None
        },
    )
    return types.LaunchFlexTemplateParameter(
        job_name=options.job_name,
        container_spec_gcs_path=options.template,
        parameters=parameters,
        environment=environment,
        update=options.update,
        transform_name_mappings=options.transform_names,
    )


def classic_parameters(options: JobOptions) -> types.LaunchTemplateParameters:
    """Returns what is asked of a classic template: the job's environment only."""
    return types.LaunchTemplateParameters(
        job_name=options.job_name,
        environment=types.RuntimeEnvironment(**_environment(options)),
        update=options.update,
        transform_name_mapping=options.transform_names,
    )


def _environment(options: JobOptions) -> dict[str, Any]:
    found = {name: getattr(options, name) for name in _SHARED if getattr(options, name) is not None}
    if options.no_public_ips:
        found["ip_configuration"] = types.WorkerIPAddressConfiguration.WORKER_IP_PRIVATE
    # The API has no field for service options: they are options of the pipeline.
    extra = [f"dataflow_service_options={word}" for word in options.dataflow_service_options]
    return {
        **found,
        "additional_user_labels": options.labels,
        "additional_experiments": list(options.additional_experiments),
        "additional_pipeline_options": extra,
    }


# The job's flags → Beam's. Source: apache_beam/options/pipeline_options.py, 2.77.0.
_BEAM_NAMES = {
    "project": "project",
    "region": "region",
    "stage": "template_location",
    "temp_location": "temp_location",
    "staging_location": "staging_location",
    "service_account_email": "service_account_email",
    "network": "network",
    "subnetwork": "subnetwork",
    "kms_key_name": "dataflow_kms_key",
    "machine_type": "machine_type",
    "num_workers": "num_workers",
    "max_workers": "max_num_workers",
    "worker_zone": "worker_zone",
    "sdk_container_image": "sdk_container_image",
    "job_name": "job_name",
}


def staging_words(options: JobOptions, parameters: Mapping[str, str]) -> list[str]:
    """Returns the arguments of `run` that write the template.

    Raises:
      UsageError: something is missing without which the template would not run, or cannot belong to one.
    """
    if options.sdk_container_image is None:
        raise UsageError(
            "--sdk_container_image is missing: the workers of a classic template need the image with this pipeline in "
            "it; build it with `make image` and name it."
        )
    if options.temp_location is None:
        raise UsageError("--temp_location is missing: Beam stages the pipeline below a gs:// folder.")
    for name in ("update", "wait", "validate_only"):
        if getattr(options, name):
            raise UsageError(f"--{name}: nothing is started with --stage; remove it, and give it with --template.")
    words = [f"--{name}={value}" for name, value in parameters.items()]
    beam = {beam: getattr(options, name) for name, beam in _BEAM_NAMES.items()}
    words += [f"--{name}={value}" for name, value in beam.items() if value is not None]
    words += [f"--label={key}={value}" for key, value in options.labels.items()]
    words += [f"--experiment={word}" for word in options.additional_experiments]
    words += [f"--dataflow_service_option={word}" for word in options.dataflow_service_options]
    if options.no_public_ips:
        words.append("--no_use_public_ips")
    return [*words, "--runner=DataflowRunner"]
