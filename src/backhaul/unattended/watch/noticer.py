"""From what lies on the disk to what the queue knows: new runs, grown ones, those whose job has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from backhaul.errors import BackhaulError
from backhaul.runs.directory import RunDirectory
from backhaul.unattended.judgement import Judge
from backhaul.unattended.queue.entry import Entry, Item, QueueState
from backhaul.unattended.queue.interface import Queue
from backhaul.unattended.queue.where import Where
from backhaul.unattended.watch.commands import Commands
from backhaul.unattended.watch.scan import Seen, scan

_DONE = frozenset({QueueState.VERIFIED, QueueState.DROPPED})


@dataclass(frozen=True, slots=True)
class Noticed:
    """What one look gave: the runs that are new or stand differently, how many commands, what went wrong.

    `seconds` is how long it took, `recording` how many runs wait for their jobs' end.
    """

    entries: Sequence[Entry] = ()
    asked: int = 0
    errors: Sequence[BackhaulError] = ()
    seconds: float = 0.0
    runs: int = 0
    recording: int = 0


@dataclass(slots=True)
class Noticer:
    """Looks at the folders and tells the queue. `judge_for` judges runs by the place where they are to go.

    A killed job changes nothing on the disk: every `life_every` seconds its process is looked for.
    """

    queue: Queue
    folders: Sequence[Path]
    judge_for: Callable[[Where], Judge]
    host: str
    commands: Commands | None = None
    life_every: float = 15.0
    scan: Callable[[Sequence[Path]], tuple[Mapping[Path, Seen], list[BackhaulError]]] = scan
    clock: Callable[[], float] = time.monotonic
    _lives_looked_at: float = field(default=float("-inf"))

    def notice(self) -> Noticed:
        """Look once. Reads only what has changed since the last time, by size and time of change.

        Raises what the queue raises; then nothing is lost, for what is on the disk is found again.
        """
        began = self.clock()
        asked, wrong = self._take_commands()
        found, errors = self.scan(self.folders)
        asked_at = self.clock()
        known = {item.entry.log: item for item in self.queue.items() if item.entry.host in ("", self.host)}
        answered_at = self.clock()
        entries = self._judged(self._to_judge(found, known, began), known)
        # Looking is what burdens the disk. A queue that cannot be reached for a while is no reason to look seldom.
        seconds = self.clock() - began - (answered_at - asked_at)
        self.queue.add(entries)
        self._forget(found, known)
        states = {log: item.state for log, item in known.items()} | {entry.log: entry.state for entry in entries}
        recording = sum(state is QueueState.RECORDING for state in states.values())
        news = [entry for entry in entries if entry.log not in known or known[entry.log].state is not entry.state]
        return Noticed(news, asked, [*wrong, *errors], seconds, len(found), recording)

    def _to_judge(self, found: Mapping[Path, Seen], known: Mapping[Path, Item], now: float) -> dict[Path, RunDirectory]:
        changed = {
            log: seen.directory for log, seen in found.items() if log not in known or _has_changed(known[log], seen)
        }
        if now - self._lives_looked_at >= self.life_every:
            self._lives_looked_at = now
            recording = (item.entry for item in known.values() if item.state is QueueState.RECORDING)
            changed |= {entry.log: entry.directory for entry in recording}
        return changed

    def _judged(self, directories: Mapping[Path, RunDirectory], known: Mapping[Path, Item]) -> list[Entry]:
        groups: dict[Where, list[RunDirectory]] = {}
        for log, directory in directories.items():
            where = known[log].entry.where if log in known else Where()
            groups.setdefault(where, []).append(directory)
        return [
            # A run has one row, also when its mounts are known better now.
            replace(entry, host=known[entry.log].entry.host) if entry.log in known else entry
            for where, group in groups.items()
            for entry in self.judge_for(where).judged(group)
        ]

    def _forget(self, found: Mapping[Path, Seen], known: Mapping[Path, Item]) -> None:
        """What is home and was deleted need not be remembered; a run that is not home and is gone is told of."""
        absent = (item for log, item in known.items() if log not in found and item.state in _DONE)
        self.queue.forget(item.key for item in absent if not item.entry.log.exists())

    def _take_commands(self) -> tuple[int, list[BackhaulError]]:
        if self.commands is None:
            return 0, []
        return self.commands.take(self._ask)

    def _ask(self, directories: Iterable[RunDirectory]) -> None:
        wanted = {directory.log: directory for directory in directories}
        known = {item.entry.log: item for item in self.queue.items() if item.entry.log in wanted}
        entries = self._judged(wanted, known)
        self.queue.add(entries)
        self.queue.ask(entry.key for entry in entries)


def _has_changed(item: Item, seen: Seen) -> bool:
    return item.state is not QueueState.DROPPED and seen.stamp is not None and seen.stamp != item.entry.stamp
