"""`backhaul queue`: what is on its way home, seen and steered."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from backhaul.unattended.queue.decision import Decision
from backhaul.unattended.queue.entry import Entry, Item, QueueState, Reason
from backhaul.unattended.queue.opening import open_queue

from ..command import Backhaul, copy_of, ledger_of, log_of
from ..postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

_LONG_AGO = 1_600_000_000
_REASON = Reason("timed-out", "No byte moved for 60 s.", "Wait.")


@pytest.fixture
def where(tmp_path: Path) -> str:
    """Where the queue of the test is."""
    return str(tmp_path / "queue.db")


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Three recorded runs."""
    return [copy_of(version, tmp_path / "jobs") for version in ("0.18.7", "0.22.3", "0.31.0")]


def _fill(where: str, runs: list[Path]) -> None:
    """The first waits, the second failed once, the third needs somebody."""
    with open_queue(where) as queue:
        queue.add([Entry(log_of(run)) for run in runs])
        for item in queue.take("somebody", "", limit=3, lease=60):
            number = [log_of(run) for run in runs].index(item.entry.log)
            state = (QueueState.PENDING, QueueState.BLOCKED, QueueState.QUARANTINED)[number]
            queue.settle(item, Decision(state, 4e9 if number else 0.0, number, _REASON if number else None))


def _states(where: str) -> list[str]:
    with open_queue(where) as queue:
        return [str(item.state) for item in sorted(queue.items(), key=_by_path)]


def _by_path(item: Item) -> str:
    return str(item.entry.log)


def test_an_empty_queue_is_told(backhaul: Backhaul) -> None:
    """Without a subcommand and without options: the user's own."""
    done = backhaul("queue")
    assert (done.exit_code, "the queue is empty" in done.stdout) == (0, True)
    assert (backhaul.state / "queue.db").exists()


def test_the_list_has_states_attempts_next_try_and_reason(backhaul: Backhaul, where: str, runs: list[Path]) -> None:
    """For people the groups that need somebody first, and the paths in one piece; for programs one document."""
    _fill(where, runs)
    shown = backhaul("queue", "list", "--queue", where)
    assert shown.exit_code == 0
    assert shown.stdout.startswith("3 runs: 1 quarantined, 1 blocked, 1 pending")
    assert shown.stdout.index(str(runs[2])) < shown.stdout.index(str(runs[1])) < shown.stdout.index(str(runs[0]))
    assert re.search(r"1 try, next in \d+ d\s+timed-out No byte moved for 60 s", shown.stdout)
    document = backhaul("queue", "list", "--queue", where, "--json").document
    blocked = next(run for run in document["runs"] if run["path"] == str(runs[1]))
    assert (blocked["state"], blocked["attempts"], blocked["error"]) == ("blocked", 1, _REASON.as_json())
    assert blocked["next_attempt_in"] > 1e9
    assert document["counts"]["pending"] == 1


def test_retry_without_a_path_means_all_that_failed(backhaul: Backhaul, where: str, runs: list[Path]) -> None:
    """With one only what lies there."""
    _fill(where, runs)
    assert "1 run asked for" in backhaul("queue", "retry", runs[2], "--queue", where).stdout
    assert _states(where) == ["pending", "blocked", "pending"]
    assert backhaul("queue", "retry", "--queue", where, "--json").document == {"runs": 1, "exit_code": 0}
    assert _states(where) == ["pending"] * 3


def test_a_folder_above_means_its_runs(backhaul: Backhaul, where: str, runs: list[Path]) -> None:
    """As for every other command; a path without runs of the queue is an error, and nothing is done."""
    _fill(where, runs)
    wrong = backhaul("queue", "drop", runs[0], "/nowhere", "--queue", where)
    assert (wrong.exit_code, "no-runs" in wrong.stderr) == (2, True)
    assert "3 runs dropped" in backhaul("queue", "drop", runs[0].parent, "--queue", where).stdout
    assert _states(where) == ["dropped"] * 3
    assert backhaul("queue", "list", "--queue", where, "--json").document["runs"] == []
    assert len(backhaul("queue", "list", "--all", "--queue", where, "--json").document["runs"]) == 3


def test_pause_and_resume(backhaul: Backhaul, where: str, runs: list[Path]) -> None:
    """The whole queue, or the runs under a path."""
    _fill(where, runs)
    backhaul("queue", "pause", "--queue", where)
    assert "paused" in backhaul("queue", "list", "--queue", where).stdout
    with open_queue(where) as queue:
        assert queue.take("one", "", limit=9, lease=60) == []
    backhaul("queue", "resume", "--queue", where)
    backhaul("queue", "pause", runs[0], "--queue", where)
    with open_queue(where) as queue:
        assert queue.take("one", "", limit=9, lease=60) == []
        queue.pause([item.key for item in queue.items()], on=False)
        assert len(queue.take("one", "", limit=9, lease=60)) == 1


def test_a_lost_queue_is_rebuilt_from_folders_and_ledgers(backhaul: Backhaul, where: str, runs: list[Path]) -> None:
    """What was verified is known without asking anybody; what was not is due; what cannot be sent has its reason."""
    assert backhaul.sync(runs[0]).exit_code == 0
    log_of(runs[1]).write_bytes(b"")
    os.utime(log_of(runs[1]), (_LONG_AGO, _LONG_AGO))
    offline = backhaul.with_env(HTTP_PROXY="http://127.0.0.1:1", HTTPS_PROXY="http://127.0.0.1:1")
    done = offline("queue", "rebuild", runs[0].parent, "--queue", where, "--json")
    assert (done.exit_code, done.document["runs"]) == (0, 3), done.stderr
    assert _states(where) == ["verified", "quarantined", "pending"]
    with open_queue(where) as queue:
        (empty,) = queue.items([QueueState.QUARANTINED])
    assert empty.entry.reason is not None
    assert empty.entry.reason.code == "empty-log"


def test_rebuilding_forgets_what_is_gone_and_heeds_a_lost_ledger(
    backhaul: Backhaul, where: str, runs: list[Path]
) -> None:
    """Rows are a memory of the disk, not the other way round."""
    assert backhaul.sync(runs[0]).exit_code == 0
    backhaul("queue", "rebuild", runs[0].parent, "--queue", where)
    ledger_of(runs[0]).unlink()
    shutil.rmtree(runs[1])
    done = backhaul("queue", "rebuild", "--queue", where, "--json").document
    assert (done["runs"], done["gone"]) == (2, 1)
    assert _states(where) == ["pending", "pending"]


def test_a_queue_in_postgresql_is_steered_with_the_same_words(
    backhaul: Backhaul, postgres_url: str, runs: list[Path]
) -> None:
    """`--queue postgresql://…`, or the variable for all commands."""
    _fill(postgres_url, runs)
    there = backhaul.with_env(BACKHAUL_QUEUE=postgres_url)
    assert there("queue").stdout.startswith("3 runs: 1 quarantined, 1 blocked, 1 pending")
    assert there("queue", "retry").exit_code == 0
    assert _states(postgres_url) == ["pending"] * 3


def test_a_place_that_cannot_be_is_an_error_with_a_page(backhaul: Backhaul, tmp_path: Path) -> None:
    """Three sentences and an exit code, in the document as well."""
    (tmp_path / "file").touch()
    done = backhaul("queue", "list", "--queue", tmp_path / "file" / "queue.db", "--json")
    assert (done.exit_code, done.document["error"]["code"]) == (5, "queue-unavailable")
    refused = backhaul("queue", "list", "--queue", "mysql://x", "--json")
    assert (refused.exit_code, refused.document["error"]["code"]) == (4, "queue-place")
