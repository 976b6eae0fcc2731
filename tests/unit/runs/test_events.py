"""Stats records become the lines of the system metrics, also in a log that does not say when its run began."""

from __future__ import annotations

import json
from pathlib import Path

from backhaul.runs.directory import RunDirectory
from backhaul.runs.identity import RunIdentity
from backhaul.runs.local_run import LocalRun
from backhaul.runs.reading import read_log
from backhaul.runs.rows import Rows, Stream
from backhaul.wandblog import LogReader, LogWriter
from backhaul.wandblog.schema import Record


def _log(path: Path, *, with_run: bool) -> Path:
    records = [Record(header={"version_info": {"producer": "0.31.0"}})]
    if with_run:
        records.append(Record(run={"run_id": "abc", "start_time": {"seconds": 1000}}))
    for second in (1010, 1025):
        record = Record(stats={"timestamp": {"seconds": second, "nanos": 500_000_000}})
        record.stats.item.add(key="cpu", value_json=b"12.50")
        record.stats.item.add(key="odd", value_json=b"oops")
        records.append(record)
    with path.open("wb") as file:
        writer = LogWriter(file)
        for number, record in enumerate(records, start=1):
            record.num = number
            writer.write(record.SerializeToString())
    return path


def test_the_runtime_counts_from_the_start_of_the_run(tmp_path: Path) -> None:
    """The names get `system.` before them; what is no JSON is left out."""
    (first, second) = LocalRun(RunDirectory(tmp_path, _log(tmp_path / "run-abc.wandb", with_run=True))).event_lines()
    assert first == '{"_wandb":true,"_timestamp":1010.5,"_runtime":10.5,"system.cpu":12.50}'
    assert json.loads(second)["_runtime"] == 25.5


def test_in_a_log_that_lost_its_run_record_it_counts_from_the_first_metric(tmp_path: Path) -> None:
    """None of them is lost, whoever reads, and also when the reading is interrupted in between."""
    log = _log(tmp_path / "run-abc.wandb", with_run=False)
    assert read_log(log, "abc").lines[Stream.EVENTS] == 2
    lines, state = [], Rows(RunIdentity("abc")).state()
    for record in LogReader(log):
        rows = Rows(RunIdentity("abc"))
        rows.restore(json.loads(json.dumps(state)))
        if record.kind == "stats":
            rows._take_stats(record.content)
        lines += rows.pending[Stream.EVENTS].take()[1]
        state = rows.state()
    assert [json.loads(line)["_runtime"] for line in lines] == [0.0, 15.0]
    assert lines == list(LocalRun(RunDirectory(tmp_path, log)).event_lines())
