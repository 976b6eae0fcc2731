"""What a user may ask of the job wrapper."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path

from backhaul.sync.target import Target
from backhaul.unattended.disk_guard import Thresholds


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user asked of the wrapper; `deadline` is in seconds, `folders` are places to look for runs."""

    sync: bool = True
    deadline: float = 60.0
    folders: tuple[Path, ...] = ()
    target: Target = field(default_factory=Target)
    drain_on: tuple[int, ...] = (signal.SIGUSR1,)
    notice_signal: int | None = None
    disk_signal: int = signal.SIGUSR2
    thresholds: Thresholds = field(default_factory=Thresholds)
    disk_every: float = 10.0
    cloud: str = "auto"
    metadata_url: str | None = None
    queue: str | None = None
