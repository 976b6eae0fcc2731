"""Artifacts of an offline run: they arrive whole, from wherever their contents lie now, or are named as missing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..command import Backhaul, log_of, marker_of, record

_RUN = """
    import wandb
    run = wandb.init(project="{project}", id="{id}")
    run.log({{"table": wandb.Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]])}})
    data = wandb.Artifact("{id}-data", "dataset", description="some data", metadata={{"k": 1}})
    with data.new_file("dir/numbers.bin", mode="wb") as file:
        file.write(b"{id}" * 1000)
    with data.new_file("text.txt") as file:
        file.write("hello")
    data.add_reference("https://data.invalid/set", checksum=False)
    run.log_artifact(data, aliases=["best"])
    run.log({{"loss": 1}})
    run.finish()
"""

_READ = """
import json, sys, wandb
project, name, folder = sys.argv[1:]
artifact = wandb.Api().artifact(f"{project}/{name}:best")
for path, entry in artifact.manifest.entries.items():
    if entry.ref is None:  # what a reference names lies elsewhere
        artifact.get_entry(path).download(folder)
run = wandb.Api().runs(project)[0]
print(json.dumps({
    "aliases": sorted(artifact.aliases), "description": artifact.description, "metadata": artifact.metadata,
    "digest": artifact.digest, "paths": sorted(artifact.manifest.entries),
    "logged": sorted(logged.name.split(":")[0] for logged in run.logged_artifacts()),
}))
"""


def _recorded(tmp_path: Path, sdk_env: dict[str, str], run_id: str, project: str = "recorded") -> Path:
    (run,) = record(_RUN.format(id=run_id, project=project), tmp_path / "work", sdk_env)
    return run


def _read(env: dict[str, str], project: str, run_id: str, folder: Path) -> Any:
    line = [sys.executable, "-c", _READ, project, f"{run_id}-data", str(folder)]
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _official_sync(run: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    line = [str(Path(sys.executable).with_name("wandb")), "sync", str(run)]
    return subprocess.run(line, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_artifacts_are_read_back_by_the_sdk_as_the_official_sync_brings_them(
    backhaul: Backhaul, sdk_env: dict[str, str], project: str, tmp_path: Path
) -> None:
    """Manifest, digest, aliases, metadata and contents are those that `wandb sync` brings from a copy of the run."""
    # The official sync leaves artifacts in the project that the log names, so its copy goes there without --project.
    run = _recorded(tmp_path, sdk_env, "both", f"{project}-official")
    theirs = Path(shutil.copytree(run, tmp_path / "theirs" / run.name, symlinks=True))

    done = backhaul.sync(run, "--project", project)
    _official_sync(theirs, sdk_env)

    assert done.exit_code == 0, done.stderr
    assert done.only["artifacts"] == {"local": 2, "remote": 2}
    ours = _read(sdk_env, project, "both", tmp_path / "ours")
    assert ours == _read(sdk_env, f"{project}-official", "both", tmp_path / "official")
    assert ours["logged"] == ["both-data", "run-both-table"]
    assert ours["aliases"] == ["best", "latest"]
    assert ours["paths"] == ["dir/numbers.bin", "set", "text.txt"]
    assert (tmp_path / "ours" / "dir" / "numbers.bin").read_bytes() == b"both" * 1000


def test_contents_are_found_in_a_moved_data_folder(
    backhaul: Backhaul, sdk_env: dict[str, str], project: str, tmp_path: Path
) -> None:
    """Contents are found by name and digest under the data folder of today, when the recorded paths are gone."""
    run = _recorded(tmp_path, sdk_env, "moved")
    moved = Path(shutil.move(sdk_env["WANDB_DATA_DIR"], tmp_path / "elsewhere"))

    done = backhaul.with_env(WANDB_DATA_DIR=str(moved)).sync(run, "--project", project)

    assert done.exit_code == 0, done.stderr
    assert done.only["artifacts"] == {"local": 2, "remote": 2}
    assert _read(sdk_env, project, "moved", tmp_path / "read")["description"] == "some data"


def test_a_lost_content_is_named_and_the_rest_arrives(
    backhaul: Backhaul, sdk_env: dict[str, str], project: str, tmp_path: Path
) -> None:
    """An artifact whose content is gone is quarantined by name, exit 6, no marker; the official sync says nothing."""
    run = _recorded(tmp_path, sdk_env, "lost")
    theirs = Path(shutil.copytree(run, tmp_path / "theirs" / run.name, symlinks=True))
    shutil.rmtree(Path(sdk_env["WANDB_DATA_DIR"]))

    done = backhaul.sync(run, "--project", project)
    peer = _official_sync(theirs, sdk_env)

    assert done.exit_code == 6
    table, data = done.only["quarantined"]
    assert (table["what"], data["what"]) == ("artifact run-lost-table", "artifact lost-data")
    assert "dir/numbers.bin" in data["reason"]
    assert "WANDB_DATA_DIR" in data["next"]
    assert done.only["streams"]["history"] == {"local": 2, "remote": 2}
    assert done.only["artifacts"] == {"local": 2, "remote": 0}
    assert not marker_of(run).exists()
    assert peer.returncode == 0
    assert marker_of(theirs).exists()


def test_artifacts_are_sent_once(backhaul: Backhaul, sdk_env: dict[str, str], project: str, tmp_path: Path) -> None:
    """A second sync makes no second version, with the ledger and without it."""
    run = _recorded(tmp_path, sdk_env, "once")
    assert backhaul.sync(run, "--project", project).exit_code == 0

    log_of(run).with_name(log_of(run).name + ".backhaul").unlink()
    marker_of(run).unlink()
    again = backhaul.sync(run, "--project", project)

    assert again.exit_code == 0, again.stderr
    script = f"import wandb; print(len(wandb.Api().artifacts('dataset', '{project}/once-data')))"
    counted = subprocess.run(
        [sys.executable, "-c", script], env=sdk_env, capture_output=True, text=True, timeout=120, check=True
    )
    assert counted.stdout.split()[-1] == "1"
