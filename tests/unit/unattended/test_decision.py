"""What comes after a try: a table of outcomes, and how waits grow."""

from __future__ import annotations

from pathlib import Path

import pytest

from backhaul import errors
from backhaul.sync.outcome import Outcome, Quarantined, RunState
from backhaul.unattended.queue.decision import Try, after, after_error, before, wait
from backhaul.unattended.queue.entry import QueueState

_NOW = 1000.0


def _try(attempts: int = 0, chance: float = 0.5) -> Try:
    return Try(attempts, _NOW, chance)


def _error_classes(kind: type[errors.BackhaulError] = errors.BackhaulError) -> list[type[errors.BackhaulError]]:
    return [kind, *(each for below in kind.__subclasses__() for each in _error_classes(below))]


@pytest.mark.parametrize(
    ("error", "state", "attempts"),
    [
        (errors.TimedOut("x"), QueueState.BLOCKED, 1),
        (errors.ServerUnavailable("x"), QueueState.BLOCKED, 1),
        (errors.DiskFull("x"), QueueState.BLOCKED, 1),
        # One entity's storage: the others go on, and this one comes by itself when there is room.
        (errors.QuotaExceeded("x"), QueueState.BLOCKED, 1),
        # The run has not failed: the line is dead, or nobody may write.
        (errors.ConnectionRefused("x"), QueueState.BLOCKED, 0),
        (errors.HostNotFound("x"), QueueState.BLOCKED, 0),
        (errors.CredentialsRefused("x"), QueueState.BLOCKED, 0),
        # Nor here: somebody else sends it, its job goes on, or we were asked to stop.
        (errors.RunBusy("x"), QueueState.BLOCKED, 0),
        (errors.StillRecording("x"), QueueState.RECORDING, 0),
        (errors.Terminated("x"), QueueState.PENDING, 0),
        (errors.DeadlineReached("x"), QueueState.PENDING, 0),
        # Nothing that waiting helps.
        (errors.RunDeleted("x"), QueueState.QUARANTINED, 1),
        (errors.EmptyLog("x"), QueueState.QUARANTINED, 1),
        (errors.RemoteConflict("x"), QueueState.QUARANTINED, 1),
    ],
)
def test_what_an_error_means_for_a_run(error: errors.BackhaulError, state: QueueState, attempts: int) -> None:
    """The error's kind decides; its code and words are kept."""
    decision = after_error(error, _try())
    assert (decision.state, decision.attempts) == (state, attempts)
    assert decision.reason is not None
    assert (decision.reason.code, decision.reason.message, decision.reason.next) == (error.code, "x", error.next)


@pytest.mark.parametrize("kind", _error_classes())
def test_every_error_leads_somewhere(kind: type[errors.BackhaulError]) -> None:
    """No kind is forgotten, and whatever is temporary is never given up."""
    decision = after_error(kind("x"), _try(attempts=10_000))
    assert decision.state in (QueueState.BLOCKED, QueueState.PENDING, QueueState.RECORDING, QueueState.QUARANTINED)
    if issubclass(kind, errors.TemporaryError):
        assert decision.state is not QueueState.QUARANTINED


@pytest.mark.parametrize("error", [errors.BackhaulError("bug"), errors.VerificationFailed("differs")])
def test_what_may_pass_is_tried_a_few_times(error: errors.BackhaulError) -> None:
    """A bug of ours, or a run that somebody else writes to: five tries, then the user is asked."""
    states = [after_error(error, Try(attempts, _NOW, 0.5, last=error.code)).state for attempts in range(6)]
    assert states == [QueueState.BLOCKED] * 4 + [QueueState.QUARANTINED] * 2


def test_tries_spent_on_the_network_do_not_count_against_a_run() -> None:
    """Five times in a row means the same failure five times."""
    decision = after_error(errors.VerificationFailed("differs"), Try(40, _NOW, 0.5, last=errors.TimedOut.code))
    assert (decision.state, decision.attempts) == (QueueState.BLOCKED, 1)


def test_waits_grow_to_a_quarter_of_an_hour() -> None:
    """At least half of each is waited, whatever chance says."""
    waits = [wait(errors.TimedOut("x"), _try(attempts, chance=0.0)) for attempts in range(12)]
    assert waits == [7.5, 15, 30, 60, 120, 240, 450, 450, 450, 450, 450, 450]
    assert wait(errors.TimedOut("x"), _try(11, chance=0.999)) == pytest.approx(900, rel=0.001)


def test_a_server_that_says_when_is_heard() -> None:
    """Up to an hour."""
    assert wait(errors.RateLimited("x", retry_after=77), _try()) == 77
    assert wait(errors.RateLimited("x", retry_after=86400), _try()) == 3600


def test_a_verified_run_is_done() -> None:
    """What was lost to damage inside of its log stays told."""
    outcome = Outcome(Path(), "a", state=RunState.VERIFIED)
    assert (after(outcome, _try(3)).state, after(outcome, _try(3)).reason) == (QueueState.VERIFIED, None)
    outcome.error = errors.LogDamaged("3 records are lost")
    decision = after(outcome, _try())
    assert (decision.state, decision.reason and decision.reason.code) == (QueueState.VERIFIED, "log-damaged")


def test_a_run_with_rows_that_cannot_go_is_set_aside_with_the_first_of_them() -> None:
    """The reason is a true one: that of the row."""
    outcome = Outcome(Path(), "a", state=RunState.QUARANTINED)
    outcome.quarantined = [Quarantined("row 7", "too large", "shorten it"), Quarantined("row 9", "too large", "…")]
    decision = after(outcome, _try())
    assert decision.state is QueueState.QUARANTINED
    assert decision.reason is not None
    assert (decision.reason.message, decision.reason.next) == ("row 7: too large (1 more)", "shorten it")


def test_a_run_that_its_workers_do_not_survive_is_set_aside() -> None:
    """So that the others go on."""
    assert [before(crashes) is None for crashes in range(7)] == [True] * 5 + [False] * 2
