"""Passing on what a depot holds, run by run, for as long as there is more to come."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from backhaul.depot.model import Run
from backhaul.errors import BackhaulError, StillRecording, TemporaryError
from backhaul.relay.spool import Spool
from backhaul.sync.outcome import Outcome, RunState
from backhaul.sync.report import Report

_LOG = logging.getLogger("backhaul.relay")
# Runs whose copies lie in the spool at a time.
_AT_ONCE = 64
# A run of which something was refused is tried again after this time (seconds), then after twice that, and so on.
_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 6 * 3600.0
# The files of a run that is home are looked at again after this time (seconds): its record does not tell of new ones.
_LOOK_AGAIN = 300.0
# At most this part of the time goes into telling a run that goes on once more from its start.
_SHARE = 0.1

Send = Callable[[Sequence[Path]], Report]
"""Brings run directories to the destination; raises BackhaulError when nothing can be sent at all."""


@dataclass(slots=True)
class _Patience:
    """When a run may be tried again, as long as its `fingerprint` stays the same."""

    fingerprint: str
    pause: float = _FIRST_PAUSE
    until: float = 0.0

    def wait(self, now: float) -> None:
        self.until = now + self.pause
        self.pause = min(2 * self.pause, _LONGEST_PAUSE)


@dataclass(slots=True)
class Forwarder:
    """Brings the runs of a depot to a destination, each when it has changed.

    What is there already is known by the ledgers in the spool, so that nothing is sent twice, whoever is killed when.
    `clock` gives POSIX seconds.
    """

    spool: Spool
    send: Send
    clock: Callable[[], float] = time.time
    _refused: dict[int, _Patience] = field(default_factory=dict)
    _busy_until: dict[int, float] = field(default_factory=dict)
    _home: dict[int, tuple[int, float]] = field(default_factory=dict)

    def forward(self) -> list[Outcome]:
        """Bring what has changed since the last time; the outcomes of the runs that were tried.

        Raises BackhaulError when the destination cannot be used, after which the rest was not tried.
        """
        outcomes: list[Outcome] = []
        wanted = list(self._wanted())
        for start in range(0, len(wanted), _AT_ONCE):
            outcomes += self._forward(wanted[start : start + _AT_ONCE])
        return outcomes

    def _wanted(self) -> Iterator[Run]:
        now = self.clock()
        for run in self.spool.kept.store.runs():
            if now >= self._busy_until.get(run.id, 0.0) and not self._is_home(run, now):
                patience = self._refused.get(run.id)
                if patience is None or now >= patience.until or patience.fingerprint != self.spool.fingerprint(run):
                    yield run

    def _is_home(self, run: Run, now: float) -> bool:
        """Whether the run was verified as it is now; what was found stands for a while, as long as its record does."""
        known, looked_at = self._home.get(run.id, (0, 0.0))
        if known == hash(run) and now - looked_at < _LOOK_AGAIN:
            return True
        if not self.spool.is_home(run):
            return False
        self._home[run.id] = (hash(run), now)
        return True

    def _forward(self, runs: Sequence[Run]) -> list[Outcome]:
        with ExitStack() as stack:
            laid: dict[Path, tuple[Run, str]] = {}
            for run in runs:
                fingerprint = self.spool.fingerprint(run)
                path = self._lay(run, fingerprint, stack)
                if path is not None:
                    laid[path] = (run, fingerprint)
            report = self.send(list(laid)) if laid else Report(())
        for outcome in report.runs:
            self._conclude(outcome, *laid[outcome.path])
        return list(report.runs)

    def _lay(self, run: Run, fingerprint: str, stack: ExitStack) -> Path | None:
        """Lay a run in the spool. One that cannot be laid is told, and stops no other."""
        began = self.clock()
        try:
            directory = self.spool.write(run)
        except BackhaulError as error:
            self._later(run, fingerprint, error.code, error.message)
            return None
        if self.spool.state_of(run) in ("running", "preempting"):
            # We write this log, and hold it open for as long as its run goes on: whoever looks at it sees that.
            stack.enter_context(directory.log.open("rb+"))
        self._busy_until[run.id] = self.clock() + (self.clock() - began) / _SHARE
        return directory.path.resolve()

    def _conclude(self, outcome: Outcome, run: Run, fingerprint: str) -> None:
        if outcome.state is RunState.VERIFIED:
            self.spool.note_home(run, fingerprint)
            self._refused.pop(run.id, None)
            _told("verified", run, sent_lines=outcome.sent_lines, sent_bytes=outcome.sent_bytes)
        elif isinstance(outcome.error, StillRecording):
            _told("sent so far", run, sent_lines=outcome.sent_lines, sent_bytes=outcome.sent_bytes)
        elif isinstance(outcome.error, TemporaryError):
            _told("waits", run, code=outcome.error.code, reason=outcome.error.message)
        else:
            reasons = [outcome.error.message] if outcome.error else [item.reason for item in outcome.quarantined]
            self._later(run, fingerprint, outcome.error.code if outcome.error else "quarantined", "; ".join(reasons))

    def _later(self, run: Run, fingerprint: str, code: str, reason: str) -> None:
        patience = self._refused.get(run.id)
        if patience is None or patience.fingerprint != fingerprint:
            patience = self._refused[run.id] = _Patience(fingerprint)
        patience.wait(self.clock())
        _told("refused", run, code=code, reason=reason)


def _told(event: str, run: Run, **facts: object) -> None:
    named = {"run": f"{run.project.entity}/{run.project.name}/{run.name}", **facts}
    _LOG.log(logging.WARNING if event == "refused" else logging.INFO, event, extra={"facts": named})
