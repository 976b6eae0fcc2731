"""Commands where something is missing that most processes have: standard files, letters, a reader."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ..command import bare_env, copy_of


def _told(env: Mapping[str, str], *arguments: object, shell: str = "") -> subprocess.CompletedProcess[bytes]:
    """What `backhaul` tells, with its standard files as `shell` says."""
    line = ["bash", "-c", f'"$@" {shell}', "bash", sys.executable, "-m", "backhaul", *map(os.fspath, arguments)]
    return subprocess.run(line, env=env, capture_output=True, timeout=60, check=False)


@pytest.fixture(name="env")
def _env(tmp_path: Path) -> dict[str, str]:
    return bare_env(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_a_path_of_any_bytes_can_be_told(env: dict[str, str], tmp_path: Path, encoding: str) -> None:
    """A strict standard output, as most have, is no reason to fail: to a program the path is the same."""
    place = Path(os.fsdecode(os.fsencode(tmp_path) + "/ü✓😀".encode() + b"\xff"))
    place.mkdir()
    run = copy_of("0.31.0", place)
    strict = {**env, "PYTHONIOENCODING": f"{encoding}:strict"}
    told = _told(strict, "status", place, "--json")
    assert told.returncode == 0, told.stderr
    assert [each["path"] for each in json.loads(told.stdout.decode(encoding))["runs"]] == [str(run)]
    shown = _told(strict, "doctor", "--offline", "--verbose", place)
    assert shown.returncode in (0, 9), shown.stderr


@pytest.mark.parametrize("shell", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_file_is_no_bug(env: dict[str, str], tmp_path: Path, shell: str) -> None:
    """What cannot be said is not said; what cannot be asked is not agreed to."""
    run = copy_of("0.31.0", tmp_path)
    assert _told(env, "status", run, shell=shell).returncode == 0
    assert _told(env, "export", run, "-o", "-", "--format", "csv", shell=shell).returncode == 0
    assert _told(env, "clean", run, shell=shell).returncode == 2


def test_no_file_of_ours_gets_the_number_of_a_closed_standard_file(env: dict[str, str], tmp_path: Path) -> None:
    """What is printed for a person must not end up in a file that was opened since."""
    run = copy_of("0.31.0", tmp_path)
    made = tmp_path / "rows.csv"
    assert _told(env, "export", run, "-o", made, shell="2>&-").returncode == 0
    assert b"written to" not in made.read_bytes()


@pytest.mark.parametrize("command", [["status"], ["doctor", "--offline"]])
def test_who_only_reads_ends_with_its_reader(env: dict[str, str], tmp_path: Path, command: list[str]) -> None:
    """`… | head` is no failure of ours: it ends as `cat` does."""
    run = copy_of("0.31.0", tmp_path)
    reader, pipe = os.pipe()
    os.close(reader)
    with os.fdopen(pipe, "wb") as nobody:
        line = [sys.executable, "-m", "backhaul", *command, run]
        ended = subprocess.run(line, env=env, stdout=nobody, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGPIPE, b"")


@pytest.mark.parametrize("command", [["status"], ["sync", "--dry-run"], ["show"], ["doctor", "--offline"]])
def test_a_folder_that_is_gone_is_told(env: dict[str, str], tmp_path: Path, command: list[str]) -> None:
    """A job's folder may be removed under whoever still is in it; that is no bug."""
    run = copy_of("0.31.0", tmp_path)
    gone = tmp_path / "gone"
    gone.mkdir()
    line = ["bash", "-c", f'cd {gone} && rmdir {gone} && exec {sys.executable} -m backhaul "$@"', "bash", *command, run]
    told = subprocess.run(line, env=env, capture_output=True, timeout=60, check=False)
    assert (told.returncode, b"is not there any more" in told.stderr) == (4, True), told.stderr
