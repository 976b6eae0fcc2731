"""What comes after a try, as a value: done, tried again at a time, waited for, or left to the user. Pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from backhaul.errors import (
    BackhaulError,
    DeadlineReached,
    Interrupted,
    QuarantineError,
    QuotaExceeded,
    RunBusy,
    StillRecording,
    TemporaryError,
    VerificationFailed,
)
from backhaul.sync.mishap import is_for_all
from backhaul.sync.outcome import Outcome, RunState
from backhaul.sync.progress import LogStamp
from backhaul.sync.retry import Patience, decide
from backhaul.unattended.queue.entry import NOTHING_READ, QueueState, Reason

# Across restarts nothing transient is ever given up; the waits grow to a quarter of an hour. A request within a try has
# a patience of its own, counted in seconds.
PATIENCE = Patience(unreachable=math.inf, in_trouble=math.inf, base=15.0, longest_wait=900.0)
# What is no fault of the network may be one of the moment; after so many tries in a row it counts as one that stays.
_MOST_TRIES = 5
_MOST_CRASHES = 5
# Whoever has the run in hand now is asked again soon.
_BUSY_FOR = 30.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a row: its state, when it is due (Unix seconds), the attempts so far, the reason.

    `stamp` is the log that was delivered; `NOTHING_READ` leaves what the row says.
    """

    state: QueueState
    due_at: float = 0.0
    attempts: int = 0
    reason: Reason | None = None
    stamp: LogStamp = NOTHING_READ


@dataclass(frozen=True, slots=True)
class Try:
    """The circumstances of a try: attempts before it, the time at its end, a random number in [0, 1).

    `last` is the code of the error before this one.
    """

    attempts: int
    now: float
    chance: float
    patience: Patience = PATIENCE
    last: str = ""


def after(outcome: Outcome, circumstances: Try) -> Decision:
    """What to do after a sync of one run gave `outcome`."""
    if outcome.state is RunState.VERIFIED:
        # Beside verified stands what was lost to damage inside the log.
        return Decision(QueueState.VERIFIED, reason=Reason.of(outcome.error) if outcome.error else None)
    return after_error(outcome.error or _unproven(outcome), circumstances)


def after_error(error: BackhaulError, circumstances: Try) -> Decision:
    """What to do after `error`: only what a run itself has failed at counts as an attempt."""
    attempts, now, reason = circumstances.attempts, circumstances.now, Reason.of(error)
    if isinstance(error, StillRecording):
        return Decision(QueueState.RECORDING, reason=reason)
    if isinstance(error, DeadlineReached | Interrupted):
        return Decision(QueueState.PENDING, now, attempts, reason)
    if is_for_all(error):
        return Decision(QueueState.BLOCKED, now, attempts, reason)
    if isinstance(error, RunBusy):
        return Decision(QueueState.BLOCKED, now + _BUSY_FOR, attempts, reason)
    if _is_suspect(error) and error.code != circumstances.last:
        # What was spent on other failures says nothing about this one.
        attempts = 0
    if isinstance(error, TemporaryError | QuotaExceeded) or (_is_suspect(error) and attempts + 1 < _MOST_TRIES):
        return Decision(QueueState.BLOCKED, now + wait(error, circumstances), attempts + 1, reason)
    return Decision(QueueState.QUARANTINED, attempts=attempts + 1, reason=reason)


def wait(error: BackhaulError, circumstances: Try) -> float:
    """Seconds until the next try; the policy is that of a request, with longer waits. At least half of each."""
    chance = 0.5 + circumstances.chance / 2
    again = decide(
        _as_temporary(error),
        attempt=circumstances.attempts,
        failing_for=0.0,
        left=None,
        patience=circumstances.patience,
        chance=chance,
    )
    return again.delay if again is not None else circumstances.patience.longest_wait


def before(crashes: int) -> Decision | None:
    """Whether a run may be tried at all: one that nobody came back from so often is set aside, so that others go on."""
    if crashes < _MOST_CRASHES:
        return None
    words = f"{crashes} workers took this run and were not heard of again: memory or a bug, perhaps."
    what_next = "Run `backhaul sync` on it by hand and report what happens; `backhaul queue retry` puts it back."
    return Decision(QueueState.QUARANTINED, reason=Reason("error", words, what_next))


def stamped(decision: Decision, stamp: LogStamp) -> Decision:
    """The decision about the log that `stamp` names."""
    return replace(decision, stamp=stamp)


def _is_suspect(error: BackhaulError) -> bool:
    """Whether it may be one of the moment: a bug of ours (exit code 1), or what somebody else writes into the run."""
    return isinstance(error, VerificationFailed) or error.exit_code == 1


def _as_temporary(error: BackhaulError) -> TemporaryError:
    if isinstance(error, TemporaryError):
        return error
    return TemporaryError(error.message, retry_after=error.retry_after)


def _unproven(outcome: Outcome) -> BackhaulError:
    """Why a run without an error is not verified: rows or files of it that cannot be sent as they are."""
    if outcome.quarantined:
        first, more = outcome.quarantined[0], len(outcome.quarantined) - 1
        others = f" ({more} more)" if more else ""
        return QuarantineError(f"{first.what}: {first.reason}{others}", next=first.next)
    return TemporaryError(f"It is {outcome.state}, and not proved to be there.")
