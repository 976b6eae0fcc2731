"""What a log names beside its rows: files, artifacts; and how far it is whole. No rows are made, so it is quick."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backhaul.errors import BackhaulError
from backhaul.runs.identity import RunIdentity, identity_of
from backhaul.wandblog import DamageKind, LogEnd, LogReader


@dataclass(slots=True)
class NamedByLog:
    """What one log names. `whole_size` is where its last whole record ends, `error` why it could not be read.

    `files` are the names of saved files in the order of their first mention.
    """

    identity: RunIdentity | None = None
    files: dict[str, None] = field(default_factory=dict)
    artifacts: list[Any] = field(default_factory=list)
    by_python_engine: bool = True
    has_exit: bool = False
    whole_size: int = 0
    error: BackhaulError | None = None


def named_by(log: Path) -> NamedByLog:
    """Read `log` once. Nothing is raised: a log that cannot be read names nothing, with the reason in `error`."""
    named = NamedByLog()
    reader = LogReader(log)
    try:
        for batch in reader.batches():
            for run in batch.contents_of("run"):
                named.identity = named.identity or identity_of(run)
            for record in batch.contents_of("files"):
                named.files.update(dict.fromkeys(item.path for item in record.files))
            named.artifacts += batch.contents_of("artifact")
    except BackhaulError as error:
        named.error = error
    named.by_python_engine = not reader.producer
    named.has_exit = reader.end is LogEnd.COMPLETE
    last = reader.damage[-1] if reader.damage else None
    torn = last is not None and last.end >= reader.size and last.kind in (DamageKind.TORN, DamageKind.ZEROED)
    named.whole_size = last.offset if last is not None and torn else reader.size
    return named
