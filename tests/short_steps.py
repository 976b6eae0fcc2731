"""The command with short steps through a log, so that a log of some hundred kilobytes has many of everything."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from .command import Backhaul

# It writes down what of a log it hashes, and from where on it reads one that it does not read from its start.
_PROGRAM = """
import os
import backhaul.sync.batch as batch, backhaul.sync.checkpoint as checkpoint, backhaul.wandblog.framing as framing
batch.BATCH_BYTES = 4000
framing._FIRST_READ = framing._READ = 4000
checkpoint.LEAST_BYTES_BETWEEN, checkpoint._TIMES_ITS_SIZE = 4000, 0
from backhaul.sync.log_digest import LogDigest
notes = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
go_on, hashed = framing.Framing.go_on_from, LogDigest.of.__func__
def noted_go_on(self, mark):
    os.write(notes, b"from %d\\n" % mark.offset)
    go_on(self, mark)
def noted_hash(cls, log, size):
    os.write(notes, b"hash %d\\n" % size)
    return hashed(cls, log, size)
framing.Framing.go_on_from, LogDigest.of = noted_go_on, classmethod(noted_hash)
from backhaul.cli import main
main()
"""


class ShortSteps(Backhaul):
    """The command with short steps; `notes` is what it wrote down, with a number of bytes each."""

    def _line(self, arguments: Sequence[object]) -> list[str]:
        return [sys.executable, "-c", _PROGRAM, *map(str, arguments)]

    @property
    def notes(self) -> list[tuple[str, int]]:
        """("from", offset) or ("hash", size)."""
        path = Path(self.env["NOTES"])
        words = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(what, int(number)) for what, number in words]


def short_steps(command: Backhaul, notes: Path) -> ShortSteps:
    """The same command with short steps, which writes down into `notes` what it does."""
    return ShortSteps({**command.env, "NOTES": str(notes)}, command.cwd)
