"""Checkpoints: what reading a log has come to at one place, so that a later sync can go on from there.

Lines are a function of all records before them, so a sync that was cut would have to read its log from byte 0 to send
the rest. A checkpoint is the state of reader and rows between two records, a function of the bytes that were looked at
to get there; it goes by their SHA-256. It can make a sync fast and never different: whatever does not fit is passed
over, and the log read from its beginning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from backhaul.runs.rows import Rows
from backhaul.runs.stream import NUMBERED, Stream
from backhaul.sync.log_digest import LogDigest
from backhaul.sync.progress import Progress
from backhaul.wandblog import LogReader
from backhaul.wandblog.state import State

# The next one is taken when so much more of the log was read, and so many times what the last one takes.
LEAST_BYTES_BETWEEN = 4 << 20
_TIMES_ITS_SIZE = 4


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of reading a log that begins with the bytes of which `log` is the digest.

    `run_id` and `starting_step` are what the rows were made with; `lines` come before it in each stream, and `console`
    bytes of plain console text. `content` has the states of reader and rows, as JSON.
    """

    log: LogDigest
    run_id: str
    starting_step: int
    lines: Mapping[Stream, int]
    console: int
    content: bytes

    def states(self) -> tuple[State, State]:
        """The states of reader and rows. Raises what `NOT_A_STATE` lists."""
        content = json.loads(self.content)
        return content["reader"], content["rows"]


def may_have_one(log_size: int) -> bool:
    """Whether a log of so many bytes is long enough for a checkpoint."""
    return log_size >= LEAST_BYTES_BETWEEN


def is_acknowledged(lines: Mapping[Stream, int], starting_step: int, progress: Progress) -> bool:
    """Whether the destination has all lines before a checkpoint, under the steps that they have there.

    Where a stand-in is in the place of one of them, that line has to be made again: it is tried once more.
    """
    return (
        starting_step == progress.starting_step
        and all(lines[stream] <= progress.lines[stream] for stream in NUMBERED)
        and all(number >= lines[stream] for stream, number in progress.refused)
    )


@dataclass(slots=True)
class Captures:
    """Takes checkpoints while a log is read; `newest` is the latest one. `log` is the digest of what was read.

    The longer they are the less often, so that they cost little beside reading.
    """

    run_id: str
    starting_step: int
    log: LogDigest
    newest: Checkpoint | None = None
    _due_at: int = field(init=False)

    def __post_init__(self) -> None:
        self._due_at = self.log.size + LEAST_BYTES_BETWEEN

    def look(self, reader: LogReader, rows: Rows, console: int) -> None:
        """Take one if it is time; the reader is between two windows, and `console` bytes of text were made."""
        if self.log.size < self._due_at or (state := reader.state()) is None:
            return
        lines = {stream: rows.pending[stream].next for stream in NUMBERED}
        try:
            content = json.dumps({"reader": state, "rows": rows.state()}, separators=(",", ":")).encode()
        except RecursionError:
            # Values nested so deep that they can be carried, and not be taken apart.
            return
        self.newest = Checkpoint(self.log.copy(), self.run_id, self.starting_step, lines, console, content)
        self._due_at = self.log.size + max(LEAST_BYTES_BETWEEN, _TIMES_ITS_SIZE * len(content))
