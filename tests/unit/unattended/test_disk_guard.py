"""What the disk guard decides, from readings alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backhaul.unattended.disk_guard import Action, DiskGuard, Reading, Thresholds, time_to_full

_GIB = 1 << 30
_ALL = (Action.LINK_MEDIA, Action.SYNC, Action.CLEAN, Action.SIGNAL)


def _at(seconds: float, used: float, *, inodes: float = 0.0) -> Reading:
    return Reading(seconds, used, int((1 - used) * 100 * _GIB), inodes, int((1 - inodes) * 1000))


def _judged(readings: list[Reading], **limits: object) -> list[tuple[Action, ...]]:
    guard = DiskGuard(Thresholds(**limits))  # type: ignore[arg-type]
    return [guard.judge(reading).actions for reading in readings]


def test_a_warning_comes_once_at_the_first_threshold() -> None:
    """And again when the disk had room in between."""
    readings = [_at(10 * step, used) for step, used in enumerate((0.5, 0.79, 0.8, 0.85, 0.79, 0.8, 0.5, 0.81))]
    warned = [Action.WARN in actions for actions in _judged(readings, soon=0.0)]
    assert warned == [False, False, True, False, False, False, False, True]


def test_the_second_threshold_acts_as_configured() -> None:
    """In the given order; what must not be repeated is not, the rest again after a while."""
    readings = [_at(step, 0.96) for step in (0.0, 10.0, 599.0, 600.0, 601.0)]
    first, second, third, fourth, fifth = _judged(readings, actions=_ALL, soon=0.0)
    assert first == (Action.WARN, *_ALL)
    assert second == third == fifth == ()
    assert fourth == (Action.SYNC, Action.CLEAN)


def test_room_that_was_made_ends_the_emergency() -> None:
    """Then the next one is a new one, the signal included; at the edge it is the same."""
    readings = [_at(step, used) for step, used in enumerate((0.96, 0.94, 0.96, 0.9, 0.96))]
    acted = [Action.SIGNAL in actions for actions in _judged(readings, actions=(Action.SIGNAL,), soon=0.0)]
    assert acted == [True, False, False, False, True]


def test_inodes_count_as_much_as_bytes() -> None:
    """A disk without inodes takes no file, however many bytes are free."""
    assert _judged([_at(0, 0.1, inodes=0.97)]) == [(Action.WARN, Action.SYNC)]


def test_a_disk_that_will_soon_be_full_is_told_before_the_threshold() -> None:
    """Half full, and full in half an hour at the pace of the last minutes."""
    guard = DiskGuard()
    assert guard.judge(_at(0, 0.50)).actions == ()
    assert guard.judge(_at(60, 0.52)).actions == ()
    verdict = guard.judge(_at(180, 0.55))
    assert verdict.actions == (Action.WARN,)
    assert verdict.full_in is not None
    assert round(verdict.full_in) == 1620


def test_the_pace_is_that_of_the_last_minutes() -> None:
    """A burst an hour ago is no trend."""
    guard = DiskGuard()
    for seconds, used in ((0, 0.1), (60, 0.6), (3600, 0.6), (3700, 0.6)):
        verdict = guard.judge(_at(seconds, used))
    assert verdict.full_in is None


def test_the_forecast_takes_what_runs_out_first() -> None:
    """Bytes for ten hours, inodes for ten minutes."""
    readings = [Reading(0, 0.1, 36_000, 0.1, 800), Reading(200, 0.1, 35_800, 0.2, 600)]
    assert time_to_full(readings) == 600


@given(st.lists(st.tuples(st.floats(1, 1000), st.floats(0, 1)), min_size=1, max_size=50))
def test_nothing_is_done_below_the_thresholds_and_something_is_at_the_second(steps: list[tuple[float, float]]) -> None:
    """Whatever the history: the actions of an emergency come only in one, and at its beginning always."""
    guard, now, acted = DiskGuard(Thresholds(soon=0.0)), 0.0, False
    for seconds, used in steps:
        now += seconds
        actions = guard.judge(_at(now, used)).actions
        if used < 0.8:
            assert actions == ()
        if used < 0.95:
            assert Action.SYNC not in actions
        elif not acted:
            assert Action.SYNC in actions
        acted = used >= 0.95 or (acted and used >= 0.93)


def test_linked_media_are_copied_again_when_there_is_room() -> None:
    """Once, and only where they were linked."""
    readings = [_at(step, used) for step, used in enumerate((0.5, 0.96, 0.94, 0.9, 0.5))]
    judged = _judged(readings, actions=(Action.LINK_MEDIA,), warn=1.0, soon=0.0)
    assert judged == [(), (Action.LINK_MEDIA,), (), (Action.COPY_MEDIA,), ()]
    assert _judged(readings, actions=(Action.SYNC,), warn=1.0, soon=0.0)[3] == ()
