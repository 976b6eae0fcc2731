"""The official `wandb sync` as users start it, for tests in which it fails and ours does not."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class OfficialEnd:
    """How it ended. `exit_code` is None when it was still at work after the time that the test gave it."""

    exit_code: int | None
    output: str


@dataclass(frozen=True)
class Official:
    """Starts `wandb sync` with an environment, in which it speaks, and a working directory."""

    env: dict[str, str]
    cwd: Path
    command: tuple[str, ...] = ("sync",)

    def to(self, url: str) -> Official:
        """The same with another server."""
        return replace(self, env=self.env | {"WANDB_BASE_URL": url})

    def sync(self, *arguments: object, timeout: float = 150) -> OfficialEnd:
        """`wandb sync …` to its end, or until the time is over."""
        with self.started(*arguments) as process:
            try:
                output, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                return OfficialEnd(None, "")
        return OfficialEnd(process.returncode, output)

    @contextmanager
    def started(self, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """`wandb sync …` at work; with the block it is killed, and the service that it started."""
        program = str(Path(sys.executable).with_name("wandb"))
        process = subprocess.Popen(
            [program, *self.command, *map(str, arguments)],
            env=self.env | {"WANDB_SILENT": "false", "NO_COLOR": "1"},
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
