"""What a run directory is to the queue, by what lies on this disk: its log, the ledger beside it, signs of life."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from backhaul.errors import BackhaulError, EmptyLog
from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import Inspection, inspect
from backhaul.runs.life import DEAD_AFTER, life_of
from backhaul.runs.mounts import MountTable
from backhaul.runs.open_files import files_open_for_writing
from backhaul.sync.destination import Destination
from backhaul.sync.ledger import read_ledger
from backhaul.sync.mishap import told
from backhaul.sync.progress import LogStamp
from backhaul.unattended.queue.entry import Entry, QueueState, Reason
from backhaul.wandblog import LogEnd


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges runs that are to go to `destination`.

    A writer that cannot be seen counts as dead when nothing has changed for `dead_after` seconds. A run that is still
    being recorded is due when it has been for `live_after` seconds (None: when its job has ended). `host` is this one:
    runs on a file system of its own are for it alone.
    """

    destination: Destination
    state_folder: Path
    dead_after: float = DEAD_AFTER
    live_after: float | None = None
    host: str = field(default_factory=socket.gethostname)
    clock: Callable[[], float] = time.time

    def judged(self, directories: Iterable[RunDirectory]) -> Iterator[Entry]:
        """Each run as an entry of the queue, in the order given. Reads head and tail of each log, and its ledger."""
        # One look at all processes, and one at the mounts, serve every run.
        written, mounts = files_open_for_writing(), MountTable.of_this_host()
        for directory in directories:
            shared = mounts.holding(directory.path).is_shared
            yield replace(self._judged(directory, written), host="" if shared else self.host)

    def _judged(self, directory: RunDirectory, written: frozenset[str]) -> Entry:
        entry = Entry(directory.log)
        try:
            entry = replace(entry, stamp=LogStamp.of(directory.log))
            run = inspect(directory)
            entry = replace(entry, run_id=run.identity.run_id)
            if self._is_verified(run, entry.stamp):
                return replace(entry, state=QueueState.VERIFIED)
            waits = self._goes_on(run, written) and not self._is_followed(run)
            return replace(entry, state=QueueState.RECORDING) if waits else entry
        except EmptyLog as error:
            # A job that has just begun has written nothing but the header.
            young = self.clock() - entry.stamp.mtime_ns / 1e9 < self.dead_after
            if young or str(directory.log.resolve()) in written:
                return replace(entry, state=QueueState.RECORDING)
            return _set_aside(entry, error)
        except (OSError, BackhaulError) as error:
            return _set_aside(entry, told(error))

    def _is_verified(self, run: Inspection, stamp: LogStamp) -> bool:
        ledger = read_ledger(run.directory.log, self.state_folder)
        known = ledger.get(self.destination.key(run.identity))
        return known is not None and known.verified == stamp

    def _is_followed(self, run: Inspection) -> bool:
        return self.live_after is not None and self.clock() - run.identity.start_time >= self.live_after

    def _goes_on(self, run: Inspection, written: frozenset[str]) -> bool:
        if run.end is LogEnd.COMPLETE:
            return False
        identity = run.identity
        life = life_of(
            run.directory,
            identity.host,
            identity.start_time,
            now=self.clock(),
            dead_after=self.dead_after,
            written=written,
        )
        return life.goes_on


def _set_aside(entry: Entry, error: BackhaulError) -> Entry:
    return replace(entry, state=QueueState.QUARANTINED, reason=Reason.of(error))
