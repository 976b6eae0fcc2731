"""Three real offline runs for the demo, recorded by the wandb SDK in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from backhaul.errors import ConfigurationError
from backhaul.wandblog import LogReader
from backhaul.wandblog.schema import Record

_HEALTHY = """
import math, random, wandb
run = wandb.init(project="backhaul-demo", name="healthy", tags=["demo"], config={"lr": 1e-3, "net": {"width": 64}})
with open("weights.txt", "w") as file:
    file.write("these would be the weights\\n" * 1000)
run.save("weights.txt")
for step in range(400):
    loss = math.exp(-step / 120) + random.random() / 20
    run.log({"loss": loss, "accuracy": 1 - loss / 2, "lr": 1e-3 * 0.99**step})
    if step % 20 == 0:
        print(f"step {step}: loss {loss:.4f}")
run.finish()
"""

_ENDLESS = """
import math, random, wandb
run = wandb.init(project="backhaul-demo", name="killed", tags=["demo"], config={"lr": 3e-3})
step = 0
while True:
    loss = math.exp(-step / 300) + random.random() / 20
    run.log({"loss": loss, "accuracy": 1 - loss / 2})
    step += 1
"""

_DAMAGED = _HEALTHY.replace('"healthy"', '"damaged"')

# Enough for a few blocks: the SDK writes whole blocks of 32 KiB, so a killed run's newest data never reach the disk.
_KILL_AT_BYTES = 5 * 32768
_KILL_AT_THE_LATEST = 60.0
_DAMAGE_LENGTH = 200
_ROWS_BEHIND_THE_DAMAGE = 20


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where the demo lives; the SDK's own folders are kept in it, so that nothing of the user's is touched."""

    path: Path

    @property
    def wandb(self) -> Path:
        """The folder with the run directories."""
        return self.path / "wandb"

    def environment(self) -> dict[str, str]:
        """The environment of the demo's processes: the user's, without what he has told wandb."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
        own = {f"WANDB_{name}_DIR": str(self.path / "sdk" / name.lower()) for name in ("DATA", "CACHE", "CONFIG")}
        quiet = {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
        return (
            kept | own | quiet | {"NETRC": str(self.path / "sdk" / "netrc"), "XDG_STATE_HOME": str(self.path / "state")}
        )


def record_healthy(folder: DemoFolder) -> None:
    """A run with a saved file and console output, finished as it should be."""
    _record(folder, _HEALTHY)


def record_damaged(folder: DemoFolder) -> None:
    """The same, and then 200 bytes of its log are overwritten, from the middle of a row near its end on."""
    before = _logs(folder)
    _record(folder, _DAMAGED)
    (log,) = _logs(folder) - before
    place = _middle_of_a_row(log)
    with log.open("r+b") as file:
        file.seek(place)
        file.write(b"\xa5" * _DAMAGE_LENGTH)


def _middle_of_a_row(log: Path) -> int:
    """Where one of the last rows is; what else stands between rows would be damaged without a row being lost."""
    records = list(LogReader(log))
    rows = [place for place, each in enumerate(records) if Record.FromString(each.data).HasField("history")]
    row = rows[-_ROWS_BEHIND_THE_DAMAGE]
    return (records[row].offset + records[row + 1].offset) // 2


def record_killed(folder: DemoFolder) -> None:
    """A run that is killed with SIGKILL, the SDK's engine with it, while it logs."""
    before = _logs(folder)
    process = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS],
        cwd=folder.path,
        env=folder.environment() | {"WANDB_MODE": "offline"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    patience = time.monotonic() + _KILL_AT_THE_LATEST
    while sum(log.stat().st_size for log in _logs(folder) - before) < _KILL_AT_BYTES:
        if process.poll() is not None or time.monotonic() > patience:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    _, said = process.communicate()
    if process.returncode != -signal.SIGKILL:
        raise ConfigurationError(f"The wandb SDK could not record a run: {said.decode(errors='replace')[-500:]}")


def _record(folder: DemoFolder, script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder.path,
        env=folder.environment() | {"WANDB_MODE": "offline"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ConfigurationError(f"The wandb SDK could not record a run: {done.stderr.strip()[-500:]}")


def _logs(folder: DemoFolder) -> set[Path]:
    return set(folder.wandb.glob("offline-run-*/*.wandb"))
