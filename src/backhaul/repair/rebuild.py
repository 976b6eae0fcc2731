"""The records of the new log, in the order in which the official client replays them without loss.

That order is the log's own with three exceptions. The header comes first, then the first run record, because nothing
can be sent before it. The exit record comes last: the Python engine (to SDK 0.17) wrote the summary after it, and
`wandb sync` 0.31 silently drops what it finds there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backhaul.repair.metadata import mend_run
from backhaul.repair.survey import Survey, judged
from backhaul.wandblog import LogReader


@dataclass(frozen=True, slots=True)
class Parts:
    """What is not taken from the log as it is: a run record and a summary to add, and a list for what was mended.

    `mended` None leaves run records as they are.
    """

    run: bytes | None = None
    summary: bytes | None = None
    mended: list[str] | None = None


def rebuilt(log: Path, found: Survey, parts: Parts, *, until: int | None = None) -> Iterator[bytes]:
    """The bytes of each record of the new log. `found` is the survey of the same log up to the same offset."""
    if found.header is not None:
        yield found.header.data
    if found.run is not None:
        yield _run(found.run.data, parts)
    elif parts.run is not None:
        yield parts.run
    already = {record.offset for record in (found.header, found.run, found.exit) if record is not None}
    for record, reason in judged(LogReader(log), until):
        if reason is None and record.offset not in already:
            yield _run(record.data, parts) if record.kind == "run" else record.data
    if parts.summary is not None:
        yield parts.summary
    if found.exit is not None:
        yield found.exit.data


def _run(data: bytes, parts: Parts) -> bytes:
    return data if parts.mended is None else mend_run(data, parts.mended)
