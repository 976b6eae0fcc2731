"""Promise 8: memory, open files and attempts stay within bounds, however large or many the runs are."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from backhaul.wandblog import LogReader
from backhaul.wandblog.schema import HistoryRecord, Record
from backhaul.wandblog.writer import LogWriter

from ..command import Backhaul, copied, log_of
from ..conftest import DepotProcess
from ..depot_contents import held
from ..fault_proxy import Exchange, FaultProxy, forward

# Runs the command and tells, on stderr, the most memory that it used (KiB).
_MEASURED = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(done.returncode)
"""
_FEW_FILES = 'ulimit -n 64; exec "$@"'


def _rewritten(run: Path, records: Iterable[bytes]) -> None:
    log = log_of(run)
    fresh = log.with_name("fresh")
    with fresh.open("wb") as file:
        writer = LogWriter(file)
        for number, data in enumerate(records, start=1):
            record = Record.FromString(data)
            record.num = number
            writer.write(record.SerializeToString())
    fresh.replace(log)


def _with_long_rows(run: Path, rows: int, length: int) -> Iterator[bytes]:
    """The run's records, each history record again and again with a long text in it."""
    made = 0
    for record in LogReader(log_of(run)):
        if record.kind != "history":
            yield record.data
            continue
        while made < rows:
            longer = HistoryRecord()
            for key, text in (("_step", str(made)), ("note", f'"{made:0{length}}"')):
                longer.item.add(nested_key=[key], value_json=text.encode())
            made += 1
            yield Record(history=longer.SerializeToString()).SerializeToString()


def _with_id(run: Path, run_id: str) -> Iterator[bytes]:
    for record in LogReader(log_of(run)):
        if record.kind == "run":
            record.message.run.run_id = run_id
        yield record.message.SerializeToString() if record.kind == "run" else record.data


@pytest.mark.timeout(600)
def test_memory_does_not_grow_with_the_log(backhaul: Backhaul, healthy: Path, project: str) -> None:
    """A log of 240 MB goes through less memory than it is long; from some 100 MB on the peak stays where it is."""
    _rewritten(healthy, _with_long_rows(healthy, 30_000, 8_000))
    size = log_of(healthy).stat().st_size
    assert size > 240_000_000
    done = backhaul.sync(healthy, "-p", project, timeout=500, prefix=(sys.executable, "-c", _MEASURED))
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    peak = int(done.stderr.rsplit("peak ", 1)[1]) * 1024
    assert peak < size, f"{peak / 1e6:.0f} MB"


def test_open_files_do_not_grow_with_the_runs(
    backhaul: Backhaul, depot: DepotProcess, healthy_original: Path, tmp_path: Path, project: str
) -> None:
    """Thirty runs of six files each, with at most 64 files open."""
    for number in range(30):
        run = copied(healthy_original, tmp_path / "many" / str(number))
        _rewritten(run, list(_with_id(run, f"run-{number}")))
    done = backhaul.sync(tmp_path / "many", "-p", project, "-j", "8", timeout=500, prefix=("sh", "-c", _FEW_FILES, "-"))
    assert done.exit_code == 0, done.stderr
    assert {run["state"] for run in done.document["runs"]} == {"verified"}
    for number in range(30):
        assert len(held(depot.data, project, f"run-{number}").rows) == 300


def test_no_more_runs_are_under_way_than_asked_for(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, healthy_original: Path, tmp_path: Path, project: str
) -> None:
    """With `-j 2` and a server that takes its time, two of five runs are under way, and never a third."""
    for number in range(5):
        run = copied(healthy_original, tmp_path / "many" / str(number))
        _rewritten(run, list(_with_id(run, f"run-{number}")))
    under_way, most, there_are_two = 0, 0, asyncio.Event()

    async def slowly(exchange: Exchange) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 2:
            there_are_two.set()
        await there_are_two.wait()
        await asyncio.sleep(0.5)  # time for others to come, if they do
        under_way -= 1
        return await forward(exchange)

    proxy.always("UpsertBucket", slowly)
    done = backhaul.to(proxy.url).sync(tmp_path / "many", "-p", project, "-j", "2")
    assert done.exit_code == 0, done.stderr
    assert most == 2
    for number in range(5):
        assert len(held(depot.data, project, f"run-{number}").rows) == 300
