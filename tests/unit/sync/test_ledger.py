"""The ledger: what it was told it knows for ever, whatever happens to the process, the disk and the file."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from backhaul.errors import DiskFull, LedgerUnwritable, RunBusy
from backhaul.runs.payloads import Digest
from backhaul.runs.rows import Stream
from backhaul.sync.ledger import Ledger, read_ledger
from backhaul.sync.parts import PartsSent, part_entry, whole_entry
from backhaul.sync.progress import (
    LogStamp,
    Progress,
    Refusal,
    artifact_entry,
    begin_entry,
    files_entry,
    lines_entry,
    no_lines,
    refused_entry,
    taken_entry,
    verified_entry,
)

_A, _B = "https://a e/p/r", "https://b e/p/r"


def _lines(history: int, events: int = 0, output: int = 0) -> dict[Stream, int]:
    return {Stream.HISTORY: history, Stream.EVENTS: events, Stream.OUTPUT: output}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log that a ledger can lie beside."""
    path = tmp_path / "run" / "run-abc.wandb"
    path.parent.mkdir()
    path.write_bytes(b":W&B and more")
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The user's state folder."""
    return tmp_path / "state"


def _beside(log: Path) -> Path:
    return log.with_name("run-abc.wandb.backhaul")


_STORY = [
    begin_entry(_lines(5), no_lines(), 3, True),
    lines_entry(_lines(10, 2, 1)),
    lines_entry(_lines(20, 4, 2)),
    refused_entry(Stream.HISTORY, 7, Refusal("history row of step 7", "no")),
    refused_entry(Stream.OUTPUT, 1, Refusal("console line 1", "no")),
    taken_entry(Stream.OUTPUT, 1),
    files_entry({"a.txt": Digest(3, "kAFQmDzST7DWlj99KOF/cg==")}),
    {"what": "alerts", "count": 2},
    part_entry("bWQ1", "u1", 2, '"e0"'),
    part_entry("bWQ1", "u2", 1, '"e1"'),
    part_entry("bWQ1", "u2", 3, '"e3"'),
    part_entry("b3RoZXI=", "u3", 1, '"e"'),
    whole_entry("b3RoZXI="),
    artifact_entry(0, "QXJ0aWZhY3Q6MQ==", "0123"),
    {"what": "completed", "completed": True},
    verified_entry(LogStamp(13, 99), "/receipt", "e", "p"),
]


def _told(log: Path, state: Path, to: str = _A) -> None:
    with Ledger.open(log, state) as ledger:
        for entry in _STORY:
            ledger.record(to, entry)


def _prefixes() -> list[Progress]:
    known = [Progress()]
    for entry in _STORY:
        known.append(known[-1].after(entry))
    return known


def test_what_was_recorded_is_known_after_reopening(log: Path, state: Path) -> None:
    """Every member of the progress survives, for each destination apart."""
    _told(log, state)
    with Ledger.open(log, state) as ledger:
        ledger.record(_B, begin_entry(no_lines(), _lines(1), 0, False))
    with Ledger.open(log, state) as ledger:
        known, other = ledger.progress(_A), ledger.progress(_B)
    assert known == Progress(
        begun=True,
        base=_lines(5),
        starting_step=3,
        structured=True,
        lines=_lines(20, 4, 2),
        refused={(Stream.HISTORY, 7): Refusal("history row of step 7", "no")},
        files={"a.txt": Digest(3, "kAFQmDzST7DWlj99KOF/cg==")},
        artifacts={"0": ("QXJ0aWZhY3Q6MQ==", "0123")},
        alerts=2,
        parts={"bWQ1": PartsSent("u2", {1: '"e1"', 3: '"e3"'})},
        completed=True,
        verified=LogStamp(13, 99),
        receipt="/receipt",
        entity="e",
        project="p",
    )
    assert other == Progress(begun=True, lines=_lines(1))
    assert read_ledger(log, state)[_A] == known
    assert not state.exists()


def test_cut_at_every_byte_it_knows_exactly_the_whole_entries(log: Path, state: Path) -> None:
    """A torn tail is as if it had not been written, and the next entry after it is whole again."""
    _told(log, state)
    content = _beside(log).read_bytes()
    known = _prefixes()
    for cut in range(len(content) + 1):
        _beside(log).write_bytes(content[:cut])
        # An entry whose line feed alone is missing is whole.
        whole = sum(1 for end in _ends(content) if end <= cut + 1)
        with Ledger.open(log, state) as ledger:
            assert ledger.progress(_A) == known[whole]
            ledger.record(_A, lines_entry(_lines(77)))
        assert read_ledger(log, state).get(_A, Progress()).lines == _lines(77)


def _ends(content: bytes) -> list[int]:
    return [index + 1 for index, byte in enumerate(content) if byte == 0x0A]


def test_a_flipped_bit_anywhere_costs_that_entry_alone(log: Path, state: Path) -> None:
    """The checksum finds it, nothing raises, the other entry stands; only a flipped line end costs both."""
    with Ledger.open(log, state) as ledger:
        ledger.record(_A, begin_entry(no_lines(), _lines(7), 0, False))
        ledger.record(_B, begin_entry(no_lines(), _lines(9), 0, False))
    content = _beside(log).read_bytes()
    line_end = _ends(content)[0] - 1
    for index in range(len(content)):
        damaged = bytearray(content)
        damaged[index] ^= 0x04
        _beside(log).write_bytes(damaged)
        known = [read_ledger(log, state).get(to, Progress()).lines[Stream.HISTORY] for to in (_A, _B)]
        assert known == [7 if index > line_end else 0, 9 if index < line_end else 0]


def test_a_newer_program_s_entries_are_passed_over(log: Path, state: Path) -> None:
    """An unknown entry says nothing to us, an unknown member of a known one neither."""
    _told(log, state)
    for entry in ({"to": _A, "what": "novelty", "x": 1}, {"to": _A, "x": 1}, {"what": "lines"}, [1], "text", 7):
        text = json.dumps(entry).encode()
        with _beside(log).open("ab") as file:
            file.write(b"%08x %s\n" % (zlib.crc32(text), text))
    newer = json.dumps({"to": _A, "mood": "good", **lines_entry(_lines(21))}).encode()
    with _beside(log).open("ab") as file:
        file.write(b"%08x %s\n" % (zlib.crc32(newer), newer))
    assert read_ledger(log, state)[_A] == _prefixes()[-1].after(lines_entry(_lines(21)))


def test_a_long_ledger_is_written_anew_and_says_the_same(
    log: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand acknowledgements do not make a thousand lines for ever."""
    monkeypatch.setattr("backhaul.sync.ledger._COMPACT_AFTER_ENTRIES", 200)
    with Ledger.open(log, state) as ledger:
        for entry in _STORY:
            ledger.record(_B, entry)
        ledger.record(_A, begin_entry(no_lines(), no_lines(), 0, False))
        for number in range(1000):
            ledger.record(_A, lines_entry(_lines(number)))
    assert len(_beside(log).read_bytes().splitlines()) < 210
    assert read_ledger(log, state).get(_A, Progress()).lines == _lines(999)
    assert read_ledger(log, state)[_B] == _prefixes()[-1]
    assert [path.name for path in log.parent.iterdir()].count("run-abc.wandb.backhaul.new") == 0


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_rewriting_that_fails_leaves_the_old_ledger(
    log: Path, state: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whatever step of it fails, every entry is still known, and a left-over file does no harm."""
    monkeypatch.setattr("backhaul.sync.ledger._COMPACT_AFTER_ENTRIES", 50)
    with Ledger.open(log, state) as ledger:
        ledger.record(_A, begin_entry(no_lines(), no_lines(), 0, False))
        for number in range(49):
            ledger.record(_A, lines_entry(_lines(number)))
        real_write, real_fsync = os.write, os.fsync
        calls = {"write": 0, "fsync": 0}

        def counted_write(descriptor: int, data: bytes) -> int:
            calls["write"] += 1
            # The first write is the entry itself, the second the new file.
            if step == "write" and calls["write"] == 2:
                real_write(descriptor, bytes(data)[:10])
                raise OSError(errno.EIO, "Input/output error")
            return real_write(descriptor, data)

        def counted_fsync(descriptor: int) -> None:
            calls["fsync"] += 1
            if step == "fsync" and calls["fsync"] == 2:
                raise OSError(errno.EIO, "Input/output error")
            real_fsync(descriptor)

        def failing_replace(_self: Path, _target: Path) -> Path:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "write", counted_write)
        monkeypatch.setattr(os, "fsync", counted_fsync)
        if step == "replace":
            monkeypatch.setattr(Path, "replace", failing_replace)
        with pytest.raises(LedgerUnwritable):
            ledger.record(_A, lines_entry(_lines(1000)))
        monkeypatch.undo()
    assert read_ledger(log, state).get(_A, Progress()).lines == _lines(1000)
    with Ledger.open(log, state) as ledger:
        ledger.record(_A, lines_entry(_lines(1001)))
    assert read_ledger(log, state).get(_A, Progress()).lines == _lines(1001)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EIO, LedgerUnwritable),
        (errno.ESTALE, LedgerUnwritable),
    ],
)
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_failing_disk_is_told_and_the_entry_is_not_known(
    log: Path, state: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], call: str
) -> None:
    """What is not certainly on the disk was not acknowledged; the entries before it stand."""

    def failing(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with Ledger.open(log, state) as ledger:
        ledger.record(_A, begin_entry(no_lines(), _lines(1), 0, False))
        monkeypatch.setattr(os, call, failing)
        with pytest.raises(kind, match=os.strerror(number)):
            ledger.record(_A, lines_entry(_lines(2)))
        assert ledger.progress(_A).lines == _lines(1)
        monkeypatch.undo()


def test_an_entry_after_one_that_was_written_in_part_is_whole(
    log: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and lines are acknowledged at the same time: what fails of the one must not cost the other its entry."""
    real_write = os.write

    def short(descriptor: int, data: bytes) -> int:
        if len(data) <= 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, bytes(data)[:-20])

    with Ledger.open(log, state) as ledger:
        ledger.record(_A, begin_entry(no_lines(), no_lines(), 0, False))
        monkeypatch.setattr(os, "write", short)
        with pytest.raises(DiskFull):
            ledger.record(_A, lines_entry(_lines(5)))
        monkeypatch.undo()
        ledger.record(_A, files_entry({"a.txt": Digest(3, "x")}))
    assert read_ledger(log, state)[_A].files == {"a.txt": Digest(3, "x")}
    assert read_ledger(log, state)[_A].lines == no_lines()


def test_the_name_of_a_new_ledger_survives_a_power_cut(log: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written to a new file is only found again when the folder was written too: with the first entry, once."""
    synced: list[Path] = []
    monkeypatch.setattr("backhaul.sync.ledger_lock.sync_folder", synced.append)
    for _ in range(2):
        with Ledger.open(log, state) as ledger:
            ledger.record(_A, lines_entry(_lines(5)))
            assert synced == [log.parent]


_HOLD = """
import sys
from pathlib import Path
from backhaul.sync.ledger import Ledger
with Ledger.open(Path(sys.argv[1]), Path(sys.argv[2])) as ledger:
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_writer_at_a_time_and_a_killed_one_leaves_no_lock(log: Path, state: Path) -> None:
    """While another process has it: RunBusy; after SIGKILL it is free at once."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(log), str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunBusy):
            Ledger.open(log, state)
        other.kill()
    with Ledger.open(log, state) as ledger:
        ledger.record(_A, lines_entry(_lines(1)))


@pytest.fixture
def _without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has no locks."""

    def refused(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)


@pytest.mark.usefixtures("_without_locks")
def test_without_locks_a_living_owner_is_respected_and_a_gone_one_replaced(log: Path, state: Path) -> None:
    """The owner's name, with host, pid and start time, stands in for the lock."""
    owner = log.with_name("run-abc.wandb.backhaul.owner")
    with Ledger.open(log, state), pytest.raises(RunBusy):
        Ledger.open(log, state)
    assert not owner.exists()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    owner.write_text(json.dumps({"host": socket.gethostname(), "pid": gone.pid, "started": 1.0}))
    with Ledger.open(log, state) as ledger:
        ledger.record(_A, lines_entry(_lines(1)))
    assert not owner.exists()


@pytest.mark.usefixtures("_without_locks")
@pytest.mark.parametrize("text", [json.dumps({"host": "elsewhere", "pid": 1, "started": 1.0}), "", "{}", "[1]"])
def test_without_locks_an_owner_that_may_live_is_not_replaced(log: Path, state: Path, text: str) -> None:
    """Another host's process cannot be seen, a torn name not be read: neither is provably gone; the way out is told."""
    owner = log.with_name("run-abc.wandb.backhaul.owner")
    owner.write_text(text)
    with pytest.raises(RunBusy) as told:
        Ledger.open(log, state)
    assert str(owner) in told.value.next
    assert owner.read_text() == text


def test_a_log_that_is_moved_keeps_the_ledger_in_the_state_folder(
    log: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the run directory cannot be written the ledger goes by the log's content, not by its place."""
    real = os.open

    def refusing(path: Path, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("run-abc.wandb.backhaul"):
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    _told(log, state)
    moved = tmp_path / "elsewhere" / log.name
    moved.parent.mkdir()
    log.rename(moved)
    with Ledger.open(moved, state) as ledger:
        assert ledger.progress(_A) == _prefixes()[-1]
