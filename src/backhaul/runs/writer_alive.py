"""Whether a log is still being written: does a live process of this host hold it open?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def is_open_for_writing(log: Path) -> bool:
    """Whether some process that this user may look at has `log` open for writing.

    Only this host's processes can be seen (Linux's /proc); False elsewhere, and for a writer on another host.
    """
    target = str(log.resolve())
    return any(target == path for path in _written())


def files_open_for_writing() -> frozenset[str]:
    """The logs that `is_open_for_writing` is true of, by their resolved paths: one look that serves many."""
    return frozenset(path for path in _written() if path.endswith(".wandb"))


def _written() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            descriptors = list((process / "fd").iterdir())
        except OSError:
            # Processes end while we look, and those of other users are closed to us.
            continue
        for descriptor in descriptors:
            yield from _target(process, descriptor)


def _target(process: Path, descriptor: Path) -> Iterator[str]:
    try:
        target = str(descriptor.readlink())
        if target.startswith("/") and _writes(process / "fdinfo" / descriptor.name):
            yield target
    except OSError:
        # It was closed in between.
        return


def _writes(fdinfo: Path) -> bool:
    flags = next(line for line in fdinfo.read_text().splitlines() if line.startswith("flags:"))
    return int(flags.split()[1], 8) & 0b11 != 0
