"""Unmodified SDKs, and `backhaul sync`, bring artifacts and media straight to the object store of a depot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..command import Backhaul
from .releases import each_release

if TYPE_CHECKING:
    from tests.conftest import DepotProcess

    from .conftest import Program

# Other programs do the work, on a machine that may have much else to do.
pytestmark = pytest.mark.timeout(500)

_LOG = """
    import json, pathlib, sys, wandb
    project, mode = sys.argv[1:]
    pathlib.Path("a.bin").write_bytes(b"x" * 100_000)
    pathlib.Path("empty.txt").touch()
    pathlib.Path("saved.txt").write_text("saved")
    with wandb.init(project=project, id="maker", mode=mode) as run:
        run.log({"x": 1, "table": wandb.Table(columns=["a", "b"], data=[[1, "ü"], [2, None]])})
        run.log({"html": [wandb.Html("<p>%d</p>" % number) for number in range(20)], "x": 2})
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
    named = [each["path"] for each in run.history(keys=["html"], pandas=False)[0]["html"]["html"]]
    texts = [pathlib.Path(run.file(name).download("media", replace=True).name).read_text() for name in named]
    print(json.dumps({
        "files": {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()},
        "right": (folder / "sub/a b.bin").read_bytes() == b"x" * 100_000,
        "table": table.get("table").data,
        "saved": files.get("saved.txt"),
        "media": ["<p>%d</p>" % number in text for number, text in enumerate(texts)],
        "tables": [size > 0 for name, size in files.items() if name.startswith("media/table/")],
    }))
"""

_EXPECTED = {
    "files": {"sub/a b.bin": 100_000, "empty.txt": 0},
    "right": True,
    "table": [[1, "ü"], [2, None]],
    "saved": 5,
    "media": [True] * 20,
    "tables": [True],
}


@pytest.fixture
def sdk_env(isolated_env: dict[str, str], direct_depot: DepotProcess) -> dict[str, str]:
    """The clean environment, with a depot whose clients bring bytes to its object store themselves."""
    return isolated_env | {"WANDB_BASE_URL": direct_depot.url, "WANDB_API_KEY": direct_depot.api_key}


@each_release(installed=True)
def test_what_is_logged_online_comes_back(program: Program, project: str) -> None:
    """Artifacts with their files, empty ones too, and the run's media, tables and saved files."""
    program(_LOG, project, "online")
    assert program(_READ, project) == _EXPECTED


@each_release(installed=True)
def test_an_offline_run_that_is_synced_comes_back(program: Program, project: str, sdk_env: dict[str, str]) -> None:
    """By the official client."""
    program(_LOG, project, "offline")
    (folder,) = Path(sdk_env["WANDB_DIR"], "wandb").glob("offline-run-*")
    program("", "sync", "-p", project, str(folder), module=True)
    assert program(_READ, project) == _EXPECTED


@pytest.mark.parametrize("interpreter", ["installed"], indirect=True)
def test_backhaul_brings_artifacts_and_proves_them(program: Program, project: str, sdk_env: dict[str, str]) -> None:
    """An offline run is verified: each file was read back as it is here."""
    program(_LOG, project, "offline")
    done = Backhaul(sdk_env, Path(sdk_env["HOME"])).sync(Path(sdk_env["WANDB_DIR"]), "-p", project)
    assert (done.exit_code, done.only["state"]) == (0, "verified"), done.stderr
    assert program(_READ, project) == _EXPECTED
