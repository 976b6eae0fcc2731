"""The job's processes: signals reach them whatever they are called, and whoever's they have become."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from backhaul.unattended.job import Job, JobEnd

from ...waiting import until

# Its 15th byte is the first half of a letter, and there the kernel cuts it off.
_NAME = "обучение-модели.sh"
_CATCHES = """#!/bin/bash
trap 'exit 7' USR1
: > "$1"
while :; do sleep 0.02; done
"""
_SIGNALS_ANOTHER_USERS = """
import os, signal
from backhaul.unattended.job import Job
job = Job.start(["sleep", "60"], os.environ, own_group=True)
print(job.pid, flush=True)
os.setresuid(65534, 65534, 65534)
job.send(signal.SIGTERM)
print("goes on", flush=True)
"""
_ASKS_WHETHER_WRAPPED = """#!/bin/bash
"$1" -c 'import os; from backhaul.unattended.job_environment import is_wrapped; print(is_wrapped(os.environ))'
"""


def _script(folder: Path, text: str) -> Path:
    path = folder / _NAME
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_word_of_warning_reaches_a_program_whose_name_is_cut_in_a_letter(tmp_path: Path) -> None:
    """What the kernel says of a process need not be UTF-8."""
    job = Job.start([str(_script(tmp_path, _CATCHES)), str(tmp_path / "ready")], os.environ, own_group=True)
    try:
        until((tmp_path / "ready").exists, "the program listens")
        assert job.warn(signal.SIGUSR1)
        assert JobEnd.of(os.waitpid(job.pid, 0)[1]) == JobEnd(7)
    except BaseException:
        job.send(signal.SIGKILL)
        raise


def test_a_wrapper_is_seen_above_a_program_whose_name_is_cut_in_a_letter(tmp_path: Path) -> None:
    """What the kernel says of a process above us need not be UTF-8 either."""
    env = {**os.environ, "BACKHAUL_JOB": f"{os.uname().nodename} {os.getpid()}"}
    said = subprocess.run([_script(tmp_path, _ASKS_WHETHER_WRAPPED), sys.executable], env=env, stdout=subprocess.PIPE)
    assert said.stdout == b"True\n"


def test_a_job_that_has_become_another_users_is_left_alone() -> None:
    """A signal that may not be sent, as to `sudo`, is no reason to look after the job no longer."""
    script = [sys.executable, "-c", _SIGNALS_ANOTHER_USERS]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        try:
            assert process.stdout.readline() == "goes on\n"
        finally:
            os.kill(pid, signal.SIGKILL)
