"""Bringing a job's runs home: into the queue first, then to the server, then told.

What is printed here is what the wrapper says.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import time
from collections.abc import Callable, Iterable, Sequence

from backhaul.counted import counted
from backhaul.errors import BackhaulError, DeadlineReached
from backhaul.runs.directory import RunDirectory
from backhaul.runs.open_files import files_open_for_writing
from backhaul.sync.connection import Connection, connected
from backhaul.sync.door import deliver
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome, RunState
from backhaul.sync.report import Report
from backhaul.sync.state_folder import state_folder
from backhaul.unattended.handing_over import HandingOver
from backhaul.unattended.order import Order

# How long a run's writer may go on after the job's end: the SDK's own process ends a moment later.
_SETTLES_WITHIN = 5.0
_LOOK_EVERY = 0.2
_MOST_TOLD = 5
# A worker takes them so many seconds after our deadline.
_CLEAR_OF_US = 10.0


def bring_home(runs: Sequence[RunDirectory], order: Order, began: float) -> None:
    """Bring these runs home as `order` says, and say what came of it. `began` is the monotonic time of its beginning.

    They go into the queue before anything is sent, so that whatever happens to this process they are known.
    """
    queue = HandingOver.to(order.target)
    # A worker may have them when our time is over, or at once when we do not try.
    own_time = order.deadline + _CLEAR_OF_US if order.sync else 0.0
    is_queued = _told(lambda: queue.before(runs, not_before=time.time() + own_time))
    if order.sync:
        if not order.live:
            _settle(runs, min(_SETTLES_WITHIN, order.deadline / 4))
        report = _brought(runs, order, max(0.0, order.deadline - (time.monotonic() - began)))
        is_queued = _told(lambda: queue.after(report.runs, runs)) and is_queued
        _tell(report, is_queued)


def _told(change: Callable[[], None]) -> bool:
    """Change the queue; False when it cannot be. Without it the runs lie where they are, and are found there."""
    try:
        change()
    except BackhaulError as error:
        print(f"the queue could not be written: {error.message}")
        return False
    return True


def _settle(runs: Iterable[RunDirectory], patience: float) -> None:
    """Wait until nobody writes these logs any more, so that the first sync is the last."""
    logs = {str(run.log.resolve()) for run in runs}
    until = time.monotonic() + patience
    while logs & files_open_for_writing() and time.monotonic() < until:
        time.sleep(_LOOK_EVERY)


def _brought(runs: Sequence[RunDirectory], order: Order, left: float) -> Report:
    try:
        with connected(order.target) as there:
            return asyncio.run(_within(left, runs, there, order))
    except BackhaulError as error:
        return Report(tuple(_failed(run, error) for run in runs))


def _failed(run: RunDirectory, error: BackhaulError) -> Outcome:
    outcome = Outcome(run.path, run.run_id_hint)
    outcome.fail(error)
    return outcome


async def _within(left: float, runs: Sequence[RunDirectory], there: Connection, order: Order) -> Report:
    """Sync until all is done, the time is over, or we are asked to stop.

    Not with the deadline of `backhaul sync`, which is tried until then: where there is no way to the server, as on most
    compute nodes, nobody waits for one.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    options = SyncOptions(state_folder=state_folder(), live=order.live, live_every=1.0)
    loop.call_later(left, task.cancel)
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    return await deliver(runs, there, options, None, lambda: DeadlineReached("The time for it was over."))


def _tell(report: Report, is_queued: bool) -> None:
    home = [run for run in report.runs if run.state is RunState.VERIFIED]
    rest = [run for run in report.runs if run.state is not RunState.VERIFIED]
    if home:
        names = ", ".join(f"{run.entity or ''}/{run.project}/{run.run_id}".lstrip("/") for run in home[:_MOST_TOLD])
        print(f"{counted(len(home), 'run')} verified at the server: {names}{' …' if len(home) > _MOST_TOLD else ''}")
    for run in rest[:_MOST_TOLD]:
        reason = run.error.message if run.error else "it was not read back"
        print(f"{run.path} stays here: {reason}")
    if rest:
        waits = "in the queue" if is_queued else "where they lie"
        by_hand = f"By hand: {shlex.join(['backhaul', 'sync', _common(rest)])}"
        print(f"{counted(len(rest), 'run')} not home yet: {waits}, nothing is lost. {by_hand}")


def _common(outcomes: Sequence[Outcome]) -> str:
    if len(outcomes) == 1:
        return str(outcomes[0].path)
    return os.path.commonpath([outcome.path for outcome in outcomes])
