"""Waits for a job on Dataflow, and reports its changes of state, its warnings and its errors, and how it ended."""

import time
from collections.abc import Callable
from typing import Any

from google.cloud.dataflow_v1beta3 import types

from pipeline.dataflow.client import Dataflow, State
from pipeline.errors import CommandError

# States that a job never leaves. Source: Dataflow API v1b3, `JobState` (google-cloud-dataflow-client 0.13.0).
FINAL_STATES = frozenset(
    {
        State.JOB_STATE_DONE,
        State.JOB_STATE_FAILED,
        State.JOB_STATE_CANCELLED,
        State.JOB_STATE_UPDATED,
        State.JOB_STATE_DRAINED,
    }
)
# What is waited for.
JOB_RUNNING = State(State.JOB_STATE_RUNNING)
JOB_DONE = State(State.JOB_STATE_DONE)
JOB_DRAINED = State(State.JOB_STATE_DRAINED)
# A job's state changes within seconds at its start, and rarely later.
_FIRST_PAUSE_SECS = 1.0
_LONGEST_PAUSE_SECS = 15.0
_SHOWN_CHARACTERS = 500


def wait_for_state(
    dataflow: Dataflow,
    job: types.Job,
    wanted: State,
    report: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> types.Job:
    """Returns the job once it is in a state, or in one that it never leaves.

    Args:
      dataflow: of the job.
      job: as it was started or found.
      wanted: the state to wait for.
      report: takes lines: changes of state, and job messages of level WARNING or above, each once.
      pause: sleeps for some seconds.

    Raises:
      CommandError: it cannot be looked at, or the person at the command line does not want to wait any longer.
    """
    seen: set[str] = set()
    state, since, pause_secs = State.JOB_STATE_UNKNOWN, None, _FIRST_PAUSE_SECS
    try:
        while True:
            now = dataflow.get(job.id)
            # After the state was read: of a job that has ended, all messages are reported.
            since = _report_messages(dataflow, job.id, since, seen, report)
            if now.current_state != state:
                state = State(now.current_state)
                report(f"{now.name}: {state_name(state)}")
                pause_secs = _FIRST_PAUSE_SECS
            if state == wanted or state in FINAL_STATES:
                return now
            pause(pause_secs)
            pause_secs = min(pause_secs * 1.5, _LONGEST_PAUSE_SECS)
    except KeyboardInterrupt:
        raise CommandError(
            f"stopped waiting; job {job.id} goes on. Its page: {dataflow.shown(job).console_url}"
        ) from None


def state_name(state: State) -> str:
    """Returns the name of a state for people.

    >>> state_name(State.JOB_STATE_RESOURCE_CLEANING_UP)
    'resource cleaning up'
    """
    name: str = state.name
    return name.removeprefix("JOB_STATE_").replace("_", " ").lower()


def _report_messages(dataflow: Dataflow, job_id: str, since: Any, seen: set[str], report: Callable[[str], None]) -> Any:
    """Reports the messages that are not reported yet; returns the time of the newest."""
    for message in dataflow.messages(job_id, since):
        since = message.time if since is None or message.time > since else since
        if message.id in seen:
            continue
        seen.add(message.id)
        level = types.JobMessageImportance(message.message_importance).name.removeprefix("JOB_MESSAGE_").lower()
        report(f"{level}: {' '.join(message.message_text.split())[:_SHOWN_CHARACTERS]}")
    return since
