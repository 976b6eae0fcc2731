"""Batches: the lines of one `file_stream` request, addressed by their line numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backhaul.runs.identity import RunIdentity
from backhaul.runs.rows import Rows
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.checkpoint import Captures, Checkpoint
from backhaul.sync.console_text import ConsoleText
from backhaul.wandblog import LogReader

# The official client fills a request to 10 MiB of lines; smaller ones lose less when a connection breaks.
BATCH_BYTES = 6 << 20
_FEW = 300


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive lines per stream. `first` and `lines` count within the fragment, not on the server.

    `position` is the byte of the log up to which it has been read; `is_last` says that this is its end. No line before
    `checkpoint` comes after this batch.
    """

    first: Mapping[Stream, int]
    lines: Mapping[Stream, list[str]]
    position: int = 0
    is_last: bool = False
    checkpoint: Checkpoint | None = None

    @property
    def next(self) -> dict[Stream, int]:
        """Per stream the number of the line after this batch: what is acknowledged once the batch is."""
        return {stream: self.first[stream] + len(self.lines[stream]) for stream in NUMBERED}

    @property
    def count(self) -> int:
        """Lines in all streams."""
        return sum(map(len, self.lines.values()))

    @property
    def is_short(self) -> bool:
        """Whether these are few lines, none of them long."""
        return self.count <= _FEW and all(len(line) <= _FEW for lines in self.lines.values() for line in lines)

    def without(self, acknowledged: Mapping[Stream, int]) -> Batch:
        """The batch without the lines that the destination has."""
        first, lines = {}, {}
        for stream in NUMBERED:
            known = min(max(0, acknowledged[stream] - self.first[stream]), len(self.lines[stream]))
            first[stream] = self.first[stream] + known
            lines[stream] = self.lines[stream][known:] if known else self.lines[stream]
        return Batch(first, lines, self.position)

    def numbered(self) -> Iterator[tuple[Stream, int, str]]:
        """Each line with its stream and its number in the fragment."""
        for stream in NUMBERED:
            for number, line in enumerate(self.lines[stream], self.first[stream]):
                yield stream, number, line

    def line(self, stream: Stream, number: int) -> Batch | None:
        """A batch of the one line of that number; None when it is not in here."""
        index = number - self.first[stream]
        if not 0 <= index < len(self.lines[stream]):
            return None
        lines: dict[Stream, list[str]] = {each: [] for each in NUMBERED}
        return Batch(
            {**self.first, stream: number}, lines | {stream: [self.lines[stream][index]]}, position=self.position
        )

    def halves(self) -> tuple[Batch, Batch]:
        """Two batches that are this one together, with half of the lines each; stream after stream."""
        left = self.count // 2
        cuts = {}
        for stream in NUMBERED:
            cuts[stream] = min(left, len(self.lines[stream]))
            left -= cuts[stream]
        first = {stream: self.lines[stream][: cuts[stream]] for stream in NUMBERED}
        return Batch(self.first, first, self.position), self.without(
            {stream: self.first[stream] + cuts[stream] for stream in NUMBERED}
        )

    def replaced(self, line: str) -> Batch:
        """The same with `line` in the place of the only one."""
        lines = {stream: [line] if self.lines[stream] else [] for stream in NUMBERED}
        return Batch(self.first, lines, self.position)

    def files(self, base: Mapping[Stream, int]) -> dict[str, Any]:
        """The `files` of a request; `base` is the number on the server of the fragment's line 0."""
        return {
            str(stream): {"offset": base[stream] + self.first[stream], "content": self.lines[stream]}
            for stream in NUMBERED
            if self.lines[stream]
        }

    def body(self, base: Mapping[Stream, int]) -> bytes:
        """The body of a request with these lines alone."""
        return _json({"files": self.files(base)})


@dataclass(slots=True)
class BatchMaker:
    """Reads one log from its start, or from a checkpoint, and cuts its lines into batches.

    A pure function of the log: made again, in any process, the same lines have the same numbers; only where one batch
    ends and the next begins is free. `console_text` receives the plain text of the console (the content of
    `output.log`); that before `start` is in it already, and the first batch has the last row before `start` once more.
    `recording` says that the log goes on: console lines that may still change are then held back. With `captures`
    checkpoints are taken. After the last batch `rows` and `reader` tell the rest.
    """

    log: Path
    identity: RunIdentity
    structured: bool
    starting_step: int
    console_text: ConsoleText
    batch_bytes: int = BATCH_BYTES
    recording: bool = False
    start: Checkpoint | None = None
    captures: Captures | None = None
    rows: Rows = field(init=False)
    reader: LogReader = field(init=False)
    _batches: Iterator[Batch] = field(init=False)
    _position: int = 0

    def __post_init__(self) -> None:
        self.rows = Rows(self.identity, structured_console=self.structured, starting_step=self.starting_step)
        reader = None
        if self.start is not None:
            reader, rows = self.start.states()
            self.rows.restore(rows)
        watch = None if self.captures is None else self.captures.log.take
        self.reader = LogReader(self.log, reader, watch)
        self._batches = self._cut()

    def next(self) -> Batch | None:
        """The next batch, or None after the last. Raises what LogReader raises."""
        return next(self._batches, None)

    def _cut(self) -> Iterator[Batch]:
        rows = self.rows
        for window in self.reader.windows():
            for records in window:
                rows.take(records)
                self._position = records.offsets[-1]
            self._take_text()
            if self.captures is not None:
                self.captures.look(self.reader, rows, self.console_text.size)
            if rows.size >= self.batch_bytes:
                yield self._take()
        rows.finish(recording=self.recording)
        self._take_text()
        yield self._take(is_last=True)

    def _take_text(self) -> None:
        if self.rows.output_text:
            self.console_text.write("\n".join([*self.rows.output_text, ""]).encode())
            self.rows.output_text.clear()

    def _take(self, *, is_last: bool = False) -> Batch:
        taken = {stream: pending.take() for stream, pending in self.rows.pending.items()}
        return Batch(
            {stream: first for stream, (first, _) in taken.items()},
            {stream: lines for stream, (_, lines) in taken.items()},
            self._position,
            is_last,
            None if self.captures is None else self.captures.newest,
        )


@dataclass(frozen=True, slots=True)
class End:
    """How a run ends: the files that are there, the exit code (None: it goes on), whether it was preempted, summary."""

    uploaded: Sequence[str]
    exit_code: int | None
    preempting: bool
    summary: str | None

    def body(self, files: Mapping[str, Any]) -> bytes:
        """The body of a request that says so, after these last lines."""
        body: dict[str, object] = {}
        files = {**files, **self._summary()}
        if files:
            body["files"] = files
        if self.uploaded:
            body["uploaded"] = self.uploaded
        if self.preempting:
            body["preempting"] = True
        if self.exit_code is not None:
            body |= {"complete": True, "exitcode": self.exit_code}
        return _json(body)

    def _summary(self) -> dict[str, Any]:
        return {} if self.summary is None else {str(Stream.SUMMARY): {"offset": 0, "content": [self.summary]}}


def _json(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
