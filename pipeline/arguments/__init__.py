"""Command lines of the commands that start or describe jobs.

In: words. Out: options as typed values, or an error that names the flag.
"""

from pipeline.arguments.flag_groups import (
    INPUTS,
    OF_FILES,
    add_layout_flags,
    add_shared_flags,
    add_window_flags,
    layout_name,
    read,
    read_and_warn,
    rows_wanted,
    window,
)
from pipeline.arguments.parser import StrictParser, Switch, settings
from pipeline.arguments.replay import parse_replay, replay_parser
from pipeline.arguments.run import parse_run, run_parser

__all__ = [
    "INPUTS",
    "OF_FILES",
    "StrictParser",
    "Switch",
    "add_layout_flags",
    "add_shared_flags",
    "add_window_flags",
    "layout_name",
    "parse_replay",
    "parse_run",
    "read",
    "read_and_warn",
    "replay_parser",
    "rows_wanted",
    "run_parser",
    "settings",
    "window",
]
