"""Pipelines that are described here and run elsewhere, or not at all.

Two ways, both of Dataflow's runner. With `--template_location` the job object is written and the program ends: this is
how the launcher of a Flex Template, and whoever stages a classic template, obtains the job. With `--dry_run` the graph
is built and checked, and nothing is asked of Google Cloud. Neither has a result, so there are no counts, no summary and
no lock. The manifest of a job that Dataflow will run has the state `described` (`pipeline.ledger.described_journal`).
"""

import sys
from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions, TestOptions

from pipeline.dataflow import translate_submission_errors
from pipeline.errors import EXIT_SETTLED
from pipeline.options import DATAFLOW_RUNNER


def is_graph_check(options: PipelineOptions) -> bool:
    """Returns whether the graph is built only."""
    return options.view_as(StandardOptions).runner == DATAFLOW_RUNNER and bool(options.view_as(TestOptions).dry_run)


def is_described(options: PipelineOptions) -> bool:
    """Returns whether a pipeline with these options is described and not run here."""
    if options.view_as(StandardOptions).runner != DATAFLOW_RUNNER:
        return False
    return is_graph_check(options) or bool(options.view_as(GoogleCloudOptions).template_location)


def build_graph(options: PipelineOptions, add_steps: Callable[[beam.Pipeline], None]) -> tuple[Any, Any]:
    """Describes a pipeline; returns its graph (a proto message) as Dataflow gets it, and Beam's context of the graph.

    Args:
      options: Beam's, of which `is_described` is true.
      add_steps: fills the pipeline.
    """
    pipeline = beam.Pipeline(options=options)
    add_steps(pipeline)
    with translate_submission_errors(options, "describe"):
        pipeline.run()
    return pipeline.runner.proto_pipeline, pipeline.runner.proto_context


def describe_job(options: PipelineOptions, add_steps: Callable[[beam.Pipeline], None]) -> int:
    """Describes a pipeline as `build_graph` does, prints the result, and returns the exit code."""
    graph, _ = build_graph(options, add_steps)
    if is_graph_check(options):
        steps = sum(not step.subtransforms for step in graph.components.transforms.values())
        sys.stdout.write(f"The graph for Dataflow is built: {steps} steps. Nothing was started, and nothing is sent.\n")
    else:
        location = options.view_as(GoogleCloudOptions).template_location
        sys.stdout.write(f"Job object written to {location}; Dataflow starts it. Nothing has been sent yet.\n")
    return EXIT_SETTLED
