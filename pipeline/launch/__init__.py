"""Dataflow templates and their launch.

In: the flags of `launch`. Out: checked parameters and the requests that start, update or drain a job.
"""

from pipeline.launch.job_options import PREFIX, JobOptions, add_template_flags, parser_of_launch, read_job_options
from pipeline.launch.parameters import check, given_parameters
from pipeline.launch.requests import classic_parameters, flex_parameter, staging_words
from pipeline.launch.template_parameters import TEMPLATES, Parameter, check_parameters, command, parameters_of

__all__ = [
    "JobOptions",
    "PREFIX",
    "Parameter",
    "TEMPLATES",
    "add_template_flags",
    "check",
    "check_parameters",
    "classic_parameters",
    "command",
    "flex_parameter",
    "given_parameters",
    "read_job_options",
    "parameters_of",
    "parser_of_launch",
    "staging_words",
]
