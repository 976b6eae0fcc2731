"""A training job whose run grows while a test looks on: a real SDK process that logs rows when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from .waiting import until

_SCRIPT = """
    import sys, wandb
    run = wandb.init(project="recorded", id="alive", config={"lr": 0.1})
    step = 0
    for order in sys.stdin:
        if order == "finish\\n":
            break
        for step in range(step, step + 200):
            run.log({"loss": step, "text": "x" * 400})
        step += 1
        print("logged", flush=True)
    run.finish()
"""
# By itself the SDK lets up to 32 KiB of rows lie for 15 seconds before they reach the disk.
_SOON_ON_THE_DISK = {"WANDB__TRANSACTION_LOG_FLUSH_INTERVAL": "0.2"}


@dataclass(frozen=True)
class GrowingJob:
    """The job. Its run is `alive`; it has logged two hundred rows when it is given out."""

    process: subprocess.Popen[str]
    folder: Path

    @property
    def run(self) -> Path:
        """Its run directory."""
        (found,) = self.folder.glob("wandb/offline-run-*")
        return found

    def log(self) -> None:
        """Log two hundred rows more; they are on the disk some tenths of a second later."""
        self._tell("log")
        assert self.process.stdout is not None
        while "logged" not in self.process.stdout.readline():
            assert self.process.poll() is None

    def finish(self) -> None:
        """End as a script does."""
        self._tell("finish")
        assert self.process.wait(60) == 0

    def kill(self) -> None:
        """End as by a scheduler's SIGKILL: script and SDK service at once; nobody holds the log when it returns."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)
        until(lambda: not is_held(self.run), "the service is gone")

    def _tell(self, order: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()


def is_held(folder: Path) -> bool:
    """Whether any process has a file in the folder open."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(Path(file.path).is_relative_to(folder) for file in process.open_files()):
                return True
    return False


@contextmanager
def growing_job(env: Mapping[str, str], folder: Path) -> Iterator[GrowingJob]:
    """A job that records under `folder`/wandb, for as long as the block lasts."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_SCRIPT)],
        env={**env, **_SOON_ON_THE_DISK, "WANDB_MODE": "offline", "WANDB_DIR": str(folder)},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    ) as process:
        job = GrowingJob(process, folder)
        try:
            job.log()
            yield job
        finally:
            if process.poll() is None:
                job.kill()
