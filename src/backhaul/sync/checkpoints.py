"""The newest checkpoint of a log, in two files beside its ledger: the state, and the console text that belongs to it.

The first line of the state file is the SHA-256 of the rest; then come a line that says what it is the state of, and the
state. It is written beside the one before, and takes its place once the ledger has all that comes before it. To the
console text only what was read since is added.
Nothing is flushed to the disk: what a power failure leaves half done does not fit, and what does not fit is not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import backhaul
from backhaul.runs.identity import RunIdentity
from backhaul.runs.inspect import Inspection
from backhaul.runs.rows import Rows
from backhaul.runs.stream import NUMBERED
from backhaul.sync.checkpoint import Checkpoint, is_acknowledged, may_have_one
from backhaul.sync.console_text import ConsoleText
from backhaul.sync.log_digest import LogDigest
from backhaul.sync.progress import Progress
from backhaul.wandblog import LogReader
from backhaul.wandblog.state import NOT_A_STATE

# What the files are called: the ledger's name with one of these behind it.
SUFFIXES = _STATE, _NEW, _CONSOLE = ".checkpoint", ".checkpoint.new", ".console"
_FORM = 1
_BLOCK = 1 << 20


@dataclass(slots=True)
class Checkpoints:
    """Takes up and keeps the checkpoint of a run, for whoever holds its `ledger`; `newest` is the one that counts.

    `console_text` is the run's, as it is read. `known` is the digest of the log's beginning where it is known not to
    have changed, and need not be read.
    """

    run: Inspection
    ledger: Path
    console_text: ConsoleText
    known: LogDigest | None = None
    newest: Checkpoint | None = None
    _ready: Checkpoint | None = None
    # The console text in its file, as far as `_ready` counts on it.
    _written: int = 0
    _sha256: Any = field(default_factory=hashlib.sha256)
    _is_given_up: bool = False

    @property
    def log(self) -> LogDigest | None:
        """The digest of the log's beginning that `newest` is the state of."""
        return None if self.newest is None else self.newest.log

    @property
    def is_worth_a_look(self) -> bool:
        """Whether the log is long enough to have one."""
        return may_have_one(self.run.size)

    def look_ahead(self) -> None:
        """Take the digest that `load` will compare, which takes longest and needs no answer of the destination."""
        with contextlib.suppress(OSError, *NOT_A_STATE), self._path(_STATE).open("rb") as file:
            file.readline()
            self.known = self._digest(json.loads(file.readline())["log"]["size"])

    def load(self, progress: Progress) -> Checkpoint | None:
        """The checkpoint to go on from, after this progress; `console_text` is then what comes before it.

        None when there is none that fits: the log is to be read from its beginning.
        """
        try:
            checkpoint, console = self._read(progress)
            _check_states(checkpoint)
            self._take_up(checkpoint, console)
        except (OSError, *NOT_A_STATE):
            # Absent, cut, of another version, about another log, or ahead: it could have saved time, and no more.
            self.console_text.clear()
            self._written, self._sha256 = 0, hashlib.sha256()
            return None
        self.newest = self._ready = checkpoint
        return checkpoint

    def is_news(self, checkpoint: Checkpoint | None) -> TypeGuard[Checkpoint]:
        """Whether it is worth writing."""
        return checkpoint is not None and checkpoint is not self._ready and not self._is_given_up

    def write(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint beside the one that is kept, which goes on to count.

        Where it cannot be written there is none, and the next sync takes longer.
        """
        try:
            self._write_console(checkpoint.console)
            self._path(_NEW).write_bytes(_form_of(checkpoint, self._sha256.hexdigest()))
        except OSError:
            self._give_up()
        else:
            self._ready = checkpoint

    def keep(self, progress: Progress) -> None:
        """Let the one that was written count from now on, as the destination has all lines before it."""
        ready = self._ready
        if ready is None or ready is self.newest or not is_acknowledged(ready.lines, ready.starting_step, progress):
            return
        try:
            self._path(_NEW).replace(self._path(_STATE))
        except OSError:
            self._give_up()
        else:
            self.newest = ready

    def _give_up(self) -> None:
        """A full disk, most likely; what room there is on it is the job's."""
        self._is_given_up = True
        self.remove()

    def remove(self) -> None:
        """Leave nothing behind."""
        for suffix in SUFFIXES if self.is_worth_a_look else ():
            with contextlib.suppress(OSError):
                self._path(suffix).unlink()
        self.newest = self._ready = None

    def _path(self, suffix: str) -> Path:
        return self.ledger.with_name(self.ledger.name + suffix)

    def _read(self, progress: Progress) -> tuple[Checkpoint, str]:
        """The checkpoint on the disk, if it fits the log and all before it is acknowledged, and its text's digest."""
        checksum, _, rest = self._path(_STATE).read_bytes().partition(b"\n")
        _check(hashlib.sha256(rest).hexdigest().encode() == checksum)
        head, _, content = rest.partition(b"\n")
        told = json.loads(head)
        _check(told["checkpoint"] == _FORM and told["by"] == backhaul.__version__)
        _check(told["run_id"] == self.run.identity.run_id)
        lines = {stream: int(told["lines"][stream.name.lower()]) for stream in NUMBERED}
        _check(is_acknowledged(lines, told["starting_step"], progress))
        log = self._digest(told["log"]["size"])
        _check(log.hexdigest() == told["log"]["sha256"])
        console = told["console"]
        made = Checkpoint(log, told["run_id"], told["starting_step"], lines, int(console["size"]), content)
        return made, console["sha256"]

    def _digest(self, size: int) -> LogDigest:
        if self.known is not None and self.known.size == size:
            return self.known.copy()
        return LogDigest.of(self.run.directory.log, size)

    def _take_up(self, checkpoint: Checkpoint, console: str) -> None:
        with self._path(_CONSOLE).open("rb") if checkpoint.console else contextlib.nullcontext() as file:
            while file and (text := file.read(min(checkpoint.console - self._written, _BLOCK))):
                self.console_text.write(text)
                self._note(text)
        _check(self._written == checkpoint.console and self._sha256.hexdigest() == console)

    def _write_console(self, size: int) -> None:
        """Bring the console text's file to that size."""
        if size == self._written:
            return
        with self._path(_CONSOLE).open("r+b" if self._written else "wb") as file:
            file.seek(self._written)
            while self._written < size:
                text = self.console_text.part(self._written, min(size, self._written + _BLOCK))
                file.write(text)
                self._note(text)
            file.truncate()

    def _note(self, text: bytes) -> None:
        self._sha256.update(text)
        self._written += len(text)


def _check(holds: bool) -> None:
    if not holds:
        raise ValueError("the checkpoint does not fit")


def _check_states(checkpoint: Checkpoint) -> None:
    """Whether reader and rows take it up: found out here, where one that they do not can still be passed over."""
    reader, rows = checkpoint.states()
    LogReader(Path(), reader)
    Rows(RunIdentity(checkpoint.run_id)).restore(rows)


def _form_of(checkpoint: Checkpoint, console: str) -> bytes:
    """The state file's content; `console` is the SHA-256 of the console text before it."""
    told = {
        "checkpoint": _FORM,
        "by": backhaul.__version__,
        "log": {"size": checkpoint.log.size, "sha256": checkpoint.log.hexdigest()},
        "run_id": checkpoint.run_id,
        "starting_step": checkpoint.starting_step,
        "lines": {stream.name.lower(): checkpoint.lines[stream] for stream in NUMBERED},
        "console": {"size": checkpoint.console, "sha256": console},
    }
    rest = json.dumps(told, separators=(",", ":")).encode() + b"\n" + checkpoint.content
    return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest
