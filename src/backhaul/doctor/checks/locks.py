"""Lock files beside runs, and the official client's own state.

wandb makes no lock files (0.10 to 0.31), so whatever is there is some other program's, or ours. `.syncstate` is no
lock: it has the step and time from which `wandb sync` numbers a resumed run, and is locked while it is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from backhaul.doctor.file_system import is_shared
from backhaul.doctor.finding import Finding
from backhaul.doctor.patient import Surroundings
from backhaul.runs.open_files import holders_of

_LONGEST_STATE = 4096
_PATTERNS = ("*.lock", "offline-run-*/*.lock", "run-*/*.lock", "offline-run-*/*.backhaul.owner")


def check(surroundings: Surroundings) -> Iterator[Finding]:
    """A finding for every lock file: held, provably left over, or not to be told from here."""
    for folder in surroundings.folders:
        for pattern in _PATTERNS:
            for path in sorted(folder.glob(pattern)):
                yield _finding(path)
        for path in sorted(folder.glob("*run-*/*.wandb.syncstate")):
            yield from _client_state(path)


def _finding(path: Path) -> Finding:
    where = str(path)
    if pids := holders_of(path):
        evidence = f"{path}: process {', '.join(map(str, pids))}"
        return Finding("lock-held", "A process of this host holds a lock file.", evidence, "wait for it", where)
    if is_shared(path):
        message = "A lock file lies here, on a file system that other hosts share: its owner may be one of them."
        evidence = f"{path}: no process of this host has it open"
        return Finding("lock-held", message, evidence, "look on the other hosts", where)
    message = "A lock file was left over: no process of this host has it open, and no other host can."
    evidence, remedy = f"{path}, {path.lstat().st_size} bytes", f"backhaul doctor --fix {path.parent}"
    return Finding("leftover-lock", message, evidence, remedy, where, path.unlink)


def _client_state(path: Path) -> Iterator[Finding]:
    try:
        content = path.read_bytes()[:_LONGEST_STATE]
        if pids := holders_of(path):
            evidence = f"{path}: process {', '.join(map(str, pids))}"
            yield Finding("lock-held", "wandb sync works on this run just now.", evidence, "wait for it", str(path))
    except OSError:
        return
    try:
        if not any(json.loads(content).values()):
            # As every run of 0.28.2 to 0.30 has it from its beginning.
            return
    except (ValueError, AttributeError):
        pass
    message = (
        "wandb sync has begun to send this run as the continuation of another part. Backhaul does not use its note."
    )
    evidence = f"{path}: {content.decode(errors='replace')}"
    yield Finding("client-state", message, evidence, f"backhaul verify {path.parent}", str(path))
