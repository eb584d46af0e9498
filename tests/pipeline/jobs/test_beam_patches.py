"""Beam's local runner in a stream that lasts: the metrics of its bundles are joined, not kept."""

import inspect
import itertools

from apache_beam.metrics import monitoring_infos
from apache_beam.runners.portability.fn_api_runner import fn_runner

from pipeline.jobs.beam_patches import join_metrics_at_once

# More than the interpreter's recursion limit.
BUNDLES = 2_000


def test_the_metrics_of_thousands_of_bundles_are_one_number() -> None:
    join_metrics_at_once()
    of_a_bundle = monitoring_infos.int64_user_counter("tiktok_events", "units", 1, ptransform="step")
    of_all = [of_a_bundle]
    for _ in range(BUNDLES - 1):
        # As in `FnApiRunner.run_stages`.
        of_all = fn_runner.consolidate_monitoring_infos(itertools.chain([of_a_bundle], of_all))
    (joined,) = of_all
    assert monitoring_infos.extract_counter_value(joined) == BUNDLES


def test_beam_still_joins_by_the_name_that_is_replaced() -> None:
    """If this fails after an update of Beam, look whether `pipeline.jobs.beam_patches` is still needed."""
    assert "consolidate_monitoring_infos(" in inspect.getsource(fn_runner.FnApiRunner.run_stages)
    assert inspect.isgeneratorfunction(monitoring_infos.consolidate)
