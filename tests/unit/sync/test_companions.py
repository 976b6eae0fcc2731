"""Parts of a run that nobody named: which of them have a say in where the named ones go."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from backhaul.runs.directory import RunDirectory
from backhaul.runs.inspect import Inspection, inspect
from backhaul.sync.companions import companions_of, known_end
from backhaul.sync.destination import Destination
from backhaul.sync.ledger import Ledger
from backhaul.sync.progress import begin_entry, no_lines
from backhaul.wandblog import LogWriter
from backhaul.wandblog.schema import Record

_TO = Destination("http://there", entity="e", project="p")
_ID = "abc"


def _part(
    folder: Path, began: int, run_id: str = _ID, kind: str = "offline-run", *, resumes: bool = False
) -> Inspection:
    home = folder / f"{kind}-20260101_0000{began:02}-{run_id}"
    home.mkdir(parents=True)
    log = home / f"run-{run_id}.wandb"
    with log.open("wb") as file:
        record = Record(num=1)
        record.run.run_id = run_id
        record.run.start_time.seconds = began
        record.run.resume = resumes
        LogWriter(file).write(record.SerializeToString())
    return inspect(RunDirectory(home, log))


def _sent(run: Inspection, state: Path, to: Destination = _TO) -> None:
    with Ledger.open(run.directory.log, state) as ledger:
        ledger.record(to.key(run.identity), begin_entry(no_lines(), no_lines() | {"wandb-history.jsonl": 4}, 0, False))


def test_the_parts_that_were_sent_there_before_count(tmp_path: Path) -> None:
    """Same folder, same id, same destination: not one that was never sent, sent elsewhere, or of another run."""
    named, earlier, later, unsent, elsewhere = (_part(tmp_path, began) for began in (20, 10, 30, 40, 50))
    another = _part(tmp_path, 11, run_id="xyz")
    far = _part(tmp_path / "far", 12)
    for run in (earlier, later, another, far):
        _sent(run, tmp_path / "state")
    _sent(elsewhere, tmp_path / "state", Destination("http://elsewhere"))
    assert companions_of([named], _TO, tmp_path / "state") == [earlier, later]
    assert companions_of([named, later], _TO, tmp_path / "state") == [earlier]
    assert unsent not in companions_of([named, unsent], _TO, tmp_path / "state")
    assert known_end(earlier, _TO, tmp_path / "state") == no_lines() | {"wandb-history.jsonl": 4}


def _receipted(log: Path, state: Path, name: str = f"{_ID}-0123456789ab.json") -> None:
    receipt = state / "receipts" / "there" / "e" / "p" / name
    receipt.parent.mkdir(parents=True, exist_ok=True)
    receipt.write_text(json.dumps({"log": {"path": str(log)}}))


def test_a_part_counts_where_it_got_its_receipt(tmp_path: Path) -> None:
    """In a folder of its own, if the later part resumes; not one of another run, not one that is gone."""
    state = tmp_path / "state"
    named, beside = _part(tmp_path, 20), _part(tmp_path, 21)
    far, another = _part(tmp_path / "far", 30, resumes=True), _part(tmp_path / "far", 31, run_id=f"{_ID}-x")
    # Before the named one, which does not say that it goes on; behind it, and does not say so itself.
    earlier, namesake = _part(tmp_path / "far", 10), _part(tmp_path / "far", 32)
    for number, run in enumerate((earlier, namesake)):
        _receipted(run.directory.log, state, f"{_ID}-0123456789b{number}.json")
    for run in (beside, far, another, earlier, namesake):
        _sent(run, state)
    _receipted(far.directory.log, state)
    _receipted(beside.directory.log, state, f"{_ID}-0123456789ac.json")
    _receipted(another.directory.log, state, f"{_ID}-x-0123456789ab.json")
    _receipted(tmp_path / "gone" / f"run-{_ID}.wandb", state, f"{_ID}-0123456789ad-carried.json")
    (state / "receipts" / "there" / "e" / "p" / f"{_ID}-0123456789ae.json").write_text("no receipt")
    assert companions_of([named], _TO, state) == [beside, far]


def test_a_second_copy_of_a_part_is_none(tmp_path: Path) -> None:
    """A repaired log holds the same rows: it must not be taken for another session."""
    named = _part(tmp_path, 20)
    copy = _part(tmp_path, 20, kind="offline-repaired")
    _sent(copy, tmp_path / "state")
    assert companions_of([named], _TO, tmp_path / "state") == []


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    """A folder without a log, a log of nothing, a folder that is gone: none of it stops the named part."""
    named = _part(tmp_path, 20)
    (tmp_path / f"offline-run-20260101_000001-{_ID}").mkdir()
    broken = tmp_path / f"offline-run-20260101_000002-{_ID}"
    broken.mkdir()
    (broken / f"run-{_ID}.wandb").touch()
    assert companions_of([named], _TO, tmp_path / "state") == []
    shutil.rmtree(tmp_path)
    assert companions_of([named], _TO, tmp_path / "state") == []
