"""A run from its options to its end.

In: `RunOptions`. Out: checks, the Beam graph, its execution, and an exit code.
"""

from pipeline.jobs.deduplication import duplicates_step
from pipeline.jobs.describe import build_graph, describe_job, is_described, is_graph_check
from pipeline.jobs.preflight import beam_settings, check_buckets, check_outputs, check_token, checked_records
from pipeline.jobs.run import plan_stream, report_run, run_job, run_pipeline

__all__ = [
    "beam_settings",
    "build_graph",
    "run_pipeline",
    "check_buckets",
    "check_outputs",
    "check_token",
    "checked_records",
    "describe_job",
    "duplicates_step",
    "is_described",
    "is_graph_check",
    "plan_stream",
    "report_run",
    "run_job",
]
