"""Dataflow templates and their launch.

In: the flags of `launch`. Out: checked parameters and the requests that start, update or drain a job.
"""

from pipeline.launch.job_options import (
    PARAMETER_PREFIX,
    JobOptions,
    add_template_flags,
    launch_parser,
    read_job_options,
)
from pipeline.launch.parameters import check_launch, given_parameters
from pipeline.launch.requests import classic_parameters, flex_parameter, staging_words
from pipeline.launch.template_parameters import (
    TEMPLATES,
    TemplateParameter,
    check_parameters,
    command_of,
    parameters_of,
)

__all__ = [
    "JobOptions",
    "PARAMETER_PREFIX",
    "TEMPLATES",
    "TemplateParameter",
    "add_template_flags",
    "check_launch",
    "check_parameters",
    "classic_parameters",
    "command_of",
    "flex_parameter",
    "given_parameters",
    "launch_parser",
    "parameters_of",
    "read_job_options",
    "staging_words",
]
