"""A checkpoint is taken up only where nothing can become different by it; any other is as if it were not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import Inspection, inspect
from backhaul.runs.payloads import content_of
from backhaul.runs.rows import NUMBERED, Stream
from backhaul.sync.batch import Batch, BatchMaker
from backhaul.sync.checkpoint import Captures, Checkpoint
from backhaul.sync.checkpoints import SUFFIXES, Checkpoints
from backhaul.sync.console_text import ConsoleText
from backhaul.sync.log_digest import Beginning, LogDigest
from backhaul.sync.progress import Progress, Refusal

from ...long_logs import odd

_CONSOLE = 300_000


pytestmark = pytest.mark.usefixtures("small_steps")


@pytest.fixture(scope="module")
def original() -> bytes:
    """The log of all tests here."""
    return odd(7, 150_000)


@pytest.fixture
def run(original: bytes, tmp_path: Path) -> Inspection:
    """A run of which no sync knows anything."""
    log = tmp_path / "offline-run-1" / "run-odd.wandb"
    log.parent.mkdir()
    log.write_bytes(original)
    return inspect(RunDirectory(log.parent, log))


@pytest.fixture
def ledger(run: Inspection) -> Path:
    """Where the run's ledger is."""
    return run.directory.log.with_name(run.directory.log.name + ".backhaul")


def _batches(run: Inspection, text: ConsoleText) -> Iterator[Batch]:
    captures = Captures(run.identity.run_id, 0, LogDigest())
    maker = BatchMaker(run.directory.log, run.identity, False, 0, text, batch_bytes=1, captures=captures)
    while (batch := maker.next()) is not None:
        yield batch


def _kept(run: Inspection, ledger: Path) -> tuple[Checkpoint, bytes]:
    """The last checkpoint of a sync that was cut before its last batch, and the console text before it."""
    with ConsoleText() as text:
        checkpoints = Checkpoints(run, ledger, text)
        for batch in _batches(run, text):
            if checkpoints.is_news(batch.checkpoint):
                checkpoints.write(batch.checkpoint)
            checkpoints.keep(Progress(begun=True, lines=batch.next))
        newest = checkpoints.newest
        assert newest is not None
        return newest, text.part(0, newest.console)


def _loaded(run: Inspection, ledger: Path, progress: Progress) -> tuple[Checkpoint | None, bytes]:
    with ConsoleText() as text:
        found = Checkpoints(run, ledger, text).load(progress)
        payload = text.payload("output.log")
        return found, content_of(payload) if payload is not None else b""


def _all_of(checkpoint: Checkpoint) -> Progress:
    return Progress(begun=True, lines=checkpoint.lines)


def test_a_later_sync_goes_on_from_the_last_one(run: Inspection, ledger: Path) -> None:
    """With the text of the console before it, and a digest that goes on."""
    kept, text = _kept(run, ledger)
    found, there = _loaded(run, ledger, _all_of(kept))
    assert found is not None
    assert (found.content, found.lines, found.console) == (kept.content, kept.lines, kept.console)
    assert found.log.hexdigest() == kept.log.hexdigest()
    assert (there, len(there)) == (text, kept.console)
    assert kept.console > 100
    assert kept.log.size > 120_000


def test_what_was_looked_at_ahead_is_not_read_again(run: Inspection, ledger: Path) -> None:
    """The digest is taken while the destination is asked: by the time of the answer the log may even be gone."""
    kept, _ = _kept(run, ledger)
    with ConsoleText() as text:
        checkpoints = Checkpoints(run, ledger, text)
        checkpoints.look_ahead()
        run.directory.log.unlink()
        found = checkpoints.load(_all_of(kept))
    assert found is not None
    assert found.log.hexdigest() == kept.log.hexdigest()


def test_a_look_ahead_believes_no_more_than_the_digest(run: Inspection, ledger: Path, original: bytes) -> None:
    """A log with one other byte is read from its beginning, as without the look; so is one without a checkpoint."""
    kept, _ = _kept(run, ledger)
    run.directory.log.write_bytes(original[:60_000] + bytes([original[60_000] ^ 1]) + original[60_001:])
    with ConsoleText() as text:
        checkpoints = Checkpoints(run, ledger, text)
        checkpoints.look_ahead()
        assert checkpoints.load(_all_of(kept)) is None
    ledger.with_name(ledger.name + SUFFIXES[0]).write_bytes(b"no checkpoint")
    Checkpoints(run, ledger, text).look_ahead()


def test_the_folder_may_be_moved(run: Inspection, ledger: Path, tmp_path: Path) -> None:
    """Nothing in it says where it lies."""
    kept, _ = _kept(run, ledger)
    moved = run.directory.path.rename(tmp_path / "elsewhere")
    there = inspect(RunDirectory(moved, moved / run.directory.log.name))
    assert _loaded(there, moved / ledger.name, _all_of(kept))[0] is not None


@pytest.mark.parametrize("stream", NUMBERED)
def test_it_is_not_gone_on_from_when_a_line_before_it_is_not_acknowledged(
    run: Inspection, ledger: Path, stream: Stream
) -> None:
    """A server that came back from a backup, or a ledger that was put back: the line has to be made again."""
    kept, _ = _kept(run, ledger)
    assert kept.lines[stream] > 0
    fewer = Progress(begun=True, lines={**kept.lines, stream: kept.lines[stream] - 1})
    assert _loaded(run, ledger, fewer) == (None, b"")


def test_it_is_not_gone_on_from_when_a_line_before_it_is_a_stand_in(run: Inspection, ledger: Path) -> None:
    """Each sync tries such a line once more; one behind it does not matter."""
    kept, _ = _kept(run, ledger)
    more = {stream: count + 5 for stream, count in kept.lines.items()}
    behind, before = kept.lines[Stream.HISTORY], kept.lines[Stream.HISTORY] - 1
    for number, fits in ((behind, True), (before, False)):
        progress = Progress(begun=True, lines=more, refused={(Stream.HISTORY, number): Refusal("row", "no")})
        assert (_loaded(run, ledger, progress)[0] is not None) is fits


def test_it_is_not_gone_on_from_when_steps_count_from_elsewhere(run: Inspection, ledger: Path) -> None:
    """The same rows have other steps there."""
    kept, _ = _kept(run, ledger)
    assert _loaded(run, ledger, Progress(begun=True, lines=kept.lines, starting_step=1)) == (None, b"")


def _flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def _resealed(data: bytes, old: bytes, new: bytes) -> bytes:
    """A state file that says something else, with the right checksum."""
    rest = data.partition(b"\n")[2].replace(old, new, 1)
    return sha256(rest).hexdigest().encode() + b"\n" + rest


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: bytes(len(data)),
        lambda data: _flip(data, 3),
        lambda data: _flip(data, 70),
        lambda data: _flip(data, len(data) - 9),
        lambda data: b"\xff\xfe" + data,
        # Whole, and of another program, form, run, or without what has to be in it.
        lambda data: _resealed(data, b'"by":"', b'"by":"9.'),
        lambda data: _resealed(data, b'"checkpoint":1', b'"checkpoint":2'),
        lambda data: _resealed(data, b'"run_id":"odd"', b'"run_id":"other"'),
        lambda data: _resealed(data, b'"ownership":', b'"owner":'),
        lambda data: _resealed(data, b'"telemetry":', b'"tele":'),
        lambda data: _resealed(data, b'"rows":{', b'"rows":["'),
        lambda data: _resealed(data, b'"lines":{', b'"lines":[{'),
        lambda data: _resealed(data, b'"size":', b'"size":"'),
        lambda data: _resealed(data, data.partition(b"\n")[2], b"[" * 100_000),
    ],
)
def test_one_that_was_changed_is_as_if_it_were_not_there(
    run: Inspection, ledger: Path, change: Callable[[bytes], bytes]
) -> None:
    """Cut, flipped, of another version, of another shape."""
    kept, _ = _kept(run, ledger)
    path = ledger.with_name(ledger.name + ".checkpoint")
    whole = path.read_bytes()
    changed = change(whole)
    assert changed != whole
    path.write_bytes(changed)
    assert _loaded(run, ledger, _all_of(kept)) == (None, b"")
    path.write_bytes(whole)
    assert _loaded(run, ledger, _all_of(kept))[0] is not None


@pytest.mark.parametrize(
    "change", [lambda text: text[:-1], lambda text: _flip(text, 5), lambda text: bytes(len(text)), lambda _: b""]
)
def test_a_console_text_that_was_changed_is_not_sent(
    run: Inspection, ledger: Path, change: Callable[[bytes], bytes]
) -> None:
    """All of it is made again; nothing of the other one is left in it."""
    kept, _ = _kept(run, ledger)
    path = ledger.with_name(ledger.name + ".console")
    path.write_bytes(change(path.read_bytes()))
    assert _loaded(run, ledger, _all_of(kept)) == (None, b"")
    path.unlink()
    assert _loaded(run, ledger, _all_of(kept)) == (None, b"")


@pytest.mark.parametrize(
    "change",
    [
        lambda log: log[:110_000],
        lambda log: _flip(log, 100_000),
        lambda log: _flip(log, 9),
        lambda _: odd(8, 250_000),
    ],
)
def test_another_log_of_that_name_is_read_from_its_start(
    run: Inspection, ledger: Path, change: Callable[[bytes], bytes], original: bytes
) -> None:
    """One that shrank, was changed in place, or took the other's place."""
    kept, _ = _kept(run, ledger)
    run.directory.log.write_bytes(change(original))
    assert _loaded(run, ledger, _all_of(kept)) == (None, b"")


def test_a_log_that_has_grown_is_gone_on_with(run: Inspection, ledger: Path, original: bytes) -> None:
    """Its beginning is what counts."""
    kept, _ = _kept(run, ledger)
    run.directory.log.write_bytes(original + original[7:50_000])
    assert _loaded(run, ledger, _all_of(kept))[0] is not None


def test_where_it_cannot_be_written_there_is_none(run: Inspection, tmp_path: Path) -> None:
    """A sync goes on without, and tries no more."""
    with ConsoleText() as text:
        checkpoints = Checkpoints(run, tmp_path / "gone" / "ledger", text)
        found = [batch.checkpoint for batch in _batches(run, text) if checkpoints.is_news(batch.checkpoint)]
        checkpoints.write(found[0])
        checkpoints.keep(Progress(begun=True, lines=dict.fromkeys(NUMBERED, 10**6)))
        assert (checkpoints.newest, checkpoints.is_news(found[1])) == (None, False)


def test_what_was_written_counts_once_it_is_acknowledged(run: Inspection, ledger: Path) -> None:
    """Until then the one before it does."""
    with ConsoleText() as text:
        checkpoints = Checkpoints(run, ledger, text)
        first, second = [batch.checkpoint for batch in _batches(run, text) if checkpoints.is_news(batch.checkpoint)][
            1:3
        ]
        for checkpoint in (first, second):
            checkpoints.write(checkpoint)
            if checkpoint is first:
                checkpoints.keep(_all_of(first))
        checkpoints.keep(_all_of(first))
        assert checkpoints.newest is first
        found, _ = _loaded(run, ledger, _all_of(second))
        assert found is not None
        assert found.lines == first.lines
        checkpoints.keep(_all_of(second))
        found, _ = _loaded(run, ledger, _all_of(second))
        assert found is not None
        assert found.lines == second.lines


def test_nothing_is_left_when_it_is_removed(run: Inspection, ledger: Path) -> None:
    """No file but the log."""
    _kept(run, ledger)
    assert len(list(run.directory.path.iterdir())) == 3
    Checkpoints(run, ledger, ConsoleText()).remove()
    assert [path.name for path in run.directory.path.iterdir()] == [run.directory.log.name]
    assert len(SUFFIXES) == 3


def test_a_sync_that_goes_on_takes_further_ones(run: Inspection, ledger: Path) -> None:
    """Their console text is added to what is there."""
    kept, _ = _kept(run, ledger)
    with ConsoleText() as text:
        checkpoints = Checkpoints(run, ledger, text)
        start = checkpoints.load(_all_of(kept))
        assert start is not None
        run.directory.log.write_bytes(run.directory.log.read_bytes() + odd(9, 150_000)[7:])
        captures = Captures(run.identity.run_id, 0, start.log.copy())
        maker = BatchMaker(
            run.directory.log, run.identity, False, 0, text, batch_bytes=1, start=start, captures=captures
        )
        while (batch := maker.next()) is not None:
            if checkpoints.is_news(batch.checkpoint):
                checkpoints.write(batch.checkpoint)
                checkpoints.keep(Progress(begun=True, lines=batch.next))
        assert checkpoints.newest is not None
        further, whole = checkpoints.newest, text.part(0, text.size)
    assert further.log.size > kept.log.size
    found, there = _loaded(run, ledger, _all_of(further))
    assert found is not None
    assert there == whole[: further.console]


def test_what_is_known_of_a_log_s_beginning_holds_for_that_file(run: Inspection, ledger: Path) -> None:
    """While a run is followed its beginning is not read again; another file of the name is."""
    kept, _ = _kept(run, ledger)
    log, beginning = run.directory.log, Beginning()
    assert beginning.look(log) is None
    beginning.know(kept.log)
    with log.open("ab") as file:
        file.write(b"more")
    assert beginning.look(log) is kept.log
    other = log.with_name("other")
    other.write_bytes(log.read_bytes())
    other.replace(log)
    assert beginning.look(log) is None
    log.unlink()
    assert beginning.look(log) is None
    assert beginning.look(log) is None


def test_a_long_console_text_is_kept_whole(run: Inspection, ledger: Path) -> None:
    """One that is too long for the memory, too."""
    line = b"x" * 99 + b"\n"
    made = Checkpoint(LogDigest.of(run.directory.log, 1000), "odd", 0, dict.fromkeys(NUMBERED, 0), _CONSOLE, b"{}")
    with ConsoleText() as text:
        text.write(line * (_CONSOLE // 100))
        checkpoints = Checkpoints(run, ledger, text)
        checkpoints.write(made)
        text.write(line)
        assert ledger.with_name(ledger.name + ".console").read_bytes() == line * (_CONSOLE // 100)
        head = json.loads(ledger.with_name(ledger.name + ".checkpoint.new").read_bytes().split(b"\n")[1])
        assert head["console"]["size"] == _CONSOLE
