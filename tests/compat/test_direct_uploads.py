"""Unmodified SDKs, and `backhaul sync`, bring artifacts straight to the object store of a depot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..command import Backhaul
from .releases import each_release

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

    from .conftest import Program

_LOG = """
    import json, pathlib, sys, wandb
    project, mode = sys.argv[1:]
    pathlib.Path("a.bin").write_bytes(b"x" * 100_000)
    pathlib.Path("empty.txt").touch()
    pathlib.Path("saved.txt").write_text("saved")
    with wandb.init(project=project, id="maker", mode=mode) as run:
        run.log({"x": 1, "table": wandb.Table(columns=["a", "b"], data=[[1, "ü"], [2, None]])})
        run.save("saved.txt")
        artifact = wandb.Artifact("ds", "dataset")
        artifact.add_file("a.bin", name="sub/a b.bin")
        artifact.add_file("empty.txt")
        run.log_artifact(artifact)
    print(json.dumps(None))
"""

_READ = """
    import json, os, pathlib, sys, wandb
    api = wandb.Api()
    run = api.run(sys.argv[1] + "/maker")
    folder = pathlib.Path(api.artifact(sys.argv[1] + "/ds:latest").download(root="got"))
    (table,) = [each for each in run.logged_artifacts() if each.type == "run_table"]
    files = {file.name: file.size for file in run.files()}
    print(json.dumps({
        "files": {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()},
        "right": (folder / "sub/a b.bin").read_bytes() == b"x" * 100_000,
        "table": table.get("table").data,
        "saved": files.get("saved.txt"),
    }))
"""

_EXPECTED = {
    "files": {"sub/a b.bin": 100_000, "empty.txt": 0},
    "right": True,
    "table": [[1, "ü"], [2, None]],
    "saved": 5,
}


@pytest.fixture
def sdk_env(isolated_env: dict[str, str], direct_depot: DepotProcess) -> dict[str, str]:
    """The clean environment, with a depot whose clients bring bytes to its object store themselves."""
    return isolated_env | {"WANDB_BASE_URL": direct_depot.url, "WANDB_API_KEY": direct_depot.api_key}


@each_release(installed=True)
def test_artifacts_logged_online_come_back(program: Program, project: str) -> None:
    """With their files, empty ones too, and the files of the run."""
    program(_LOG, project, "online")
    assert program(_READ, project) == _EXPECTED


@pytest.mark.parametrize("interpreter", ["installed"], indirect=True)
def test_backhaul_brings_artifacts_and_proves_them(program: Program, project: str, sdk_env: dict[str, str]) -> None:
    """An offline run is verified: each file was read back as it is here."""
    program(_LOG, project, "offline")
    done = Backhaul(sdk_env, Path(sdk_env["HOME"])).sync(Path(sdk_env["WANDB_DIR"]), "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
