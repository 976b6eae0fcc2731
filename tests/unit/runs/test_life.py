"""Whether somebody still writes a log: a table of what can be known from this host."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from backhaul.runs.directory import RunDirectory
from backhaul.runs.life import life_of

_HERE, _ELSEWHERE = socket.gethostname(), "a-host-far-away"
_STARTED = 1_700_000_000.0
_NOW = _STARTED + 7200


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    """A run directory: a log, and a file that was written when the run began."""
    path = tmp_path / "offline-run-20260101_000000-abc"
    (path / "files").mkdir(parents=True)
    (path / "files" / "requirements.txt").touch()
    (path / "run-abc.wandb").touch()
    return RunDirectory(path, path / "run-abc.wandb")


def _changed(directory: RunDirectory, log: float, first_file: float) -> None:
    os.utime(directory.log, (log, log))
    os.utime(directory.files / "requirements.txt", (first_file, first_file))


@pytest.mark.parametrize(
    ("host", "log", "first_file", "goes_on", "words"),
    [
        # The writer would be seen here, and is not: gone, however new the log is.
        (_HERE, _NOW - 1, _STARTED, False, "process that wrote it is gone"),
        # Elsewhere growth tells.
        (_ELSEWHERE, _NOW - 40, _STARTED + 2, True, "40 s ago, and is recorded on a-host-far-away"),
        ("", _NOW - 899, _STARTED + 2, True, "15 min ago"),
        (_ELSEWHERE, _NOW - 900, _STARTED + 2, False, "Nothing of it has changed for 15 min"),
        # All files new, the run two hours old: somebody copied it just now.
        (_ELSEWHERE, _NOW - 1, _NOW - 2, False, "a copy"),
        # A clock of another host that is ahead.
        (_ELSEWHERE, _NOW + 30, _STARTED, True, "0 s ago"),
    ],
)
def test_life_by_host_and_times(
    directory: RunDirectory, host: str, log: float, first_file: float, goes_on: bool, words: str
) -> None:
    """On its own host the process decides; of another host's run its growth, unless everything is new."""
    _changed(directory, log, first_file)
    life = life_of(directory, host, _STARTED, now=_NOW, dead_after=900)
    assert (life.goes_on, words in life.because) == (goes_on, True), life.because


def test_who_has_the_log_open_lives(directory: RunDirectory) -> None:
    """Whatever the times are."""
    _changed(directory, _STARTED, _STARTED)
    with directory.log.open("ab"):
        assert life_of(directory, _HERE, _STARTED, now=_NOW, dead_after=1).goes_on
    assert not life_of(directory, _HERE, _STARTED, now=_NOW, dead_after=1).goes_on


def test_a_console_that_grows_is_a_sign_of_life(directory: RunDirectory) -> None:
    """The SDK writes its log 32 KiB at a time, which can take long; other files of the run tell sooner."""
    _changed(directory, _NOW - 5000, _STARTED)
    (directory.files / "output.log").touch()
    os.utime(directory.files / "output.log", (_NOW - 3, _NOW - 3))
    assert life_of(directory, _ELSEWHERE, _STARTED, now=_NOW, dead_after=900).goes_on
