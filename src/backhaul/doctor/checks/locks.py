"""Lock files beside runs, our own ledgers' locks, and the official client's own state.

wandb makes no lock files (0.10 to 0.31), so whatever is there is some other program's, or ours. `.syncstate` is no
lock: it has the step and time from which `wandb sync` numbers a resumed run, and is locked while it is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from backhaul.doctor.finding import Finding
from backhaul.doctor.lock_file import Hold, LockFile
from backhaul.doctor.patient import Surroundings
from backhaul.doctor.remedy import command

_LONGEST_STATE = 4096
_PATTERNS = ("*.lock", "*run-*/*.lock", "*run-*/*.backhaul.owner")
_WAIT = "wait for that process to end"


def check(surroundings: Surroundings) -> Iterator[Finding]:
    """A finding for every lock file: held, provably left over, or not to be told from here."""
    ledgers = surroundings.state_folder / "ledgers"
    for folder in surroundings.folders:
        for pattern in _PATTERNS:
            for path in sorted(folder.glob(pattern)):
                yield from _of_lock(path, surroundings)
        for path in sorted(folder.glob("*run-*/*.wandb.backhaul")):
            yield from _of_ledger(path, surroundings)
        for path in sorted(folder.glob("*run-*/*.wandb.syncstate")):
            yield from _of_client_state(path, surroundings)
    for path in sorted(ledgers.glob("*.owner")):
        yield from _of_lock(path, surroundings)
    for path in sorted(ledgers.glob("*.backhaul")):
        yield from _of_ledger(path, surroundings)


def _of_lock(path: Path, surroundings: Surroundings) -> Iterator[Finding]:
    where = str(path)
    try:
        lock = LockFile.look_at(path, surroundings.open_files)
    except OSError:
        # It was let go while we looked, or is closed to us; then it is not ours to judge.
        return
    evidence = f"{path}: {lock.because}"
    if lock.hold is Hold.ALIVE:
        yield Finding("lock-held", "A process of this host holds a lock file.", evidence, _WAIT, where)
    elif lock.hold is Hold.UNKNOWN:
        message = (
            "A lock file lies here that somebody may hold: from this host it cannot be known. It stops no sync of ours."
        )
        yield Finding("lock-held", message, evidence, "leave it, or ask whoever made it", where)
    else:
        message = "A lock file was left over: its owner is gone."
        yield Finding(
            "leftover-lock", message, evidence, command("backhaul", "doctor", "--fix", path.parent), where, lock.remove
        )


def _of_ledger(path: Path, surroundings: Surroundings) -> Iterator[Finding]:
    """A sync that is under way: the system lets go of a ledger's lock when its owner dies, so nothing is ever left."""
    try:
        yield from _at_work("A backhaul", path, surroundings)
    except OSError:
        # It went with its run while we looked.
        return


def _at_work(who: str, path: Path, surroundings: Surroundings) -> Iterator[Finding]:
    if pids := surroundings.open_files.holders_of(path):
        evidence = f"{path}: process {', '.join(map(str, pids))} has it open or locked"
        yield Finding("lock-held", f"{who} works on this run just now.", evidence, _WAIT, str(path))


def _of_client_state(path: Path, surroundings: Surroundings) -> Iterator[Finding]:
    try:
        content = path.read_bytes()[:_LONGEST_STATE]
        yield from _at_work("wandb sync", path, surroundings)
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
    yield Finding("client-state", message, evidence, command("backhaul", "verify", path.parent), str(path))
