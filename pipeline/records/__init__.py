"""Outcomes on their way out.

In: outcomes. Out: rows of the ledger, dead letters, quarantine and topic; then the acknowledgement of their messages.
"""

from pipeline.records.acknowledge import AcknowledgeMessages, RegisterUnits, Settlement
from pipeline.records.dead_letter_rows import DEAD_LETTER_SCHEMA, QUARANTINE_SCHEMA
from pipeline.records.ledger_rows import LEDGER_SCHEMA
from pipeline.records.parquet_files import AHEAD_SUFFIX, file_prefix
from pipeline.records.record_outcomes import RecordOutcomes, Records

__all__ = [
    "AHEAD_SUFFIX",
    "AcknowledgeMessages",
    "DEAD_LETTER_SCHEMA",
    "LEDGER_SCHEMA",
    "QUARANTINE_SCHEMA",
    "RecordOutcomes",
    "Records",
    "Settlement",
    "RegisterUnits",
    "file_prefix",
]
