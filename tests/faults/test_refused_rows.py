"""A row that the server refuses costs that row alone; a request that is too large is cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from backhaul.wandblog import LogReader
from backhaul.wandblog.schema import Record, SummaryRecord

from ..command import Backhaul, copy_of, id_of, ledger_of, log_of, marker_of
from ..conftest import DepotProcess
from ..depot_contents import held
from ..fault_proxy import FaultProxy, Seen, refusal, when
from ..long_logs import framed

_WORDS = "the metric is not allowed here"


def _has_content_of(*steps: int) -> Callable[[Seen], bool]:
    """Whether a request carries the loss that was logged at one of these steps."""

    def carries(seen: Seen) -> bool:
        content = seen.json.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        return any("loss" in row and row["_step"] in steps for row in map(json.loads, content))

    return carries


def test_a_refused_row_is_found_and_the_rest_goes_on(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """Two of 300 rows are refused: 298 arrive at their numbers, the two are named by step with the server's words."""
    proxy.always("file_stream", when(_has_content_of(0, 170), refusal(422, _WORDS)))
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (6, "quarantined"), done.stderr
    assert [item["what"] for item in done.only["quarantined"]] == ["history row of step 0", "history row of step 170"]
    assert all(_WORDS in item["reason"] and item["next"] for item in done.only["quarantined"])
    assert json.loads(Path(done.only["receipt"]).read_text())["quarantined"] == done.only["quarantined"]
    there = held(depot.data, project, "healthy")
    assert [row["_step"] for row in there.rows] == list(range(300))
    assert [row["_step"] for row in there.rows if "loss" not in row] == [0, 170]
    assert (there.run.state, marker_of(healthy).exists()) == ("finished", False)
    assert len(proxy.of("file_stream")) < 80
    entries = [json.loads(line.partition(" ")[2]) for line in ledger_of(healthy).read_text().splitlines()]
    refused = [entry for entry in entries if entry["what"] == "refused"]
    assert [(entry["stream"], entry["line"]) for entry in refused] == [("history", 0), ("history", 170)]
    assert all(_WORDS in entry["reason"] for entry in refused)


def test_a_row_that_is_taken_later_comes_to_its_old_number(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """The same command tries a refused row again, and it alone: the run becomes verified, each row there once."""
    through = backhaul.to(proxy.url)
    proxy.always("file_stream", when(_has_content_of(170), refusal(400, _WORDS)))
    assert through.sync(healthy, "-p", project).exit_code == 6
    again = through.sync(healthy, "-p", project)
    assert (again.exit_code, len(again.only["quarantined"])) == (6, 1)
    proxy.heal()
    proxy.seen.clear()
    done = through.sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"], done.only["quarantined"]) == (0, "verified", []), done.stderr
    assert [(stream, number) for stream, number, _ in proxy.lines()] == [
        ("wandb-history.jsonl", 170),
        ("wandb-summary.json", 0),
    ]
    rows = held(depot.data, project, "healthy").rows
    assert [row["loss"] for row in rows] == [1 / (step + 1) for step in range(300)]


@pytest.mark.parametrize(("status", "code"), [(400, "bad-request"), (413, "too-large")])
def test_a_refusal_that_is_not_about_content_is_told_after_few_requests(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str, status: int, code: str
) -> None:
    """Everything is refused: so no row is to blame, none is quarantined, and the server's words end the run."""
    proxy.always("file_stream", refusal(status, _WORDS))
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, done.only["error"]["code"], done.only["quarantined"]) == (7, code, [])
    assert _WORDS in done.only["error"]["message"]
    assert len(proxy.of("file_stream")) < 30


def test_a_run_of_which_everything_is_refused_ends_at_the_bound(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """A hundred refused rows are set aside; with one more the run is left to its user."""
    proxy.always("file_stream", when(_has_content_of(*range(300)), refusal(400, _WORDS)))
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, done.only["error"]["code"]) == (7, "bad-request"), done.stderr
    assert "More than 100 lines" in done.only["error"]["message"]


def test_a_request_that_is_too_large_is_cut_and_the_size_is_remembered(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """A server that takes 6,000 bytes: everything arrives, and once the size is known nothing larger is sent."""
    proxy.always("file_stream", when(lambda seen: len(seen.body) > 6000, refusal(413, "too large")))
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    sizes = [len(seen.body) for seen in proxy.of("file_stream")]
    refused = [size for size in sizes if size > 6000]
    assert refused == sizes[: len(refused)]
    assert len(held(depot.data, project, "healthy").rows) == 300


def test_a_row_that_is_too_large_for_the_server_is_set_aside(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """No cutting makes one row smaller: it is quarantined, and its place is kept."""
    large = _has_content_of(299)
    proxy.always("file_stream", when(large, refusal(413, "too large")))
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, [item["what"] for item in done.only["quarantined"]]) == (6, ["history row of step 299"])
    assert len(held(depot.data, project, "healthy").rows) == 300


def test_a_refused_summary_does_not_keep_the_end_back(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """The rows, the files and the end arrive; the summary is quarantined."""
    has_summary = when(lambda seen: b"wandb-summary.json" in seen.body and b"offset" in seen.body, refusal(400, _WORDS))
    proxy.always("file_stream", has_summary)
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, [item["what"] for item in done.only["quarantined"]]) == (6, ["summary"]), done.stderr
    assert held(depot.data, project, "healthy").run.state == "finished"


def test_config_and_summary_values_that_no_server_takes_are_named(
    backhaul: Backhaul, depot: DepotProcess, project: str, tmp_path: Path
) -> None:
    """Outcome and receipt tell them as they tell rows, the rest arrives; `verify` and the doctor say the same."""
    run = copy_of("0.31.0", tmp_path)
    records = [Record.FromString(data) for batch in LogReader(log_of(run)).batches() for data in batch.datas]
    last = max(index for index, record in enumerate(records) if record.WhichOneof("record_type") == "summary")
    summary = SummaryRecord.FromString(records[last].summary)
    summary.update.add(nested_key=["net", "bad"], value_json=b"0,5")
    records[last].summary = summary.SerializeToString()
    first = next(record for record in records if record.WhichOneof("record_type") == "run")
    first.run.config.update.add(key="deep", value_json=b"[" * 600 + b"]" * 600)
    log_of(run).write_bytes(framed(records))
    names = ["config value deep", "summary value net.bad"]
    done = backhaul.sync(run, "-p", project)
    assert (done.exit_code, done.only["state"]) == (6, "quarantined"), done.stderr
    assert [item["what"] for item in done.only["quarantined"]] == names
    assert all("nested too deep" in item["reason"] and item["next"] for item in done.only["quarantined"])
    assert json.loads(Path(done.only["receipt"]).read_text())["quarantined"] == done.only["quarantined"]
    assert held(depot.data, project, id_of(run)).run.state == "finished"
    assert not marker_of(run).exists()
    asked = backhaul("verify", run, "-p", project, "--json")
    assert (asked.exit_code, [item["what"] for item in asked.only["quarantined"]]) == (6, names), asked.stderr
    found = backhaul("doctor", "--offline", run, "--json").document["findings"]
    told = [finding["evidence"] for finding in found if finding["code"] == "row-refused"]
    assert [evidence.partition(":")[0] for evidence in told] == names
