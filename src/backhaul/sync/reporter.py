"""What a sync tells while it works; the command line draws it."""

from __future__ import annotations

from typing import Protocol

from backhaul.errors import BackhaulError
from backhaul.runs.inspect import Inspection
from backhaul.sync.outcome import Outcome


class Reporter(Protocol):
    """Receives what happens to each run, named by its inspection. Calls come from the event loop, one at a time."""

    def started(self, run: Inspection) -> None:
        """Work on a run begins."""

    def sent(self, run: Inspection, lines: int, size: int, position: int) -> None:
        """A batch of `lines`, `size` bytes long, was acknowledged; the log has been read to byte `position`."""

    def uploaded(self, run: Inspection, name: str, size: int) -> None:
        """A file was acknowledged."""

    def waiting(self, run: Inspection, error: BackhaulError, failing_for: float) -> None:
        """A request failed and will be tried again; it has been failing for so many seconds."""

    def following(self, run: Inspection, quiet_for: float) -> None:
        """All that is whole is sent; the run is still being recorded, and has not grown for so many seconds."""

    def verifying(self, run: Inspection) -> None:
        """All is sent; the destination is being asked what it holds."""

    def finished(self, run: Inspection | None, outcome: Outcome) -> None:
        """Work on a run is over; `run` is None when its log could not even be looked at."""


class Silent:
    """Tells nothing."""

    def started(self, run: Inspection) -> None:
        """Nothing is told."""

    def sent(self, run: Inspection, lines: int, size: int, position: int) -> None:
        """Nothing is told."""

    def uploaded(self, run: Inspection, name: str, size: int) -> None:
        """Nothing is told."""

    def waiting(self, run: Inspection, error: BackhaulError, failing_for: float) -> None:
        """Nothing is told."""

    def following(self, run: Inspection, quiet_for: float) -> None:
        """Nothing is told."""

    def verifying(self, run: Inspection) -> None:
        """Nothing is told."""

    def finished(self, run: Inspection | None, outcome: Outcome) -> None:
        """Nothing is told."""
