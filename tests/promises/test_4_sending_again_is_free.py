"""Promise 4: every request may be repeated; a line has one number for ever, settled before its first send."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backhaul.wandblog import LogReader, LogWriter
from backhaul.wandblog.schema import Record

from ..command import Backhaul, another_second_than, bare_env, copied, ledger_of, log_of, marker_of, record
from ..conftest import DepotProcess
from ..depot_contents import held, held_or_none
from ..fault_proxy import FaultProxy, lose_answer, refusal

_RESUMED = """
    import wandb
    run = wandb.init(project="recorded", id="resumed", resume="allow")
    for step in range(5):
        run.log({{"part": {part}, "value": step}})
        print("part {part} line", step)
    run.finish()
"""


def test_a_verified_run_asks_the_server_for_nothing(
    backhaul: Backhaul, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """The same command again makes no request, and says where the run is."""
    through = backhaul.to(proxy.url)
    first = through.sync(healthy, "-p", project).only
    requests = len(proxy.seen)
    again = through.sync(healthy, "-p", project)
    assert (again.exit_code, len(proxy.seen)) == (0, requests)
    keys = ("state", "entity", "project", "streams", "files", "receipt")
    assert {key: again.only[key] for key in keys} == {key: first[key] for key in keys}


def test_without_its_ledger_a_run_sends_no_history_again(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """A lost ledger is made again from what the server holds; rows, files and state stay as they were."""
    through = backhaul.to(proxy.url)
    assert through.sync(healthy, "-p", project).exit_code == 0
    before = held(depot.data, project, "healthy")
    proxy.seen.clear()
    ledger_of(healthy).unlink()
    again = through.sync(healthy, "-p", project)
    assert (again.exit_code, again.only["state"]) == (0, "verified"), again.stderr
    assert [line for stream, _, line in proxy.lines() if stream == "wandb-history.jsonl"] == []
    assert proxy.of("put") == []
    after = held(depot.data, project, "healthy")
    assert (after.history, after.events, after.output, after.files) == (
        before.history,
        before.events,
        before.output,
        before.files,
    )
    assert (after.run.state, after.summary) == ("finished", before.summary)


def test_a_copy_on_another_host_sends_no_history_again(
    backhaul: Backhaul, depot: DepotProcess, healthy_original: Path, tmp_path: Path, project: str
) -> None:
    """Two copies of one run directory, one of them without a ledger and with another state folder: one run."""
    here, there = copied(healthy_original, tmp_path / "here"), copied(healthy_original, tmp_path / "there")
    assert backhaul.sync(here, "-p", project).exit_code == 0
    before = held(depot.data, project, "healthy").history
    other = backhaul.with_env(XDG_STATE_HOME=str(tmp_path / "other-state"))
    done = other.sync(there, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert held(depot.data, project, "healthy").history == before


def test_a_lost_answer_leaves_one_line_per_number(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy: Path, project: str
) -> None:
    """The server did what was asked and the client never heard: it asks again, and nothing is there twice."""
    for kind in ("UpsertBucket", "file_stream", "put", "CreateRunFiles", "RunResumeStatus"):
        proxy.on(kind, lose_answer)
    done = backhaul.to(proxy.url).sync(healthy, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    there = held(depot.data, project, "healthy")
    assert [row["loss"] for row in there.rows] == [1 / (step + 1) for step in range(300)]
    assert len(there.output) == 31
    sent = {(stream, number) for stream, number, _ in proxy.lines()}
    assert len(sent) == len({(stream, number, line) for stream, number, line in proxy.lines()})


def test_what_the_official_sync_sent_is_not_sent_again(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy_original: Path, tmp_path: Path, project: str
) -> None:
    """A run that `wandb sync` brought before is recognised, verified, and its history left alone."""
    theirs, ours = copied(healthy_original, tmp_path / "theirs"), copied(healthy_original, tmp_path / "ours")
    official = Path(sys.executable).with_name("wandb")
    subprocess.run(
        [str(official), "sync", "-p", project, str(theirs)],
        env=backhaul.env,
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=True,
    )
    before = held(depot.data, project, "healthy").history
    done = backhaul.to(proxy.url).sync(ours, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert [line for stream, _, line in proxy.lines() if stream == "wandb-history.jsonl"] == []
    assert held(depot.data, project, "healthy").history == before


def test_another_run_under_the_same_id_is_not_overwritten(
    backhaul: Backhaul, depot: DepotProcess, healthy_original: Path, tmp_path: Path, project: str
) -> None:
    """What is there stays; the run is quarantined with the way out, and the way out works."""
    first, second = copied(healthy_original, tmp_path / "a"), tmp_path / "b"
    assert backhaul.sync(first, "-p", project).exit_code == 0
    before = held(depot.data, project, "healthy")
    (other,) = record(
        'import wandb\nrun = wandb.init(project="recorded", id="healthy")\nrun.log({"x": 1})\nrun.finish()',
        second,
        backhaul.env,
    )
    done = backhaul.sync(other, "-p", project)
    assert (done.exit_code, done.only["state"]) == (6, "quarantined")
    error = done.only["error"]
    assert error["code"] == "remote-conflict"
    assert "--id" in error["next"]
    assert held(depot.data, project, "healthy") == before
    assert not marker_of(other).exists()
    assert backhaul.sync(other, "-p", project, "--id", "another").exit_code == 0
    assert [row["x"] for row in held(depot.data, project, "another").rows] == [1]


@pytest.fixture(scope="module")
def resumed_originals(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two offline sessions of one run id, recorded with resume="allow"."""
    home = tmp_path_factory.mktemp("resumed")
    env = bare_env(home)
    made: list[Path] = []
    for part in (1, 2):
        made += record(_RESUMED.format(part=part), home / f"part-{part}", env)
        another_second_than(made[-1])
    return made


def _parts(data: Path, project: str) -> list[tuple[int, int]]:
    return [(row["part"], row["value"]) for row in held(data, project, "resumed").rows]


_BOTH = [(part, value) for part in (1, 2) for value in range(5)]
_CONSOLE = [f"part {part} line {value}" for part, value in _BOTH]


def test_fragments_of_a_resumed_run_follow_one_another_once(
    backhaul: Backhaul, depot: DepotProcess, resumed_originals: list[Path], tmp_path: Path, project: str
) -> None:
    """Both parts in one command; again, and again without the ledgers: each row and line is there once."""
    runs = [copied(run, tmp_path / "both") for run in resumed_originals]
    for _ in range(2):
        done = backhaul.sync(tmp_path / "both", "-p", project)
        assert done.exit_code == 0, done.stderr
        there = held(depot.data, project, "resumed")
        assert (_parts(depot.data, project), there.console) == (_BOTH, _CONSOLE)
        assert [row["_step"] for row in there.rows] == list(range(10))
    for forgotten in (runs, runs[:1], runs[1:]):
        for run in forgotten:
            ledger_of(run).unlink()
        done = backhaul.sync(tmp_path / "both", "-p", project)
        assert done.exit_code == 0, done.stderr
        again = held(depot.data, project, "resumed")
        assert (again.history, again.output, again.files) == (there.history, there.output, there.files)
        assert (again.run.state, again.summary, again.config) == ("finished", there.summary, there.config)


def test_parts_that_were_copied_anew_are_verified_anew_and_nothing_is_sent(
    backhaul: Backhaul, depot: DepotProcess, resumed_originals: list[Path], tmp_path: Path, project: str
) -> None:
    """A copy has other times of change, so the server is asked again; the first part's end is not the run's."""
    runs = [copied(run, tmp_path / "both") for run in resumed_originals]
    assert backhaul.sync(tmp_path / "both", "-p", project).exit_code == 0
    before = held(depot.data, project, "resumed")
    for run in runs:
        os.utime(log_of(run), ns=(1, 1))
    done = backhaul.sync(tmp_path / "both", "-p", project)
    assert done.exit_code == 0, done.stderr
    after = held(depot.data, project, "resumed")
    assert (after.history, after.output, after.files) == (before.history, before.output, before.files)
    assert (after.run.state, after.summary) == ("finished", before.summary)


def test_a_last_part_alone_without_its_ledger_appends_nothing(
    backhaul: Backhaul, depot: DepotProcess, resumed_originals: list[Path], tmp_path: Path, project: str
) -> None:
    """The first part is gone from this machine; the second one still finds its own rows and console lines."""
    runs = [copied(run, tmp_path / "both") for run in resumed_originals]
    assert backhaul.sync(tmp_path / "both", "-p", project).exit_code == 0
    ledger_of(runs[1]).unlink()
    done = backhaul.sync(runs[1], "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert (_parts(depot.data, project), held(depot.data, project, "resumed").console) == (_BOTH, _CONSOLE)


def test_a_last_part_that_was_sent_while_it_ran_goes_on_without_its_ledger(
    backhaul: Backhaul, depot: DepotProcess, resumed_originals: list[Path], tmp_path: Path, project: str
) -> None:
    """Some of its rows and console lines are there: each goes under the number that it has, and none comes twice."""
    runs = [copied(run, tmp_path / "both") for run in resumed_originals]
    whole = [record.data for record in LogReader(log_of(runs[1]))]
    rows = [place for place, data in enumerate(whole) if Record.FromString(data).HasField("history")]
    for records in (whole[: rows[3]], whole):
        with log_of(runs[1]).open("wb") as file:
            writer = LogWriter(file)
            for data in records:
                writer.write(data)
        done = backhaul.sync(tmp_path / "both", "-p", project)
        assert done.exit_code == 0, done.stderr
        ledger_of(runs[1]).unlink()
        shutil.rmtree(runs[0], ignore_errors=True)
    assert (_parts(depot.data, project), held(depot.data, project, "resumed").console) == (_BOTH, _CONSOLE)


def test_a_first_part_alone_is_found_before_the_second(
    backhaul: Backhaul, depot: DepotProcess, resumed_originals: list[Path], tmp_path: Path, project: str
) -> None:
    """Without ledger and without the second part at hand: its rows are at their place, and newer ones behind them."""
    runs = [copied(run, tmp_path / "both") for run in resumed_originals]
    assert backhaul.sync(tmp_path / "both", "-p", project).exit_code == 0
    before = held(depot.data, project, "resumed")
    ledger_of(runs[0]).unlink()
    shutil.rmtree(runs[1])
    done = backhaul.sync(runs[0], "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    after = held(depot.data, project, "resumed")
    assert (after.history, after.output, after.summary) == (before.history, before.output, before.summary)


def test_one_resumed_fragment_without_its_ledger_appends_nothing(
    backhaul: Backhaul, depot: DepotProcess, resumed_originals: list[Path], tmp_path: Path, project: str
) -> None:
    """A script with resume="allow" that ran once: its rows are recognised although it says that it resumes."""
    run = copied(resumed_originals[0], tmp_path / "one")
    assert backhaul.sync(run, "-p", project).exit_code == 0
    ledger_of(run).unlink()
    done = backhaul.sync(run, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    there = held(depot.data, project, "resumed")
    assert (_parts(depot.data, project), there.console) == (_BOTH[:5], _CONSOLE[:5])


def test_a_part_that_fails_holds_back_the_parts_after_it(
    backhaul: Backhaul,
    depot: DepotProcess,
    proxy: FaultProxy,
    resumed_originals: list[Path],
    tmp_path: Path,
    project: str,
) -> None:
    """The second part's line numbers begin where the first one's end, so it waits; afterwards both arrive."""
    for run in resumed_originals:
        copied(run, tmp_path / "both")
    proxy.on("UpsertBucket", refusal(403))
    done = backhaul.to(proxy.url).sync(tmp_path / "both", "-p", project)
    assert done.exit_code == 7
    assert [run["error"] is not None for run in done.document["runs"]] == [True, True]
    assert held_or_none(depot.data, project, "resumed") is None
    assert backhaul.sync(tmp_path / "both", "-p", project).exit_code == 0
    assert _parts(depot.data, project) == _BOTH


def test_the_same_run_reaches_two_destinations_independently(
    backhaul: Backhaul, depot: DepotProcess, healthy: Path, project: str
) -> None:
    """One ledger, two destinations: what one acknowledged is not taken for the other's."""
    for name in (project, f"{project}-2"):
        done = backhaul.sync(healthy, "-p", name)
        assert (done.exit_code, done.only["project"]) == (0, name), done.stderr
        assert len(held(depot.data, name, "healthy").rows) == 300
    shutil.copy(ledger_of(healthy), ledger_of(healthy).with_suffix(".saved"))
    assert len(ledger_of(healthy).read_text().splitlines()) > 2
