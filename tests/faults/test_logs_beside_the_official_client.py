"""Logs that are not as they should be: what `wandb sync` 0.31 makes of them, and what ours does.

Each row of the failure tables that is about a log, or about a server that is not there, stands here or in
`docs/reference/beside-wandb-sync.md`, which says where else.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from backhaul.wandblog import LogReader, LogWriter
from backhaul.wandblog.schema import Record

from ..command import Backhaul, bare_env, copied, copy_of, ledger_of, log_of, marker_of
from ..conftest import DepotProcess
from ..depot_contents import Held, held
from ..official import Official, OfficialEnd

# Other programs do the work, on a machine that may have much else to do.
pytestmark = pytest.mark.timeout(500)

_WAIT = 5.0


def _inside_a_record(log: Path, part: int) -> int:
    """The middle of a record's data, at this part of the log's records.

    Not in the record's header: a wrong length or type costs nothing, as the checksum still proves the data.
    """
    records = list(LogReader(log))
    start, end = (records[len(records) // part + later].offset for later in (0, 1))
    return (start + end) // 2


def _torn(log: Path) -> bytes:
    """Cut off in the middle of a record, at a third of the log."""
    return log.read_bytes()[: _inside_a_record(log, 3)]


def _flipped(log: Path) -> bytes:
    """One bit changed in a record's data, at a quarter of the log."""
    content, place = log.read_bytes(), _inside_a_record(log, 4)
    return content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]


def _with_before_the_end(log: Path, extra: bytes) -> bytes:
    """The log with one more record before its exit record."""
    fresh = log.with_name("fresh")
    with fresh.open("wb") as file:
        writer = LogWriter(file)
        for record in LogReader(log):
            if Record.FromString(record.data).WhichOneof("record_type") == "exit":
                writer.write(extra)
            writer.write(record.data)
    content = fresh.read_bytes()
    fresh.unlink()
    return content


def _field(number: int) -> bytes:
    """A record of one empty message under a field that our schema need not know."""
    tag = number << 3 | 2
    return bytes([tag & 0x7F | 0x80, tag >> 7, 0])


def _written(text: str) -> bytes:
    """What the program wrote to its standard output, as a record."""
    record = Record()
    record.output_raw.output_type = 1
    record.output_raw.line = text
    return record.SerializeToString()


def _exit_again(_: Path) -> bytes:
    record = Record()
    record.exit.exit_code = 0
    return record.SerializeToString()


# What is done to the log of a healthy run; each gets a project of its own.
_LOGS: dict[str, Callable[[Path], bytes]] = {
    "torn": _torn,
    "torn-after-exit": lambda log: log.read_bytes() + b"\x00\x01\x02\x03\x10\x00\x01torn",
    "flipped": _flipped,
    "exit-twice": lambda log: _with_before_the_end(log, _exit_again(log)),
    # Types that servers are not told about: a request (100), a link to an artifact (24, of 0.12 to 0.17).
    "request": lambda log: _with_before_the_end(log, _field(100)),
    "link": lambda log: _with_before_the_end(log, _field(24)),
}


@pytest.fixture(scope="module")
def folder(healthy_original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a case: the spoilt run, and for the panicking ones a good one beside it."""
    home = tmp_path_factory.mktemp("logs")
    for case, spoil in _LOGS.items():
        for client in ("official", "ours"):
            log = log_of(copied(healthy_original, home / client / case))
            log.write_bytes(spoil(log))
    return home


@pytest.fixture(scope="module")
def env(folder: Path, depot: DepotProcess) -> dict[str, str]:
    """An environment for both clients."""
    speaking = bare_env(folder / "home") | {"WANDB_SILENT": "false"}
    return speaking | {"WANDB_BASE_URL": depot.url, "WANDB_API_KEY": depot.api_key}


def _one_run(folder: Path) -> Path:
    (run,) = folder.glob("wandb/*")
    return run


@pytest.fixture(scope="module")
def both(folder: Path, env: dict[str, str], depot: DepotProcess) -> dict[str, tuple[OfficialEnd, Any, Held, Held]]:
    """What the official client said, our outcome, and what the depot holds of each, by case."""

    def call(case: str) -> tuple[OfficialEnd, Any, Held, Held]:
        theirs, ours = (f"{case}-{client}-{folder.name}" for client in ("official", "ours"))
        end = Official(env, folder).sync("-p", theirs, _one_run(folder / "official" / case))
        done = Backhaul(env, folder).sync(_one_run(folder / "ours" / case), "-p", ours)
        return end, done.only, held(depot.data, theirs, "healthy"), held(depot.data, ours, "healthy")

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(_LOGS, pool.map(call, _LOGS), strict=True))


def test_a_torn_log_comes_home_as_far_as_it_goes(both: Any, folder: Path) -> None:
    """Theirs: an error, and the run is never done. Ours: verified, with a note."""
    end, ours, theirs_held, ours_held = both["torn"]
    assert (end.exit_code, "Failed to sync all data" in end.output) == (0, True)
    assert not marker_of(_one_run(folder / "official" / "torn")).exists()
    assert (ours["state"], ours["error"]) == ("verified", None)
    assert marker_of(_one_run(folder / "ours" / "torn")).exists()
    assert len(ours_held.rows) == len(theirs_held.rows) > 0


def test_a_whole_run_with_torn_bytes_behind_it_is_done(both: Any, folder: Path) -> None:
    """Theirs: the finished run stays "pending" for ever. Ours: verified and marked."""
    end, ours, _, ours_held = both["torn-after-exit"]
    assert end.exit_code == 0
    assert not marker_of(_one_run(folder / "official" / "torn-after-exit")).exists()
    assert (ours["state"], len(ours_held.rows), ours_held.run.state) == ("verified", 300, "finished")
    assert marker_of(_one_run(folder / "ours" / "torn-after-exit")).exists()


def test_a_flipped_byte_costs_a_record_and_not_the_rest(both: Any) -> None:
    """Theirs: everything behind it is lost. Ours: at most the record in which it lies, and the loss is told."""
    end, ours, theirs_held, ours_held = both["flipped"]
    assert end.exit_code == 0
    assert len(theirs_held.rows) < 200
    assert len(ours_held.rows) >= 299
    assert (ours["state"], ours["error"]["code"]) == ("verified", "log-damaged")


@pytest.mark.parametrize("case", ["exit-twice", "request", "link"])
def test_a_record_that_ends_the_official_client_does_not_end_ours(both: Any, folder: Path, case: str) -> None:
    """Theirs: "No response", or a panic of its core. Ours: the run arrives."""
    end, ours, _, ours_held = both[case]
    assert "Finished syncing" not in end.output
    assert not marker_of(_one_run(folder / "official" / case)).exists()
    assert (ours["state"], ours["error"]) == ("verified", None)
    assert (len(ours_held.rows), ours_held.run.state) == (300, "finished")


@pytest.mark.parametrize("content", [b":W&B\xe1\xbe\x00", b""], ids=["header only", "empty"])
def test_a_log_without_a_record_does_not_keep_the_good_run(
    env: dict[str, str], depot: DepotProcess, healthy: Path, tmp_path: Path, project: str, content: bytes
) -> None:
    """Theirs: not one request is made for the good run, and the exit code is 0. Ours: it arrives, exit code 6."""
    bad = healthy.parent / "offline-run-20260101_000000-bad"
    bad.mkdir()
    (bad / "run-bad.wandb").write_bytes(content)
    end = Official(env, tmp_path).sync("-p", f"{project}-theirs", bad, healthy)
    assert end.exit_code == 0
    assert not marker_of(healthy).exists()
    done = Backhaul(env, tmp_path).sync(healthy.parent, "-p", project)
    states = {run["run_id"]: run["state"] for run in done.document["runs"]}
    assert (done.exit_code, states) == (6, {"bad": "quarantined", "healthy": "verified"})
    assert len(held(depot.data, project, "healthy").rows) == 300
    with pytest.raises(AssertionError):
        held(depot.data, f"{project}-theirs", "healthy")


def test_a_run_that_is_synced_while_it_is_recorded_comes_home_whole(
    env: dict[str, str], depot: DepotProcess, healthy: Path, tmp_path: Path, project: str
) -> None:
    """A log that ends on a record for now. Theirs marks it, and the second half is never sent. Ours goes on."""
    whole = log_of(healthy).read_bytes()
    records = [record.offset for record in LogReader(log_of(healthy))]
    theirs = copied(healthy, tmp_path / "theirs")
    for run in (theirs, healthy):
        log_of(run).write_bytes(whole[: records[len(records) // 2]])
    official, ours = Official(env, tmp_path), Backhaul(env, tmp_path)
    assert official.sync("-p", f"{project}-theirs", theirs).exit_code == 0
    assert marker_of(theirs).exists()
    with log_of(healthy).open("ab") as writer:
        done = ours.sync(healthy, "-p", project)
        assert (done.exit_code, done.only["error"]["code"]) == (5, "still-recording"), done.stderr
        writer.write(whole[writer.tell() :])
    log_of(theirs).write_bytes(whole)
    again = official.sync("-p", f"{project}-theirs", theirs)
    assert (again.exit_code, "Skipped 1 synced run" in again.output) == (0, True)
    assert len(held(depot.data, f"{project}-theirs", "healthy").rows) < 300
    assert ours.sync(healthy, "-p", project).exit_code == 0
    assert [row["_step"] for row in held(depot.data, project, "healthy").rows] == list(range(300))


def test_a_whole_copy_of_a_torn_log_mends_the_console(
    env: dict[str, str], depot: DepotProcess, healthy: Path, tmp_path: Path, project: str
) -> None:
    """A log that was copied in the middle of a progress bar: with the whole log its last lines are sent once more."""
    backhaul, log = Backhaul(env, tmp_path), log_of(healthy)
    log.write_bytes(_with_before_the_end(log, _written("epoch 1:  50%")))
    torn = next(record.offset for record in LogReader(log) if record.kind == "exit")
    log.write_bytes(_with_before_the_end(log, _written("\repoch 1: 100%\nsaved\n")))
    whole = log.read_bytes()
    log.write_bytes(whole[:torn])
    assert backhaul.sync(healthy, "-p", project).only["state"] == "verified"
    assert _console(depot, project)[-1].endswith(" epoch 1:  50%")
    # Another time of change, and the same log: all of it counts as acknowledged.
    os.utime(log)
    assert backhaul.sync(healthy, "-p", project).only["state"] == "verified"
    assert _times_that_lines_count_no_more(healthy) == 0
    log.write_bytes(whole)
    assert backhaul.sync(healthy, "-p", project).only["state"] == "verified"
    assert backhaul.sync(healthy, "-p", f"{project}-afresh").only["state"] == "verified"
    assert _console(depot, project) == _console(depot, f"{project}-afresh")
    os.utime(log)
    assert backhaul.sync(healthy, "-p", project).only["state"] == "verified"
    assert _times_that_lines_count_no_more(healthy) == 1


def _times_that_lines_count_no_more(run: Path) -> int:
    """How often the ledger took acknowledged lines of the console back."""
    entries = [json.loads(line[9:]) for line in ledger_of(run).read_text().rstrip("\0").splitlines()]
    counts = [entry["lines"]["output"] for entry in entries if entry["what"] == "lines"]
    return sum(after < before for before, after in pairwise(counts))


def _console(depot: DepotProcess, project: str) -> list[str]:
    return list(held(depot.data, project, "healthy").output.values())


def test_following_a_run_whose_process_is_gone_comes_to_an_end(
    env: dict[str, str], tmp_path: Path, project: str
) -> None:
    """Theirs waits for more data, for ever, as its own advice has it. Ours says that nobody writes, and is done."""
    run, theirs = (copy_of("0.31.0-killed", tmp_path / client) for client in ("ours", "theirs"))
    live = Official(env, tmp_path, ("beta", "sync", "--live"))
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(live.sync, theirs, timeout=_WAIT)
        done = Backhaul(env, tmp_path).sync(run, "-p", project, "--live")
        assert waiting.result().exit_code is None
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert any("no exit record" in note for note in done.only["notes"])


def test_a_server_that_is_not_there_is_told_within_seconds(
    env: dict[str, str], healthy: Path, tmp_path: Path, closed_port: int
) -> None:
    """Theirs is silent (for sixteen minutes, by its settings). Ours says what is wrong, and since when."""
    there = env | {"WANDB_BASE_URL": f"http://127.0.0.1:{closed_port}"}
    with ThreadPoolExecutor() as pool:
        silent = pool.submit(Official(there, tmp_path).sync, healthy, timeout=_WAIT)
        done = Backhaul(there, tmp_path).sync(copied(healthy, tmp_path / "ours"))
        assert silent.result() == OfficialEnd(None, "")
    assert (done.exit_code, done.only["error"]["code"]) == (5, "connection-refused")


def test_a_wrong_key_is_told_with_the_way_out(env: dict[str, str], healthy: Path, tmp_path: Path) -> None:
    """Theirs ends with 0. Ours with 4, and says how to log in."""
    there = env | {"WANDB_API_KEY": "0" * 40}
    theirs = copied(healthy, tmp_path / "theirs")
    assert Official(there, tmp_path).sync(theirs).exit_code == 0
    assert not marker_of(theirs).exists()
    done = Backhaul(there, tmp_path).sync(healthy)
    assert (done.exit_code, done.only["error"]["code"]) == (4, "credentials-refused")
    shutil.rmtree(theirs)
