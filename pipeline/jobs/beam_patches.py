"""Everything that this project changes in Beam, each with its reason. It uses nothing else that Beam keeps private.

`join_metrics_at_once` keeps Beam's local runner from remembering every bundle of a stream.
`FnApiRunner` of Beam 2.77 joins the metrics of each bundle with those of the bundles before by
`monitoring_infos.consolidate`, which is a generator: nothing is joined until somebody reads the metrics at the end. A
batch has a handful of bundles. A stream has one every few seconds: all their metrics stay in memory (55 kB a bundle
here), and reading them after a thousand bundles fails with a `RecursionError`, generator within generator. The runner
does so since apache/beam pull request 16841; no issue about it was found (searched 2026-12-01).

With `--direct_running_mode` `multi_threading` or `multi_processing`, the runner's data channels are emptied once a
second by a thread of their own (`TimeBasedBufferingClosableOutputStream` of `apache_beam.runners.worker.data_plane`).
Whoever writes an element holds no lock, so that the thread sends half of it, and what is written between its reading
and its emptying of the buffer is lost. The receiver decodes bytes that do not begin where an element begins: it fails,
or reserves gigabytes. Streams that are emptied by size alone do that between two elements.
"""

from collections.abc import Iterable
from typing import Any

from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers

_NAME = "consolidate_monitoring_infos"
# In milliseconds, read whenever a worker or a server of the runner starts; 0: by size alone, as on Dataflow.
_TIME_LIMIT = "DATA_BUFFER_TIME_LIMIT_MS"

_lazily = getattr(fn_runner, _NAME)


def join_metrics_at_once() -> None:
    """Makes the runner join the metrics of a bundle when it ends. May be called any number of times."""
    setattr(fn_runner, _NAME, _at_once)


def send_whole_elements() -> None:
    """Lets the runner's data channels send whole elements only; any number of calls are as good as one."""
    setattr(worker_handlers, _TIME_LIMIT, 0)


def _at_once(infos: Iterable[Any]) -> list[Any]:
    return list(_lazily(infos))
