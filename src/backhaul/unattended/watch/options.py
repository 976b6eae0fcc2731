"""What a user may ask of the watcher."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backhaul.sync.options import SyncOptions
from backhaul.sync.target import Target


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How runs are noticed and sent; times in seconds.

    `folders` are looked at again after `poll` at the latest, where the kernel does not tell of changes, or is not asked
    to (`inotify`). `target` is where runs go that are not for another place. With `live_after` runs are followed that
    have been recording for so long; None leaves them until their job has ended. `at_once` runs are on their way at a
    time, and `followed` at most in hand with those that are followed. A worker that was not heard of for `lease` has
    lost what it had in hand. What is under way may take `drain` when the watcher is asked to stop. What others do to
    the queue is seen after `tick`.
    """

    folders: tuple[Path, ...]
    target: Target
    sync: SyncOptions
    live_after: float | None = None
    poll: float = 15.0
    inotify: bool = True
    lease: float = 120.0
    drain: float = 60.0
    tick: float = 2.0
    at_once: int = 32
    followed: int = 256

    @property
    def beat(self) -> float:
        """How often a worker shows that it lives."""
        return self.lease / 6
