"""Reading that was cut anywhere and gone on from a checkpoint says the same as reading that never stopped."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backhaul.runs.identity import RunIdentity
from backhaul.runs.payloads import content_of
from backhaul.runs.rows import Stream
from backhaul.sync.batch import BatchMaker
from backhaul.sync.checkpoint import Captures, Checkpoint
from backhaul.sync.console_text import ConsoleText
from backhaul.sync.log_digest import LogDigest, sha256_of

from ...long_logs import damaged, grown, odd

_RECORDED = sorted(Path(__file__).parents[2].glob("recorded/*/*/*.wandb"))
_SIZE = 150_000
_SEEDS = 6


pytestmark = pytest.mark.usefixtures("small_steps")


@dataclass(frozen=True)
class _Told:
    """All that a reading of a log says; `checkpoints` are those on the way."""

    lines: dict[tuple[Stream, int], str]
    rest: dict[str, Any]
    console: bytes
    checkpoints: list[Checkpoint]


def _read(log: Path, start: Checkpoint | None = None, console: bytes = b"", starting_step: int = 3) -> _Told:
    lines: dict[tuple[Stream, int], str] = {}
    checkpoints: list[Checkpoint] = []
    digest = LogDigest() if start is None else start.log.copy()
    captures = Captures("hint", starting_step, digest)
    with ConsoleText() as text:
        text.write(console)
        maker = BatchMaker(
            log, RunIdentity("hint"), False, starting_step, text, batch_bytes=1, start=start, captures=captures
        )
        maker.rows.go_on_from('{"earlier": {"value": 1}}', '{"earlier": 2}')
        while (batch := maker.next()) is not None:
            for stream, number, line in batch.numbered():
                assert lines.setdefault((stream, number), line) == line
            if batch.checkpoint is not None and batch.checkpoint not in checkpoints[-1:]:
                checkpoints.append(batch.checkpoint)
        payload = text.payload("output.log")
        whole_text = b"" if payload is None else content_of(payload)
    assert digest.hexdigest() == sha256_of(log, log.stat().st_size)
    return _Told(lines, _rest(maker), whole_text, checkpoints)


def _rest(maker: BatchMaker) -> dict[str, Any]:
    rows, reader = maker.rows, maker.reader
    return {
        "summary": rows.summary_json(),
        "config": rows.config_json(),
        "yaml": rows.config_yaml(),
        "metadata": rows.environment.metadata_json(),
        "identity": rows.identity,
        "files": list(rows.files),
        "artifacts": [each.SerializeToString() for each in rows.artifacts],
        "alerts": [each.SerializeToString() for each in rows.alerts],
        "exit": rows.exit,
        "preempting": rows.preempting,
        "set_aside": rows.set_aside,
        "engine": rows.recorded_by_python_engine,
        "end": (reader.end, reader.size, reader.producer, reader.notes, reader.tear),
        "damage": reader.damage,
    }


def _assert_all_cuts_are_alike(log: Path, fewest: int) -> None:
    whole = _read(log)
    assert len(whole.checkpoints) >= fewest
    for start in whole.checkpoints:
        part = _read(log, start, whole.console[: start.console])
        expected = {
            place: line for place, line in whole.lines.items() if place[1] >= start.lines[place[0]] - _again(place[0])
        }
        assert part.lines == expected
        assert part.rest == whole.rest
        assert part.console == whole.console
        later = {each.log.size: _plain(each) for each in part.checkpoints}
        for each in whole.checkpoints:
            assert each.log.size <= start.log.size or later[each.log.size] == _plain(each)


def _again(stream: Stream) -> int:
    """How many lines before the checkpoint are made once more."""
    return int(stream is Stream.HISTORY)


def _plain(checkpoint: Checkpoint) -> tuple[Any, ...]:
    return checkpoint.log.hexdigest(), checkpoint.lines, checkpoint.console, checkpoint.content


@pytest.mark.parametrize("recorded", _RECORDED, ids=lambda log: log.parts[-3])
def test_every_recorded_log_says_the_same_from_wherever_it_is_read_on(recorded: Path, tmp_path: Path) -> None:
    """Lines, numbers, summary, config, files, damage, text, digest, and later checkpoints, to the byte."""
    log = tmp_path / "run-grown.wandb"
    if recorded.stat().st_size <= 7:
        log.write_bytes(recorded.read_bytes())
        return _assert_all_cuts_are_alike(log, 0)
    log.write_bytes(grown(recorded, _SIZE))
    return _assert_all_cuts_are_alike(log, 5)


@pytest.mark.parametrize("seed", range(_SEEDS))
def test_odd_logs_say_the_same_from_wherever_they_are_read_on(seed: int, tmp_path: Path) -> None:
    """Progress bars, nested and removed values, metrics, config, both engines, in any order."""
    log = tmp_path / "run-odd.wandb"
    log.write_bytes(odd(seed, _SIZE))
    _assert_all_cuts_are_alike(log, 2)


@pytest.mark.parametrize("seed", range(_SEEDS))
def test_damaged_logs_say_the_same_from_wherever_they_are_read_on(seed: int, tmp_path: Path) -> None:
    """Flipped bits; pages missing, zero, or there twice: what was found before is told, and nothing twice."""
    log, chance = tmp_path / "run-hurt.wandb", random.Random(seed)
    whole = odd(seed, _SIZE) if chance.random() < 0.5 else grown(chance.choice(_RECORDED[:20]), _SIZE)
    log.write_bytes(damaged(whole, chance))
    _assert_all_cuts_are_alike(log, 1)


def test_another_log_in_the_same_file_is_not_taken_for_this_one_after_a_cut_inside_it(tmp_path: Path) -> None:
    """Where it began is remembered; so is the run that this log is of."""
    log = tmp_path / "run-two.wandb"
    log.write_bytes(odd(2, 90_000) + odd(5, 90_000))
    _assert_all_cuts_are_alike(log, 4)


def test_a_growing_log_says_the_same_from_where_it_ended_before(tmp_path: Path) -> None:
    """What was read of a part of it is gone on from when there is more, as in each round of following a run."""
    log, whole = tmp_path / "run-growing.wandb", odd(1, _SIZE)
    starts: list[tuple[Checkpoint, bytes]] = []
    for size in range(90_000, len(whole), 11_000):
        log.write_bytes(whole[:size])
        told = _read(log, *(starts[-1] if starts else ()))
        if told.checkpoints:
            starts.append((told.checkpoints[-1], told.console[: told.checkpoints[-1].console]))
    log.write_bytes(whole)
    once, last = _read(log), starts[-1]
    assert len(starts) >= 5
    assert last[0].log.size > 100_000
    assert last[1] == once.console[: last[0].console]
    part = _read(log, *last)
    assert part.rest == once.rest
    assert part.lines.items() <= once.lines.items()


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_thousands_of_odd_logs_say_the_same_from_wherever_they_are_read_on(tmp_path: Path) -> None:
    """The same, whole and damaged, for an hour."""
    log = tmp_path / "run-odd.wandb"
    for seed in range(1000, 3000):
        chance = random.Random(seed)
        whole = odd(seed, _SIZE)
        log.write_bytes(damaged(whole, chance) if chance.random() < 0.7 else whole)
        try:
            _assert_all_cuts_are_alike(log, 0)
        except BaseException as error:
            raise AssertionError(f"seed {seed}") from error
