"""A first reading of the log: what it holds, what is damaged, and what has to be put elsewhere in a new one."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from backhaul.repair.acceptance import reason_to_leave_out
from backhaul.runs.reading import Condition
from backhaul.wandblog import LogEnd, LogReader, LogRecord

SECOND_EXIT = "second exit record: `wandb sync` stops at it"
OTHER_RUN = "record of another run, which was written into the same file"
_NOTHING = Condition(LogEnd.EMPTY, damage=(), losses=(), lost=0, notes=())


@dataclass(slots=True)
class Survey:
    """What one reading of a log found; offsets are bytes from the file's start.

    `header`, `run` and `exit` are the first record of each kind.
    """

    kept: int = 0
    header: LogRecord | None = None
    run: LogRecord | None = None
    exit: LogRecord | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    condition: Condition = _NOTHING
    last_number: int = 0
    has_summary: bool = False
    last_history: bytes | None = None
    last_stats: LogRecord | None = None

    @property
    def lacks_summary(self) -> bool:
        """Whether the Python engine was killed before it wrote the one summary record, which is its last but two."""
        signed = self.header is not None and bool(self.header.content.version_info.producer)
        alone = OTHER_RUN not in self.left_out
        return alone and not signed and not self.has_summary and self.last_history is not None

    @property
    def content(self) -> int:
        """Readable records besides the header."""
        return self.kept - (self.header is not None)


def judged(reader: LogReader, until: int | None = None) -> Iterator[tuple[LogRecord, str | None]]:
    """The records of a log in file order, each with the reason to leave it out of a new one, or None.

    The first exit record is kept, wherever it stands. Reading ends before offset `until`.
    """
    run_id, exits = None, 0
    records = iter(reader)
    for record in records:
        if until is not None and record.offset >= until:
            return
        if record.kind == "run":
            run_id = run_id or record.content.run_id
            if record.content.run_id != run_id:
                yield from ((other, OTHER_RUN) for other in itertools.chain((record,), records))
                return
        exits += record.kind == "exit"
        repeated = record.kind == "exit" and exits > 1
        yield record, SECOND_EXIT if repeated else reason_to_leave_out(record.data)


def survey(log: Path, until: int | None = None) -> Survey:
    """Read `log` from end to end, or up to offset `until`, in constant memory. Raises what LogReader raises."""
    found = Survey()
    reader = LogReader(log)
    for record, reason in judged(reader, until):
        if reason is None:
            found.kept += 1
            found.last_number = max(found.last_number, record.number)
            _note(found, record)
        else:
            found.left_out[reason] += 1
    found.condition = Condition.of(reader)
    return found


def _note(found: Survey, record: LogRecord) -> None:
    match record.kind:
        case "header":
            found.header = found.header or record
        case "run":
            found.run = found.run or record
        case "exit":
            found.exit = found.exit or record
        case "summary":
            found.has_summary = True
        case "history":
            found.last_history = record.content
        case "stats":
            found.last_stats = record
