"""What the wrapper says beside the job: single lines that begin with `backhaul:`, and never hold anything up."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A pipe that can be written takes so much at once, by POSIX's PIPE_BUF.
_MOST_AT_ONCE = 512
_STANDARD_ERROR = 2


class Voice:
    """Says things on standard error, or into a file; what cannot be said at once is not said.

    The job's standard error is the same pipe or file. Somebody who does not read it must not stop us from passing a
    signal on, and a full disk must not either.
    """

    def __init__(self, file: Path | None = None, *, quiet: bool = False) -> None:
        # Python has no standard error when it was closed before us.
        self._descriptor: int | None = None if quiet or sys.stderr is None else _STANDARD_ERROR
        if file is not None:
            try:
                self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            except OSError as error:
                self.say(f"{file} cannot be written: {error.strerror}")

    @property
    def is_on_standard_error(self) -> bool:
        """Whether it is heard where the job's own errors are."""
        return self._descriptor == _STANDARD_ERROR

    def say(self, text: str) -> None:
        """Say one line, if that can be done at once."""
        if self._descriptor is None:
            return
        line = f"backhaul: {' '.join(text.split())}\n".encode(errors="replace")
        try:
            for start in range(0, len(line), _MOST_AT_ONCE):
                if select.select([], [self._descriptor], [], 0)[1]:
                    os.write(self._descriptor, line[start : start + _MOST_AT_ONCE])
        except (OSError, ValueError):
            # A closed pipe or a full disk: the job goes on, and so do we, unheard.
            return

    @contextmanager
    def harmless(self, what: str) -> Iterator[None]:
        """Whatever goes wrong in the block is told, and goes no further: it is ours, and not the job's."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the promise: no failure of ours becomes one of the job.
            self.say(f"could not {what}: {type(error).__name__}: {error}. The job is not concerned.")
