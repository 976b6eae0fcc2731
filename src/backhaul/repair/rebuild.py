"""The records of the new log, in the order in which the official client replays them without loss.

That order is the log's own with three exceptions. The header comes first, then the first run record, because nothing
can be sent before it. The exit record comes last: the Python engine (to SDK 0.17) wrote the summary after it, and
`wandb sync` 0.31 silently drops what it finds there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backhaul.repair.metadata import mend_run
from backhaul.repair.survey import Survey, judged
from backhaul.wandblog import LogReader


def rebuilt(
    log: Path, found: Survey, *, until: int | None, stand_in: bytes | None, mended: list[str] | None
) -> Iterator[bytes]:
    """The bytes of each record, as they are in `log`, but for run records when `mended` takes what was mended in them.

    `found` is the survey of the same log up to the same offset; `stand_in` is the run record to use where none is left.
    """
    if found.header is not None:
        yield found.header.data
    if found.run is not None:
        yield _run(found.run.data, mended)
    elif stand_in is not None:
        yield stand_in
    already = {record.offset for record in (found.header, found.run, found.exit) if record is not None}
    for record, reason in judged(LogReader(log), until):
        if reason is None and record.offset not in already:
            yield _run(record.data, mended) if record.kind == "run" else record.data
    if found.exit is not None:
        yield found.exit.data


def _run(data: bytes, mended: list[str] | None) -> bytes:
    return data if mended is None else mend_run(data, mended)
