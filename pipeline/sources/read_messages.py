"""ReadMessages: files in, messages out; the only step that knows where bounded input comes from.

    patterns → FindFiles → DivideFiles → ReadFiles → messages
                                             └─────→ outcomes of what cannot be read

Why no splittable DoFn: on Beam's local runner all steps from here to the record of outcomes are one fused stage, a
stateful step included, and messages pass through it one list at a time; memory stays flat because nothing is ever
collected. A splittable DoFn would gain nothing there (what follows a stage boundary waits for the whole input whether
or not bundles end early), and in Beam 2.77 it cannot yield lists. On distributed runners the parts of files are
shared out by the two reshuffles, which carry names only.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PBegin, TaggedOutput
from apache_beam.typehints.decorators import IOTypeHints

from pipeline.runtime import (
    FILES,
    OF_PROGRESS,
    PARTS,
    PROGRESS,
    PRUNED_BYTES,
    PRUNED_FILES,
    ROWS,
    ReadReport,
    is_stopping,
)
from pipeline.sources.layouts import Layout
from pipeline.sources.partitions import Partitions, TimeWindow
from pipeline.sources.reader import FilePart, divide, read
from pipeline.storage import FileInfo, UnreadableFileError, expand_patterns
from transforms.counters import NAMESPACE, UNITS
from transforms.model import Message, Outcome
from transforms.outcomes import BeamCounters
from transforms.step_fn import OUTCOMES
from transforms.vocabulary import Reason

_log = logging.getLogger(__name__)


class ReadResult(NamedTuple):
    """What `ReadMessages` returns.

    Attributes:
      messages: one `Message` for each row or line.
      outcomes: one `Outcome` for each file that cannot be read to its end, and for each line that is too long.
    """

    messages: beam.PCollection
    outcomes: beam.PCollection


@dataclass
class ReadMessages(beam.PTransform):
    """Files of mParticle batches → messages: Parquet, lines of JSON, lines of JSON in gzip.

        read = pipeline | ReadMessages(["gs://bucket/2024-06-*/*.txt.gz"])
        outcomes = forward(read.messages, connection)

    Output: bounded, global window, lists of some hundred for steps that take lists. The reference of a message is
    `PATH#ROW`, with the row or line counted from 0 in its file, so that it is the same in every run.

    A file that cannot be read does not stop the others: what is readable before the damage goes its way, and the rest
    is one outcome (`rejected`, `unreadable_file`). Only a large Parquet file that several workers share can have more
    than one, each for its own rows. A pattern that matches nothing fails the run; call `expand_patterns` before.

    Attributes:
      patterns: paths, folders or globs; see `expand_patterns`.
      layout: how Parquet rows hold batches, or `auto`.
      column: the Parquet column of JSON text, if it is none of the known names.
      strict_files: fail the run at the first file that cannot be read.
      window: row groups of Parquet files whose statistics exclude it are left out; single events are not.
      partitions: which folders are read; None: all.
      counted: count what is read; False for a second reading of the same input.
    """

    patterns: list[str]
    layout: Layout | str = Layout.AUTO
    column: str | None = None
    strict_files: bool = False
    window: TimeWindow = TimeWindow()
    partitions: Partitions | None = None
    counted: bool = True

    def __post_init__(self) -> None:
        if not self.patterns:
            raise ValueError("patterns is empty: name at least one path, folder or glob (--input)")
        if self.layout not in set(Layout):
            raise ValueError(f"layout {self.layout!r} is unknown (--layout); known: {', '.join(Layout)}")

    def default_type_hints(self) -> IOTypeHints:
        """Returns none: Beam would log a warning about a named tuple of collections. The outputs carry their types."""
        return IOTypeHints.empty()

    def expand(self, begin: PBegin) -> ReadResult:
        """Returns the messages and the outcomes."""
        parts = (
            begin
            | "Start" >> beam.Impulse()
            | "FindFiles" >> beam.ParDo(_FindFn(tuple(self.patterns), self.partitions, self.counted))
            | "ShareFiles" >> beam.Reshuffle()
            | "DivideFiles" >> beam.ParDo(_DivideFn())
            | "ShareParts" >> beam.Reshuffle()
        )
        results = parts | "ReadFiles" >> beam.ParDo(
            _ReadFn(Layout(self.layout), self.column, self.strict_files, self.window, self.counted)
        ).with_outputs(OUTCOMES, main="messages")
        results[OUTCOMES].element_type = Outcome
        return ReadResult(results.messages, results[OUTCOMES])


class _FindFn(beam.DoFn):
    """One start → all files that may hold events of the window, each once."""

    def __init__(self, patterns: tuple[str, ...], partitions: Partitions | None, counted: bool) -> None:
        self._patterns = patterns
        self._partitions = partitions
        self._counted = counted
        self._pruned_files = Metrics.counter(NAMESPACE, PRUNED_FILES)
        self._pruned_bytes = Metrics.counter(NAMESPACE, PRUNED_BYTES)

    def process(self, _: bytes) -> Iterator[FileInfo]:
        files = expand_patterns(self._patterns)
        if self._partitions is not None:
            files, pruned = self._partitions.divide(files)
            if self._counted:
                self._pruned_files.inc(len(pruned))
                self._pruned_bytes.inc(sum(file.size for file in pruned))
        yield from files


class _DivideFn(beam.DoFn):
    """File → parts that one worker reads at a time."""

    def process(self, file: FileInfo) -> Iterator[FilePart]:
        yield from divide(file)


class _ReadFn(beam.DoFn):
    """Part of a file → lists of messages."""

    def __init__(self, layout: Layout, column: str | None, strict: bool, window: TimeWindow, counted: bool) -> None:
        self._options = (layout, column, window)
        self._strict = strict
        self._counted = counted
        self._units = Metrics.counter(NAMESPACE, UNITS)

    def setup(self) -> None:
        self._counters = BeamCounters()

    @beam.DoFn.yields_batches
    def process(self, part: FilePart) -> Iterator[list[Message]]:
        report = ReadReport()
        for item in read(part, *self._options, report):
            if is_stopping():
                # What was read so far goes its way, the rest is left for another run. No `return`: Beam would warn.
                break
            if isinstance(item, list):
                report.add(ROWS, len(item))
                self._count(report)
                yield item
            elif self._strict and item.reason is Reason.UNREADABLE_FILE:
                raise UnreadableFileError(f"{item.ref} cannot be read: {item.message}")
            else:
                if self._counted:
                    self._units.inc()
                    _log.warning("%s: %s", item.ref, item.message)
                yield TaggedOutput(OUTCOMES, [item])
        else:
            report.add(PARTS)
            if part.first_row == 0 and (part.row_groups is None or part.row_groups[0] == 0):
                report.add(FILES)
            self._count(report)

    def _count(self, report: ReadReport) -> None:
        counts = report.take()
        if not self._counted:
            return
        PROGRESS.add_read(counts)
        self._counters.increment({name: count for name, count in counts.items() if name not in OF_PROGRESS})

    def infer_output_type(self, input_type: type) -> type[Message]:
        """Returns the type of what the lists hold; Beam would take it for unknown."""
        return Message
