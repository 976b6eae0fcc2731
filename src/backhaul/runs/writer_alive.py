"""Whether a log is still being written: does a live process of this host hold it open?"""

from __future__ import annotations

from pathlib import Path


def is_open_for_writing(log: Path) -> bool:
    """Whether some process that this user may look at has `log` open for writing.

    Only this host's processes can be seen (Linux's /proc); False elsewhere, and for a writer on another host.
    """
    target = str(log.resolve())
    return any(_holds(process, target) for process in Path("/proc").glob("[0-9]*"))


def _holds(process: Path, target: str) -> bool:
    try:
        for descriptor in (process / "fd").iterdir():
            if str(descriptor.readlink()) == target and _writes(process / "fdinfo" / descriptor.name):
                return True
    except OSError:
        # Processes end while we look, and those of other users are closed to us.
        return False
    return False


def _writes(fdinfo: Path) -> bool:
    flags = next(line for line in fdinfo.read_text().splitlines() if line.startswith("flags:"))
    return int(flags.split()[1], 8) & 0b11 != 0
