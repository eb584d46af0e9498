"""Command lines of the commands that start or describe jobs.

In: words. Out: options as typed values, or an error that names the flag.
"""

from pipeline.arguments.connection_flags import checked_connection, read_and_warn, settings
from pipeline.arguments.flag_groups import (
    INPUTS,
    add_layout_flags,
    add_recording_window_flags,
    add_shared_flags,
    add_verbose_flag,
    add_window_flags,
    window,
)
from pipeline.arguments.flag_types import number_above_zero, whole_number
from pipeline.arguments.parser import StrictParser, SwitchText
from pipeline.arguments.replay import parse_replay, replay_parser
from pipeline.arguments.run import parse_run, run_parser
from pipeline.arguments.stream_flags import FILE_FLAGS

__all__ = [
    "FILE_FLAGS",
    "INPUTS",
    "StrictParser",
    "SwitchText",
    "add_layout_flags",
    "add_recording_window_flags",
    "add_shared_flags",
    "add_verbose_flag",
    "add_window_flags",
    "checked_connection",
    "number_above_zero",
    "parse_replay",
    "parse_run",
    "read_and_warn",
    "replay_parser",
    "run_parser",
    "settings",
    "whole_number",
    "window",
]
