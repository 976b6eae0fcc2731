"""What a repaired log holds, and in which order."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backhaul.errors import NotAWandbLog, StillRecording, UsageError
from backhaul.repair import Mode, repair_run
from backhaul.runs.directory import RunDirectory
from backhaul.wandblog import DamageKind, LogReader
from backhaul.wandblog.framing import Framing

from ...command import RECORDED
from .conftest import head, record, row

if TYPE_CHECKING:
    from .conftest import MakeRun


def _records(log: Path) -> list[bytes]:
    with log.open("rb") as file:
        return [each.data for each in Framing(file)]


def _flip(log: Path, record_bytes: bytes) -> None:
    """Turn one byte inside a record over."""
    data = bytearray(log.read_bytes())
    data[data.index(record_bytes) + 1] ^= 0xFF
    log.write_bytes(data)


def test_every_readable_record_is_carried_as_it_is(make_run: MakeRun, tmp_path: Path) -> None:
    """Bytes of unknown fields and unknown record types go through untouched; only the damaged record is missing."""
    unknown = record(4) + b"\xea\x02\x03new"  # field 45: a record type of a release to come
    records = [*head(), row(3, 0), unknown, row(5, 1), row(6, 2), record(7, exit={"exit_code": 3})]
    run = make_run(records)
    _flip(run.log, records[4])
    report = repair_run(run, tmp_path / "new.wandb")
    assert _records(report.output) == records[:4] + records[5:]
    assert (report.kept, report.lost, report.exit_code) == (6, 1, 9)
    assert [damage.kind for damage in report.damage] == [DamageKind.BAD_CHECKSUM]


def test_the_exit_record_comes_last(make_run: MakeRun, tmp_path: Path) -> None:
    """What the Python engine wrote behind its exit record stands before it, and nothing counts as lost by that."""
    leave, summary = record(4, exit={"exit_code": 0}), record(5, summary=b"")
    run = make_run([*head(), row(3, 0), leave, summary, record(6, final=b"")])
    report = repair_run(run, tmp_path / "new.wandb")
    assert _records(report.output) == [*head(), row(3, 0), summary, record(6, final=b""), leave]
    reader = LogReader(report.output)
    assert len(list(reader)) == 6
    assert (reader.damage, reader.lost_records) == ([], 0)


def test_mode_tail_keeps_an_unbroken_beginning(make_run: MakeRun, tmp_path: Path) -> None:
    """Nothing behind the first damage is kept, and what was readable there is told."""
    records = [*head(), *(row(step + 3, step) for step in range(10))]
    run = make_run(records)
    _flip(run.log, records[6])
    report = repair_run(run, tmp_path / "new.wandb", mode=Mode.TAIL)
    assert _records(report.output) == records[:6]
    assert (report.kept, report.lost, report.exit_code) == (6, 1, 9)
    assert list(report.left_out.values()) == [5]


def test_what_ends_the_official_client_is_left_out_and_told(make_run: MakeRun, tmp_path: Path) -> None:
    """Requests, links, TensorBoard records, empty records and a second exit are not carried; each has its reason."""
    request = record(4) + b"\xa2\x06\x00"  # field 100
    bad = [request, record(5, noop_link_artifact=b"x"), record(6, tbrecord=b""), record(7)]
    leave = record(8, exit={"exit_code": 1})
    run = make_run([*head(), row(3, 0), *bad, leave, record(9, exit={"exit_code": 0})])
    report = repair_run(run, tmp_path / "new.wandb")
    assert _records(report.output) == [*head(), row(3, 0), leave]
    assert sum(report.left_out.values()) == 5
    assert (report.lost, report.exit_code) == (0, 0)


def test_a_lost_run_record_is_replaced_from_what_lies_beside_the_log(make_run: MakeRun, tmp_path: Path) -> None:
    """Without a run record no client sends anything: a new one has the id of the log's name, and precedes the rows."""
    run = make_run([head()[0], head()[1], row(3, 0)])
    _flip(run.log, head()[1])
    (run.files / "wandb-metadata.json").write_text('{"startedAt": "2026-01-02T03:04:05.000Z", "host": "node07"}')
    report = repair_run(run, tmp_path / "new.wandb")
    _, made, last = LogReader(report.output)
    assert (made.kind, made.message.run.run_id, made.message.run.host) == ("run", "abc", "node07")
    assert made.message.run.start_time.seconds == 1767323045
    assert last.data == row(3, 0)
    assert "run record was lost" in report.changes[0]


def test_a_later_run_record_stands_in_for_the_first_one_that_was_lost(make_run: MakeRun, tmp_path: Path) -> None:
    """A later one is a whole snapshot, and moves before the rows."""
    later = record(4, run={"run_id": "abc", "project": "p", "display_name": "renamed"})
    run = make_run([*head(), row(3, 0), later])
    _flip(run.log, head()[1])
    report = repair_run(run, tmp_path / "new.wandb")
    assert _records(report.output) == [head()[0], later, row(3, 0)]


def test_records_of_another_run_in_the_same_file_are_left_out(make_run: MakeRun, tmp_path: Path) -> None:
    """A file that holds two runs, as a bad copy makes it, does not mix their rows."""
    other = [record(0, run={"run_id": "other"}), record(0, history=b""), record(0, exit={})]
    mine = [record(0, header={"version_info": {"producer": "0.31.0"}}), record(0, run={"run_id": "abc"}), row(0, 1)]
    run = make_run([*mine, *other])
    report = repair_run(run, tmp_path / "new.wandb")
    assert _records(report.output) == mine
    assert sum(report.left_out.values()) == 3


def test_an_exit_record_is_added_where_there_is_none(make_run: MakeRun, tmp_path: Path) -> None:
    """It has the code that was asked for, the next number, and the newest row's runtime."""
    run = make_run([*head(), row(3, 0), row(4, 7)])
    report = repair_run(run, tmp_path / "new.wandb", add_exit=137)
    last = list(LogReader(report.output))[-1]
    assert last.kind == "exit"
    assert (last.message.num, last.message.exit.exit_code, last.message.exit.runtime) == (5, 137, 70)


def test_an_exit_record_that_is_there_stays(make_run: MakeRun, tmp_path: Path) -> None:
    """`add_exit` never contradicts the log; the report says so."""
    records = [*head(), record(3, exit={"exit_code": 4})]
    report = repair_run(make_run(records), tmp_path / "new.wandb", add_exit=0)
    assert _records(report.output) == records
    assert any("code 4" in note for note in report.notes)


def test_refused_metadata_is_mended_in_run_records_only_when_asked(make_run: MakeRun, tmp_path: Path) -> None:
    """Long tags are cut, empty ones go, what was equal after the cut is there once; unknown fields stay."""
    tags = ["good", "", "x" * 65, "x" * 70]
    refused = record(2, run={"run_id": "abc", "tags": tags, "job_type": "j" * 65}) + b"\xea\x02\x03new"
    run = make_run([head()[0], refused, row(3, 0)])
    kept = repair_run(run, tmp_path / "kept.wandb")
    assert _records(kept.output)[1] == refused
    mended = repair_run(run, tmp_path / "mended.wandb", mend_metadata=True)
    message = list(LogReader(mended.output))[1].message.run
    assert (list(message.tags), message.job_type) == (["good", "x" * 64], "j" * 64)
    assert _records(mended.output)[1].endswith(b"\xea\x02\x03new")
    assert any(repr("x" * 70) in change for change in mended.changes)


def test_a_damaged_file_header_costs_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    """The first seven bytes are the same in every log: a new log has them, and all records."""
    records = [*head(), row(3, 0), record(4, exit={})]
    run = make_run(records)
    data = run.log.read_bytes()
    for bad in (bytes(7), b":W&C" + data[4:7]):
        run.log.write_bytes(bad + data[7:])
        target = tmp_path / f"{bad.hex()}.wandb"
        report = repair_run(run, target)
        assert target.read_bytes() == data
        assert data.startswith(b":W&B\xe1\xbe\x00")
        assert (report.kept, report.exit_code) == (4, 0)


def test_a_file_of_zeros_is_a_total_loss(make_run: MakeRun, tmp_path: Path) -> None:
    """A disk that lost the content left its length: what files/ has is all there is, and the loss is told."""
    run = make_run([])
    run.log.write_bytes(bytes(100_000))
    (run.files / "wandb-summary.json").write_text('{"loss": 0.5, "_step": 9}')
    report = repair_run(run, tmp_path / "new.wandb")
    assert [(damage.length, damage.kind) for damage in report.damage] == [(100_000, DamageKind.ZEROED)]
    assert "summary" in report.recovered
    assert report.exit_code == 9


def test_a_log_that_is_being_written_is_left_alone(make_run: MakeRun, tmp_path: Path) -> None:
    """Repairing it would call the live part of it lost."""
    run = make_run(head())
    with run.log.open("ab"), pytest.raises(StillRecording):
        repair_run(run, tmp_path / "new.wandb")
    assert not (tmp_path / "new.wandb").exists()


def test_a_place_that_is_not_there_is_told(make_run: MakeRun, tmp_path: Path) -> None:
    """The error names it, and nothing is made."""
    run = make_run(head())
    with pytest.raises(UsageError, match="missing"):
        repair_run(run, tmp_path / "missing" / "new.wandb")
    assert list(run.path.parent.iterdir()) == [run.path]
    assert not (tmp_path / "missing").exists()


def test_a_repair_that_fails_halfway_leaves_nothing_behind(make_run: MakeRun) -> None:
    """A file in the way of the folder `repaired`: the error names it, and no half-made run directory is there."""
    run = make_run(head())
    blocking = run.path.parent / "repaired"
    blocking.write_text("a file of the user's")
    with pytest.raises(UsageError, match="repaired"):
        repair_run(run)
    assert {path.name for path in run.path.parent.iterdir()} == {run.path.name, "repaired"}
    assert blocking.read_text() == "a file of the user's"


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    """Repair never makes a log of something else."""
    log = tmp_path / "run-x.wandb"
    log.write_bytes(b"SQLite format 3\x00" + bytes(4000))
    with pytest.raises(NotAWandbLog):
        repair_run(RunDirectory(tmp_path, log))
    assert list(tmp_path.iterdir()) == [log]


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_damaged_the_new_log_is_whole_and_holds_only_true_records(seed: int, tmp_path: Path) -> None:
    """Flips, zeroed and missing pages at random places of a real log: the result has no damage but missing numbers."""
    original = next(RECORDED.glob("0.31.0-long/offline-run-*/*.wandb"))
    true = _records(original)
    chance = random.Random(seed)
    data = bytearray(original.read_bytes())
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(data)), chance.choice([1, 1, 7, 512, 4096])
        match chance.randrange(3):
            case 0:
                data[at : at + length] = bytes(byte ^ 0xFF for byte in data[at : at + length])
            case 1:
                data[at : at + length] = bytes(len(data[at : at + length]))
            case _:
                del data[at : at + length]
    log = tmp_path / "run-rec-0310-long.wandb"
    log.write_bytes(data)
    report = repair_run(RunDirectory(tmp_path, log), tmp_path / "new.wandb")
    kept = _records(report.output)
    made = [each for each in kept if each not in true]
    assert len(kept) - len(made) == report.kept
    assert len(made) == (1 if any("run record was lost" in change for change in report.changes) else 0)
    reader = LogReader(report.output)
    kinds = [record.kind for record in reader]
    assert {damage.kind for damage in reader.damage} <= {DamageKind.NUMBER_GAP}
    assert kinds.count("run") >= 1
    assert "exit" not in kinds[:-1]
    assert log.read_bytes() == data
    if report.lost is not None:
        assert report.kept + report.lost <= len(true)
