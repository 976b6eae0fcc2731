"""Bundles as processes: recorded here, carried there with the original gone, synced, and the proof carried back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from backhaul.bundle.opening import open_bundle
from backhaul.bundle.reading import Found

from ..command import Backhaul, bare_env, copied, copy_of, kill, ledger_of, log_of, marker_of, record
from ..conftest import DepotProcess
from ..depot_contents import held
from ..fault_proxy import FaultProxy, stall
from ..growing_job import is_held
from ..waiting import until

_SCRIPT = """
    import os, pathlib, wandb
    outside = pathlib.Path("outside").absolute()
    outside.mkdir()
    (outside / "weights.bin").write_bytes(bytes(range(256)) * 4000)
    (outside / "kept.bin").write_bytes(b"kept" * 500)
    (outside / "referred.csv").write_text("a,b")
    with wandb.init(id="airy", config={"lr": 0.1}) as run:
        run.save(str(outside / "weights.bin"), base_path=str(outside))
        run.log({"table": wandb.Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]])})
        data = wandb.Artifact("airy-data", "dataset")
        with data.new_file("dir/numbers.bin", mode="wb") as file:
            file.write(b"numbers" * 1000)
        data.add_file(str(outside / "kept.bin"), policy="immutable")
        data.add_reference(f"file://{outside}/referred.csv")
        run.log_artifact(data)
        for step in range(300):
            run.log({"loss": 1 / (step + 1)})
        print("a line")
"""


@dataclass(frozen=True)
class Packed:
    """A run that was recorded on a near side whose files are gone by now, and the bundle of it."""

    bundle: Path
    run: Path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of a near side: a run with artifacts, media, and a saved file outside of its directory."""
    home = tmp_path_factory.mktemp("recorded")
    record(_SCRIPT, home / "work", bare_env(home) | {"WANDB_PROJECT": "air"})
    return home


@pytest.fixture
def near(recorded: Path, backhaul: Backhaul) -> Backhaul:
    """The near side: the user who recorded; he has no server. Everything is at its recorded place."""
    assert recorded.exists()
    return Backhaul({name: backhaul.env[name] for name in ("PATH", "LANG")} | {"HOME": str(recorded)}, backhaul.cwd)


def test_a_bundle_arrives_as_the_original_does(
    recorded: Path, near: Backhaul, backhaul: Backhaul, project: str, depot: DepotProcess, tmp_path: Path
) -> None:
    """Packed, carried, the original out of reach: rows, files, artifacts and receipts are those of a direct sync."""
    bundle = tmp_path / "carried" / "runs.tar.zst"
    bundle.parent.mkdir()
    packed = near("pack", recorded / "work", "-o", bundle, "--json")
    assert (packed.exit_code, packed.document["missing"]) == (0, [])
    direct = near.with_env(WANDB_BASE_URL=depot.url, WANDB_API_KEY=depot.api_key).sync(
        copied(next(recorded.glob("work/wandb/offline-*")), tmp_path / "copy"), "-p", f"{project}-direct"
    )
    assert direct.exit_code == 0, direct.stderr
    away = recorded.rename(recorded.with_name("away"))
    try:
        seen = backhaul("status", bundle, "--json")
        assert [run["next"] for run in seen.document["runs"]] == ["sync"]
        assert backhaul("show", bundle).exit_code == 0
        done = backhaul.sync(bundle, "-p", project)
        key = packed.document["signer"]
        refused = backhaul("unpack", bundle, tmp_path / "un", "--signed-by", "0" * 16, "--json")
        unpacked = backhaul("unpack", bundle, tmp_path / "un", "--signed-by", key, "--json")
        again = backhaul.sync(tmp_path / "un", "-p", f"{project}-unpacked")
    finally:
        away.rename(recorded)
    assert (refused.exit_code, refused.document["error"]["code"]) == (4, "unknown-signer")
    assert (done.exit_code, unpacked.exit_code, again.exit_code) == (0, 0, 0), done.stderr + again.stderr
    assert done.only["artifacts"] == again.only["artifacts"] == {"local": 2, "remote": 2}
    (told,) = done.document["bundles"]
    assert (told["own_key"], told["signer"], told["damaged"]) == (False, packed.document["signer"], {})
    assert packed.document["signer"] in done.stderr
    theirs = held(depot.data, f"{project}-direct", "airy")
    for other in (project, f"{project}-unpacked"):
        ours = held(depot.data, other, "airy")
        assert (ours.history, ours.events, ours.output) == (theirs.history, theirs.events, theirs.output)
        assert (ours.files, ours.summary, ours.config) == (theirs.files, theirs.summary, theirs.config)
        assert [artifact.digest for artifact in ours.logged] == [artifact.digest for artifact in theirs.logged]
    # Nothing of the unpacked bundle stays, and what is known of it does.
    assert list((backhaul.state / "bundles").iterdir()) == []
    twice = backhaul.sync(bundle, "-p", project)
    assert (twice.exit_code, twice.only["state"], twice.only["receipt"]) == (0, "verified", done.only["receipt"])
    assert backhaul("verify", bundle, "-p", project).exit_code == 0


def test_packing_killed_goes_on_and_nothing_looks_whole_before(near: Backhaul, recorded: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of a file, and between the names of volumes; the same command ends it."""
    big = copied(next(recorded.glob("work/wandb/offline-*")), tmp_path)
    (big / "files" / "big.bin").write_bytes(os.urandom(6_000_000))
    (big / "files" / "bigger.bin").write_bytes(os.urandom(6_000_000))
    place = tmp_path / "out"
    place.mkdir()
    # The key gets its name by a link as well, which is not to be counted below.
    near("receipt", "key")
    line = ("pack", tmp_path / "wandb", "-o", place / "b", "--split", "3M", "--json")
    in_a_file = ("trace=write", "-P", place / ".b.unfinished" / "003", "-e", "inject=write:signal=SIGKILL:when=1")
    between_names = ("trace=link,linkat", "-e", "inject=link,linkat:signal=SIGKILL:when=2")
    for number, calls in enumerate((in_a_file, between_names)):
        killed = near(*line, prefix=("strace", "-f", "-o", "/dev/null", "-e", *map(str, calls)))
        assert (killed.exit_code, (place / ".b.unfinished").is_dir()) == (-9, True)
        assert (place / "b.001").exists() == (number == 1)
        # First there is nothing of that name, then volumes without the last one.
        assert near("unpack", place / "b", tmp_path / "un", "--json").exit_code == (2, 6)[number]
    done = near(*line)
    assert (done.exit_code, done.document["kept"]) == (0, done.document["files"])
    names = [f"b.{number:03}" for number in range(1, len(done.document["volumes"]) + 1)]
    assert sorted(path.name for path in place.iterdir()) == names
    assert near("unpack", place / "b.002", tmp_path / "un").exit_code == 0
    for name in ("big.bin", "bigger.bin"):
        (out,) = (tmp_path / "un").rglob(name)
        assert out.read_bytes() == (big / "files" / name).read_bytes()


def test_memory_does_not_grow_with_the_bundle(near: Backhaul, recorded: Path, tmp_path: Path) -> None:
    """Packed and unpacked within a limit that is smaller than the file that goes through."""
    run = copied(next(recorded.glob("work/wandb/offline-*")), tmp_path)
    large = run / "files" / "large.bin"
    with large.open("wb") as file:
        for _ in range(9):
            file.write(os.urandom(16 << 20))
    limit = ("prlimit", "--data=72000000")
    packed = near("pack", run, "-o", tmp_path / "b", "--json", prefix=limit)
    assert packed.document["size"] > 144 << 20 > 2 * 72_000_000
    assert near("unpack", tmp_path / "b", tmp_path / "un", prefix=limit).exit_code == 0
    (out,) = (tmp_path / "un").rglob("large.bin")
    assert subprocess.run(["cmp", large, out], check=False).returncode == 0


_RECORDING = """
    import sys, wandb
    run = wandb.init(project="air", id="growing", settings=wandb.Settings(x_disable_stats=True))
    for step in range(2000):
        run.log({"loss": step})
        if step == 1000:
            print("half", flush=True)
            sys.stdin.readline()
    run.finish()
"""


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_run_that_is_recorded_goes_on_in_a_later_bundle(
    backhaul: Backhaul,
    isolated_env: dict[str, str],
    project: str,
    depot: DepotProcess,
    tmp_path: Path,
    is_killed: bool,
) -> None:
    """The first bundle has what was whole, says so, and leaves the run open; the second one sends the rest.

    Also when the job dies after the first: no bundle grows, so that is told, and the second one ends the run.
    """
    env = isolated_env | {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path / "work")}
    (tmp_path / "work").mkdir()
    job = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_RECORDING)],
        env=env | {"WANDB__TRANSACTION_LOG_FLUSH_INTERVAL": "0.2"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert job.stdin is not None
    assert job.stdout is not None
    assert "half" in job.stdout.readline()
    (log,) = (tmp_path / "work").glob("wandb/offline-run-*/*.wandb")
    # Another process writes what the script logs.
    until(lambda: log.stat().st_size > 32_768, "the first rows are on the disk")
    first = backhaul("pack", tmp_path / "work", "-o", tmp_path / "first", "--json")
    assert [run["recording"] for run in first.document["runs"]] == [True]
    assert "is being recorded" in first.stderr
    half = backhaul.sync(tmp_path / "first", "-p", project)
    assert (half.exit_code, half.only["state"]) == (5, "recording")
    assert half.document["bundles"][0]["recording"] == ["growing"]
    assert "pack the run again" in half.only["error"]["next"]
    sent = held(depot.data, project, "growing").rows
    assert [row["loss"] for row in sent] == list(range(len(sent)))
    assert 0 < len(sent) <= 1001
    if is_killed:
        job.kill()
    else:
        job.stdin.write("\n")
    job.communicate(timeout=120)
    until(lambda: not is_held(tmp_path / "work"), "nobody writes it any more")
    second = backhaul("pack", tmp_path / "work", "-o", tmp_path / "second", "--json")
    assert [run["recording"] for run in second.document["runs"]] == [False]
    done = backhaul.sync(tmp_path / "second", "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    whole = held(depot.data, project, "growing").rows
    rows = len(whole)
    assert [row["loss"] for row in whole] == list(range(rows))
    # A job that is killed may have written some more before.
    assert len(sent) <= rows <= 1001 if is_killed else rows == 2000
    assert done.only["streams"]["history"] == {"local": rows, "remote": rows}


def test_an_interrupted_sync_of_a_bundle_goes_on(
    backhaul: Backhaul, proxy: FaultProxy, project: str, tmp_path: Path
) -> None:
    """What a killed sync has unpacked is used, and what was acknowledged is not sent again."""
    copy_of("0.31.0-long", tmp_path)
    backhaul("pack", tmp_path, "-o", tmp_path / "b")
    # The files are never taken, so that it is under way whenever it is killed.
    proxy.always("put", stall)
    killed = backhaul.to(proxy.url).start("sync", tmp_path / "b", "-p", project)
    ledgers = backhaul.state.rglob
    until(lambda: any(b'"what":"lines"' in each.read_bytes() for each in ledgers("*.backhaul")), "it knows of lines")
    kill(killed)
    proxy.heal()
    before = len(list(proxy.lines()))
    (left,) = (path for path in (backhaul.state / "bundles").iterdir() if path.is_dir())
    done = backhaul.to(proxy.url).sync(tmp_path / "b", "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert "wandb-history.jsonl" not in {stream for stream, _, _ in list(proxy.lines())[before:]}
    assert not left.exists()


def test_a_damaged_bundle_brings_its_other_runs(backhaul: Backhaul, project: str, tmp_path: Path) -> None:
    """The log of one run is hit: that run is named, exit 9; the other one is verified."""
    hit, good = copy_of("0.31.0", tmp_path), copy_of("0.22.3", tmp_path)
    backhaul("pack", tmp_path, "-o", tmp_path / "b")
    content = bytearray((tmp_path / "b").read_bytes())
    bundle = open_bundle(tmp_path / "b")
    member = next(each for each in bundle.manifest.members if each.name.endswith(log_of(hit).name))
    place = next(
        found for _, found in bundle.pieces() if isinstance(found, Found) and found.piece.member == member.number
    )
    content[place.end - 3] ^= 4
    (tmp_path / "b").write_bytes(content)
    done = backhaul.sync(tmp_path / "b", "-p", project)
    assert done.exit_code == 9
    assert [run["state"] for run in done.document["runs"]] == ["verified"]
    assert list(done.document["bundles"][0]["damaged"]) == [member.name]
    assert log_of(good).stem.removeprefix("run-") == done.only["run_id"]
    assert "bundle-damaged" in done.stderr
    assert member.name in done.stderr


def test_what_is_no_bundle_is_told(backhaul: Backhaul, tmp_path: Path) -> None:
    """Three sentences and exit 6, and nothing is made."""
    (tmp_path / "b").write_bytes(b"")
    done = backhaul("unpack", tmp_path / "b", tmp_path / "un", "--json")
    assert (done.exit_code, done.document["error"]["code"]) == (6, "not-a-bundle")
    assert not (tmp_path / "un").exists()


def test_a_receipt_carried_back_closes_the_ledger(
    near: Backhaul, backhaul: Backhaul, recorded: Path, project: str, tmp_path: Path
) -> None:
    """Named once, the far key is believed: status says verified, the receipt can be checked, and clean may delete."""
    run = copied(next(recorded.glob("work/wandb/offline-*")), tmp_path / "near")
    near("pack", run, "-o", tmp_path / "b")
    far = backhaul.sync(tmp_path / "b", "-p", project)
    stick = tmp_path / "stick"
    shutil.copytree(backhaul.state / "receipts", stick)
    stranger = near("receipt", "import", stick, "--runs", run, "--json")
    assert (stranger.exit_code, stranger.document["receipts"][0]["error"]["code"]) == (4, "unknown-signer")
    assert not ledger_of(run).exists()

    key = backhaul("receipt", "key").stdout.strip()
    done = near("receipt", "import", stick, "--runs", run, "--signed-by", key, "--json")
    assert done.exit_code == 0, done.stderr
    (imported,) = done.document["receipts"]
    assert imported["signer"] == key
    assert marker_of(run).exists()
    (standing,) = near("status", run, "--json").document["runs"]
    assert standing["state"] == "verified"
    # Later on a line: the receipt that is kept here is one like any other.
    assert backhaul("verify", "--receipt", imported["receipt"]).exit_code == 0
    assert json.loads(Path(imported["receipt"]).read_text())["carried"]["receipt"] == json.loads(
        Path(far.only["receipt"]).read_text()
    )
    cleaned = near("clean", run, "--carried", "--yes", "--json")
    assert [each["fate"] for each in cleaned.document["runs"]] == ["deleted"], cleaned.stderr
    assert not run.exists()
    assert Path(imported["receipt"]).exists()
