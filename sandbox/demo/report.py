"""What the demo shows at its end: the run's summary as tables, and whether ledger and stand-in agree with it.

In go the summary that `run` has written, the ledger, and what the sandbox holds; out come tables for rich and a list of
checks.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

# In the order in which a person reads them.
KINDS = ("delivered", "skipped", "rejected", "undelivered", "unknown")
_STYLES = {"delivered": "green", "rejected": "yellow", "undelivered": "red", "unknown": "red"}
# Match keys as the summary names them, and the heading of each.
_MATCH_KEYS = {
    "email": "e-mail",
    "phone": "phone",
    "external_id": "ext. id",
    "click_id": "click id",
    "ttp": "ttp",
    "ip_and_user_agent": "ip+ua",
}


class Ledger(NamedTuple):
    """What the ledger holds.

    Attributes:
      rows: one for each outcome.
      kinds: rows of each kind.
      keys: event_source_id, event and event_id of the delivered rows.
      events: delivered rows of each TikTok event.
    """

    rows: int
    kinds: dict[str, int]
    keys: frozenset[tuple[str, str, str]]
    events: dict[str, int]


class Holding(NamedTuple):
    """What the sandbox counts.

    Attributes:
      keys: event_source_id, event and event_id of all that it accepted.
      accepted: events that count; as many as keys, unless a copy came after the deduplication window.
      duplicates: copies that it dropped.
    """

    keys: frozenset[tuple[str, str, str]]
    accepted: int
    duplicates: int


class Check(NamedTuple):
    """One comparison: two counts that have to be equal, and what each of them is."""

    left: str
    left_count: int
    right: str
    right_count: int

    @property
    def holds(self) -> bool:
        """Returns whether the two are equal."""
        return self.left_count == self.right_count


def read_ledger(folder: Path) -> Ledger:
    """Returns the counts of a ledger that one run has written."""
    columns = ["kind", "event_source_id", "event", "event_id"]
    dataset = ds.dataset(folder, format="parquet", partitioning="hive")
    # Files hold some columns as dictionaries; as plain text they can be grouped together.
    table = dataset.to_table(columns=columns).cast(pa.schema([(name, pa.string()) for name in columns]))
    delivered = table.filter(pc.equal(table["kind"], "delivered"))
    return Ledger(
        rows=table.num_rows,
        kinds=_counts(table["kind"]),
        keys=frozenset(zip(*(delivered[name].to_pylist() for name in columns[1:]), strict=True)),
        events=_counts(delivered["event"]),
    )


def checks(summary: dict[str, Any], ledger: Ledger, holding: Holding) -> list[Check]:
    """Returns every comparison of the run, its ledger and the sandbox."""
    counts = kind_counts(summary)
    both = len(ledger.keys & holding.keys)
    return [
        Check("events in", summary["events"], "outcomes", sum(counts.values())),
        Check("outcomes", sum(counts.values()), "ledger rows", ledger.rows),
        *(Check(kind, counts[kind], f"{kind} in the ledger", ledger.kinds.get(kind, 0)) for kind in KINDS),
        Check("different events delivered", len(ledger.keys), "of these at the stand-in", both),
        Check("different events at the stand-in", len(holding.keys), "of these delivered by the ledger", both),
        Check("delivered", counts["delivered"], "accepted + repeats dropped", holding.accepted + holding.duplicates),
    ]


def kind_counts(summary: dict[str, Any]) -> dict[str, int]:
    """Returns how many outcomes of each kind there are, zeros included."""
    counts = dict.fromkeys(KINDS, 0)
    for row in summary["outcomes"]:
        counts[row["kind"]] += row["count"]
    return counts


def run_table(summary: dict[str, Any], console: Console) -> RenderableType:
    """Returns the run as a whole: units, requests, speed."""
    seconds = summary["seconds"]
    table = empty_table(console, "The run")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row("messages in", f"{summary['messages']:,}")
    table.add_row("events in", f"{summary['events']:,}")
    table.add_row("requests to TikTok's stand-in", f"{summary['requests']:,}")
    table.add_row("retries", f"{summary['retries']:,}")
    table.add_row("seconds", f"{seconds:,.1f}")
    table.add_row("events per second", f"{summary['events'] / seconds:,.0f}" if seconds else "-")
    table.show_header = False
    return table


def outcome_table(summary: dict[str, Any], console: Console) -> RenderableType:
    """Returns the outcomes by kind, and within a kind by reason, the most frequent first."""
    table = empty_table(console, "Outcomes")
    table.add_column("outcome")
    table.add_column("reason")
    table.add_column("events", justify="right")
    table.add_column("share", justify="right")
    events = summary["events"] or 1
    counts = kind_counts(summary)
    for kind in KINDS:
        table.add_row(kind, "", f"{counts[kind]:,}", f"{counts[kind] / events:.1%}", style=_STYLES.get(kind))
        rows = [row for row in summary["outcomes"] if row["kind"] == kind and row["reason"]]
        for row in sorted(rows, key=lambda row: -row["count"]):
            table.add_row("", row["reason"], f"{row['count']:,}", f"{row['count'] / events:.1%}", style="dim")
    return table


def coverage_table(summary: dict[str, Any], ledger: Ledger, console: Console) -> RenderableType:
    """Returns the share of payloads that carry each match key, for each TikTok event."""
    table = empty_table(console, "Match keys: share of the events sent that carry each")
    table.add_column("TikTok event", no_wrap=True)
    table.add_column("delivered", justify="right")
    for heading in _MATCH_KEYS.values():
        table.add_column(heading, justify="right")
    for event, shares in sorted(summary["coverage"].items(), key=lambda item: -ledger.events.get(item[0], 0)):
        cells = (f"{shares.get(key, 0):.0%}" for key in _MATCH_KEYS)
        table.add_row(event, f"{ledger.events.get(event, 0):,}", *cells)
    return table


def verdict(found: list[Check], holding: Holding, console: Console) -> bool:
    """Prints one line, whether everything adds up, and below it what does not.

    Args:
      found: what `checks` has returned.
      holding: what the sandbox holds.
      console: where to.

    Returns:
      True if every comparison holds.
    """
    wrong = [check for check in found if not check.holds]
    if wrong:
        console.print("The counts do NOT add up:", style="bold red")
        for check in wrong:
            console.print(f"  {check.left}: {check.left_count:,}; {check.right}: {check.right_count:,}")
        return False
    console.print(
        f"[bold green]The counts add up:[/] {found[0].left_count:,} events in = {found[0].right_count:,} outcomes, "
        f"{found[-1].left_count:,} delivered = {holding.accepted:,} held by the stand-in + {holding.duplicates:,} "
        "repeats that it dropped."
    )
    return True


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist()}


def empty_table(console: Console, title: str) -> Table:
    """Returns an empty table: ruled on a terminal, columns of plain text elsewhere."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD if console.is_terminal else None,
        show_edge=False,
        pad_edge=False,
    )
