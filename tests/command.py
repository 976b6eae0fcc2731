"""The `backhaul` command as users start it: a process of its own, judged by what it prints and how it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from .warm_start import is_warm, warm_run

RECORDED = Path(__file__).parent / "recorded"
_PLAIN = [sys.executable, "-m", "backhaul"]


@dataclass(frozen=True)
class Finished:
    """How a command ended. `document` is what `--json` printed (None without it)."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def document(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.stdout)

    @property
    def only(self) -> Any:
        """The one run in the document."""
        (run,) = self.document["runs"]
        return run


@dataclass(frozen=True)
class Backhaul:
    """Starts `backhaul` with an environment and a working directory."""

    env: dict[str, str]
    cwd: Path

    def __call__(self, *arguments: object, timeout: float = 120, prefix: tuple[str, ...] = ()) -> Finished:
        """Run to the end. Whatever happens, no traceback may show."""
        began = time.monotonic()
        done = self._run(arguments, timeout, prefix)
        assert "Traceback" not in done.stderr, done.stderr
        return Finished(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def sync(self, path: object, *arguments: object, timeout: float = 120, prefix: tuple[str, ...] = ()) -> Finished:
        """`backhaul sync PATH --json …`."""
        return self("sync", path, "--json", *arguments, timeout=timeout, prefix=prefix)

    def _run(
        self, arguments: tuple[object, ...], timeout: float, prefix: tuple[str, ...]
    ) -> subprocess.CompletedProcess[str]:
        line = [*prefix, *self._line(arguments)]
        if line[:3] == _PLAIN and is_warm(line[3:], self.env):
            return warm_run(line[3:], self.env, self.cwd, timeout)
        return subprocess.run(
            line, env=self.env, cwd=self.cwd, capture_output=True, text=True, timeout=timeout, check=False
        )

    def start(
        self,
        *arguments: object,
        new_session: bool = False,
        stdin: IO[str] | None = None,
        prefix: tuple[str, ...] = (),
    ) -> subprocess.Popen[str]:
        """Start and come back at once; `stdin` is its keyboard."""
        return subprocess.Popen(
            [*prefix, *self._line(arguments)],
            env=self.env,
            cwd=self.cwd,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=new_session,
        )

    def to(self, url: str, api_key: str | None = None) -> Backhaul:
        """The same with another server, and another key if given."""
        changed = {"WANDB_BASE_URL": url} | ({"WANDB_API_KEY": api_key} if api_key else {})
        return replace(self, env=self.env | changed)

    def with_env(self, **env: str) -> Backhaul:
        """The same with more environment."""
        return replace(self, env=self.env | env)

    def without(self, *names: str) -> Backhaul:
        """The same with less environment."""
        return replace(self, env={name: value for name, value in self.env.items() if name not in names})

    @property
    def state(self) -> Path:
        """The user's state folder."""
        return Path(self.env["HOME"], ".local/state/backhaul")

    @staticmethod
    def _line(arguments: tuple[object, ...]) -> list[str]:
        return [*_PLAIN, *map(str, arguments)]


def bare_env(home: Path) -> dict[str, str]:
    """The environment of a user with this home who has set nothing, and whose SDK tells nobody of its errors."""
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "WANDB_SILENT": "true",
        "WANDB_ERROR_REPORTING": "false",
    }


def record(script: str, folder: Path, env: dict[str, str]) -> list[Path]:
    """Run a script under the real SDK in offline mode; the run directories that it made under `folder`/wandb."""
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.glob("wandb/offline-run-*"))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=env | {"WANDB_MODE": "offline", "WANDB_DIR": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, -9), done.stdout + done.stderr
    return sorted(set(folder.glob("wandb/offline-run-*")) - before)


def another_second_than(run: Path) -> None:
    """Return when a part of the same run that is recorded from now on has another name than this one."""
    while time.strftime("%Y%m%d_%H%M%S") in run.name:
        time.sleep(0.01)


def copy_of(name: str, folder: Path) -> Path:
    """A copy of a recorded run directory (`0.31.0`, …) under `folder`/wandb."""
    (source,) = RECORDED.glob(f"{name}/offline-run-*")
    return copied(source, folder)


def copied(source: Path, folder: Path) -> Path:
    """A copy of a run directory under `folder`/wandb, as `cp -a` makes it."""
    return Path(shutil.copytree(source, folder / "wandb" / source.name, symlinks=True))


def log_of(run: Path) -> Path:
    """The transaction log in a run directory."""
    (log,) = run.glob("*.wandb")
    return log


def ledger_of(run: Path) -> Path:
    """Where the ledger of a run lies, be it there or not."""
    log = log_of(run)
    return log.with_name(log.name + ".backhaul")


def marker_of(run: Path) -> Path:
    """Where the official marker of a run lies, be it there or not."""
    log = log_of(run)
    return log.with_name(log.name + ".synced")


def id_of(run: Path) -> str:
    """The run id by the log's name."""
    return log_of(run).stem.removeprefix("run-")


def end(process: subprocess.Popen[str], timeout: float = 120) -> Finished:
    """Wait for a started command."""
    stdout, stderr = process.communicate(timeout=timeout)
    assert "Traceback" not in stderr, stderr
    return Finished(process.returncode, stdout, stderr, 0)


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL a started command; nothing happens when it has ended."""
    process.kill()
    process.communicate(timeout=60)


# Takes away what lets root pass over permissions (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER), then starts the
# rest of the line; for anybody else it changes nothing.
_OBEY = """
import ctypes, os, sys
for capability in (1, 2, 3):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
OBEYING_PERMISSIONS = (sys.executable, "-c", _OBEY)
