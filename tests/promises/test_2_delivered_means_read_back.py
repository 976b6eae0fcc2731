"""Promise 2: a run is verified only after the destination was asked what it holds, and it equals the log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..command import Backhaul, Finished, end, marker_of
from ..conftest import DepotProcess
from ..depot_contents import held, truncate
from ..fault_proxy import Fault, FaultProxy, answer, changing, lying

# The same program, which gives the destination half a second instead of a minute to show what it acknowledged.
_IMPATIENT = "import backhaul.sync.read_back as r; r.READ_BACK_FOR = 0.5; from backhaul.cli import main; main()"


def _impatient_sync(backhaul: Backhaul, run: Path, project: str) -> Finished:
    process = subprocess.Popen(
        [sys.executable, "-c", _IMPATIENT, "sync", str(run), "--json", "-p", project],
        env=backhaul.env,
        cwd=backhaul.cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return end(process)


def test_a_healthy_run_arrives_and_is_read_back(
    backhaul: Backhaul, depot: DepotProcess, healthy: Path, project: str
) -> None:
    """All that the log holds is in the depot's store; then there is a receipt and the official marker."""
    done = backhaul.sync(healthy, "-p", project)
    assert done.exit_code == 0, done.stderr
    run = done.only
    there = held(depot.data, project, "healthy")
    assert [row["loss"] for row in there.rows] == [1 / (step + 1) for step in range(300)]
    assert there.console == [f"line {step}" for step in range(0, 300, 10)] + ["ERROR an error line"]
    assert there.files["saved.txt"] == b"saved " * 500
    assert (there.run.state, there.run.tags, there.run.notes) == ("finished", ("a", "b"), "some notes")
    assert run["state"] == "verified"
    assert {name: stream["remote"] for name, stream in run["streams"].items()} == there.counts
    assert marker_of(healthy).exists()
    receipt = json.loads(Path(run["receipt"]).read_text())
    assert receipt["lines"] == there.counts
    assert receipt["files"].keys() == there.files.keys()


def _in_body(change: Callable[[dict[str, Any]], None]) -> Fault:
    """The depot receives the body as `change` leaves it."""

    def changed(body: bytes) -> bytes:
        document = json.loads(body)
        change(document)
        return json.dumps(document).encode()

    return changing(changed)


def _without_last_row(body: dict[str, Any]) -> None:
    if rows := body["files"].get("wandb-history.jsonl"):
        rows["content"].pop()


def _without_console(body: dict[str, Any]) -> None:
    body["files"].pop("output.log", None)


def _with_another_summary(body: dict[str, Any]) -> None:
    if summary := body["files"].get("wandb-summary.json"):
        summary["content"] = [json.dumps(json.loads(summary["content"][0]) | {"loss": 0.5})]


def _without_the_end(body: dict[str, Any]) -> None:
    body.pop("complete", None)
    body.pop("exitcode", None)


def _without_config(body: dict[str, Any]) -> None:
    body["variables"]["config"] = "{}"


def _with_another_md5(document: dict[str, Any]) -> dict[str, Any]:
    for edge in ((document["data"]["model"] or {}).get("bucket") or {"files": {"edges": []}})["files"]["edges"]:
        if edge["node"]["name"] == "saved.txt":
            edge["node"]["md5"] = "1B2M2Y8AsgTpgAmY7PhCfg=="
    return document


_LIES = {
    "a dropped row": ("file_stream", _in_body(_without_last_row), "history"),
    "a dropped console": ("file_stream", _in_body(_without_console), "output"),
    "another summary value": ("file_stream", _in_body(_with_another_summary), "summary 'loss'"),
    "an end that is not kept": ("file_stream", _in_body(_without_the_end), "state"),
    "a config that is not kept": ("UpsertBucket", _in_body(_without_config), "config 'lr'"),
    "files that are not kept": ("put", answer(200), "found nothing"),
    "a file with other bytes": ("RunResumeStatus", lying(_with_another_md5), "file saved.txt"),
}


@pytest.mark.parametrize("lie", _LIES)
def test_a_server_that_lies_is_found_out(
    lie: str, backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """Every acknowledgement was good, and yet: exit 10, what differs, no marker, no receipt; later it is mended."""
    kind, fault, told = _LIES[lie]
    proxy.always(kind, fault)
    through = backhaul.to(proxy.url)
    done = _impatient_sync(through, healthy, project)
    assert done.exit_code == 10, done.stderr
    run = done.only
    assert run["error"]["code"] == "verification-failed"
    assert told in run["error"]["message"]
    assert (run["state"], run["receipt"]) == ("quarantined", None)
    assert not marker_of(healthy).exists()
    proxy.heal()
    again = through.sync(healthy, "-p", project)
    assert (again.exit_code, again.only["state"]) == (0, "verified"), again.stderr
    there = held(depot.data, project, "healthy")
    assert [row["loss"] for row in there.rows] == [1 / (step + 1) for step in range(300)]
    assert (len(there.output), there.run.state, there.config["lr"]["value"]) == (31, "finished", 0.1)
    assert there.files["saved.txt"] == b"saved " * 500
    assert marker_of(healthy).exists()


def test_a_server_that_shows_its_lines_late_is_waited_for(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """A count that lags behind the acknowledgement is asked again, not called a difference."""

    def lagging(document: dict[str, Any]) -> dict[str, Any]:
        document["data"]["model"]["bucket"]["historyLineCount"] = 7
        return document

    proxy.on("RunResumeStatus", lying(lagging), skip=1, times=2)
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert len(proxy.of("RunResumeStatus")) == 4


def test_a_server_restored_from_an_old_backup_gets_the_lines_again(
    backhaul: Backhaul, depot: DepotProcess, healthy: Path, project: str
) -> None:
    """Acknowledged is not kept for ever: what the server no longer holds is sent again, under the same numbers."""
    assert backhaul.sync(healthy, "-p", project).exit_code == 0
    whole = held(depot.data, project, "healthy").history
    truncate(depot.data, project, "healthy", 120)
    done = backhaul.sync(healthy, "-p", project, "--force")
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert held(depot.data, project, "healthy").history == whole
