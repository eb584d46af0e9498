"""What earlier runs have recorded, and the right to record.

In: a folder that runs have written. Out: what is delivered, whether counts agree, manifests; one run at a time.
"""

from pipeline.ledger.delivered import (
    LoadSettled,
    build_bytes,
    columns_of,
    epoch_ms,
    ledger_files,
    listed,
    listed_files,
    opened,
    relevant,
    statistics,
)
from pipeline.ledger.join import JoinLedger, settled
from pipeline.ledger.reconcile import DayCount, Reconciliation, RunCheck, reconcile_ledger
from pipeline.ledger.replay_filter import letter_filter
from pipeline.ledger.run_journal import described_journal, keep_journal
from pipeline.ledger.run_summary import Cost, DryRun, OutcomeCount, Summary

__all__ = [
    "Cost",
    "DayCount",
    "DryRun",
    "JoinLedger",
    "LoadSettled",
    "OutcomeCount",
    "Reconciliation",
    "RunCheck",
    "Summary",
    "build_bytes",
    "columns_of",
    "described_journal",
    "epoch_ms",
    "keep_journal",
    "ledger_files",
    "letter_filter",
    "listed",
    "listed_files",
    "opened",
    "reconcile_ledger",
    "relevant",
    "settled",
    "statistics",
]
