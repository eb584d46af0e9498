"""Everything that this project changes in Beam, each with its reason. It uses nothing else that Beam keeps private.

`join_metrics_at_once` keeps Beam's local runner from remembering every bundle of a stream.
`FnApiRunner` of Beam 2.77 joins the metrics of each bundle with those of the bundles before by
`monitoring_infos.consolidate`, which is a generator: nothing is joined until somebody reads the metrics at the end. A
batch has a handful of bundles. A stream has one every few seconds: all their metrics stay in memory (55 kB a bundle
here), and reading them after a thousand bundles fails with a `RecursionError`, generator within generator. The runner
does so since apache/beam pull request 16841; no issue about it was found (searched 2026-12-01).
"""

from collections.abc import Iterable
from typing import Any

from apache_beam.runners.portability.fn_api_runner import fn_runner

_NAME = "consolidate_monitoring_infos"

_lazily = getattr(fn_runner, _NAME)


def join_metrics_at_once() -> None:
    """Makes the runner join the metrics of a bundle when it ends. May be called any number of times."""
    setattr(fn_runner, _NAME, _at_once)


def _at_once(infos: Iterable[Any]) -> list[Any]:
    return list(_lazily(infos))
