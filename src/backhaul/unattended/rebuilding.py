"""The queue made anew of what lies on the disk: run directories and their ledgers are the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from backhaul.runs.directory import RunDirectory
from backhaul.unattended.judgement import Judge
from backhaul.unattended.queue.entry import Entry, Item, Key
from backhaul.unattended.queue.interface import Queue


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuilding did: the rows that it wrote, and those that it took out because their logs are gone."""

    entries: Sequence[Entry]
    gone: Sequence[Key]


def rebuild(queue: Queue, directories: Iterable[RunDirectory], judge: Judge) -> Rebuilt:
    """Judge these runs, and those that the queue knows of and this host can read; what the disk says is kept.

    A row whose log is gone is taken out. Rows of other hosts' own disks stay as they are.
    """
    known = {item.entry.log: item for item in queue.items() if item.entry.host in ("", judge.host)}
    gone = {item.key: None for item in known.values() if not item.entry.log.exists()}
    there = [item.entry.directory for item in known.values() if item.key not in gone]
    wanted = {directory.log: directory for directory in (*there, *directories)}
    entries = [_as_known(entry, known.get(entry.log)) for entry in judge.judged(wanted.values())]
    queue.forget(gone)
    queue.replace(entries)
    return Rebuilt(entries, list(gone))


def _as_known(entry: Entry, item: Item | None) -> Entry:
    """The entry under the host of the row that there is: a run has one row."""
    return entry if item is None else replace(entry, host=item.entry.host)
