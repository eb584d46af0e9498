"""A launch → the requests of Dataflow's API, or Beam's flags where a classic template is staged."""

from typing import Any

from google.cloud.dataflow_v1beta3 import types

from pipeline.launch_flags import JobOptions

# The same by the same name in both kinds of template.
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
        transform_name_mappings=options.mapping,
    )


def classic_parameters(options: JobOptions) -> types.LaunchTemplateParameters:
    """Returns what is asked of a classic template: the job's environment only."""
    return types.LaunchTemplateParameters(
        job_name=options.job_name,
        environment=types.RuntimeEnvironment(**_environment(options)),
        update=options.update,
        transform_name_mapping=options.mapping,
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
