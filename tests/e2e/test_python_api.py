"""`backhaul.sync(…)` as programs use it: from a script, under a running event loop, with a listener that fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..command import Backhaul
from ..conftest import DepotProcess
from ..depot_contents import held


def _python(backhaul: Backhaul, script: str, *arguments: object) -> Any:
    """Run a user's script; what it prints last, parsed."""
    line = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(
        line, env=backhaul.env, cwd=backhaul.cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    (only,) = done.stdout.splitlines()
    return json.loads(only)


_UNDER_A_LOOP = """
import asyncio, json, signal, sys
import backhaul
seen, handlers = [], []
def note_handlers():
    handlers.append((signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)))
def on_event(event):
    note_handlers()
    seen.append(event.as_json())
async def notebook():
    note_handlers()
    report = backhaul.sync(sys.argv[1], project=sys.argv[2], on_event=on_event)
    note_handlers()
    proof = backhaul.verify(sys.argv[1], project=sys.argv[2], deep=True)
    note_handlers()
    return report, proof
report, proof = asyncio.run(notebook())
print(json.dumps({"report": report.as_json(), "verified": report.verified, "events": seen,
                  "signals": len(set(handlers)) == 1,
                  "proof": proof.as_json()}))
"""


def test_a_notebook_syncs_and_is_told_everything(
    backhaul: Backhaul, depot: DepotProcess, healthy: Path, project: str
) -> None:
    """A loop that runs already is no obstacle; nothing is printed, no signal handler is changed; the run is there."""
    told = _python(backhaul, _UNDER_A_LOOP, healthy, project)
    (run,) = told["report"]["runs"]
    assert (told["report"]["exit_code"], told["verified"], run["state"], told["signals"]) == (0, True, "verified", True)
    there = held(depot.data, project, "healthy")
    assert len(there.rows) == 300
    (proved,) = told["proof"]["runs"]
    assert (told["proof"]["exit_code"], proved["state"], proved["streams"]) == (0, "verified", run["streams"])
    assert Path(proved["receipt"]).exists()
    events = told["events"]
    assert [events[0]["event"], events[-2]["event"], events[-1]["event"]] == ["started", "verifying", "finished"]
    lines = sum(event["lines"] for event in events if event["event"] == "lines")
    assert lines == len(there.history) + len(there.events) + len(there.output)
    files = {event["name"]: event["bytes"] for event in events if event["event"] == "file"}
    assert files == {name: len(content) for name, content in there.files.items()}
    assert events[-1]["run"] == run


def test_json_lines_are_the_same_events(backhaul: Backhaul, healthy: Path, project: str) -> None:
    """One line for each thing that happens, and the document of `--json` as the last."""
    done = backhaul("sync", healthy, "-p", project, "--json-lines")
    *events, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert (events[0]["event"], events[-1]["event"], last["event"]) == ("started", "finished", "report")
    assert (last["exit_code"], last["runs"]) == (0, [events[-1]["run"]])
    assert {event["event"] for event in events} == {"started", "lines", "file", "verifying", "finished"}
    nowhere = backhaul("sync", backhaul.cwd / "nothing", "--json-lines")
    assert json.loads(nowhere.stdout)["error"]["code"] == "no-runs"
    assert backhaul("sync", healthy, "--json-lines", "--json").exit_code == 2


_BAD_LISTENER = """
import json, sys
import backhaul.sync.engine  # the package of this name was met first, and the function is there all the same
import backhaul
calls = []
def on_event(event):
    calls.append(event.kind)
    raise ZeroDivisionError
try:
    backhaul.sync([sys.argv[1]], project=sys.argv[2], on_event=on_event)
except ZeroDivisionError:
    again = backhaul.sync(sys.argv[1], project=sys.argv[2])
    print(json.dumps({"calls": calls, "state": again.runs[0].state, "sent": again.runs[0].sent_lines}))
"""


def test_a_listener_that_fails_costs_no_run_its_delivery(backhaul: Backhaul, healthy: Path, project: str) -> None:
    """It is asked no more, the run arrives, and the exception comes out at the end."""
    assert _python(backhaul, _BAD_LISTENER, healthy, project) == {"calls": ["started"], "state": "verified", "sent": 0}


_INTERRUPTED = """
import json, os, signal, sys, threading
import backhaul
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where Ctrl-C is ignored, as behind `&` in a script
def on_event(event):
    if event.kind is backhaul.EventKind.LINES:
        os.kill(os.getpid(), signal.SIGINT)
interrupted = False
try:
    backhaul.sync(sys.argv[1], project=sys.argv[2], on_event=on_event)
except KeyboardInterrupt:
    interrupted = True
alone = threading.active_count() == 1
report = backhaul.sync(sys.argv[1], project=sys.argv[2])
print(json.dumps([interrupted, alone, report.runs[0].state]))
"""


def test_ctrl_c_stops_it_in_good_order(backhaul: Backhaul, healthy: Path, project: str) -> None:
    """KeyboardInterrupt comes out when the work has ended; no thread is left, and the next call goes on."""
    assert _python(backhaul, _INTERRUPTED, healthy, project) == [True, True, "verified"]


def test_what_befalls_a_run_is_in_the_report(backhaul: Backhaul, healthy: Path, tmp_path: Path) -> None:
    """No exception for it; only what keeps any run from being tried is raised, with its next step."""
    script = """
import json, sys, backhaul
report = backhaul.sync(sys.argv[1], to="http://127.0.0.1:9")
try:
    backhaul.sync(sys.argv[2])
except backhaul.BackhaulError as error:
    code = error.code
print(json.dumps([report.exit_code, report.runs[0].error.code, code]))
"""
    assert _python(backhaul, script, healthy, tmp_path / "none") == [5, "connection-refused", "no-runs"]


@pytest.mark.parametrize("first", ["import backhaul", "import backhaul.sync.engine, backhaul"])
def test_the_function_is_there_whatever_was_imported_first(first: str) -> None:
    """The package below and the function above have one name."""
    script = f"{first}\nprint(callable(backhaul.sync), backhaul.sync.__name__)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", "backhaul.sync"]
