"""`backhaul repair` as a process, and what the unmodified `wandb sync` brings to a server from its result."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ..command import RECORDED, Backhaul, Finished, copied, copy_of, log_of, marker_of, record
from ..depot_contents import Held, held

_DAMAGED_AT, _DAMAGED_BYTES = 40_000, 64


def _expected(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RECORDED / name / "expected.json").read_text())
    return document


def _damage(run: Path, at: int = _DAMAGED_AT, length: int = _DAMAGED_BYTES) -> None:
    """Turn bytes over, each of them: a fixed pattern could be what stands there."""
    log = log_of(run)
    data = bytearray(log.read_bytes())
    data[at : at + length] = bytes(byte ^ 0xFF for byte in data[at : at + length])
    log.write_bytes(data)


def _contents(folder: Path) -> dict[str, str]:
    """Every file below `folder` with its digest, every link with where it leads."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _official_sync(env: Mapping[str, str], *arguments: object) -> str:
    """`wandb sync`; what it said. It ends with 0 whatever happens, so the words must be looked at."""
    done = subprocess.run(
        ["wandb", "sync", *map(str, arguments)],
        env={**env, "WANDB_SILENT": "false"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def _sent(env: Mapping[str, str], run: Path, project: str) -> None:
    """The official client delivers `run` without a complaint, and marks it."""
    said = _official_sync(env, "-p", project, run)
    assert "ERROR" not in said
    assert "panic" not in said
    assert marker_of(run).exists(), said


def _metrics(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("_step", "_runtime", "_timestamp")}


def _rows(held_run: Held) -> list[tuple[int, str]]:
    """Steps and metrics in a form that compares NaN with NaN."""
    return [(row["_step"], json.dumps(_metrics(row), sort_keys=True)) for row in held_run.rows]


def _logged(expected: Mapping[str, Any]) -> list[tuple[int, str]]:
    return [(row["step"], json.dumps(_as_numbers(row["metrics"]), sort_keys=True)) for row in expected["rows"]]


def _as_numbers(value: Any) -> Any:
    """Whole floats as W&B's Go engine writes them: 1.0 is 1."""
    if isinstance(value, dict):
        return {key: _as_numbers(item) for key, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def _repaired(done: Finished) -> Path:
    return Path(done.document["output"]).parent


def test_a_log_damaged_inside_loses_only_the_damaged_records_at_the_server(
    backhaul: Backhaul, sdk_env: dict[str, str], depot: Any, project: str, tmp_path: Path
) -> None:
    """What `wandb sync` brings home from the repaired run is what the repair promised, and no row less."""
    run = copy_of("0.31.0-long", tmp_path)
    whole = len(_expected("0.31.0-long")["rows"])
    _damage(run)
    done = backhaul("repair", run, "--json")
    assert done.exit_code == 9, done.stderr
    lost = done.document["records"]["lost"]
    assert 1 <= lost <= 2
    (damage,) = done.document["damage"]
    assert damage["offset"] <= _DAMAGED_AT < damage["offset"] + damage["length"]
    first, last = damage["numbers"]
    assert last - first + 1 == done.document["records"]["lost"]
    _sent(sdk_env, _repaired(done), project)
    there = held(depot.data, project, "rec-0310-long")
    logged = _logged(_expected("0.31.0-long"))
    arrived = _rows(there)
    assert set(arrived) <= set(logged)
    assert whole - lost <= len(arrived) <= whole
    assert there.run.state == "finished"
    assert set(there.files) >= {"weights.bin", "config.yaml", "output.log", "wandb-summary.json"}


def test_what_backhaul_and_the_official_client_make_of_the_repaired_run_is_the_same(
    backhaul: Backhaul, sdk_env: dict[str, str], depot: Any, project: str, tmp_path: Path
) -> None:
    """Both readers read the new log whole, and to the same rows, summary and config."""
    run = copy_of("0.31.0-long", tmp_path)
    _damage(run)
    repaired = _repaired(backhaul("repair", run, "--json"))
    twin = copied(repaired, tmp_path / "twin")
    _sent(sdk_env, repaired, f"{project}-o")
    done = backhaul.sync(twin, "-p", project)
    assert done.only["state"] == "verified", done.stderr
    ours, theirs = (held(depot.data, name, "rec-0310-long") for name in (project, f"{project}-o"))
    assert ours.rows == theirs.rows
    assert ours.console == theirs.console
    assert {**ours.summary, "_wandb": 0} == {**theirs.summary, "_wandb": 0}
    assert {key for key in ours.config if key != "_wandb"} == {key for key in theirs.config if key != "_wandb"}


def test_the_summary_of_the_python_engine_survives_the_official_client(
    backhaul: Backhaul, sdk_env: dict[str, str], depot: Any, project: str, tmp_path: Path
) -> None:
    """The Python engine wrote the summary after the exit record, where `wandb sync` drops it: repaired, it arrives."""
    run = copy_of("0.17.9", tmp_path)
    done = backhaul("repair", run, "--json")
    assert (done.exit_code, done.document["records"]["lost"]) == (0, 0)
    _sent(sdk_env, _repaired(done), project)
    expected = _expected("0.17.9")
    there = held(depot.data, project, "rec-0179")
    summary = {key: value for key, value in there.summary.items() if key in expected["summary"]}
    wanted = {key: value for key, value in expected["summary"].items() if value is not None}
    assert json.dumps(summary, sort_keys=True) == json.dumps(_as_numbers(wanted), sort_keys=True)
    assert len(there.rows) == expected["row_count"]


def test_a_log_of_the_misaligned_writer_arrives_whole(
    backhaul: Backhaul, sdk_env: dict[str, str], depot: Any, project: str, tmp_path: Path
) -> None:
    """The Go engine before 0.17.6 laid its blocks seven bytes off; `wandb sync` reads the repaired log to its end."""
    run = copy_of("0.17.5-core", tmp_path)
    done = backhaul("repair", run, "--json")
    assert (done.exit_code, done.document["damage"]) == (0, [])
    _sent(sdk_env, _repaired(done), project)
    assert _rows(held(depot.data, project, "rec-0175-core")) == _logged(_expected("0.17.5-core"))


@pytest.mark.parametrize("name", ["0.31.0-killed", "0.22.3-killed", "0.17.9-killed", "0.12.21-killed"])
def test_a_killed_run_is_closed_with_the_exit_code_that_was_asked_for(
    backhaul: Backhaul, sdk_env: dict[str, str], depot: Any, project: str, tmp_path: Path, name: str
) -> None:
    """A torn tail is no loss; `--add-exit 0` makes of a killed run a finished one, with every row on disk."""
    run = copy_of(name, tmp_path)
    done = backhaul("repair", run, "--add-exit", 0, "--json")
    assert (done.exit_code, done.document["records"]["lost"]) == (0, 0), done.stderr
    assert any("exit record with code 0 was added" in change for change in done.document["changes"])
    _sent(sdk_env, _repaired(done), project)
    there = held(depot.data, project, _expected(name)["run_id"])
    assert there.run.state == "finished"
    logged = _logged(_expected(name))
    assert _rows(there) == logged[: len(there.rows)]
    assert len(there.rows) > 50
    assert there.summary["loss"] == 0.02
    assert there.summary["accuracy"] == {"max": 0.6875}


_EVERY_SDK = ("0.10.33", "0.12.21", "0.13.11", "0.15.12", "0.16.6", "0.17.9", "0.18.7", "0.19.11", "0.22.3", "0.28.2")


def test_one_official_sync_takes_damaged_runs_of_every_sdk_once_they_are_repaired(
    backhaul: Backhaul, sdk_env: dict[str, str], depot: Any, project: str, tmp_path: Path
) -> None:
    """A flipped byte in the middle of each log: all arrive, with each row that was readable and no other."""
    promised = {}
    for name in _EVERY_SDK:
        run = copy_of(name, tmp_path)
        _damage(run, log_of(run).stat().st_size // 2, 1)
        done = backhaul("repair", run, "--json")
        assert done.exit_code == 9, (name, done.stderr)
        rows = backhaul("export", _repaired(done), "-o", "-", "--format", "jsonl").stdout.splitlines()
        promised[name] = [json.loads(row)["_step"] for row in rows]
    said = _official_sync(sdk_env, "-p", project, tmp_path / "wandb" / "repaired")
    assert "ERROR" not in said
    for name, steps in promised.items():
        expected = _expected(name)
        there = held(depot.data, project, expected["run_id"])
        assert [row["_step"] for row in there.rows] == steps, name
        assert len(steps) >= expected["row_count"] - 1
        logged = {metrics for _, metrics in _logged(expected)}
        assert {_floats(metrics) for _, metrics in _rows(there)} <= {_floats(metrics) for metrics in logged}, name


def _floats(metrics: str) -> str:
    """Numbers as JSON texts that do not depend on whether a whole one has a point."""
    return json.dumps(json.loads(metrics, parse_int=float), sort_keys=True)


@pytest.mark.parametrize("name", ["header-only", "empty"])
def test_a_log_that_holds_nothing_is_made_anew_from_the_runs_files(
    backhaul: Backhaul, sdk_env: dict[str, str], depot: Any, project: str, tmp_path: Path, name: str
) -> None:
    """Config (with its late changes) and saved files reach the server; what is gone is said."""
    run = copy_of(name, tmp_path)
    done = backhaul("repair", run, "--json")
    assert done.exit_code == 9
    assert "history" in done.document["missing"]
    assert "config" in done.document["recovered"]
    _sent(sdk_env, _repaired(done), project)
    expected = _expected(name)
    there = held(depot.data, project, expected["run_id"])
    config = {key: item["value"] for key, item in there.config.items() if key != "_wandb"}
    assert config == expected["config"]
    digests = {name: hashlib.md5(content).hexdigest() for name, content in there.files.items()}
    assert {file["name"]: file["md5"] for file in expected["files"]}.items() <= digests.items()


def test_a_job_type_that_the_server_refuses_is_mended(
    backhaul: Backhaul, sdk_env: dict[str, str], depot: Any, project: str, tmp_path: Path
) -> None:
    """A job type of more than 64 characters, which no SDK refuses, arrives cut; the report tells the whole of it."""
    long_job = "j" * 70
    script = f"""
        import wandb
        run = wandb.init(project="p", id="long", tags=["short"], job_type={long_job!r}, config={{"a": 1}})
        run.log({{"x": 1}})
        run.finish()
    """
    (run,) = record(script, tmp_path, sdk_env)
    done = backhaul("repair", run, "--mend-metadata", "--json")
    assert done.exit_code == 0
    assert any(long_job in change for change in done.document["changes"])
    _sent(sdk_env, _repaired(done), project)
    there = held(depot.data, project, "long")
    assert (there.run.job_type, there.config["a"]) == ("j" * 64, {"value": 1})


def test_the_original_and_its_files_stay_as_they_were_even_when_the_copy_is_synced(
    backhaul: Backhaul, sdk_env: dict[str, str], project: str, tmp_path: Path
) -> None:
    """Neither the repair nor `wandb sync`, which rewrites `output.log`, changes a byte of the original."""
    run = copy_of("0.31.0-killed", tmp_path)
    before = _contents(run)
    repaired = _repaired(backhaul("repair", run, "--json"))
    _sent(sdk_env, repaired, project)
    assert (repaired / "files" / "config.yaml").is_file()
    assert _contents(run) == before


def test_a_sync_of_the_whole_folder_sends_the_run_once(
    backhaul: Backhaul, sdk_env: dict[str, str], tmp_path: Path
) -> None:
    """The repaired run lies where neither client finds it beside the original, and both find it by its name."""
    run = copy_of("0.31.0", tmp_path)
    repaired = _repaired(backhaul("repair", run, "--json"))
    assert "Would sync 1 run(s)" in _official_sync(sdk_env, "--dry-run", run.parent)
    assert "Would sync 1 run(s)" in _official_sync(sdk_env, "--dry-run", repaired)
    for path in (run.parent, tmp_path):
        found = backhaul.sync(path, "--dry-run").document["runs"]
        assert [Path(each["path"]).name for each in found] == [run.name]
    assert backhaul.sync(repaired, "--dry-run").only["path"] == str(repaired)


def test_nothing_is_overwritten(backhaul: Backhaul, tmp_path: Path) -> None:
    """A second repair, and one onto the log itself, end with exit code 2 and change nothing."""
    run = copy_of("0.31.0", tmp_path)
    assert backhaul("repair", run).exit_code == 0
    before = _contents(tmp_path)
    for arguments in ((run,), (run, "-o", log_of(run))):
        again = backhaul("repair", *arguments)
        assert again.exit_code == 2
        assert "exists already, and is not overwritten" in " ".join(again.stderr.split())
    assert _contents(tmp_path) == before


def test_a_disk_that_takes_no_more_leaves_nothing_behind(backhaul: Backhaul, tmp_path: Path) -> None:
    """The new run directory appears whole or not at all; a limit on file sizes stands for a full disk."""
    run = copy_of("0.31.0-long", tmp_path)
    before = _contents(tmp_path)
    done = backhaul("repair", run, "--json", prefix=("prlimit", "--fsize=20000"))
    assert (done.exit_code, done.document["error"]["code"]) == (2, "usage")
    assert _contents(tmp_path) == before


def test_a_healthy_log_is_copied_byte_for_byte(backhaul: Backhaul, tmp_path: Path) -> None:
    """Records are carried as they are, into the same frame."""
    run = copy_of("0.31.0-long", tmp_path)
    copy = tmp_path / "copy.wandb"
    assert backhaul("repair", run, "-o", copy).exit_code == 0
    assert copy.read_bytes() == log_of(run).read_bytes()


def test_what_is_no_log_is_named(backhaul: Backhaul, tmp_path: Path) -> None:
    """A database by that name is refused with what it is, and nothing is written."""
    log = tmp_path / "run-x.wandb"
    sqlite3.connect(log).execute("CREATE TABLE t (x)").connection.close()
    before = _contents(tmp_path)
    done = backhaul("repair", log, "--json")
    assert done.exit_code == 6
    assert done.document["error"]["code"] == "not-a-wandb-log"
    assert _contents(tmp_path) == before
