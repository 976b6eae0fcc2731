"""The engine: every run has an outcome, and none costs another its own."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any, cast

import pytest

from backhaul.errors import BackhaulError, ConnectionRefused, DiskFull, TemporaryError, UnreadableFile
from backhaul.runs.find import find_runs
from backhaul.sync.delivery import Delivery
from backhaul.sync.destination import Destination
from backhaul.sync.engine import Engine
from backhaul.sync.mishap import told
from backhaul.sync.options import SyncOptions
from backhaul.sync.outcome import Outcome, RunState
from backhaul.sync.reporter import Reporter
from backhaul.wire.server import Server

from ...command import copy_of

_NO_SERVER = cast(Server, None)


def _synced(folder: Path, jobs: int) -> dict[str, Outcome]:
    runs = find_runs([folder], env={}, cwd=folder)
    options = SyncOptions(state_folder=folder / "state", jobs=jobs)
    to = Destination("http://nowhere")
    outcomes = asyncio.run(Engine(_NO_SERVER, to, options, Reporter()).sync(runs))
    return {outcome.run_id: outcome for outcome in outcomes}


@pytest.mark.parametrize(
    ("failure", "code", "exit_code"),
    [
        (ZeroDivisionError("a bug of ours"), "error", 1),
        (OSError(errno.ENOSPC, "No space left on device"), "disk-full", 5),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/gone"), "unreadable-file", 6),
        (RecursionError("too deep"), "error", 1),
    ],
)
def test_whatever_befalls_one_run_the_next_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, code: str, exit_code: int
) -> None:
    """An exception that none of ours foresaw is that run's outcome, not the end of the command."""
    copy_of("0.31.0", tmp_path)
    copy_of("0.31.0-killed", tmp_path)

    async def deliver(delivery: Delivery) -> None:
        if delivery.outcome.run_id == "rec-0310":
            raise failure
        delivery.outcome.state = RunState.VERIFIED

    monkeypatch.setattr(Delivery, "deliver", deliver)
    outcomes = _synced(tmp_path, jobs=1)
    bad, good = outcomes["rec-0310"], outcomes["rec-0310-killed"]
    assert bad.error is not None
    assert (bad.error.code, bad.exit_code) == (code, exit_code)
    assert (good.state, good.exit_code) == (RunState.VERIFIED, 0)


def test_a_server_that_is_away_is_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first run found out holds for those that have not begun; they wait (blocked) and are told why."""
    for name in ("0.31.0", "0.31.0-killed", "0.18.7"):
        copy_of(name, tmp_path)
    asked: list[str] = []

    async def deliver(delivery: Delivery) -> None:
        asked.append(delivery.outcome.run_id)
        raise ConnectionRefused("nobody there")

    monkeypatch.setattr(Delivery, "deliver", deliver)
    outcomes = _synced(tmp_path, jobs=1)
    assert len(asked) == 1
    assert {outcome.state for outcome in outcomes.values()} == {RunState.BLOCKED}
    assert {outcome.exit_code for outcome in outcomes.values()} == {5}


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/tmp/x"), DiskFull, "/tmp/x: Disk quota exceeded"),
        (PermissionError(errno.EACCES, "Permission denied", "/log"), UnreadableFile, "/log: Permission denied"),
        (OSError(errno.EIO, "Input/output error"), UnreadableFile, "Input/output error"),
        (OSError(errno.EMFILE, "Too many open files"), TemporaryError, "Too many open files"),
        (KeyError("x"), BackhaulError, "KeyError: 'x'"),
    ],
)
def test_the_system_s_errors_are_told_as_ours(error: Exception, kind: type[Any], words: str) -> None:
    """A full disk is waited out, a file that cannot be read is the user's to mend, the rest is ours."""
    made = told(error)
    assert type(made) is kind
    assert words in made.message
