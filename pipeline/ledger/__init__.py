"""What earlier runs have recorded, and the right to record.

In: a folder that runs have written. Out: what is delivered, whether counts agree, manifests; one run at a time.
"""

from pipeline.ledger.delivered import LoadDeliveryHistory, find_parts, ledger_files, table_bytes
from pipeline.ledger.files import (
    ROW_FILES,
    epoch_ms,
    list_files,
    list_paths,
    open_parquet,
    row_group_ranges,
    select_columns,
)
from pipeline.ledger.join import JoinLedger, history_from_matches
from pipeline.ledger.reconcile import DayCount, Reconciliation, RunCheck, reconcile_ledger
from pipeline.ledger.replay_filter import dead_letter_filter
from pipeline.ledger.run_journal import described_journal, keep_journal
from pipeline.ledger.run_summary import Cost, DryRun, OutcomeCount, Summary

__all__ = [
    "Cost",
    "DayCount",
    "DryRun",
    "JoinLedger",
    "LoadDeliveryHistory",
    "OutcomeCount",
    "ROW_FILES",
    "Reconciliation",
    "RunCheck",
    "Summary",
    "dead_letter_filter",
    "described_journal",
    "epoch_ms",
    "find_parts",
    "keep_journal",
    "ledger_files",
    "list_files",
    "list_paths",
    "open_parquet",
    "reconcile_ledger",
    "row_group_ranges",
    "select_columns",
    "history_from_matches",
    "table_bytes",
]
