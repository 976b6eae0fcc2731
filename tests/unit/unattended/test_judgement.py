"""What a run directory is to the queue, by real logs on a real disk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backhaul.runs.directory import RunDirectory
from backhaul.runs.identity import RunIdentity
from backhaul.runs.inspect import inspect
from backhaul.sync.destination import Destination
from backhaul.sync.ledger import Ledger
from backhaul.sync.progress import LogStamp, verified_entry
from backhaul.unattended.judgement import Judge
from backhaul.unattended.queue.entry import Entry, QueueState
from backhaul.unattended.queue.sql_queue import SqlQueue
from backhaul.unattended.queue.sqlite import SqliteDatabase
from backhaul.unattended.watch.noticer import Noticer

from ...command import copy_of, log_of

_THERE, _ELSEWHERE = Destination("http://there"), Destination("http://elsewhere")


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    return Judge(_THERE, tmp_path / "state")


def _judged(judge: Judge, run: Path) -> Entry:
    (entry,) = judge.judged([RunDirectory(run, log_of(run))])
    return entry


def test_a_run_that_has_ended_is_due(judge: Judge, tmp_path: Path) -> None:
    """It is known by the id that its log names, and by the bytes that were looked at."""
    run = copy_of("0.31.0", tmp_path)
    entry = _judged(judge, run)
    assert (entry.state, entry.run_id, entry.stamp) == (QueueState.PENDING, "rec-0310", LogStamp.of(log_of(run)))


def test_a_run_that_the_ledger_knows_as_verified_is_home(judge: Judge, tmp_path: Path) -> None:
    """At the place where it is to go, as long as its log is what was read back."""
    run = copy_of("0.31.0", tmp_path)
    key = judge.destination.key(_identity(run))
    with Ledger.open(log_of(run), tmp_path / "state") as ledger:
        ledger.record(key, verified_entry(LogStamp.of(log_of(run)), "receipt", None, None))
    assert _judged(judge, run).state is QueueState.VERIFIED
    assert _judged(replace(judge, destination=_ELSEWHERE), run).state is QueueState.PENDING
    os.utime(log_of(run), (1, 1))
    assert _judged(judge, run).state is QueueState.PENDING


def test_a_run_whose_log_is_open_is_being_recorded(judge: Judge, tmp_path: Path) -> None:
    """A writer of this host; when it is gone, the run is due."""
    run = copy_of("0.31.0-killed", tmp_path)
    with log_of(run).open("ab"):
        assert _judged(judge, run).state is QueueState.RECORDING
    assert _judged(judge, run).state is QueueState.PENDING


def test_a_run_that_is_to_be_followed_is_due_while_it_is_recorded(judge: Judge, tmp_path: Path) -> None:
    """Once it is old enough."""
    run = copy_of("0.31.0-killed", tmp_path)
    with log_of(run).open("ab"):
        assert _judged(replace(judge, live_after=600), run).state is QueueState.PENDING
        started = replace(judge, live_after=600, clock=lambda: _identity(run).start_time + 599)
        assert _judged(started, run).state is QueueState.RECORDING


def test_an_empty_log_is_waited_for_while_it_is_young(judge: Judge, tmp_path: Path) -> None:
    """A job that has just begun on another host; later there is nothing to be had of it."""
    run = copy_of("0.31.0", tmp_path)
    log_of(run).write_bytes(b"")
    assert _judged(judge, run).state is QueueState.RECORDING
    entry = _judged(replace(judge, clock=lambda: time.time() + 901), run)
    assert (entry.state, entry.reason and entry.reason.code) == (QueueState.QUARANTINED, "empty-log")


def test_what_is_no_log_is_set_aside(judge: Judge, tmp_path: Path) -> None:
    """With the reason that a sync would give."""
    run = copy_of("0.31.0", tmp_path)
    log_of(run).write_bytes(b"something else entirely" * 50)
    entry = _judged(judge, run)
    assert (entry.state, entry.reason and entry.reason.code) == (QueueState.QUARANTINED, "not-a-wandb-log")


@pytest.fixture
def noticer(folder: Path, judge: Judge) -> Iterator[Noticer]:
    """Looks at `folder`/jobs; processes are looked for at every look."""
    with SqlQueue(SqliteDatabase(folder / "queue.db")) as queue:
        yield Noticer(queue, [folder / "jobs"], lambda _: judge, judge.host, life_every=0)


def test_each_change_is_noticed_once(noticer: Noticer, folder: Path) -> None:
    """New runs, the end of a job, growth after it; nothing while nothing changes."""
    assert (list(noticer.notice().entries), noticer.notice().runs) == ([], 0)
    run = copy_of("0.31.0-killed", folder / "jobs")
    with log_of(run).open("ab"):
        assert [entry.state for entry in noticer.notice().entries] == [QueueState.RECORDING]
        again = noticer.notice()
        assert (list(again.entries), again.runs, again.recording) == ([], 1, 1)
    assert [entry.state for entry in noticer.notice().entries] == [QueueState.PENDING]
    assert list(noticer.notice().entries) == []


def test_what_was_dropped_is_passed_over_and_what_is_gone_forgotten(noticer: Noticer, folder: Path) -> None:
    """As long as its log is there it is remembered."""
    log = log_of(copy_of("0.31.0", folder / "jobs"))
    noticer.notice()
    noticer.queue.drop(item.key for item in noticer.queue.items())
    log.write_bytes(log.read_bytes() + b"more")
    assert list(noticer.notice().entries) == []
    assert len(noticer.queue.items()) == 1
    log.unlink()
    noticer.notice()
    assert noticer.queue.items() == []


def _identity(run: Path) -> RunIdentity:
    return inspect(RunDirectory(run, log_of(run))).identity
