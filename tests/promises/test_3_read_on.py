"""Promise 3: a sync that was killed goes on from where it was, and what arrives is what would have arrived at once."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from ..command import Backhaul, Finished, kill, ledger_of, marker_of
from ..conftest import DepotProcess
from ..depot_contents import Held, held
from ..fault_proxy import FaultProxy, stall
from ..long_logs import damaged, odd
from ..short_steps import ShortSteps, short_steps

_SIZE = 400_000


def _run(folder: Path, log: bytes) -> Path:
    run = folder / "offline-run-20260101_000000-odd"
    (run / "files").mkdir(parents=True)
    (run / "run-odd.wandb").write_bytes(log)
    return run


def _receipt(done: Finished) -> Any:
    """What a receipt says of what arrived."""
    receipt = json.loads(Path(done.only["receipt"]).read_text())
    del receipt["verified_at"], receipt["signature"], receipt["destination"]["project"], receipt["log"]["path"]
    return receipt


def _arrived(there: Held) -> Any:
    """All that the depot holds, but for its own numbers and times."""
    run = there.run
    return (
        there.history, there.events, there.output, there.files, there.alerts, there.summary, there.config,
        run.state, run.exit_code, run.display_name, run.notes, run.tags,
    )  # fmt: skip


def _kill_after(command: ShortSteps, proxy: FaultProxy, run: Path, project: str, requests: int) -> None:
    """Start a sync, and end it with SIGKILL when so many requests with lines were answered, and one more is not."""
    proxy.on("file_stream", stall, skip=requests)
    wanted = len(proxy.of("file_stream")) + requests + 1
    process = command.start("sync", run, "-p", project)
    proxy.wait_for("file_stream", wanted)
    assert process.poll() is None, "the sync ended before it could be killed; the run is too short"
    kill(process)
    proxy.heal()
    assert not marker_of(run).exists()


def _checkpoint(run: Path) -> Path:
    return ledger_of(run).with_name(ledger_of(run).name + ".checkpoint")


@pytest.mark.parametrize("hurt", [False, True], ids=["whole", "damaged"])
def test_killed_again_and_again_it_brings_what_an_uninterrupted_one_brings(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, project: str, tmp_path: Path, hurt: bool
) -> None:
    """Lines, files made from the log, summary, config, damage, receipt; and it is not read from its start each time."""
    log = odd(11, _SIZE, all_can_be_sent=True)
    if hurt:
        log = damaged(log, random.Random(7))
    through = backhaul.to(proxy.url)
    whole, cut = short_steps(through, tmp_path / "notes-whole"), short_steps(through, tmp_path / "notes-cut")
    run = _run(tmp_path / "cut", log)
    for requests in (5, 3, 3):
        _kill_after(cut, proxy, run, project, requests)
        assert _checkpoint(run).exists()
    done = cut.sync(run, "-p", project)
    expected = whole.sync(_run(tmp_path / "whole", log), "-p", f"{project}-whole")
    assert (done.exit_code, done.only["state"]) == (9 if hurt else 0, "verified"), done.stderr
    assert (done.exit_code, done.only["streams"]) == (expected.exit_code, expected.only["streams"])
    assert _receipt(done) == _receipt(expected)
    assert _arrived(held(depot.data, project, "odd")) == _arrived(held(depot.data, f"{project}-whole", "odd"))
    starts = [number for what, number in cut.notes if what == "from"]
    assert starts == sorted(starts)
    assert len(set(starts)) == 3
    assert starts[-1] > 50_000
    assert whole.notes == []
    assert not _checkpoint(run).exists()


def test_what_is_beside_the_ledger_cannot_make_a_sync_different(
    backhaul: Backhaul, depot: DepotProcess, proxy: FaultProxy, project: str, tmp_path: Path
) -> None:
    """A checkpoint that was changed, and one of another log under the same name, are as if they were not there."""
    command = short_steps(backhaul.to(proxy.url), tmp_path / "notes-changed")
    log, other = odd(12, _SIZE, all_can_be_sent=True), odd(13, _SIZE, all_can_be_sent=True)
    run, foreign = _run(tmp_path / "run", log), _run(tmp_path / "foreign", other)
    _kill_after(command, proxy, foreign, f"{project}-foreign", 5)
    _kill_after(command, proxy, run, project, 5)
    own = _checkpoint(run).read_bytes()
    for content in (own[:-1], own.replace(b"loss", b"lost"), _checkpoint(foreign).read_bytes()):
        _checkpoint(run).write_bytes(content)
        before = len(command.notes)
        _kill_after(command, proxy, run, project, 2)
        assert "from" not in dict(command.notes[before:])
    _checkpoint(run).write_bytes(own)
    done = command.sync(run, "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    whole = short_steps(backhaul.to(proxy.url), tmp_path / "notes-whole")
    assert whole.sync(_run(tmp_path / "whole", log), "-p", f"{project}-whole").exit_code == 0
    assert _arrived(held(depot.data, project, "odd")) == _arrived(held(depot.data, f"{project}-whole", "odd"))
