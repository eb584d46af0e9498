"""The readable form of `preview`: a paragraph for each event, with the reason's remedy and what each note means."""

import textwrap
from collections import Counter
from typing import TextIO

import msgspec

from pipeline.authoring import ExplainedPreview, Explanation, Preview
from pipeline.cli.console import coloured, has_colours
from transforms.model import Outcome, Payload

_COLOURS = {"send": "32", "skipped": "33", "rejected": "31"}
_WIDTH = 100
_INDENT = "    "


class Paragraphs:
    """Writes previews for people; colours on a terminal only."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colours = has_colours(stream)
        self._counts: Counter[str] = Counter()
        self._message: int | None = None

    def write(self, ref: str, preview: Preview, result: Payload | Outcome) -> None:
        """Writes one paragraph, under its message's heading."""
        if preview.message != self._message:
            self._message = preview.message
            self._line(self._bold(f"message {preview.message}  {ref}"))
        self._counts[preview.action] += 1
        unit = "the whole message" if preview.event is None else f"event {preview.event}"
        action = coloured(preview.action, _COLOURS.get(preview.action, "0"), enabled=self._colours)
        self._line(f"  {unit}: {action} {self._headline(preview, result)}".rstrip())
        if preview.reason is not None:
            self._wrapped(preview.reason.remedy)
        for note in preview.notes:
            self._wrapped(f"{note}: {note.meaning}")
        if preview.body is not None:
            body = msgspec.json.format(bytes(preview.body), indent=2).decode()
            self._line(textwrap.indent(body, _INDENT))
        if isinstance(preview, ExplainedPreview):
            self._explain(preview.explanation)
        self._line("")

    def close(self) -> None:
        """Writes the totals."""
        counts = [f"{count:,} {action}" for action, count in self._counts.items()]
        self._line(self._bold(", ".join(counts) or "no messages"))
        self._stream.flush()

    def _headline(self, preview: Preview, result: Payload | Outcome) -> str:
        if isinstance(result, Payload):
            return f"{self._bold(result.event)} to {preview.path} ({result.form}), event_id {result.event_id}"
        known = [word for word in (result.event, result.detail, result.message) if word]
        return f"{preview.reason}" + (f" ({', '.join(known)})" if known else "")

    def _explain(self, explanation: Explanation) -> None:
        """Writes which mappings matched and which did not, and where each field comes from."""
        for trace in explanation.mappings:
            if not trace.matched:
                self._wrapped(
                    f"- {trace.mapping}: does not match, because this does not hold: {'; '.join(trace.failed)}"
                )
                continue
            self._wrapped(f"+ {trace.mapping}: matches")
            for event in trace.events:
                self._line(f"{_INDENT}  {event.event}: {event.result}")
                for one in event.parameters:
                    self._line(f"{_INDENT}    {one.parameter} <- {one.source}: {one.result}")
        if explanation.others:
            self._wrapped(f"{explanation.others} custom mapping(s) are for other types of events")
        width = max(map(len, explanation.fields), default=0)
        for path, source in explanation.fields.items():
            self._line(f"{_INDENT}{path:<{width}}  <- {source}")

    def _wrapped(self, text: str) -> None:
        self._line(
            textwrap.fill(text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_long_words=False)
        )

    def _bold(self, text: str) -> str:
        return coloured(text, "1", enabled=self._colours)

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")
